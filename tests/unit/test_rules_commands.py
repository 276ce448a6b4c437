"""`vtspolicy explain` and `vtspolicy test`, as a person at a terminal uses them."""

import json
from datetime import datetime
from xml.etree.ElementTree import parse as parse_xml

import pytest
from click.testing import CliRunner

from vtspolicy.cli import cli
from vtspolicy.config.load import SHIPPED

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017'"


def run(*arguments):
    return CliRunner().invoke(cli, list(arguments))


def explain(*arguments):
    return run("explain", *arguments)


@pytest.fixture
def site(tmp_path):
    pool = tmp_path / "VAULT01" / "PAYROLL"
    pool.mkdir(parents=True)
    (pool / "A00017").write_bytes(b"x" * 100)
    (tmp_path / "rules.yaml").write_text(
        "calendar: {holidays: [2026-12-25]}\n"
        "applications: {TSM: {seats: 4}}\n"
        "rules:\n"
        "  - {rule: keep, when: {family: Delete, pool: 'PAY*'}, deny: seven years}\n"
        "  - rule: payroll\n"
        "    when: {family: TSM, pool: 'PAY*', host: NSK1, between: '!holidays 20:00-06:00'}\n"
        "    run: [dsmc, archive, '{path}', '-archmc={class}', '{size}', '{handle}']\n"
        "    verify: [dsmc, query, '{handle}']\n"
        "    retry: {attempts: 3, delay: 5m, backoff: 2}\n"
        "    then: migrated\n"
    )
    (tmp_path / "site.yaml").write_text(
        "node: vts9.example.com\nlisten: ['tcp:port=7171']\n"
        f"vaults: {{VAULT01: {tmp_path}/VAULT01}}\n"
        "hosts:\n"
        "  NSK1: {peers: [10.0.0.9], vaults: [VAULT01], families: [TSM, Delete]}\n"
        "  NSK2: {peers: [10.0.0.8], vaults: [VAULT01], families: [Erase]}\n"
        "rules: [rules.yaml]\n"
    )
    return tmp_path


def test_a_newcomer_can_try_without_any_configuration():
    result = explain(ARCHIVE)
    assert result.exit_code == 0
    assert "the shipped table for DSK, and imagined tapes" in result.output
    assert "1  no other disk store  no: keywords.store: present, found absent" in result.output
    assert "2  archive to disk      matches" in result.output
    assert "5  delete               not reached" in result.output
    assert (
        "disk archive /VAULT01/PAYROLL/A00017 --store=/var/lib/vtspolicy/archive" in result.output
    )
    assert "the tape is migrated" in result.output
    # Nothing was run: it must not sound as if something had been proven.
    assert "before the tape is emptied, the data of the copy is read back" in result.output


def test_a_command_that_no_rule_matches_says_so_with_its_exit_code():
    result = explain("VTSPolicy TSM '/VAULT01/PAYROLL'")
    assert result.exit_code == 4
    assert "no rule matches: NORULE" in result.output


def test_a_text_that_is_no_command_has_a_caret():
    result = explain("VTSPolicy TSMX '/VAULT01/PAYROLL'")
    assert result.exit_code == 4
    assert "column 11" in result.output
    as_data = explain("--json", "VTSPolicy TSMX '/VAULT01/PAYROLL'")
    assert json.loads(as_data.output)["error"]["column"] == 11


def site_explain(site, *arguments):
    return explain("--config", str(site / "site.yaml"), *arguments)


def test_a_sites_rules_and_tapes_are_those_of_its_configuration(site):
    result = site_explain(
        site,
        "--host",
        "NSK1",
        "--at",
        "2026-12-25 12:00",
        "--json",
        "VTSPolicy TSM '/VAULT01/PAYROLL'",
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["verdict"], found["rule"], found["number"]) == ("run", "payroll", 2)
    assert [each["condition"] for each in found["rules"]] == ["family: Delete", None]
    [job] = found["jobs"]
    path = f"{site}/VAULT01/PAYROLL/A00017"
    assert job["run"] == ["dsmc", "archive", path, "100", "{handle}"]
    assert job["verify"]["run"] == ["dsmc", "query", "{handle}"]
    assert (job["lock"], job["seats"], job["then"]) == (path, 4, "migrated")
    assert (job["waits"], job["starts"]) == (True, "2026-12-26 20:00")
    assert job["retry"] == {
        "attempts": 3,
        "delay": 300.0,
        "backoff": 2.0,
        "on": ["failed", "timeout"],
    }
    assert found["command"]["targets"][0]["pool"] == "PAYROLL"


@pytest.mark.parametrize(
    ("verb", "facts", "said"),
    [
        ("Erase", "migrated", "evidence     allows it"),
        ("Erase", "stale", "evidence     refuses it: the tape was written after its last copy"),
        ("Restore", "migrated", "evidence     there is nothing to do: it has its data"),
        ("Restore", "erased", "evidence     allows it"),
    ],
)
def test_what_the_evidence_of_copies_says_is_explained(verb, facts, said):
    result = explain("--tape", f"/VAULT01/PAY/A1 {facts}", f"VTSPolicy {verb} - A1")
    assert said in result.output


def test_the_same_for_people(site):
    result = site_explain(
        site,
        "--host",
        "NSK1",
        "--at",
        "2026-12-25 12:00",
        "VTSPolicy TSM '/VAULT01/PAYROLL/A00017'",
    )
    assert "2026-12-26 20:00 (!holidays 20:00-06:00)" in result.output
    assert "3, 5m apart, each 2 times longer, after failed or timeout" in result.output
    assert "TSM, 4 seats" in result.output
    assert "from NSK1" in result.output


def test_what_the_ledger_knows_of_a_tapes_copy_counts(site):
    from attrs import evolve

    from vtspolicy.ledger import open_ledger
    from vtspolicy.ledger.sqlite.database_file import open_file
    from vtspolicy.rules.facts import tape_of

    append = (site / "site.yaml").read_text() + "ledger: sqlite:ledger.db\n"
    (site / "site.yaml").write_text(append.replace("[Erase]", "[Restore]"))
    (site / "rules.yaml").write_text(
        "rules: [{rule: back, when: {family: Restore, tape: {application: DSK}},"
        " run: [x, '{handle}'], then: restored}]\n"
    )
    question = ("--host", "NSK2", "VTSPolicy Restore - A00017")
    before = site_explain(site, *question)
    assert before.exit_code == 4
    assert "without a ledger, copies are not known" in before.output
    open_file(site / "ledger.db").close()
    facts = "/VAULT01/PAYROLL/A00017 erased handle=7-1"
    tape = tape_of(facts, at=datetime.now(), roots={"VAULT01": site / "VAULT01"})  # noqa: DTZ005
    with open_ledger(f"sqlite://{site}/ledger.db", readonly=False) as tx:
        tx.tapes.save(evolve(tape, size=0))
    after = site_explain(site, *question)
    assert "x 7-1" in after.output, after.output
    assert "tapes as their files and the ledger say now" in after.output


def test_a_host_without_the_right_is_denied_as_the_engine_denies(site):
    result = site_explain(site, "--host", "NSK2", "VTSPolicy TSM '/VAULT01/PAYROLL'")
    assert result.exit_code == 4
    assert "denied: host NSK2 may not use TSM" in result.output


def test_a_system_that_is_not_the_hosts_is_denied_as_the_engine_denies(site):
    text = "VTSPolicy TSM '/VAULT01/PAYROLL'"
    result = site_explain(site, "--host", "NSK1", "--system", "\\NSK7", text)
    assert result.exit_code == 4
    assert "denied: system \\NSK7 is not one of this host's systems" in result.output


@pytest.mark.parametrize("server", ["other", "vts9.elsewhere.com"])
def test_a_command_for_another_server_is_not_explained_as_if_it_ran_here(site, server):
    (site / "VAULT01/PAYROLL/A00018").touch()
    text = f"VTSPolicy TSM '/VAULT01/PAYROLL s={server}'"
    result = site_explain(site, "--host", "NSK1", text)
    assert result.exit_code == 4
    assert f"not answered by this server: it is for {server}, and this is vts9" in result.output
    assert "job 1" not in result.output
    assert "left out" not in result.output
    assert site_explain(site, "--node", server, "--host", "NSK1", text).exit_code == 0


def test_what_only_a_cluster_rejects_is_rejected_with_its_column(site):
    with (site / "site.yaml").open("a") as file:
        file.write("cluster: true\n")
    result = site_explain(site, "VTSPolicy TSM '/VAULT01/PAYROLL'")
    assert result.exit_code == 4
    assert "column 33: in a cluster TSM needs source=" in result.output


def test_a_question_about_a_request_is_said_to_be_answered_without_the_rules(site):
    result = site_explain(site, "VTSPolicy Status - 17")
    assert result.exit_code == 0
    assert "answered by the server itself, without the rules" in result.output


def test_a_denial_gives_its_reason(site):
    result = site_explain(site, "--host", "NSK1", "VTSPolicy Delete - A00017")
    assert result.exit_code == 4
    assert 'denied by rule 1, "keep": seven years' in result.output


def test_an_unknown_host_gets_the_nearest_one(site):
    result = site_explain(site, "--host", "NSK3", "VTSPolicy Delete - A00017")
    assert result.exit_code == 2
    assert 'there is no host NSK3: did you mean "NSK' in result.output


def test_a_pool_that_is_not_there_is_said_to_be_so(site):
    result = site_explain(site, "--host", "NSK1", "VTSPolicy TSM '/VAULT01/PAYX'")
    assert "no tapes: " in result.output
    assert "no job, because there is no tape to do it with" in result.output
    assert result.exit_code == 1


def test_tapes_can_be_made_up():
    facts = "/VAULT01/OLD/A1 erased application=DSK handle=9-9"
    result = explain("--tape", facts, "VTSPolicy Restore - A1")
    assert "--handle=9-9" in result.output
    wrong = explain("--tape", "/VAULT01/OLD/A1 earsed", "VTSPolicy Restore - A1")
    assert wrong.exit_code == 2
    assert 'did you mean "erased"?' in wrong.output


def test_what_a_queued_application_is_told_is_shown_line_by_line():
    table = str(SHIPPED / "bac.yaml")
    text = "VTSPolicy BAC 'archive /VAULT01/PAY/A1'"
    result = explain("--rules", table, text)
    assert "  first        tee /var/lib/vtspolicy/bacula.list < /VAULT01/PAY/A1\n" in result.output
    assert 'run job=Archive client=vts-fd level=Full comment="{handle}" yes' in result.output
    assert "jobid={application_job}" in result.output
    [job] = json.loads(explain("--rules", table, "--json", text).output)["jobs"]
    assert job["prepare"]["input"] == "/VAULT01/PAY/A1\n"
    assert "jobid={application_job}" in job["cancel_input"]


def test_a_time_that_is_none_is_refused():
    assert explain("--at", "noon", ARCHIVE).exit_code == 2


def test_rules_with_problems_show_them(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("ruls: []\n")
    result = explain("--rules", str(path), ARCHIVE)
    assert result.exit_code == 2
    assert f'{path}:1:1: a rules file has no key "ruls"; did you mean "rules"?' in result.output


# -- vtspolicy test


def test_the_shipped_tests_pass_and_cover_everything():
    result = run("test", "--full", str(SHIPPED / "dsk.tests.yaml"))
    assert result.exit_code == 0, result.output
    assert "13 passed, 0 failed; 5 of 5 rules covered (100 %)" in result.output


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.yaml"
    path.write_text(
        f'cases:\n  - {{case: right, command: "{ARCHIVE}", rule: archive to disk}}\n'
        f'  - {{case: wrong, command: "{ARCHIVE}", rule: erase}}\n'
    )
    return path


def test_a_case_that_fails_is_shown_with_its_difference_and_what_is_not_covered(cases, tmp_path):
    result = run("test", "--junit", str(tmp_path / "report.xml"), str(cases))
    assert result.exit_code == 1
    assert f"FAILED {cases}:3: wrong" in result.output
    assert "    -rule: erase\n    +rule: archive to disk" in result.output
    assert "    delete\n" in result.output
    assert "1 passed, 1 failed; 1 of 5 rules covered (20 %)" in result.output
    suite = parse_xml(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")


def test_too_little_coverage_fails(cases):
    right = cases.read_text().splitlines(keepends=True)[:2]
    cases.write_text("".join(right))
    assert run("test", str(cases)).exit_code == 0
    assert run("test", "--coverage-required", "20", str(cases)).exit_code == 0
    assert run("test", "--coverage-required", "21", str(cases)).exit_code == 1
    assert run("test", "--full", str(cases)).exit_code == 1


def test_results_as_json(cases):
    found = json.loads(run("test", "--json", str(cases)).output)
    assert (found["passed"], found["failed"], found["coverage"]) == (1, 1, 20.0)
    assert [each["passed"] for each in found["cases"]] == [True, False]


def test_the_configured_tests_are_run_when_none_are_named(site):
    append = (site / "site.yaml").read_text() + "tests: [tests.yaml]\n"
    (site / "site.yaml").write_text(append)
    (site / "tests.yaml").write_text("cases: [{case: a, command: VTSPolicy X, error: X}]\n")
    result = run("test", "--config", str(site / "site.yaml"))
    assert result.exit_code == 0, result.output
    assert "1 passed, 0 failed; 0 of 2 rules covered (0 %)" in result.output


def test_files_that_cannot_be_used_are_no_failure_but_a_mistake(tmp_path):
    assert run("test").exit_code == 2
    missing = run("test", str(tmp_path / "none.yaml"))
    assert missing.exit_code == 2
    assert "the file cannot be read" in missing.output
