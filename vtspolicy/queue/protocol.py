"""What the engine asks of a queue: who waits, who may start, who holds a seat and a lock.

Two rules decide who starts, and every queue keeps them:

- **Locks go by arrival.** A job never starts before an earlier, unfinished job whose lock overlaps
  its own, not even while that one waits for its hours or for its next attempt. Locks that begin
  with `/` are paths; they overlap when they are equal or when one lies below the other, so that a
  pool excludes its cartridges. All other locks overlap only when they are equal.
- **Seats go by priority, then by arrival**, among the jobs of one application whose lock is free
  and whose due time has come. Waiting counts: AGEING seconds are worth one step of priority, so
  that no job waits for ever behind a stream of more urgent ones.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Protocol

from attrs import frozen

AGEING = 600.0
"""Seconds of waiting that are worth one step of priority.

A job of priority p that could first have started at the time t goes before one of priority q and
time u when `t - AGEING * p < u - AGEING * q`. Both sides stand still while the jobs wait, so that
nothing has to be sorted again as time goes by. Time that a job waits for its own hours does not
count; time that it waits for a lock or a seat does.
"""

DEFAULT_SEATS = 1
"""How many jobs of an application run at once if no number is given."""

FIRST = 20
"""How many places a snapshot shows of every list."""


@frozen(kw_only=True)
class Entry:
    """A job as the queue knows it."""

    job: int  # its number
    application: str  # whose seats it needs
    lock: str | None = None  # jobs with overlapping locks never run together
    priority: int = 0  # higher first
    due: float = 0.0  # not to be started before, seconds since the epoch
    order: int  # its place in the order of arrival; no two are equal: the job's number
    since: float | None = None  # when it began to wait, seconds since the epoch; None: now


class Why(StrEnum):
    """What a waiting job waits for."""

    TIME = "time"  # its hours, or the delay before the next attempt
    LOCK = "lock"  # an earlier job with an overlapping lock
    SEAT = "seat"  # a free seat of its application, or the end of a drain


@frozen(kw_only=True)
class SnapshotJob:
    """A job in a snapshot."""

    job: int
    application: str
    lock: str | None  # written as the queue compares it: without doubled or trailing slashes
    since: float  # it has waited, or run, since then: seconds since the epoch
    due: float  # not to be started before
    why: Why | None  # what it waits for; None: it runs


@frozen(kw_only=True)
class Standing:
    """The place of a waiting job in the queue, and why it waits."""

    why: Why  # what it waits for
    place: int | None  # in the line of those that want the same, from 1; None: not near its front
    waiting: int  # how many are in that line
    behind: int | None  # the job that holds the lock, or wants it and came before
    due: float  # not to be started before, seconds since the epoch; 0: at any time


@frozen(kw_only=True)
class ApplicationUse:
    """The seats of one application in a snapshot."""

    application: str
    seats: int  # how many there are
    running: int  # how many are taken, which is more than there are after a number was lowered
    waiting: int  # how many jobs want one, also those that wait for something else too
    holders: tuple[SnapshotJob, ...]  # the first of those that run
    waiters: tuple[SnapshotJob, ...]  # the first of those that only want a seat, the next one first


@frozen(kw_only=True)
class LockUse:
    """One lock in a snapshot."""

    lock: str
    holders: tuple[SnapshotJob, ...]  # who holds it: none, one, or more after an operator's release
    waiting: int  # how many jobs want this very lock
    waiters: tuple[SnapshotJob, ...]  # the first of them, in their order


@frozen(kw_only=True)
class Snapshot:
    """Who holds and who waits. Every list is cut after its first entries; the counts are whole."""

    at: float  # seconds since the epoch
    draining: bool  # whether nothing new is started
    running: int
    waiting: int
    applications: tuple[ApplicationUse, ...]  # by name
    locks: tuple[LockUse, ...]  # held ones first, then those that the first waiting jobs want


class Queue(Protocol):
    """A queue. It decides and remembers; running jobs and recording them are the engine's.

    All methods are called from the reactor's thread, also from inside `start`. Those that let jobs
    start may call `start` before they return, or in a later turn of the reactor when many start.
    """

    def open(self, start: Callable[[int], None]) -> None:
        """Begin. `start(job)` is called when the job holds its seat and its lock.

        Nothing starts before: put and adopt what the ledger knows first, in any order. An
        exception out of `start` is logged, and the job keeps what it holds.
        """

    def close(self) -> None:
        """End: `start` is not called any more, and no timer is left behind."""

    def put(self, entry: Entry) -> None:
        """Let a job wait. Raises ValueError if the queue has it already."""

    def give_back(self, job: int) -> None:
        """The job ended: its seat and its lock are free. A job that is not known is ignored."""

    def again(self, job: int, due: float, *, anew: bool = False) -> None:
        """The job gives its seat back, keeps its place and its lock's order, and waits until due.

        With `anew` its waiting counts from then only: it had to wait for its own hours. Raises
        KeyError if the job does not run.
        """

    def withdraw(self, job: int) -> bool:
        """Take a waiting job out; False if it does not wait (it runs, or is not known)."""
        ...

    def adopt(self, entry: Entry, *, released: bool = False) -> None:
        """A job that already runs takes its seat, even above the number, and its lock.

        Not the lock, when an operator had released it before. `start` is not called for the job.
        Raises ValueError if the queue has it already.
        """

    def seats(self, seats: Mapping[str, int]) -> None:
        """Replace the numbers of seats; applications without one have DEFAULT_SEATS.

        Lowering a number stops nothing that runs; 0 lets nothing start.
        """

    def drain(self) -> None:
        """Start nothing new until `resume`; what runs continues, and jobs may be put."""

    def resume(self) -> None:
        """End a drain."""

    def holders(self, lock: str) -> tuple[int, ...]:
        """Return the jobs that hold this very lock."""
        ...

    def release(self, lock: str, jobs: Collection[int]) -> tuple[int, ...]:
        """Take this very lock from these jobs, as if they had ended; they keep their seats.

        For an operator, after a crash. Returns those that it was taken from: a job that does not
        hold it, or not any more, is passed over, and all others that hold it keep it.
        """
        ...

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        ...

    @property
    def running(self) -> int:
        """How many jobs hold a seat."""
        ...

    def standings(self, jobs: Collection[int]) -> dict[int, Standing]:
        """What each of these jobs waits for; those that do not wait are left out."""
        ...

    def snapshot(self, first: int = FIRST) -> Snapshot:
        """Who holds and who waits, with the `first` places of each list."""
        ...
