"""What a page of the console is asked, what it may ask in turn, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred

from vtspolicy.config.people import Person, Right
from vtspolicy.control import Control
from vtspolicy.engine.policy import Policy
from vtspolicy.ledger import Ledger
from vtspolicy.web.access import Session, Sight
from vtspolicy.web.answers import Mistake

ROWS = 50
"""Rows of a list; `before` asks for the next ones."""


@frozen(kw_only=True)
class Server:
    """What pages are about, and whom they ask."""

    control: Control
    ledger: Ledger
    policy: Callable[[], Policy]  # in force now
    clock: Callable[[], float]  # seconds since the epoch
    threads: Callable[..., Deferred[Any]]  # calls a function elsewhere and returns its answer


@frozen(kw_only=True)
class Ask:
    """One question of a browser."""

    person: Person
    sight: Sight  # whose requests, jobs and tapes are shown
    session: Session
    path: str
    query: Mapping[str, str]  # what stands behind the question mark, or in the form
    found: Mapping[str, str] = field(factory=dict)  # the parts of the path that vary
    now: float  # seconds since the epoch

    def given(self, name: str) -> str | None:
        """Return a filter; None if it is empty or not there."""
        return self.query.get(name) or None

    def number(self, name: str) -> int:
        """Return a number of the path. NOT_FOUND if it is longer than any can be."""
        text = self.found[name]
        if len(text) > 19:
            raise Mistake(HTTPStatus.NOT_FOUND, f"there is no {name} {text}")
        return int(text)

    def hosts(self, configured: Mapping[str, object]) -> list[str] | None:
        """Return the hosts whose requests are shown; None for all."""
        return (
            None if self.sight.is_whole else [each for each in configured if self.sight.sees(each)]
        )


@frozen(kw_only=True)
class Page:
    """What is shown: a template and what it needs."""

    template: str
    title: str
    about: Mapping[str, Any] = field(factory=dict)  # Any: each template has its own
    rows: Sequence[Mapping[str, Any]] | None = None  # of a list, for CSV and JSON
    name: str = "rows"  # of the list
    status: HTTPStatus = HTTPStatus.OK


View = Callable[[Server, Ask], "Deferred[Page] | Any"]  # a coroutine function
"""Makes one page."""


def need(ask: Ask, right: Right) -> None:
    """Refuse what the person's role does not allow. Raises Mistake."""
    if not ask.person.may(right):
        raise Mistake(
            HTTPStatus.FORBIDDEN,
            f"your role, {ask.person.role}, does not allow that",
            f"it needs the right to {right}",
        )


def not_seen(what: str, which: object) -> Mistake:
    """Return what is answered for what is not there, or is not for this person: the same."""
    return Mistake(
        HTTPStatus.NOT_FOUND,
        f"there is no {what} {which}",
        "or it belongs to a host that you may not see",
    )
