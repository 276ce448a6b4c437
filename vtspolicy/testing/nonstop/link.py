"""A link to the simulated system, whatever carries it, with the faults of real ones on demand."""

from collections import deque
from collections.abc import Mapping
from typing import Protocol

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.session import Session
from vtspolicy.testing.nonstop.system import System

MOST_WAITING = 10_000_000
"""Bytes that a link which hangs keeps for later; behind them it is cut."""


class Wire(Protocol):
    """What carries a link."""

    def write(self, data: bytes) -> None:
        """Send bytes to the other side."""

    def close(self, succeeded: bool) -> None:
        """End the link in good order, behind everything that was written."""

    def abort(self) -> None:
        """Cut the link, whatever is still to be sent."""


@frozen(kw_only=True)
class Faults:
    """What is wrong with a link from its beginning."""

    delay: float = 0.0  # seconds before each answer
    chunk: int = 0  # most bytes that are sent at once; 0: no limit
    die_after: int | None = None  # bytes behind which the link is cut
    instead: bytes | None = None  # shown in the place of the whole session; nothing is heard
    shows_password: bool = False  # whether a password is echoed as it is typed


BAD_HOSTS: Mapping[str, Faults] = {
    "echo-password": Faults(shows_password=True),
    "other-machine": Faults(instead=b"\r\nBackup appliance 7\r\nbackup7 login: "),
    "no-prompt": Faults(instead=b"WELCOME TO NSK1 [PORT $ZTC0 #23 WINDOW $ZTN0.#PTY0001]\r\n"),
    "endless-line": Faults(instead=b"x" * 1_000_000),
}
"""Hosts with which a link cannot work, or should not, by name; their texts are ours."""


@define
class _Half:
    """A line that is to be sent in two halves."""

    pause: float | None  # seconds between them; None: the second half never comes


class Link:
    """One link and its session.

    A test takes it from `System.links` and calls its faults: `hang`, `resume`, `die`, `half_line`,
    `slow`, `die_after`.
    """

    def __init__(
        self,
        system: System,
        wire: Wire,
        clock: IReactorTime,
        *,
        faults: Faults | None = None,
        account: Account | None = None,
        command: str | None = None,
        echo: bool | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.sent = 0  # bytes
        self.received = 0  # bytes
        self._system = system
        self._wire = wire
        self._clock = clock
        self._delay = self.faults.delay
        self._die_at = self.faults.die_after
        self._queue: deque[bytes] = deque()
        self._waiting = 0  # bytes in it
        self._half: _Half | None = None
        self._is_hung = False
        self._is_due = False  # the delay before the next answer is over
        self._is_waiting = False  # for a delay or the pause within a line
        self._is_up = True
        self._end: bool | None = None  # the host ended the session: whether it succeeded
        self.session = Session(
            system,
            write=self._send,
            ended=self._ended,
            call_later=clock.callLater,
            account=account,
            command=command,
            echo=echo,
            shows_password=self.faults.shows_password,
        )

    def start(self) -> None:
        """The link is up: show the banner."""
        self._system.links.append(self)
        self._system.tell("link up", terminal=self.session.console.window)
        if self.faults.instead is None:
            self.session.start()
        else:
            self._send(self.faults.instead)

    def take(self, data: bytes) -> None:
        """Take what the other side sent."""
        self.received += len(data)
        if self._hears:
            self.session.feed(data)

    def press_break(self) -> None:
        """The other side sent a BREAK."""
        if self._hears:
            self.session.press_break()

    @property
    def _hears(self) -> bool:
        return not self._is_hung and self._is_up and self.faults.instead is None

    def lost(self) -> None:
        """The link is gone."""
        if self._is_up:
            self._is_up = False
            self._queue.clear()
            if self in self._system.links:
                self._system.links.remove(self)
            self.session.lost()
            self._system.tell("link down", terminal=self.session.console.window)

    # Faults

    def hang(self) -> None:
        """Send nothing and hear nothing from now on; the connection stays."""
        self._is_hung = True

    def resume(self) -> None:
        """Go on after `hang`: what was to be sent meanwhile is sent; what came is lost."""
        self._is_hung = False
        self._pump()

    def die(self) -> None:
        """Cut the connection."""
        self._wire.abort()
        self.lost()

    def die_after(self, count: int) -> None:
        """Cut the connection behind the next so many bytes."""
        self._die_at = self.sent + count

    def slow(self, seconds: float) -> None:
        """Wait so long before each answer."""
        self._delay = seconds

    def half_line(self, pause: float | None = None) -> None:
        """Send the next line in two halves, with a pause between; None: the second never comes."""
        self._half = _Half(pause)

    # Sending

    def _send(self, data: bytes) -> None:
        self._queue.append(data)
        self._waiting += len(data)
        if self._waiting > MOST_WAITING:
            self.die()
        self._pump()

    def _ended(self, succeeded: bool) -> None:
        self._end = succeeded
        self._pump()

    def _pump(self) -> None:
        while self._queue and self._may_send:
            if self._delay and not self._is_due:
                self._wait(self._delay)
                self._is_due = True
                return
            self._is_due = False
            data = self._queue.popleft()
            self._waiting -= len(data)
            self._put(data)
        if self._end is not None and not self._queue and self._may_send:
            self._wire.close(self._end)
            self._end = None

    @property
    def _may_send(self) -> bool:
        return self._is_up and not self._is_hung and not self._is_waiting

    def _put(self, data: bytes) -> None:
        at = data.find(b"\n")
        if self._half is not None and at > 1:
            half, self._half = self._half, None
            self._queue.appendleft(data[at // 2 :])
            self._waiting += len(data) - at // 2
            self._write(data[: at // 2])
            self._is_waiting = True
            if half.pause is not None:
                self._clock.callLater(half.pause, self._go_on)
            return
        size = self.faults.chunk or len(data)
        for start in range(0, len(data), size):
            self._write(data[start : start + size])

    def _write(self, data: bytes) -> None:
        if not self._is_up:
            return
        if self._die_at is not None and self.sent + len(data) >= self._die_at:
            data = data[: self._die_at - self.sent]
            self._wire.write(data)
            self.sent += len(data)
            self.die()
            return
        self._wire.write(data)
        self.sent += len(data)

    def _wait(self, seconds: float) -> None:
        self._is_waiting = True
        self._clock.callLater(seconds, self._go_on)

    def _go_on(self) -> None:
        self._is_waiting = False
        self._pump()
