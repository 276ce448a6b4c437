"""How each rule was looked at: made where somebody asks, of what its conditions looked at."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

from vtspolicy.config.positions import Place
from vtspolicy.grammar.command import Command
from vtspolicy.rules.conditions import command_condition, tape_condition, target_condition
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.table import Condition, Rule, Table, TapeCondition

Value = str | float | None

TARGETS = ("vault", "pool", "cartridge")
"""What a command names of a target."""


@frozen(kw_only=True)
class Step:
    """How one rule was looked at."""

    number: int  # its place in the table, from 1
    rule: str  # its name
    matched: bool  # whether it decided
    condition: str | None = None  # the first condition that failed: `pool: PAY*`
    found: str | None = None  # what prevented it: `LEDGER`


@frozen(kw_only=True)
class Inputs:
    """What the conditions of a table looked at, for one command.

    Of several tapes these are the values of the first: none of them fits a rule that does not
    match, and what is told of such a rule is told of the first.
    """

    values: Mapping[str, Value]  # by the keys of the conditions
    targets: tuple[tuple[str | None, ...], ...] | None = None  # named, where there is no tape

    def to_data(self) -> dict[str, object]:
        """Return them as JSON's types."""
        return {"values": dict(self.values), "targets": self.targets}


def _inputs_from(data: Mapping[str, Any]) -> Inputs:
    named = data["targets"]
    return Inputs(
        values=data["values"],
        targets=None if named is None else tuple(tuple(each) for each in named),
    )


def inputs_of(table: Table, command: Command, around: Circumstances) -> Inputs:
    """Return what the conditions of a table look at, for a command."""
    keys = table.keys
    values: dict[str, Value] = {
        key: condition.value(command, around) for key, condition in keys.command.items()
    }
    if around.tapes:
        first = around.tapes[0]
        values |= {key: condition.value(first, around) for key, condition in keys.tape.items()}
        return Inputs(values=values)
    named = (tuple(getattr(each, key) for key in TARGETS) for each in command.targets)
    return Inputs(values=values, targets=tuple(named))


def steps(table: Table, inputs: Inputs, decided: int | None) -> list[Step]:
    """Return how each rule was looked at, up to the one that decided: its number, or None."""
    made = []
    for rule in table.rules:
        if rule.number == decided:
            made.append(Step(number=rule.number, rule=rule.name, matched=True))
            break
        condition, value = _failed(rule, inputs) or (None, None)
        made.append(
            Step(
                number=rule.number, rule=rule.name, matched=False, condition=condition, found=value
            )
        )
    return made


def _failed(rule: Rule, inputs: Inputs) -> tuple[str, str] | None:
    """The first condition of a rule that fails, and what it found; None if all hold."""
    for condition in rule.conditions:
        value = inputs.values.get(condition.key)
        text = value if isinstance(value, str | None) else str(value)
        if not condition.accepts(text):
            return str(condition), condition.nothing if text is None else text
    if inputs.targets is not None:
        return _failed_target(rule, inputs.targets)
    for each in rule.selects:
        value = inputs.values.get(each.key)
        if not each.accepts(value):
            return str(each), each.shown(value)
    return None


def _failed_target(
    rule: Rule, targets: tuple[tuple[str | None, ...], ...]
) -> tuple[str, str] | None:
    for each in rule.targets:
        at = TARGETS.index(each.key)
        if not any(each.accepts(target[at]) for target in targets):
            return str(each), "no tape"
    return ("; ".join(map(str, rule.selects)), "no tape") if rule.tapes else None


def outline(table: Table) -> str:
    """Return as JSON what decides in a table which rule matches: what `steps` needs of it."""
    rules = [
        {
            "number": rule.number,
            "rule": rule.name,
            "conditions": _written(rule.conditions),
            "targets": _written(rule.targets),
            "tapes": _written(rule.tapes),
        }
        for rule in table.rules
    ]
    return json.dumps(rules, ensure_ascii=False, separators=(",", ":"))


def _written(conditions: tuple[Condition | TapeCondition, ...]) -> list[list[str]]:
    return [[each.key, *each.patterns] for each in conditions]


def table_of_outline(text: str, digest: str) -> Table:
    """Return the table of an outline: its rules have their conditions, and nothing to do.

    Raises ValueError where it is not one, or has conditions that this version does not know.
    """
    try:
        rules = tuple(
            Rule(
                number=each["number"],
                name=each["rule"],
                place=Place(file=""),
                conditions=tuple(
                    command_condition(key, tuple(rest)) for key, *rest in each["conditions"]
                ),
                targets=tuple(target_condition(key, tuple(rest)) for key, *rest in each["targets"]),
                tapes=tuple(tape_condition(key, tuple(rest)) for key, *rest in each["tapes"]),
            )
            for each in json.loads(text)
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no outline of a rules table: {error}") from error
    return Table(applications={}, rules=rules, hash=digest)


def with_steps(trace: Mapping[str, Any], kept: str | None) -> dict[str, Any]:
    """Return why a command was decided so, with how each rule was looked at.

    `trace` is what was recorded with its request, `kept` the outline of the table that decided.
    Where that is not there, or made by a version that knew other conditions, it is said instead.
    """
    complete = dict(trace)
    inputs = complete.pop("inputs", None)
    if inputs is None:  # no rule was asked; or recorded by 0.1, with its steps
        return complete
    if kept is None:
        return {**complete, "no_steps": "the ledger does not have the table that decided"}
    try:
        table = table_of_outline(kept, complete["table"])
        made = steps(table, _inputs_from(inputs), complete["number"])
    except (KeyError, TypeError, ValueError) as error:
        return {**complete, "no_steps": f"this version cannot read the table: {error}"}
    return {**complete, "steps": [asdict(each) for each in made]}
