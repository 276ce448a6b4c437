"""Jobs and their history as tables for a terminal."""

import time
from collections.abc import Iterable, Mapping, Sequence

from vtspolicy.cli.tables import (
    MANY,
    UNBOUNDED,
    Column,
    clock,
    dated,
    ending,
    fits,
    recent,
    table,
    width,
    zone,
)
from vtspolicy.jobs import Job, JobState, Transition
from vtspolicy.readable import duration, reason_of, words_first
from vtspolicy.records import NOTHING, Live

TAPE = ((140, 26), (100, 20), (0, 13))
"""Characters of a tape's name in a table that is wider than the terminal, by its columns."""

ROOMY = 120
"""Columns from which on the application has its whole heading."""


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
    reason = reason_of(job, now, live, at=recent)
    if reason is not None and width() < UNBOUNDED:
        # The tape has a column of its own.
        reason = words_first(reason.removeprefix(f"{job.tape}: "))
    return (
        *(job.id, job.request, job.state.value, job.host, ending(job.ref, 14)),
        *(job.work.application, ending(job.tape, most), job.rule, dated(job.started, now), took),
        reason,
    )


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
