"""How many jobs of hosts may come to wait: what is more waits where it comes from."""

import sys
from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from vtspolicy.hosts.session import HostSession
from vtspolicy.queue.protocol import Queue
from vtspolicy.sessions import SessionState

FULL_PAUSE = 0.25
"""Seconds between looks at a queue that is full."""


@define(kw_only=True)
class Room:
    """The queue's places that are left for what hosts send."""

    clock: IReactorTime
    queue: Queue
    limit: Callable[[], int]  # jobs that may wait, by the configuration in force
    coming: int = 0  # jobs that are being recorded, and not in the queue yet
    is_over: bool = False  # the server stops

    def left(self, session: HostSession) -> int:
        """Return how many jobs may be added for a session; none where it is not above 0.

        What a connection that is gone has brought, or one that a stop is about to end, has nowhere
        to wait but in the ledger.
        """
        if self.is_over or session.state is SessionState.CLOSED:
            return sys.maxsize
        return self.limit() - self.queue.waiting - self.coming

    async def wait(self, session: HostSession) -> None:
        """Wait until there is room."""
        while self.left(session) <= 0:
            await deferLater(self.clock, FULL_PAUSE)
