"""Finds which of many rules can match, without looking at each: a bit stands for a rule."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from attrs import define, field

from vtspolicy.grammar.command import Command
from vtspolicy.rules.decision import Circumstances

FEW = 16
"""Rules that are looked at one by one: to find those that can match would cost more."""

VALUES = 4096
"""Values of a key whose rules are remembered."""

TAPES = 8
"""Different values among the tapes of a command up to which they narrow the rules."""

Value = str | float | None


class Indexed(Protocol):
    """A condition, on a command or on a tape."""

    @property
    def key(self) -> str:
        """What it looks at."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """What it accepts, as written."""

    @property
    def is_exact(self) -> bool:
        """Whether its patterns are the values that it accepts."""

    @property
    def value(self) -> Callable[[Any, Circumstances], Value]:
        """Return what it looks at."""

    @property
    def accepts(self) -> Callable[[Any], bool]:
        """Return whether it accepts a value."""


@define(kw_only=True)
class _Key:
    """The rules by their conditions with one key, such as `pool`."""

    value: Callable[[Any, Circumstances], Value]  # of a command, or of a tape
    free: int  # the rules without such a condition
    exact: dict[str, int] = field(factory=lambda: defaultdict(int))  # value -> rules that want it
    others: list[tuple[Callable[[Any], bool], int]] = field(factory=list)  # each with its rules
    known: dict[Value, int] = field(factory=dict)  # what was found for values

    def rules(self, value: Value) -> int:
        """Return the rules whose condition accepts a value, and those without one."""
        found = self.known.get(value)
        if found is None:
            found = self.free | (self.exact.get(value, 0) if isinstance(value, str) else 0)
            for accepts, rules in self.others:
                if accepts(value):
                    found |= rules
            if len(self.known) >= VALUES:
                self.known.clear()
            self.known[value] = found
        return found


class Index:
    """The places of rules by the values that their conditions accept."""

    def __init__(
        self, command: Sequence[Sequence[Indexed]], targets: Sequence[Sequence[Indexed]]
    ) -> None:
        """Take the conditions of each rule on the command, and on what the command names."""
        self._all = (1 << len(command)) - 1
        self._command = _keys(command, self._all)
        self._targets = _keys(targets, self._all)

    def candidates(self, command: Command, around: Circumstances) -> Iterator[int]:
        """Yield, in order, the places of the rules that may match: no other does."""
        left = self._all
        for key in self._command:
            left &= key.rules(key.value(command, around))
        if around.tapes:
            for key in self._targets:
                values = {key.value(tape, around) for tape in around.tapes}
                if len(values) <= TAPES:
                    fits = 0
                    for value in values:
                        fits |= key.rules(value)
                    left &= fits
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest


def _keys(rules: Sequence[Sequence[Indexed]], every: int) -> list[_Key]:
    keys: dict[str, _Key] = {}
    alike: dict[tuple[str, tuple[str, ...]], tuple[Indexed, int]] = {}
    for at, conditions in enumerate(rules):
        for each in conditions:
            key = keys.setdefault(each.key, _Key(value=each.value, free=every))
            key.free &= ~(1 << at)
            _, wanted = alike.get((each.key, each.patterns), (each, 0))
            alike[each.key, each.patterns] = each, wanted | 1 << at
    for condition, wanted in alike.values():
        key = keys[condition.key]
        if condition.is_exact:
            for value in condition.patterns:
                key.exact[value] |= wanted
        else:
            key.others.append((condition.accepts, wanted))
    return list(keys.values())
