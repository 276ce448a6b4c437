"""What check says of a site's web endpoint, and of its rules beside the shipped ones."""

import grp
import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli import cli
from vtspolicy.config.endpoints import reaches_beyond


@pytest.mark.parametrize(
    ("endpoint", "beyond"),
    [
        ("tcp:port=7180:interface=127.0.0.1", False),
        ("tcp:7180:interface=127.0.0.2", False),
        (r"tcp6:port=7180:interface=\:\:1", False),
        ("tcp:7180:127.0.0.1", False),
        ("tcp:port=7180:interface=localhost", False),
        ("unix:address=/run/vts.sock", False),
        ("systemd:domain=INET:index=0", False),
        ("tcp:port=7180", True),
        ("tcp:7180:50", True),
        ("tcp6:port=7180", True),
        ("tcp:port=7180:interface=0.0.0.0", True),
        ("tcp:port=7180:interface=10.0.0.1", True),
        ("tcp:port=7180:interface=vts1.example.com", True),
    ],
)
def test_an_endpoint_reaches_beyond_this_machine(endpoint, beyond):
    assert reaches_beyond(endpoint) == beyond


@pytest.fixture
def site(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "applications: {DSK: {programs: {vtspolicy: /bin/true}}}\n"
        "rules: [{rule: mine, when: {family: DSK}, deny: never}]\n"
    )

    def site(more="", rules="[own.yaml, shipped/dsk.yaml]"):
        (tmp_path / "vtspolicy.yaml").write_text(
            f"node: vts1\nlisten: ['tcp:port=7171:interface=127.0.0.1']\n{more}rules: {rules}\n"
        )
        return tmp_path / "vtspolicy.yaml"

    return site


def run(*words):
    return CliRunner().invoke(cli, [*map(str, words)])


@pytest.mark.parametrize(("interface", "code"), [("", 3), (":interface=127.0.0.1", 0)])
def test_a_web_endpoint_for_everybody_is_a_warning(site, interface, code):
    found = run("check", "--config", site(f"web: tcp:port=7180{interface}\n", "[shipped/dsk.yaml]"))
    assert found.exit_code == code, found.output
    told = "3:6: warning: every machine that reaches this endpoint can read"
    assert (told in found.output) == bool(code)


def test_a_rule_of_the_site_that_covers_a_shipped_one_is_a_warning(site):
    found = run("check", "--config", site())
    assert found.exit_code == 3, found.output
    assert 'warning: the rule "archive to disk" can never match: rule 1, "mine"' in found.output


def test_a_rule_of_the_site_that_covers_another_of_it_is_a_problem(site, tmp_path):
    (tmp_path / "more.yaml").write_text("rules: [{rule: two, when: {family: DSK}, deny: never}]\n")
    found = run("check", "--config", site(rules="[own.yaml, more.yaml]"))
    assert found.exit_code == 2, found.output
    assert '1:9: the rule "two" can never match' in found.output


def test_coverage_is_that_of_the_sites_own_rules(site, tmp_path):
    (tmp_path / "t.yaml").write_text(
        "cases: [{case: a, command: VTSPolicy DSK '/VAULT01/PAY', rule: mine}]\n"
    )
    found = run("test", "--config", site(), "--full", tmp_path / "t.yaml")
    assert found.exit_code == 0, found.output
    assert "1 of 1 own rules covered (100 %), and 0 of 5 shipped ones" in found.output
    found = json.loads(run("test", "--config", site(), "--json", tmp_path / "t.yaml").output)
    assert found["own"] == {"rules": 1, "covered": 1, "uncovered": []}
    assert (found["shipped"]["rules"], found["shipped"]["covered"]) == (5, 0)


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ("families: [DKS*]", 'family "DKS*", which matches none; did you mean "DSK"?'),
        ("vaults: ['VALT*']", 'vault "VALT*", which matches none; did you mean "VAULT01"?'),
        ("families: ['D*'], vaults: ['VAULT*']", None),
        ("families: ['*'], vaults: ['*']", None),
    ],
)
def test_a_glob_that_gives_a_host_nothing_is_a_warning(site, tmp_path, rights, told):
    more = (
        f"vaults: {{VAULT01: {tmp_path}}}\n"
        f"hosts: {{NSK1: {{peers: [10.0.0.9], systems: ['\\NSK1'], {rights}}}}}\n"
    )
    found = run("check", "--json", "--config", site(more, "[shipped/dsk.yaml]"))
    problems = [each for each in json.loads(found.output)["problems"] if "matches" in str(each)]
    assert [each["message"] + "; " + each["remedy"] for each in problems] == (
        [f"host NSK1 may use {told}"] if told else []
    )
    assert all(each["warning"] and each["line"] == 4 for each in problems)


@pytest.mark.parametrize(
    ("name", "meant"), [("aplication_job", "application_job"), ("byte", "bytes"), ("copy", None)]
)
def test_a_reading_that_is_called_nearly_as_one_of_the_programs_own_is_a_warning(
    site, tmp_path, name, meant
):
    (tmp_path / "own.yaml").write_text(
        f"applications: {{DSK: {{read: {{{name}: 'n=([0-9]+)'}}}}}}\nrules: []\n"
    )
    found = run("check", "--json", "--config", site(rules="[own.yaml, shipped/dsk.yaml]"))
    told = [each for each in json.loads(found.output)["problems"] if "reading" in str(each)]
    assert [each["remedy"] for each in told] == ([f'did you mean "{meant}"?'] if meant else [])


def test_a_control_group_that_the_system_does_not_have_is_a_problem(site):
    found = run("check", "--config", site("control_group: of-no-system\n", "[shipped/dsk.yaml]"))
    assert found.exit_code == 2
    assert ":3:16: there is no group of-no-system; " in found.output


def test_a_control_group_of_the_system_is_not_a_problem(site):
    group = grp.getgrall()[0].gr_name
    found = run("check", "--config", site(f"control_group: {group}\n", "[shipped/dsk.yaml]"))
    assert found.exit_code == 0, found.output
