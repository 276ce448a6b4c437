"""What is known of one run that somebody waits for, and whether its time is over."""

import time
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from vtspolicy.runner import signals
from vtspolicy.runner.identity import Process
from vtspolicy.runner.looks import as_look
from vtspolicy.runner.protocol import End, Ended, Run
from vtspolicy.runner.run_life import Asked, Left, RunCore, RunData, RunLife, Running, life
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
    started: float | None = None  # seconds since the epoch
    stop: End | None = None  # we want it to end, and why
    reason: str = ""
    signalled: bool = False  # TERM was sent
    noted: bool = False  # that we stop it is written down
    kill_at: float = 0.0  # by the steady clock
    refused: frozenset[int] = frozenset()  # process groups that we may not signal
    doubted: float | None = None  # by the steady clock: when its end was seen, and not believed
    missed: float | None = None  # by the steady clock: when its process was first not found
    looks: bool = False  # its keeper takes looks at its tape, as far as is known
    before: Look | None = None  # at its tape, before its program was started
    after: Look | None = None  # and after that had ended
    _core: RunCore = field(factory=RunCore)
    _life: RunLife = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._life = life(self._core)

    @property
    def asked_at(self) -> float | None:
        """When the keeper was asked to start it, if that has not answered; monotonic."""
        return self._core.data.at if isinstance(self._core.data, Asked) else None

    @property
    def running(self) -> Running | None:
        """What is known of its processes, while it has any that are known."""
        return self._core.data if isinstance(self._core.data, Running) else None

    @property
    def leader(self) -> Process | None:
        """Its leader, if that is known."""
        return self.running.leader if self.running is not None else None

    @property
    def held(self) -> bool:
        """Whether the keeper that we are connected to will report its end."""
        return self.running is not None and self.running.held

    def hold(self, held: bool) -> None:
        """Note whether the connected keeper will report its end, if its leader is known."""
        if self.running is not None:
            self.running.held = held

    @property
    def over(self) -> Ended | None:
        """How its leader has ended, while other processes of its session are left."""
        return self._core.data.ended if isinstance(self._core.data, Left) else None

    def ask(self, now: float) -> None:
        """The keeper is asked to start it, for the first time, or another one again."""
        if isinstance(self._core.data, Asked):
            self._core.data.at = now
        else:
            self._life.ask(Asked(now))

    def claim(self) -> None:
        """The keeper says that it was claimed before; what is known of it by now stays."""
        if self.asked_at is not None:
            self._life.claim(RunData())

    def leave(self, ended: Ended) -> None:
        """Its leader has ended so; other processes of its session are left."""
        known = self.running
        if known is None:
            raise ValueError(f"no process of {self.run.key} is known")
        if isinstance(known, Left):
            known.ended = ended
        else:
            left = Left(known.leader, known.held, known.size, known.grown, ended=ended)
            self._life.leave(left)

    def finish(self) -> None:
        """Its end is reported."""
        self._life.finish(RunData())

    def know(self, leader: Process, started: float, growth: Growth) -> None:
        """Note its process; an adopted run may have been silent for long."""
        running, self.started = Running(leader), started
        if growth is not None:
            silent = max(0.0, time.time() - max(growth[1], started))
            running.size, running.grown = growth[0], leader.age - silent
        self._life.begin(running)

    def see(self, line: dict[str, Any], boot: str) -> None:
        """Note the looks in the keeper's message about its end; an older keeper takes none."""
        if self.run.tape is not None and "after" in line:
            vault, seen = self.run.tape.vault, (line["before"], line["after"])
            self.looks = True
            self.before, self.after = (each and as_look(each, vault, boot) for each in seen)

    def overdue(self, age: float, growth: Growth) -> tuple[End, str] | None:
        """Return why a run whose leader began `age` seconds ago must end now, or None."""
        run, known = self.run, self.running
        if run.timeout is not None and age >= run.timeout:
            return End.TIMEOUT, f"it took longer than {run.timeout:g} s"
        if run.silence is None or known is None:
            return None
        if growth is not None and growth[0] != known.size:
            known.size, known.grown = growth[0], age
        elif age - known.grown >= run.silence:
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
