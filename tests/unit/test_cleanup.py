"""The cleanup: which tapes are emptied by themselves, and every reason why not."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.evidence import a_copy, a_file, a_tape, migrated
from vtspolicy.grammar import shipped
from vtspolicy.rules.cleanup import Fullness, Policy, plan, retention_seconds, verdict
from vtspolicy.rules.load import read_table
from vtspolicy.tapes import Facts, VaultFeatures, with_file

DAY = 86400.0
NOW = 1000 * DAY
BARE = a_tape()
WRITTEN = a_tape(a_file(1000, NOW - 100 * DAY))
COPY = a_copy(WRITTEN, began=NOW - 99 * DAY, ended=NOW - 99 * DAY)
MIGRATED = evolve(migrated(WRITTEN, COPY), retention="14,d")
SMALL = a_tape(a_file(499, NOW - 100 * DAY))
POLICY = Policy(threshold=80.0, minimum=500)
FULL, EMPTY = Fullness(total=100, taken=90), Fullness(total=100, taken=10)


def facts(tape, *copies, **more):
    """What the cleanup knows of a tape."""
    return Facts(tape=tape, copies=copies, now=NOW, cleanup=True, **more)


@pytest.mark.parametrize(
    ("tape", "copies", "reason"),
    [
        (BARE, (), "deleted"),
        (a_tape(a_file(0)), (), "empty already"),
        (evolve(MIGRATED, locked=True), (COPY,), "locked"),
        (WRITTEN, (), "no copy of this tape is recorded"),
        (MIGRATED, (evolve(COPY, by_us=False),), "its copy was not made by us"),
        (with_file(MIGRATED, a_tape(a_file(1000, NOW - 50 * DAY))), (COPY,), "the tape was writ"),
        (MIGRATED, (evolve(COPY, after=None),), "what its copy H1 holds is not known"),
        (MIGRATED, (evolve(COPY, lost=NOW),), "DSK does not have its copy H1 any more"),
        (evolve(MIGRATED, restoring=5.0), (COPY,), "it is half-restored"),
        (migrated(SMALL), (a_copy(SMALL),), "smaller than 500"),
        (evolve(MIGRATED, restored=NOW - 3600), (COPY,), "in use until"),
        (evolve(MIGRATED, mounted=NOW - 3600), (COPY,), "in use until"),
        (evolve(MIGRATED, retention="200,d"), (COPY,), "not past retention until"),
        (evolve(MIGRATED, retention=None), (COPY,), "no retention is given"),
        (evolve(MIGRATED, cartridge="Ü 1"), (COPY,), "no command can be written about a tape"),
        (evolve(MIGRATED, cartridge="-rf"), (COPY,), "no command can be written about a tape"),
    ],
)
def test_a_tape_stays_and_the_verdict_says_why(tape, copies, reason):
    said = verdict(facts(tape, *copies), POLICY, EMPTY)
    assert not said.erase
    assert said.reason.startswith(reason)


def test_a_tape_stays_in_a_vault_that_does_not_tell_what_is_open():
    blind = VaultFeatures(leases=False)
    assert "CAP_LEASE" in verdict(facts(MIGRATED, COPY, features=blind), POLICY, EMPTY).reason
    accepted = facts(MIGRATED, COPY, features=blind, accepted=("leases",))
    assert verdict(accepted, POLICY, EMPTY).erase


OVERRIDDEN = evolve(WRITTEN, override="x y", override_at=NOW - 3600, override_seen=WRITTEN.seen)


@pytest.mark.parametrize(
    ("tape", "fullness", "reason"),
    [
        (MIGRATED, EMPTY, "past retention since"),
        (MIGRATED, None, "past retention since"),
        (evolve(MIGRATED, retention="200,d"), FULL, "VAULT01 is 90% full, above 80%"),
        (OVERRIDDEN, EMPTY, "user authorized: x y"),
    ],
)
def test_a_tape_goes_and_the_verdict_says_why(tape, fullness, reason):
    said = verdict(facts(tape, COPY), POLICY, fullness)
    assert said.erase
    assert said.reason.startswith(reason)


@pytest.mark.parametrize(
    "tape",
    [
        evolve(OVERRIDDEN, override_at=NOW - DAY),
        evolve(OVERRIDDEN, override_job=12),
        with_file(OVERRIDDEN, a_tape(a_file(1000, NOW - 50 * DAY))),
    ],
)
def test_an_override_that_expired_or_is_anothers_empties_nothing(tape):
    assert not verdict(facts(tape), POLICY, FULL).erase


def test_a_policy_without_anything_empties_nothing_that_has_no_retention():
    assert not verdict(facts(evolve(MIGRATED, retention=None), COPY), Policy(), FULL).erase


def test_a_site_can_give_the_retention_that_commands_left_out():
    kept = facts(evolve(MIGRATED, retention=None), COPY)
    assert verdict(kept, Policy(retention=98 * DAY), None).erase
    assert not verdict(kept, Policy(retention=100 * DAY), None).erase


@pytest.mark.parametrize(
    ("written", "days"), [("14,d", 14), ("36,h", 1.5), ("2,w", 14), ("1,m", 30), ("1,y", 365)]
)
def test_the_units_of_a_retention(written, days):
    assert retention_seconds(written) == days * DAY


@pytest.mark.parametrize("written", [None, "", "14", "d,14", "14,D", "-1,d", "14,d,e", "٣,d"])
def test_what_is_no_retention_says_nothing(written):
    assert retention_seconds(written) is None


def known(number, *, age, size=10, retention="200,d", by_us=True, letter="A", **more):
    """What the cleanup knows of a tape that was copied as it was written."""
    tape = a_tape(a_file(size, NOW - age * DAY), cartridge=f"{letter}{number:05d}")
    copy = a_copy(tape, retention=retention, by_us=by_us)
    return facts(evolve(migrated(tape, copy), **more), copy)


def test_a_full_vault_is_emptied_from_its_oldest_tapes_on_and_only_until_it_is_not_full():
    all_of_them = [known(1, age=10), known(2, age=30), known(3, age=20)]
    policy = Policy(threshold=75.0)
    judged = plan(all_of_them, policy, {"VAULT01": Fullness(total=100, taken=90)})
    assert [tape.cartridge for tape, said in judged if said.erase] == ["A00002", "A00003"]


def test_what_must_go_anyhow_counts_before_others_have_to():
    both = [known(1, age=30, retention="5,d"), known(2, age=40)]
    judged = plan(both, Policy(threshold=85.0), {"VAULT01": Fullness(total=100, taken=90)})
    assert [tape.cartridge for tape, said in judged if said.erase] == ["A00001"]


@pytest.mark.parametrize("odd", [{"migrated": 1e300}, {"retention": "99999,y"}, {"mounted": 1e300}])
def test_one_odd_tape_keeps_no_other_from_the_cleanup(odd):
    judged = plan([known(1, age=30, **odd), known(2, age=30, retention="5,d")], Policy(), {})
    assert [tape.cartridge for tape, said in judged if said.erase] == ["A00002"]
    assert len(judged) == 2


def test_a_time_beyond_all_calendars_is_told_in_words():
    judged = plan([known(1, age=30, retention="99999,y")], Policy(), {})
    assert judged[0][1].reason == "not past retention until a time that no calendar has"


def test_a_tape_that_cannot_be_judged_is_told_and_keeps_no_other(monkeypatch):
    def fails_for_one(each, *given):
        if each.tape.cartridge == "A00001":
            raise OverflowError("too large")
        return verdict(each, *given)

    monkeypatch.setattr("vtspolicy.rules.cleanup.verdict", fails_for_one)
    both = [known(1, age=30), known(2, age=30, retention="5,d")]
    (_, first), (_, second) = plan(both, Policy(), {})
    assert (first.erase, first.reason) == (False, "it cannot be judged: too large")
    assert second.erase


@given(
    st.lists(st.tuples(st.integers(2, 300), st.integers(0, 50)), max_size=8),
    st.integers(1, 100),
    st.integers(0, 100),
)
def test_every_tape_has_one_verdict_and_locked_or_foreign_ones_never_go(ages, threshold, taken):
    several = []
    for number, (age, size) in enumerate(ages):
        several.append(known(number, age=age, size=size))
        several.append(known(number, age=age, size=size, locked=True, letter="L"))
        several.append(known(number, age=age, size=size, by_us=False, letter="F"))
    policy = Policy(threshold=float(threshold), rest=0.0)
    judged = plan(several, policy, {"VAULT01": Fullness(total=100, taken=taken)})
    assert sorted(tape.path for tape, _ in judged) == sorted(each.tape.path for each in several)
    for tape, said in judged:
        assert not (said.erase and (tape.cartridge[0] != "A" or not tape.size))


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


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        ("{threshold: 80, dry_run: false}", True),
        ("{hour: none, threshold: 80}", False),
        ("{hour: 0}", False),
    ],
)
def test_a_cleanup_that_never_runs_is_a_warning_unless_that_is_said(tmp_path, written, warned):
    (tmp_path / "rules.yaml").write_text(f"rules: []\ncleanup: {written}\n")
    _, findings = read_table([tmp_path / "rules.yaml"], vocabulary=shipped())
    found = ["this cleanup has no hour: it never runs"] if warned else []
    assert [each.message for each in findings.problems] == found
    assert not findings.errors
