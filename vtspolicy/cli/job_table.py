"""Jobs and their history as tables for a terminal."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from vtspolicy.cli.tables import (
    MANY,
    UNBOUNDED,
    Column,
    clock,
    dated,
    duration,
    ending,
    fits,
    recent,
    size,
    table,
    width,
    zone,
)
from vtspolicy.jobs import Job, JobState, Transition
from vtspolicy.records import NOTHING, Live

TAPE = ((140, 26), (100, 20), (0, 13))
"""Characters of a tape's name in a table that is wider than the terminal, by its columns."""

ROOMY = 120
"""Columns from which on the application has its whole heading."""

_BEFORE_WORDS = re.compile(r"(?:.*?)exit code -?\d+[^:]*: ")
"""What of a reason is ours, before the application's own words."""


def job_table(
    jobs: Sequence[Job], now: float | None = None, live: Mapping[int, Live] | None = None
) -> str:
    """Return a list of jobs; `live` is what a running server knows of them."""
    at = time.time() if now is None else now
    known = live or {}
    columns = (
        Column("id", right=True),
        Column("req", right=True, needs=100),
        Column("state"),
        Column("host", needs=120),
        Column("ref", needs=70),
        Column("application" if width() >= ROOMY else "app", gives=True, needs=80),
        Column("tape"),
        Column("rule", gives=True, needs=160),
        Column(f"started {zone(at)}", needs=60),
        Column("took", right=True, needs=90),
        Column("reason", gives=True),
    )
    most = next(most for columns_there, most in TAPE if width() >= columns_there)

    def rows(most: int) -> list[tuple[object, ...]]:
        return [_cells(job, at, known.get(job.id, NOTHING), most) for job in jobs]

    whole = rows(UNBOUNDED) if len(jobs) <= MANY else None
    return table(columns, whole if whole and fits(columns, whole) else rows(most))


def _cells(job: Job, now: float, live: Live, most: int) -> tuple[object, ...]:
    until = job.finished if job.finished is not None else now
    took = None
    if job.started is not None and job.state is not JobState.WAITING:
        took = duration(until - job.started)
    reason = reason_of(job, now, live)
    if reason is not None and width() < UNBOUNDED:
        # The tape has a column of its own.
        reason = words_first(reason.removeprefix(f"{job.tape}: "))
    return (
        *(job.id, job.request, job.state.value, job.host, ending(job.ref, 14)),
        *(job.work.application, ending(job.tape, most), job.rule, dated(job.started, now), took),
        reason,
    )


def words_first(reason: str | None) -> str | None:
    """Return a reason with the application's own words first: what is cut is at the end."""
    before = _BEFORE_WORDS.match(reason or "")
    if reason is None or before is None:
        return reason
    return f"{reason[before.end() :]} ({before[0].removesuffix(': ')})"


def reason_of(job: Job, now: float, live: Live = NOTHING) -> str | None:
    """Return why a job ended so, or why it waits; of one that runs how far it is."""
    if job.state is not JobState.WAITING:
        far = progress(live)
        return ", ".join(filter(None, (far, job.reason))) or None
    begin, hours = job.due, None
    if job.work.between is not None:
        # The ledger knows the hours, and only the queue when they begin.
        from vtspolicy.rules.hours import LOCAL, next_start  # noqa: PLC0415 - only where needed

        soonest = datetime.fromtimestamp(max(now, job.due), LOCAL)
        start = next_start(job.work.between, job.work.calendar, soonest)
        if start is None:
            return f"its hours never come: {job.work.between}"
        if start > soonest:
            begin, hours = start.timestamp(), f"its hours are {job.work.between}"
    if begin <= now:
        return ": ".join(filter(None, (_waits(job, live), job.reason))) or None
    return ": ".join(filter(None, (f"not before {recent(begin)}", hours, job.reason)))


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


def history_table(history: Iterable[Transition]) -> str:
    """Return what happened, when, why and by whom."""
    columns = (
        Column("when"),
        Column("became"),
        Column("by", gives=True),
        Column("cause", wraps=True),
    )
    return table(
        columns,
        ((clock(each.at), each.after, each.actor, each.cause) for each in history),
    )
