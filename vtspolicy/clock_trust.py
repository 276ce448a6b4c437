"""Whether the wall clock can be trusted: it is compared with CLOCK_BOOTTIME, which is never set.

What time alone makes irreversible (retention, expiry, the cleanup) asks `ClockTrust.check` before
each act, and reckons with `ClockTrust.time`. NTP that slews changes both clocks alike on Linux, and
CLOCK_BOOTTIME counts while the machine sleeps: only a clock that is set makes a difference.
"""

from collections.abc import Callable

from attrs import define, evolve, field, frozen

STEP = 60.0
"""Seconds by which the clock may be set within a day and still be believed."""

STEADY = 86400.0
"""Seconds without such a step after which a clock is believed again."""

IDLE = 86400.0
"""Seconds by which the clock may be ahead of the ledger when the machine was restarted."""

FINE = 0.1
"""Seconds by which the clock must have been set for the ledger to keep what it shows now."""

HOUR = 3600.0
_HOURS = round(STEADY / HOUR)  # that are remembered, and the current one

_APART = 0.5  # seconds between two readings of CLOCK_BOOTTIME with the wall clock's between them
_READINGS = 10  # after which they are taken as they are: this process is always halted

REMEMBERED = 100
"""Stretches of doubtful time that are kept at most, the newest."""

Between = tuple[float, float]
"""Two moments, in seconds since the epoch."""

NOT_YET = "the server has not begun to watch it"
"""Why a clock is not believed before `begin`."""


@frozen(kw_only=True)
class Reading:
    """Both clocks, at one moment."""

    wall: float  # seconds since the epoch
    boot: float  # seconds since the machine was started


@frozen(kw_only=True)
class Doubt:
    """Why a clock is not believed."""

    reason: str
    since: float  # seconds since the epoch; moved when the clock is set, so that it stays true
    steady_since: float  # seconds since the machine was started: the last step, or a new start
    last: str | None = None  # what happened to it since then
    told: tuple[Between, ...] = ()  # what times the clock can have shown since each step


@frozen(kw_only=True)
class Doubtful:
    """Times given by a doubted clock: records with such a time may be younger than it says."""

    between: Between
    over: float  # when the clock was trusted again, by that clock, in seconds since the epoch


@frozen(kw_only=True)
class Ceiling:
    """The latest time that is believed after the machine was started, before a day has passed.

    It begins at the ledger's newest entry and advances with CLOCK_BOOTTIME. A server that finds the
    clock a month ahead may have been off for a month, or have a clock that is a month ahead.
    """

    time: float  # seconds since the epoch
    at: float  # seconds since the machine was started, when it was that time


@frozen(kw_only=True)
class Hour:
    """Between what the wall clock was ahead of CLOCK_BOOTTIME in one hour."""

    number: int  # hours since the machine was started
    low: float  # seconds
    high: float


@frozen(kw_only=True)
class ClockRecord:
    """What the ledger keeps, so that the next server continues with it."""

    boot_id: str  # of the start of the machine that all seconds count from
    at: float  # seconds since that start
    ahead: float  # seconds that the wall clock was ahead of CLOCK_BOOTTIME
    hours: tuple[Hour, ...] = ()  # of the last day
    doubt: Doubt | None = None
    ceiling: Ceiling | None = None
    doubtful: tuple[Doubtful, ...] = ()  # while there may be records with such times


@frozen(kw_only=True)
class Change:
    """What a look at the clock has changed: to be kept, and reported if there is a `cause`."""

    record: ClockRecord
    trusted: bool  # from now on
    at: float  # seconds since the epoch, as the wall clock has it
    cause: str | None = None  # a step, or why it is trusted again
    actor: str = "engine"


@define(kw_only=True)
class ClockTrust:
    """One server's opinion of its clock. `begin` it with what the ledger kept."""

    wall: Callable[[], float]  # seconds since the epoch
    boot: Callable[[], float]  # seconds since the machine was started, sleep included
    boot_id: str  # of this start of the machine
    on_change: Callable[[Change], object] = lambda _change: None
    time: float = field(init=False, default=0.0)  # the newest that was believed, for retention
    _begun: bool = field(init=False, default=False)
    _now: Reading = field(init=False, default=Reading(wall=0.0, boot=0.0))
    _ahead: float = field(init=False, default=0.0)
    _kept: float = field(init=False, default=0.0)  # how far ahead the last record has it
    _hours: dict[int, Hour] = field(init=False, factory=dict)
    _doubt: Doubt | None = field(init=False, default=None)
    _ceiling: Ceiling | None = field(init=False, default=None)
    _doubtful: tuple[Doubtful, ...] = field(init=False, default=())

    def begin(self, kept: ClockRecord | None, newest: float | None) -> None:
        """Continue with what the last server kept; `newest` is the time of the newest entry.

        What happened to the clock while no server ran is seen if the machine was not restarted.
        If it was, the day without a step begins again as well.
        """
        now = self._now = self._read()
        self._ahead = self._kept = now.wall - now.boot
        self._begun = True
        if kept is not None:
            self._doubt, self._doubtful = kept.doubt, kept.doubtful
        if kept is not None and kept.boot_id == self.boot_id and kept.at <= now.boot:
            self._ahead = self._kept = kept.ahead
            self._hours = {each.number: each for each in kept.hours}
            self._ceiling = kept.ceiling
        else:
            if self._doubt is not None:
                told = _with(self._doubt.told, now, 0.0)
                self._doubt = evolve(self._doubt, steady_since=now.boot, told=told)
            known = _known(kept, newest)
            if known is not None and now.wall - known > IDLE:
                self._ceiling = Ceiling(time=known, at=now.boot)
            self._tell(None)
        self._look(now)
        if self._doubt is None and newest is not None and newest - now.wall > STEP:
            behind = f"it is {span(newest - now.wall)} behind the ledger's newest entry"
            self._lose(behind, 0.0, 0.0)

    def check(self) -> str | None:
        """Return why the clock cannot be believed now, or None: then `time` is what to reckon with.

        To be asked immediately before each act that cannot be undone.
        """
        if not self._begun:
            return NOT_YET
        self._look(self._read())
        return self.reason

    def restore(self, actor: str, reason: str | None = None) -> bool:
        """Believe the clock as it is now, because a person says so; False if it was believed."""
        self.check()
        if self._doubt is None and self.held_back is None:
            return False
        said = f"{actor} said so"
        self._regain(said if reason is None else f"{said}: {reason}", actor)
        return True

    def spared(self, before: float) -> tuple[Between, ...]:
        """Return the spans of times whose records are not to be removed yet.

        A doubted clock gave these times, perhaps years back. Such records are kept as if they were
        made when the clock was believed again, if that was not `before`.
        """
        return tuple(each.between for each in self._doubtful if each.over > before)

    @property
    def reason(self) -> str | None:
        """Why the clock was not believed when it was last looked at."""
        if not self._begun:
            return NOT_YET
        if self._doubt is None:
            return None
        last = self._doubt.last
        return self._doubt.reason if last is None else f"{self._doubt.reason}, {last} since then"

    @property
    def since(self) -> float | None:
        """When trust was lost, in seconds since the epoch."""
        return None if self._doubt is None else self._doubt.since

    @property
    def held_back(self) -> float | None:
        """Seconds by which `time` is behind a clock that is believed; None if it is not."""
        if self._doubt is not None or self._ceiling is None:
            return None
        back = self._now.wall - self._now.boot - (self._ceiling.time - self._ceiling.at)
        return back if back > 0 else None

    @property
    def until(self) -> float | None:
        """When all of that is over if the clock is not set again, in seconds since the epoch."""
        begins = [self._doubt.steady_since] if self._doubt else []
        begins += [self._ceiling.at] if self._ceiling else []
        if not begins:
            return None
        return self._now.wall + max(max(begins) + STEADY - self._now.boot, 0.0)

    def _read(self) -> Reading:
        """Read both clocks at one moment: a process can be halted between two readings."""
        for _ in range(_READINGS):
            before, wall, after = self.boot(), self.wall(), self.boot()
            if after - before < _APART:
                break
        return Reading(wall=wall, boot=after)

    def _look(self, now: Reading) -> None:
        ahead = now.wall - now.boot
        step, passed = ahead - self._ahead, now.boot - self._now.boot
        self._now = now
        lowest, highest = self._remember(now.boot, ahead)
        self._ahead = ahead
        if highest - lowest > STEP:
            self._lose(_told(step, highest - lowest), step, passed)
        elif self._doubt is not None and now.boot - self._doubt.steady_since >= STEADY:
            self._regain("it has not been set for a day", "engine")
        elif self._ceiling is not None and now.boot - self._ceiling.at >= STEADY:
            self._ceiling = None
            self._tell(None)
        elif abs(ahead - self._kept) > FINE:
            self._tell(None)
        if self._doubt is None:
            self.time = min(now.wall, self._explained(now))

    def _explained(self, now: Reading) -> float:
        if self._ceiling is None:
            return now.wall
        return self._ceiling.time + now.boot - self._ceiling.at

    def _remember(self, boot: float, ahead: float) -> tuple[float, float]:
        """Note how far ahead it is, and was until now; return the extremes of the last day."""
        number = int(boot // HOUR)
        self._hours = {n: hour for n, hour in self._hours.items() if n >= number - _HOURS}
        known = self._hours.get(number)
        seen = [ahead, self._ahead, *((known.low, known.high) if known is not None else ())]
        self._hours[number] = Hour(number=number, low=min(seen), high=max(seen))
        hours = self._hours.values()
        return min(hour.low for hour in hours), max(hour.high for hour in hours)

    def _lose(self, cause: str, step: float, passed: float) -> None:
        """Believe it no more; so many seconds have passed since the last look, before the step."""
        self._hours.clear()
        self._remember(self._now.boot, self._ahead)
        if self._doubt is None:
            since, steady_since = self._now.wall, self._now.boot
            told = _with((), self._now, passed)
            self._doubt = Doubt(reason=cause, since=since, steady_since=steady_since, told=told)
        else:
            self._doubt = evolve(
                self._doubt,
                since=self._doubt.since + step,
                steady_since=self._now.boot,
                last=cause.removeprefix("it was "),
                told=_with(self._doubt.told, self._now, passed),
            )
        self._tell(cause)

    def _regain(self, cause: str, actor: str) -> None:
        told = self._doubt.told if self._doubt is not None else ()
        fresh = tuple(Doubtful(between=each, over=self._now.wall) for each in told)
        self._doubtful = (*self._doubtful, *fresh)[-REMEMBERED:]
        self._doubt = self._ceiling = None
        self._hours.clear()
        self._remember(self._now.boot, self._ahead)
        self.time = self._now.wall
        self._tell(cause, actor)

    def _tell(self, cause: str | None, actor: str = "engine") -> None:
        self._kept = self._ahead
        record = ClockRecord(
            boot_id=self.boot_id,
            at=self._now.boot,
            ahead=self._ahead,
            hours=tuple(self._hours.values()),
            doubt=self._doubt,
            ceiling=self._ceiling,
            doubtful=self._doubtful,
        )
        trusted = self._doubt is None
        self.on_change(
            Change(record=record, trusted=trusted, at=self._now.wall, cause=cause, actor=actor)
        )


def _with(told: tuple[Between, ...], now: Reading, passed: float) -> tuple[Between, ...]:
    """Return the times that a clock can have given, including those it can give after a step.

    The step was since the last look, or a minute earlier if a server was killed meanwhile. The
    clock is trusted again after a day in which it is not set.
    """
    first, last = now.wall - passed - STEP, now.wall + STEADY
    if any(earliest <= first and last <= latest for earliest, latest in told):
        return told
    return (*told, (first, last + HOUR))[-REMEMBERED:]


def _known(kept: ClockRecord | None, newest: float | None) -> float | None:
    """Return the latest time that is known to have been.

    This is the ledger's newest entry, unless it was made by a clock that was held back.
    """
    if kept is None or kept.ceiling is None or newest is None:
        return newest
    return min(newest, kept.ceiling.time + kept.at - kept.ceiling.at)


def _told(step: float, within: float) -> str:
    if abs(step) <= STEP:
        return f"it was set several times within a day, by {span(within)} in all"
    return f"it was set {'forward' if step > 0 else 'back'} by {span(abs(step))}"


def span(seconds: float) -> str:
    """Return a time span in words: 75 s, 3.5 hours, 200 days."""
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size, 1):g} {name}"
    return f"{seconds:.0f} s"
