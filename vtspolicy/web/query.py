"""The query of an address (`?state=running&limit=20`), read by a table of what a page takes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

from vtspolicy.suggest import did_you_mean
from vtspolicy.web.answers import Mistake

MOST = 500
"""The longest list that is answered; `before` asks for the next one."""

USUAL = 100
"""How long a list is when no limit is given."""

_DIGITS = 100
_LONGEST = 256

Reader = Callable[[str, str], Any]
"""Takes the name and the text of a parameter; raises Mistake."""


def read_query(arguments: Mapping[bytes, list[bytes]], readers: Mapping[str, Reader]) -> Any:
    """Return the parameters that are given, read; all that a page does not take is a mistake."""
    read: dict[str, Any] = {}
    for raw, values in arguments.items():
        name = raw.decode("utf-8", "replace")
        reader = readers.get(name)
        if reader is None:
            known = f"known are {', '.join(readers)}" if readers else "this page takes none"
            raise _bad("there is no such parameter", did_you_mean(name, readers) or known)
        if len(values) > 1:
            raise _bad(f"{name} is given {len(values)} times")
        read[name] = reader(name, values[0].decode("utf-8", "replace"))
    return read


def number(name: str, text: str) -> int:
    """Read the number of a job or a request; whether there is one of it is another question."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) > 0):
        raise _bad(f"{name} must be a number of 1 or more")
    return int(text)


def numbers(name: str, text: str) -> tuple[int, ...]:
    """Read numbers of jobs, with commas between them."""
    parts = text.split(",")
    if len(parts) > MOST:
        raise _bad(f"{name} may have {MOST} numbers")
    return tuple(number(name, each) for each in parts)


def limit(name: str, text: str) -> int:
    """Read the length of a list."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MOST):
        raise _bad(f"{name} must be a number from 1 to {MOST}")
    return int(text)


def word(name: str, text: str) -> str:
    """Read a text that is compared as it is."""
    if not 0 < len(text) <= _LONGEST:
        raise _bad(f"{name} must have 1 to {_LONGEST} characters")
    return text


def one_of(kind: type[Enum]) -> Reader:
    """Return the reader of an enum's value."""
    values = {str(each.value): each for each in kind}

    def read(name: str, text: str) -> Enum:
        if text not in values:
            known = f"one of {', '.join(values)}"
            raise _bad(f"{name} has no such value", did_you_mean(text, values) or known)
        return values[text]

    return read


def several_of(kind: type[Enum]) -> Reader:
    """Return the reader of values of an enum, with commas between them."""
    read_one = one_of(kind)

    def read(name: str, text: str) -> tuple[Enum, ...]:
        return tuple(read_one(name, each) for each in text.split(","))

    return read


def time(name: str, text: str) -> float:
    """Read a time as ISO 8601 has it; without an offset it is the server's."""
    try:
        return datetime.fromisoformat(text.replace(" ", "+")).timestamp()
    except (ValueError, OverflowError, OSError):
        raise _bad(f"{name} is not a time", "write it as 2026-11-22T02:14:09+01:00") from None


def _bad(message: str, hint: str = "") -> Mistake:
    return Mistake(HTTPStatus.BAD_REQUEST, message, hint)
