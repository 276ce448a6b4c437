"""The progress of a job: readings of its output, as numbers."""

from collections.abc import Iterable, Mapping

from vtspolicy.rules.outputs import read_output
from vtspolicy.rules.time_limit import SlowPatternError
from vtspolicy.rules.work import Reading

PERCENT = "percent"
"""The reading that is the share done, from 0 to 100."""

BYTES = "bytes"
"""The reading that is how many bytes are done."""

SECONDS = 0.1
"""Seconds of processor time that it may take to find out: a list asks for each job that runs."""


def progress_readings(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Return those of a job's readings that are its progress."""
    return tuple(each for each in readings if each.name in {PERCENT, BYTES})


def read_progress(readings: tuple[Reading, ...], output: str) -> dict[str, str]:
    """Return what an output says about how far a job is; nothing, where that takes too long."""
    try:
        return read_output(readings, output, seconds=SECONDS)
    except SlowPatternError:
        return {}


def percent_of(readings: Mapping[str, str]) -> int | None:
    """Return the share done, from 0 to 100; None if the readings do not have it."""
    try:
        return max(0, min(100, int(float(readings[PERCENT]))))
    except (KeyError, ValueError, OverflowError):
        return None


def bytes_of(readings: Mapping[str, str]) -> int | None:
    """Return how many bytes are done, written plainly or with commas; None if not known."""
    try:
        count = int(float(readings[BYTES].replace(",", "")))
    except (KeyError, ValueError, OverflowError):
        return None
    return count if count >= 0 else None
