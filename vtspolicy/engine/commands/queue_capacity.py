"""How many jobs of hosts may come to wait, and whether anything new is begun for them."""

import sys
from collections import deque
from itertools import islice

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.hosts.session import HostSession
from vtspolicy.queue.protocol import Queue
from vtspolicy.sessions import SessionState

FULL_PAUSE = 0.25
"""Seconds between looks at a queue that is full, or a server that drains."""


@define(kw_only=True)
class QueueCapacity:
    """The queue's places that are left for what hosts send.

    Connections that wait for room take turns, and each of them is owed one place. What a
    connection that is gone has brought, or one that a stop is about to end, has nowhere to wait but
    in the ledger: that is always taken.
    """

    clock: IReactorTime
    queue: Queue
    policy: PolicyInForce
    coming: int = 0  # jobs that are being recorded, and not in the queue yet
    is_draining: bool = False  # an operator drains the server
    is_over: bool = False  # the server stops
    turns: deque[HostSession] = field(factory=deque)  # those that wait for room, the next one first

    def is_open(self, session: HostSession) -> bool:
        """Whether something new may be begun for a session, however many jobs wait."""
        return not self.is_draining or self._must_take(session)

    def left(self, session: HostSession, *, in_turn: bool = False) -> int:
        """Return how many jobs may be added for a session; none where it is not above 0.

        With `in_turn` it has waited, and gets one place before the others that wait.
        """
        if self._must_take(session):
            return sys.maxsize
        places = self._places()
        beyond = places - len(self.turns)
        return max(beyond, min(places, 1)) if in_turn else beyond

    async def wait(self, session: HostSession, *, first: bool = False) -> None:
        """Wait for room, and for the turn of a session: behind the others, or before them."""
        (self.turns.appendleft if first else self.turns.append)(session)
        while not self._is_next(session):
            await deferLater(self.clock, FULL_PAUSE)
        self.turns.remove(session)

    async def wait_until_open(self, session: HostSession) -> None:
        """Wait until something new may be begun, however many jobs wait."""
        while not self.is_open(session):
            await deferLater(self.clock, FULL_PAUSE)

    def _places(self) -> int:
        if self.is_draining:
            return 0
        return self.policy.current.configuration.waiting - self.queue.waiting - self.coming

    def _is_next(self, session: HostSession) -> bool:
        """Whether there is a place for a session, and one for each of those before it."""
        return self._must_take(session) or session in islice(self.turns, max(self._places(), 0))

    def _must_take(self, session: HostSession) -> bool:
        return self.is_over or session.state is SessionState.CLOSED
