"""One attempt of a job: prepared, run, followed where the application queues it, and judged."""

from collections.abc import Callable, Mapping

from attrs import define, evolve, frozen
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.calls import NOTHING_LEFT, OUTPUT_JUDGED, Calls
from vtspolicy.engine.following import NUMBER, Follower
from vtspolicy.engine.ourselves import Ourselves
from vtspolicy.engine.progress import Progress
from vtspolicy.jobs import Job, JobState
from vtspolicy.ledger import Book, Ledger
from vtspolicy.ledger.jobs import Ending
from vtspolicy.rules.expand import expand, expand_input
from vtspolicy.rules.judge import Judgement, judge
from vtspolicy.rules.retry import next_attempt
from vtspolicy.rules.work import Poll, Work
from vtspolicy.runner.protocol import End, Ended, Run, Runner

OUTPUT_KEPT = 4000
"""Bytes of an attempt's output that the ledger keeps."""

QUEUED = "queued"
"""The kind of the end of a job that its application queued: no exit code tells how it ended."""

MOST_ATTEMPTS = 20
"""Attempts after which one that was interrupted is not made again: that is no accident."""

LAST_WORDS = 200
"""Characters of the last line of an output that become part of a reason."""


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
class Attempts:
    """Makes attempts of jobs."""

    clock: IReactorTime
    steady: Callable[[], float]  # seconds that pass, whatever somebody sets the clock to
    ledger: Ledger
    runner: Runner
    ourselves: Ourselves
    calls: Calls
    progress: Progress
    follower: Follower

    async def run(self, job: Job, key: str, *, adopt: bool) -> Ending:
        """Prepare, run, follow and judge one attempt; what an earlier server did is not repeated.

        What it had read is in the ledger, and what it had started is in the spool. Where its run
        may have been made and nothing is left of it, nothing is asked or looked at either.
        """
        began, readings, restarted = self.clock.seconds(), {}, False
        if adopt:
            attempt = (await self.ledger.read(Book.attempts, job.id))[-1]
            began, readings = attempt.started, dict(attempt.readings)
            restarted = attempt.boot not in {None, self.runner.boot}
        deadline = self._deadline(job, began)
        if job.work.poll is not None and NUMBER in readings:
            return await self._follow(job, job.work.poll, readings, deadline)
        begun = adopt and self.runner.folder(key).exists()
        if restarted and not begun:
            ended = Ended(key=key, kind=End.LOST, reason=NOTHING_LEFT)
            return await self._ending(job, ended, readings, {}, deadline)
        if not begun:
            # What an earlier server had not begun is looked at as if it were new: its tape may
            # have been written since.
            refusal = await self.ourselves.instead(job) or await self._prepare(job, readings)
            if refusal is not None:
                return refusal
            self.calls.running[job.id] = key
        values = self.calls.values(job, readings)
        run = Run(
            key=key,
            argv=expand(job.work.run, values),
            env=self.calls.environment(job),
            job=job.id,
            attempt=job.attempt,
            timeout=_of_call(job.work, deadline),
            silence=job.work.limits.silence,
            grace=job.work.limits.grace,
            input=expand_input(job.work.input, values),
        )
        self.progress.watch(job, key)
        ended = await self.calls.run(run, adopt=adopt, restarted=restarted)
        self.progress.forget(job.id)
        if ended.kind is End.UNSTARTED and restarted:
            ended = evolve(ended, kind=End.LOST)  # it is cancelled; it may have been made before
        return await self._ending(job, ended, readings, values, deadline)

    async def _ending(
        self,
        job: Job,
        ended: Ended,
        readings: Mapping[str, str],
        values: Mapping[str, str],
        deadline: Deadline,
    ) -> Ending:
        """Return what the job becomes by the end of its run, and by its output."""
        output = self.runner.tail(ended.key, OUTPUT_JUDGED)
        judgement = judge(
            job.work, code=ended.code, output=output, values=values, kind=ended.kind.value
        )
        if readings:
            judgement = evolve(judgement, readings={**readings, **judgement.readings})
        ending = await self._after_run(job, ended, judgement, output, deadline)
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
        found = await self.calls.answer(job, query, "prepare", readings)
        if found.state == "failed":
            state = JobState.CANCELLED if job.id in self.calls.cancelled else JobState.FAILED
            reason = f"it could not be prepared: {found.reason}"
            ending = Ending(state=state, kind="unprepared", reason=reason, readings=found.readings)
            return self._again(job, ending)
        if found.readings:
            readings.update(found.readings)
            await self.ledger.write(Book.note_readings, job.id, job.attempt, readings)
        return None

    async def _after_run(
        self, job: Job, ended: Ended, judgement: Judgement, output: str, deadline: Deadline
    ) -> Ending:
        """Return what the job becomes by the end of its run."""
        work = job.work
        exited = ended.kind is End.EXITED
        if work.poll is not None and (exited and judgement.state != "failed"):
            return await self._follow(job, work.poll, judgement.readings, deadline)
        if work.poll is not None and ended.kind not in {
            *(End.EXITED, End.UNSTARTED, End.UNSTARTABLE)
        }:
            return await self._find(job, work.poll, ended, judgement, deadline)
        if exited:
            return await self._judged(job, judgement, output)
        asks = work.on_interrupt == "retry" and work.verify is not None
        if ended.kind is End.LOST and asks and job.id not in self.calls.cancelled:
            return await self._interrupted(job, ended, judgement)
        return self._again(job, self._unnatural(job, ended, deadline))

    async def _find(
        self, job: Job, poll: Poll, ended: Ended, judgement: Judgement, deadline: Deadline
    ) -> Ending:
        """Its submission did not end by itself: follow the application's job if there is one."""
        readings = judgement.readings
        if NUMBER not in readings:
            found = await self.follower.find(job, poll, readings)
            if found.absent:
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
        return await self._follow(job, poll, readings, deadline, stop)

    async def _follow(
        self,
        job: Job,
        poll: Poll,
        readings: Mapping[str, str],
        deadline: Deadline,
        stop: End | None = None,
    ) -> Ending:
        """Follow the application's job to its end; its number is kept before anything else."""
        await self.ledger.write(Book.note_readings, job.id, job.attempt, readings)
        followed = await self.follower.follow(job, poll, readings, until=deadline.until, stop=stop)
        self.progress.forget(job.id)
        judgement = followed.judgement
        if followed.end is End.EXITED:
            return evolve(await self._judged(job, judgement, ""), kind=QUEUED)
        late = f"it took longer than {deadline.seconds:g} s" if deadline.seconds else ""
        reason = late if followed.end is End.TIMEOUT else ""
        ended = Ended(key="", kind=followed.end, reason=reason)
        ending = self._unnatural(job, ended, deadline)
        both = f"{ending.reason}: {judgement.reason}"
        if followed.over:
            ending = self._again(job, evolve(ending, reason=both))
        else:  # it may go on there: neither told as gone, nor to be run again
            reason = both if followed.end is End.TIMEOUT else judgement.reason
            ending = Ending(state=JobState.INTERRUPTED, reason=reason, over=False)
        return evolve(ending, kind=QUEUED, readings=judgement.readings)

    async def _judged(self, job: Job, judgement: Judgement, output: str) -> Ending:
        """Return the ending by what was judged, verified by a separate query and by the tape."""
        if judgement.state == "completed" and job.work.verify is not None:
            judgement = await self._verify(job, judgement)
            if judgement.state == "failed" and job.id in self.calls.cancelled:
                return Ending(
                    state=JobState.CANCELLED, reason=judgement.reason, readings=judgement.readings
                )
        return self._again(job, await self._proved(job, judgement, output))

    async def _proved(self, job: Job, judgement: Judgement, output: str) -> Ending:
        """Return the ending by what was judged and by the tape itself."""
        tapes, judgement = await self.ourselves.proof(job, judgement)
        return Ending(
            state=_STATES[judgement.state],
            reason=_told(judgement, output),
            readings=judgement.readings,
            tapes=tapes,
            handle=judgement.readings.get(job.work.handle) if job.work.handle else None,
        )

    async def _interrupted(self, job: Job, ended: Ended, judgement: Judgement) -> Ending:
        """A run died with the machine: look for its copy before it is run again."""
        readings = judgement.readings
        found = await self._verify(job, Judgement(state="completed", readings=readings))
        reason = ended.reason or "it was interrupted"
        if found.state == "completed":
            ending = await self._proved(job, found, "")
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
        found = await self.calls.answer(job, query, "verify", judgement.readings)
        if found.state == "completed":
            return evolve(judgement, readings=found.readings)
        return evolve(found, state="failed", reason=f"the copy is not verified: {found.reason}")

    def _deadline(self, job: Job, began: float) -> Deadline:
        """Return the time-out of an attempt that began then, seconds since the epoch.

        What is left of it is counted by seconds that pass: a clock that is set ends no job. Only
        how long ago an earlier server began it, the clock has to tell.
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
        """Return what the job becomes by a run that did not exit by itself."""
        reason = ended.reason or ended.kind.value
        gone = ended.kind in {End.UNSTARTED, End.LOST} and job.id in self.calls.cancelled
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
        if end is None or job.id in self.calls.cancelled:
            return ending
        now = self.clock.seconds()
        due = next_attempt(
            job.work, attempt=job.attempt, end=end, first_start=job.started or now, now=now
        )
        return ending if due is None else evolve(ending, state=JobState.WAITING, due=due)


def _of_call(work: Work, deadline: Deadline) -> float | None:
    """How long the run may take: to submit a job is only a call, whatever the job takes."""
    if work.poll is None:
        return deadline.seconds
    return min(work.poll.query.timeout, deadline.seconds or work.poll.query.timeout)


def _told(judgement: Judgement, output: str) -> str | None:
    """Return the reason for people: a failed application's own last words say most."""
    if not judgement.reason or judgement.state == "completed":
        return judgement.reason or None
    return _with_last_words(judgement.reason, output)


def _with_last_words(reason: str, output: str) -> str:
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    return f"{reason}: {last[:LAST_WORDS]}" if last else reason


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
