"""The keys of what a table asks in addition to its runs: queries, the reading of copies, polls."""

from collections.abc import Mapping

from attrs import evolve

from vtspolicy.config import reading
from vtspolicy.config.positions import Items, Node, Table
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of
from vtspolicy.rules.forms import (
    arguments,
    expectations,
    lines,
    outcome,
    readings,
    regular_expression,
)
from vtspolicy.rules.work import OutcomeName

DEFAULT_OUTCOME: Mapping[str, OutcomeName] = {"0": "completed", "default": "failed"}
"""How exit codes are judged where nothing else is said."""

DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds that one attempt may take where nothing else is said."""

INPUT = Key(
    name="input", read=lines, type="a list of lines", default=(), help="what it reads on its input"
)

CALL = keys_of(
    Key(
        name="run", read=arguments, type="an argument list", default=REQUIRED, help="what is asked"
    ),
    Key(name="outcome", read=outcome, type="a mapping", help="what its exit codes mean"),
    Key(
        name="read",
        read=readings,
        type="a mapping",
        default=(),
        help="values to read from its output",
    ),
    INPUT,
    Key(name="expect", read=expectations, type="a mapping", default=(), help="what must hold"),
    Key(
        name="absent",
        read=reading.items(reading.text, single=True),
        type="a list",
        default=(),
        help="exit codes, and words of its output, that are a clear no",
    ),
    Key(
        name="timeout",
        read=reading.duration_within("1s"),
        type="a duration",
        default=300.0,
        default_text="5m",
        help="how long it may take",
    ),
)
"""The keys of one call of a program."""


def list_or_section(keys: Mapping[str, Key], what: str) -> reading.Read[Section]:
    """Make a reader of a mapping for which its argument list can be written alone."""

    def read(node: Node, findings: Findings) -> Section | None:
        if isinstance(node, Items):
            argv = arguments(node, findings)
            if argv is None:
                return None
            values = {key.name: key.default for key in keys.values()} | {"run": argv}
            return Section(table=Table(place=node.place), values=values, given=frozenset({"run"}))
        return reading.section_of(keys, what)(node, findings)

    return read


QUERY = {
    **CALL,
    **keys_of(
        Key(
            name="prepare",
            read=list_or_section(CALL, "prepare"),
            type="an argument list or a call",
            help="a call before it, whose readings fill its places",
        ),
    ),
}
"""The keys of a query: `query`, `delete` and `verify`."""

READ_BACK = {
    **QUERY,
    **keys_of(evolve(CALL["timeout"], default=DEFAULT_TIMEOUT, default_text="24h")),
}
"""The keys of `read_back`."""

POLL = {
    **QUERY,
    **keys_of(
        Key(
            name="every",
            read=reading.duration_within("100ms"),
            type="a duration",
            default=10.0,
            default_text="10s",
            help="how often it is asked",
        ),
        Key(
            name="running",
            read=regular_expression,
            type="a regular expression",
            default=REQUIRED,
            help="the values of the reading state while the job is in flight",
        ),
        Key(
            name="completed",
            read=regular_expression,
            type="a regular expression",
            default=REQUIRED,
            help="those of success; every other value is a failure",
        ),
        Key(
            name="warning",
            read=regular_expression,
            type="a regular expression",
            default="",
            help="those of an end with warnings",
        ),
        Key(
            name="find",
            read=list_or_section(QUERY, "find"),
            type="an argument list or a query",
            help="reads application_job by {handle}, for when its submission was interrupted",
        ),
        Key(
            name="patience",
            read=reading.duration_within("1s"),
            type="a duration",
            default=1800.0,
            default_text="30m",
            help="how long no answer may come, and a cancelled job may take to end",
        ),
    ),
}
"""The keys of `poll`."""
