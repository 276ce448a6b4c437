"""Times, sizes and reasons in words: the same in a terminal and in a browser."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from vtspolicy.jobs import Job, JobState
from vtspolicy.records import NOTHING, Live
from vtspolicy.rules.hours import LOCAL, next_start

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_DAYS = {"today": 0, "yesterday": 1}

TIMES = "2026-11-22, 2026-11-22T02:14, 02:14, today, yesterday, or 8h for eight hours ago"
"""The forms that `moment_of` reads."""


def moment_of(text: str, now: datetime) -> float | None:
    """Return the moment that a text means, seconds since the epoch; None if it means none.

    A time of the day is the last one: 23:00 in the morning was yesterday.
    """
    text = text.strip()
    if text == "now":
        return now.timestamp()
    if ago := _AGO.fullmatch(text):
        return now.timestamp() - float(ago[1]) * _UNITS[ago[2]]
    try:
        if clock := _CLOCK.fullmatch(text):
            hour, minute, second = (int(each or 0) for each in clock.groups())
            then = _local(now).replace(hour=hour, minute=minute, second=second, microsecond=0)
            if then.timestamp() > now.timestamp():
                then -= timedelta(days=1)
            return then.timestamp()
        if text in _DAYS:
            midnight = _local(now).replace(hour=0, minute=0, second=0, microsecond=0)
            return (midnight - timedelta(days=_DAYS[text])).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _local(now: datetime) -> datetime:
    """Return the local time without its zone: its offset on another day may be another."""
    return now.astimezone().replace(tzinfo=None)


def duration(seconds: float | None) -> str:
    """Return a time span in at most six characters: 0.4s, 35s, 12m05s, 3h20m, 9d04h."""
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for one, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= one:
            return f"{whole // one}{name}{whole % one // part:02}{part_name}"
    return f"{whole // 60}m{whole % 60:02}s" if whole >= 60 else f"{whole}s"


def size(count: int) -> str:
    """Return a number of bytes in three figures: 512, 64K, 1.5M, 20G."""
    value = float(count)
    for unit in ("", "K", "M", "G"):
        if value < 1000:
            return f"{value:.0f}{unit}" if value >= 9.95 or not unit else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}T"


_BEFORE_WORDS = re.compile(r"(?:.*?)exit code -?\d+[^:]*: ")
"""What of a reason is ours, before the application's own words."""


def words_first(reason: str | None) -> str | None:
    """Return a reason with the application's own words first: what is cut is at the end."""
    before = _BEFORE_WORDS.match(reason or "")
    if reason is None or before is None:
        return reason
    return f"{reason[before.end() :]} ({before[0].removesuffix(': ')})"


def reason_of(
    job: Job, now: float, live: Live = NOTHING, *, at: Callable[[float], str]
) -> str | None:
    """Return why a job ended so, or why it waits; of one that runs how far it is.

    `at` writes a time.
    """
    if job.state is not JobState.WAITING:
        far = progress(live)
        return ", ".join(filter(None, (far, job.reason))) or None
    begin, hours = job.due, None
    if job.work.between is not None:
        # The ledger knows the hours, and only the queue when they begin.
        soonest = datetime.fromtimestamp(max(now, job.due), LOCAL)
        start = next_start(job.work.between, job.work.calendar, soonest)
        if start is None:
            return f"its hours never come: {job.work.between}"
        if start > soonest:
            begin, hours = start.timestamp(), f"its hours are {job.work.between}"
    if begin <= now:
        return ": ".join(filter(None, (_waits(job, live), job.reason))) or None
    return ": ".join(filter(None, (f"not before {at(begin)}", hours, job.reason)))


def _waits(job: Job, live: Live) -> str | None:
    """Return what a job waits for, and its place in that line."""
    place = f"place {live.place} of {live.of} " if live.place and live.of else ""
    match live.waits_for:
        case "lock":
            holder = f"behind job {live.behind}" if live.behind is not None else "waits"
            return f"{holder}, {place}for lock {job.lock}"
        case "seat":
            return f"{place}for a seat of {job.work.application}"
        case "drain":
            return "the server is draining"
        case "time":
            return "its time has not come"
    return None


def progress(live: Live) -> str | None:
    """Return the progress of a job: `45 %, 1.2G`; None if it is not known."""
    percent = f"{live.pct} %" if live.pct is not None else None
    done = size(live.bytes) if live.bytes is not None else None
    return ", ".join(filter(None, (percent, done))) or None
