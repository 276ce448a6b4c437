"""The session of a dialled host: its display is read as a listener's connection is.

What it is told does not go out on the same way: a second session posts it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import define, evolve, field
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from vtspolicy.config.model import Dial, Host
from vtspolicy.events.decoder import Decoder, decoder
from vtspolicy.events.event import Event, Item
from vtspolicy.events.limits import Counted
from vtspolicy.events.mounts import MountMessage, read_mount
from vtspolicy.hosts.delivery import Told, Transport
from vtspolicy.hosts.dial.answers import Answers
from vtspolicy.hosts.dial.terminal import Terminal
from vtspolicy.hosts.peers import DialledPeer
from vtspolicy.hosts.session import HostSession, SessionServices
from vtspolicy.hosts.wires import Wire
from vtspolicy.notices import Notice

MOST_ON_THEIR_WAY = 200
"""Notices that are posted and not seen, or wait to be posted; the rest wait in the ledger."""

CUT = Failure(ConnectionLost())


@define
class _RepeatsMarked:
    """A decoder that marks events which a display may show again."""

    _decoder: Decoder
    _until: datetime | None  # of the events that may be repeats, the host's time
    _on_mount: Callable[[MountMessage], None]

    @property
    def wire(self) -> str | None:
        """The format."""
        return self._decoder.wire

    @property
    def counted(self) -> Counted:
        """What went through so far."""
        return self._decoder.counted

    @property
    def pending(self) -> bool:
        """Whether an event waits for its continuation."""
        return self._decoder.pending

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes."""
        return [self._marked(each) for each in self._decoder.feed(data)]

    def settle(self) -> list[Item]:
        """Return what is open."""
        return [self._marked(each) for each in self._decoder.settle()]

    def close(self) -> list[Item]:
        """Return what is left."""
        return self._decoder.close()

    def _marked(self, item: Item) -> Item:
        if isinstance(item, Event) and item.is_mount and (message := read_mount(item)) is not None:
            self._on_mount(message)
        if self._until is None or not isinstance(item, Event) or item.time is None:
            return item
        return evolve(item, replayed=True) if item.time <= self._until else item


@define
class _Display:
    """What the session takes for its transport: it steers the reading, and ends the link."""

    _terminal: Terminal
    _hang_up: Callable[[], None]

    def pauseProducing(self) -> None:
        """Take nothing more from the host."""
        self._terminal.pause()

    def resumeProducing(self) -> None:
        """Take what comes again."""
        self._terminal.resume()

    def loseConnection(self) -> None:
        """End the link."""
        self._hang_up()

    def abortConnection(self) -> None:
        """End the link."""
        self._hang_up()


@define(eq=False)
class PostedDelivery:
    """Notices are posted by another session; they have arrived when the display shows them."""

    _answers: Answers
    _is_replaying: Callable[[], bool]
    sends_heartbeats: bool = False  # they go through the host
    is_waiting: bool = False
    _session: Told | None = None
    _under_way: dict[int, None] = field(factory=dict)  # in their order

    @property
    def has_room(self) -> bool:
        """Whether one more notice may be under way."""
        return len(self._under_way) < MOST_ON_THEIR_WAY

    def begin(self, session: Told, transport: Transport) -> None:
        """The session is connected."""
        self._session = session

    def tell(self, notice: Notice) -> None:
        """Have a notice posted. What is in no ledger is not said again about a repeat."""
        if notice.id is not None:
            self._under_way[notice.id] = None
        elif self._is_replaying():
            return
        self._answers.put(notice)

    def arrived(self, ids: Sequence[int]) -> None:
        """The display has shown these."""
        known = [each for each in ids if each in self._under_way]
        for each in known:
            del self._under_way[each]
        if known and self._session is not None:
            self._session.delivered(known)

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Nothing: a display acknowledges none."""

    def take_back(self) -> list[int]:
        """Return what is under way: it is due on another link."""
        ids = list(self._under_way)
        self._under_way.clear()
        return ids

    def look(self) -> None:
        """Nothing: the display shows it by itself."""

    def end(self) -> None:
        """Nothing runs here."""


class DisplaySession:
    """One display of one host, from the distributor's start to its end."""

    def __init__(
        self,
        services: SessionServices,
        *,
        dial: Dial,
        host: Host,
        answers: Answers,
        shown_until: datetime | None,
        began: datetime | None,
        on_mount: Callable[[MountMessage], None],
    ) -> None:
        """Prepare it.

        Events up to `shown_until` may have been shown before; those up to `began`, the host's time
        at the start, may have been recorded by an earlier server. `on_mount` is told of the tape
        messages.
        """
        self.recorded_until: datetime | None = None  # the time of events that need not come again
        self.delivery = PostedDelivery(answers, self._is_replaying)
        self._shown_until = shown_until
        self._reached: datetime | None = None  # the time of events that were handed over
        repeats_until = max(filter(None, (shown_until, began)), default=None)
        decoded = _RepeatsMarked(decoder("ems", plain=False), repeats_until, on_mount)
        self.session = HostSession(
            services,
            peer=DialledPeer(host=host.name, address=dial.endpoint),
            hosts=(host,),
            wire=Wire(decoder=decoded, shows_again=True),
            delivery=self.delivery,
        )
        self.session.on_recorded = self._note_recorded

    def begin(self, terminal: Terminal, hang_up: Callable[[], None]) -> None:
        """The distributor was started."""
        # What is used of a transport; Twisted's method has no types.
        self.session.makeConnection(_Display(terminal, hang_up))  # type: ignore[no-untyped-call]

    def show(self, lines: bytes, before: datetime | None) -> None:
        """Take lines of the display; `before` is the time of the last event before them."""
        self._reached = before
        self.session.dataReceived(lines)
        self._note_recorded()

    def end(self) -> None:
        """The display is gone: an event that is open is shown again by the next one."""
        if self.session.transport is not None:
            self.session.connectionLost(CUT)

    def _note_recorded(self) -> None:
        """What was handed over is recorded, if nothing waits."""
        if self.session.has_recorded_all and self.session.is_live:
            self.recorded_until = self._reached

    def _is_replaying(self) -> bool:
        until = self._shown_until
        return until is not None and (self._reached is None or self._reached <= until)
