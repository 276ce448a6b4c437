"""How notices go out on a session, and when they count as delivered.

`StreamDelivery` is that of a connection: a notice is written to it, and counts as delivered when
the peer's system has acknowledged the bytes or, with JSON, the peer the notice's number. A link
whose answers go out another way has a delivery of its own.
"""

from collections.abc import Sequence
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from vtspolicy.config.model import Host
from vtspolicy.hosts.connection_state import all_acknowledged, is_broken
from vtspolicy.hosts.timers import Timer
from vtspolicy.hosts.wires import Wire
from vtspolicy.notices import Notice
from vtspolicy.sessions import SessionState

CONFIRM = 0.25
"""Seconds between looks at whether the peer has acknowledged what was written."""

PARTING = 0.05
"""The same as CONFIRM for a peer that sends no more: it waits for nothing but the end."""

UNCONFIRMED = 10_000
"""The most notices that are written and not confirmed; the rest wait in the ledger."""


class Transport(Protocol):
    """What carries the bytes of a session: a Twisted transport, or what steers another source.

    The session also uses what a Twisted transport has beyond this, where it is there.
    """

    def write(self, data: bytes) -> object:
        """Send bytes to the peer. Only `StreamDelivery` does."""

    def pauseProducing(self) -> object:
        """Deliver no more bytes until `resumeProducing`: what came before is being recorded."""

    def resumeProducing(self) -> object:
        """Deliver bytes again."""

    def loseConnection(self) -> object:
        """End the link once what was written is out; then call the session's `connectionLost`."""

    def abortConnection(self) -> object:
        """End it at once; then call the session's `connectionLost`."""


class Told(Protocol):
    """What a delivery needs of its session."""

    hosts: tuple[Host, ...]

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""

    def delivered(self, ids: list[int]) -> None:
        """These notices count as delivered; the session can take others."""

    def close_if_done(self) -> None:
        """End a session whose peer sends no more, if nothing is owed to it."""

    def abort(self) -> None:
        """End the link at once; what was not delivered is due again."""


class Delivery(Protocol):
    """How notices go out on one session.

    Each notice that the outbox hands over bears its number in the ledger as `id`; it stays under
    way until `Told.delivered` names it or `take_back` gives it back. One without an `id` stands in
    no ledger and is sent once.
    """

    sends_heartbeats: bool  # whether the session's `keepalive` notices go out here

    @property
    def has_room(self) -> bool:
        """Whether one more notice may be under way; call `Told.delivered` when that changes.

        What waits in the ledger comes in pages, of which the last may go beyond the limit.
        """
        ...

    @property
    def is_waiting(self) -> bool:
        """Whether something is under way that may still count as delivered without the peer."""
        ...

    def begin(self, session: Told, transport: Transport) -> None:
        """The session is connected; `transport` carries its bytes."""

    def tell(self, notice: Notice) -> None:
        """Send a notice."""

    def acknowledge(self, ids: Sequence[int]) -> None:
        """The peer has named these in what it sent; numbers that are not under way are ignored."""

    def take_back(self) -> list[int]:
        """Return what is under way, the oldest first: it is no longer, and due on another link."""
        ...

    def look(self) -> None:
        """Find out now, and not only in a while, what has been delivered: the peer may be done."""

    def end(self) -> None:
        """The session is over: no timer may be left. `take_back` is called after this."""


@define(eq=False)
class StreamDelivery:
    """Writes each notice into the connection as a line."""

    _clock: IReactorTime
    _wire: Wire
    _node: str  # this node's name, for the notices' headers
    sends_heartbeats: bool = True
    _session: Told = field(init=False)
    _transport: Transport = field(init=False)
    _unconfirmed: dict[int, None] = field(factory=dict)  # that were written, in their order
    _confirm: Timer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._confirm = Timer(self._clock, self.look)

    @property
    def has_room(self) -> bool:
        """Whether one more may be written."""
        return len(self._unconfirmed) < UNCONFIRMED

    @property
    def is_waiting(self) -> bool:
        """Whether the peer's system has still to acknowledge something.

        For a peer that would have to acknowledge by number, and sends no more, it is useless.
        """
        return bool(self._unconfirmed) and not self._must_acknowledge

    def begin(self, session: Told, transport: Transport) -> None:
        """Write to this transport from now on."""
        self._session, self._transport = session, transport

    def tell(self, notice: Notice) -> None:
        """Write a notice in the peer's format."""
        line = self._wire.encode(notice, node=self._node, hosts=self._session.hosts)
        self._transport.write(line)
        if notice.id is not None:
            self._unconfirmed[notice.id] = None
            if not self._confirm.runs and not self._must_acknowledge:
                self._look_later()

    def acknowledge(self, ids: Sequence[int]) -> None:
        """The peer says itself which notices it has got (JSON); from now on only that counts."""
        self._wire.acknowledges = True
        known = [each for each in dict.fromkeys(ids) if each in self._unconfirmed]
        for each in known:
            del self._unconfirmed[each]
        self._session.delivered(known)

    def take_back(self) -> list[int]:
        """Return the notices that were written and never confirmed."""
        ids = list(self._unconfirmed)
        self._unconfirmed.clear()
        return ids

    def look(self) -> None:
        """What the peer's side of the connection has acknowledged has arrived there."""
        if self.is_waiting:
            if all_acknowledged(self._transport):
                self._session.delivered(self.take_back())
            elif self._is_half_closed and is_broken(self._transport):
                self._session.abort()  # nothing is read from it any more that would show it
            else:
                self._look_later()
        self._session.close_if_done()

    def end(self) -> None:
        """Look no more."""
        self._confirm.stop()

    def _look_later(self) -> None:
        self._confirm.start(PARTING if self._is_half_closed else CONFIRM)

    @property
    def _is_half_closed(self) -> bool:
        return self._session.state is SessionState.HALF_CLOSED

    @property
    def _must_acknowledge(self) -> bool:
        """Whether only the peer's own word counts for what it has got."""
        return self._wire.must_acknowledge(self._session.hosts)
