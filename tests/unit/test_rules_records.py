"""Which families' rules want to know what the ledger has of a tape."""

import pytest

from vtspolicy.grammar import shipped
from vtspolicy.rules.load import load_table

RULES = """
applications:
  DSK: {title: disk, outcome: {0: completed, default: failed}}
  RST: {title: restic, outcome: {0: completed, default: failed}}
rules:
  - rule: copies
    when: {family: DSK}
    run: [/bin/true, "{path}", "{size}"]
    then: migrated
  - rule: only what is large
    when: {family: RST, tape: {size: ">= 1M"}}
    run: [/bin/true, "{path}"]
  - rule: bring back
    application: DSK
    when: {family: Restore}
    run: [/bin/true, "{handle}"]
    then: restored
"""


@pytest.mark.parametrize(
    ("family", "asks"), [("DSK", False), ("RST", True), ("Restore", True), ("TSM", False)]
)
def test_only_conditions_on_tapes_and_restores_ask_the_ledger(tmp_path, family, asks):
    (tmp_path / "rules.yaml").write_text(RULES)
    table = load_table([tmp_path / "rules.yaml"], vocabulary=shipped())
    assert table.asks_of_records(family) is asks


def test_a_rule_for_any_family_asks_for_all_of_them(tmp_path):
    more = "  - rule: never what is large\n    when: {tape: {size: '> 1T'}}\n    deny: too large\n"
    (tmp_path / "rules.yaml").write_text(RULES + more)
    table = load_table([tmp_path / "rules.yaml"], vocabulary=shipped())
    assert table.asks_of_records("TSM")
