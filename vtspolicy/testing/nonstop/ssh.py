"""SSH to the simulated system.

Documented: public keys and passwords; the subsystem `tacl` is TACL without OSS; `tacl -c COMMAND`
and `gtacl -c COMMAND` run one TACL command; a shell is TACL with a terminal of type `tn6530`, and
an OSS shell with any other; after an authentication TACL starts logged on.

Ours: the OSS shell and every other command say that they are not simulated, and end with status
127; the exit status of a command is 1 if TACL or its program complained; what is typed is echoed
if there is a terminal; a frozen account is not let in with a key either; a setting makes TACL ask
for a logon all the same.
"""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.avatar import ConchUser
from twisted.conch.error import ValidPublicKey
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession, SSHSessionProcessProtocol
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from vtspolicy.testing.nonstop.accounts import Account, Verdict
from vtspolicy.testing.nonstop.lines import LineWire
from vtspolicy.testing.nonstop.link import Faults
from vtspolicy.testing.nonstop.run_options import tacl_command
from vtspolicy.testing.nonstop.system import System

TERMINAL = b"tn6530"
"""How the types of terminals begin that get TACL from a shell request (documented)."""

TIMEOUT = 120
"""Seconds in which somebody has to authenticate (ours)."""

NOT_SIMULATED = b"This is a simulated host without OSS: ask for the subsystem tacl.\r\n"


def new_host_key() -> Key:
    """Return a new host key."""
    return Key(Ed25519PrivateKey.generate())


class User(ConchUser):
    """Somebody who has authenticated."""

    def __init__(
        self, system: System, clock: IReactorTime, faults: Faults | None, account: Account
    ) -> None:
        super().__init__()
        self.terminal = b""  # its type, if there is one
        self.wire: SshWire | None = None
        self._system, self._clock, self._faults = system, clock, faults
        self._account = account if system.settings.ssh_logged_on else None
        self.channelLookup[b"session"] = Channel
        self.subsystemLookup[b"tacl"] = lambda data, avatar: self.tacl()  # noqa: ARG005 - as Conch calls it

    def tacl(self, command: str | None = None) -> "SshWire":
        """Return a new session of TACL."""
        self.wire = SshWire(
            self._system,
            self._clock,
            self._faults,
            self._account,
            command,
            echo=bool(self.terminal),
        )
        self.wire.user = self
        return self.wire

    def logged_out(self) -> None:
        """Nothing: the channel has ended its session."""


class SshWire(LineWire):
    """One TACL session on a channel."""

    user: User
    process: SSHSessionProcessProtocol | None = None  # of a shell or a command

    def close(self, succeeded: bool) -> None:
        """End the channel, with an exit status."""
        reason = ProcessDone(0) if succeeded else ProcessTerminated(exitCode=1)
        # What Conch gives a subsystem for its transport is the process of the channel.
        (self.process or self.transport).processEnded(Failure(reason))

    def abort(self) -> None:
        """Cut the whole connection."""
        self.user.conn.transport.transport.abortConnection()


class Channel(SSHSession):
    """A session channel; knows the request that is the BREAK key (RFC 4335)."""

    def request_break(self, data: bytes) -> int:
        """Press the BREAK key."""
        user: Any = self.avatar  # a User, whom the interface does not know
        if user.wire is not None:
            user.wire.link.press_break()
            return 1
        return 0


class _Typed:
    """What a shell's or a command's channel writes to, as to a process."""

    def __init__(self, process: SSHSessionProcessProtocol, wire: SshWire) -> None:
        self._process, self._wire = process, wire

    def write(self, data: bytes) -> None:
        """Give it to the session."""
        self._wire.dataReceived(data)

    def closeStdin(self) -> None:
        """Nothing more is typed."""

    def loseConnection(self) -> None:
        """The channel ends."""
        self._wire.connectionLost(Failure(connectionDone.value))


class _Shown:
    """What a session writes to, to be sent on the channel of a shell or a command."""

    def __init__(self, process: SSHSessionProcessProtocol) -> None:
        self._process = process

    def write(self, data: bytes) -> None:
        """Send it."""
        self._process.outReceived(data)

    def loseConnection(self) -> None:
        """End the channel."""
        self._process.processEnded(Failure(ProcessDone(0)))


@implementer(ISession)
class _Requests:
    """Answers the requests on a channel."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._wire: SshWire | None = None

    def getPty(self, terminal: bytes, window: object, modes: object) -> None:
        self._user.terminal = terminal

    def windowChanged(self, window: object) -> None:
        """Lines have no need of its size."""

    def openShell(self, process: SSHSessionProcessProtocol) -> None:
        if self._user.terminal.lower().startswith(TERMINAL):
            self._open(process, None)
        else:
            _refuse(process)

    def execCommand(self, process: SSHSessionProcessProtocol, line: bytes) -> None:
        command = tacl_command(line.decode("utf-8", "surrogateescape"))
        if command is None:
            _refuse(process)
        else:
            self._open(process, command)

    def _open(self, process: SSHSessionProcessProtocol, command: str | None) -> None:
        self._wire = wire = self._user.tacl(command)
        wire.process = process
        process.makeConnection(_Typed(process, wire))
        wire.makeConnection(_Shown(process))

    def eofReceived(self) -> None:
        """What was asked for is still answered."""

    def closed(self) -> None:
        if self._wire is not None:
            self._wire.connectionLost(Failure(connectionDone.value))


registerAdapter(_Requests, User, ISession)


def _refuse(process: SSHSessionProcessProtocol) -> None:
    process.makeConnection(_Nowhere())
    process.outReceived(NOT_SIMULATED)
    process.processEnded(Failure(ProcessTerminated(exitCode=127)))


class _Nowhere:
    """What is typed to something that is not there."""

    def write(self, data: bytes) -> None:
        """Drop it."""

    def closeStdin(self) -> None:
        """Nothing to close."""

    def loseConnection(self) -> None:
        """Nothing to end."""


# Who may come in


@implementer(ICredentialsChecker)
class _Passwords:
    """Lets in who knows a password; counts wrong ones as TACL's logon does."""

    credentialInterfaces = (IUsernamePassword,)  # noqa: N815 - its name in the interface

    def __init__(self, system: System) -> None:
        self._system = system

    def requestAvatarId(
        self, credentials: Any
    ) -> Deferred[bytes | tuple[()]]:  # of IUsernamePassword
        name = credentials.username.decode("utf-8", "surrogateescape")
        password = credentials.password.decode("utf-8", "surrogateescape")
        verdict, _account = self._system.log_on(name, password)
        if verdict is Verdict.RIGHT:
            return succeed(credentials.username)
        return fail(UnauthorizedLogin("invalid username or password"))


@implementer(ICredentialsChecker)
class _Keys:
    """Lets in who has the private key of an account.

    Conch's own checker comes with its look at the users of this machine, which warns as it is
    imported.
    """

    credentialInterfaces = (ISSHPrivateKey,)  # noqa: N815 - its name in the interface

    def __init__(self, system: System) -> None:
        self._system = system

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:  # of ISSHPrivateKey
        accounts = self._system.accounts
        account = accounts.named(credentials.username.decode("utf-8", "surrogateescape"))
        keys = account.keys if account is not None and not accounts.is_frozen(account.user) else ()
        for key in map(Key.fromString, keys):
            if key.blob() == credentials.blob:
                if credentials.signature is None:
                    return fail(ValidPublicKey())
                if key.verify(credentials.signature, credentials.sigData):
                    return succeed(credentials.username)
        return fail(UnauthorizedLogin("no such key"))


@implementer(IRealm)
class _Realm:
    def __init__(self, system: System, clock: IReactorTime, faults: Faults | None) -> None:
        self._system, self._clock, self._faults = system, clock, faults

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        name = bytes(avatarId).decode("utf-8", "surrogateescape")
        account = self._system.accounts.named(name)
        assert account is not None  # noqa: S101 - it was just let in
        user = User(self._system, self._clock, self._faults, account)
        return IConchUser, user, user.logged_out


class _Authentication(SSHUserAuthServer):
    """Authenticates by the clock that the host was given, as all of it does."""

    loginTimeout = TIMEOUT  # noqa: N815 - its name in Conch
    transport: Any  # whose factory is an SshFactory

    def serviceStarted(self) -> None:
        self.clock = self.transport.factory.clock
        super().serviceStarted()


class SshFactory(SSHFactory):
    """Makes an SSH server for each connection."""

    noisy = False
    services = {**SSHFactory.services, b"ssh-userauth": _Authentication}  # noqa: RUF012 - as Conch's

    def __init__(
        self,
        system: System,
        clock: IReactorTime,
        faults: Faults | None = None,
        host_key: Key | None = None,
    ) -> None:
        super().__init__()
        self.clock = clock
        key = host_key or new_host_key()
        self.publicKeys = {key.sshType(): key.public()}
        self.privateKeys = {key.sshType(): key}
        self.portal = Portal(
            _Realm(system, clock, faults),
            [_Passwords(system), _Keys(system)],
        )
