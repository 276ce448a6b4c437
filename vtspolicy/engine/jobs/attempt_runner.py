"""One attempt of a job: prepared, run, followed where the application queues it, and judged."""

import math
from collections.abc import Callable, Mapping

from attrs import define, evolve, field, frozen
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.jobs.polling import NUMBER, QueuedJobPoller
from vtspolicy.engine.jobs.programs import NOTHING_LEFT, OUTPUT_JUDGED, Programs
from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.engine.tapes.archives import Archives
from vtspolicy.engine.tapes.checks import TapeChecks
from vtspolicy.engine.tapes.plan import Plan
from vtspolicy.engine.tapes.remains import Remains
from vtspolicy.engine.tapes.restores import REFUSED, Restores
from vtspolicy.jobs import Ending, Job, JobState
from vtspolicy.ledger import AttemptRecords
from vtspolicy.rules.expand import ExpansionError, expand, expand_input
from vtspolicy.rules.judge import Judgement, judge
from vtspolicy.rules.outputs import cause_in, with_cause
from vtspolicy.rules.retry import next_attempt
from vtspolicy.rules.time_limit import SlowPatternError
from vtspolicy.rules.work import Poll, Work
from vtspolicy.runner.protocol import End, Ended, Run, Runner, TapeFile
from vtspolicy.tapes import Outcome, Reason
from vtspolicy.vaults import VaultError

OUTPUT_KEPT = 4000
"""Bytes of an attempt's output that the ledger keeps."""

QUEUED = "queued"
"""The kind of the end of a job that its application queued: no exit code shows how it ended."""

MOST_ATTEMPTS = 20
"""Attempts after which one that was interrupted is not made again: that is not an accident."""


@frozen(kw_only=True)
class Deadline:
    """How long an attempt may take, and which time-out that is."""

    seconds: float | None  # from its start; None: it may take for ever
    until: float | None  # when it has to be over, by the steady clock
    total: bool = False  # it is what is left of all attempts' time

    def passed(self, now: float) -> bool:
        """Whether the attempt should be over; `now` is of the steady clock."""
        return self.until is not None and now >= self.until


@define(kw_only=True)
class _Attempt:
    """What is known of an attempt while it is made."""

    job: Job  # with the values that are true since it began
    plan: Plan | None = None  # of a restore
    ended: Ended | None = None  # as its keeper saw it
    deadline: Deadline = field(factory=lambda: Deadline(seconds=None, until=None))

    @property
    def end(self) -> Ended:
        """The end of its run; it has ended."""
        if self.ended is None:
            raise ValueError("the run has not ended")
        return self.ended


@define(kw_only=True)
class AttemptRunner:
    """Makes attempts of jobs."""

    clock: IReactorTime
    steady: Callable[[], float]  # seconds of the monotonic clock
    ledger: EngineLedger
    runner: Runner
    checks: TapeChecks
    programs: Programs
    progress: Progress
    poller: QueuedJobPoller
    archives: Archives = field(init=False)
    restores: Restores = field(init=False)
    remains: Remains = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.archives = Archives(checks=self.checks)
        self.restores = Restores(checks=self.checks)
        self.remains = Remains(checks=self.checks)

    async def run(self, job: Job, key: str, *, adopt: bool) -> Ending:
        """Make one attempt, and note what a restore that failed has left on its tapes."""
        attempt = _Attempt(job=job)
        try:
            ending = await self._run(attempt, key, adopt=adopt)
        except ExpansionError as error:
            ending = Ending(state=JobState.FAILED, kind="unstartable", reason=str(error))
        restored = job.work.then == "restored" and ending.kind != REFUSED
        if restored and ending.state not in _GOOD:
            over = ending.state is not JobState.INTERRUPTED or job.work.poll is None
            await self.remains.after_failure(job, attempt.plan, attempt.ended, over=over)
        return ending

    async def _run(self, attempt: "_Attempt", key: str, *, adopt: bool) -> Ending:
        """Prepare, run, follow and judge one attempt; what an earlier server did is not repeated.

        What it had read is in the ledger, and what it had started is in the spool. Where its run
        may have been made and nothing is left of it, nothing is asked or looked at either.
        """
        job = attempt.job
        began, readings, restarted = self.clock.seconds(), {}, False
        if adopt:
            earlier = (await self.ledger.read(AttemptRecords.of_job, job.id))[-1]
            began, readings = earlier.started, dict(earlier.readings)
            restarted = earlier.boot not in {None, self.runner.boot}
            attempt.plan = Plan.of_json(
                await self.ledger.read(AttemptRecords.plan, job.id, job.attempt)
            )
        attempt.deadline = deadline = self._deadline(job, began)
        job = attempt.job = await self._as_begun(job, attempt.plan)
        if job.work.poll is not None and NUMBER in readings:
            return await self._follow(attempt, job.work.poll, readings)
        begun = adopt and self.runner.folder(key).exists()
        if restarted and not begun:
            attempt.ended = Ended(key=key, kind=End.LOST, reason=NOTHING_LEFT)
            return await self._ending(attempt, readings, {})
        if not begun:
            # What an earlier server had not begun is looked at as if it were new: its tape may
            # have been written since.
            if adopt and attempt.plan is not None:
                await self.remains.never_begun(job, attempt.plan)
            refusal = await self._begin(attempt) or await self._prepare(attempt.job, readings)
            if refusal is not None:
                return refusal
            job = attempt.job
            self.programs.running[job.id] = key
        values = self.programs.values(job, readings)
        run = Run(
            key=key,
            argv=expand(job.work.run, values),
            env=self.programs.environment(job),
            job=job.id,
            attempt=job.attempt,
            timeout=_of_call(job.work, deadline),
            silence=job.work.limits.silence,
            grace=job.work.limits.grace,
            input=expand_input(job.work.input, values),
            tape=self._file_of(job),
        )
        self.progress.watch(job, key)
        ended = await self.programs.run(run, adopt=adopt, restarted=restarted)
        self.progress.forget(job.id)
        if ended.kind is End.UNSTARTED and restarted:
            ended = evolve(ended, kind=End.LOST)  # it is cancelled; it may have been made before
        attempt.ended = ended
        return await self._ending(attempt, readings, values)

    async def _begin(self, attempt: "_Attempt") -> Ending | None:
        """Judge by the tapes as they are now whether there may be a run, and prepare for it."""
        job = attempt.job
        if job.work.then == "migrated":
            return await self.archives.begin(job)
        if job.work.then == "restored":
            plan = await self.restores.begin(job)
            if isinstance(plan, Ending):
                return plan
            attempt.plan = plan
            attempt.job = evolve(job, values={**job.values, **plan.values})
            return None
        try:
            tapes = await self.checks.look(job)
        except VaultError as error:
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=str(error))
        if "cartridge" in job.values and not any(tape.size is not None for tape in tapes):
            return Ending(state=JobState.FAILED, kind=REFUSED, reason=Reason.NO_TAPE.told())
        return None

    async def _as_begun(self, job: Job, plan: Plan | None) -> Job:
        """Return a job with the values that are true since its attempt began: its tape's size."""
        if plan is not None:
            return evolve(job, values={**job.values, **plan.values})
        if job.work.then != "migrated" or "cartridge" not in job.values:
            return job
        before = await self.ledger.read(AttemptRecords.tapes_before, job.id, job.attempt)
        for look in before.values():
            if look.fingerprint is not None:
                return evolve(job, values={**job.values, "size": str(look.fingerprint.size)})
        return job

    def _file_of(self, job: Job) -> TapeFile | None:
        """Return which file the keeper looks at as the run begins and ends."""
        values, then = job.values, job.work.then
        in_place = then == "migrated" or (then == "restored" and job.work.restores_to == "path")
        if not in_place or not {"vault", "pool", "cartridge"} <= values.keys():
            return None
        root = self.checks.vaults.roots.get(values["vault"])
        if root is None:
            return None
        return TapeFile(
            vault=self.checks.vaults.identity(values["vault"]),
            root=str(root),
            pool=values["pool"],
            cartridge=values["cartridge"],
        )

    async def _ending(
        self,
        attempt: "_Attempt",
        readings: Mapping[str, str],
        values: Mapping[str, str],
    ) -> Ending:
        """Return what the job becomes by the end of its run, and by its output."""
        job, ended = attempt.job, attempt.end
        output = self.runner.tail(ended.key, OUTPUT_JUDGED)
        judgement = judge(
            job.work, code=ended.code, output=output, values=values, kind=ended.kind.value
        )
        if readings:
            judgement = evolve(judgement, readings={**readings, **judgement.readings})
        if ended.kind is End.EXITED and job.work.outcome.get(str(ended.code)) == "completed":
            judgement = _with_last_words(judgement, job.work, output)
        ending = await self._after_run(attempt, judgement, output)
        return evolve(
            ending,
            kind=ending.kind or ended.kind.value,
            code=None if ending.kind == QUEUED else ended.code,
            signal=ended.signal,
            output=output[-OUTPUT_KEPT:],
        )

    async def _prepare(self, job: Job, readings: dict[str, str]) -> Ending | None:
        """Make the call that comes before the run; return why there can be no run, or None."""
        query = job.work.prepare
        if query is None:
            return None
        found = await self.programs.answer(job, query, "prepare", readings)
        if found.state == "failed":
            state = JobState.CANCELLED if job.id in self.programs.cancelled else JobState.FAILED
            reason = f"it could not be prepared: {found.reason}"
            ending = Ending(state=state, kind="unprepared", reason=reason, readings=found.readings)
            return self._again(job, ending)
        if found.readings:
            readings.update(found.readings)
            await self.ledger.write(AttemptRecords.note_readings, job.id, job.attempt, readings)
        return None

    async def _after_run(self, attempt: "_Attempt", judgement: Judgement, output: str) -> Ending:
        """Return what the job becomes by the end of its run."""
        job, ended = attempt.job, attempt.end
        work = job.work
        exited = ended.kind is End.EXITED
        if work.poll is not None and (exited and judgement.state != "failed"):
            return await self._follow(attempt, work.poll, judgement.readings)
        if work.poll is not None and ended.kind not in {
            *(End.EXITED, End.UNSTARTED, End.UNSTARTABLE)
        }:
            return await self._find(attempt, work.poll, judgement)
        if exited:
            return await self._judged(attempt, judgement)
        # What is found after a later attempt may be what an earlier one has left under the handle,
        # of a tape that was written since. Then the copy is made again.
        asks = work.on_interrupt == "retry" and work.verify is not None and job.attempt == 1
        if ended.kind is End.LOST and asks and job.id not in self.programs.cancelled:
            return await self._interrupted(attempt, judgement)
        ending = self._unnatural(job, ended, attempt.deadline)
        if ending.state in {JobState.FAILED, JobState.TIMEDOUT}:
            words = with_cause(ending.reason or "", work.cause, output, went_well=False)
            ending = evolve(ending, reason=words)
        return self._again(job, ending)

    async def _find(self, attempt: "_Attempt", poll: Poll, judgement: Judgement) -> Ending:
        """Its submission did not end on its own: follow the application's job if there is one."""
        job, ended, deadline = attempt.job, attempt.end, attempt.deadline
        readings = judgement.readings
        if NUMBER not in readings:
            found = await self.poller.find(job, poll, readings)
            if found.absent or found.readings.get(NUMBER) in await self._earlier_numbers(job):
                ending = self._unnatural(job, ended, deadline)
                if ended.kind is End.TIMEOUT and not deadline.passed(self.steady()):
                    reason = f"the application did not take the job: {ended.reason}"
                    ending = Ending(state=JobState.FAILED, reason=reason)
                return self._again(job, ending)
            if found.state == "failed":
                reason = f"whether the application has taken the job is not known: {found.reason}"
                return Ending(state=JobState.INTERRUPTED, reason=reason, over=False)
            readings = {**readings, **found.readings}
        stop = End.CANCELLED if ended.kind is End.CANCELLED else None
        return await self._follow(attempt, poll, readings, stop)

    async def _earlier_numbers(self, job: Job) -> set[str]:
        """Return the application's own numbers of what the job's earlier attempts have queued.

        They have the same handle, and hold the tape as it was then.
        """
        attempts = await self.ledger.read(AttemptRecords.of_job, job.id)
        earlier = (each.readings for each in attempts if each.number < job.attempt)
        return {readings[NUMBER] for readings in earlier if NUMBER in readings}

    async def _follow(
        self,
        attempt: "_Attempt",
        poll: Poll,
        readings: Mapping[str, str],
        stop: End | None = None,
    ) -> Ending:
        """Follow the application's job to its end; its number is kept before anything else."""
        job, deadline = attempt.job, attempt.deadline
        attempt.ended = None  # its program has only asked for the work: its end does not count
        await self.ledger.write(AttemptRecords.note_readings, job.id, job.attempt, readings)
        followed = await self.poller.follow(job, poll, readings, until=deadline.until, stop=stop)
        self.progress.forget(job.id)
        judgement = followed.judgement
        if followed.end is End.EXITED:
            return evolve(await self._judged(attempt, judgement), kind=QUEUED)
        late = f"it took longer than {deadline.seconds:g} s" if deadline.seconds else ""
        reason = late if followed.end is End.TIMEOUT else ""
        ended = Ended(key="", kind=followed.end, reason=reason)
        ending = self._unnatural(job, ended, deadline)
        both = f"{ending.reason}: {judgement.reason}"
        if followed.over:
            ending = self._again(job, evolve(ending, reason=both))
        else:  # it may still run there: neither reported as gone, nor to be run again
            reason = both if followed.end is End.TIMEOUT else judgement.reason
            ending = Ending(state=JobState.INTERRUPTED, reason=reason, over=False)
        return evolve(ending, kind=QUEUED, readings=judgement.readings)

    async def _judged(self, attempt: "_Attempt", judgement: Judgement) -> Ending:
        """Return the ending by what was judged, verified by a separate query and by the tape."""
        job, verified = attempt.job, False
        if judgement.state == "completed" and job.work.verify is not None:
            verified = True
            if _is_of_a_pool(job):
                return self._again(job, await self._proved(attempt, judgement, verified))
            judgement = await self._verify(job, judgement)
            if judgement.state == "failed" and job.id in self.programs.cancelled:
                return Ending(
                    state=JobState.CANCELLED, reason=judgement.reason, readings=judgement.readings
                )
        return self._again(job, await self._proved(attempt, judgement, verified))

    async def _proved(self, attempt: "_Attempt", judgement: Judgement, verified: bool) -> Ending:
        """Return the ending by what was judged and by the tape itself."""
        job = attempt.job
        outcomes: tuple[Outcome, ...] = ()
        if job.work.then == "migrated" and judgement.state == "completed":
            outcomes, judgement = await self.archives.end(
                job, judgement, attempt.ended, verified=verified
            )
        elif job.work.then == "restored" and judgement.state in {"completed", "warning"}:
            plan = attempt.plan or await self.restores.as_begun(job)
            outcomes, judgement = await self.restores.end(
                job, plan, judgement, attempt.ended, self._until(attempt.deadline)
            )
        return Ending(
            state=_STATES[judgement.state],
            reason=judgement.reason or None,
            readings=judgement.readings,
            outcomes=outcomes,
        )

    def _until(self, deadline: Deadline) -> float:
        """Return when an attempt has to be over, by the clock of the day."""
        if deadline.until is None:
            return math.inf
        return self.clock.seconds() + deadline.until - self.steady()

    async def _interrupted(self, attempt: "_Attempt", judgement: Judgement) -> Ending:
        """A run died with the machine: look for its copy before it is run again."""
        job, ended = attempt.job, attempt.end
        readings = judgement.readings
        found = await self._verify(job, Judgement(state="completed", readings=readings))
        reason = ended.reason or "it was interrupted"
        if found.state == "completed":
            attempt.ended = None  # its end was not seen
            ending = await self._proved(attempt, found, verified=True)
            good = ending.state is JobState.COMPLETED
            return evolve(ending, reason=f"{reason}; its copy was found") if good else ending
        if found.absent and job.attempt < MOST_ATTEMPTS:
            return Ending(
                state=JobState.WAITING, due=self.clock.seconds(), reason=reason, readings=readings
            )
        reason = f"{reason}, and whether it has made a copy is not known: {found.reason}"
        return Ending(state=JobState.INTERRUPTED, reason=reason, readings=readings)

    async def _verify(self, job: Job, judgement: Judgement) -> Judgement:
        """Ask the separate query; only what it finds was stored (the deletion gate)."""
        query = job.work.verify
        if query is None:
            return judgement
        found = await self.programs.answer(job, query, "verify", judgement.readings)
        if found.state == "completed":
            return evolve(judgement, readings=found.readings)
        return evolve(found, state="failed", reason=f"the copy is not verified: {found.reason}")

    def _deadline(self, job: Job, began: float) -> Deadline:
        """Return the time-out of an attempt that began then, seconds since the epoch.

        What is left of it is counted by the monotonic clock: setting the clock ends no job. Only
        how long ago an earlier server began it is taken from the wall clock.
        """
        limits = job.work.limits
        seconds, total = limits.attempt, False
        if limits.total is not None:
            left = max(limits.total - (began - (job.started or began)), 0.1)
            if seconds is None or left < seconds:
                seconds, total = left, True
        if seconds is None:
            return Deadline(seconds=None, until=None)
        used = max(self.clock.seconds() - began, 0.0)
        until = self.steady() + max(seconds - used, 0.0)
        return Deadline(seconds=seconds, until=until, total=total)

    def _unnatural(self, job: Job, ended: Ended, deadline: Deadline) -> Ending:
        """Return what the job becomes by a run that did not exit on its own."""
        reason = ended.reason or ended.kind.value
        gone = ended.kind in {End.UNSTARTED, End.LOST} and job.id in self.programs.cancelled
        if ended.kind is End.CANCELLED or gone:
            return Ending(state=JobState.CANCELLED, reason=reason)
        if ended.kind in {End.TIMEOUT, End.SILENT}:
            if deadline.total and ended.kind is End.TIMEOUT:
                reason = f"all attempts together took longer than {job.work.limits.total:g} s"
            return Ending(state=JobState.TIMEDOUT, reason=reason)
        if ended.kind is End.LOST:
            if job.work.on_interrupt == "retry" and job.attempt < MOST_ATTEMPTS:
                return Ending(state=JobState.WAITING, due=self.clock.seconds(), reason=reason)
            return Ending(state=JobState.INTERRUPTED, reason=reason)
        if ended.kind is End.SIGNALLED:
            reason = ended.reason or f"ended by signal {ended.signal}"
        return Ending(state=JobState.FAILED, reason=reason)

    def _again(self, job: Job, ending: Ending) -> Ending:
        """Return the ending, or that the job waits for another attempt."""
        end = _ENDS.get(ending.state)
        if end is None or job.id in self.programs.cancelled:
            return ending
        now = self.clock.seconds()
        due = next_attempt(
            job.work, attempt=job.attempt, end=end, first_start=job.started or now, now=now
        )
        return ending if due is None else evolve(ending, state=JobState.WAITING, due=due)


def _of_call(work: Work, deadline: Deadline) -> float | None:
    """How long the run may take: to submit a job is only a call, however long the job takes."""
    if work.poll is None:
        return deadline.seconds
    return min(work.poll.query.timeout, deadline.seconds or work.poll.query.timeout)


def _with_last_words(judgement: Judgement, work: Work, output: str) -> Judgement:
    """A run that went well and has not done what is expected may say in its last line why."""
    if not judgement.reason or not judgement.told:
        return judgement
    try:
        if cause_in(work.cause, output):
            return judgement
    except SlowPatternError:  # which the reason says already
        pass
    return evolve(judgement, reason=with_cause(judgement.reason, (), output, went_well=False))


_GOOD = frozenset({JobState.COMPLETED, JobState.WARNING})


def _is_of_a_pool(job: Job) -> bool:
    """Whether one run is about all tapes of a pool: each of them is asked for separately."""
    return "pool" in job.values and "cartridge" not in job.values


_ENDS = {
    JobState.FAILED: "failed",
    JobState.TIMEDOUT: "timeout",
    JobState.INTERRUPTED: "lost",
}
"""What `retry: on:` calls them."""

_STATES = {
    "completed": JobState.COMPLETED,
    "warning": JobState.WARNING,
    "failed": JobState.FAILED,
}
