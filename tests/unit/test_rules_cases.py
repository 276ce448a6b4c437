"""Rule tests: what they can expect, how they differ, what they cover, and how they are written."""

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from attrs import evolve

from vtspolicy.config.load import SHIPPED
from vtspolicy.config.model import Configuration, Host
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.grammar import shipped
from vtspolicy.rules.case_file import CASE, read_cases
from vtspolicy.rules.cases import failed_cases, run_cases
from vtspolicy.rules.junit import junit
from vtspolicy.rules.load import load_table

RULES = """
rules:
  - {rule: keep, when: {family: Delete, pool: "PAY*"}, deny: seven years}
  - {rule: night, when: {family: TSM, user: '*'}, run: [x, "{path}"], between: "20:00-06:00"}
  - {rule: store, when: {family: TSM}, run: [x, "{path}", "-c={retention}"]}
"""


@pytest.fixture
def run(tmp_path):
    def run(cases, rules=RULES, **given):
        (tmp_path / "rules.yaml").write_text(rules)
        (tmp_path / "cases.yaml").write_text(cases, encoding="utf-8")
        table = load_table([tmp_path / "rules.yaml"], vocabulary=shipped())
        return run_cases(table, shipped(), read_cases(tmp_path / "cases.yaml"), **given)

    return run


TSM = "command: VTSPolicy TSM '/VAULT01/PAYROLL/A1 r=14,d'"


@pytest.mark.parametrize(
    "expected",
    [
        "rule: store",
        "run: [x, /VAULT01/PAYROLL/A1, '-c=14,d']",
        "run: [[x, /VAULT01/PAYROLL/A1, '-c=14,d']]",
        "jobs: 1",
        "application: TSM",
        "locks: [/VAULT01/PAYROLL/A1]",
        "starts: 2026-01-05 12:00",
        "left_out: []",
        "norule: false",
        "{rule: store, jobs: 1}",
    ],
)
def test_a_case_that_is_as_expected_passes(run, expected):
    lines = expected.strip("{}").replace(", jobs", "\n    jobs")
    [result] = run(f"cases:\n  - case: a\n    {TSM}\n    {lines}\n").results
    assert result.passed, result.difference


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("rule: keep", "-rule: keep\n+rule: store"),
        ("run: [y, /VAULT01/PAYROLL/A1, '-c=14,d']", "-  - y\n+  - x"),
        ("run: []", "+  - x"),
        ("jobs: 2", "-jobs: 2\n+jobs: 1"),
        ("denied: true", "-denied: True\n+denied: None"),
        ("norule: true", "-norule: True\n+norule: False"),
        ("error: nothing", "-  message: nothing"),
        ("starts: 2026-01-05 20:00", "+starts: 2026-01-05 12:00"),
        ("application: NBU", "+application: TSM"),
    ],
)
def test_a_case_that_is_not_shows_the_difference(run, expected, line):
    [result] = run(f"cases:\n  - case: a\n    {TSM}\n    {expected}\n").results
    assert not result.passed
    assert line in result.difference


SITE = Configuration(
    file="site.yaml",
    node="vts1",
    listen=(),
    ledger="sqlite:///ledger",
    spool=Path("spool"),
    hosts={
        "NSK1": Host(
            name="NSK1", systems=("\\NSK1",), vaults=("VAULT01",), families=("TSM", "Erase")
        )
    },
)


@pytest.mark.parametrize(
    ("given", "denied"),
    [
        ("command: VTSPolicy TSM '/VAULT01/PAYROLL/A1'", None),
        ("command: VTSPolicy TSM '/VAULT02/PAYROLL/A1'", "host NSK1 may not use vault VAULT02"),
        ("command: VTSPolicy NBU '/VAULT01/PAYROLL/A1'", "host NSK1 may not use NBU"),
        ("command: VTSPolicy Delete - A1", "host NSK1 may not use Delete"),
        (
            "command: VTSPolicy Erase - A1\n    tapes: [/VAULT02/PAYROLL/A1]",
            "host NSK1 may not use vault VAULT02",
        ),
        (
            "command: VTSPolicy TSM '/VAULT01/PAYROLL/A1'\n    system: '\\NSK2'",
            "system \\NSK2 is not one of this host's systems",
        ),
    ],
)
def test_a_case_has_the_rights_of_its_host_as_the_server_gives_them(run, given, denied):
    case = f"cases:\n  - case: a\n    host: NSK1\n    {given}\n"
    expected = f'"{denied}"'.replace("\\", "\\\\") if denied else "x"
    [right] = run(f"{case}    denied: {expected}\n", configuration=SITE).results
    [rule] = run(f"{case}    rule: store\n", configuration=SITE).results
    assert (right.passed, rule.passed) == ((True, False) if denied else (False, True))


def test_a_case_without_a_host_is_an_operators_and_has_all_rights(run):
    case = (
        "cases:\n  - case: a\n    command: VTSPolicy TSM '/VAULT02/PAYROLL/A1'\n    rule: store\n"
    )
    assert run(case, configuration=SITE).failed == ()


def test_an_unknown_host_is_an_error_with_the_nearest_name(run):
    case = f"cases:\n  - case: a\n    {TSM}\n    host: NSK11\n    denied: true\n"
    with pytest.raises(ConfigurationError) as caught:
        run(case, configuration=SITE)
    assert 'cases.yaml:4:11: there is no host NSK11; did you mean "NSK1"?' in str(caught.value)


STORE = "\"VTSPolicy TSM '/VAULT01/PAYROLL/A1 r=14,d'\""


def store_at(server):
    return STORE.replace("r=", f"s={server} r=")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f"command: {store_at('vts2')}, node: vts1", "elsewhere: true"),
        (f"command: {store_at('vts1.example.org')}, node: vts1.example.com", "elsewhere: true"),
        ("command: VTSPolicy TSMX 'x' s=vts2, node: vts1", "elsewhere: true"),
        (f"command: {store_at('vts1.example.com')}, node: VTS1", "rule: store"),
        (f"command: {store_at('vts2')}", "rule: store"),
        (f"command: {STORE}", "rule: store"),
        ("command: VTSPolicy Status - 17", "answered: true"),
        ("command: VTSPolicy Cancel - ref=A1", "answered: true"),
    ],
)
def test_what_a_server_does_not_ask_its_rules_about_is_expected_as_such(run, given, expected):
    outcomes = ("elsewhere: true", "answered: true", "rule: store", "norule: true")
    passed = [
        each
        for each in outcomes
        if not run(f"cases:\n  - {{case: a, {given}, {each}}}\n", configuration=SITE).failed
    ]
    assert passed == [expected]


def test_a_host_of_another_system_is_denied_before_its_server_is_looked_at(run):
    other = f"command: {store_at('vts2')}, node: vts1, host: NSK1"
    case = f"cases:\n  - {{case: a, {other}, system: '\\NSK9', denied: true}}\n"
    assert not run(case, configuration=SITE).failed


def test_a_cluster_wants_the_server_named(run):
    case = f"cases:\n  - {{case: a, command: {STORE}, error: in a cluster TSM needs source=}}\n"
    assert not run(case, configuration=evolve(SITE, cluster=True)).failed
    assert run(case, configuration=SITE).failed


def test_a_part_of_a_reason_is_enough(run):
    case = "cases:\n  - case: a\n    command: VTSPolicy Delete - A1\n"
    facts = "    tapes: [/VAULT01/PAYROLL/A1]\n"
    assert run(f"{case}{facts}    denied: seven\n").failed == ()
    assert run(f"{case}{facts}    denied: eight\n").failed != ()
    assert run(f"{case}    norule: true\n").failed == ()


def test_an_error_has_its_column_and_a_part_of_its_message(run):
    case = "cases:\n  - case: a\n    command: VTSPolicy TSMX '/VAULT01/PAYROLL'\n    error: "
    assert run(f"{case}{{column: 11, message: TSMX}}\n").failed == ()
    assert run(f"{case}TSMX\n").failed == ()
    [result] = run(f"{case}{{column: 12}}\n").failed
    assert "-  column: 12" in result.difference
    assert "+  column: 11" in result.difference


def test_an_error_that_nobody_expects_is_shown(run):
    [result] = run("cases:\n  - {case: a, command: VTSPolicy X, rule: store}\n").failed
    assert "+error:" in result.difference


def test_an_event_brings_its_system_but_a_console_text_proves_no_user(run):
    event = r"""
cases:
  - case: a
    user: SUPER.OPER
    event: |
      26-11-22 02:14:09 \NSK1.$ZBAT  {}  {} VTSPolicy TSM
              '/VAULT01/PAYROLL/A1'
    rule: {}
"""
    assert run(event.format("ACME.BATCH.L01", "001234", "night")).failed == ()
    assert run(event.format("TANDEM.EMS.L01", "000512", "store")).failed == ()


def test_an_event_without_a_command_is_an_error(run):
    text = "26-11-22 02:14:09 \\NSK1.$Z TANDEM.EMS.L01 000100 hello"
    assert run(f"cases:\n  - {{case: a, event: '{text}', error: no command}}\n").failed == ()


@pytest.mark.parametrize(
    ("at", "starts"),
    [("2026-01-05 12:00", "2026-01-05 20:00"), ("2026-01-05 21:30", "2026-01-05 21:30")],
)
def test_hours_are_tested_by_when_the_job_would_start(run, at, starts):
    case = f"cases:\n  - case: a\n    {TSM}\n    user: A.B\n    at: {at}\n    starts: {starts}\n"
    [result] = run(case).results
    assert result.passed, result.difference


def test_coverage_names_the_rules_that_decide_no_case(run):
    report = run(f"cases:\n  - case: a\n    {TSM}\n    rule: store\n")
    assert report.uncovered == ("keep", "night")
    assert report.coverage == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cases:\n  - {case: a, rule: b}", "2:5: a case needs either command or event"),
        ("cases:\n  - {case: a, command: b}", "2:5: a case must expect something; one of "),
        ("cases:\n  - {command: b, rule: c}", '2:5: a case needs the key "case"'),
        (
            "cases:\n  - {case: a, command: b, rul: c}",
            '2:27: a case has no key "rul"; did you mean "rule"?',
        ),
        (
            "cases:\n  - {case: a, command: b, rule: c, at: soon}",
            '2:40: "soon" is not a time; as 2026-11-22 02:14',
        ),
        (
            "cases:\n  - {case: a, command: b, rule: c, tapes: [x]}",
            "2:44: x is not a tape; /VAULT/POOL/CARTRIDGE, then what it is",
        ),
        (
            "cases:\n  - {case: a, command: b, error: {colum: 1}}",
            '2:35: error has no key "colum"; did you mean "column"?',
        ),
        ("case: []", '1:1: a file of rule tests has no key "case"; did you mean "cases"?'),
    ],
)
def test_a_mistake_in_a_case_has_its_place(tmp_path, text, problem):
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_cases(path)
    assert any(str(each).startswith(f"{path}:{problem}") for each in caught.value.problems)


def test_cases_that_fail_are_problems_with_their_place(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text("cases:\n  - {case: a, command: VTSPolicy Erase - A1, rule: delete}\n")
    table = load_table([SHIPPED / "dsk.yaml"], vocabulary=shipped())
    [problem] = failed_cases([path], table=table, vocabulary=shipped())
    assert (problem.line, problem.column) == (2, 5)
    assert problem.message == 'the rule test "a" fails: -rule: delete +rule: erase'


def test_a_report_for_machines_counts_the_coverage_as_a_test(run):
    report = run(
        f"cases:\n  - case: '<a & \x7f>'\n    {TSM}\n    rule: keep\n".replace("\x7f", "é")
    )
    suite = fromstring(junit(report, required=100))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert suite[0].get("name") == "<a & é>"
    assert "+rule: store" in suite[0][0].text
    assert "33 % of the rules are covered" not in junit(report, required=0)


def test_every_key_of_a_case_has_a_help():
    assert all(key.help and key.type for key in CASE.values())


EMPTY = """
applications:
  DSK:
    read_back: {run: [x], read: {digest: "(.*)"}}
    archive: {proof: PROOF}
rules:
  - {rule: copy, when: {family: DSK}, run: [x], then: migrated}
  - {rule: back, when: {family: Restore}, application: DSK, run: [x, "{handle}"], then: restored}
  - {rule: erase, when: {family: Erase}, then: erased}
"""


@pytest.mark.parametrize(
    ("verb", "facts", "proof", "refused"),
    [
        ("Erase", "migrated", "data", "false"),
        ("Erase", "migrated proof=data", "data", "false"),
        ("Erase", "migrated proof=found", "found", "false"),
        ("Erase", "migrated proof=found", "data", "its data was not read"),
        ("Erase", "migrated proof=recorded", "found", "could not be asked"),
        ("Erase", "", "found", "no copy of this tape is recorded"),
        ("Erase", "stale", "found", "written after its last copy"),
        ("Erase", "migrated lost", "found", "does not have its copy 42-1 any more"),
        ("Erase", "migrated touched proof=found", "found", "attributes were changed"),
        ("Erase", "migrated touched", "found", "false"),
        ("Erase", "migrated open", "found", "a process has it open"),
        ("Erase", "half-restored", "found", "it is half-restored"),
        ("Erase", "size=0", "found", "false"),
        ("Restore", "erased", "data", "false"),
        ("Restore", "deleted", "data", "false"),
        ("Restore", "half-restored", "data", "false"),
        ("Restore", "migrated", "data", "false"),
        ("Restore", "stale", "data", "true"),
        ("Restore", "erased lost", "data", "true"),
    ],
)
def test_a_case_can_say_what_the_evidence_of_copies_allows(run, verb, facts, proof, refused):
    case = f"  - case: a\n    command: VTSPolicy {verb} - A00017\n"
    case += f"    tapes: [/VAULT01/PAY/A00017 {facts}]\n    refused: {refused}\n"
    [result] = run("cases:\n" + case, EMPTY.replace("PROOF", proof)).results
    assert result.passed, result.difference


def test_a_case_that_expects_another_answer_of_the_evidence_shows_it(run):
    case = "  - case: a\n    command: VTSPolicy Erase - A00017\n"
    case += "    tapes: [/VAULT01/PAY/A00017 stale]\n    refused: false\n"
    [result] = run("cases:\n" + case, EMPTY.replace("PROOF", "found")).results
    assert "+refused: the tape was written after its last copy" in result.difference
