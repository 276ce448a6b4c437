"""What a person can make the simulated system do, and the command that runs it."""

import json

import pytest
from click.testing import CliRunner

from tests.harness.nonstop_links import logged_on as linked
from tests.harness.simulated_terminals import logged_on, system
from vtspolicy.cli import cli
from vtspolicy.cli.host_simulator import host_simulator
from vtspolicy.testing.nonstop.link import BAD_HOSTS
from vtspolicy.testing.nonstop.orders import ORDERS, OrderError, obey


def test_events_are_posted():
    at = system()
    assert obey(at, " post something ") == ""
    obey(at, "VTSPolicy Status - 1")
    obey(at, "plain " + "x" * 103)
    assert [(each.number, each.text) for each in at.events] == [
        (1234, "something"),
        (1234, "VTSPolicy Status - 1"),
        (512, "x" * 102),
    ]


def test_mounts_are_asked_for_and_closed():
    at = system()
    for line in ("mount A00017", "mount A00018", "mounted 1", "cancelled 2"):
        obey(at, line)
    assert [each.number for each in at.events] == [609, 609, 648, 649]
    assert not at.mounts


def test_links_fail_on_order():
    there = linked()
    assert "VTS.EMS" in obey(there.system, "links")
    obey(there.system, "slow 2")
    there.send(b"#OUTPUT a\n")
    assert there.transport.take() == b""
    there.clock.advance(2)
    obey(there.system, "slow 0")
    obey(there.system, "hang")
    there.clock.advance(2)
    there.transport.clear()
    obey(there.system, "resume")
    assert there.transport.take() == b"2> "
    obey(there.system, "half 1")
    there.send(b"#OUTPUT abcd\n")
    assert there.transport.take() == b"ab"
    obey(there.system, "die")
    assert there.transport.aborting
    assert obey(there.system, "links") == "no link is up"


def test_a_frozen_account_is_thawed():
    at = system(freeze_after=1)
    at.log_on("VTS.EMS", "wrong")
    assert at.accounts.is_frozen("VTS.EMS")
    obey(at, "thaw vts.ems")
    assert not at.accounts.is_frozen("VTS.EMS")


def test_help_names_every_order():
    assert [line.split()[0] for line in obey(system(), "help").split("\n")] == list(ORDERS)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pst x", "post"),
        ("post", "text of an event is missing"),
        ("mounted 7", "pending: none"),
        ("thaw NOT.THERE", "no user"),
        ("die", "no link is up"),
        ("slow soon", "not a number"),
        ("slow nan", "from 0"),
        ("half 1e9", "from 0"),
    ],
)
def test_an_order_that_cannot_be_obeyed_says_why(line, told):
    with pytest.raises(OrderError, match=told):
        obey(system(), line)


def test_observers_are_told_what_happens_and_no_password():
    at, told = system(freeze_after=1), []
    at.observers.append(lambda what, facts: told.append((what, facts)))
    at.log_on("VTS.EMS", "wrong-secret")
    at.thaw("VTS.EMS")
    typist = logged_on(at)
    typist.type("LOGON VTS.EMS,typed-secret", "TIME")
    at.request_mount("A00017", silent=True)
    at.mounted(1)
    assert [what for what, _ in told] == [
        *("refused", "thawed", "command", "command", "mount", "closed", "event"),
    ]
    assert told[0][1] == {"user": "VTS.EMS", "frozen": True}
    assert "secret" not in repr(told)
    assert "secret" not in repr(at.commands)


def run(*words):
    return CliRunner().invoke(cli, ["host-simulator", *words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stdio", "telnet:0"], "opens no listeners"),
        (["--logged-on"], "needs --stdio"),
        (["--name", "NSK1"], "begins with"),
        (["--prompt", "{x}> "], "another place"),
        (["--login", "kerberos"], "tacl"),
        (["rlogin:0"], "is not a listener"),
        (["telnet:port=x"], "is not a listener"),
        (["telnets:0"], "certificate"),
    ],
)
def test_wrong_usage_says_what_is_right(words, told):
    result = run(*words)
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_every_bad_host_can_be_chosen():
    (option,) = (each for each in host_simulator.params if each.name == "bad")
    assert tuple(option.type.choices) == tuple(BAD_HOSTS)


def test_wrong_usage_is_told_as_json(tmp_path):
    result = run("--json", "rlogin:0")
    assert "is not a listener" in json.loads(result.output)["error"]["message"]
    result = run("--json", "lines:0", "--log", str(tmp_path / "not" / "there"))
    assert result.exit_code == 1
    assert json.loads(result.output)["error"]["hint"] == "name another file"


def test_files_that_are_no_keys_are_named(tmp_path):
    (tmp_path / "key").write_text("not a key")
    result = run("ssh:0", "--host-key", str(tmp_path / "key"))
    assert (result.exit_code, "is not an SSH private key" in result.output) == (2, True)
    result = run("telnets:0", "--cert", str(tmp_path / "key"))
    assert (result.exit_code, "is not a certificate" in result.output) == (2, True)
    (tmp_path / "password").write_text("\n")
    result = run("lines:0", "--password-file", str(tmp_path / "password"))
    assert (result.exit_code, "is empty" in result.output) == (2, True)
