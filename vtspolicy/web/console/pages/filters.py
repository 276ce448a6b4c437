"""The filters of lists: read from the address, so that a list can be kept and sent on."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar

from vtspolicy.readable import TIMES, moment_of
from vtspolicy.suggest import did_you_mean
from vtspolicy.web.answers import Mistake
from vtspolicy.web.console.asking import ROWS, Ask
from vtspolicy.web.console.render import local

E = TypeVar("E", bound=StrEnum)
Read = Callable[[str, str, Ask], Any]

LONGEST = 256
"""Characters of the longest filter."""


def read(ask: Ask, readers: Mapping[str, Read]) -> dict[str, Any]:
    """Return the filters that are given. Raises Mistake for one that is not known or wrong."""
    found: dict[str, Any] = {"limit": ROWS}
    for name, text in ask.query.items():
        if name == "as" or not text:
            continue
        if name not in readers:
            hint = did_you_mean(name, readers) or f"there are {', '.join(readers)}"
            raise Mistake(HTTPStatus.BAD_REQUEST, f"there is no filter {name}", hint)
        if len(text) > LONGEST * 16:
            raise Mistake(HTTPStatus.BAD_REQUEST, f"{name} is too long")
        found[name] = readers[name](name, text, ask)
    return found


def word(name: str, text: str, _ask: Ask) -> str:
    """A text that is compared as it is."""
    if len(text) > LONGEST:
        raise Mistake(HTTPStatus.BAD_REQUEST, f"{name} is too long")
    return text


def number(name: str, text: str, _ask: Ask) -> int:
    """A number of a request or a job."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Mistake(HTTPStatus.BAD_REQUEST, f"{name} must be a number")
    return int(text)


def time(name: str, text: str, ask: Ask) -> float:
    """A time as people write it, in the server's zone."""
    now = local(ask.now)
    found = None if now is None else moment_of(text, now)
    if found is None:
        raise Mistake(
            HTTPStatus.BAD_REQUEST, f"{name} is not a time: {text[:64]}", f"times are {TIMES}"
        )
    return found


def states(kind: type[E]) -> Read:
    """Return the reader of several states, with commas between them."""
    known = [each.value for each in kind]

    def read_states(name: str, text: str, _ask: Ask) -> tuple[E, ...]:
        chosen = [each for each in text.split(",") if each]
        for each in chosen:
            if each not in known:
                hint = did_you_mean(each, known) or f"there are {', '.join(known)}"
                raise Mistake(HTTPStatus.BAD_REQUEST, f"there is no {name} {each[:64]}", hint)
        return tuple(kind(each) for each in chosen)

    return read_states
