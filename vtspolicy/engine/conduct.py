"""One job from its seat to its end: an attempt is recorded, run, judged, and its end recorded."""

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.engine.ourselves import Ourselves
from vtspolicy.engine.patience import Patience
from vtspolicy.hosts.outbox import Outbox
from vtspolicy.jobs import Job, JobState, run_key
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.jobs import Ending, Finished
from vtspolicy.metrics import Metrics
from vtspolicy.queue.protocol import Queue
from vtspolicy.rules.expand import ExpansionError, expand, expand_environment
from vtspolicy.rules.hours import next_start
from vtspolicy.rules.judge import Judgement, judge, judge_query
from vtspolicy.rules.retry import next_attempt
from vtspolicy.rules.work import Query
from vtspolicy.runner.protocol import End, Ended, Run, Runner, SpoolError

OUTPUT_KEPT = 4000
"""Bytes of an attempt's output that the ledger keeps."""

OUTPUT_JUDGED = 1 << 20
"""Bytes of an attempt's output in which readings are looked for."""

LAST_WORDS = 200
"""Characters of the last line of an output that become part of a reason."""

SPOOL_PATIENCE = 5.0
"""Seconds between tries while the spool cannot take a run."""


@frozen(kw_only=True)
class Deadline:
    """How long the next run of a job may take, and which time-out that is."""

    seconds: float | None
    total: bool = False  # it is what is left of all attempts' time


@define(kw_only=True)
class Conductor:
    """Runs jobs that the queue gives it."""

    clock: IReactorTime
    ledger: Ledger
    queue: Queue
    runner: Runner
    outbox: Outbox
    ourselves: Ourselves
    patience: Patience
    metrics: Metrics
    node: str
    running: dict[int, str] = field(factory=dict)  # job -> key of the run that is under way
    cancelled: set[int] = field(factory=set)  # jobs to be stopped as soon as they have a run
    on_idle: Callable[[], None] = lambda: None  # called when the last running job has ended
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))

    def begin(self, job: int) -> None:
        """Start a job that has its seat and its lock."""
        self._conduct(job, self._first(job))

    def resume(self, job: Job) -> None:
        """Go on with a job whose attempt an earlier server had started."""
        if job.state is JobState.STOPPING:
            self.cancelled.add(job.id)
        self._conduct(job.id, self._attempt(job, adopt=True))

    def cancel(self, job: int) -> None:
        """Stop a running job's processes; the ledger says already that it is stopping."""
        self.cancelled.add(job)
        key = self.running.get(job)
        if key is not None:
            self.runner.stop(key, "cancelled")

    def _conduct(self, job: int, work: "object") -> None:
        done: Deferred[None] = Deferred.fromCoroutine(work)  # type: ignore[arg-type]  # a coroutine
        done.addErrback(self._failed, job)

    def _failed(self, failure: Failure, job: int) -> None:
        """A defect of ours: the job keeps its seat and its lock, and is taken up at the next start.

        Giving the seat back would let another job run beside processes that nobody watches.
        """
        self.running.pop(job, None)
        self.log.failure("Job {job} cannot go on.", failure, action="job_defect", job=job)

    async def _first(self, job_id: int) -> None:
        job = await self.ledger.read(Book.job, job_id)
        if job is None or job.state is not JobState.WAITING:
            self.queue.give_back(job_id)
            return
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        begin = next_start(job.work.between, job.work.calendar, now)
        if begin is None:
            await self._give_up(job, "its hours never come: all their days are over")
            return
        if begin > now:
            self.queue.again(job_id, begin.timestamp())
            return
        before = await self.ourselves.before(job)
        started = await self.ledger.write(Book.start_attempt, job_id, self.clock.seconds(), before)
        if started is None:
            self.queue.give_back(job_id)
            return
        self.patience.forget(job_id)
        job, notices = started.job, started.notices
        self.metrics.lock_wait.observe(max(self.clock.seconds() - max(job.created, job.due), 0.0))
        self.outbox.push(notices)
        await self._attempt(job, adopt=False)

    async def _give_up(self, job: Job, reason: str) -> None:
        """End a job that waits and can never start."""
        finished = await self.ledger.write(
            Book.end_job, job.id, JobState.FAILED, reason, self.clock.seconds()
        )
        self.queue.give_back(job.id)
        self.outbox.push(finished.notices)

    async def _attempt(self, job: Job, *, adopt: bool) -> None:
        key = run_key(job.id, job.attempt)
        self.running[job.id] = key
        if not job.work.run:
            ending = await self.ourselves.do(job)
        else:
            try:
                ending = await self._run(job, key, adopt=adopt)
            except ExpansionError as error:
                ending = Ending(state=JobState.FAILED, kind="unstartable", reason=str(error))
        await self._finish(job, ending)

    async def _run(self, job: Job, key: str, *, adopt: bool) -> Ending:
        deadline = self._deadline(job)
        run = Run(
            key=key,
            argv=expand(job.work.run, self._values(job)),
            env=self._environment(job),
            job=job.id,
            attempt=job.attempt,
            timeout=deadline.seconds,
            silence=job.work.limits.silence,
            grace=job.work.limits.grace,
        )
        ended = await self._start(run, adopt=adopt)
        output = self.runner.tail(key, OUTPUT_JUDGED)
        if ended.kind is End.EXITED:
            judgement = judge(job.work, code=ended.code, output=output, values=self._values(job))
            if judgement.state == "completed" and job.work.verify is not None:
                judgement = await self._verify(job, judgement)
            tapes, judgement = await self.ourselves.proof(job, judgement)
            ending = Ending(state=_STATES[judgement.state], readings=judgement.readings)
            ending = evolve(ending, reason=_told(judgement, output), tapes=tapes)
        else:
            ending = self._unnatural(job, ended, deadline)
        return evolve(
            self._again(job, ending),
            kind=ended.kind.value,
            code=ended.code,
            signal=ended.signal,
            output=output[-OUTPUT_KEPT:],
        )

    async def _start(self, run: Run, *, adopt: bool) -> Ended:
        """Start or adopt a run; while the spool cannot take it, keep trying: nothing is lost."""
        if adopt:
            watched = self.runner.adopt(run)
            self._stop_if_cancelled(run)
            ended = await watched
            if ended.kind is not End.UNSTARTED or run.job in self.cancelled:
                return ended
        while True:
            try:
                watched = self.runner.start(run)
                self._stop_if_cancelled(run)
                return await watched
            except SpoolError as error:
                self.log.error(
                    "Job {job} waits: {error}", action="spool_full", job=run.job, error=error
                )
                await deferLater(self.clock, SPOOL_PATIENCE)
                if run.job in self.cancelled:
                    return Ended(key=run.key, kind=End.CANCELLED)

    def _stop_if_cancelled(self, run: Run) -> None:
        if run.job in self.cancelled:
            self.runner.stop(run.key, "cancelled")

    async def _verify(self, job: Job, judgement: Judgement) -> Judgement:
        """Ask the separate query; only what it finds was stored (the deletion gate)."""
        query = job.work.verify
        if query is None:
            return judgement
        output, ended = await self._query(job, query, "verify")
        if ended.kind is not End.EXITED:
            reason = ended.reason or ended.kind.value
            return evolve(judgement, state="failed", reason=f"the copy is not verified: {reason}")
        values = {**self._values(job), **judgement.readings}
        found = judge_query(query, code=ended.code, output=output, values=values)
        readings = {**judgement.readings, **found.readings}
        if found.state == "completed":
            return evolve(judgement, readings=readings)
        reason = f"the copy is not verified: {found.reason}"
        return evolve(judgement, state="failed", reason=reason, readings=readings)

    async def _query(self, job: Job, query: Query, part: str) -> tuple[str, Ended]:
        """Run a query in a folder of its own; one that an earlier server left is not used again."""
        number = 1
        while True:
            key = run_key(job.id, job.attempt, part if number == 1 else f"{part}{number}")
            if not self.runner.folder(key).exists():
                break
            number += 1
        self.running[job.id] = key
        run = Run(
            key=key,
            argv=expand(query.run, self._values(job)),
            env=self._environment(job),
            job=job.id,
            attempt=job.attempt,
            timeout=query.timeout,
        )
        ended = await self._start(run, adopt=False)
        return self.runner.tail(key, OUTPUT_JUDGED), ended

    def _deadline(self, job: Job) -> Deadline:
        limits = job.work.limits
        if limits.total is None:
            return Deadline(seconds=limits.attempt)
        left = max(limits.total - (self.clock.seconds() - (job.started or 0.0)), 0.1)
        if limits.attempt is not None and limits.attempt <= left:
            return Deadline(seconds=limits.attempt)
        return Deadline(seconds=left, total=True)

    def _unnatural(self, job: Job, ended: Ended, deadline: Deadline) -> Ending:
        """Return what the job becomes by a run that did not exit by itself."""
        reason = ended.reason or ended.kind.value
        if ended.kind is End.CANCELLED:
            return Ending(state=JobState.CANCELLED, reason=reason)
        if ended.kind in {End.TIMEOUT, End.SILENT}:
            if deadline.total and ended.kind is End.TIMEOUT:
                reason = f"all attempts together took longer than {job.work.limits.total:g} s"
            return Ending(state=JobState.TIMEDOUT, reason=reason)
        if ended.kind is End.LOST:
            if job.work.on_interrupt == "retry":
                return Ending(state=JobState.WAITING, due=self.clock.seconds(), reason=reason)
            return Ending(state=JobState.INTERRUPTED, reason=reason)
        if ended.kind is End.SIGNALLED:
            reason = ended.reason or f"ended by signal {ended.signal}"
        return Ending(state=JobState.FAILED, reason=reason)

    def _again(self, job: Job, ending: Ending) -> Ending:
        """Return the ending, or that the job waits for another attempt."""
        end = {JobState.FAILED: "failed", JobState.TIMEDOUT: "timeout"}.get(ending.state)
        if end is None or job.id in self.cancelled:
            return ending
        now = self.clock.seconds()
        due = next_attempt(
            job.work, attempt=job.attempt, end=end, first_start=job.started or now, now=now
        )
        return ending if due is None else evolve(ending, state=JobState.WAITING, due=due)

    async def _finish(self, job: Job, ending: Ending) -> None:
        now = self.clock.seconds()
        finished: Finished = await self.ledger.write(
            Book.finish_attempt, job.id, job.attempt, ending, now
        )
        self.running.pop(job.id, None)
        after = finished.job
        if after.state is JobState.WAITING:
            self.metrics.retries.labels(job.work.application).inc()
            self.queue.again(job.id, after.due)
        else:
            self.cancelled.discard(job.id)
            self.queue.give_back(job.id)
            self.metrics.job_seconds.labels(job.work.application, after.state.value).observe(
                max(now - (job.started or now), 0.0)
            )
        self.log.info(
            "Job {job} of request {request}: {state}.",
            action="job_ended",
            job=job.id,
            request=job.request,
            state=after.state.value,
        )
        self.outbox.push(finished.notices)
        if not self.running:
            self.on_idle()

    def _values(self, job: Job) -> Mapping[str, str]:
        """The values of the decision, and those of this run."""
        run = {
            "req": str(job.request),
            "job": str(job.id),
            "attempt": str(job.attempt),
            "handle": job.handle,
            "node": self.node,
            "rundir": str(self.runner.folder(run_key(job.id, job.attempt))),
        }
        return {**run, **job.values}

    def _environment(self, job: Job) -> Mapping[str, str]:
        """A bare environment: nothing of the server's own leaks into an application."""
        bare = {
            "PATH": program_path(),
            "LC_ALL": "C",
            "HOME": os.environ.get("HOME", "/"),
        }
        return bare | expand_environment(job.work.env, self._values(job))


def _told(judgement: Judgement, output: str) -> str | None:
    """Return the reason for people: a failed application's own last words say most."""
    if not judgement.reason or judgement.state == "completed":
        return judgement.reason or None
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    return f"{judgement.reason}: {last[:LAST_WORDS]}" if last else judgement.reason


def program_path() -> str:
    """Return the PATH of applications: the server's, and where vtspolicy itself is installed."""
    own = os.path.dirname(sys.executable)  # noqa: PTH120  a string is what PATH is made of
    return os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin") + os.pathsep + own


_STATES = {
    "completed": JobState.COMPLETED,
    "warning": JobState.WARNING,
    "failed": JobState.FAILED,
}
