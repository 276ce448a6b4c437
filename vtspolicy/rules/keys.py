"""The keys of a rules table: name, type, default and help, in the one table of them."""

import re
from collections.abc import Mapping

from vtspolicy.config import reading
from vtspolicy.config.positions import Items, Node, Place, Scalar, Table, describe
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of
from vtspolicy.rules.conditions import WHEN, patterns
from vtspolicy.rules.expand import GROUP, TemplateError, parts_of
from vtspolicy.rules.work import Expectation, OutcomeName, Reading

DEFAULT_OUTCOME: Mapping[str, OutcomeName] = {"0": "completed", "default": "failed"}
"""How exit codes are judged where nothing else is said."""

DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds that one attempt may take where nothing else is said."""


class Written(str):
    """A template that remembers where it stands, until its places have been checked."""

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
        findings.add(node, str(error), "write {{ or }} for a brace that is meant as such")
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

_INPUT = Key(
    name="input", read=lines, type="a list of lines", default=(), help="what it reads on its input"
)

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
            message = f'"{entry.key.text}" is no exit code'
            findings.add(entry.key, message, "0 to 255, a range such as 100-110, or default")
        elif name is not None:
            for code in range(first, last + 1):
                if str(code) in codes:
                    findings.add(entry.key, f"the exit code {code} is given twice")
                codes[str(code)] = name
    return codes


def _pattern(node: Node, findings: Findings) -> str | None:
    """A regular expression."""
    written = reading.text(node, findings)
    if written is None:
        return None
    try:
        re.compile(written)
    except re.error as error:
        findings.add(node, f"this is no regular expression: {error}")
        return None
    return written


def _reading_pattern(node: Node, findings: Findings) -> str | None:
    written = _pattern(node, findings)
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

_reading_name = reading.matching(r"[a-z][a-z0-9_]*", "a name of small letters, digits and _")


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
    found = reading.mapping(_reading_name, _one_reading)(node, findings)
    if found is None:
        return None
    return tuple(
        Reading(name=name, pattern=each.pattern, field=each.field, scale=each.scale)
        for name, each in found.items()
    )


def _progress(node: Node, findings: Findings) -> Reading | None:
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
        help="what it means when it does not hold",
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
    found = reading.mapping(_reading_name, _one_expectation)(node, findings)
    if found is None:
        return None
    return tuple(
        Expectation(reading=name, equals=each.equals, at_least=each.at_least, outcome=each.outcome)
        for name, each in found.items()
    )


def _or_none(read: reading.Read[object]) -> reading.Read[object]:
    """Make a reader that also takes the word none."""

    def either(node: Node, findings: Findings) -> object:
        if isinstance(node, Scalar) and node.text == "none":
            return "none"
        return read(node, findings)

    return either


_optional_duration = _or_none(reading.duration)

TIMEOUTS = keys_of(
    Key(name="waiting", read=_optional_duration, type="a duration", help="until its first start"),
    Key(name="total", read=_optional_duration, type="a duration", help="all attempts together"),
    Key(name="silence", read=_optional_duration, type="a duration", help="without any output"),
    Key(
        name="grace",
        read=reading.duration,
        type="a duration",
        default_text="30s",
        help="from the request to stop (TERM) to the end (KILL)",
    ),
)
"""The keys of `timeouts`."""

RETRY = keys_of(
    Key(
        name="attempts",
        read=reading.integer(1, 1000),
        type="a number",
        default=1,
        help="how many in all, the first one counted",
    ),
    Key(
        name="delay",
        read=reading.duration,
        type="a duration",
        default=60.0,
        default_text="60s",
        help="before the second attempt",
    ),
    Key(
        name="backoff",
        read=reading.number(1, 100),
        type="a number",
        default=1.0,
        default_text="1",
        help="how many times longer each further delay is",
    ),
    Key(
        name="on",
        read=reading.items(reading.choice("failed", "timeout", "lost"), single=True, least=1),
        type="a list",
        default=("failed", "timeout"),
        default_text="failed, timeout",
        help="which ends are repeated: failed, timeout, lost",
    ),
)
"""The keys of `retry`."""

QUERY = keys_of(
    Key(
        name="run", read=arguments, type="an argument list", default=REQUIRED, help="what is asked"
    ),
    Key(name="outcome", read=outcome, type="a mapping", help="what its exit codes mean"),
    Key(name="read", read=readings, type="a mapping", default=(), help="what its output tells"),
    _INPUT,
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
        read=reading.duration,
        type="a duration",
        default=300.0,
        default_text="5m",
        help="how long it may take",
    ),
)
"""The keys of a query: `query`, `delete` and `verify`."""


def _list_or_section(keys: Mapping[str, Key], what: str) -> reading.Read[Section]:
    """Make a reader of a mapping for which its argument list can stand alone."""

    def read(node: Node, findings: Findings) -> Section | None:
        if isinstance(node, Items):
            argv = arguments(node, findings)
            if argv is None:
                return None
            values = {key.name: key.default for key in keys.values()} | {"run": argv}
            return Section(table=Table(place=node.place), values=values, given=frozenset({"run"}))
        return reading.section_of(keys, what)(node, findings)

    return read


POLL = {
    **QUERY,
    **keys_of(
        Key(
            name="every",
            read=reading.duration,
            type="a duration",
            default=10.0,
            default_text="10s",
            help="how often it is asked",
        ),
        Key(
            name="running",
            read=_pattern,
            type="a regular expression",
            default=REQUIRED,
            help="the values of the reading state while the job is in flight",
        ),
        Key(
            name="completed",
            read=_pattern,
            type="a regular expression",
            default=REQUIRED,
            help="those of success; every other value is a failure",
        ),
        Key(
            name="warning",
            read=_pattern,
            type="a regular expression",
            default="",
            help="those of an end with warnings",
        ),
        Key(
            name="find",
            read=_list_or_section(QUERY, "find"),
            type="an argument list or a query",
            help="reads application_job by {handle}, for when its submission was interrupted",
        ),
        Key(
            name="patience",
            read=reading.duration,
            type="a duration",
            default=1800.0,
            default_text="30m",
            help="how long no answer may come, and a cancelled job may take to end",
        ),
    ),
}
"""The keys of `poll`."""


def _retry(node: Node, findings: Findings) -> Section | None:
    if isinstance(node, Scalar):
        attempts = reading.integer(1, 1000)(node, findings)
        if attempts is None:
            return None
        values = {key.name: key.default for key in RETRY.values()} | {"attempts": attempts}
        return Section(table=Table(place=node.place), values=values, given=frozenset({"attempts"}))
    return reading.section_of(RETRY, "retry")(node, findings)


WORK = keys_of(
    Key(
        name="prepare",
        read=_list_or_section(QUERY, "prepare"),
        type="an argument list or a query",
        help="a call before each run, whose readings fill places of the run",
    ),
    _INPUT,
    Key(
        name="env",
        read=environment,
        type="a mapping",
        default={},
        default_text="none",
        help="variables added to the bare environment of a run",
    ),
    Key(
        name="each",
        read=reading.choice("cartridge", "pool"),
        type="cartridge or pool",
        default="cartridge",
        help="one job per tape, or one for the pool",
    ),
    Key(
        name="priority",
        read=reading.integer(-1000, 1000),
        type="a number",
        default=0,
        help="of jobs that wait the one with the higher priority runs first",
    ),
    Key(
        name="timeout",
        read=_optional_duration,
        type="a duration or none",
        default=DEFAULT_TIMEOUT,
        default_text="24h",
        help="how long one attempt may take",
    ),
    Key(
        name="timeouts",
        read=reading.section_of(TIMEOUTS, "timeouts"),
        type="a mapping",
        help="the other time-outs: waiting, total, silence, grace",
    ),
    Key(
        name="outcome",
        read=outcome,
        type="a mapping",
        default=DEFAULT_OUTCOME,
        default_text="{0: completed, default: failed}",
        help="what exit codes mean; one that is not listed is a failure",
    ),
    Key(
        name="read",
        read=readings,
        type="a mapping",
        default=(),
        help="values to read from the output, as files, bytes or application_job",
    ),
    Key(
        name="progress",
        read=_progress,
        type="a reading",
        help="how the percentage done is read from the output",
    ),
    Key(
        name="expect",
        read=expectations,
        type="a mapping",
        default=(),
        help="what readings must be, besides the exit code, for a success",
    ),
    Key(
        name="verify",
        read=_or_none(_list_or_section(QUERY, "verify")),
        type="an argument list, a query or none",
        help="a separate call that must find the copy",
    ),
    Key(
        name="poll",
        read=reading.section_of(POLL, "poll"),
        type="a query",
        help="how to follow a job that the application queues itself",
    ),
    Key(
        name="cancel",
        read=arguments,
        type="an argument list",
        default=(),
        help="tells a queued application to stop its job",
    ),
    Key(
        name="cancel_input",
        read=lines,
        type="a list of lines",
        default=(),
        help="what cancel reads on its input",
    ),
    Key(
        name="handle",
        read=_reading_name,
        type="the name of a reading",
        help="which reading names the copy, where the application cannot take our own handle",
    ),
    Key(
        name="ready",
        read=arguments,
        type="an argument list",
        default=(),
        help="a program to run when a recalled tape is ready to be mounted",
    ),
    Key(name="retry", read=_retry, type="a mapping or a number", help="repetition after failures"),
    Key(
        name="on_interrupt",
        read=reading.choice("retry", "fail"),
        type="retry or fail",
        default="fail",
        help="what happens after the machine stopped during a run",
    ),
    Key(
        name="between",
        read=patterns,
        type="hours or a list",
        help="hours in which it may start, outside of which it waits",
    ),
)
"""The keys of a rule that an application can give for all its rules."""

APPLICATION = {
    **keys_of(
        Key(name="title", read=reading.text, type="a text", default="", help="the product"),
        Key(
            name="status",
            read=reading.choice("verified", "unverified"),
            type="verified or unverified",
            default="verified",
            help="unverified: a template that the site has to complete and confirm",
        ),
        Key(
            name="source",
            read=reading.text,
            type="a text",
            default="",
            help="where its facts come from",
        ),
        Key(
            name="seats",
            read=reading.integer(1, 10_000),
            type="a number",
            default=1,
            help="how many of its runs may go at once, per node",
        ),
        Key(
            name="programs",
            read=reading.mapping(
                reading.matching(r"[A-Za-z][A-Za-z0-9_-]*", "a name"), reading.text
            ),
            type="a mapping",
            default={},
            default_text="none",
            help="programs by name, for {program.NAME}",
        ),
        Key(
            name="places",
            read=reading.mapping(_reading_name, reading.text),
            type="a mapping",
            default={},
            default_text="none",
            help="the site's own constants, for {NAME}",
        ),
        Key(
            name="defaults",
            read=reading.mapping(reading.text, reading.text),
            type="a mapping",
            default={},
            default_text="none",
            help="values of keywords, by their long names, for commands that do not give them",
        ),
        Key(
            name="query",
            read=_list_or_section(QUERY, "query"),
            type="an argument list or a query",
            help="finds a copy by {handle}; the default verify of rules with then: migrated",
        ),
        Key(
            name="delete",
            read=_list_or_section(QUERY, "delete"),
            type="an argument list or a query",
            help="removes a copy by {handle}",
        ),
        Key(
            name="archive",
            read=reading.section_of(WORK, "archive"),
            type="a mapping",
            help="keys for its rules with then: migrated",
        ),
        Key(
            name="restore",
            read=reading.section_of(WORK, "restore"),
            type="a mapping",
            help="keys for its rules with then: restored",
        ),
    ),
    **WORK,
}
"""The keys of an application."""

RULE = {
    **keys_of(
        Key(
            name="rule",
            read=reading.matching(r"[^\x00-\x1f\x7f]{1,80}", "a name of at most 80 characters"),
            type="a name",
            default=REQUIRED,
            help="its name, which is told wherever it decides",
        ),
        Key(
            name="when",
            read=reading.section_of(WHEN, "when"),
            type="a mapping",
            help="what must hold; without it the rule always matches",
        ),
        Key(
            name="application",
            read=reading.text,
            type="a name",
            default_text="the family in when",
            help="whose program it runs",
        ),
        Key(name="run", read=arguments, type="an argument list", help="the program and arguments"),
        Key(name="deny", read=reading.text, type="a text", help="the reason why it is forbidden"),
        Key(
            name="then",
            read=reading.choice("migrated", "restored", "erased", "deleted"),
            type="migrated, restored, erased or deleted",
            help="what success means for the tape",
        ),
        Key(
            name="lock",
            read=template,
            type="a template or none",
            default="{path}",
            help="two jobs with locks that overlap never run together",
        ),
    ),
    **WORK,
}
"""The keys of a rule."""

_day = reading.matching(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", "a day, as 2026-12-25,"
)

TOP = keys_of(
    Key(
        name="applications",
        read=reading.mapping(
            reading.matching(r"[A-Za-z][A-Za-z0-9_-]{0,31}", "a name of letters, digits, _ and -"),
            lambda node, _: node,
        ),
        type="a mapping",
        default={},
        default_text="none",
        help="the applications by name",
    ),
    Key(
        name="rules",
        read=reading.items(lambda node, _: node),
        type="a list of rules",
        default=(),
        help="the rules, of which the first that matches decides",
    ),
    Key(
        name="calendar",
        read=reading.mapping(
            reading.matching(r"[A-Za-z][A-Za-z0-9_]*", "a name"),
            reading.items(_day, single=True),
        ),
        type="a mapping",
        default={},
        default_text="none",
        help="named days for between",
    ),
)
"""The keys of a rules file; keys that begin with x- are left to the site, for its anchors."""
