"""What the engine asks of a runner of applications, and what it learns of how a run ended."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred

from vtspolicy.tapes import Look


class End(StrEnum):
    """How a run ended."""

    EXITED = "exited"  # on its own, with `code`
    SIGNALLED = "signalled"  # by `signal`, which was not ours
    TIMEOUT = "timeout"  # we stopped it: it took longer than `timeout`
    SILENT = "silent"  # we stopped it: no output for as long as `silence`
    CANCELLED = "cancelled"  # we stopped it: somebody asked for it
    LOST = "lost"  # it ran, or may have run, and its exit status cannot be known
    UNSTARTED = "unstarted"  # it never ran, and will not unless it is started again
    UNSTARTABLE = "unstartable"  # its program cannot be run: not found, not executable, ...


class SpoolError(Exception):
    """The spool cannot take the run: nothing was started; the same run may be tried again."""


class WrongSpoolError(SpoolError):
    """The spool holds the runs of another ledger."""


class KeeperError(Exception):
    """The process that keeps the runs cannot be started or reached."""


@frozen(kw_only=True)
class TapeFile:
    """Where the file of a tape is, for a look at it. No link is followed below the root."""

    vault: str  # the identity of the vault, in the fingerprints of the file
    root: str  # of the vault, an absolute path, as it is configured
    pool: str  # the name of a folder in there
    cartridge: str  # the name of a file in that


@frozen(kw_only=True)
class Run:
    """One program to run: an attempt of a job, or the query that verifies one."""

    key: str  # names its folder in the spool, e.g. 000123-1 or 000123-1-verify; never used twice
    argv: tuple[str, ...]  # the argument list; no shell ever sees it
    env: Mapping[str, str] = field(factory=dict)  # the whole environment
    job: int = 0  # the job it belongs to
    attempt: int = 1  # which attempt of that job, from 1
    timeout: float | None = None  # seconds from its start; None: it may take for ever
    silence: float | None = None  # seconds without output; None: it may be silent
    grace: float = 30.0  # seconds from TERM to KILL when it is stopped
    input: str | None = None  # what it reads on standard input, then its end; None: only the end
    tape: TapeFile | None = None  # the one tape that it is about; it is looked at before and after


@frozen(kw_only=True)
class Ended:
    """How a run ended.

    Unless it EXITED, all processes of its session are verified gone: nothing of it can meet what is
    started next. What a program leaves that exited on its own is left alone.

    The looks are those of the process that starts the program and waits for it, not of the server.
    One is None where no tape was asked for, nothing was started, it did not come in time, or what
    should have taken it had died. Who needs a look to trust a copy does without that trust then.
    """

    key: str  # the run's
    kind: End  # how it ended
    code: int | None = None  # exit code, if it exited
    signal: int | None = None  # the signal that ended it
    reason: str = ""  # for people; "" where the code says it all
    started: float | None = None  # seconds since the epoch
    finished: float | None = None  # seconds since the epoch; when we noticed, if LOST
    looks: bool = False  # whether looks were to be taken; no keeper of version 0.1 takes any
    before: Look | None = None  # at `Run.tape`, just before the program was started
    after: Look | None = None  # and just after the program itself had ended


class Runner(Protocol):
    """Runs programs so that they outlive this process."""

    @property
    def boot(self) -> str:
        """What identifies this boot of the machine."""

    @property
    def unreachable(self) -> str | None:
        """Why nothing can be started, while a run waits for that; None: none does."""

    @property
    def unstoppable(self) -> tuple[str, ...]:
        """The keys of runs that are to end, and have processes that we may not signal."""

    @property
    def ledger(self) -> str | None:
        """Which ledger the runs belong to; None when that was not set."""

    def belong(self, ledger: str) -> None:
        """Keep which ledger the runs belong to, as hexadecimal digits. Raises OSError."""

    async def open(self) -> None:
        """Get ready to run. Raises KeeperError."""

    def start(self, run: Run) -> Deferred[Ended]:
        """Start `run`; the Deferred fires once it has ended, or fails with SpoolError.

        A run whose key was already started is never started again: it is adopted.
        """
        ...

    def adopt(self, run: Run) -> Deferred[Ended]:
        """Take up a run that an earlier server may have started, by what its folder says.

        It is never started here. UNSTARTED is final: a request of the earlier server that is
        still under way can no longer start it; only a new `start` can. Its time-out counts from
        its first start.
        """
        ...

    def has_begun(self, key: str) -> bool:
        """Whether the program of a run that is waited for has begun."""
        ...

    def stop(self, key: str, reason: str) -> None:
        """Cancel a run: TERM to all its processes, then KILL. Unknown and ended keys are ignored.

        A run that ended on its own before that keeps its own end, and one that never ran is
        UNSTARTED.
        """

    def tail(self, key: str, limit: int = 4000) -> str:
        """Return the last `limit` bytes of the output; "" if there is none."""
        ...

    def folder(self, key: str) -> Path:
        """Return the run's folder: the working directory of its program."""
        ...

    def remove(self, key: str) -> None:
        """Remove the folder of a run that has ended. Raises SpoolError if it is running."""

    def newest(self) -> int:
        """Return the highest job number of which there is a run; 0 when there is none."""
        ...

    def sweep(self, before: float, limit: int = 1000) -> int:
        """Remove folders of ended runs, untouched since `before` (epoch); return how many.

        One call looks at `limit` folders at most, and the next continues from there: a spool of any
        size is swept in steps that block nothing.
        """
        ...

    async def close(self) -> None:
        """Leave all runs alone from now on; their Deferreds never fire."""
