"""What a transport gives: a terminal of the host, to be typed at and looked at."""

from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol

from vtspolicy.hosts.connection_state import keep_alive
from vtspolicy.links.life import Cause

TELNET_END = b"\r\n"
"""How a typed line ends, but for SSH."""


class LinkError(Exception):
    """A link could not be opened, or failed; the message is for people, and never has a secret."""

    def __init__(self, cause: Cause, message: str) -> None:
        self.cause = cause
        super().__init__(message)

    def with_words(self, words: str) -> "LinkError":
        """Return the same with more words."""
        return LinkError(self.cause, f"{self}; {words}" if words else str(self))


class Screen(TypingProtocol):
    """Who looks at a terminal."""

    def opened(self, terminal: "Terminal") -> None:
        """The terminal is there: the host can be typed to."""

    def shown(self, data: bytes) -> None:
        """The host shows something."""

    def ended(self, error: LinkError) -> None:
        """The terminal is gone, or did not come; called once."""


class Terminal(TypingProtocol):
    """A terminal of a host."""

    def type(self, line: bytes) -> None:
        """Type a line; its end is the terminal's own."""

    def close(self) -> None:
        """End the connection behind what was typed."""

    def abort(self) -> None:
        """End the connection at once."""

    def pause(self) -> None:
        """Take nothing more from the host until `resume`."""

    def resume(self) -> None:
        """Take what comes again."""

    @property
    def transport(self) -> ITransport | None:
        """What carries it."""


class PlainTerminal(Protocol):
    """A terminal on a connection without any protocol: `protocol: lines`."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def connectionMade(self) -> None:
        """The connection is there."""
        keep_alive(self.transport)
        self._screen.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Show what came."""
        self._screen.shown(data)

    def connectionLost(self, reason: object = None) -> None:
        """The connection is gone."""
        self._screen.ended(LinkError(Cause.ENDED, "the host has ended the connection"))

    def type(self, line: bytes) -> None:
        """Type a line."""
        if self.transport is not None:
            self.transport.write(line + TELNET_END)

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


def cut(transport: object) -> None:
    """End a connection at once."""
    for name in ("abortConnection", "loseConnection"):
        end = getattr(transport, name, None)
        if end is not None:
            end()
            return


def steer(transport: object, *, reads: bool) -> None:
    """Have a connection read, or not."""
    change = getattr(transport, "resumeProducing" if reads else "pauseProducing", None)
    if change is not None:
        change()
