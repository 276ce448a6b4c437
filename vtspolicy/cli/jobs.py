"""`vtspolicy jobs` and `vtspolicy job`: what the ledger and the spool know of jobs."""

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from vtspolicy.cli import filters
from vtspolicy.cli.job_table import history_table, job_table
from vtspolicy.cli.options import (
    Number,
    config_option,
    give_up,
    json_option,
    places,
    print_json,
    reading,
)
from vtspolicy.cli.spooled import Spooled
from vtspolicy.cli.tables import (
    Column,
    clock,
    emit,
    instant,
    pairs,
    quoted,
    recent,
    table,
    visible_lines,
    zone,
)
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.jobs import Attempt, Job, JobState, Transition
from vtspolicy.readable import duration, reason_of
from vtspolicy.records import NOTHING, Live, job_page, job_row, typed

if TYPE_CHECKING:
    from vtspolicy.ledger import Transaction

LINES = 20
"""Lines of an output that are shown."""

ASKED = 500
"""Live jobs about which a server is asked at once."""

TIMEOUT = 5.0
"""Seconds that its answer may take; the list does not need it."""

RUNNING = (JobState.RUNNING, JobState.STOPPING)
"""States in which a run is under way."""


@click.command()
@config_option
@json_option
@filters.options(
    filters.states([each.value for each in JobState]),
    filters.HOST,
    click.option("--request", type=Number(1), help="Only those of this request."),
    filters.REF,
    filters.TAPE,
    filters.RULE,
    filters.APPLICATION,
    filters.SINCE,
    filters.UNTIL,
)
@click.option(
    "--limit", type=Number(1, filters.MOST), default=50, show_default=True, help="At most so many."
)
def jobs(*, config: Path, as_json: bool, state: tuple[str, ...], limit: int, **given: Any) -> None:
    """List jobs, the newest first. Read from the ledger: no server need run.

    A running server adds why jobs wait, their places, and how far those are that run.
    """
    configuration = places(config)
    with reading(configuration) as tx:
        found = tx.jobs.find(state=[JobState(each) for each in state], limit=limit, **given)
    if not found:
        filters.refuse_unknown(configuration, given)
    known = live_of(configuration, found)
    if as_json:
        print_json({"jobs": [job_row(each, known.get(each.id, NOTHING)) for each in found]})
    elif found:
        emit(job_table(found, time.time(), known))
        if len(found) == limit:
            click.echo(f"the newest {limit} are shown; --limit shows more", err=True)
    else:
        click.echo("no jobs", err=True)


def live_of(configuration: Configuration, jobs: Sequence[Job]) -> Mapping[int, Live]:
    """Return what a running server knows of live jobs; without one, what is in the spool."""
    numbers = [job.id for job in jobs if job.state.is_live][:ASKED]
    if not numbers:
        return {}
    client = Client(spool=configuration.spool, timeout=TIMEOUT)
    try:
        told = client.get("live", jobs=",".join(map(str, numbers)))["live"]
        return {int(number): typed(each, Live) for number, each in told.items()}
    except (Unreachable, Refusal, ValueError, LookupError, TypeError, AttributeError):
        spool = Spooled(configuration)
        return {job.id: spool.far(job) for job in jobs[:ASKED] if job.state in RUNNING}


@click.command()
@config_option
@json_option
@click.option("--follow", is_flag=True, help="Show what it does until it ends; see below.")
@click.argument("number", type=Number(1), metavar="JOB")
def job(*, config: Path, as_json: bool, follow: bool, number: int) -> None:
    """Show one job: its times, its argument list, its attempts with their output, its history.

    With --follow each step of it, how far it is and what its application writes are shown as they
    come, and the exit code is that of its end: 0 completed, 3 with warnings, 1 in any other way.
    """
    configuration = places(config)
    if follow:
        from vtspolicy.cli.following import follow_job  # noqa: PLC0415 - for this option only

        raise SystemExit(follow_job(configuration, number, live_of, as_json=as_json))
    with reading(configuration) as tx:
        found = tx.jobs.get(number)
        if found is None:
            give_up(f"there is no job {number}", Exit.FAILED)
        attempts = tx.attempts.of_job(number)
        history = tx.history.about(f"job {number}")
        again = Again.of(tx, found)
    spool = Spooled(configuration)
    argv, as_run = spool.argv(found)
    output = spool.outputs(found) if found.state in RUNNING else {}
    known = live_of(configuration, [found]).get(number, NOTHING)
    if as_json:
        page = job_page(found, attempts, history, known)
        print_json(
            {
                **page,
                "asked_by": again.asked_by,
                "repeated_by": list(again.repeated_by),
                "argv": argv,
                "argv_as_run": as_run,
                "live_output": output,
            }
        )
        return
    shown = _sections(attempts, history, argv, as_run=as_run, output=output)
    emit("\n\n".join([_about(found, again, known), *shown]))


@frozen(kw_only=True)
class Again:
    """What of a job was asked for again, and by whom."""

    asked_by: str | None  # who asked for this job: "host NSK1", "operator alice"
    repeated_by: tuple[int, ...]  # the jobs that run it again

    @classmethod
    def of(cls, tx: "Transaction", job: Job) -> "Again":
        """Return what the ledger knows of a job."""
        lines = tx.history.about(f"request {job.request}")
        return cls(
            asked_by=lines[0].actor if lines else None, repeated_by=tuple(tx.jobs.repeats(job.id))
        )


def _about(job: Job, again: Again, live: Live) -> str:
    title = f"job {job.id} of request {job.request}: {job.state.value}"
    repeats = f"job {job.repeats}, asked for by {again.asked_by}" if job.repeats else None
    about = pairs(
        (
            ("reason", reason_of(job, time.time(), live, at=recent)),
            ("repeats", repeats),
            ("repeated by", ", ".join(f"job {each}" for each in again.repeated_by) or None),
            ("host", job.host),
            ("reference", job.ref),
            ("asked by", again.asked_by if not job.repeats else None),
            ("application", job.work.application),
            ("tape", job.tape),
            ("file", job.path),
            ("on success", job.work.then),
            ("rule", job.rule),
            ("lock", job.lock),
            ("priority", job.priority or None),
            ("handle", job.handle),
            ("created", instant(job.created)),
            ("started", instant(job.started)),
            ("finished", instant(job.finished)),
            ("exit code", job.code),
        )
    )
    return f"{title}\n{about}"


def _sections(
    attempts: list[Attempt],
    history: list[Transition],
    argv: list[str],
    *,
    as_run: bool,
    output: dict[str, str],
) -> list[str]:
    now = time.time()
    sections = []
    if argv:
        name = "arguments" if as_run else "arguments, from the rule"
        sections.append(f"{name}\n  " + " ".join(shlex.quote(each) for each in argv))
    if attempts:
        sections.append(_attempt_table(attempts, now))
    sections += [
        _output(f"output of attempt {each.number}", each.output) for each in attempts if each.output
    ]
    sections += [_output(f"output so far, {key}", tail) for key, tail in output.items()]
    if history:
        sections.append(history_table(history))
    return sections


def _output(title: str, output: str) -> str:
    lines = visible_lines(output)
    kept = lines[-LINES:]
    if len(kept) < len(lines):
        title = f"{title}, its last {LINES} lines"
    return "\n".join([title, *quoted(kept)])


def _attempt_table(attempts: list[Attempt], now: float) -> str:
    columns = (
        Column("attempt", right=True),
        Column(f"started {zone(now)}"),
        Column("took", right=True),
        Column("exit", right=True),
        Column("signal", right=True, needs=70),
        Column("became"),
        Column("reason", wraps=True),
    )
    return table(
        columns,
        (
            (
                each.number,
                clock(each.started),
                duration((each.finished or now) - each.started),
                each.code,
                each.signal,
                each.state.value if each.state is not None else "running",
                each.reason or each.kind,
            )
            for each in attempts
        ),
    )
