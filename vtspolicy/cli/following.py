"""`vtspolicy job --follow`: what a job does until it ends, as it comes."""

import json
import time
from collections.abc import Callable, Mapping, Sequence

import click

from vtspolicy.cli.options import give_up, reading
from vtspolicy.cli.spooled import Spooled
from vtspolicy.cli.tables import clock, emit, recent, visible_lines
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.jobs import Job, JobState, Transition
from vtspolicy.readable import progress, reason_of
from vtspolicy.records import NOTHING, Live, plain
from vtspolicy.visible import visible

LOOK = 1.0
"""Seconds between looks."""

EXITS = {JobState.COMPLETED: Exit.DONE, JobState.WARNING: Exit.WARNINGS}
"""Exit codes of ends; those of all others are FAILED."""

Ask = Callable[[Configuration, Sequence[Job]], Mapping[int, Live]]


def follow_job(configuration: Configuration, number: int, ask: Ask, *, as_json: bool) -> Exit:
    """Print each step of a job until it ends; return the exit code of its end.

    As JSON each step is an object a line.
    """
    shown = _Shown(Spooled(configuration), as_json=as_json)
    while True:
        with reading(configuration) as tx:
            job = tx.jobs.get(number)
            if job is None:
                give_up(f"there is no job {number}", Exit.FAILED)
            history = tx.history.about(f"job {number}")
        live = ask(configuration, [job]).get(number, NOTHING)
        shown.show(job, history, live)
        if not job.state.is_live:
            return EXITS.get(job.state, Exit.FAILED)
        time.sleep(LOOK)


class _Shown:
    """What was shown already."""

    def __init__(self, spool: Spooled, *, as_json: bool) -> None:
        self._spool = spool
        self._as_json = as_json
        self._lines = 0  # of the history
        self._said = ""  # why it waits, or how far it is
        self._ends: dict[str, str] = {}  # what was shown last of each run's output, by key

    def show(self, job: Job, history: Sequence[Transition], live: Live) -> None:
        """Show what is new."""
        for line in history[self._lines :]:
            if self._as_json:
                click.echo(json.dumps(plain(line)))
            else:
                cause = f": {visible(line.cause)}" if line.cause else ""
                emit(f"{clock(line.at)} {line.after} by {visible(line.actor)}{cause}")
        self._lines = len(history)
        outputs = self._spool.outputs(job)
        for key, tail in outputs.items():
            fresh = _fresh(self._ends.get(key, ""), tail)
            self._ends[key] = tail
            for each in visible_lines(fresh) if not self._as_json else ():
                emit(f"  | {each}")
        waiting = job.state is JobState.WAITING
        said = (reason_of(job, time.time(), live, at=recent) if waiting else progress(live)) or ""
        if said and said != self._said and job.state.is_live:
            if self._as_json:
                click.echo(json.dumps({"job": job.id, "state": job.state.value, **plain(live)}))
            else:
                emit(f"{clock(time.time())} {visible(said)}")
        self._said = said


def _fresh(before: str, tail: str) -> str:
    """Return what has come behind the end of an output that was shown before."""
    if not before:
        return tail
    if tail.startswith(before):
        return tail[len(before) :]
    end = before[-256:]
    at = tail.rfind(end)
    return tail[at + len(end) :] if at >= 0 else tail
