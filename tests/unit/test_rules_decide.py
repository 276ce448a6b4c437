"""Decisions: the first rule that matches, tapes that are left out, values, and the trace."""

import json

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.rule_tables import (
    AROUND,
    COMMANDS,
    CONDITION_ROWS,
    CONDITIONS,
    NOON,
    TABLES,
    table_of,
    tapes,
)
from vtspolicy.events.event import Event
from vtspolicy.grammar import parse, shipped
from vtspolicy.rules.decision import Circumstances, Verdict, proven_user
from vtspolicy.rules.expand import expand
from vtspolicy.rules.facts import FactsError, imagined, tape_of
from vtspolicy.rules.load import load_table
from vtspolicy.rules.match import NO_DATA, NO_FILE, decide
from vtspolicy.rules.places import PLACES, RUN_PLACES
from vtspolicy.rules.steps import Inputs, inputs_of, outline, steps, with_steps
from vtspolicy.rules.unreachable import rule_covers, unreachable


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        return load_table([path], vocabulary=shipped())

    return load


def about(text, *facts, **more):
    command = parse(text, shipped())
    found = tapes(*facts) if facts else imagined(command, at=NOON)
    return command, Circumstances(node="vts1", at=NOON, tapes=found, **more)


def verdict_of(table, text, *facts, **more):
    return decide(table, *about(text, *facts, **more))


def steps_of(table, command, around):
    return steps(table, inputs_of(table, command, around), decide(table, command, around).number)


ARCHIVE = "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017 r=14,d'"


@pytest.mark.parametrize(("when", "matches"), CONDITION_ROWS)
def test_a_condition_holds_or_fails(load, when, matches):
    table = load(f"rules: [{{rule: a, when: {when}, deny: later}}]")
    command = about(ARCHIVE, host="NSK1", system="\\NSK1", user="SUPER.OPER")
    assert decide(table, *command).verdict is (Verdict.DENIED if matches else Verdict.NO_RULE)
    [step] = steps_of(table, *command)
    assert step.matched is matches
    assert (step.condition is None) is matches


def test_the_first_rule_that_matches_decides(load):
    table = load(
        "rules:\n  - {rule: a, when: {family: NBU}, deny: x}\n"
        "  - {rule: b, when: {family: TSM}, deny: y}\n  - {rule: c, deny: z}\n"
    )
    decision = verdict_of(table, ARCHIVE)
    assert (decision.rule, decision.number, decision.reason) == ("b", 2, "y")
    made = steps_of(table, *about(ARCHIVE))
    assert [step.rule for step in made] == ["a", "b"]
    assert (made[0].condition, made[0].found) == ("family: NBU", "TSM")


def test_a_user_that_the_event_does_not_prove_matches_nothing(load):
    table = load("rules: [{rule: a, when: {user: '*'}, deny: later}]")
    assert steps_of(table, *about(ARCHIVE))[0].found == "not proven by the event"


def test_the_user_of_a_console_text_is_the_collectors_and_proves_nothing():
    console = Event(text="x", ssid="TANDEM.EMS.L01", number=512, user="SUPER.SUPER")
    assert proven_user(console) is None
    own = Event(text="x", ssid="ACME.BATCH.L01", number=512, user="SUPER.SUPER")
    assert proven_user(own) == "SUPER.SUPER"


POOL = "VTSPolicy TSM 'archive /VAULT01/PAYROLL'"


def test_a_pool_becomes_a_job_for_each_tape_that_fits(load):
    table = load(
        "rules: [{rule: a, when: {family: TSM, tape: {size: '>= 1M'}}, run: [x, '{path}']}]"
    )
    decision = verdict_of(
        table,
        POOL,
        "/VAULT01/PAYROLL/A1 size=2M",
        "/VAULT01/PAYROLL/A2 size=5",
        "/VAULT01/PAYROLL/A3",
    )
    assert [job.tape.cartridge for job in decision.jobs] == ["A1", "A3"]
    assert decision.left_out == (("/VAULT01/PAYROLL/A2", "tape.size: >= 1M, and it is 5 bytes"),)


def test_a_rule_that_no_tape_fits_does_not_match(load):
    table = load(
        "rules:\n  - {rule: a, when: {family: TSM, tape: {migrated: true}}, deny: done already}\n"
        "  - {rule: b, when: {family: TSM}, run: [x]}\n"
    )
    assert verdict_of(table, POOL, "/VAULT01/PAYROLL/A1").rule == "b"
    assert verdict_of(table, POOL, "/VAULT01/PAYROLL/A1 migrated").rule == "a"
    decision = verdict_of(table, POOL)
    assert (decision.rule, decision.jobs) == ("b", ())


def test_one_job_does_a_pool(load):
    table = load("rules: [{rule: a, when: {family: TSM}, run: [x, '{path}'], each: pool}]")
    decision = verdict_of(table, POOL, "/VAULT01/PAYROLL/A1", "/VAULT01/PAYROLL/A2")
    [job] = decision.jobs
    assert (job.pool, job.tape, job.lock) == ("/VAULT01/PAYROLL", None, "/VAULT01/PAYROLL")
    assert job.values["path"] == "/VAULT01/PAYROLL"
    assert not {"cartridge", "size"} & set(job.values)


def test_a_cartridge_of_a_pool_rule_is_a_job_of_its_own(load):
    table = load("rules: [{rule: a, when: {family: TSM}, run: [x, '{path}'], each: pool}]")
    [job] = verdict_of(table, ARCHIVE).jobs
    assert job.tape.cartridge == "A00017"


def test_tapes_that_are_named_alone_are_matched_by_where_they_are(load):
    table = load(
        "rules:\n  - {rule: kept, when: {family: Delete, pool: 'PAY*'}, deny: seven years}\n"
        "  - {rule: yes it may, when: {family: Delete}, then: deleted}\n"
    )
    text = "VTSPolicy Delete - A1 A2"
    assert verdict_of(table, text, "/VAULT01/PAY/A1", "/VAULT01/OLD/A2").rule == "kept"
    assert verdict_of(table, text, "/VAULT01/OLD/A1", "/VAULT01/OLD/A2").rule == "yes it may"


def test_a_run_is_for_the_tapes_that_its_rule_is_for(load):
    table = load("rules: [{rule: a, when: {family: Erase, pool: OLD}, then: erased}]")
    decision = verdict_of(table, "VTSPolicy Erase - A1 A2", "/VAULT01/PAY/A1", "/VAULT01/OLD/A2")
    assert [job.tape.cartridge for job in decision.jobs] == ["A2"]
    assert decision.left_out == (("/VAULT01/PAY/A1", "pool: OLD, and it is PAY"),)


def test_an_empty_pool_matches_by_its_name_and_becomes_no_job(load):
    table = load("rules: [{rule: a, when: {family: TSM, pool: PAYROLL}, run: [x]}]")
    decision = decide(table, parse(POOL, shipped()), Circumstances(node="n", at=NOON))
    assert (decision.verdict, decision.jobs) == (Verdict.RUN, ())


def test_a_restore_has_the_handle_and_the_size_of_the_newest_copy(load):
    table = load(
        "rules: [{rule: a, when: {family: Restore, tape: {application: DSK}},"
        " run: [x, '{handle}', '{size}'], then: restored}]"
    )
    text = "VTSPolicy Restore - A1"
    [job] = verdict_of(table, text, "/VAULT01/PAY/A1 erased handle=7-3 size=2K").jobs
    assert expand(job.work.run, job.values) == ("x", "7-3", "2048")


def test_a_tape_that_a_restore_names_has_a_job_also_without_a_copy(load):
    """The job fails and says why, with the tape as it is then."""
    table = load(
        "rules: [{rule: a, when: {family: Restore}, application: DSK, run: [x, '{handle}'],"
        " then: restored}]"
    )
    decision = verdict_of(table, "VTSPolicy Restore - A1", "/VAULT01/PAY/A1")
    assert [job.tape.name for job in decision.jobs] == ["/VAULT01/PAY/A1"]
    assert decision.left_out == ()


@pytest.mark.parametrize(
    ("state", "reason"), [("erased handle=7-3", NO_DATA), ("deleted handle=7-3", NO_FILE)]
)
def test_a_tape_without_data_is_left_out_of_a_copy_and_keeps_the_one_it_has(load, state, reason):
    table = load("rules: [{rule: a, when: {family: DSK}, run: [x, '{path}'], then: migrated}]")
    facts = "/VAULT01/PAY/A1", f"/VAULT01/PAY/A2 {state}"
    decision = verdict_of(table, "VTSPolicy DSK 'archive /VAULT01/PAY'", *facts)
    assert [job.tape.name for job in decision.jobs] == ["/VAULT01/PAY/A1"]
    assert decision.left_out == (("/VAULT01/PAY/A2", reason),)


def test_an_archive_has_no_handle_before_it_runs(load):
    table = load("rules: [{rule: a, when: {family: DSK}, run: [x, '{handle}'], then: migrated}]")
    [job] = verdict_of(table, "VTSPolicy DSK '/VAULT01/PAY/A1'", "/VAULT01/PAY/A1 stale").jobs
    assert "handle" not in job.values
    assert expand(job.work.run, job.values, keep=RUN_PLACES) == ("x", "{handle}")


def test_the_values_of_a_job_are_all_that_the_table_of_names_says(load):
    table = load("rules: [{rule: a, when: {family: BAC}, run: [x]}]")
    text = "VTSPolicy BAC 'archive /VAULT01/PAY/A1 pool=Tapes j=Night ref=R1'"
    [job] = verdict_of(table, text, host="NSK1", system="\\NSK1", user="A.B").jobs
    at_the_start = {"req", "job", "attempt", "handle", "rundir", "target", "staging"}
    of_mounts = {"seq", "drive"}
    always = set(PLACES) - at_the_start - of_mounts
    assert set(job.values) == always | {"keyword.pool", "jobname"}
    assert job.values["pool"] == "PAY"
    assert job.values["keyword.pool"] == "Tapes"


def test_a_default_stands_for_a_keyword_that_is_not_given(load):
    table = load(
        "applications: {NBU: {defaults: {policy: P}}}\n"
        "rules: [{rule: a, when: {family: NBU}, run: [x, '{policy}', '{schedule}']}]"
    )
    for text, arguments in (
        ("VTSPolicy NBU '/VAULT01/PAY/A1'", ("x", "P")),
        ("VTSPolicy NBU '/VAULT01/PAY/A1 policy=Q'", ("x", "Q")),
    ):
        [job] = verdict_of(table, text).jobs
        assert expand(job.work.run, job.values) == arguments


def test_a_lock_that_names_what_is_absent_is_the_path(load):
    table = load("rules: [{rule: a, when: {family: TSM}, run: [x], lock: '{optfile}'}]")
    [job] = verdict_of(table, ARCHIVE).jobs
    assert job.lock == "/VAULT01/PAYROLL/A00017"


# -- properties


@given(TABLES, COMMANDS, AROUND)
def test_the_trace_shows_the_truth_about_the_decision(rules, command, around):
    table = table_of(rules)
    decision = decide(table, command, around)
    made = steps_of(table, command, around)
    assert [step.number for step in made] == list(range(1, len(made) + 1))
    assert [step.matched for step in made[:-1]] == [False] * len(made[:-1])
    assert made[-1].matched is (decision.rule is not None)
    assert len(made) == (decision.number or len(rules))
    for step in made:  # each rule alone says of itself what its step says of it
        alone = table_of([rules[step.number - 1]])
        assert (decide(alone, command, around).verdict is Verdict.DENIED) is step.matched
        [own] = steps_of(alone, command, around)
        assert (own.condition, own.found) == (step.condition, step.found)
        assert (step.condition is None) is step.matched


@given(TABLES, COMMANDS, AROUND)
def test_steps_are_made_of_what_the_ledger_keeps(rules, command, around):
    table = table_of(rules)
    number = decide(table, command, around).number
    inputs = inputs_of(table, command, around)
    trace = {"table": "t", "number": number, "inputs": inputs.to_data()}
    made = with_steps(json.loads(json.dumps(trace)), outline(table))
    assert made["steps"] == [asdict(each) for each in steps(table, inputs, number)]


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (None, "the ledger does not have the table that decided"),
        ('[{"number": 1, "rule": "a", "conditions": [["moon", "full"]]}]', "'moon'"),
        (
            (
                '[{"number": 1, "rule": "a", "conditions": [], "targets": [],'
                ' "tapes": [["tape.size", "large"]]}]'
            ),
            "large is not a comparison",
        ),
        ("{}{", "Extra data"),
        ("7", "not iterable"),
    ],
)
def test_a_table_that_is_not_kept_or_unknown_is_told(kept, told):
    inputs = Inputs(values={}, targets=()).to_data()
    made = with_steps({"table": "t", "number": None, "inputs": inputs, "rule": None}, kept)
    assert told in made["no_steps"]
    assert "steps" not in made
    assert made["rule"] is None


def test_what_was_recorded_with_its_steps_is_told_as_it_was():
    trace = {"table": "t", "steps": [{"number": 1}]}
    assert with_steps(trace, None) == trace


@given(CONDITIONS, CONDITIONS, COMMANDS, AROUND)
def test_a_rule_that_covers_another_takes_all_its_commands(wide, narrow, command, around):
    first, second = table_of([wide, narrow]).rules
    if rule_covers(first, second):
        decided = decide(table_of([narrow]), command, around).verdict
        if decided is Verdict.DENIED:
            assert decide(table_of([wide]), command, around).verdict is Verdict.DENIED


@given(st.lists(CONDITIONS, min_size=2, max_size=8))
def test_the_first_rule_that_covers_another_is_found(conditions):
    table = table_of(conditions)
    expected = {}
    for rule in table.rules:
        covering = [each for each in table.rules[: rule.number - 1] if rule_covers(each, rule)]
        if covering:
            expected[rule.place.line] = f"rule {covering[0].number}, "
    found = {each.line: each.message for each in unreachable(table, ())}
    assert found.keys() == expected.keys()
    assert all(expected[line] in message for line, message in found.items())


# -- facts


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ("", "written"),
        ("migrated", "migrated"),
        ("stale", "written"),
        ("erased", "erased"),
        ("deleted", "deleted"),
        ("size=0", "scratch"),
        ("handle=1-1", "migrated"),
        ("proof=found", "migrated"),
        ("touched", "migrated"),
        ("lost", "migrated"),
        ("open", "written"),
        ("half-restored", "erased"),
    ],
)
def test_facts_say_in_which_state_a_tape_is(facts, state):
    assert tape_of(f"/VAULT01/PAY/A1 {facts}", at=NOON).state == state


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "A1",
        "/VAULT01/PAY",
        "/VAULT01/PAY/A1 siz=1",
        "/VAULT01/PAY/A1 migrated=1",
        "/VAULT01/PAY/A1 size",
        "/VAULT01/PAY/A1 age=x",
        "/VAULT01/PAY/A1 proof=x",
        "/VAULT01/PAY/A1 open=yes",
    ],
)
def test_words_that_say_nothing_of_a_tape_are_refused(facts):
    with pytest.raises(FactsError):
        tape_of(facts, at=NOON)
