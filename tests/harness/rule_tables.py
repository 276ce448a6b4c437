"""Tables of rules, commands and what is around them, for tests of decisions."""

from datetime import datetime

from hypothesis import strategies as st

from vtspolicy.config.positions import Table as Tree
from vtspolicy.config.positions import read_text
from vtspolicy.grammar import Command, Target, shipped
from vtspolicy.rules import load as loading
from vtspolicy.rules.decision import Circumstances
from vtspolicy.rules.facts import tape_of

NOON = datetime.fromisoformat("2026-01-05 12:00")


def tapes(*facts):
    return tuple(tape_of(each, at=NOON) for each in facts)


CONDITION_ROWS = [
    ("{}", True),
    ("{family: TSM}", True),
    ("{family: [NBU, TSM]}", True),
    ("{family: 'T*'}", True),
    ("{family: NBU}", False),
    ("{operation: archive}", True),
    ("{operation: none}", False),
    ("{vault: VAULT01}", True),
    ("{vault: VAULT02}", False),
    ("{pool: 'PAY*'}", True),
    ("{pool: 'pay*'}", False),
    ("{pool: PAY}", False),
    ("{pool: ['A*', '?AYROLL']}", True),
    ("{pool: '[A-P]AYROLL'}", True),
    ("{cartridge: 'A0001?'}", True),
    ("{cartridge: B00017}", False),
    ("{host: NSK1}", True),
    ("{host: NSK2}", False),
    (r"{system: '\NSK1'}", True),
    (r"{system: '\NSK2'}", False),
    ("{user: SUPER.OPER}", True),
    ("{user: SUPER.SUPER}", False),
    ("{node: vts1}", True),
    ("{node: vts2}", False),
    ("{keywords: {retention: present}}", True),
    ("{keywords: {retention: absent}}", False),
    ("{keywords: {retention: '14,d'}}", True),
    ("{keywords: {retention: ['1,*', '14,*']}}", True),
    ("{keywords: {optfile: present}}", False),
    ("{keywords: {optfile: absent, retention: '*,d'}}", True),
    ("{tape: {size: '>= 1M'}}", True),
    ("{tape: {size: ['> 1M', '< 1G']}}", False),
    ("{tape: {age: '>= 1d'}}", True),
    ("{tape: {age: '< 12h'}}", False),
    ("{tape: {migrated: false}}", True),
    ("{tape: {migrated: true}}", False),
    ("{tape: {state: written}}", True),
    ("{tape: {state: erased}}", False),
    ("{tape: {application: DSK}}", False),
    ("{family: TSM, pool: 'PAY*', tape: {state: written}, between: '20:00-06:00'}", True),
]


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "family": st.sampled_from(["TSM", "[TSM, NBU]", "'*'", "Erase", "'T*'"]),
        "operation": st.sampled_from(["archive", "none", "[archive, none]"]),
        "pool": st.sampled_from(["PAY", "'P*'", "[OLD, PAY]", "'*'"]),
        "cartridge": st.sampled_from(["A1", "'A*'", "'*1'"]),
        "host": st.sampled_from(["NSK1", "'NSK*'", "[NSK1, NSK2]"]),
        "keywords": st.sampled_from(
            ["{source: present}", "{source: absent}", "{source: a}", "{source: ['a*', b]}"]
        ),
        "tape": st.sampled_from(
            ["{size: '> 1K'}", "{migrated: true}", "{state: [written, erased]}"]
        ),
    },
)


TABLES = st.lists(CONDITIONS, min_size=1, max_size=6)


COMMANDS = st.builds(
    lambda family, operation, source, target: Command(
        family=family,
        operation=operation,
        targets=(target,),
        keywords={} if source is None else {"source": source},
    ),
    st.sampled_from(["TSM", "NBU", "Erase", "Unknown"]),
    st.sampled_from(["archive", None]),
    st.sampled_from([None, "a", "ab", "b", "c"]),
    st.sampled_from([Target(vault="VAULT01", pool="PAY"), Target(cartridge="A1")]),
)


AROUND = st.builds(
    lambda host, facts: Circumstances(node="n", at=NOON, host=host, tapes=tapes(*facts)),
    st.sampled_from([None, "NSK1", "NSK2"]),
    st.lists(
        st.sampled_from(
            [
                "/VAULT01/PAY/A1",
                "/VAULT01/PAY/A2 size=5",
                "/VAULT01/OLD/B1 migrated",
                "/VAULT01/P/A1 erased",
            ]
        ),
        max_size=3,
    ),
)


def table_of(rules):
    text = "rules:\n"
    for number, when in enumerate(rules):
        conditions = ", ".join(f"{key}: {value}" for key, value in when.items())
        text += f"  - {{rule: r{number}, when: {{{conditions}}}, deny: x}}\n"
    node, problems = read_text(text, file="f")
    assert isinstance(node, Tree)
    assert problems == []
    # Rules that never match, such as Erase with archive, are errors to people but tables to us.
    table, _ = loading.table_of_trees([(False, node)], vocabulary=shipped())
    return table
