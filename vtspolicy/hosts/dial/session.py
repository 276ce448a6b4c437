"""The session of a dialled host: its display is read as a listener's connection is.

What it is told does not go out on the same way: a second session posts it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from attrs import evolve
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from vtspolicy.config.model import Host
from vtspolicy.events.decoder import decoder
from vtspolicy.events.event import Event, Item
from vtspolicy.hosts.dial.answers import Answers
from vtspolicy.hosts.dial.terminal import Terminal
from vtspolicy.hosts.session import HostSession, Link
from vtspolicy.notices import Notice
from vtspolicy.sessions import Pause

MOST_ON_THEIR_WAY = 200
"""Notices that are posted and not seen, or wait to be posted; the rest wait in the ledger."""

CUT = Failure(ConnectionLost())


class _Display:
    """What the session takes for its transport: it steers the reading, and ends the link."""

    def __init__(self, terminal: Terminal, hang_up: Callable[[], None]) -> None:
        self._terminal = terminal
        self.loseConnection = self.abortConnection = hang_up

    def pauseProducing(self) -> None:
        """Take nothing more from the host."""
        self._terminal.pause()

    def resumeProducing(self) -> None:
        """Take what comes again."""
        self._terminal.resume()


class DialledSession(HostSession):
    """One display of one host, from the distributor's start to its end."""

    def __init__(
        self,
        link: Link,
        *,
        host: Host,
        address: str,
        answers: Answers,
        shown_until: datetime | None,
        began: datetime | None,
    ) -> None:
        """Prepare it.

        Events up to `shown_until` may have been shown before; those up to `began`, the host's time
        at the start, may have been recorded by an earlier server.
        """
        super().__init__(link, hosts=(host,), address=address, decoder=decoder("ems", plain=False))
        self.recorded_until: datetime | None = None  # the time of events that need not come again
        self._answers = answers
        self._shown_until = shown_until
        self._repeats_until: datetime | None = max(filter(None, (shown_until, began)), default=None)
        self._reached: datetime | None = None  # the time of events that were handed over

    def begin(self, terminal: Terminal, hang_up: Callable[[], None]) -> None:
        """The distributor was started."""
        # What is used of a transport; Twisted's method has no types.
        self.makeConnection(_Display(terminal, hang_up))  # type: ignore[no-untyped-call]

    def show(self, lines: bytes, before: datetime | None) -> None:
        """Take lines of the display; `before` is the time of the last event before them."""
        self._reached = before
        self.dataReceived(lines)
        self._note_recorded()

    def end(self) -> None:
        """The display is gone: an event that is open is shown again by the next one."""
        self.connectionLost(CUT)

    def whose(self, hosts: Iterable[Host]) -> tuple[Host, ...]:
        """Return the host that was called, as it is configured now."""
        names = {host.name for host in self.hosts}
        return tuple(host for host in hosts if host.name in names)

    # HostSession

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The display is gone; it was never the host that ended it in good order."""
        super().connectionLost(CUT)

    def _take(self, items: list[Item]) -> None:
        super()._take([self._marked(each) for each in items])

    def _marked(self, item: Item) -> Item:
        until = self._repeats_until
        if until is None or not isinstance(item, Event) or item.time is None or item.time > until:
            return item
        return evolve(item, replayed=True)

    def _drop(self, items: list[Item]) -> None:
        """Nothing: what was cut is shown again."""

    def _recorded(self, _: None) -> None:
        super()._recorded(None)
        self._note_recorded()

    def _note_recorded(self) -> None:
        """What was handed over is recorded, if nothing waits."""
        idle = Pause.RECORDING not in self._pauses and not self._batches and not self.kept
        if idle and self.is_live:
            self.recorded_until = self._reached

    @property
    def can_take(self) -> bool:
        """Whether it may be given a notice now."""
        return self.is_live and len(self._unconfirmed) < MOST_ON_THEIR_WAY

    def tell(self, notice: Notice) -> None:
        """Have a notice posted. What is in no ledger is not said again about a repeat."""
        if notice.id is None and self._is_replaying:
            return
        if notice.id is not None:
            self._unconfirmed[notice.id] = None
        self._answers.put(notice)

    @property
    def _is_replaying(self) -> bool:
        until = self._shown_until
        return until is not None and (self._reached is None or self._reached <= until)

    @property
    def _must_acknowledge(self) -> bool:
        """The display shows what has arrived."""
        return True

    def _arm(self, name: str) -> None:
        """The heartbeat goes through the host, and is the link's."""
        if name != "keepalive":
            super()._arm(name)
