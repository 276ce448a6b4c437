"""Work: what a matched rule asks for, with its `{name}` places still open.

A job keeps its work and its values as they were decided, so that a table which is reloaded later
changes nothing that was already accepted.
"""

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from vtspolicy.rules.expand import Template, names_in
from vtspolicy.tapes import Proof

OutcomeName = Literal["completed", "warning", "failed"]
Then = Literal["migrated", "restored", "erased", "deleted", "proven"]
RestoresTo = Literal["path", "target", "staging"]
"""Where a restore writes: on the tape itself, a private file beside it, or a private folder."""


@frozen(kw_only=True)
class Retry:
    """How often a failed attempt is repeated."""

    attempts: int = 1  # in all, the first one counted
    delay: float = 60.0  # seconds before the second attempt
    backoff: float = 1.0  # each further delay is so many times longer
    on: tuple[str, ...] = ("failed", "timeout")  # which ends are repeated: failed, timeout, lost


@frozen(kw_only=True)
class Limits:
    """The four time-outs of a job, in seconds; None: without limit."""

    waiting: float | None = None  # from accepted to the first start
    attempt: float | None = None  # one attempt (`timeout` in a rule)
    total: float | None = None  # all attempts together, from the first start
    silence: float | None = None  # no output for so long
    grace: float = 30.0  # from TERM to KILL


@frozen(kw_only=True)
class Reading:
    """A value to read from the output of an application."""

    name: str  # the place it fills: files, bytes, application_job, savetime, percent
    pattern: str | None = None  # a regular expression with one group; the last match counts
    field: str | None = None  # or the dotted name of a field of a JSON line; the last one counts
    scale: float = 1.0  # what a number is multiplied by: 100 makes a percentage of a share


@frozen(kw_only=True)
class Expectation:
    """What a reading must be for the run to count as a success."""

    reading: str  # the name of a Reading
    equals: Template | None = None  # "1", "{size}"
    at_least: Template | None = None  # a number
    outcome: OutcomeName = "failed"  # what the job becomes when it does not hold


@frozen(kw_only=True)
class Query:
    """A separate call whose answer is judged: a verification, or a poll."""

    run: tuple[Template, ...]  # the argument list
    input: tuple[Template, ...] = ()  # lines that it reads on its standard input
    timeout: float = 300.0  # seconds; a query that hangs is a failed query
    outcome: Mapping[str, OutcomeName] = field(factory=dict)  # exit code -> outcome, with default
    readings: tuple[Reading, ...] = ()  # what to read from its output
    expect: tuple[Expectation, ...] = ()  # what must hold
    absent: tuple[str, ...] = ()  # exit codes, and words of its output, that are a clear no
    prepare: "Query | None" = None  # a call before it, whose readings fill its places
    cause: tuple[Reading, ...] = ()  # finds the line of its output that says why it failed


@frozen(kw_only=True)
class Poll:
    """How to follow a job that the application queues itself (Bacula)."""

    query: Query  # asked again and again; its reading `state` decides
    every: float = 10.0  # seconds
    running: str = ""  # a regular expression of the states in flight
    completed: str = ""  # of the states that are a success
    warning: str = ""  # of those that are done with warnings; every other state failed
    find: Query | None = None  # finds the job by {handle} when its number is not known
    patience: float = 1800.0  # seconds without any answer, or until a cancelled job has ended


@frozen(kw_only=True)
class Work:
    """Everything that is needed to run one job and to judge its end."""

    application: str  # whose seats it takes
    prepare: Query | None = None  # a call before each run; its readings fill places of the run
    run: tuple[Template, ...] = ()  # the argument list; empty for what the engine does itself
    input: tuple[Template, ...] = ()  # lines that it reads on its standard input
    then: Then | None = None  # what success means for the tape
    env: Mapping[str, Template] = field(factory=dict)  # added to the bare environment of a run
    outcome: Mapping[str, OutcomeName] = field(factory=dict)  # exit code or "default" -> outcome
    readings: tuple[Reading, ...] = ()  # what to read from the output
    expect: tuple[Expectation, ...] = ()  # what must hold in addition to the exit code
    cause: tuple[Reading, ...] = ()  # finds the line of the output that says why it failed
    verify: Query | None = None  # a separate query that must find the copy
    poll: Poll | None = None  # for queued applications
    cancel: tuple[Template, ...] = ()  # asks a queued application to stop its job
    cancel_input: tuple[Template, ...] = ()  # lines that `cancel` reads on its standard input
    handle: str | None = None  # the reading that names the copy, where our own handle cannot
    ready: tuple[Template, ...] = ()  # a program to run when a recalled tape is ready
    limits: Limits = Limits()  # time-outs
    retry: Retry = Retry()  # repetition
    on_interrupt: Literal["retry", "fail"] = "fail"  # after the machine or the run died
    between: str | None = None  # hours in which it may start, as written
    calendar: Mapping[str, tuple[str, ...]] = field(factory=dict)  # named days that it refers to
    proof: Proof | None = None  # what an erase needs to know of a copy; None: the default
    every: float | None = None  # seconds after which its copies are proven again; None: never
    read_back: Query | None = None  # reads the data of its copy and gives its SHA-256 as `digest`
    touches: bool = False  # its application changes the ctime of what it reads, and nothing else

    @property
    def restores_to(self) -> RestoresTo:
        """Where a restore writes, by the places that it uses: `{target}`, `{staging}` or none."""
        templates = [*self.run, *self.input]
        if self.prepare is not None:
            templates += [*self.prepare.run, *self.prepare.input]
        used = {name for each in templates for name in names_in(each)}
        return "target" if "target" in used else "staging" if "staging" in used else "path"
