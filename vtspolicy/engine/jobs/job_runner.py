"""One job from its seat to its end: its attempts are recorded, made, and their ends recorded."""

from collections.abc import Callable
from datetime import datetime
from math import inf

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.jobs.attempt_runner import AttemptRunner
from vtspolicy.engine.jobs.polling import QueuedJobPoller
from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.engine.jobs.recent import RecentJobs
from vtspolicy.engine.tapes.before import before_attempt
from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.gate import DeletionGate
from vtspolicy.engine.tapes.proving import Proving
from vtspolicy.jobs import DOUBTED, Ending, Job, JobState, run_key
from vtspolicy.ledger import JobRecords, LedgerError
from vtspolicy.queue.protocol import Queue
from vtspolicy.rules.hours import LOCAL, next_start
from vtspolicy.runner.protocol import Runner
from vtspolicy.tapes import Look

AGAIN = 60.0
"""Seconds until a job that could not continue is taken up again, as a new server would do it."""


@define(kw_only=True)
class JobRunner:
    """Runs jobs that the queue gives it."""

    clock: IReactorTime
    steady: Callable[[], float]  # seconds of the monotonic clock
    ledger: EngineLedger
    queue: Queue
    runner: Runner
    checks: TapeChecks
    recent: RecentJobs
    programs: Programs  # the programs that run for jobs
    proving: Proving  # of copies, again and again
    gate: DeletionGate = field(init=False)
    progress: Progress = field(init=False)  # reports how far they are
    poller: QueuedJobPoller = field(init=False)  # of jobs that applications queue
    attempt_runner: AttemptRunner = field(init=False)
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))
    _hands: dict[int, object] = field(factory=dict, init=False)  # job -> who has its seat to free

    def __attrs_post_init__(self) -> None:
        self.gate = DeletionGate(checks=self.checks)
        self.progress = Progress(clock=self.clock, ledger=self.ledger, runner=self.runner)
        self.poller = QueuedJobPoller(
            clock=self.clock, steady=self.steady, programs=self.programs, progress=self.progress
        )
        self.attempt_runner = AttemptRunner(
            clock=self.clock,
            steady=self.steady,
            ledger=self.ledger,
            runner=self.runner,
            checks=self.checks,
            programs=self.programs,
            progress=self.progress,
            poller=self.poller,
        )

    def begin(self, job: int) -> None:
        """Start a job that has its seat and its lock."""
        self._conduct(job, self._first(job))

    def resume(self, job: Job) -> None:
        """Continue a job whose attempt an earlier server had started."""
        if job.state is JobState.STOPPING:
            self.programs.cancelled.add(job.id)
        self._conduct(job.id, self._attempt(job, adopt=True))

    def stop(self, job: int) -> None:
        """Stop a running job's processes; the ledger says already that it is stopping."""
        self.programs.stop(job)
        self.poller.wake(job)

    def _conduct(self, job: int, work: "object") -> None:
        hand = self._hands[job] = object()
        done: Deferred[None] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]  # a coroutine
        done.addErrback(self._failed, job, hand)

    def _failed(self, failure: Failure, job: int, hand: object) -> None:
        """The ledger cannot be read, or the program has a defect: the job is taken up again later.

        Until then it keeps its seat and its lock: giving them back would let another job run beside
        processes that are not watched.
        """
        self.log.failure("Job {job} cannot continue.", failure, action="job_defect", job=job)
        if self._hands.get(job) is not hand:
            return  # its seat was given back before this happened
        self.programs.running.pop(job, None)
        self.programs.forget(job)
        self.progress.forget(job)
        if failure.type is not LedgerError:  # else the ledger is closed: the next server does it
            self.clock.callLater(AGAIN, self._take_up, job, hand)

    def _take_up(self, job: int, hand: object) -> None:
        if self._hands.get(job) is hand:
            self._conduct(job, self._go_on(job))

    async def _go_on(self, job_id: int) -> None:
        """Do with a job what its state in the ledger asks for."""
        job = await self.ledger.read(JobRecords.get, job_id)
        if job is None or not job.state.is_live:
            self._free(job_id)
        elif job.state is JobState.WAITING:
            self._free(job_id, until=job.due)
        else:
            if job.state is JobState.STOPPING:
                self.programs.cancelled.add(job_id)
            await self._attempt(job, adopt=True)

    def _free(self, job: int, *, until: float | None = None, anew: bool = False) -> None:
        """Give the job's seat back; with `until` it waits for its next turn from then on.

        With `anew` its waiting counts from then only.
        """
        del self._hands[job]
        if until is None:
            self.programs.cancelled.discard(job)
            self.queue.give_back(job)
        else:
            self.queue.again(job, until, anew=anew)

    async def _first(self, job_id: int) -> None:
        # What was decided stays so; whether it still waits is asked when its start is recorded.
        job = self.recent.take(job_id) or await self.ledger.read(JobRecords.get, job_id)
        if job is None or job.state is not JobState.WAITING:
            self._free(job_id)
            return
        now = due = self.clock.seconds()
        if job.work.between is not None:
            at = datetime.fromtimestamp(now, LOCAL)
            begin = next_start(job.work.between, job.work.calendar, at)
            if begin is None:
                reason = "its hours never come: all their days are over"
                await self._give_up(job, JobState.FAILED, reason)
                return
            # What clocks show does not say which of two hours is the later.
            now, due = at.timestamp(), begin.timestamp()
        total = job.work.limits.total
        if total is not None and now >= (job.started or inf) + total:
            reason = f"all attempts together took longer than {total:g} s"
            await self._give_up(job, JobState.TIMEDOUT, reason)
            return
        if due > now:
            waits = await self.ledger.write(JobRecords.postpone, job_id, due)
            # One that was cancelled meanwhile must not keep its lock until then.
            self._free(job_id, until=due if waits else None, anew=True)
            return
        before, boot = await self._before(job)
        started = await self.ledger.write(
            JobRecords.start_attempt, job_id, self.clock.seconds(), before, boot
        )
        if started is None:
            self._free(job_id)
            return
        await self._attempt(started.job, adopt=False)

    async def _before(self, job: Job) -> tuple[dict[str, Look], str]:
        """Return a job's tapes as they are before its next attempt, and the boot of the machine.

        An attempt that has a folder before it is recorded was made when the ledger was not a copy
        yet. How its tapes are now says nothing about what that run has copied.
        """
        key = run_key(job.id, job.attempt + 1)
        if job.work.then is not None and job.work.run and self.runner.folder(key).exists():
            return {}, DOUBTED
        return await before_attempt(self.checks, job), self.runner.boot

    async def _give_up(self, job: Job, state: JobState, reason: str) -> None:
        """End a job that waits and must not start."""
        await self.ledger.write(JobRecords.end, job.id, state, reason, self.clock.seconds())
        self._free(job.id)

    async def _attempt(self, job: Job, *, adopt: bool) -> None:
        key = run_key(job.id, job.attempt)
        self.programs.running[job.id] = key
        if adopt:
            await self.programs.end_orphans(job)
        if not job.work.run:
            proving = job.work.then == "proven"
            ending = await (self.proving.do(job) if proving else self.gate.do(job))
        else:
            ending = await self.attempt_runner.run(job, key, adopt=adopt)
        await self._finish(job, ending)

    async def _finish(self, job: Job, ending: Ending) -> None:
        now = self.clock.seconds()
        if ending.state is not JobState.COMPLETED:
            ending = evolve(ending, output=self.programs.told(job.id, ending.output))
        self.programs.forget(job.id)
        finished = await self.ledger.write(
            JobRecords.finish_attempt, job.id, job.attempt, ending, now
        )
        self.programs.running.pop(job.id, None)
        after = finished.job
        if ending.state in {JobState.COMPLETED, JobState.WARNING}:
            await self.attempt_runner.remains.tidy(job)
        # Its lock goes last: nothing that follows from its end, and no tidying, meets another job.
        self._free(job.id, until=after.due if after.state is JobState.WAITING else None)
