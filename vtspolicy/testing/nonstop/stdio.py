"""The simulated system on standard input and output, behind a server of another kind.

An SSH server runs it as a subsystem or forced command, a Telnet daemon as its login program: one
process for each session. Their common state is a journal in a file, which each looks at every now
and then.
"""

import os
import termios
import tty
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.lines import LineWire
from vtspolicy.testing.nonstop.link import Faults
from vtspolicy.testing.nonstop.system import System

LOOK = 0.05
"""Seconds between two looks at the journal."""


class StdioWire(LineWire):
    """The session on standard input and output."""

    def __init__(
        self, *arguments: Any, ended: Callable[[bool], None], **more: Any
    ) -> None:  # LineWire's
        super().__init__(*arguments, **more)
        self._on_end = ended
        self._succeeded = False  # until the host has ended the session in good order

    def close(self, succeeded: bool) -> None:
        """End the session."""
        self._succeeded = succeeded
        super().close(succeeded)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the program."""
        super().connectionLost(reason)
        self._on_end(self._succeeded)


def run_on_stdio(
    system: System,
    reactor: Any,  # a whole one
    *,
    faults: Faults | None = None,
    account: Account | None = None,
    command: str | None = None,
) -> Deferred[bool]:
    """Run one session on standard input and output; fires when it is over, with how it ended.

    A terminal there is made to show nothing by itself: the session echoes what is to be echoed.
    """
    over: Deferred[bool] = Deferred()
    is_terminal = os.isatty(0)
    before = termios.tcgetattr(0) if is_terminal else None
    if is_terminal:
        tty.setraw(0)
    watching = LoopingCall(system.refresh)

    def ended(succeeded: bool) -> None:
        watching.stop()
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        over.callback(succeeded)

    wire = StdioWire(system, reactor, faults, account, command, echo=is_terminal, ended=ended)
    watching.start(LOOK, now=False)
    StandardIO(wire, reactor=reactor)
    return over
