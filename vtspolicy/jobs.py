"""Requests, jobs and attempts: their records, their life cycle, and how a request ends."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

from attrs import evolve, field, frozen
from automat import TypeMachineBuilder
from automat._typed import TypedState, TypeMachine  # the names for annotations

from vtspolicy.notices import Word
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Outcome


class JobState(StrEnum):
    """Where a job is in its life."""

    WAITING = "waiting"  # for its hours, its lock, a seat, or the delay before the next attempt
    RUNNING = "running"  # an attempt is under way
    STOPPING = "stopping"  # somebody cancelled it and its processes are being ended
    COMPLETED = "completed"
    WARNING = "warning"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEDOUT = "timedout"
    INTERRUPTED = "interrupted"

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self in {JobState.WAITING, JobState.RUNNING, JobState.STOPPING}


LIVE = (JobState.WAITING, JobState.RUNNING, JobState.STOPPING)
ENDS = tuple(state for state in JobState if not state.is_live)


class JobLife(Protocol):
    """What can happen to a job; each answers the state that follows."""

    def start(self) -> JobState:
        """An attempt is recorded and about to run."""

    def retry(self) -> JobState:
        """The attempt ended badly and another will follow."""

    def cancel(self) -> JobState:
        """Somebody wants it stopped."""

    def complete(self) -> JobState:
        """It succeeded."""

    def warn(self) -> JobState:
        """It is done, with warnings."""

    def fail(self) -> JobState:
        """It failed for good."""

    def stopped(self) -> JobState:
        """After a cancellation it is verified gone: its processes, its job in the application."""

    def time_out(self) -> JobState:
        """One of its time-outs passed for good."""

    def interrupt(self) -> JobState:
        """It was interrupted, or may still run in its application: it is not to be run again."""


TRANSITIONS = (
    # state            what happens         state after
    (JobState.WAITING, JobLife.start, JobState.RUNNING),
    (JobState.WAITING, JobLife.cancel, JobState.CANCELLED),
    (JobState.WAITING, JobLife.time_out, JobState.TIMEDOUT),
    (JobState.WAITING, JobLife.fail, JobState.FAILED),
    (JobState.RUNNING, JobLife.retry, JobState.WAITING),
    (JobState.RUNNING, JobLife.cancel, JobState.STOPPING),
    (JobState.RUNNING, JobLife.complete, JobState.COMPLETED),
    (JobState.RUNNING, JobLife.warn, JobState.WARNING),
    (JobState.RUNNING, JobLife.fail, JobState.FAILED),
    (JobState.RUNNING, JobLife.time_out, JobState.TIMEDOUT),
    (JobState.RUNNING, JobLife.interrupt, JobState.INTERRUPTED),
    # A run that ended on its own before the signal reached it keeps its own end.
    (JobState.STOPPING, JobLife.complete, JobState.COMPLETED),
    (JobState.STOPPING, JobLife.warn, JobState.WARNING),
    (JobState.STOPPING, JobLife.fail, JobState.FAILED),
    (JobState.STOPPING, JobLife.stopped, JobState.CANCELLED),
    # Its application was not seen to end it: to call that cancelled would be to guess.
    (JobState.STOPPING, JobLife.interrupt, JobState.INTERRUPTED),
)
"""The life cycle of a job, to be read as a table; what is not in it cannot happen."""


def _job_machine() -> (
    "tuple[TypeMachine[JobLife, object], dict[JobState, TypedState[JobLife, object]]]"
):
    builder = TypeMachineBuilder(JobLife, object)
    states = {each: builder.state(each.value) for each in JobState}
    for before, happening, after in TRANSITIONS:
        states[before].upon(happening).to(states[after]).returns(after)
    return builder.build(), states


_MACHINE, _STATES = _job_machine()


def life(state: JobState) -> JobLife:
    """Return the life of a job that is in `state`.

    An input that TRANSITIONS does not have for the state raises `automat.NoTransition`.
    """
    return _MACHINE(None, _STATES[state])


STARTS_FROM = JobState.WAITING
"""The one state in which the next attempt of a job may start."""

STARTED_AS = life(STARTS_FROM).start()
"""The state of a job whose attempt has started."""


_HAPPENINGS: dict[JobState, Callable[[JobLife], JobState]] = {
    JobState.WAITING: lambda job: job.retry(),
    JobState.COMPLETED: lambda job: job.complete(),
    JobState.WARNING: lambda job: job.warn(),
    JobState.FAILED: lambda job: job.fail(),
    JobState.TIMEDOUT: lambda job: job.time_out(),
    JobState.INTERRUPTED: lambda job: job.interrupt(),
}

CHANGING = frozenset({"erased", "deleted", "restored"})
"""What a job does to the data of its tapes, other than reading it."""

_STOPPED = (JobState.WAITING, JobState.TIMEDOUT, JobState.CANCELLED)


@lru_cache
def follow(before: JobState, ending: JobState, *, over: bool = True) -> JobState:
    """Return the state that follows when an attempt, or a wait, ends as `ending`.

    A job that is being stopped is not tried again: every end that its run did not reach on its own
    is a cancellation, but not where it may still run in its application (`over` is false). What the
    life cycle does not have raises `automat.NoTransition`; a state that is not an end ValueError.
    """
    current = life(before)
    gone = ending in _STOPPED or (ending is JobState.INTERRUPTED and over)
    if before is JobState.STOPPING and gone:
        return current.stopped()
    if ending is JobState.CANCELLED:
        after = current.cancel()
        return life(after).stopped() if after.is_live else after
    if ending not in _HAPPENINGS:
        raise ValueError(f"nothing ends as {ending.value}")
    return _HAPPENINGS[ending](current)


class RequestState(StrEnum):
    """What became of a recognised command."""

    OPEN = "open"  # accepted; at least one of its jobs is live
    REJECTED = "rejected"
    DENIED = "denied"
    NORULE = "norule"
    ANSWERED = "answered"  # a Status command
    COMPLETED = "completed"
    WARNING = "warning"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEDOUT = "timedout"
    INTERRUPTED = "interrupted"


@frozen(kw_only=True)
class Request:
    """One recognised command, as the ledger keeps it."""

    id: int  # `req=` in notices
    host: str  # the configured host; "" for an operator's
    received: float  # seconds since the epoch
    text: str  # the event's text
    state: RequestState  # what became of it
    family: str | None = None  # None when it was rejected
    operation: str | None = None
    ref: str | None = None  # the host's reference
    event_id: str | None = None  # a JSON event's id
    rule: str | None = None  # the rule that decided
    table: str | None = None  # the hash of the table that decided
    reason: str | None = None  # of a denial, an error, a failure
    jobs: int = 0  # how many it became
    live: int = 0  # how many of them have not ended
    ok: int = 0  # ended completed
    warn: int = 0  # ended with warnings
    failed: int = 0  # ended in any other way
    finished: float | None = None  # when its final notice was recorded
    again: int | None = None  # the request that it repeats: an operator asked for its work again


@frozen(kw_only=True)
class Job:
    """One job, as the ledger keeps it."""

    id: int  # `job=` in notices
    request: int  # the request that it belongs to
    host: str  # of the request
    work: Work  # what to do
    values: Mapping[str, str]  # for the places of the work
    rule: str  # that decided
    lock: str | None  # jobs with overlapping locks never run together
    priority: int  # higher first
    handle: str  # of the copy that an archive makes: unique, ours
    state: JobState
    tape: str | None = None  # the tape's or the pool's name, as in commands
    path: str | None = None  # of the real file
    attempt: int = 0  # how many were started
    due: float = 0.0  # not to be started before, seconds since the epoch
    created: float = 0.0
    started: float | None = None  # the first attempt
    finished: float | None = None
    code: int | None = None  # exit code of the last attempt
    reason: str | None = None  # why it ended so
    notify_all: bool = False  # its host wants to hear of progress too
    repeats: int | None = None  # the job that it runs again, by an operator's wish
    ref: str | None = None  # of its request: the host's reference
    family: str | None = None  # of its request


@frozen
class WaitingJob:
    """What the queue and the time-outs of waits have to know of a job: see Job."""

    id: int
    work: Work
    lock: str | None
    priority: int
    due: float
    created: float
    attempt: int
    started: float | None


DOUBTED = "unknown"
"""In place of the boot, of an attempt that may have been made before all that the ledger knows.

The ledger was restored from a copy, or the spool may not be the ledger's own.
"""


@frozen(kw_only=True)
class Attempt:
    """One run of a job's application, as the ledger keeps it."""

    job: int
    number: int  # from 1
    started: float
    finished: float | None = None
    kind: str | None = None  # how the run ended: see vtspolicy.runner.protocol.Ended
    code: int | None = None
    signal: int | None = None
    state: JobState | None = None  # what the job became by it
    reason: str | None = None
    output: str | None = None  # the end of what it wrote; if it failed, of what its calls wrote too
    readings: Mapping[str, str] = field(factory=dict)  # what was read from its output
    boot: str | None = None  # the start of the machine in which it began, or DOUBTED


@frozen(kw_only=True)
class Transition:
    """One line of the history: it is only ever added to."""

    at: float  # seconds since the epoch
    subject: str  # "request 17", "job 23", "tape /VAULT01/PAYROLL/A00017", "lock ...", "table"
    before: str | None
    after: str
    cause: str  # why
    actor: str  # "engine", "host NSK1", "operator alice"


def run_key(job: int, attempt: int, part: str = "") -> str:
    """Return the name of a run's folder in the spool: `000023-1`, or `000023-1-verify`."""
    key = f"{job:06d}-{attempt}"
    return f"{key}-{part}" if part else key


_WORST_FIRST = (
    (JobState.FAILED, Word.FAILED),
    (JobState.TIMEDOUT, Word.TIMEDOUT),
    (JobState.INTERRUPTED, Word.INTERRUPTED),
    (JobState.CANCELLED, Word.CANCELLED),
    (JobState.WARNING, Word.WARNING),
    (JobState.COMPLETED, Word.COMPLETED),
)


def final_word(ends: Mapping[JobState, int]) -> Word:
    """Return the final word of a request from how many of its jobs ended how: the worst wins.

    A request without any job was about nothing: WARNING.
    """
    for state, word in _WORST_FIRST:
        if ends.get(state):
            return word
    return Word.WARNING


# -- what becomes of a job


@frozen(kw_only=True)
class Ending:
    """How one attempt ended, and what the job becomes by it."""

    state: JobState  # a final state, or WAITING when another attempt follows
    kind: str | None = None  # how the run ended: see vtspolicy.runner.protocol.Ended
    code: int | None = None  # exit code
    signal: int | None = None  # that ended it
    reason: str | None = None  # why it is not simply completed
    due: float = 0.0  # for WAITING: not to be started before, seconds since the epoch
    output: str | None = None  # the end of what it wrote
    readings: Mapping[str, str] = field(factory=dict)  # what was read from its output
    outcomes: tuple[Outcome, ...] = ()  # what the run has done to tapes, however it ended
    over: bool = True  # False: INTERRUPTED, and it may still run in its application


UNDER_WAY = (JobState.RUNNING, JobState.STOPPING)


def ended(job: Job, ending: Ending, at: float) -> Job:
    """Return a job as it is after an attempt that was under way has ended so at `at`.

    An end that the life cycle does not have raises `automat.NoTransition`.
    """
    state = follow(job.state, ending.state, over=ending.over)
    reason = ending.reason
    if job.state is JobState.STOPPING and state is JobState.CANCELLED:
        reason = job.reason  # who cancelled it says more than the signal that it died of
    elif job.state is JobState.STOPPING and state is JobState.INTERRUPTED:
        reason = "; ".join(filter(None, (job.reason, ending.reason)))
    return evolve(
        job,
        state=state,
        due=ending.due if state is JobState.WAITING else job.due,
        finished=None if state is JobState.WAITING else at,
        code=ending.code,
        reason=reason,
    )


def ended_unstarted(job: Job, state: JobState, reason: str, at: float) -> Job:
    """Return a waiting job as it is when it ends without an attempt at `at`."""
    return evolve(job, state=follow(JobState.WAITING, state), finished=at, reason=reason)


def to_be_stopped(job: Job, cause: str) -> Job:
    """Return a running job as it is when somebody has cancelled it."""
    return evolve(job, state=life(job.state).cancel(), reason=cause)
