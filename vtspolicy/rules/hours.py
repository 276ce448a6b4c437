"""Hours in which jobs may start: `Mon-Fri !holidays 20:00-06:00`, and when the next ones begin.

A window belongs to the day on which it begins, so that `Fri 20:00-06:00` ends on Saturday. All is
wall-clock time; where the clock is set forward or back a window begins and ends at what the clock
on the wall shows, at the first showing of its begin and the last of its end.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from attrs import frozen

from vtspolicy.suggest import did_you_mean

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SEPARATOR = ";"
"""Between several windows in one text; in a rules table they are a list."""

LOOK_AHEAD = 5 * 366
"""Days that are searched for the next window; only named days can lie so far apart."""

Calendar = Mapping[str, tuple[str, ...]]
"""Named days: `holidays` -> ("2026-12-25", ...)."""


class HoursError(ValueError):
    """Hours that cannot be read."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message  # what was found
        self.remedy = remedy  # what is allowed


class MachineZone(tzinfo):
    """The time zone of this machine, with its changes: what `datetime.astimezone` gives has none.

    That is an offset, the one that holds at the time asked for; a night on which the clock is
    changed has two.
    """

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return what the machine's clock is ahead of UTC when it shows this time.

        Of a time that the clock leaves out, it is what held before, as zoneinfo has it. What
        `astimezone` gives for one differs from Python 3.12 on.
        """
        if moment is None:
            return None
        shown = moment.replace(tzinfo=None, microsecond=0)
        return timedelta(seconds=shown.replace(tzinfo=UTC).timestamp() - shown.timestamp())

    def tzname(self, moment: datetime | None) -> str | None:
        """Return what the machine calls its time then."""
        if moment is None:
            return None
        return moment.replace(tzinfo=None).astimezone().tzname()

    def dst(self, _moment: datetime | None) -> None:
        """It is not known which part of the offset is summer time's."""

    def fromutc(self, moment: datetime) -> datetime:
        """Return what the machine's clock shows at a time of UTC."""
        seconds = moment.replace(tzinfo=UTC).timestamp()
        return datetime.fromtimestamp(seconds).replace(tzinfo=self)  # noqa: DTZ006 - this machine's


LOCAL = MachineZone()
"""For `next_start`: `datetime.fromtimestamp(seconds, LOCAL)` knows that the clock is changed."""


@frozen(kw_only=True)
class Window:
    """One stretch of time that may come every day."""

    weekdays: frozenset[int]  # 0 is Monday
    named: frozenset[str] = frozenset()  # only on days of one of these names
    excluded: frozenset[str] = frozenset()  # not on days of any of these names
    begin: time = time(0)  # on that day
    end: time | None = None  # None is midnight after that day; before `begin`: the next day

    @property
    def days(self) -> int:
        """How many days after its own the window ends."""
        return 1 if self.end is None or self.end < self.begin else 0


_TIME = r"([01]?[0-9]|2[0-4]):([0-5][0-9])"
_SPAN = re.compile(rf"{_TIME}-{_TIME}", re.ASCII)
_DAY_RANGE = re.compile(r"([A-Za-z]{3})-([A-Za-z]{3})", re.ASCII)
_FORM = 'as in "20:00-06:00", "Mon-Fri 20:00-06:00" or "!holidays 20:00-06:00"'


@lru_cache(maxsize=256)
def parse_hours(written: str) -> tuple[Window, ...]:
    """Return the windows of a text; raises HoursError."""
    return tuple(_window(part) for part in written.split(SEPARATOR))


def named_days(written: str) -> frozenset[str]:
    """Return the names of days that a text refers to; raises HoursError."""
    windows = parse_hours(written)
    return frozenset().union(*(window.named | window.excluded for window in windows))


def _window(written: str) -> Window:
    words = re.split(r"[\s,]+", written.strip())
    weekdays: set[int] = set()
    named: set[str] = set()
    excluded: set[str] = set()
    span: tuple[time, time | None] | None = None
    for word in words:
        if not word:
            raise HoursError("no hours are given", _FORM)
        if span is not None:
            raise HoursError(f'"{word}" is after the hours', "the days come first, " + _FORM)
        if ":" in word:
            span = _span(word)
        elif word.startswith("!"):
            excluded.add(_day_name(word[1:]))
        elif word in DAYS or _DAY_RANGE.fullmatch(word):
            weekdays.update(_weekdays(word))
        elif word.lower() in {day.lower() for day in DAYS}:
            raise HoursError(f'"{word}" is not a day', did_you_mean(word, DAYS))
        else:
            named.add(_day_name(word))
    begin, end = span or (time(0), None)
    return Window(
        weekdays=frozenset(weekdays or range(7)),
        named=frozenset(named),
        excluded=frozenset(excluded),
        begin=begin,
        end=end,
    )


def _span(word: str) -> tuple[time, time | None]:
    match = _SPAN.fullmatch(word)
    if match is None:
        raise HoursError(f'"{word}" are not hours', _FORM)
    first, last = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    if first[0] == 24 or last > (24, 0):
        raise HoursError(f'"{word}" are not hours', "a day has the hours 00:00 to 24:00")
    if first == last:
        raise HoursError(f'"{word}" begins when it ends', 'the whole day is "00:00-24:00"')
    return time(*first), None if last == (24, 0) else time(*last)


def _weekdays(word: str) -> Iterator[int]:
    first, _, last = word.partition("-")
    for name in (first, last or first):
        if name not in DAYS:
            raise HoursError(f'"{name}" is not a day', did_you_mean(name, DAYS) or ", ".join(DAYS))
    day = DAYS.index(first)
    yield day
    while day != DAYS.index(last or first):
        day = (day + 1) % 7
        yield day


def _day_name(word: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", word, re.ASCII):
        raise HoursError(f'"{word}" is neither a day, nor hours, nor a name of days', _FORM)
    return word


def shown_start(between: str | None, calendar: Calendar, at: datetime) -> datetime | None:
    """Return what `next_start` does, by what this machine's clock shows: without a zone.

    So every command that asks for a time of day gets the server's answer, also in a night on
    which the clock is changed.
    """
    there = at.replace(tzinfo=LOCAL) if at.tzinfo is None else at.astimezone(LOCAL)
    begin = next_start(between, calendar, there)
    return None if begin is None else begin.replace(tzinfo=None)


def next_start(between: str | None, calendar: Calendar, at: datetime) -> datetime | None:
    """Return `at` if a job may start then, else the begin of the next window.

    `at` is local time: aware, in the time zone whose hours count, or naive. None means that no
    window comes within five years, because all its named days are over. Raises HoursError.
    """
    if between is None:
        return at
    windows = parse_hours(between)
    instant = _instant(at)
    best: datetime | None = None
    for offset in range(-2, LOOK_AHEAD):
        day = at.date() + timedelta(days=offset)
        for window in windows:
            if not _falls_on(window, day, calendar):
                continue
            begin, end = _bounds(window, day, at)
            if begin <= instant < end:
                return at
            if begin > instant and (best is None or begin < best):
                best = begin
        if best is not None and offset > 1:
            break
    if best is None:
        return None
    return best if at.tzinfo is None else best.astimezone(at.tzinfo)


def _falls_on(window: Window, day: date, calendar: Calendar) -> bool:
    if day.weekday() not in window.weekdays:
        return False
    written = day.isoformat()
    if any(written in calendar.get(name, ()) for name in window.excluded):
        return False
    return not window.named or any(written in calendar.get(name, ()) for name in window.named)


def _instant(at: datetime) -> datetime:
    return at if at.tzinfo is None else at.astimezone(UTC)


def _bounds(window: Window, day: date, at: datetime) -> tuple[datetime, datetime]:
    """Begin and end of a window as instants (naive ones for naive local time)."""
    begin = datetime.combine(day, window.begin, tzinfo=at.tzinfo)
    last = day + timedelta(days=window.days)
    end = datetime.combine(last, window.end or time(0), tzinfo=at.tzinfo)
    if at.tzinfo is None:
        return begin, end
    # A time shown twice ends the window when it is shown last; a time never shown begins it late.
    return _instant(begin), max(_instant(end), _instant(end.replace(fold=1)))
