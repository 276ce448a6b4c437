"""What can be written under the keys of a rules table: readers of templates, outcomes, readings."""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from vtspolicy.config import reading
from vtspolicy.config.positions import Items, Node, Place, Scalar, Table, describe
from vtspolicy.config.reading import Findings, Key, keys_of
from vtspolicy.rules.expand import GROUP, TemplateError, parts_of
from vtspolicy.rules.work import Expectation, OutcomeName, Reading
from vtspolicy.tapes import Proof


class Written(str):
    """A template that remembers where it is, until its places have been checked."""

    __slots__ = ("members", "place")
    place: Place
    members: "tuple[Written, ...]"  # of a group, each with its own place

    @staticmethod
    def at(place: Place, text: str, members: "tuple[Written, ...]" = ()) -> "Written":
        """Return a template with its place; `members` are those of a group."""
        written = Written(text)
        written.place = place
        written.members = members or (written,)
        return written


def template(node: Node, findings: Findings) -> Written | None:
    """One template; what its names are is checked later."""
    written = reading.text(node, findings)
    if written is None:
        return None
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", written):
        findings.add(node, "a control character is not allowed in an argument")
        return None
    try:
        parts_of(written)
    except TemplateError as error:
        findings.add(node, str(error), "write {{ or }} for a brace itself")
        return None
    return Written.at(node.place, written)


def _group(node: Node, findings: Findings) -> Written | None:
    """One template, or a list of them that stand or fall together."""
    if not isinstance(node, Items):
        return template(node, findings)
    members = reading.items(template, least=1)(node, findings)
    return None if members is None else Written.at(node.place, GROUP.join(members), members)


arguments = reading.items(_group, least=1)
"""An argument list."""

lines = reading.items(_group, least=1, single=True)
"""Lines of standard input; one can be a list of words, each left out when its value is absent."""

environment = reading.mapping(
    reading.matching(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable"), template
)
"""Environment variables."""

_outcome_name = reading.choice("completed", "warning", "failed")


def outcome(node: Node, findings: Findings) -> Mapping[str, OutcomeName] | None:
    """Exit codes, or ranges of them, and what they mean."""
    if not isinstance(node, Table):
        findings.add(node, f"exit codes with their outcomes are expected, not {describe(node)}")
        return None
    codes: dict[str, OutcomeName] = {}
    for entry in node.entries.values():
        name: OutcomeName | None = _outcome_name(entry.value, findings)
        match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", entry.key.text, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if entry.key.text == "default":
            if name == "completed":
                message = "an exit code that the table does not know cannot be a success"
                findings.add(
                    entry.value, message, "failed or warning, and each success by its code"
                )
            elif name is not None:
                codes["default"] = name
        elif match is None or first > last or last > 255:
            message = f'"{entry.key.text}" is not an exit code'
            findings.add(entry.key, message, "0 to 255, a range such as 100-110, or default")
        elif name is not None:
            for code in range(first, last + 1):
                if str(code) in codes:
                    findings.add(entry.key, f"the exit code {code} is given twice")
                codes[str(code)] = name
    return codes


def regular_expression(node: Node, findings: Findings) -> str | None:
    """A regular expression."""
    written = reading.text(node, findings)
    if written is None:
        return None
    try:
        re.compile(written)
    except re.error as error:
        findings.add(node, f"this is not a regular expression: {error}")
        return None
    return written


def _reading_pattern(node: Node, findings: Findings) -> str | None:
    written = regular_expression(node, findings)
    if written is not None and re.compile(written).groups != 1:
        message = "a regular expression with one group is expected here"
        findings.add(node, message, "put (?: ) around what is not to be read")
        return None
    return written


READING = keys_of(
    Key(
        name="pattern",
        read=_reading_pattern,
        type="a regular expression",
        help="with one group, which is the value; the last match counts",
    ),
    Key(
        name="field",
        read=reading.matching(r"[^\s.]+(\.[^\s.]+)*", "the dotted name of a field"),
        type="a dotted name",
        help="a field of JSON output; a number is an element of a list, # how many there are",
    ),
    Key(
        name="scale",
        read=reading.number(0),
        type="a number",
        default=1.0,
        default_text="1",
        help="what a number is multiplied by: 100 makes a percentage of a share",
    ),
)
"""The keys of one reading."""

reading_name = reading.matching(r"[a-z][a-z0-9_]*", "a name of small letters, digits and _")


OWN_READINGS = ("application_job", "bytes", "files", "digest", "percent", "state")
"""The readings that the program uses itself; others are for templates and expect."""


def _one_reading(node: Node, findings: Findings) -> Reading | None:
    if isinstance(node, Scalar):
        pattern = _reading_pattern(node, findings)
        return None if pattern is None else Reading(name="", pattern=pattern)
    read = reading.section_of(READING, "a reading")(node, findings)
    if read is None:
        return None
    if (read["pattern"] is None) == (read["field"] is None):
        if not {"pattern", "field"} & read.given or read["pattern"]:
            findings.add(node, "a reading needs either pattern or field")
        return None
    return Reading(name="", pattern=read["pattern"], field=read["field"], scale=read["scale"])


def readings(node: Node, findings: Findings) -> tuple[Reading, ...] | None:
    """Values to read from output, by their names."""
    found = reading.mapping(reading_name, _one_reading)(node, findings)
    if found is None:
        return None
    for each in node.entries.values() if isinstance(node, Table) else ():
        near = get_close_matches(each.key.text, OWN_READINGS, n=1, cutoff=0.8)
        if near and each.key.text not in OWN_READINGS:
            message = f'the program itself uses no reading "{each.key.text}"'
            findings.add(each.key, message, f'did you mean "{near[0]}"?', warning=True)
    return tuple(
        Reading(name=name, pattern=each.pattern, field=each.field, scale=each.scale)
        for name, each in found.items()
    )


def _cause_pattern(node: Node, findings: Findings) -> Reading | None:
    written = regular_expression(node, findings)
    if written is not None and re.compile(written).groups > 1:
        message = "a regular expression with one group, or without any, is expected here"
        findings.add(node, message, "put (?: ) around what is not to be shown")
        return None
    return None if written is None else Reading(name="cause", pattern=written)


CAUSE = keys_of(
    Key(
        name="field",
        read=READING["field"].read,
        type="a dotted name",
        help="a field of JSON output with its text; the last one counts",
    ),
)
"""The keys of a cause that is not a regular expression."""


def _one_cause(node: Node, findings: Findings) -> Reading | None:
    if isinstance(node, Scalar):
        return _cause_pattern(node, findings)
    read = reading.section_of(CAUSE, "a cause")(node, findings)
    if read is None or read["field"] is None:
        if isinstance(node, Table) and not node.entries:
            findings.add(node, "a cause is a regular expression or a field", "{field: message}")
        return None
    return Reading(name="cause", field=read["field"])


cause = reading.items(_one_cause, least=1, single=True)
"""Finds the line that says why a program failed; of several the first that finds one."""


def progress(node: Node, findings: Findings) -> Reading | None:
    """A reading of the percentage done."""
    found = _one_reading(node, findings)
    if found is None:
        return None
    return Reading(name="percent", pattern=found.pattern, field=found.field, scale=found.scale)


EXPECTATION = keys_of(
    Key(name="equals", read=template, type="a template", help='the value, as 1 or "{size}"'),
    Key(name="at_least", read=template, type="a template", help="the least number"),
    Key(
        name="outcome",
        read=reading.choice("warning", "failed"),
        type="warning or failed",
        default="failed",
        help="what it means when it does not hold; of a query, failed is a clear no, and warning"
        " says nothing",
    ),
)
"""The keys of one expectation."""


def _one_expectation(node: Node, findings: Findings) -> Expectation | None:
    if isinstance(node, Scalar):
        equals = template(node, findings)
        return None if equals is None else Expectation(reading="", equals=equals)
    read = reading.section_of(EXPECTATION, "an expectation")(node, findings)
    if read is None:
        return None
    if read["equals"] is None and read["at_least"] is None:
        if not {"equals", "at_least"} & read.given:
            findings.add(node, "an expectation needs equals or at_least")
        return None
    return Expectation(
        reading="", equals=read["equals"], at_least=read["at_least"], outcome=read["outcome"]
    )


def expectations(node: Node, findings: Findings) -> tuple[Expectation, ...] | None:
    """What readings must be, by their names."""
    found = reading.mapping(reading_name, _one_expectation)(node, findings)
    if found is None:
        return None
    return tuple(
        Expectation(reading=name, equals=each.equals, at_least=each.at_least, outcome=each.outcome)
        for name, each in found.items()
    )


PROOF = keys_of(
    Key(
        name="need",
        read=reading.choice("found", "data"),
        type="found or data",
        default_text="found",
        help="found: a query by its handle finds the copy; data: read_back has read the copy, and"
        " it is what the tape has",
    ),
    Key(
        name="every",
        read=reading.duration_within("1s"),
        type="a duration",
        default_text="only when it is needed",
        help="how often its copies are proven again; only where copies are made",
    ),
)
"""The keys of `proof`."""


def proof(node: Node, findings: Findings) -> Mapping[str, Proof | float] | None:
    """The proof that a copy needs, as fields of Work; a word alone stands for `need`."""
    if isinstance(node, Scalar):
        word = PROOF["need"].read(node, findings)
        return None if word is None else {"proof": Proof(word)}
    read = reading.section_of(PROOF, "proof")(node, findings)
    if read is None:
        return None
    if not read.given:
        findings.add(node, "a proof needs need or every", "proof: data, or proof: {every: 30d}")
    found: dict[str, Proof | float] = {}
    if read["need"] is not None:
        found["proof"] = Proof(read["need"])
    if read["every"] is not None:
        found["every"] = read["every"]
    return found


def or_none(read: reading.Read[object]) -> reading.Read[object]:
    """Make a reader that also takes the word none."""

    def either(node: Node, findings: Findings) -> object:
        if isinstance(node, Scalar) and node.text == "none":
            return "none"
        return read(node, findings)

    return either
