"""What is known of one run that somebody waits for, and whether its time is over."""

import time
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred

from vtspolicy.runner import signals
from vtspolicy.runner.identity import Process
from vtspolicy.runner.looks import as_look
from vtspolicy.runner.protocol import End, Ended, Run
from vtspolicy.tapes import Look

PARTING = 0.5
"""Seconds for which an end is not believed that may be the machine's, and so soon ours too."""

Growth = tuple[int, float] | None
"""Size and time of the last change of an output, if there is one."""


@define(eq=False)
class Watched:
    """A run that somebody waits for."""

    run: Run
    ended: Deferred[Ended]
    program: str = ""  # absolute path
    asked: bool = False  # the keeper was asked to start it, and has not answered
    asked_at: float = 0.0  # by the monotonic clock
    held: bool = False  # the keeper that we are connected to will report its end
    leader: Process | None = None
    started: float | None = None  # seconds since the epoch
    stop: End | None = None  # we want it to end, and why
    reason: str = ""
    signalled: bool = False  # TERM was sent
    noted: bool = False  # that we stop it is written down
    kill_at: float = 0.0  # by the steady clock
    refused: frozenset[int] = frozenset()  # process groups that we may not signal
    over: Ended | None = None  # its leader has ended so; other processes of its session are left
    size: int = -1  # of the output, when last looked at
    grown: float = 0.0  # age of the leader when the output last changed
    doubted: float | None = None  # by the steady clock: when its end was seen, and not believed
    missed: float | None = None  # by the steady clock: when its process was first not found
    looks: bool = False  # its keeper takes looks at its tape, as far as is known
    before: Look | None = None  # at its tape, before its program was started
    after: Look | None = None  # and after that had ended

    def know(self, leader: Process, started: float, growth: Growth) -> None:
        """Note its process; an adopted run may have been silent for long."""
        self.leader, self.started = leader, started
        if growth is not None:
            silent = max(0.0, time.time() - max(growth[1], started))
            self.size, self.grown = growth[0], leader.age - silent

    def see(self, line: dict[str, Any], boot: str) -> None:
        """Note the looks in the keeper's message about its end; an older keeper takes none."""
        if self.run.tape is not None and "after" in line:
            vault, seen = self.run.tape.vault, (line["before"], line["after"])
            self.looks = True
            self.before, self.after = (each and as_look(each, vault, boot) for each in seen)

    def overdue(self, age: float, growth: Growth) -> tuple[End, str] | None:
        """Return why a run whose leader began `age` seconds ago must end now, or None."""
        run = self.run
        if run.timeout is not None and age >= run.timeout:
            return End.TIMEOUT, f"it took longer than {run.timeout:g} s"
        if run.silence is None:
            return None
        if growth is not None and growth[0] != self.size:
            self.size, self.grown = growth[0], age
        elif age - self.grown >= run.silence:
            return End.SILENT, f"it wrote no output for {run.silence:g} s"
        return None

    def doubts(self, line: dict[str, Any], now: float) -> bool:
        """Whether the keeper's line about its end must be looked at again before it is believed.

        A machine, or a session, that ends signals all its processes at once. Where the keeper was
        signalled, and the program did not end well, a server that is signalled too must not judge
        it: the next one knows whether the machine was restarted. `now` is monotonic.
        """
        if self.stop is not None or not line.get("leaving") or line["exit"] == 0:
            return False
        if self.doubted is None:
            self.doubted = now
        return now - self.doubted < PARTING

    def as_told(self, line: dict[str, Any], *, stopped: bool) -> Ended:
        """Return its end by the keeper's line about it; `stopped`: we had asked for it before."""
        number = line["signal"]
        kind = End.EXITED if number is None else End.SIGNALLED
        reason = "" if number is None else f"ended by signal {signals.named(number)}"
        if stopped and self.stop is not None:
            kind, reason = self.stop, self.reason
        elif kind is End.EXITED:  # and what it leaves is not ours to end
            self.stop, self.reason = None, ""
        return self.end(kind, code=line["exit"], signal=number, reason=reason, at=line["at"])

    def end(
        self,
        kind: End,
        *,
        code: int | None = None,
        signal: int | None = None,
        reason: str = "",
        at: float | None = None,
    ) -> Ended:
        """Return what is reported about its end."""
        return Ended(
            key=self.run.key,
            kind=kind,
            code=code,
            signal=signal,
            reason=reason or self.reason,
            started=self.started,
            finished=time.time() if at is None and self.started is not None else at,
            looks=self.looks,
            before=self.before,
            # A process that is not known to have ended may still run.
            after=None if kind is End.LOST else self.after,
        )
