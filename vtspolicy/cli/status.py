"""`vtspolicy status`: the running server, or what the ledger knows while there is none."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from vtspolicy.cli.job_table import job_table
from vtspolicy.cli.options import config_option, give_up, json_option, places, print_json, reading
from vtspolicy.cli.tables import Column, clock, emit, pairs, table
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.config.model import Configuration
from vtspolicy.exit_codes import Exit
from vtspolicy.jobs import Job
from vtspolicy.ledger.notices import Pending
from vtspolicy.ledger.transaction import Counts
from vtspolicy.queue.protocol import ApplicationUse, LockUse, SnapshotJob
from vtspolicy.readable import duration, size
from vtspolicy.records import job_row, plain, typed
from vtspolicy.status import ClockStatus, HostStatus, LinkStatus, RefusedReload, Status
from vtspolicy.visible import visible

LIVE = 20
"""Live jobs that are shown while no server runs."""


@click.command()
@config_option
@json_option
@click.option("--check", is_flag=True, help="Exit with 1 if a person is needed; see above.")
def status(*, config: Path, as_json: bool, check: bool) -> None:
    """Show the server: hosts, seats, locks, jobs, notices.

    When no server answers, what the ledger knows is shown, and the exit code is 6.

    With --check only what needs a person is shown, and the exit code is 1 if anything does: the
    server is not ready (it drains, its queue is full, ledger or spool are in trouble), a reload was
    refused, jobs or requests have failed within the last 24 hours and were not run again, notices
    are not taken for an hour, the copy of a tape's last content is lost, a vault has trouble or
    lacks what its acts need, a run cannot be stopped, the clock is not trusted, or the
    configuration has mistakes.
    """
    configuration = places(config)
    try:
        answer = Client(spool=configuration.spool).get("status")
    except (Unreachable, Refusal) as error:
        click.echo(str(error), err=True)
        _without_server(configuration, str(error), as_json=as_json)
        raise SystemExit(Exit.UNREACHABLE) from None
    needs = [str(each) for each in answer.get("needs") or ()]
    if not configuration.whole:
        needs.append("the configuration has mistakes: no server starts with it")
        answer = {**answer, "needs": needs}
    code = Exit.FAILED if check and needs else Exit.DONE
    if as_json:
        print_json(answer)
        raise SystemExit(code)
    if check:
        emit("\n".join(visible(each) for each in needs) or "nothing needs a person")
        raise SystemExit(code)
    try:
        sections = _sections(typed(answer, Status))
    except ValueError:
        message = "the server is of another version, and its state cannot be shown; --json can"
        give_up(message, Exit.FAILED)
    emit("\n\n".join(sections))


def _without_server(configuration: Configuration, error: str, *, as_json: bool) -> None:
    try:
        with reading(configuration) as tx:
            counts = tx.counts()
            live = tx.jobs.live(limit=LIVE)
    except SystemExit:  # the ledger cannot be read either; that has been said
        return
    if as_json:
        jobs = [job_row(job) for job in live]
        print_json({"error": {"message": error}, **plain(counts), "live": jobs})
    else:
        emit("\n\n".join(_offline(counts, live)))


def _offline(counts: Counts, live: Sequence[Job]) -> list[str]:
    now = time.time()
    sections = [_jobs({state.value: count for state, count in counts.jobs.items()})]
    if live:
        sections.append(job_table(list(live), now))
    if counts.pending:
        sections.append(_hosts((), counts.pending, now))
    return sections


def _sections(status: Status) -> list[str]:
    sections = [_heading(status)]
    if status.hosts or status.pending:
        sections.append(_hosts(status.hosts, status.pending, status.at))
    if any(host.link for host in status.hosts):
        sections.append(_links(status.hosts, status.at))
    if status.queue.applications:
        sections.append(_applications(status.queue.applications, status.at))
    if status.queue.locks:
        sections.append(_locks(status.queue.locks, status.at))
    sections.append(_jobs(status.jobs))
    if status.tapes:
        held = f"{size(status.tapes_bytes)} on disk, {size(status.tapes_freed)} freed"
        sections.append(f"tapes: {_counted(status.tapes)}; {held}")
    if status.restores:
        oldest = duration(status.at - (status.restores_since or status.at))
        sections.append(f"mounts that wait for their tape: {status.restores}, oldest {oldest}")
    if status.tape_troubles:
        sections.append("\n".join(visible(each) for each in status.tape_troubles))
    return sections


def _heading(status: Status) -> str:
    state = "ready" if status.ready else f"not ready: {'; '.join(status.reasons)}"
    if status.queue.draining and status.ready:  # else it is among the reasons
        state += ", draining"
    rules = f"{status.rules} rules" if status.rules != 1 else "1 rule"
    about = pairs(
        (
            ("state", state),
            ("trouble", status.trouble),
            ("reload", _refused(status.refused_reload)),
            *_clock(status.clock),
            ("cannot stop", ", ".join(status.unstoppable) or None),
            ("server", f"pid {status.pid}, version {status.version}"),
            ("up", f"{duration(status.at - status.started)}, since {clock(status.started)}"),
            ("rules", f"{rules}, table {status.table}"),
            ("ledger", f"{status.backlog} writes wait" if status.backlog else None),
        )
    )
    return f"{status.node}\n{about}"


def _refused(reload: RefusedReload | None) -> str | None:
    """Return who asked for a reload that was refused, when, and the first problem."""
    if reload is None:
        return None
    more = f" (and {reload.problems - 1} more)" if reload.problems > 1 else ""
    return f"refused {clock(reload.at)}, asked by {reload.by}: {reload.problem}{more}"


def _clock(trust: ClockStatus) -> tuple[tuple[str, str], ...]:
    """Return what waits for the clock, and the way out; nothing when nothing waits."""
    if trust.reason is None:
        return ()
    state = "trusted, but" if trust.trusted else f"not trusted since {clock(trust.since)}:"
    return (
        ("clock", f"{state} {trust.reason}"),
        ("waits for it", ", ".join(trust.waits)),
        ("continues", f"{clock(trust.until)} if it is not set again, or by `{trust.remedy}`"),
    )


def _hosts(hosts: Sequence[HostStatus], pending: Sequence[Pending], at: float) -> str:
    waiting = {each.host: each for each in pending}
    known = {host.name: host for host in hosts}
    columns = (
        Column("host", gives=True),
        Column("connections", right=True),
        Column("last event"),
        Column("notices pending", right=True),
        Column("oldest", right=True, needs=60),
    )

    def row(name: str) -> tuple[object, ...]:
        host, notices = known.get(name), waiting.get(name)
        return (
            name,
            host.connections if host else None,
            f"{duration(at - host.last_event)} ago" if host and host.last_event else None,
            notices.count if notices else 0,
            duration(at - notices.oldest) if notices else None,
        )

    return table(columns, (row(name) for name in dict.fromkeys([*known, *waiting])))


def _links(hosts: Sequence[HostStatus], at: float) -> str:
    columns = (
        Column("link to", gives=True),
        Column("state"),
        Column("for", right=True),
        Column("again in", right=True, needs=70),
        Column("lost because", gives=True),
    )

    def row(name: str, link: LinkStatus) -> tuple[object, ...]:
        return (
            name,
            link.state,
            duration(at - link.since),
            duration(max(link.due - at, 0)) if link.due is not None else None,
            link.error or None,
        )

    return table(columns, (row(host.name, host.link) for host in hosts if host.link))


def _applications(applications: Sequence[ApplicationUse], at: float) -> str:
    columns = (
        Column("application", gives=True),
        Column("seats", right=True),
        Column("waiting", right=True),
        Column("running jobs", gives=True),
        Column("next", gives=True),
    )
    return table(
        columns,
        (
            (
                use.application,
                f"{use.running}/{use.seats}",
                use.waiting,
                _places(use.holders, at),
                _places(use.waiters, at),
            )
            for use in applications
        ),
    )


def _locks(locks: Sequence[LockUse], at: float) -> str:
    columns = (
        Column("lock", gives=True),
        Column("held by", gives=True),
        Column("waiting", right=True),
        Column("next", gives=True),
    )
    return table(
        columns,
        (
            (use.lock, _places(use.holders, at), use.waiting, _places(use.waiters, at))
            for use in locks
        ),
    )


def _places(places: Sequence[SnapshotJob], at: float) -> str:
    """Return jobs with how long they have run or waited: `23 for 4m10s, 24 for 35s`."""
    return ", ".join(f"{place.job} for {duration(at - place.since)}" for place in places)


def _jobs(jobs: Mapping[str, int]) -> str:
    return f"jobs: {_counted(jobs)}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"
