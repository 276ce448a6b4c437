"""`vtspolicy retry`: jobs that have ended are run again, one by one or by a filter."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from vtspolicy.cli import filters
from vtspolicy.cli.control import (
    LARGE,
    because,
    confirm,
    jobs_word,
    reason_option,
    told,
    yes_option,
)
from vtspolicy.cli.job_table import job_table
from vtspolicy.cli.options import (
    Number,
    config_option,
    give_up,
    json_option,
    places,
    print_json,
    reading,
)
from vtspolicy.cli.tables import emit
from vtspolicy.client import Client, Refusal, Unreachable
from vtspolicy.exit_codes import Exit
from vtspolicy.jobs import Job, JobState
from vtspolicy.records import job_row
from vtspolicy.visible import visible

if TYPE_CHECKING:
    from vtspolicy.config.model import Configuration
    from vtspolicy.ledger import Transaction


BAD = (JobState.FAILED, JobState.TIMEDOUT, JobState.INTERRUPTED)
"""States of jobs that a filter means if it names none."""

ENDS = tuple(state.value for state in JobState if not state.is_live)


@click.command()
@config_option
@json_option
@click.argument("job", type=Number(1), nargs=-1)
@filters.options(
    filters.states(ENDS),
    filters.HOST,
    click.option("--request", type=Number(1), help="Only those of this request."),
    filters.REF,
    filters.TAPE,
    filters.RULE,
    filters.APPLICATION,
    filters.SINCE,
    filters.UNTIL,
)
@click.option("--dry-run", is_flag=True, help="Only show which jobs can be run again.")
@reason_option
@yes_option
def retry(
    *,
    config: Path,
    as_json: bool,
    job: tuple[int, ...],
    state: tuple[str, ...],
    dry_run: bool,
    reason: str | None,
    yes: bool,
    **given: Any,
) -> None:
    """Run ended JOBs again, each as a new request; or all that a filter finds.

    Without --state a filter means jobs that failed, timed out or were interrupted. It leaves out
    those that were run again already, and shows them. The exit code is 1 if another job cannot be
    run again.
    """
    filtered = bool(state) or any(value is not None for value in given.values())
    if bool(job) == filtered:
        raise click.UsageError("name JOBs, or a filter such as --state failed --since 8h")
    configuration = places(config)
    client = Client(spool=configuration.spool)
    if len(job) == 1 and not dry_run:
        _one(client, job[0], reason, as_json=as_json)
        return
    wanted = [JobState(each) for each in state] or list(BAD)
    with reading(configuration) as tx:
        found = _named(tx, job) if job else tx.jobs.find(state=wanted, limit=filters.MOST, **given)
        # In the order in which they were asked for first: a tape may occur several times.
        chosen = [_look(tx, each, by_name=bool(job)) for each in sorted(found, key=_number)]
    if not chosen:
        _nothing(configuration, given, as_json=as_json)
        return
    can = [each for each in chosen if each.refusal is None]
    if len(can) > LARGE and not dry_run:
        confirm(f"{len(can)} jobs are to run again ({_applications(can)})", yes=yes)
    done = chosen if dry_run else _do_all(client, chosen, reason)
    _tell(done, dry_run=dry_run, as_json=as_json)
    if any(each.refusal is not None and not each.is_repeated for each in done):
        raise SystemExit(Exit.FAILED)


@frozen(kw_only=True)
class Chosen:
    """A job that is to run again, and what came of it."""

    job: Job
    refusal: str | None = None  # why it cannot be
    is_repeated: bool = False  # a filter leaves it out: it was run again already
    request: int | None = None  # that runs it again
    again: int | None = None  # the new job


def _number(job: Job) -> int:
    return job.id


def _named(tx: "Transaction", numbers: Sequence[int]) -> list[Job]:
    found = []
    for number in dict.fromkeys(numbers):
        job = tx.jobs.get(number)
        if job is None:
            give_up(f"there is no job {number}; nothing was done", Exit.FAILED)
        found.append(job)
    return found


def _look(tx: "Transaction", job: Job, *, by_name: bool) -> Chosen:
    refusal = tx.requests.why_not_renewed(job.id)
    repeats = tx.jobs.repeats(job.id)
    is_repeated = bool(repeats) and not by_name
    if refusal is None and is_repeated:
        last = tx.jobs.get(repeats[-1])
        state = last.state.value if last is not None else "not known"
        refusal = f"job {job.id} was run again already, as job {repeats[-1]}: {state}"
    return Chosen(job=job, refusal=refusal, is_repeated=is_repeated)


def _one(client: Client, number: int, reason: str | None, *, as_json: bool) -> None:
    answer = told(lambda: client.post("retry", job=number, **because(reason)))
    if as_json:
        print_json(dict(answer))
    else:
        emit(f"job {number} is run again as job {answer['job']} of request {answer['request']}")


def _do_all(client: Client, chosen: Sequence[Chosen], reason: str | None) -> list[Chosen]:
    """Have jobs run again; a server that ends meanwhile hides none of those that are."""
    done: list[Chosen] = []
    for each in chosen:
        try:
            done.append(_do(client, each, reason))
        except Unreachable as error:
            if all(other.again is None for other in done):
                give_up(str(error), Exit.UNREACHABLE)
            done.append(Chosen(job=each.job, refusal=str(error)))
    return done


def _do(client: Client, chosen: Chosen, reason: str | None) -> Chosen:
    """Have one job run again; what the server refuses is shown with the others."""
    if chosen.refusal is not None:
        return chosen
    job = chosen.job
    try:
        answer = client.post("retry", job=job.id, **because(reason))
    except Refusal as error:
        return Chosen(job=job, refusal=str(error))
    return Chosen(job=job, request=int(answer["request"]), again=int(answer["job"]))


def _nothing(configuration: "Configuration", given: dict[str, Any], *, as_json: bool) -> None:
    filters.refuse_unknown(configuration, given)
    if as_json:
        print_json({"retried": [], "refused": []})
    else:
        click.echo("no jobs", err=True)


def _tell(done: Sequence[Chosen], *, dry_run: bool, as_json: bool) -> None:
    can = [each for each in done if each.refusal is None]
    cannot = [each for each in done if each.refusal is not None]
    if as_json:
        retried = [
            {**job_row(each.job), "new_request": each.request, "new_job": each.again}
            for each in can
        ]
        refused = [{**job_row(each.job), "refusal": each.refusal} for each in cannot]
        print_json({"retried": retried, "refused": refused})
        return
    if can and dry_run:
        emit(job_table([each.job for each in can]))
    for each in can if not dry_run else ():
        emit(f"job {each.job.id} is run again as job {each.again} of request {each.request}")
    for each in cannot:
        emit(f"job {each.job.id} cannot be run again: {visible(each.refusal)}")
    if dry_run:
        what = f"{len(can)} {jobs_word(len(can))} can be run again"
    else:
        what = f"{len(can)} {jobs_word(len(can))} {'is' if len(can) == 1 else 'are'} run again"
    if can:
        what += f" ({_applications(can)})"
    emit(f"{what}, {len(cannot)} cannot" if cannot else what)


def _applications(chosen: Sequence[Chosen]) -> str:
    """Return what the jobs are of, which a narrow table leaves out: `3 TSM, 1 Erase`."""
    counts = Counter(each.job.work.application for each in chosen)
    return ", ".join(f"{count} {visible(name)}" for name, count in counts.most_common())
