"""Time-outs of waits: jobs that have waited longer than their rule lets them are ended."""

from heapq import heapify, heappop, heappush

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.changes import Change
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.jobs import Job, JobState, WaitingJob
from vtspolicy.ledger import Transaction
from vtspolicy.ledger.jobs import Finished

AT_ONCE = 100
"""How many jobs are ended in one turn of the reactor."""

STALE = 100
"""Entries for jobs that wait no more that are borne before those are swept out."""


@define(kw_only=True)
class WaitTimeouts:
    """One timer for all jobs that wait and may not do so for ever."""

    clock: IReactorTime
    ledger: EngineLedger
    _waits: dict[int, float] = field(factory=dict, init=False)  # job -> until, since the epoch
    _heap: list[tuple[float, int]] = field(factory=list, init=False)  # (until, job)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"), init=False)

    def changed(self, change: Change) -> None:
        """Watch the jobs that wait now, and no others."""
        for jobs in (change.started, change.ended):
            for job in jobs:
                self.forget(job.id)
        for jobs in (change.waiting, change.retried):
            for job in jobs:
                self.watch(job)

    def watch(self, job: Job | WaitingJob) -> None:
        """Have a waiting job ended when its time is over, for all that it can wait for.

        Before its first start it is `waiting` that counts, from when it was accepted; then it is
        `total`, from that start.
        """
        until = end_of_wait(job)
        if until is None or self._waits.get(job.id) == until:
            return
        self._waits[job.id] = until
        heappush(self._heap, (until, job.id))
        self._wind()

    def forget(self, job: int) -> None:
        """The job was started, or has ended."""
        self._waits.pop(job, None)
        if len(self._heap) > 2 * len(self._waits) + STALE:
            self._heap = [(until, number) for number, until in self._waits.items()]
            heapify(self._heap)

    def close(self) -> None:
        """End nothing any more."""
        self._waits.clear()
        self._heap.clear()
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _is_stale(self, until: float, job: int) -> bool:
        return self._waits.get(job) != until

    def _wind(self) -> None:
        """Set the timer to the nearest end of a job that still waits, or not at all."""
        while self._heap and self._is_stale(*self._heap[0]):
            heappop(self._heap)
        if not self._heap:
            self._stop()
            return
        until = self._heap[0][0]
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= until:
                return
            self._timer.cancel()
        self._timer = self.clock.callLater(max(until - self.clock.seconds(), 0.0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.clock.seconds()
        for _ in range(AT_ONCE):
            if not self._heap or self._heap[0][0] > now:
                break
            until, job = heappop(self._heap)
            if self._is_stale(until, job):
                continue
            written = self.ledger.write(end_wait, job, self._waits.pop(job), now)
            written.addErrback(self._failed, job)
        self._wind()

    def _failed(self, failure: Failure, job: int) -> None:
        self._log.failure(
            "Could not record the wait time-out of job {job}; it keeps waiting.",
            failure,
            action="job_defect",
            job=job,
        )


def end_of_wait(job: Job | WaitingJob) -> float | None:
    """Return until when a waiting job may wait, seconds since the epoch; None: for ever."""
    limits = job.work.limits
    if not job.attempt:
        return None if limits.waiting is None else job.created + limits.waiting
    return None if limits.total is None or job.started is None else job.started + limits.total


def end_wait(tx: Transaction, job_id: int, until: float, at: float) -> Finished | None:
    """End a job that still waits as timed out; None when it may wait on, or is gone.

    Its first start ends the wait that `waiting` limits. `total` counts over all attempts.
    """
    job = tx.jobs.get(job_id)
    if job is None or job.state is not JobState.WAITING or end_of_wait(job) != until:
        return None
    limits = job.work.limits
    reason = f"it waited longer than {limits.waiting or 0.0:g} s"
    if job.attempt:
        reason = f"all attempts together took longer than {limits.total or 0.0:g} s"
    return tx.jobs.end(job_id, JobState.TIMEDOUT, reason, at)
