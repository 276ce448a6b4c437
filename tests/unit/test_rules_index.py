"""Many rules: those that can match are found without looking at each."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.rule_tables import AROUND, COMMANDS, TABLES, table_of, tapes
from vtspolicy.grammar import Command, Target
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.index import FEW, TAPES, VALUES, Index
from vtspolicy.rules.match import decide

NOON = datetime.fromisoformat("2026-01-05 12:00")


def of(rules):
    return Index([each.conditions for each in rules], [each.targets for each in rules])


def matching(table, command, around):
    """The places of the rules that match, each asked alone."""
    rules = table.rules
    singles = (type(table)(applications={}, rules=(rule,), hash="") for rule in rules)
    return [at for at, each in enumerate(singles) if decide(each, command, around).rule]


@given(st.lists(TABLES, min_size=1, max_size=5), COMMANDS, AROUND)
def test_no_rule_that_matches_is_passed_over(parts, command, around):
    table = table_of([rule for part in parts for rule in part])
    found = list(of(table.rules).candidates(command, around))
    assert found == sorted(found)
    assert set(matching(table, command, around)) <= set(found)


def pools(count):
    return table_of([{"family": "DSK", "pool": f"P{number}"} for number in range(count)])


def about(pool, *more):
    command = Command(family="DSK", targets=(Target(vault="V", pool=pool),))
    facts = [f"/V/{pool}/T1", *more]
    return command, Circumstances(node="n", at=NOON, tapes=tapes(*facts))


def test_of_many_rules_one_is_looked_at():
    table = pools(10 * FEW)
    assert [each.name for each in table.candidates(*about("P17"))] == ["r17"]
    assert decide(table, *about("P17")).number == 18
    assert list(table.candidates(*about("Q"))) == []


def test_a_value_is_found_again_when_many_others_came():
    table = pools(2 * FEW)
    for number in range(VALUES + 10):
        assert decide(table, *about(f"Q{number}")).rule is None
    assert decide(table, *about("P3")).rule == "r3"


def test_tapes_of_many_pools_are_compared_with_each_rule():
    table = pools(10 * FEW)
    others = [f"/V/P{number}/T1" for number in range(20, 21 + TAPES)]
    command, around = about("P17", *others)
    assert decide(table, command, around).rule == "r17"
    assert len(list(table.candidates(command, around))) == 10 * FEW
