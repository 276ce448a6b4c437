"""Rules that can never match, because an earlier one takes all their commands."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from attrs import frozen

from vtspolicy.config.problems import Problem
from vtspolicy.rules.conditions import covers, is_glob, stem_of
from vtspolicy.rules.places import is_shipped
from vtspolicy.rules.table import Rule, Table

MOST = 3_000_000
"""Patterns that are compared for one table: a few seconds. Only a table of thousands needs more."""

LENGTH = 32
"""Characters of a value that are matched as fast as a pattern is looked at."""

SIZES = frozenset({"of tape.size", "of tape.age"})
"""Conditions whose patterns are comparisons."""


@frozen
class _Patterns:
    """What a condition takes."""

    written: tuple[str, ...]
    alike: frozenset[str]  # the same
    globs: tuple[str, ...]


Shape = Mapping[str, _Patterns]
"""The patterns of a rule by what they are about; those about tapes stand for themselves."""

Key = tuple[str, str | None]
"""What a condition is about, and the text with which all begins that it takes."""

_ANY: Key = ("", None)
"""Where a rule without conditions is found."""


def unreachable(table: Table, broken: Collection[int]) -> Iterator[Problem]:
    """Report each rule that an earlier one covers; `broken` are the numbers of those left out."""
    earlier = _Earlier()
    for rule in table.rules:
        if rule.number in broken:
            continue
        if earlier.compared > MOST:
            yield rule.place.problem(
                f"the table is too large to find all rules that can never match: from rule"
                f' {rule.number}, "{rule.name}", on, none is looked at',
                "write one rule with a list instead of many that differ in one value",
                warning=True,
            )
            return
        shape = _shape(rule)
        first = earlier.first_that_covers(shape)
        if first is not None:
            yield rule.place.problem(
                f'the rule "{rule.name}" can never match: rule {first.number},'
                f' "{first.name}", takes all its commands',
                f"put it before that one ({first.place.file}:{first.place.line}), or narrow"
                " that one",
                warning=is_shipped(rule.place) and not is_shipped(first.place),
            )
        earlier.add(rule, shape)


def rule_covers(wide: Rule, narrow: Rule) -> bool:
    """Return whether every command that fits `narrow` fits `wide` too; False where unsure."""
    return _Earlier().covers(_shape(wide), _shape(narrow))


@frozen
class _Known:
    rule: Rule
    shape: Shape


class _Earlier:
    """The rules that were looked at, found by the beginnings of what they take."""

    def __init__(self) -> None:
        self.rules: list[_Known] = []
        self.found: defaultdict[Key, list[int]] = defaultdict(list)
        self.compared = 0  # patterns

    def add(self, rule: Rule, shape: Shape) -> None:
        """Take a rule up; it is found by that of its conditions which fewest others share."""
        self.rules.append(_Known(rule, shape))
        ways = [_beginnings(key, patterns) for key, patterns in shape.items()] or [{_ANY}]
        crowds = [max(len(self.found.get(key, ())) for key in way) for way in ways]
        for key in ways[crowds.index(min(crowds))]:
            self.found[key].append(len(self.rules) - 1)

    def first_that_covers(self, shape: Shape) -> Rule | None:
        """Return the first rule that takes all that fits a shape, or None."""
        places = set(self.found.get(_ANY, ()))
        for key, patterns in shape.items():
            begins = stem_of(patterns.written[0])
            for end in range(len(begins) + 1):
                places.update(self.found.get((key, begins[:end]), ()))
            places.update(self.found.get((key, None), ()))
        for place in sorted(places):
            if self.covers(self.rules[place].shape, shape):
                return self.rules[place].rule
        return None

    def covers(self, wide: Shape, narrow: Shape) -> bool:
        """Return whether all that fits `narrow` fits `wide`, too."""
        self.compared += 1
        return all(self._covered(key, its, narrow.get(key)) for key, its in wide.items())

    def _covered(self, key: str, wide: _Patterns, narrow: _Patterns | None) -> bool:
        if narrow is None:
            return False
        if key in SIZES:
            return wide.written == narrow.written
        if wide.written == ("present",) and key.startswith("keywords."):
            return narrow.written != ("absent",)
        if {"present", "absent"} & (wide.alike | narrow.alike):
            return wide.written == narrow.written
        for ours in narrow.written:
            if ours in wide.alike:
                continue
            self.compared += len(wide.globs) * (1 + len(ours) // LENGTH)
            if not any(covers(each, ours) for each in wide.globs):
                return False
        return True


def _beginnings(key: str, patterns: _Patterns) -> set[Key]:
    if key in SIZES or not patterns.alike.isdisjoint({"present", "absent"}):
        return {(key, None)}
    return {(key, stem_of(each)) for each in patterns.written}


def _shape(rule: Rule) -> Shape:
    shape = {each.key: _patterns(each.patterns) for each in rule.conditions}
    tapes = (*rule.targets, *rule.tapes)
    return shape | {f"of {each.key}": _patterns(each.patterns) for each in tapes}


def _patterns(written: tuple[str, ...]) -> _Patterns:
    return _Patterns(written, frozenset(written), tuple(filter(is_glob, written)))
