"""The pages that are read: metrics, health, and the jobs and requests of the ledger."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from vtspolicy.control import Control
from vtspolicy.jobs import Attempt, Job, JobState, RequestState, Transition
from vtspolicy.ledger import JobRecords, Ledger, RequestRecords, Transaction
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.metrics import CONTENT_TYPE, Metrics
from vtspolicy.records import NOTHING, job_page, job_row, plain, request_page, request_row
from vtspolicy.web.answers import Answer, json_answer
from vtspolicy.web.query import (
    MOST,
    USUAL,
    Reader,
    limit,
    number,
    numbers,
    read_query,
    several_of,
    time,
    word,
)

_log = Logger("vtspolicy.web")


@frozen(kw_only=True)
class House:
    """What pages are about."""

    control: Control
    ledger: Ledger
    metrics: Metrics
    threads: Callable[..., Deferred[Any]]  # each call has its own type of answer


Given = Mapping[str, Any]  # what the query readers of a page read, and the number in its path


async def index(_house: House, _given: Given) -> Answer:
    """What there is to read."""
    return json_answer({"paths": [page.path for page in PAGES]})


async def metrics(house: House, _given: Given) -> Answer:
    """The metrics, in the text format of Prometheus."""
    try:
        await house.control.collect()
    except Exception:  # noqa: BLE001 - the counters are still worth more than none
        _log.failure("Gauges could not be brought up to date.", action="collect_failed")
    # With a thousand hosts that takes a tenth of a second: hosts must not wait for it.
    return Answer(await house.threads(house.metrics.render), kind=CONTENT_TYPE)


async def health(_house: House, _given: Given) -> Answer:
    """The process answers."""
    return json_answer({"status": "ok"})


async def readiness(house: House, _given: Given) -> Answer:
    """Whether commands are taken and can be carried out."""
    ready, reasons = house.control.ready()
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_answer({"ready": ready, "reasons": list(reasons)}, status)


async def status(house: House, _given: Given) -> Answer:
    """The state of the server."""
    return json_answer(dict(await house.control.status()))


async def jobs(house: House, given: Given) -> Answer:
    """Jobs, the newest first."""
    found = await house.ledger.browse(JobRecords.find, **_filters(given))
    live = house.control.live(found)
    return _list("jobs", [job_row(job, live.get(job.id, NOTHING)) for job in found], given)


async def live(house: House, given: Given) -> Answer:
    """What only the server knows of jobs that have not ended: why they wait, how far they are."""
    numbers: Sequence[int] = given.get("jobs", ())

    def look(tx: Transaction) -> list[Job]:
        return [found for number in numbers if (found := tx.jobs.get(number)) is not None]

    known = house.control.live(await house.ledger.browse(look))
    return json_answer({"live": {str(number): plain(each) for number, each in known.items()}})


async def job(house: House, given: Given) -> Answer:
    """All about one job."""

    def look(tx: Transaction, number: int) -> tuple[Job, list[Attempt], list[Transition]]:
        found = tx.jobs.get(number)
        if found is None:
            raise NoSuchRow("job", number)
        return found, tx.attempts.of_job(number), tx.history.about(f"job {number}")

    found, attempts, history = await house.ledger.browse(look, given["number"])
    known = house.control.live([found]).get(found.id, NOTHING)
    return json_answer(job_page(found, attempts, history, known))


async def requests(house: House, given: Given) -> Answer:
    """Requests, the newest first."""
    found = await house.ledger.browse(RequestRecords.find, **_filters(given))
    return _list("requests", [request_row(request) for request in found], given)


async def request(house: House, given: Given) -> Answer:
    """All about one request, with the newest of its jobs."""

    def look(tx: Transaction, number: int) -> dict[str, Any]:
        found = tx.requests.get(number)
        if found is None:
            raise NoSuchRow("request", number)
        newest = tx.jobs.find(request=number, limit=MOST)
        return request_page(found, newest, tx.history.about(f"request {number}"))

    return json_answer(await house.ledger.browse(look, given["number"]))


async def why(house: House, given: Given) -> Answer:
    """Why a command was decided so."""

    def look(tx: Transaction, number: int) -> dict[str, Any]:
        found = tx.requests.get(number)
        if found is None:
            raise NoSuchRow("request", number)
        return {"request": request_row(found), "why": tx.requests.why(number)}

    return json_answer(await house.ledger.browse(look, given["number"]))


def _filters(given: Given) -> dict[str, Any]:
    filters = {"limit": USUAL, **given}
    if "before" in filters:
        filters["before_id"] = filters.pop("before")
    return filters


def _list(name: str, rows: Sequence[Mapping[str, Any]], given: Given) -> Answer:
    """Answer a list, and what `before` must be to get the next one."""
    more = rows[-1]["id"] if len(rows) == given.get("limit", USUAL) else None
    return json_answer({name: list(rows), "before": more})


_LIST: Mapping[str, Reader] = {"limit": limit, "before": number}
_JOBS: Mapping[str, Reader] = {
    "state": several_of(JobState),
    "host": word,
    "request": number,
    "tape": word,
    "family": word,
    "ref": word,
    "rule": word,
    "application": word,
    "since": time,
    "until": time,
    **_LIST,
}
_REQUESTS: Mapping[str, Reader] = {
    "state": several_of(RequestState),
    "host": word,
    "family": word,
    "ref": word,
    "since": time,
    "until": time,
    **_LIST,
}


@define
class Page:
    """One page: its path, where `{number}` stands for one, what answers, what its query takes."""

    path: str
    answer: Callable[[House, Given], Awaitable[Answer]]
    query: Mapping[str, Reader] = field(factory=dict)
    form: re.Pattern[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.form = re.compile(self.path.replace("{number}", r"([1-9][0-9]{0,99})"), re.ASCII)

    async def get(self, house: House, path: str, arguments: Mapping[bytes, list[bytes]]) -> Answer:
        """Return the answer to one question."""
        given = read_query(arguments, self.query)
        found = self.form.fullmatch(path)
        if found is not None and found.groups():
            given["number"] = int(found[1])
        return await self.answer(house, given)


PROBES = frozenset({"/healthz", "/readyz"})
"""What load balancers ask for, by names of their own; nothing there is about tapes or jobs."""

PAGES = (
    Page("/", index),
    Page("/metrics", metrics),
    Page("/healthz", health),
    Page("/readyz", readiness),
    Page("/api/v1/status", status),
    Page("/api/v1/jobs", jobs, _JOBS),
    Page("/api/v1/jobs/{number}", job),
    Page("/api/v1/live", live, {"jobs": numbers}),
    Page("/api/v1/requests", requests, _REQUESTS),
    Page("/api/v1/requests/{number}", request),
    Page("/api/v1/requests/{number}/why", why),
)
"""Every page, on the web and on the control socket."""


def page_of(path: str) -> Page | None:
    """Return the page at a path."""
    for page in PAGES:
        if page.form.fullmatch(path):
            return page
    return None
