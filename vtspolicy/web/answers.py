"""Answers: JSON, the headers that go with every one of them, and mistakes as answers."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from attrs import field, frozen

from vtspolicy.config.problems import ConfigurationError
from vtspolicy.control import Refused, UnknownThing
from vtspolicy.ledger.errors import LedgerError, NoSuchRow, QuestionTooLong

JSON = "application/json"

SECURITY_HEADERS = {
    "Server": "vtspolicy",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer."""


NARROWER = "ask by `request`, `ref` or a `state` that few are in; `vtspolicy jobs` takes its time"
"""What helps whose question was given up."""


@frozen
class Answer:
    """What goes back."""

    body: bytes
    status: int = HTTPStatus.OK
    kind: str = JSON
    headers: Mapping[str, str] = field(factory=dict)


class Mistake(Exception):  # noqa: N818 - it is the caller's
    """The caller asked for something that cannot be answered."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = headers or {}


def json_answer(data: object, status: int = HTTPStatus.OK) -> Answer:
    """Return data as JSON. Markup in it is escaped, in case a browser takes it for a page."""
    text = json.dumps(data, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Answer(text.encode("ascii") + b"\n", status)


def mistake_answer(mistake: Mistake) -> Answer:
    """Return what the caller did wrong."""
    error = {"message": mistake.message, "hint": mistake.hint or None}
    answer = json_answer({"error": error}, mistake.status)
    return Answer(answer.body, answer.status, answer.kind, mistake.headers)


def as_mistake(error: BaseException) -> Mistake | None:
    """Return an error as an answer for the caller; None for a defect of the program."""
    match error:
        case Mistake():
            return error
        case UnknownThing() | NoSuchRow():
            return Mistake(HTTPStatus.NOT_FOUND, str(error))
        case Refused():
            return Mistake(HTTPStatus.CONFLICT, str(error))
        case ConfigurationError():
            return Mistake(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case QuestionTooLong():
            return Mistake(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), NARROWER)
        case LedgerError():
            return Mistake(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    return None
