"""Requests: all that hosts and operators asked for, and what became of it."""

from http import HTTPStatus
from typing import Any

from vtspolicy.config.people import Right
from vtspolicy.grammar.caret import diagnose
from vtspolicy.grammar.command import CommandError
from vtspolicy.jobs import Job, Request, RequestState, Transition
from vtspolicy.ledger import RequestRecords, Transaction
from vtspolicy.ledger.overview import Delivery
from vtspolicy.records import request_row
from vtspolicy.web.answers import Mistake
from vtspolicy.web.console.asking import Ask, Page, Server, not_seen
from vtspolicy.web.console.pages import filters

JOBS = 200
"""Jobs of a request that its page shows."""

_FILTERS = {
    "state": filters.states(RequestState),
    "host": filters.word,
    "family": filters.word,
    "ref": filters.word,
    "since": filters.time,
    "until": filters.time,
    "text": filters.word,
    "before": filters.number,
}


async def several(server: Server, ask: Ask) -> Page:
    """Show requests, the newest first."""
    given = filters.read(ask, _FILTERS)
    given["before_id"] = given.pop("before", None)
    given["hosts"] = ask.hosts(server.policy().configuration.hosts)
    found = await server.ledger.browse(RequestRecords.find, **given)
    return Page(
        template="requests.html",
        title="Requests",
        about={
            "requests": found,
            "states": [each.value for each in RequestState],
            "hosts": [each for each in server.policy().configuration.hosts if ask.sight.sees(each)],
            "next": found[-1].id if len(found) == given["limit"] else None,
        },
        rows=[request_row(each) for each in found],
        name="requests",
    )


async def one(server: Server, ask: Ask) -> Page:
    """Show all about one request."""
    number = ask.number("number")

    def look(
        tx: Transaction,
    ) -> tuple[Request, dict[str, Any], list[Job], list[Transition], list[Delivery]]:
        found = tx.requests.get(number)
        if found is None or not ask.sight.sees(found.host):
            raise not_seen("request", number)
        return (
            found,
            tx.requests.why(number) or {},
            tx.jobs.find(request=number, limit=JOBS),
            tx.history.about(f"request {number}"),
            tx.overview.deliveries(number),
        )

    found, why, jobs, history, deliveries = await server.ledger.browse(look)
    return Page(
        template="request.html",
        title=f"Request {number}",
        about={
            "request": found,
            "steps": why.get("steps") or [],
            "caret": _caret(found.text, why.get("error")),
            "jobs": list(reversed(jobs)),
            "live": server.control.live(jobs),
            "history": history if ask.person.may(Right.HISTORY) else None,
            "deliveries": deliveries,
            "may_order": ask.person.may(Right.ORDER),
        },
    )


def _caret(text: str, error: dict[str, Any] | None) -> str | None:
    """Return the text with a caret below what was wrong in it, and the remedy."""
    if not error:
        return None
    wrong = CommandError(
        column=int(error["column"]),
        message=str(error["message"]),
        hint=str(error.get("hint") or ""),
    )
    return diagnose(text, wrong, width=100)


def number_of(text: str, what: str) -> int:
    """Return a number that a form gives. Raises Mistake."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Mistake(HTTPStatus.BAD_REQUEST, f"{what} must be a number")
    return int(text)
