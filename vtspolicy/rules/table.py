"""The rules table as the program uses it: applications, rules with their conditions, calendar."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from attrs import field, frozen

from vtspolicy.config.positions import Place
from vtspolicy.config.problems import Problem
from vtspolicy.grammar.command import Command
from vtspolicy.rules.cleanup import Policy
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.expand import Template
from vtspolicy.rules.index import FEW, Index
from vtspolicy.rules.work import Query, Work
from vtspolicy.tapes import Tape

Each = Literal["cartridge", "pool"]
Status = Literal["verified", "unverified"]

ENGINE_SEATS = 16
"""How many tapes are erased or deleted at once: what the engine does itself takes no time."""


@frozen(kw_only=True)
class Condition:
    """A condition on the command and who sent it."""

    key: str  # host, keywords.retention
    patterns: tuple[str, ...]  # as written
    value: Callable[[Command, Circumstances], str | None]  # what it looks at
    accepts: Callable[[str | None], bool]  # whether that fits
    nothing: str = "none"  # how an absent value is called
    is_exact: bool = False  # its patterns are the values that fit, and no other does

    def __str__(self) -> str:
        """`pool: PAY*`."""
        return f"{self.key}: {', '.join(self.patterns)}"


@frozen(kw_only=True)
class TapeCondition:
    """A condition on a tape, which selects among the tapes of a command."""

    key: str  # pool, tape.size
    patterns: tuple[str, ...]  # as written
    value: Callable[[Tape, Circumstances], str | float | None]  # what it looks at
    accepts: Callable[[str | float | None], bool]  # whether that fits
    shown: Callable[[str | float | None], str] = str  # to people
    is_exact: bool = False  # its patterns are the values that fit, and no other does

    def __str__(self) -> str:
        """`tape.size: >= 10M`."""
        return f"{self.key}: {', '.join(self.patterns)}"


@frozen(kw_only=True)
class Application:
    """A program of the site that takes and keeps copies of tapes."""

    name: str  # TSM
    title: str  # in words
    status: Status = "verified"  # unverified: a template that the site has to complete
    source: str = ""  # where the facts come from
    seats: int = 1  # runs at once, per node
    programs: Mapping[str, str] = field(factory=dict)  # {program.NAME}
    places: Mapping[str, str] = field(factory=dict)  # {NAME}: the site's own constants
    defaults: Mapping[str, str] = field(factory=dict)  # of keywords that a command leaves out
    query: Query | None = None  # finds a copy by its handle
    delete: Query | None = None  # removes a copy by its handle
    read_back: Query | None = None  # reads the data of a copy
    touches: bool = False  # it changes the ctime of what it reads
    place: Place  # where it is defined


@frozen(kw_only=True)
class Rule:
    """One rule: when it matches, and what then."""

    number: int  # its place in the table, from 1
    name: str  # unique in the table
    place: Place  # where it is written
    conditions: tuple[Condition, ...] = ()  # on the command, looked at in this order
    targets: tuple[TapeCondition, ...] = ()  # vault, pool, cartridge
    tapes: tuple[TapeCondition, ...] = ()  # on the state of each tape
    families: tuple[str, ...] | None = None  # families and verbs that it may match; None: any
    deny: str | None = None  # the reason of a denial
    work: Work | None = None  # None for a denial
    each: Each = "cartridge"  # pool: one job for all tapes of a pool
    lock: Template | None = "{path}"  # None: no lock
    priority: int = 0  # higher runs first
    defaults: Mapping[str, str] = field(factory=dict)  # values for keywords, by their places
    places: Mapping[str, Place] = field(factory=dict, repr=False)  # where its keys are
    selects: tuple[TapeCondition, ...] = field(init=False, repr=False)  # targets and tapes

    @selects.default
    def _selects(self) -> tuple[TapeCondition, ...]:
        return (*self.targets, *self.tapes)


@frozen(kw_only=True)
class Keys:
    """A condition for each key that a table has: they all look at the same value."""

    command: Mapping[str, Condition]
    tape: Mapping[str, TapeCondition]


@frozen(kw_only=True)
class Table:
    """All applications and rules, in the order in which they are tried."""

    applications: Mapping[str, Application]
    rules: tuple[Rule, ...]
    calendar: Mapping[str, tuple[str, ...]] = field(factory=dict)  # named days, ISO dates
    cleanup: Policy = field(factory=Policy)  # when tapes are emptied automatically
    hash: str  # of its content: 12 hexadecimal digits
    files: tuple[Path, ...] = ()  # that it was read from
    warnings: tuple[Problem, ...] = field(default=(), repr=False)  # what is doubtful in it

    @cached_property
    def seats(self) -> Mapping[str, int]:
        """How many runs of each application may go at once, per node."""
        seats = {name: each.seats for name, each in self.applications.items()}
        for rule in self.rules:
            if rule.work is not None:
                own = 1 if rule.work.run else ENGINE_SEATS
                seats.setdefault(rule.work.application, own)
        return seats

    @cached_property
    def keys(self) -> Keys:
        """What the conditions of its rules look at."""
        return Keys(
            command={each.key: each for rule in self.rules for each in rule.conditions},
            tape={each.key: each for rule in self.rules for each in rule.selects},
        )

    @cached_property
    def by_family(self) -> dict[str, tuple[tuple[Rule, ...], Index | None]]:
        """The rules that may match a family, filled as families come."""
        return {}

    def of_family(self, family: str) -> tuple[Rule, ...]:
        """Return the rules that may match a family, in order."""
        return self._of_family(family)[0]

    def candidates(self, command: Command, around: Circumstances) -> Iterable[Rule]:
        """Return the rules that may match a command, in order; no other does."""
        rules, index = self._of_family(command.family)
        if index is None:
            return rules
        return (rules[at] for at in index.candidates(command, around))

    def _of_family(self, family: str) -> tuple[tuple[Rule, ...], Index | None]:
        found = self.by_family.get(family)
        if found is None:
            rules = tuple(
                rule for rule in self.rules if rule.families is None or family in rule.families
            )
            index = None
            if len(rules) > FEW:
                index = Index([rule.conditions for rule in rules], [rule.targets for rule in rules])
            found = rules, index
            if len(self.by_family) < 1000:  # families are few; a caller's mistakes may be many
                self.by_family[family] = found
        return found

    def asks_of_records(self, family: str) -> bool:
        """Whether a rule for a family looks at more of a tape than its name and its file."""
        return any(
            rule.tapes or (rule.work is not None and rule.work.then == "restored")
            for rule in self.of_family(family)
        )
