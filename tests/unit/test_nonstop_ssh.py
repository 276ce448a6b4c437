"""SSH to the simulated system: who gets in, and what runs on a channel."""

from types import SimpleNamespace

import pytest
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.session import packRequest_pty_req
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.test import iosim

from tests.harness.nonstop_keys import KEYED, USER_KEY
from tests.harness.simulated_terminals import system
from vtspolicy.testing.nonstop.run_options import tacl_command
from vtspolicy.testing.nonstop.ssh import NOT_SIMULATED, SshFactory, new_host_key
from vtspolicy.testing.nonstop.system import VTS

HOST_KEY = new_host_key()


HESITATES = object()


class Login(SSHUserAuthClient):
    """Authenticates with one key or one password, once."""

    def __init__(self, user, connection, *, key=None, password=None):
        super().__init__(user.encode(), connection)
        self._key, self._password = key, password

    def getPublicKey(self):
        key, self._key = self._key, None
        self._used = key
        return key.public() if key else None

    def getPrivateKey(self):
        return succeed(self._used)

    def getPassword(self, prompt=None):
        password, self._password = self._password, None
        if password is HESITATES:
            return Deferred()
        return None if password is None else succeed(password.encode())


class Channel(SSHChannel):
    """A session channel with one request."""

    name = b"session"

    def __init__(self, requests, **more):
        super().__init__(**more)
        self.requests = requests
        self.data = b""
        self.status = None
        self.refused = []
        self.is_closed = False

    def channelOpen(self, data):
        for name, body in self.requests:
            asked = self.conn.sendRequest(self, name, body, wantReply=True)
            asked.addErrback(self.refused.append)

    def dataReceived(self, data):
        self.data += data

    def request_exit_status(self, data):
        self.status = int.from_bytes(data, "big")
        return True

    def closed(self):
        self.is_closed = True


class Connection(SSHConnection):
    def __init__(self):
        super().__init__()
        self.started = False

    def serviceStarted(self):
        super().serviceStarted()
        self.started = True


class Client(SSHClientTransport):
    """Checks nothing but remembers the host's key."""

    def __init__(self, make_login):
        self.connection = Connection()
        self.make_login = make_login
        self.fingerprint = None

    def verifyHostKey(self, key, fingerprint):
        self.fingerprint = fingerprint
        return succeed(True)

    def connectionSecure(self):
        self.requestService(self.make_login(self.connection))


def connect(at=None, *, user="VTS.EMS", **how):
    """A client that has tried to authenticate."""
    at = at or system(accounts=(VTS, KEYED))
    clock = Clock()
    factory = SshFactory(at, clock, None, HOST_KEY)
    factory.startFactory()
    server = factory.buildProtocol(None)
    client = Client(lambda connection: Login(user, connection, **how))
    server_side = iosim.FakeTransport(server, isServer=True)
    client_side = iosim.FakeTransport(client, isServer=False)
    for side in (server_side, client_side):
        side.abortConnection = side.loseConnection
        side.setTcpNoDelay = lambda _: None
    pump = iosim.connect(server, server_side, client, client_side)
    pump.flush()
    return SimpleNamespace(
        system=at,
        client=client,
        pump=pump,
        server=server,
        clock=clock,
        is_in=client.connection.started,
    )


def channel(there, *requests):
    opened = Channel(requests)
    there.client.connection.openChannel(opened)
    there.pump.flush()
    return opened


def logged_on(at=None):
    there = connect(at, password=VTS.password)
    assert there.is_in
    return there


def test_a_password_opens_the_host():
    there = logged_on()
    assert there.client.fingerprint == HOST_KEY.fingerprint().encode()


def test_a_wrong_password_does_not_and_is_counted():
    at = system(freeze_after=2)
    assert not connect(at, password="wrong").is_in
    assert not connect(at, password="wrong").is_in
    assert at.accounts.is_frozen("VTS.EMS")
    assert not connect(at, password=VTS.password).is_in
    assert not connect(at, user="NOT.THERE", password="x").is_in


def test_who_does_not_authenticate_is_cut_off_by_the_clock_of_the_host():
    there = connect(password=HESITATES)
    assert not there.server.transport.disconnected
    there.clock.advance(119)
    there.pump.flush()
    assert not there.server.transport.disconnected
    there.clock.advance(1)
    there.pump.flush()
    assert there.server.transport.disconnected
    assert not there.clock.getDelayedCalls()


def test_a_public_key_opens_the_host_for_its_user_alone():
    assert connect(user="VTS.KEYED", key=USER_KEY).is_in
    assert not connect(user="VTS.EMS", key=USER_KEY).is_in
    assert not connect(user="VTS.KEYED", key=new_host_key()).is_in


def test_a_frozen_account_is_not_let_in_with_a_key():
    at = system(accounts=(VTS, KEYED), freeze_after=1)
    at.log_on("VTS.KEYED", "wrong")
    assert not connect(at, user="VTS.KEYED", key=USER_KEY).is_in


def test_the_subsystem_is_tacl_logged_on():
    there = logged_on()
    tacl = channel(there, (b"subsystem", NS(b"tacl")))
    assert tacl.data.endswith(b"Welcome to \\NSK1\r\n1> ")
    there.client.connection.sendData(tacl, b"#OUTPUT a\n")
    there.pump.flush()
    assert tacl.data.endswith(b"1> a\r\n2> ")
    there.system.links[0].session.console.show("more")
    there.pump.flush()
    assert tacl.data.endswith(b"2> \r\nmore\r\n")
    there.client.connection.sendData(tacl, b"LOGOFF\nEXIT\n")
    there.pump.flush()
    assert (tacl.status, tacl.is_closed) == (0, True)


def test_another_subsystem_is_refused():
    assert channel(logged_on(), (b"subsystem", NS(b"sftp"))).refused


def test_a_site_may_want_a_logon_within_tacl():
    there = logged_on(system(ssh_logged_on=False, services=()))
    assert channel(there, (b"subsystem", NS(b"tacl"))).data.endswith(b"TACL 1> ")


@pytest.mark.parametrize(
    ("line", "data", "status"),
    [
        (b"tacl -c #OUTPUT a", b"a\r\n", 0),
        (b"gtacl -c '#OUTPUT a'", b"a\r\n", 0),
        (b"tacl -c NONSENSE", b"*ERROR* There is no command, variable or program NONSENSE\r\n", 1),
        (b"ls -l", NOT_SIMULATED, 127),
    ],
)
def test_a_command_runs_and_has_a_status(line, data, status):
    there = logged_on()
    done = channel(there, (b"exec", NS(line)))
    assert (done.data, done.status, done.is_closed) == (data, status, True)
    assert not there.system.links


def pty(kind):
    return b"pty-req", packRequest_pty_req(kind, (24, 80, 0, 0), b"")


def test_a_shell_with_a_6530_terminal_is_tacl_and_is_echoed():
    there = logged_on()
    shell = channel(there, pty(b"tn6530-8"), (b"shell", b""))
    there.client.connection.sendData(shell, b"#OUTPUT a\r")
    there.pump.flush()
    assert shell.data.endswith(b"1> #OUTPUT a\r\na\r\n2> ")
    there.client.connection.sendData(shell, b"LOGOFF\rEXIT\r")
    there.pump.flush()
    assert shell.status == 0


def test_a_shell_with_another_terminal_is_not_simulated():
    shell = channel(logged_on(), pty(b"xterm"), (b"shell", b""))
    assert (shell.data, shell.status) == (NOT_SIMULATED, 127)


def test_a_break_request_is_the_break_key():
    there = logged_on()
    tacl = channel(there, (b"subsystem", NS(b"tacl")))
    send = there.client.connection.sendData
    send(tacl, b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT [#MYTERM]\n")
    there.pump.flush()
    before = len(tacl.data)
    there.client.connection.sendRequest(tacl, b"break", b"\0\0\0\0")
    there.pump.flush()
    assert tacl.data[before:] == b"2> "


def test_a_channel_that_closes_ends_its_session():
    there = logged_on()
    tacl = channel(there, (b"subsystem", NS(b"tacl")))
    shell = channel(there, pty(b"tn6530"), (b"shell", b""))
    assert len(there.system.links) == 2
    for each in (tacl, shell):
        each.loseConnection()
    there.pump.flush()
    assert not there.system.links


def test_a_link_that_dies_cuts_the_whole_connection():
    there = logged_on()
    channel(there, (b"subsystem", NS(b"tacl")))
    there.system.links[0].die()
    there.pump.flush()
    assert not there.system.links
    assert there.server.transport.disconnected


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("tacl -c fileinfo *", "fileinfo *"),
        ('gtacl -c "a b"', "a b"),
        ("tacl -p fup", None),
        ("tacl", None),
        ("", None),
    ],
)
def test_the_command_in_a_line_for_the_shell(line, command):
    assert tacl_command(line) == command
