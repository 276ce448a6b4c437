"""Telnet, and Telnet over TLS: a terminal of lines.

TTYPE is refused, because a 6530 type switches to block mode (documented); all other options are
declined, too: the host then does not echo, and shows lines.
"""

from twisted.conch.telnet import IAC, Telnet
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from vtspolicy.hosts.connection_state import keep_alive
from vtspolicy.hosts.dial.terminal import TELNET_END, LinkError, Screen, cut, steer
from vtspolicy.links.life import Cause

MOST_DECLINED = 200
"""Offers and requests of a connection that are declined; a host that makes more is not one."""


class TelnetTerminal(Telnet):
    """A terminal on a Telnet connection; Conch's own protocol declines every option."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Conch's
        self._screen = screen
        self._declined = 0

    def connectionMade(self) -> None:
        """The connection is there."""
        keep_alive(self.transport)
        self._screen.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Take what came; Conch looks at every byte, which only commands need."""
        if self.state == "data" and IAC not in data and not data.endswith(b"\r"):
            self._screen.shown(data.replace(b"\r\0", b"\r") if b"\0" in data else data)
            return
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Conch's
        except ValueError:  # a command that Telnet does not have
            self.abort()

    def applicationDataReceived(self, data: bytes) -> None:
        """Show what came between commands."""
        self._screen.shown(data)

    def enableLocal(self, option: bytes) -> bool:
        """Decline what we are asked to do."""
        self._count()
        return False

    def enableRemote(self, option: bytes) -> bool:
        """Decline what the host offers to do."""
        self._count()
        return False

    def disableLocal(self, option: bytes) -> None:
        """Nothing: no option was ever enabled."""

    def disableRemote(self, option: bytes) -> None:
        """Nothing: no option was ever enabled."""

    def unhandledCommand(self, command: bytes, argument: bytes | None) -> None:
        """Pass over a command without a meaning for lines, such as GO AHEAD."""

    def unhandledSubnegotiation(self, command: bytes, data: list[bytes]) -> None:
        """Pass over what belongs to an option that was declined."""

    def _count(self) -> None:
        self._declined += 1
        if self._declined > MOST_DECLINED:
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Conch's
        self._screen.ended(LinkError(Cause.ENDED, "the host has ended the connection"))

    # What is typed

    def type(self, line: bytes) -> None:
        """Type a line."""
        if self.transport is not None:
            self.transport.write(line.replace(IAC, IAC + IAC) + TELNET_END)

    def close(self) -> None:
        """End the connection behind what was typed."""
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


@implementer(IHandshakeListener)
class TelnetsTerminal(TelnetTerminal):
    """The same over TLS: it is there once the host has shown who it is."""

    _is_open = False

    def connectionMade(self) -> None:
        """Wait for the host's certificate."""
        keep_alive(self.transport)

    def handshakeCompleted(self) -> None:
        """The host is who it should be."""
        self._is_open = True
        self._screen.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; before its time, it is told why."""
        if self._is_open:
            super().connectionLost(reason)
            return
        Telnet.connectionLost(self, reason)
        self._screen.ended(LinkError(Cause.UNREACHABLE, f"no TLS connection: {why(reason)}"))


def why(reason: Failure) -> str:
    """Return why there is no TLS connection, in the words of OpenSSL."""
    said = reason.value.args[0] if reason.value is not None and reason.value.args else None
    if isinstance(said, list):  # an OpenSSL.SSL.Error: (library, function, text)
        texts = [str(each[-1]) for each in said if isinstance(each, tuple)]
        return "; ".join(texts) or "the host broke it off"
    return str(said or reason.getErrorMessage() or "the host broke it off")
