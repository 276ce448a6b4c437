"""Patience: jobs that have waited longer than their rule lets them end as timed out."""

from heapq import heappop, heappush

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.hosts.outbox import Outbox
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.jobs import Finished
from vtspolicy.queue.protocol import Queue

AT_ONCE = 100
"""How many jobs are ended in one turn of the reactor."""


@define(kw_only=True)
class Patience:
    """One timer for all jobs that wait for their first start and may not do so for ever."""

    clock: IReactorTime
    ledger: Ledger
    queue: Queue
    outbox: Outbox
    _limits: dict[int, float] = field(factory=dict, init=False)  # job -> seconds it may wait
    _heap: list[tuple[float, int]] = field(factory=list, init=False)  # (until, job)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"), init=False)

    def watch(self, job: Job) -> None:
        """Have a waiting job ended when its time is over; it counts from when it was accepted.

        A job that was started once waits for its next attempt: that is not what is limited here.
        """
        limit = job.work.limits.waiting
        if limit is None or job.attempt:
            return
        self._limits[job.id] = limit
        heappush(self._heap, (job.created + limit, job.id))
        self._wind()

    def forget(self, job: int) -> None:
        """The job was started, or has ended."""
        self._limits.pop(job, None)

    def close(self) -> None:
        """End nothing any more."""
        self._limits.clear()
        self._heap.clear()
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _wind(self) -> None:
        """Let the timer stand at the nearest end of a job that still waits, or not at all."""
        while self._heap and self._heap[0][1] not in self._limits:
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
            _until, job = heappop(self._heap)
            limit = self._limits.pop(job, None)
            if limit is not None:
                written = self.ledger.write(end_wait, job, limit, now)
                written.addCallback(self._ended, job)
                written.addErrback(self._failed, job)
        self._wind()

    def _ended(self, finished: Finished | None, job: int) -> None:
        if finished is not None and finished.changed:
            # One that has just got its seat is given back by whoever finds that it has ended.
            self.queue.withdraw(job)
            self._log.info("Job {job} has waited too long.", action="waited", job=job)
            self.outbox.push(finished.notices)

    def _failed(self, failure: Failure, job: int) -> None:
        self._log.failure("Job {job} waits on.", failure, action="job_defect", job=job)


def end_wait(book: Book, job_id: int, limit: float, at: float) -> Finished | None:
    """End a job that was never started as timed out; None when it was, or is gone."""
    job = book.job(job_id)
    if job is None or job.state is not JobState.WAITING or job.attempt:
        return None
    return book.end_job(job_id, JobState.TIMEDOUT, f"it waited longer than {limit:g} s", at)
