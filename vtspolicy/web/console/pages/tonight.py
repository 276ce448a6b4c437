"""Tonight, the first page: what ended how, what needs a person, what runs, and when."""

import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from vtspolicy.config.people import Right
from vtspolicy.jobs import Job, JobState, Request
from vtspolicy.ledger import Mount, Transaction
from vtspolicy.ledger.overview import Run
from vtspolicy.readable import moment_of, words_first
from vtspolicy.records import typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server
from vtspolicy.web.console.pages import filters
from vtspolicy.web.console.pages.jobs import RUNNING, reasons
from vtspolicy.web.console.render import local

EVENING = "18:00"
"""When a night begins, unless the page is asked for another time."""

LOOKED_AT = 1000
"""Jobs and requests that a list of causes is made of, the newest first."""

RUNS = 3000
"""Runs in the picture of a day."""

SHOWN = 100
"""Running jobs that are shown."""

DAY = 86400.0

_VARIES = re.compile(r"/\S+|\b[A-Z]{1,6}[0-9]{2,}\b|\b[0-9][0-9:.,-]*\b")
"""What differs between reasons of the same cause: names of tapes and files, numbers, times."""


@frozen(kw_only=True)
class Cause:
    """Jobs or requests that went wrong for the same reason."""

    words: str  # the reason of the newest of them
    state: str
    application: str | None
    jobs: tuple[Job, ...] = ()  # the newest first
    requests: tuple[Request, ...] = ()  # that have no job
    last: float  # when the newest of them ended


@frozen(kw_only=True)
class Lane:
    """The runs of one application in the picture of a day."""

    application: str
    bars: tuple["Bar", ...] = field(factory=tuple)


@frozen(kw_only=True)
class Bar:
    """One run in the picture."""

    job: int
    state: str
    x: float  # minutes from the left
    width: float  # minutes


async def tonight(server: Server, ask: Ask) -> Page | str:
    """Show the night so far."""
    if not ask.person.may(Right.READ):
        return "/history"
    given = filters.read(ask, {"since": filters.time})
    now = local(ask.now)
    evening = moment_of(EVENING, now) if now is not None else None
    since: float = given.get("since") or evening or ask.now - DAY

    def look(
        tx: Transaction,
    ) -> tuple[
        dict[JobState, int], list[Job], list[Job], list[Request], list[Job], list[Mount], list[Run]
    ]:
        return (
            tx.overview.results_since(since),
            tx.overview.unrepaired(since, LOOKED_AT),
            tx.overview.warnings_since(since, LOOKED_AT),
            tx.overview.refusals_since(since, LOOKED_AT),
            tx.jobs.find(state=RUNNING, limit=SHOWN),
            tx.mounts.open(),
            tx.overview.runs_since(ask.now - DAY, RUNS),
        )

    results, bad, warned, refused, running, mounts, runs = await server.ledger.browse(look)
    status = typed(await server.control.status(), Status)
    sees, hosts = ask.sight.sees, server.policy().configuration.hosts
    running = [job for job in running if sees(job.host)]
    live = server.control.live(running)
    causes = sorted(
        (
            *_causes(job for job in bad if sees(job.host)),
            *_causes(job for job in warned if sees(job.host)),
            *_refusals(request for request in refused if sees(request.host)),
        ),
        key=lambda cause: -cause.last,
    )
    return Page(
        template="tonight.html",
        title="Tonight",
        about={
            "since": since,
            "results": {
                state.value: results.get(state, 0) for state in JobState if not state.is_live
            },
            "waiting": status.jobs.get("waiting", 0),
            "running_count": status.jobs.get("running", 0) + status.jobs.get("stopping", 0),
            "causes": causes,
            "mounts": [each for each in mounts if sees(each.host)],
            "status": status,
            "pending": [each for each in status.pending if sees(each.host)],
            "silent": [
                each
                for each in status.hosts
                if sees(each.name) and each.name in hosts and not each.connections
            ],
            "running": running,
            "live": live,
            "reasons": reasons(running, live, ask.now),
            "lanes": _lanes([run for run in runs if sees(run.host)], ask.now),
            "hours": _hours(ask.now),
        },
    )


def _causes(jobs: Iterable[Job]) -> list[Cause]:
    """Group jobs by the cause of their end."""
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        key = (job.state.value, job.work.application, _same(job.reason or ""))
        groups.setdefault(key, []).append(job)
    return [
        Cause(
            words=words_first(each[0].reason) or "no reason is recorded",
            state=state,
            application=application,
            jobs=tuple(each),
            last=max(job.finished or 0.0 for job in each),
        )
        for (state, application, _), each in groups.items()
    ]


def _refusals(requests: Iterable[Request]) -> list[Cause]:
    groups: dict[tuple[str, str], list[Request]] = {}
    for request in requests:
        groups.setdefault((request.state.value, _same(request.reason or "")), []).append(request)
    return [
        Cause(
            words=each[0].reason or "no reason is recorded",
            state=state,
            application=None,
            requests=tuple(each),
            last=max(request.received for request in each),
        )
        for (state, _), each in groups.items()
    ]


def _same(reason: str) -> str:
    """Return what reasons of the same cause have in common."""
    return _VARIES.sub("*", reason)


def _lanes(runs: Sequence[Run], now: float) -> list[Lane]:
    lanes: dict[str, list[Bar]] = {}
    for run in runs:
        begin = max(run.started, now - DAY)
        end = min(run.finished if run.finished is not None else now, now)
        x = (begin - (now - DAY)) / 60
        width = max((end - begin) / 60, 2.0)
        bar = Bar(job=run.job, state=run.state.value, x=round(x, 1), width=round(width, 1))
        lanes.setdefault(run.application, []).append(bar)
    return [Lane(application=name, bars=tuple(bars)) for name, bars in sorted(lanes.items())]


def _hours(now: float) -> Mapping[float, str]:
    """Return the whole hours of the last day: minutes from the left, and how they are written."""
    there = local(now)
    if there is None:
        return {}
    minutes = there.minute + there.second / 60
    return {
        round(1440 - minutes - 60 * back, 1): f"{(there.hour - back) % 24:02}"
        for back in range(0, 24, 3)
    }
