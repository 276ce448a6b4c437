"""The configuration of the console, and its file of people."""

import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli import cli
from vtspolicy.config.load import load_configuration
from vtspolicy.config.people import RIGHTS, Right, Role
from vtspolicy.config.problems import ConfigurationError

HASH = "$argon2id$v=19$m=65536,t=3,p=4$Riose2RPHQVcdquIPWalNA$pjwepFxskqN/06gsVaUL4evXgUfz7brCA"
ALICE = f"alice: {{role: operator, password: '{HASH}', hosts: [NSK1, 'TEST*']}}\n"


def write(folder, people=ALICE, console='{endpoint: "tcp:port=0:interface=127.0.0.1", people: p}'):
    (folder / "p").write_text(people)
    (folder / "p").chmod(0o600)
    file = folder / "vtspolicy.yaml"
    file.write_text(f"listen: tcp:port=0\nconsole: {console}\n")
    return file


def problems(file):
    with pytest.raises(ConfigurationError) as refused:
        load_configuration(file)
    return [str(each) for each in refused.value.problems if not each.warning]


def test_people_are_read_with_their_roles_and_hosts(tmp_path):
    configuration = load_configuration(write(tmp_path))
    (alice,) = configuration.people.values()
    assert (alice.name, alice.role, alice.hosts) == ("alice", Role.OPERATOR, ("NSK1", "TEST*"))
    assert alice.may(Right.ORDER)
    assert not alice.may(Right.DESTROY)


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ("alice: {role: king, password: x, hosts: a}", "p:1:15: one of viewer, operator"),
        (ALICE.replace("operator", "operater"), "did you mean"),
        (ALICE.replace(HASH, "correct horse"), "`vtspolicy passwd` makes is expected here"),
        (ALICE.replace(HASH, HASH.replace("argon2id", "argon2i")), "`vtspolicy passwd` makes"),
        (ALICE.replace("hosts", "host"), 'has no key "host"'),
        ("alice: {}", 'needs the key "role"'),
        (ALICE + ALICE, "p:2:1"),
        ("a b: {}", "a name of up to 64"),
        ("[alice]", "a mapping is expected here"),
        ("alice: {role: *x}", "p:1"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(tmp_path, people, told):
    found = problems(write(tmp_path, people))
    assert any(told in each for each in found), found


def test_a_file_of_nobody_is_warned_of(tmp_path):
    configuration = load_configuration(write(tmp_path, "{}"))
    assert any("the file is empty" in str(each) for each in configuration.warnings)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    file = write(tmp_path)
    (tmp_path / "p").chmod(0o644)
    assert any("can be read by others" in each for each in problems(file))


@pytest.mark.parametrize(
    ("console", "told"),
    [
        ('{endpoint: "tcp:port=7443", people: p}', "passwords would cross the network"),
        ('{endpoint: "tls:port=7443", people: p}', "a tls endpoint needs key"),
        ('{endpoint: "tcp:port=0:interface=127.0.0.1", key: p, people: p}', "key is for tls"),
        ('{endpoint: "tcp:port=0:interface=127.0.0.1"}', 'needs the key "people"'),
        ('{endpoint: "tcp:port=0:interface=127.0.0.1", people: none}', "cannot be used"),
        ("7443", "must be a mapping of keys"),
        ('{endpoint: "udp:1", people: p}', "not a kind of endpoint"),
    ],
)
def test_a_console_that_cannot_be_is_refused(tmp_path, console, told):
    found = problems(write(tmp_path, console=console))
    assert any(told in each for each in found), found


def test_passwd_prints_an_entry_that_is_taken(tmp_path):
    words = ["passwd", "--stdin", "--role", "auditor", "--host", "NSK1", "audrey"]
    done = CliRunner().invoke(cli, words, input="a long password\n")
    assert done.exit_code == 0
    assert "a long password" not in done.output
    (audrey,) = load_configuration(write(tmp_path, done.output)).people.values()
    assert (audrey.name, audrey.role, audrey.hosts) == ("audrey", Role.AUDITOR, ("NSK1",))
    again = CliRunner().invoke(cli, [*words, "--json"], input="a long password\n")
    assert json.loads(again.output)["audrey"]["hosts"] == ["NSK1"]


@pytest.mark.parametrize("password", ["", "short", "x" * 2000])
def test_a_password_of_no_good_length_is_refused(password):
    done = CliRunner().invoke(cli, ["passwd", "--stdin", "alice"], input=f"{password}\n")
    assert (done.exit_code, "10 to 1024 characters" in done.output) == (2, True)


def test_each_role_has_rights_and_only_the_auditor_reads_no_page():
    assert RIGHTS.keys() == set(Role)
    assert [role for role in Role if Right.READ not in RIGHTS[role]] == [Role.AUDITOR]
