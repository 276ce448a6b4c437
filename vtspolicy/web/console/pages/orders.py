"""Orders: cancel and retry, by the same functions as the command line, with a reason."""

from http import HTTPStatus

from attrs import evolve, frozen

from vtspolicy.control import Refused
from vtspolicy.jobs import Job
from vtspolicy.ledger import JobRecords, RequestRecords, Transaction
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.web.answers import Mistake
from vtspolicy.web.console.asking import Ask, Page, Server, not_seen
from vtspolicy.web.console.pages.requests import number_of

MOST = 500
"""Jobs that one order runs again."""


async def cancel_request(server: Server, ask: Ask) -> str:
    """Cancel all live jobs of a request."""
    number = ask.number("number")
    found = await server.ledger.read(RequestRecords.get, number)
    if found is None or not ask.sight.sees(found.host):
        raise not_seen("request", number)
    _need_ledger(server)
    await server.control.cancel(number, None, _actor(ask), _reason(ask))
    return f"/requests/{number}"


async def cancel_job(server: Server, ask: Ask) -> str:
    """Cancel one job."""
    number = ask.number("number")
    found = await server.ledger.read(JobRecords.get, number)
    if found is None or not ask.sight.sees(found.host):
        raise not_seen("job", number)
    _need_ledger(server)
    await server.control.cancel(None, number, _actor(ask), _reason(ask))
    return f"/jobs/{number}"


@frozen(kw_only=True)
class Candidate:
    """A job that somebody wants to run again, and what became of that."""

    job: Job
    why_not: str | None = None  # why it cannot be run again
    request: object = None  # the new request, once it is ordered
    again: object = None  # the new job


async def retry(server: Server, ask: Ask) -> Page:
    """Show what would be run again; with `sure` do it. Says which jobs cannot be, and why."""
    chosen = [number_of(each, "job") for each in ask.query.get("job", "").split(",") if each]
    if not chosen:
        raise Mistake(HTTPStatus.BAD_REQUEST, "no job is chosen", "mark the jobs to run again")
    if len(chosen) > MOST:
        raise Mistake(HTTPStatus.BAD_REQUEST, f"{MOST} jobs at once are the most")

    def look(tx: Transaction) -> list[Candidate]:
        looked = []
        for number in dict.fromkeys(chosen):
            job = tx.jobs.get(number)
            if job is None or not ask.sight.sees(job.host):
                raise not_seen("job", number)
            looked.append(Candidate(job=job, why_not=tx.requests.why_not_renewed(number)))
        return looked

    looked = await server.ledger.read(look)
    is_order = ask.query.get("sure") == "yes"
    if is_order:
        _need_ledger(server)
        reason = _reason(ask)
        looked = [await _renewed(server, ask, each, reason) for each in looked]
    return Page(
        template="retry.html",
        title="Run again",
        about={
            "looked": looked,
            "able": [each for each in looked if each.why_not is None],
            "is_order": is_order,
        },
    )


async def _renewed(server: Server, ask: Ask, candidate: Candidate, reason: str) -> Candidate:
    if candidate.why_not is not None:
        return candidate
    try:
        told = await server.control.retry(candidate.job.id, _actor(ask), reason)
    except (Refused, LedgerError) as error:
        return evolve(candidate, why_not=str(error))
    return evolve(candidate, request=told["request"], again=told["job"])


def _actor(ask: Ask) -> str:
    return f"operator {ask.person.name}"


def _reason(ask: Ask) -> str:
    """Return why somebody orders something: the history keeps it. Raises Mistake without it."""
    reason = ask.query.get("reason", "")
    if not reason:
        raise Mistake(HTTPStatus.BAD_REQUEST, "a reason is needed", "the history keeps it")
    return reason


def _need_ledger(server: Server) -> None:
    """Refuse an order that would wait for the ledger: it might be done hours later, unexpected."""
    if server.ledger.trouble is not None:
        told = f"the ledger cannot be written: {server.ledger.trouble}; nothing was done"
        raise Mistake(HTTPStatus.SERVICE_UNAVAILABLE, told)
