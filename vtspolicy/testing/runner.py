"""A runner without processes: runs end when the test says so, and outlive the engine's crashes.

    runner = FakeRunner(clock, folder)
    runner.exit("000001-1", code=0, output="1 file copied")

A run that is about one tape gets looks at its real file, as the keeper takes them, when it begins
and ends; `take_look` can be replaced.

A run lives in a `Machine`, as real ones live in the system and the spool: give a second runner the
first one's machine, and it finds what still runs, and how the rest ended.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from vtspolicy.runner.looks import look_at
from vtspolicy.runner.protocol import End, Ended, Run, Runner, SpoolError, TapeFile
from vtspolicy.tapes import Look

ANEW = "the machine was restarted while it ran"
"""Why a run was lost."""


@define(eq=False)
class Life:
    """One run on the machine."""

    run: Run
    started: float  # seconds since the epoch
    boot: str = ""  # the start of the machine in which it ran
    ended: Ended | None = None
    output: str = ""
    stopped: str | None = None  # why it was asked to stop, when it was
    looks: bool = False  # its keeper takes looks at its tape
    before: Look | None = None  # at its tape, as it began


@define(kw_only=True)
class Machine:
    """What outlives a server: all runs by their key, the ended ones too."""

    lives: dict[str, Life] = field(factory=dict)
    starts: list[str] = field(factory=list)  # keys in the order in which their programs began
    boot: str = "the first start"  # another one after a loss of power
    ledger: str | None = None  # that the runs belong to

    @property
    def running(self) -> list[Life]:
        """The runs that have not ended, the first one first."""
        return [life for life in self.lives.values() if life.ended is None]


class FakeRunner(Runner):
    """See `vtspolicy.runner.protocol.Runner`; the clock is used for time-outs, as by the real one.

    `obedient`: a run that is asked to stop is gone at once; otherwise the test ends it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        folder: Path,
        machine: Machine | None = None,
        *,
        obedient: bool = True,
    ) -> None:
        self.machine = machine if machine is not None else Machine()
        self.obedient = obedient
        self.trouble: str | None = None  # tests set it: why the spool takes no runs
        # Tests set it too: what is seen of a tape, if anything. With None there is no look, as in
        # version 0.1.
        self.take_look: Callable[[TapeFile], Look | None] | None = self._look
        self._clock = clock
        self._folder = folder
        self._watched: dict[str, Deferred[Ended]] = {}
        self._timers: dict[str, IDelayedCall] = {}
        self._closed = False

    # What the test does, and sees

    def forget(self, key: str) -> None:
        """Let a run be gone, and its folder with it: power was lost before that was on the disk."""
        del self.machine.lives[key]
        shutil.rmtree(self.folder(key))

    @property
    def watched(self) -> tuple[str, ...]:
        """The keys of the runs that somebody waits for."""
        return tuple(self._watched)

    def exit(self, key: str, code: int = 0, output: str = "") -> None:
        """End a run on its own."""
        self._end(key, Ended(key=key, kind=End.EXITED, code=code), output)

    def kill(self, key: str, signal: int = 9, output: str = "") -> None:
        """End a run by a signal that was not ours."""
        self._end(key, Ended(key=key, kind=End.SIGNALLED, signal=signal), output)

    def lose(self, key: str) -> None:
        """Let a run be gone without a trace of how it ended, as after a power failure."""
        reason = "its exit status cannot be known"
        self._end(key, Ended(key=key, kind=End.LOST, reason=reason), "")

    def finish_stopping(self, key: str) -> None:
        """Let a run that was asked to stop be gone (when the runner is not obedient)."""
        life = self.machine.lives[key]
        if life.stopped is None:
            raise ValueError(f"{key} was not asked to stop")
        self._end(key, Ended(key=key, kind=End.CANCELLED, reason=life.stopped), "")

    def crash(self) -> None:
        """The server is gone: the runs continue and are not watched any more."""
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()
        self._watched.clear()

    # What the engine asks

    @property
    def boot(self) -> str:
        """What identifies this boot of the machine."""
        return self.machine.boot

    @property
    def unreachable(self) -> str | None:
        """A run that cannot be started is refused at once, with `trouble`."""
        return None

    @property
    def unstoppable(self) -> tuple[str, ...]:
        """Nothing runs here as another user."""
        return ()

    @property
    def ledger(self) -> str | None:
        """Which ledger the runs belong to."""
        return self.machine.ledger

    def belong(self, ledger: str) -> None:
        """Keep which ledger the runs belong to."""
        self.machine.ledger = ledger

    async def open(self) -> None:
        """There is nothing to get ready."""

    async def close(self) -> None:
        """Leave all runs alone; nothing is begun any more."""
        self._closed = True
        self.crash()

    def start(self, run: Run) -> Deferred[Ended]:
        """Start a run; one that was started before is watched instead."""
        if self._closed:
            return Deferred()
        if run.key in self._watched:
            return fail(SpoolError(f"{run.key} is running already"))
        if self.trouble is not None:
            return fail(SpoolError(self.trouble))
        if run.key not in self.machine.lives:
            self.folder(run.key).mkdir(parents=True)
            life = Life(run=run, started=self._clock.seconds(), boot=self.boot)
            if run.tape is not None and self.take_look is not None:
                life.looks, life.before = True, self.take_look(run.tape)
            self.machine.lives[run.key] = life
            self.machine.starts.append(run.key)
        return self.adopt(run)

    def adopt(self, run: Run) -> Deferred[Ended]:
        """Take up what the machine has of a run."""
        if self._closed:
            return Deferred()
        if run.key in self._watched:
            return fail(SpoolError(f"{run.key} is watched already"))
        life = self.machine.lives.get(run.key)
        if life is None:
            return succeed(Ended(key=run.key, kind=End.UNSTARTED))
        if life.ended is not None:
            if life.ended.kind is End.SIGNALLED and life.boot != self.boot:
                # As the real one takes it: a machine that stops signals all that runs.
                lost = evolve(life.ended, kind=End.LOST, signal=None, reason=ANEW, after=None)
                return succeed(lost)
            return succeed(life.ended)
        watched = self._watched[run.key] = Deferred()
        if run.timeout is not None:
            left = max(life.started + run.timeout - self._clock.seconds(), 0.0)
            self._timers[run.key] = self._clock.callLater(left, self._time_out, run.key)
        return watched

    def has_begun(self, key: str) -> bool:
        """Whether a run that is watched was started."""
        return key in self._watched

    def stop(self, key: str, reason: str) -> None:
        """Cancel a run that is watched."""
        life = self.machine.lives.get(key)
        if life is None or key not in self._watched or life.stopped is not None:
            return
        life.stopped = reason
        if self.obedient:
            self.finish_stopping(key)

    def tail(self, key: str, limit: int = 4000) -> str:
        """Return the end of a run's output."""
        life = self.machine.lives.get(key)
        return life.output[-limit:] if life is not None else ""

    def folder(self, key: str) -> Path:
        """Return the run's folder; there is nothing in it."""
        return self._folder / key

    def remove(self, key: str) -> None:
        """Forget a run that has ended."""
        life = self.machine.lives.get(key)
        if life is not None and life.ended is None:
            raise SpoolError(f"{key} has not ended")
        self.machine.lives.pop(key, None)

    def newest(self) -> int:
        """Return the highest job number of which there was a run."""
        return max((int(key.split("-")[0]) for key in self.machine.lives), default=0)

    def sweep(self, before: float, limit: int = 1000) -> int:
        """Forget runs that ended before that."""
        old = [
            key
            for key, life in self.machine.lives.items()
            if life.ended is not None and (life.ended.finished or 0.0) < before
        ]
        for key in old[:limit]:
            del self.machine.lives[key]
        return len(old[:limit])

    def _look(self, tape: TapeFile) -> Look:
        return evolve(look_at(tape, self.boot), at=self._clock.seconds())

    def _time_out(self, key: str) -> None:
        del self._timers[key]
        reason = f"it took longer than {self.machine.lives[key].run.timeout:g} s"
        self._end(key, Ended(key=key, kind=End.TIMEOUT, reason=reason), "")

    def _end(self, key: str, ended: Ended, output: str) -> None:
        life = self.machine.lives[key]
        if life.ended is not None:
            raise ValueError(f"{key} has ended already")
        after = None
        if life.looks and life.run.tape is not None and self.take_look is not None:
            after = None if ended.kind is End.LOST else self.take_look(life.run.tape)
        life.ended = evolve(
            ended,
            started=life.started,
            finished=self._clock.seconds(),
            looks=life.looks,
            before=life.before,
            after=after,
        )
        life.output += output
        timer = self._timers.pop(key, None)
        if timer is not None and timer.active():
            timer.cancel()
        watched = self._watched.pop(key, None)
        if watched is not None:
            watched.callback(life.ended)
