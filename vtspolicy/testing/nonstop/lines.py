"""Plain lines to the simulated system: a TCP connection, or a pipe, without Telnet or SSH.

The session is the same as with Telnet, but nothing is echoed, and Control-C is the BREAK key.
"""

from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.link import Faults, Link
from vtspolicy.testing.nonstop.system import System


class LineWire(Protocol):
    """One connection."""

    transport: Any  # with loseConnection, and mostly with abortConnection

    def __init__(
        self,
        system: System,
        clock: IReactorTime,
        faults: Faults | None = None,
        account: Account | None = None,
        command: str | None = None,
        *,
        echo: bool = False,
    ) -> None:
        self.link = Link(
            system, self, clock, faults=faults, account=account, command=command, echo=echo
        )

    def connectionMade(self) -> None:
        """Show the banner."""
        self.link.start()

    def dataReceived(self, data: bytes) -> None:
        """Take what was typed."""
        self.link.take(data)

    def write(self, data: bytes) -> None:
        """Send what the host shows."""
        self.transport.write(data)

    def close(self, succeeded: bool) -> None:
        """End the connection."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Cut the connection."""
        abort = getattr(self.transport, "abortConnection", self.transport.loseConnection)
        abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the session."""
        self.link.lost()


class LineFactory(Factory):
    """Makes a session for each connection."""

    noisy = False

    def __init__(self, system: System, clock: IReactorTime, faults: Faults | None = None) -> None:
        self._system, self._clock, self._faults = system, clock, faults

    def buildProtocol(self, addr: IAddress | None) -> LineWire:
        """Return the protocol of one connection."""
        return LineWire(self._system, self._clock, self._faults)
