"""SSH: a terminal of TACL, as the subsystem `tacl` or by a command."""

from pathlib import Path

from attrs import field, frozen
from twisted.conch.client.knownhosts import KnownHostsFile, PlainEntry, UnparsedEntry
from twisted.conch.error import ConchError, InvalidEntry
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, FingerprintFormats, Key
from twisted.conch.ssh.transport import (
    DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE,
    SSHClientTransport,
)
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import connectionDone
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from zope.interface import implementer

from vtspolicy.hosts.connection_state import keep_alive
from vtspolicy.hosts.dial.terminal import LinkError, Screen, cut, steer
from vtspolicy.links.life import Cause
from vtspolicy.visible import visible

SUBSYSTEM = b"tacl"
SHOWN = 200
"""Characters of a host's own words that an error shows."""


@implementer(ILogObserver)
def _nothing(event: object) -> None:
    """Write nothing."""


_SILENT = Logger("vtspolicy.ssh", observer=_nothing)
"""What Conch would log is in our own errors, and hosts do not decide how much is logged."""

_RSA = (b"rsa-sha2-512", b"rsa-sha2-256", b"ssh-rsa")


@frozen(kw_only=True)
class Account:
    """Who logs on, and how he shows it."""

    user: str
    password: str | None = field(default=None, repr=False)
    key: Key | None = field(default=None, repr=False)


def read_key(file: Path) -> Key:
    """Return a private key. Raises LinkError."""
    try:
        key: Key = Key.fromString(file.read_bytes())
    except OSError as error:
        raise LinkError(Cause.UNUSABLE, f"{file} cannot be read: {error.strerror}") from None
    except EncryptedKeyError:
        raise LinkError(
            Cause.UNUSABLE, f"{file} asks for a passphrase, and a server cannot be asked"
        ) from None
    except (BadKeyError, ValueError, TypeError, IndexError, KeyError):
        raise LinkError(Cause.UNUSABLE, f"{file} is not a private key for SSH") from None
    if key.isPublic():
        raise LinkError(Cause.UNUSABLE, f"{file} is a public key; the private one is needed")
    return key


class KnownHosts:
    """The keys that a host may show, by a file of OpenSSH's form."""

    def __init__(self, file: Path, host: str, port: int) -> None:
        """Read the file. Raises LinkError."""
        self._file = file
        name = host if port == 22 else f"[{host}]:{port}"
        self._name = name.encode()
        try:
            known = KnownHostsFile.fromPath(FilePath(str(file)))
            entries = list(known.iterentries())
        except (OSError, InvalidEntry, ValueError) as error:
            raise LinkError(Cause.UNUSABLE, f"{file} cannot be used: {error}") from None
        self._entries = [
            each
            for each in entries
            if not isinstance(each, UnparsedEntry) and each.matchesHost(self._name)
        ]
        self._revoked = [each for each in map(_revoked, entries) if each is not None]

    @property
    def kinds(self) -> list[bytes]:
        """The kinds of keys that are known of the host, as SSH negotiates them."""
        found: list[bytes] = []
        for each in self._entries:
            found += _RSA if each.keyType == b"ssh-rsa" else (each.keyType or b"",)
        return found

    def refuses(self, key: Key) -> str | None:
        """Return why the host is not taken for who it should be; None if it is."""
        shown = key.fingerprint(format=FingerprintFormats.SHA256_BASE64)
        kind = key.sshType().decode()
        name = self._name.decode()
        if any(each.matchesHost(self._name) and each.matchesKey(key) for each in self._revoked):
            return f"the key of {name} is revoked in {self._file} ({kind} SHA256:{shown})"
        if any(each.matchesKey(key) for each in self._entries):
            return None
        if self._entries:
            return (
                f"the key of {name} has changed: {kind} SHA256:{shown} is not in {self._file}."
                " Another machine may have taken its place; ask the host's administrator"
            )
        return f"{name} is not in {self._file}; it shows {kind} SHA256:{shown}"


def _revoked(entry: object) -> PlainEntry | None:
    """Return the entry behind `@revoked`, which Conch does not know."""
    if not isinstance(entry, UnparsedEntry):
        return None
    mark, _, rest = entry.toString().partition(b" ")
    try:
        return PlainEntry.fromString(rest) if mark == b"@revoked" else None
    except (InvalidEntry, ValueError):
        return None


class SshTerminal(SSHClientTransport):
    """A terminal on one channel of an SSH connection."""

    _log = _SILENT

    def __init__(
        self, screen: Screen, *, account: Account, known: KnownHosts, command: str | None
    ) -> None:
        self._screen = screen
        self._account = account
        self._known = known
        self.command = command  # run instead of the subsystem
        self._channel: _Channel | None = None
        self._wrong: LinkError | None = None  # why it ends
        self.offered_secret = False
        kinds = known.kinds
        if kinds:
            # The host is asked for a key that is known; it may have others.
            self.supportedPublicKeys = [
                each for each in SSHClientTransport.supportedPublicKeys if each in kinds
            ]

    def connectionMade(self) -> None:
        """The connection is there."""
        keep_alive(self.transport)
        super().connectionMade()  # type: ignore[no-untyped-call]  # Conch's

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[bool]:
        """Look whether the host is who it should be."""
        refused = self._known.refuses(Key.fromString(hostKey))
        if refused is None:
            return succeed(True)
        self.give_up(LinkError(Cause.UNREACHABLE, refused))
        return fail(ConchError(refused))

    def connectionSecure(self) -> None:
        """Nobody listens: authenticate."""
        self.requestService(_Authentication(self, self._account, _Connection(self)))

    def authenticated(self, connection: SSHConnection) -> None:
        """The host has let us in: open a channel."""
        self._channel = _Channel(self, conn=connection)
        connection.openChannel(self._channel)

    def started(self) -> None:
        """TACL runs."""
        self._screen.opened(self)

    def shown(self, data: bytes) -> None:
        """TACL shows something."""
        self._screen.shown(data)

    def give_up(self, error: LinkError) -> None:
        """End the connection for a reason, which is told when it is gone."""
        self._wrong = self._wrong or error
        if self.transport is not None:
            self.transport.loseConnection()

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Note why we end the connection."""
        if self._wrong is None:
            if reason == DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE:
                user = self._account.user
                self._wrong = LinkError(
                    Cause.REFUSED, f"the host did not accept {user}, by key or password"
                )
            else:
                words = visible(desc.decode("utf-8", "replace"))[:SHOWN]
                self._wrong = LinkError(Cause.UNREACHABLE, f"no SSH connection: {words}")
        super().sendDisconnect(reason, desc)  # type: ignore[no-untyped-call]  # Conch's

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """Note why the host ends the connection."""
        words = visible(description.decode("utf-8", "replace"))[:SHOWN]
        is_refused = self.offered_secret and self._channel is None
        cause = Cause.REFUSED if is_refused else Cause.ENDED
        self._wrong = self._wrong or LinkError(cause, f"the host ends the connection: {words}")

    def dataReceived(self, data: bytes) -> None:
        """Take packets; what breaks the protocol ends the connection."""
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Conch's
        except Exception as error:  # noqa: BLE001 - Conch raises what it finds in a packet
            words = f"no SSH connection: a packet is wrong ({type(error).__name__})"
            self.give_up(LinkError(Cause.ENDED, words))
            self.abort()

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)
        if self._wrong is None and self._channel is None:
            self._wrong = LinkError(
                Cause.UNREACHABLE, "the host has ended the connection before a logon"
            )
        self._screen.ended(
            self._wrong or LinkError(Cause.ENDED, "the host has ended the connection")
        )

    # What is typed

    def type(self, line: bytes) -> None:
        """Type a line."""
        if self._channel is not None:
            self._channel.write(line + b"\n")  # type: ignore[no-untyped-call]  # Conch's

    def close(self) -> None:
        """End the connection behind what was typed."""
        if self._channel is not None and not self._channel.localClosed:
            self._channel.loseConnection()  # type: ignore[no-untyped-call]  # Conch's
        if self.transport is not None:
            self.transport.loseConnection()

    def abort(self) -> None:
        """End the connection at once."""
        cut(self.transport)

    def pause(self) -> None:
        """Take nothing more."""
        steer(self.transport, reads=False)

    def resume(self) -> None:
        """Take what comes again."""
        steer(self.transport, reads=True)


class _Authentication(SSHUserAuthClient):
    """Shows the key, then the password, each once: hosts freeze accounts."""

    _log = _SILENT

    def __init__(self, terminal: SshTerminal, account: Account, connection: SSHConnection) -> None:
        super().__init__(account.user.encode(), connection)
        self._terminal = terminal
        self._key, self._password = account.key, account.password
        self._answer: str | None = None  # to the one question that may be asked

    def getPublicKey(self) -> Key | None:
        """Return the key, once."""
        if self._key is None or self.triedPublicKeys:
            return None
        self._terminal.offered_secret = True
        public: Key = self._key.public()
        return public

    def getPrivateKey(self) -> Deferred[Key]:
        """Return the key to sign with."""
        return succeed(self._key) if self._key is not None else fail(ConchError("no key"))

    def getPassword(self, prompt: bytes | None = None) -> Deferred[bytes] | None:
        """Return the password, once; never for a change of it, which has a prompt."""
        password = self._take_password()
        return None if password is None else succeed(password.encode())

    def _take_password(self) -> str | None:
        password, self._password = self._password, None
        if password is not None:
            self._terminal.offered_secret = True
        return password

    def ssh_USERAUTH_PK_OK_password(self, packet: bytes) -> None:
        """Tell that the password has expired; a person must change it."""
        error = f"the password of {self.user.decode()} has expired: the host asks for a new one"
        self._terminal.give_up(LinkError(Cause.REFUSED, error))

    def auth_keyboard_interactive(self) -> bool:
        """Be asked for the password, if it was not used yet."""
        self._answer = self._take_password()
        return self._answer is not None and super().auth_keyboard_interactive()

    def getGenericAnswers(
        self, name: bytes, instruction: bytes, prompts: list[tuple[bytes, bool]]
    ) -> Deferred[list[str]]:
        """Answer the one hidden question for a password; there may be rounds without one."""
        if not prompts:
            return succeed([])
        (prompt, is_echoed), *others = prompts
        answer, self._answer = self._answer, None
        if others or is_echoed or answer is None or b"assword" not in prompt:
            return fail(ConchError("a question that cannot be answered"))
        return succeed([answer])


class _Connection(SSHConnection):
    """The layer of channels."""

    _log = _SILENT

    def __init__(self, terminal: SshTerminal) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Conch's
        self._terminal = terminal

    def serviceStarted(self) -> None:
        """The host has let us in."""
        super().serviceStarted()  # type: ignore[no-untyped-call]  # Conch's
        self._terminal.authenticated(self)


class _Channel(SSHChannel):
    """The channel on which TACL runs."""

    name = b"session"
    _log = _SILENT

    def __init__(self, terminal: SshTerminal, *, conn: SSHConnection) -> None:
        super().__init__(conn=conn)
        self._connection = conn
        self._terminal = terminal

    def channelOpen(self, specificData: bytes) -> None:
        """Ask for TACL."""
        command = self._terminal.command
        kind, what = (b"subsystem", SUBSYSTEM) if command is None else (b"exec", command.encode())
        asked = self._connection.sendRequest(self, kind, NS(what), wantReply=True)
        asked.addCallbacks(lambda _: self._terminal.started(), lambda _: self._refused(kind, what))

    def openFailed(self, reason: object) -> None:
        """The host opens no channel."""
        words = "the host opens no session for this user"
        self._terminal.give_up(LinkError(Cause.NO_PROMPT, words))

    def _refused(self, kind: bytes, what: bytes) -> None:
        words = f"the host does not run the {kind.decode()} {what.decode()}".replace(
            "exec", "command"
        )
        self._terminal.give_up(LinkError(Cause.NO_PROMPT, words))

    def dataReceived(self, data: bytes) -> None:
        """Show it."""
        self._terminal.shown(data.replace(b"\r\n", b"\n"))

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Show what comes as an error, too."""
        self._terminal.shown(data)

    def eofReceived(self) -> None:
        """TACL shows nothing more."""
        self._terminal.close()

    def closed(self) -> None:
        """The session is over."""
        self._terminal.close()
