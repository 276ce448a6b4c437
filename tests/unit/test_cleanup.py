"""The cleanup: which tapes are emptied by themselves, and every reason why not."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy import tapes
from vtspolicy.grammar import shipped
from vtspolicy.rules.cleanup import Fullness, Policy, plan, retention_seconds, verdict
from vtspolicy.rules.load import read_table
from vtspolicy.tapes import Tape

DAY = 86400.0
NOW = 1000 * DAY
BARE = Tape(vault="VAULT01", pool="PAY", cartridge="A00017", path="/v/PAY/A00017")
WRITTEN = evolve(BARE, size=1000, written=NOW - 100 * DAY)
MIGRATED = tapes.migrated(
    WRITTEN, at=NOW - 99 * DAY, handle="H", application="DSK", retention="14,d", verified=True
)
POLICY = Policy(threshold=80.0, minimum=500)
FULL, EMPTY = Fullness(total=100, taken=90), Fullness(total=100, taken=10)


@pytest.mark.parametrize(
    ("tape", "reason"),
    [
        (BARE, "deleted"),
        (evolve(BARE, size=0), "empty already"),
        (evolve(MIGRATED, locked=True), "locked"),
        (WRITTEN, "not migrated"),
        (evolve(MIGRATED, by_us=False), "not migrated by us"),
        (evolve(MIGRATED, written=NOW - 50 * DAY), "written after its last copy"),
        (evolve(MIGRATED, verified=None), "its copy was never found by a query"),
        (evolve(MIGRATED, restoring=5.0), "not restored well"),
        (evolve(MIGRATED, size=499, copied_size=499), "smaller than 500"),
        (tapes.restored(MIGRATED, at=NOW - 3600), "in use until"),
        (evolve(MIGRATED, mounted=NOW - 3600), "in use until"),
        (evolve(MIGRATED, retention="200,d"), "not past retention until"),
        (evolve(MIGRATED, retention=None), "no retention is given"),
    ],
)
def test_a_tape_stays_and_the_verdict_says_why(tape, reason):
    said = verdict(tape, POLICY, NOW, EMPTY)
    assert not said.erase
    assert said.reason.startswith(reason)


@pytest.mark.parametrize(
    ("tape", "fullness", "reason"),
    [
        (MIGRATED, EMPTY, "past retention since"),
        (MIGRATED, None, "past retention since"),
        (evolve(MIGRATED, retention="200,d"), FULL, "VAULT01 is 90% full, above 80%"),
        (
            evolve(WRITTEN, override="x y", override_size=1000, override_written=WRITTEN.written),
            EMPTY,
            "user authorized: x y",
        ),
    ],
)
def test_a_tape_goes_and_the_verdict_says_why(tape, fullness, reason):
    said = verdict(tape, POLICY, NOW, fullness)
    assert said.erase
    assert said.reason.startswith(reason)


def test_a_policy_without_anything_empties_nothing_that_has_no_retention():
    assert not verdict(evolve(MIGRATED, retention=None), Policy(), NOW, FULL).erase


def test_a_site_can_give_the_retention_that_commands_left_out():
    kept = evolve(MIGRATED, retention=None)
    assert verdict(kept, Policy(retention=98 * DAY), NOW, None).erase
    assert not verdict(kept, Policy(retention=100 * DAY), NOW, None).erase


@pytest.mark.parametrize(
    ("written", "days"), [("14,d", 14), ("36,h", 1.5), ("2,w", 14), ("1,m", 30), ("1,y", 365)]
)
def test_the_units_of_a_retention(written, days):
    assert retention_seconds(written) == days * DAY


@pytest.mark.parametrize("written", [None, "", "14", "d,14", "14,D", "-1,d", "14,d,e", "٣,d"])
def test_what_is_no_retention_says_nothing(written):
    assert retention_seconds(written) is None


def a_tape(number, *, age, size=10, retention="200,d"):
    tape = Tape(
        vault="VAULT01",
        pool="PAY",
        cartridge=f"A{number:05d}",
        path=f"/v/PAY/A{number:05d}",
        size=size,
        written=NOW - age * DAY,
    )
    return tapes.migrated(
        tape, at=NOW - age * DAY, handle="H", application="DSK", retention=retention, verified=True
    )


def test_a_full_vault_is_emptied_from_its_oldest_tapes_on_and_only_until_it_is_not_full():
    known = [a_tape(1, age=10), a_tape(2, age=30), a_tape(3, age=20)]
    policy = Policy(threshold=75.0)
    judged = plan(known, policy, NOW, {"VAULT01": Fullness(total=100, taken=90)})
    assert [tape.cartridge for tape, said in judged if said.erase] == ["A00002", "A00003"]


def test_what_must_go_anyhow_counts_before_others_have_to():
    known = [a_tape(1, age=30, retention="5,d"), a_tape(2, age=40)]
    judged = plan(known, Policy(threshold=85.0), NOW, {"VAULT01": Fullness(total=100, taken=90)})
    assert [tape.cartridge for tape, said in judged if said.erase] == ["A00001"]


@given(
    st.lists(st.tuples(st.integers(2, 300), st.integers(0, 50)), max_size=8),
    st.integers(1, 100),
    st.integers(0, 100),
)
def test_every_tape_has_one_verdict_and_locked_or_foreign_ones_never_go(ages, threshold, taken):
    known = [a_tape(number, age=age, size=size) for number, (age, size) in enumerate(ages)]
    known += [evolve(each, locked=True, path=each.path + "L") for each in known]
    known += [evolve(each, by_us=False, path=each.path + "F") for each in known]
    policy = Policy(threshold=float(threshold), rest=0.0)
    judged = plan(known, policy, NOW, {"VAULT01": Fullness(total=100, taken=taken)})
    assert sorted(tape.path for tape, _ in judged) == sorted(tape.path for tape in known)
    for tape, said in judged:
        assert not (said.erase and (tape.locked or not tape.by_us or not tape.size))


# -- how it is written


def read(tmp_path, *texts):
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text)
    table, findings = read_table(files, vocabulary=shipped())
    return table.cleanup, [str(each).replace(f"{tmp_path}/", "") for each in findings.problems]


def test_a_table_without_a_cleanup_cleans_nothing_up(tmp_path):
    policy, problems = read(tmp_path, "rules: []\n")
    assert (policy, problems) == (Policy(), [])
    assert (policy.hour, policy.threshold, policy.dry_run) == (None, None, True)


def test_a_cleanup_says_when_and_what(tmp_path):
    written = "cleanup: {hour: 0, threshold: 85, minimum: 1M, retention: 30d, dry_run: false}\n"
    policy, problems = read(tmp_path, written)
    assert problems == []
    assert policy == Policy(
        hour=0, threshold=85.0, minimum=2**20, retention=30 * DAY, rest=DAY, dry_run=False
    )


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("hour: 24", "0.yaml:1:18: 24 is too large; at most 23"),
        ("threshold: 0", "0.yaml:1:23: 0 is too small; at least 1"),
        ("dryrun: true", '0.yaml:1:12: cleanup has no key "dryrun"; did you mean "dry_run"?'),
    ],
)
def test_a_mistake_in_a_cleanup_has_its_place_and_its_remedy(tmp_path, written, problem):
    _, problems = read(tmp_path, f"cleanup: {{ {written}}}\n")
    assert problems == [problem]


def test_a_site_has_one_cleanup(tmp_path):
    policy, problems = read(tmp_path, "cleanup: {hour: 1}\n", "cleanup: {hour: 2}\n")
    assert policy.hour == 1
    assert len(problems) == 1
    assert "a site has one cleanup" in problems[0]
