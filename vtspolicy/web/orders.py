"""Orders: what a POST on the control socket asks for, checked by the table of verbs."""

import json
import pwd
import re
from collections.abc import Mapping
from http import HTTPStatus

from vtspolicy.control import LONGEST, VERBS, Argument, Verb
from vtspolicy.suggest import did_you_mean
from vtspolicy.web.answers import Mistake

PREFIX = "/api/v1/"

Value = int | str | None


def verb_of(path: str) -> Verb | None:
    """Return the verb at a path."""
    return VERBS.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None


def read_order(verb: Verb, body: bytes) -> dict[str, Value]:
    """Return the arguments of a verb, None for those not given. Raises Mistake."""
    try:
        given = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise _bad("the body is not JSON") from None
    if not isinstance(given, dict):
        raise _bad("the body must be a JSON object")
    for name in given:
        if name not in verb.arguments:
            known = ", ".join(verb.arguments) or "none"
            hint = did_you_mean(name, verb.arguments) or f"known are {known}"
            raise _bad("there is no such argument", hint)
    values = {name: _value(name, each, given.get(name)) for name, each in verb.arguments.items()}
    if verb.one_of and sum(values[name] is not None for name in verb.one_of) != 1:
        raise _bad(f"give one of {' and '.join(verb.one_of)}")
    return values


def in_words(given: Mapping[str, object]) -> str:
    """Return the arguments of an order as people write them: `request=17 reason="wrong tape"`."""
    return " ".join(
        f"{name}={value if _BARE.fullmatch(str(value)) else json.dumps(value, ensure_ascii=False)}"
        for name, value in given.items()
        if value is not None
    )


_BARE = re.compile(r"[^\s\"=]+")
"""A value that needs no quotes."""

_NAME = re.compile(r"[\w.@\\+-]{1,64}", re.ASCII)
"""A user's name, of a domain too."""


def actor_of(uid: int, person: str | None = None) -> str:
    """Return who a peer is, for the history.

    `person` is the user behind sudo, as the peer says; this is believed of root only.
    """
    if uid == 0 and person is not None and _NAME.fullmatch(person):
        return f"operator {person} (by sudo)"
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return f"operator {name}"


def _value(name: str, argument: Argument, value: object) -> Value:
    if value is None:
        if argument.required:
            raise _bad(f"{name} is missing")
        return None
    if argument.kind is int:
        most = argument.most
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise _bad(f"{name} must be a number of 1 or more")
        if most is not None and value > most:
            raise _bad(f"{name} must be a number from 1 to {most}")
        return value
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or "\0" in value:
        raise _bad(f"{name} must be a text of 1 to {LONGEST} characters")
    try:
        # Only the name of a file may have bytes that are not text, as Python writes them.
        value.encode(errors="surrogateescape" if name == "path" else "strict")
    except UnicodeEncodeError as error:
        raise _bad(f"{name} is not text: character {error.start + 1} is half of one") from None
    return value


def _bad(message: str, hint: str = "") -> Mistake:
    return Mistake(HTTPStatus.BAD_REQUEST, message, hint)
