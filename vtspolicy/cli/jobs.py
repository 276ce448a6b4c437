"""`vtspolicy jobs` and `vtspolicy job`: what the ledger and the spool know of jobs."""

import json
import shlex
import time
from datetime import datetime
from pathlib import Path

import click

from vtspolicy.cli.options import (
    Exit,
    Number,
    config_option,
    configured,
    give_up,
    json_option,
    print_json,
    reading,
)
from vtspolicy.cli.tables import (
    Column,
    clock,
    duration,
    emit,
    ending,
    instant,
    pairs,
    quoted,
    recent,
    table,
    visible_lines,
)
from vtspolicy.config.model import Configuration
from vtspolicy.jobs import Attempt, Job, JobState, Transition, run_key
from vtspolicy.records import job_page, job_row

LINES = 20
"""Lines of an output that are shown."""

OUTPUT = 64 * 1024
"""Bytes of the output of a running job that are read."""

RUNNING = (JobState.RUNNING, JobState.STOPPING)
"""States in which a run is under way."""

TAPE = 26
"""Characters of a tape's name in a table that has to fit; names of usual length are shorter."""

MOST = 100_000
"""Jobs in the longest list."""

COLUMNS = (
    Column("id", right=True),
    Column("req", right=True),
    Column("state"),
    Column("host", needs=100),
    Column("application", needs=100),
    Column("tape"),
    Column("rule", gives=True, needs=130),
    Column("started", needs=70),
    Column("took", right=True),
    Column("reason", gives=True),
)


@click.command()
@config_option
@json_option
@click.option("--state", type=click.Choice([each.value for each in JobState]), help="Only these.")
@click.option("--host", help="Only those of this host.")
@click.option("--request", type=Number(1), help="Only those of this request.")
@click.option("--tape", help="Only those about this tape or pool, named as in commands.")
@click.option(
    "--limit", type=Number(1, MOST), default=50, show_default=True, help="At most so many."
)
def jobs(
    *,
    config: Path,
    as_json: bool,
    state: str | None,
    host: str | None,
    request: int | None,
    tape: str | None,
    limit: int,
) -> None:
    """List jobs, the newest first. Read from the ledger: no server need run."""
    with reading(configured(config)) as book:
        found = book.jobs(
            state=JobState(state) if state else None,
            host=host,
            request=request,
            tape=tape,
            limit=limit,
        )
    if as_json:
        print_json({"jobs": [job_row(each) for each in found]})
    elif found:
        emit(job_table(found, time.time()))
        if len(found) == limit:
            click.echo(f"the newest {limit} are shown; --limit shows more", err=True)
    else:
        click.echo("no jobs", err=True)


def job_table(jobs: list[Job], now: float) -> str:
    """Return a list of jobs."""
    return table(COLUMNS, ([*_cells(job, now)] for job in jobs))


def _cells(job: Job, now: float) -> tuple[object, ...]:
    until = job.finished if job.finished is not None else now
    took = None
    if job.started is not None and job.state is not JobState.WAITING:
        took = duration(until - job.started)
    return (
        *(job.id, job.request, job.state.value, job.host, job.work.application),
        *(ending(job.tape, TAPE), job.rule, recent(job.started), took, _reason(job, now)),
    )


def _reason(job: Job, now: float) -> str | None:
    if job.state is not JobState.WAITING:
        return job.reason
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
        return job.reason
    return ": ".join(filter(None, (f"not before {recent(begin)}", hours, job.reason)))


@click.command()
@config_option
@json_option
@click.argument("number", type=Number(1), metavar="JOB")
def job(*, config: Path, as_json: bool, number: int) -> None:
    """Show one job: its times, its argument list, its attempts with their output, its history."""
    configuration = configured(config)
    with reading(configuration) as book:
        found = book.job(number)
        if found is None:
            give_up(f"there is no job {number}", Exit.FAILED)
        attempts = book.attempts(number)
        history = book.history(f"job {number}")
    spool = Spooled(configuration)
    argv, as_run = spool.argv(found)
    live = spool.outputs(found) if found.state in RUNNING else {}
    if as_json:
        page = job_page(found, attempts, history)
        print_json({**page, "argv": argv, "argv_as_run": as_run, "live_output": live})
        return
    emit("\n\n".join(_sections(found, attempts, history, argv, as_run=as_run, live=live)))


class Spooled:
    """What lies in the spool about runs."""

    def __init__(self, configuration: Configuration) -> None:
        from vtspolicy.runner.spool import Spool  # noqa: PLC0415 - for this command only

        self._spool = Spool(configuration.spool)
        self._node = configuration.node

    def argv(self, job: Job) -> tuple[list[str], bool]:
        """Return the argument list, and whether it is the one that was run.

        It is made from the rule when the run's folder is not there, not yet or no more, or when
        the list was too long for the journal in it, whose first line has it.
        """
        from vtspolicy.runner.keeper import STATE  # noqa: PLC0415

        key = run_key(job.id, job.attempt)
        try:
            with (self._spool.folder(key) / STATE).open("rb") as journal:
                argv = json.loads(journal.readline(OUTPUT))["argv"]
            if argv[-1] != "...":
                return [str(each) for each in argv], True
        except (OSError, ValueError, LookupError, TypeError):
            pass
        from vtspolicy.rules.expand import ExpansionError, expand  # noqa: PLC0415

        values = {
            "req": str(job.request),
            "job": str(job.id),
            "attempt": str(job.attempt),
            "handle": job.handle,
            "node": self._node,
            "rundir": str(self._spool.folder(key)),
            **job.values,
        }
        try:
            return list(expand(job.work.run, values)), False
        except ExpansionError:
            return list(job.work.run), False

    def outputs(self, job: Job) -> dict[str, str]:
        """Return the end of what the run under way has written, and its verification, by key."""
        key = run_key(job.id, job.attempt)
        try:
            names = sorted(each.name for each in self._spool.root.glob(f"{key}-*"))
        except OSError:
            names = []
        tails = {name: self._spool.tail(name, OUTPUT) for name in (key, *names)}
        return {name: tail for name, tail in tails.items() if tail}


def _sections(
    job: Job,
    attempts: list[Attempt],
    history: list[Transition],
    argv: list[str],
    *,
    as_run: bool,
    live: dict[str, str],
) -> list[str]:
    now = time.time()
    title = f"job {job.id} of request {job.request}: {job.state.value}"
    reason = _reason(job, now)
    about = pairs(
        (
            ("reason", reason),
            ("host", job.host or "(an operator)"),
            ("application", job.work.application),
            ("tape", job.tape),
            ("file", job.path),
            ("then", job.work.then),
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
    sections = [f"{title}\n{about}"]
    if argv:
        name = "arguments" if as_run else "arguments, from the rule"
        sections.append(f"{name}\n  " + " ".join(shlex.quote(each) for each in argv))
    if attempts:
        sections.append(_attempt_table(attempts, now))
    sections += [
        _output(f"output of attempt {each.number}", each.output) for each in attempts if each.output
    ]
    sections += [_output(f"output so far, {key}", tail) for key, tail in live.items()]
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
        Column("started"),
        Column("took", right=True),
        Column("exit", right=True),
        Column("signal", right=True, needs=70),
        Column("became"),
        Column("reason", gives=True),
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


def history_table(history: list[Transition]) -> str:
    """Return what happened, when, why and by whom."""
    columns = (
        Column("when"),
        Column("became"),
        Column("by", gives=True),
        Column("cause", gives=True),
    )
    return table(
        columns,
        ((clock(each.at), each.after, each.actor, each.cause) for each in history),
    )
