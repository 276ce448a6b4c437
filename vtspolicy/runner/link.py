"""The line to the keeper: found, or started, and found again when it was lost."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from vtspolicy.runner import keeper
from vtspolicy.runner.protocol import KeeperError

PROGRAM = Path(keeper.__file__)
LOG = "keeper.log"
LOG_SIZE = 1 << 20  # bytes; a log that has grown above that is begun again
TIMEOUT = 10.0  # seconds for a keeper to start, or to greet
DECODER = json.JSONDecoder()
DELAYS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between attempts; the last one repeats


class KeeperLines(LineOnlyReceiver):
    """What the keeper says: one JSON object a line, a greeting first."""

    delimiter = b"\n"

    def __init__(self, told: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> None:
        self._told = told
        self._lost = lost
        self.greeting: Deferred[dict[str, Any]] | None = Deferred()
        self.gone: Deferred[None] = Deferred()  # the connection is over

    def lineReceived(self, line: bytes) -> None:
        """Take the greeting, or a message."""
        message = DECODER.decode(line.decode())
        if self.greeting is None:
            self._told(message)
        else:
            greeting, self.greeting = self.greeting, None
            greeting.callback(message)

    def hang_up(self) -> None:
        """End the connection; what was sent before still arrives."""
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wake all that wait for the end."""
        self.gone.callback(None)
        if self.greeting is None:
            self._lost()
        else:
            greeting, self.greeting = self.greeting, None
            greeting.errback(KeeperError("the keeper closed the connection without a greeting"))


class KeeperLink:
    """A connection to the keeper of a spool, kept up until it is closed."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,  # IReactorTime and IReactorUNIX: zope's interfaces do not combine in types
        spool: Path,
        *,
        idle: float,
        up: Callable[[], None],
        down: Callable[[], None],
        told: Callable[[dict[str, Any]], None],
    ) -> None:
        self._reactor = reactor
        self._spool = spool
        self._idle = idle
        self._up = up
        self._down = down
        self._told = told
        self._lines: KeeperLines | None = None
        self._closed = False
        self._trying: Deferred[None] | None = None  # to reach a keeper again
        self.pid: int | None = None  # the keeper's
        self.trouble: str | None = None  # why no keeper can be reached, once that was tried

    async def open(self) -> None:
        """Connect, starting a keeper if there is none. Raises KeeperError."""
        until = time.monotonic() + TIMEOUT
        for attempt in range(sys.maxsize):
            try:
                lines, greeting = await self._connect()
                break
            except (ConnectError, OSError, KeeperError) as error:
                # No keeper is there, or it is just leaving.
                if time.monotonic() > until:
                    raise KeeperError(
                        f"the keeper of {self._spool} cannot be reached: {error}"
                    ) from error
            await self._start_keeper()
            if attempt:
                await deferLater(self._reactor, DELAYS[min(attempt, len(DELAYS)) - 1])
        if self._closed:
            lines.hang_up()
            return
        self._lines = lines
        self.pid, self.trouble = greeting["pid"], None
        self._up()

    def send(self, line: bytes) -> None:
        """Send one line; without a connection it is lost, and `up` will be called."""
        if self._lines is not None:
            self._lines.sendLine(line)  # type: ignore[no-untyped-call]  # Twisted's

    async def close(self) -> None:
        """Hang up. The keeper continues."""
        self._closed = True
        if self._trying is not None:
            self._trying.cancel()
        if self._lines is not None:
            lines = self._lines
            lines.hang_up()
            await lines.gone

    async def _connect(self) -> tuple[KeeperLines, dict[str, Any]]:
        # Through a descriptor: the address of a socket has room for 107 bytes only.
        folder = os.open(self._spool, os.O_PATH | os.O_DIRECTORY)
        try:
            address = f"/proc/self/fd/{folder}/{keeper.SOCKET}"
            endpoint = UNIXClientEndpoint(self._reactor, address)
            lines: KeeperLines = await connectProtocol(
                endpoint, KeeperLines(self._told, self._lost)
            )
        finally:
            os.close(folder)
        greeting = lines.greeting
        if greeting is None:  # it came already
            raise KeeperError("the keeper said something before its greeting")
        try:
            return lines, await greeting.addTimeout(TIMEOUT, self._reactor)
        except CancelledError:  # we are closed: the keeper must not stay for us
            lines.hang_up()
            raise
        except TimeoutError as error:
            lines.hang_up()
            raise KeeperError(f"the keeper of {self._spool} does not answer") from error

    def _spawn_keeper(self, log: Path) -> int:
        try:
            with open(log, "ab", opener=_private) as file:
                if file.tell() > LOG_SIZE:
                    file.truncate(0)
                return os.posix_spawn(
                    sys.executable,
                    [
                        sys.executable,
                        *("-I", "-S", "-X", "utf8"),
                        str(PROGRAM),
                        str(self._spool),
                        str(self._idle),
                    ],
                    # Nothing of our environment, which may hold secrets, but what Python may need.
                    {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, file.fileno(), 2),
                    ],
                    setsid=True,
                    setsigmask=[],
                )
        except OSError as error:
            raise KeeperError(f"{log}: {error.strerror}") from error

    async def _start_keeper(self) -> None:
        """Start a keeper; one that is killed meanwhile is started once more."""
        log = self._spool / LOG
        code = await self._exited(log)
        if code < 0:
            code = await self._exited(log)
        if code:
            said = log.read_text(errors="replace").strip().rpartition("\n")[2][:240]
            raise KeeperError(f"the keeper of {self._spool} cannot start ({code}): {said}")

    async def _exited(self, log: Path) -> int:
        """Start a keeper's first process; return its exit code, or minus the signal that ended it.

        It leaves a child behind and exits as soon as its socket is there. One that takes too long
        is ended, and counts as started: whether it answers is seen next.
        """
        pid = self._spawn_keeper(log)
        until = time.monotonic() + TIMEOUT
        code = None
        try:
            while (code := _exit_code(pid)) is None and time.monotonic() < until:
                await deferLater(self._reactor, 0.005)
        finally:
            if code is None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # noqa: ASYNC222 - it is dead
        return code or 0

    def _lost(self) -> None:
        self._lines = None
        self.pid = None
        if not self._closed:
            self._log.warn(
                "The keeper of {spool} is gone; its runs continue.",
                action="keeper_lost",
                spool=str(self._spool),
            )
            self._down()
            self._trying = Deferred.fromCoroutine(self._again())
            self._trying.addErrback(self._gave_up)

    def _gave_up(self, failure: Failure) -> None:
        if not failure.check(CancelledError, ConnectingCancelledError):  # we are closed
            self._log.failure("The keeper cannot be reached", failure, action="keeper_missing")

    async def _again(self) -> None:
        attempt = 0
        while not self._closed:
            try:
                await self.open()
            except (KeeperError, ConnectError, OSError) as error:
                self.trouble = str(error)
                self._log.error(
                    "No keeper for {spool}: {error}",
                    action="keeper_missing",
                    spool=str(self._spool),
                    error=str(error),
                )
            else:
                return
            await deferLater(self._reactor, DELAYS[min(attempt, len(DELAYS) - 1)])
            attempt += 1


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _exit_code(pid: int) -> int | None:
    """Return the exit code of our child, None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None
