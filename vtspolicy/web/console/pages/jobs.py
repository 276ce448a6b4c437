"""Jobs: what is run, waits or has ended, with the argument list, the attempts and the output."""

from collections.abc import Mapping
from http import HTTPStatus

from vtspolicy.cli.spooled import Spooled
from vtspolicy.config.people import Right
from vtspolicy.jobs import Attempt, Job, JobState, Transition
from vtspolicy.ledger import JobRecords, Transaction
from vtspolicy.readable import reason_of
from vtspolicy.records import NOTHING, Live, job_row
from vtspolicy.web.answers import Mistake
from vtspolicy.web.console.asking import Ask, Page, Server, not_seen
from vtspolicy.web.console.pages import filters
from vtspolicy.web.console.render import local

RUNNING = (JobState.RUNNING, JobState.STOPPING)

_FILTERS = {
    "state": filters.states(JobState),
    "host": filters.word,
    "family": filters.word,
    "application": filters.word,
    "rule": filters.word,
    "tape": filters.word,
    "ref": filters.word,
    "request": filters.number,
    "since": filters.time,
    "until": filters.time,
    "text": filters.word,
    "before": filters.number,
}


async def several(server: Server, ask: Ask) -> Page:
    """Show jobs, the newest first."""
    policy = server.policy()
    given = filters.read(ask, _FILTERS)
    given["before_id"] = given.pop("before", None)
    given["hosts"] = ask.hosts(policy.configuration.hosts)
    found = await server.ledger.browse(JobRecords.find, **given)
    live = server.control.live(found)
    return Page(
        template="jobs.html",
        title="Jobs",
        about={
            "jobs": found,
            "live": live,
            "reasons": reasons(found, live, ask.now),
            "states": [each.value for each in JobState],
            "hosts": [each for each in policy.configuration.hosts if ask.sight.sees(each)],
            "applications": policy.table.seats,
            "next": found[-1].id if len(found) == given["limit"] else None,
            "may_order": ask.person.may(Right.ORDER),
        },
        rows=[job_row(each, live.get(each.id, NOTHING)) for each in found],
        name="jobs",
    )


async def one(server: Server, ask: Ask) -> Page:
    """Show all about one job."""
    number = ask.number("number")

    def look(tx: Transaction) -> tuple[Job, list[Attempt], list[Transition], list[int]]:
        found = tx.jobs.get(number)
        if found is None or not ask.sight.sees(found.host):
            raise not_seen("job", number)
        return (
            found,
            tx.attempts.of_job(number),
            tx.history.about(f"job {number}"),
            tx.jobs.repeats(number),
        )

    found, attempts, history, repeats = await server.ledger.browse(look)
    spooled = Spooled(server.policy().configuration)
    live = server.control.live([found])

    def look_into_spool() -> tuple[list[str], bool, Mapping[str, str]]:
        argv, as_run = spooled.argv(found)
        return argv, as_run, spooled.outputs(found) if found.state in RUNNING else {}

    argv, as_run, outputs = await server.threads(look_into_spool)
    return Page(
        template="job.html",
        title=f"Job {number}",
        about={
            "job": found,
            "live": live.get(number, NOTHING),
            "reason": reasons([found], live, ask.now)[number],
            "attempts": attempts,
            "repeats": repeats,
            "argv": argv,
            "as_run": as_run,
            "outputs": outputs,
            "environment": sorted(found.work.env),
            "history": history if ask.person.may(Right.HISTORY) else None,
            "may_order": ask.person.may(Right.ORDER),
        },
    )


async def output(server: Server, ask: Ask) -> Page:
    """Show the end of what a job that runs has written, alone."""
    number = ask.number("number")
    found = await server.ledger.browse(JobRecords.get, number)
    if found is None or not ask.sight.sees(found.host):
        raise not_seen("job", number)
    if found.state not in RUNNING:
        raise Mistake(HTTPStatus.NOT_FOUND, f"job {number} does not run", "its page has its output")
    spooled = Spooled(server.policy().configuration)
    outputs = await server.threads(spooled.outputs, found)
    return Page(
        template="output.html",
        title=f"Output of job {number}",
        about={"job": found, "outputs": outputs},
    )


def reasons(jobs: list[Job], live: Mapping[int, Live], now: float) -> dict[int, str]:
    """Return why jobs ended so, why they wait, or how far they are, by number."""

    def at(seconds: float) -> str:
        when = local(seconds)
        return "" if when is None else f"{when:%m-%d %H:%M}"

    return {each.id: reason_of(each, now, live.get(each.id, NOTHING), at=at) or "" for each in jobs}
