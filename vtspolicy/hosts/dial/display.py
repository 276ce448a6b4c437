"""The display session: the distributor's start, its lines, and how it is known that it runs."""

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from vtspolicy.events.decoder import Decoder, decoder
from vtspolicy.events.event import Event, Item
from vtspolicy.hosts.dial.terminal import LinkError
from vtspolicy.links.distributor import Display
from vtspolicy.links.life import Cause

STARTING = 2.0
"""Seconds without a prompt behind the start line after which the distributor counts as running."""

QUIET = 1.0
"""Seconds in which nothing comes behind what looks like a prompt, until it is taken for one."""

AHEAD = timedelta(minutes=10)
"""How far an event's time may lie before the host's own clock: the text of an event can hold what
looks like a header, and a time of its own choice must not decide where the next display begins."""


def _passing_all() -> Decoder:
    return decoder("ems", plain=False, only_candidates=False)


@define(kw_only=True)
class DisplayReader:
    """Reads what comes behind the start line."""

    clock: IReactorTime
    display: Display
    settle: float  # seconds after which an event without continuation is complete
    host_time: datetime | None  # what the host's clock was at `since`
    since: float
    show: Callable[[bytes, datetime | None], None]  # takes lines, and the time before them
    started: Callable[[], None]
    failed: Callable[[LinkError], None]
    own: Callable[[str], None]  # takes each of our notices that is shown
    wants_own: Callable[[], bool]  # whether any of them is looked for
    last: datetime | None = None  # the time of the last event, as far as it can be believed
    _decoder: Decoder = field(factory=_passing_all)
    _timers: dict[str, IDelayedCall] = field(factory=dict)
    _is_over: bool = False

    def begin(self) -> None:
        """The line was typed."""
        self._arm("starting", STARTING)

    def take(self, data: bytes) -> None:
        """Take what the host shows."""
        if self._is_over:
            return
        lines = self.display.take(data)
        self._arm("quiet", QUIET)
        if not lines:
            return
        if "starting" in self._timers:
            self._cancel("starting")
            self.started()
        before = self.last
        self._note_time()
        self._look_for_own(lines)
        self.show(lines, before)

    @property
    def host_now(self) -> datetime | None:
        """What the host's clock shows now; None if it does not tell."""
        if self.host_time is None:
            return None
        return self.host_time + timedelta(seconds=max(self.clock.seconds() - self.since, 0))

    def _note_time(self) -> None:
        shown = self.display.last
        if shown is None:
            return
        if self.host_now is not None and shown > self.host_now + AHEAD:
            return
        self.last = shown

    def _look_for_own(self, lines: bytes) -> None:
        """Look for our own notices, as long as any is expected: the rest costs nothing."""
        if not self._decoder.pending and not (self.wants_own() and b"VTSPolicy" in lines):
            return
        self._tell(self._decoder.feed(lines))
        if self._decoder.pending:
            self._arm("own", self.settle)

    def _tell(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Event) and item.is_own_notice:
                self.own(item.command)

    def end(self) -> None:
        """Nothing more is read."""
        self._is_over = True
        for name in list(self._timers):
            self._cancel(name)

    def _arm(self, name: str, seconds: float) -> None:
        timer = self._timers.get(name)
        if timer is not None and timer.active():
            timer.reset(seconds)
        else:
            self._timers[name] = self.clock.callLater(seconds, self._ring, name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name)
        if timer.active():
            timer.cancel()

    def _ring(self, name: str) -> None:
        del self._timers[name]
        if name == "own":
            self._tell(self._decoder.settle())
            return
        wrong = self.display.quiet()
        if wrong is not None:
            self.end()
            self.failed(LinkError(Cause.NO_DISPLAY, wrong.error))
        elif name == "starting":
            self.started()
