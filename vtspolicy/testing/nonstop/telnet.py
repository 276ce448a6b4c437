"""Telnet to the simulated system, negotiated as its Telnet server does.

Documented: the options ECHO, SUPPRESS GO AHEAD, BINARY, TERMINAL TYPE and the commands; a terminal
type of a 6530 switches to block mode, all others are ignored; BREAK and INTERRUPT PROCESS are the
BREAK key; ARE YOU THERE is answered by `[Yes]`; lines end with CR LF.

Ours: the order of the offers (ECHO and SUPPRESS GO AHEAD by the host, then the question for the
terminal type); BINARY and all other options are declined; in block mode the host shows a screen
instead of lines and no longer understands lines, so that a program that got there by mistake
notices.
"""

from typing import Any

from twisted.conch.telnet import (
    AO,
    AYT,
    BRK,
    EC,
    ECHO,
    EL,
    IP,
    SGA,
    Telnet,
)
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from vtspolicy.testing.nonstop.link import Faults, Link
from vtspolicy.testing.nonstop.system import System

BLOCK_MODE = (b"TN6530", b"TN653X", b"UB6530", b"UB653X", b"6530", b"653X")
"""Beginnings of terminal types that switch to block mode (documented)."""

SCREEN = b"\x1b:\x1bJ\x1b;This terminal is in block mode.\x1b["
"""What is shown in block mode (ours)."""

TTYPE = b"\x18"
_SEND, _IS = b"\x01", b"\x00"


class TelnetWire(Telnet):
    """One Telnet connection."""

    transport: Any  # one that can abort

    def __init__(self, system: System, clock: IReactorTime, faults: Faults | None) -> None:
        super().__init__()
        self.link = Link(system, self, clock, faults=faults)
        self.is_block_mode = False
        self._echoes = system.settings.echo
        self.commandMap |= {
            BRK: lambda _: self.link.press_break(),
            IP: lambda _: self.link.press_break(),
            AYT: lambda _: self.write(b"[Yes]\r\n"),
            AO: lambda _: None,
            EC: lambda _: self.link.take(b"\x08"),
            EL: lambda _: self.link.take(b"\x18"),
        }
        self.negotiationMap[TTYPE] = self._terminal_type

    def connectionMade(self) -> None:
        """Offer the options, then show the banner."""
        if self._echoes:
            self.will(ECHO).addErrback(self._no_echo)
        self.will(SGA).addErrback(self._declined)
        self.do(TTYPE).addCallbacks(self._ask_terminal_type, self._declined)
        self.link.start()

    def _no_echo(self, failure: Failure) -> None:
        self.link.session.terminal.echo = False

    def _declined(self, failure: Failure) -> None:
        """Go on without an option that the other side declines; links may end before an answer."""

    def enableLocal(self, option: bytes) -> bool:
        """Whether the host does what it is asked to."""
        if option == ECHO:
            self.link.session.terminal.echo = True
        return option in (ECHO, SGA)

    def disableLocal(self, option: bytes) -> None:
        """The other side does not want an option."""
        if option == ECHO:
            self.link.session.terminal.echo = False

    def enableRemote(self, option: bytes) -> bool:
        """Whether the other side may do what it offers."""
        return option in (TTYPE, SGA)

    def disableRemote(self, option: bytes) -> None:
        """The other side no longer does something."""

    def _ask_terminal_type(self, agreed: bool) -> None:
        self.requestNegotiation(TTYPE, _SEND)

    def _terminal_type(self, data: list[bytes]) -> None:
        kind = b"".join(data)
        if kind[:1] == _IS and kind[1:].upper().startswith(BLOCK_MODE):
            self.is_block_mode = True
            self._write(SCREEN)

    def applicationDataReceived(self, data: bytes) -> None:
        """Take what was typed."""
        if not self.is_block_mode:
            self.link.take(data)

    def write(self, data: bytes) -> None:
        """Send what the host shows."""
        if not self.is_block_mode:
            self._write(data.replace(b"\xff", b"\xff\xff"))

    def close(self, succeeded: bool) -> None:
        """End the connection."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the session."""
        super().connectionLost(reason)
        self.link.lost()


class TelnetFactory(Factory):
    """Makes a session for each connection."""

    noisy = False

    def __init__(self, system: System, clock: IReactorTime, faults: Faults | None = None) -> None:
        self._system, self._clock, self._faults = system, clock, faults

    def buildProtocol(self, addr: IAddress | None) -> TelnetWire:
        """Return the protocol of one connection."""
        return TelnetWire(self._system, self._clock, self._faults)
