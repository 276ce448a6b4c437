"""The keys of a rules table: name, type, default and help, in the one table of them."""

from vtspolicy.config import reading
from vtspolicy.config.positions import Node, Scalar, Table
from vtspolicy.config.reading import REQUIRED, Findings, Key, Section, keys_of
from vtspolicy.rules.cleanup import CLEANUP
from vtspolicy.rules.conditions import WHEN, patterns
from vtspolicy.rules.forms import (
    arguments,
    cause,
    environment,
    expectations,
    lines,
    or_none,
    outcome,
    progress,
    proof,
    reading_name,
    readings,
    template,
)
from vtspolicy.rules.query_keys import (
    CALL,
    DEFAULT_OUTCOME,
    DEFAULT_TIMEOUT,
    INPUT,
    POLL,
    QUERY,
    READ_BACK,
    list_or_section,
)

_optional_duration = or_none(reading.duration_within("1s"))

TIMEOUTS = keys_of(
    Key(name="waiting", read=_optional_duration, type="a duration", help="until its first start"),
    Key(
        name="total",
        read=_optional_duration,
        type="a duration",
        help="all attempts together, and the waits between them: from the first start",
    ),
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
        help="how many times longer each further delay is, up to a week",
    ),
    Key(
        name="on",
        read=reading.items(reading.choice("failed", "timeout", "lost"), single=True, least=1),
        type="a list",
        default=("failed", "timeout"),
        default_text="failed, timeout",
        help="which ends are repeated: failed, timeout, lost (how it ended is not known)",
    ),
)
"""The keys of `retry`."""


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
        read=list_or_section(CALL, "prepare"),
        type="an argument list or a query",
        help="a call before each run, whose readings fill places of the run",
    ),
    INPUT,
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
        read=progress,
        type="a reading",
        help="how the percentage done is read from the output",
    ),
    Key(
        name="expect",
        read=expectations,
        type="a mapping",
        default=(),
        help="what readings must be, in addition to the exit code, for a success",
    ),
    Key(
        name="cause",
        read=cause,
        type="a regular expression, {field: NAME} or a list",
        default=(),
        default_text="the last line",
        help="finds the line of the output that says why it failed, for the reason: of several"
        " lines the last, of a list the first that finds one; a group is the part that is shown;"
        " it is also tried on what its calls say (prepare, verify, poll and so on)",
    ),
    Key(
        name="verify",
        read=or_none(list_or_section(QUERY, "verify")),
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
        help="asks a queued application to stop its job",
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
        read=reading_name,
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

_READ_BACK = Key(
    name="read_back",
    read=reading.section_of(READ_BACK, "read_back"),
    type="a query",
    help="reads the data of a copy and gives its SHA-256 as the reading digest, for the proof data",
)

_PROOF = Key(
    name="proof",
    read=proof,
    type="found, data or a mapping",
    default_text="found",
    help="what must be known of a copy before its tape is emptied; of the rule that made the copy"
    " and the one that empties the tape the stricter counts",
)

EVIDENCE = keys_of(_PROOF, _READ_BACK)
"""The keys of a rule that say how its copies are proven."""

ARCHIVE = {**WORK, **keys_of(_PROOF)}
"""The keys of `archive` in an application."""

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
            read=reading.mapping(reading_name, reading.text),
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
            read=list_or_section(QUERY, "query"),
            type="an argument list or a query",
            help="finds a copy by {handle}; the default verify of rules with then: migrated",
        ),
        Key(
            name="delete",
            read=list_or_section(QUERY, "delete"),
            type="an argument list or a query",
            help="removes a copy by {handle}; only in shipped tables, to be read: it is not run",
        ),
        _READ_BACK,
        Key(
            name="touches",
            read=reading.items(reading.choice("ctime"), single=True, least=1),
            type="a list",
            default=(),
            default_text="nothing",
            help="ctime: it resets the access time of what it reads, so that the change time moves"
            " though nothing was written",
        ),
        Key(
            name="archive",
            read=reading.section_of(ARCHIVE, "archive"),
            type="a mapping",
            help="keys for its rules with then: migrated, and proof",
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
            help="its name, which is shown wherever it decides",
        ),
        Key(
            name="when",
            read=reading.section_of(
                WHEN, "when", elsewhere="; those of commands are under keywords: {NAME: VALUE}"
            ),
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
    **EVIDENCE,
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
    Key(
        name="cleanup",
        read=reading.section_of(CLEANUP, "cleanup"),
        type="a mapping",
        help="when tapes whose copy is enough are emptied automatically",
    ),
)
"""The keys of a rules file; keys that begin with x- are left to the site, for its anchors."""
