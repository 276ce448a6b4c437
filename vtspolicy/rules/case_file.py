"""Reads rule tests from YAML."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from vtspolicy.config import reading
from vtspolicy.config.positions import Items, Node, Place, Scalar, read_file
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of
from vtspolicy.rules.cases import EXAMPLE_NODE, EXAMPLE_TIME, Case
from vtspolicy.rules.facts import FactsError, facts_of

_words = reading.items(reading.text)


def _run(node: Node, findings: Findings) -> list[list[str]] | None:
    """Argument lists; one alone stands for a list of one."""
    if isinstance(node, Items) and node.items and isinstance(node.items[0], Scalar):
        one = _words(node, findings)
        return None if one is None else [list(one)]
    found = reading.items(_words)(node, findings)
    return None if found is None else [list(each) for each in found]


def _at(node: Node, findings: Findings) -> datetime | None:
    written = reading.text(node, findings)
    try:
        return None if written is None else datetime.fromisoformat(written)
    except ValueError:
        findings.add(node, f'"{written}" is not a time', "as 2026-11-22 02:14")
        return None


def _denied(node: Node, findings: Findings) -> str | bool | None:
    if isinstance(node, Scalar) and node.value is True:
        return True
    return reading.text(node, findings)


def _refused(node: Node, findings: Findings) -> str | bool | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    return reading.text(node, findings)


ERROR = keys_of(
    Key(name="column", read=reading.integer(1), type="a number", help="where, from 1"),
    Key(name="message", read=reading.text, type="a text", help="a part of the message"),
)
"""The keys of an expected error."""


def _error(node: Node, findings: Findings) -> Mapping[str, Any] | None:
    if isinstance(node, Scalar):
        message = reading.text(node, findings)
        return None if message is None else {"message": message}
    read = reading.section_of(ERROR, "error")(node, findings)
    return None if read is None else {key: read[key] for key in ERROR if key in read.given}


def _list(node: Node, findings: Findings) -> list[str] | None:
    found = reading.items(reading.text, single=True)(node, findings)
    return None if found is None else list(found)


EXPECTED = keys_of(
    Key(name="rule", read=reading.text, type="a name", help="the rule that decides"),
    Key(name="run", read=_run, type="argument lists", help="what runs, one list for each job"),
    Key(name="denied", read=_denied, type="a text or true", help="a part of the reason"),
    Key(
        name="refused",
        read=_refused,
        type="a text, true or false",
        help="a part of the reason why the evidence of copies refuses it; false: it does not",
    ),
    Key(name="norule", read=reading.boolean, type="true", help="no rule matches"),
    Key(name="error", read=_error, type="a text or a mapping", help="it is not a command"),
    Key(name="jobs", read=reading.integer(0), type="a number", help="how many jobs it becomes"),
    Key(name="application", read=reading.text, type="a name", help="whose program runs"),
    Key(name="then", read=reading.text, type="a word", help="what success means for the tape"),
    Key(name="locks", read=_list, type="a list", help="the lock of each job"),
    Key(name="starts", read=reading.text, type="a time", help="when its first job may start"),
    Key(
        name="elsewhere",
        read=reading.boolean,
        type="true",
        help="it is for another server (`s=`), and the node ignores it",
    ),
    Key(
        name="answered",
        read=reading.boolean,
        type="true",
        help="the server answers it itself, as Status and Cancel",
    ),
    Key(name="left_out", read=_list, type="a list", help="tapes that the rule is not for"),
)
"""The keys of a case that say what must be decided."""

CASE = {
    **keys_of(
        Key(name="case", read=reading.text, type="a name", default=REQUIRED, help="what it shows"),
        Key(name="command", read=reading.text, type="a text", help="the text of a command"),
        Key(name="event", read=reading.text, type="a text", help="a displayed event, with header"),
        Key(name="host", read=reading.text, type="a name", help="the configured host it is from"),
        Key(name="system", read=reading.text, type="a name", help="its \\SYSTEM"),
        Key(name="user", read=reading.text, type="GROUP.USER", help="who sent it"),
        Key(
            name="node",
            read=reading.text,
            type="a host name",
            default_text=f"that of `s=`, or {EXAMPLE_NODE}",
            help="the node that decides",
        ),
        Key(
            name="at",
            read=_at,
            type="a time",
            default=EXAMPLE_TIME,
            default_text=str(EXAMPLE_TIME),
            help="local time",
        ),
        Key(
            name="tapes",
            read=reading.items(lambda node, _: node, single=True),
            type="a list of tapes",
            help="as /VAULT01/PAYROLL/A00017 size=10M age=3d migrated",
        ),
    ),
    **EXPECTED,
}
"""The keys of a case."""

TOP = keys_of(
    Key(
        name="cases",
        read=reading.items(lambda node, _: node),
        type="a list of cases",
        default=(),
        help="the rule tests",
    )
)


def read_cases(path: str | Path) -> tuple[Case, ...]:
    """Return the cases of a file; raises ConfigurationError with all its problems."""
    findings = Findings()
    root, problems = read_file(path)
    findings.extend(problems)
    place = Place(file=str(path))
    cases: list[Case] = []
    if not problems or root is not None:
        top = reading.section(root, TOP, findings, what="a file of rule tests", place=place)
        for node in top["cases"]:
            read = reading.section_of(CASE, "a case")(node, findings)
            if read is not None:
                cases.append(_case(read, findings))
    findings.raise_errors()
    return tuple(cases)


def _case(read: Section, findings: Findings) -> Case:
    given = [key for key in ("command", "event") if key in read.given]
    if len(given) != 1:
        findings.add(read.table, "a case needs either command or event")
    expected = {key: read[key] for key in EXPECTED if key in read.given and read[key] is not None}
    if not set(EXPECTED) & read.given:
        findings.add(read.table, "a case must expect something", f"one of {', '.join(EXPECTED)}")
    at: datetime = read["at"]
    tapes = None
    if read["tapes"] is not None:
        tapes = tuple(
            tape for node in read["tapes"] if (tape := _tape(node, at, findings)) is not None
        )
    return Case(
        name=read["case"] or "",
        place=read.table.place,
        command=read["command"],
        event=read["event"],
        host=read["host"],
        host_place=read.place("host") if "host" in read.given else None,
        system=read["system"],
        user=read["user"],
        node=read["node"],
        at=at,
        tapes=tapes,
        expected=expected,
    )


def _tape(node: Node, at: datetime, findings: Findings) -> Any:  # Any: Facts or None
    written = reading.text(node, findings)
    try:
        return None if written is None else facts_of(written, at=at)
    except FactsError as error:
        findings.add(node, error.message, error.remedy)
        return None
