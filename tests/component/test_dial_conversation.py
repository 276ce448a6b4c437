"""A conversation with a simulated host over each transport: logon, commands, and what fails."""

from datetime import datetime

import pytest
from twisted.conch.telnet import DO, ECHO, IAC, SB, SE, WILL, WONT
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from tests.harness.dialled_hosts import HOST_KEY, Network, a_dial, conversation, outcome
from tests.harness.nonstop_keys import KEYED, USER_KEY
from tests.harness.simulated_terminals import AT
from vtspolicy.hosts.dial.telnet import MOST_DECLINED
from vtspolicy.links.clock import host_time
from vtspolicy.links.life import Cause
from vtspolicy.links.login import DIALOGUES
from vtspolicy.testing.nonstop.logins import LOGINS
from vtspolicy.testing.nonstop.ssh import new_host_key
from vtspolicy.testing.nonstop.system import VTS

KINDS = ("lines", "telnet", "ssh")


class Stranger(Protocol):
    """Another machine: says what it says, whoever calls."""

    def __init__(self, says, answers):
        self.says, self.answers = says, answers
        self.heard = b""

    def connectionMade(self):
        self.transport.write(self.says)

    def dataReceived(self, data):
        self.heard += data
        if self.answers is not None:
            self.transport.write(self.answers(data))


def stranger(network, says=b"", answers=None):
    """Have another machine answer; returns what it is."""
    made = Stranger(says, answers)
    network.other = Factory.forProtocol(lambda: made)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_lets_us_in_and_tells_its_time(kind, tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path, protocol=kind))
    time = outcome(network, there.log_on())
    assert isinstance(time, datetime)
    assert abs(time - AT.replace(tzinfo=None)).seconds < 60
    assert network.system.settings.informat == "TACL"
    assert list(network.system.commands)[-2:] == ["#SET #INFORMAT TACL", "TIME"]


@pytest.mark.parametrize("name", LOGINS)
@pytest.mark.parametrize("echo", [True, False])
def test_every_dialogue_gets_in_over_a_connection(name, echo, tmp_path):
    network = Network(login=LOGINS[name], echo=echo, informat="PLAIN")
    there = conversation(network, a_dial(tmp_path, protocol="lines", login=DIALOGUES[name]))
    assert isinstance(outcome(network, there.log_on()), datetime)
    assert not there.echoes_password


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_brings_what_comes_before_the_next_prompt(kind, tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path, protocol=kind))
    outcome(network, there.log_on())
    shown = outcome(network, there.command("WHO"))
    assert shown.splitlines()[1] == "Userid: VTS.EMS"
    assert outcome(network, there.command("COMMENT nothing")) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_who_logs_off_ends_the_connection(kind, tmp_path):
    network = Network(after_logoff="end")
    there = conversation(network, a_dial(tmp_path, protocol=kind))
    outcome(network, there.log_on())
    assert outcome(network, there.log_off()) is None
    assert there.is_over
    network.settle()
    assert not network.system.links


def test_a_host_that_does_not_end_the_session_is_left(tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path))
    outcome(network, there.log_on())
    assert outcome(network, there.log_off(), 5) is None
    assert not network.system.links


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_tried_once_and_never_shown(kind, tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path, protocol=kind, password="not-this-one"))
    error = outcome(network, there.log_on(), 5)
    assert error.cause is Cause.REFUSED
    assert "did not accept VTS.EMS" in str(error)
    assert "not-this-one" not in repr(error) + str(error)
    assert network.system.accounts.failures("VTS.EMS") == 1


def test_a_key_lets_in_without_a_password(tmp_path):
    (tmp_path / "id").write_bytes(USER_KEY.toString("OPENSSH"))
    network = Network(accounts=(VTS, KEYED))
    dial = a_dial(
        tmp_path, protocol="ssh", password=None, user="VTS.KEYED", key_file=tmp_path / "id"
    )
    assert isinstance(outcome(network, conversation(network, dial).log_on()), datetime)


def test_a_key_that_the_host_does_not_know_is_refused(tmp_path):
    (tmp_path / "id").write_bytes(new_host_key().toString("OPENSSH"))
    network = Network(accounts=(VTS, KEYED))
    dial = a_dial(
        tmp_path, protocol="ssh", password=None, user="VTS.KEYED", key_file=tmp_path / "id"
    )
    error = outcome(network, conversation(network, dial).log_on())
    assert error.cause is Cause.REFUSED


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "not a private key"),
        (b"rubbish\n", "not a private key"),
        (USER_KEY.public().toString("OPENSSH"), "is a public key"),
        (USER_KEY.toString("OPENSSH", passphrase="x"), "passphrase"),
    ],
    ids=["empty", "rubbish", "public", "locked"],
)
def test_a_key_file_that_cannot_be_used_is_named(text, told, tmp_path):
    (tmp_path / "id").write_bytes(text)
    dial = a_dial(tmp_path, protocol="ssh", password=None, key_file=tmp_path / "id")
    network = Network()
    error = outcome(network, conversation(network, dial).log_on())
    assert error.cause is Cause.UNUSABLE
    assert told in str(error)
    assert str(tmp_path / "id") in str(error)
    assert not network.dialled


def test_a_changed_host_key_is_refused_with_its_fingerprint(tmp_path):
    network = Network(key=HOST_KEY)
    dial = a_dial(tmp_path, protocol="ssh", known=new_host_key())
    error = outcome(network, conversation(network, dial).log_on())
    assert error.cause is Cause.UNREACHABLE
    assert "has changed" in str(error)
    assert "SHA256:" in str(error)
    assert network.system.accounts.failures("VTS.EMS") == 0
    assert not network.system.commands


def test_an_unknown_host_key_is_refused_with_its_fingerprint(tmp_path):
    network = Network()
    dial = a_dial(tmp_path, protocol="ssh", address=("other", 22))
    error = outcome(network, conversation(network, dial).log_on())
    assert "other is not in" in str(error)
    assert "SHA256:" in str(error)


def test_a_revoked_host_key_is_refused_though_it_is_known(tmp_path):
    network = Network()
    dial = a_dial(tmp_path, protocol="ssh")
    text = dial.known_hosts.read_bytes()
    dial.known_hosts.write_bytes(text + b"@revoked " + text)
    error = outcome(network, conversation(network, dial).log_on())
    assert "is revoked" in str(error)


def test_another_port_has_its_own_entry(tmp_path):
    network = Network()
    dial = a_dial(tmp_path, protocol="ssh", address=("nsk1", 2222))
    assert "[nsk1]:2222 is not in" in str(outcome(network, conversation(network, dial).log_on()))
    text = dial.known_hosts.read_bytes()
    dial.known_hosts.write_bytes(text.replace(b"nsk1", b"[nsk1]:2222"))
    assert isinstance(outcome(network, conversation(network, dial).log_on()), datetime)


def test_a_command_is_run_in_the_place_of_the_subsystem(tmp_path):
    network = Network()
    dial = a_dial(tmp_path, protocol="ssh", command="ls")
    error = outcome(network, conversation(network, dial).log_on(), 30)
    assert error.cause is Cause.NO_PROMPT
    assert "the host does not run the command ls; came: This is a simulated host" in str(error)


# What is not a host


def test_nobody_there(tmp_path):
    network = Network()
    network.is_down = True
    error = outcome(network, conversation(network, a_dial(tmp_path)).log_on())
    assert (error.cause, "refused" in str(error)) == (Cause.UNREACHABLE, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_says_nothing_is_given_up(kind, tmp_path):
    network = Network()
    machine = stranger(network)
    error = outcome(network, conversation(network, a_dial(tmp_path, protocol=kind)).log_on(), 40)
    assert error.cause in {Cause.NO_PROMPT, Cause.UNREACHABLE}
    assert "within" in str(error)
    assert VTS.password.encode() not in machine.heard


@pytest.mark.parametrize("kind", KINDS)
def test_another_machines_banner_is_shown_and_gets_no_password(kind, tmp_path):
    network = Network()
    machine = stranger(network, b"220 mail.example.com ESMTP\x1b[2J\r\n")
    error = outcome(network, conversation(network, a_dial(tmp_path, protocol=kind)).log_on(), 40)
    assert error.cause in {Cause.NO_PROMPT, Cause.UNREACHABLE}
    assert "\x1b" not in str(error)
    if kind != "ssh":
        assert "came: 220 mail.example.com ESMTP\\x1b[2J" in str(error)
    assert VTS.password.encode() not in machine.heard


@pytest.mark.parametrize("kind", KINDS)
def test_a_megabyte_without_the_end_of_a_line_is_bounded(kind, tmp_path):
    network = Network()
    stranger(network, b"x" * 2**20)
    there = conversation(network, a_dial(tmp_path, protocol=kind))
    error = outcome(network, there.log_on(), 40)
    assert error.cause in {Cause.NO_PROMPT, Cause.UNREACHABLE, Cause.ENDED}
    assert len(str(error)) < 1000


def test_a_host_that_drips_is_given_up_in_time(tmp_path):
    network = Network()
    machine = stranger(network, b"a")
    there = conversation(network, a_dial(tmp_path))
    found = []
    Deferred.fromCoroutine(there.log_on()).addBoth(found.append)
    for _ in range(20):
        network.run(1)
        machine.transport.write(b"a")
    assert found
    assert found[0].value.cause is Cause.NO_PROMPT


def test_a_host_that_echoes_the_password_is_noticed_and_it_stays_hidden(tmp_path):
    network = Network()

    def answers(data):
        if data.startswith(b"LOGON"):
            return b"\r\nPassword:"
        return data + b"\r\n*ERROR* Invalid username or password\r\nTACL 2> "

    stranger(network, b"TACL 1> ", answers)
    there = conversation(network, a_dial(tmp_path, protocol="lines"))
    error = outcome(network, there.log_on())
    assert error.cause is Cause.REFUSED
    assert VTS.password not in str(error)
    assert "***" in str(error)
    assert there.echoes_password


def test_a_logged_on_host_that_says_no_more_is_given_up(tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path))
    outcome(network, there.log_on())
    network.system.links[0].hang()
    error = outcome(network, there.command("TIME"), 30)
    assert error.cause is Cause.NO_PROMPT
    assert "no prompt within 20 s behind TIME" in str(error)


def test_a_lost_link_ends_who_waits(tmp_path):
    network = Network()
    there = conversation(network, a_dial(tmp_path))
    outcome(network, there.log_on())
    network.system.links[0].hang()
    network.system.links[0].die()
    assert outcome(network, there.command("TIME")).cause is Cause.ENDED
    assert there.is_over


# Telnet


def test_a_terminal_type_is_refused_and_all_else_declined(tmp_path):
    network = Network()
    machine = stranger(network, IAC + DO + b"\x18" + IAC + WILL + ECHO)
    conversation(network, a_dial(tmp_path)).log_on().send(None)
    network.settle()
    assert IAC + WONT + b"\x18" in machine.heard
    assert b"6530" not in machine.heard


def test_commands_of_telnet_without_a_meaning_are_passed_over(tmp_path):
    network = Network()
    noise = IAC + b"\xf1" + IAC + b"\xf9" + IAC + SB + b"\x22abc" + IAC + SE
    machine = stranger(network, noise + b"TACL" + noise + b" 1> ")
    conversation(network, a_dial(tmp_path)).log_on().send(None)
    network.settle()
    assert machine.heard == b"LOGON VTS.EMS\r\n"


@pytest.mark.parametrize(
    "flood",
    [(IAC + DO + b"\x18") * (MOST_DECLINED + 1), IAC + SB + b"x" * 2**20, IAC + b"\x01"],
    ids=["too many requests", "a request without an end", "no command"],
)
def test_a_host_that_breaks_telnet_is_left(flood, tmp_path):
    network = Network()
    stranger(network, flood)
    error = outcome(network, conversation(network, a_dial(tmp_path)).log_on())
    assert error.cause is Cause.ENDED


# Its time


@pytest.mark.parametrize(
    ("shown", "time"),
    [
        ("22 NOV 2026, 02:14:09", datetime.fromisoformat("2026-11-22T02:14:09")),
        ("November 2, 2026 02:14:09", datetime.fromisoformat("2026-11-02T02:14:09")),
        ("22 XXX 2026, 02:14:09", None),
        ("31 FEB 2026, 02:14:09", None),
        ("", None),
    ],
)
def test_the_hosts_time_is_read(shown, time):
    assert host_time(shown) == time
