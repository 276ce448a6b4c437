"""Jobs that an application queues itself are followed there by its own number, to their end."""

from collections.abc import Callable, Mapping

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.engine.jobs.programs import Programs
from vtspolicy.engine.jobs.progress import Progress
from vtspolicy.jobs import Job
from vtspolicy.rules.judge import Judgement, PollJudgement, judge_poll
from vtspolicy.rules.work import Poll, Query
from vtspolicy.runner.protocol import End

NUMBER = "application_job"
"""The reading that is the application's own number of the job."""

FIRST_PAUSE = 0.5
"""Seconds between the first two polls; each further pause is twice as long, up to the poll's own.

So a short job is not waited for much longer than it takes.
"""

STOPPING_EVERY = 2.0
"""Seconds between polls, at most, of a job that was asked to stop."""


@frozen(kw_only=True)
class Followed:
    """How a queued job ended."""

    end: End  # EXITED: judged; CANCELLED or TIMEOUT: by us; LOST: it cannot be known
    judgement: Judgement  # what the application said last
    over: bool = True  # its end was seen; False: it may still run there


@define(kw_only=True)
class QueuedJobPoller:
    """Polls with our own clock, and asks the application to cancel."""

    clock: IReactorTime
    steady: Callable[[], float]  # seconds of the monotonic clock
    programs: Programs
    progress: Progress
    log: Logger = field(factory=lambda: Logger("vtspolicy.jobs"))
    _naps: dict[int, Deferred[None]] = field(factory=dict, init=False)  # by job

    def wake(self, job: int) -> None:
        """Have a job looked at now: somebody wants it cancelled."""
        nap = self._naps.pop(job, None)
        if nap is not None:
            nap.callback(None)

    async def find(self, job: Job, poll: Poll, readings: Mapping[str, str]) -> Judgement:
        """Ask for the job by our handle: its submission was interrupted, and it may be queued."""
        if poll.find is None:
            return Judgement(state="failed", reason="no query finds a job by its handle")
        return await self.programs.answer(job, poll.find, "find", readings, aside=True)

    async def follow(
        self,
        job: Job,
        poll: Poll,
        readings: Mapping[str, str],
        *,
        until: float | None,
        stop: End | None = None,
    ) -> Followed:
        """Poll until the application's job has ended; `until`, by `steady`, its time is over.

        A job that is cancelled or out of time (or is to be stopped for `stop` from the first) is
        cancelled in the application, and polled until it has ended there; that, and polls that
        give no answer, are borne for as long as the poll's patience lasts.
        """
        readings = dict(readings)
        answered = self.steady()
        told: float | None = None  # when the application first was asked to cancel
        accepted = False  # it has taken that in
        usual = min(FIRST_PAUSE, poll.every)
        while True:
            judged = await self._poll(job, poll, readings)
            readings.update(judged.readings)
            at = self.steady()
            if judged.state != "running":
                return _ended(judged, readings, stop)
            if judged.answered:
                answered = at
                self.progress.report(job, readings)
            if stop is None:
                stop = self._why_stop(job, until)
            if stop is not None:
                told = at if told is None else told
                accepted = accepted or await self._cancel(job, readings)
            bound = min(answered, told if told is not None else answered) + poll.patience
            if at >= bound:
                return self._given_up(judged, readings, stop, poll)
            pause = usual if stop is None else min(usual, STOPPING_EVERY)
            usual = min(2 * usual, poll.every)
            if until is not None and stop is None:
                pause = min(pause, max(until - at, 0.0))
            await self._nap(job.id, min(pause, bound - at))

    def _why_stop(self, job: Job, until: float | None) -> End | None:
        if job.id in self.programs.cancelled:
            return End.CANCELLED
        over = until is not None and self.steady() >= until
        return End.TIMEOUT if over else None

    async def _poll(self, job: Job, poll: Poll, readings: Mapping[str, str]) -> PollJudgement:
        said = await self.programs.ask(job, poll.query, "poll", readings, aside=True)
        return judge_poll(
            poll,
            code=said.code,
            output=said.output,
            values=self.programs.values(job, readings),
            kind=said.kind,
        )

    async def _cancel(self, job: Job, readings: Mapping[str, str]) -> bool:
        """Ask the application to cancel; killing its client would not stop its job."""
        work = job.work
        if not work.cancel:
            return True
        query = Query(run=work.cancel, input=work.cancel_input, timeout=60.0)
        said = await self.programs.ask(job, query, "cancel", readings, aside=True)
        if said.kind != End.EXITED or said.code != 0:
            self.log.warn(
                "The application does not take the cancellation of job {job}: {said}",
                action="cancel_refused",
                job=job.id,
                said=said.reason or said.output[-200:],
            )
            return False
        return True

    def _given_up(
        self, judged: PollJudgement, readings: Mapping[str, str], stop: End | None, poll: Poll
    ) -> Followed:
        number = readings.get(NUMBER, "")
        if judged.answered:
            reason = (
                f"the application's job {number} was to be cancelled, and after"
                f" {poll.patience:g} s is still in state {judged.reason}"
            )
        else:
            reason = (
                f"the state of the application's job {number} could not be learnt for"
                f" {poll.patience:g} s: {judged.reason}"
            )
        judgement = Judgement(state="failed", reason=reason, readings=readings)
        return Followed(end=stop or End.LOST, judgement=judgement, over=False)

    async def _nap(self, job: int, seconds: float) -> None:
        nap = self._naps[job] = Deferred()
        timer = self.clock.callLater(seconds, self.wake, job)
        await nap
        if timer.active():
            timer.cancel()


def _ended(judged: PollJudgement, readings: Mapping[str, str], stop: End | None) -> Followed:
    """A job that ended well before the cancellation reached it keeps its own end."""
    state = "failed" if judged.state == "running" else judged.state
    judgement = Judgement(state=state, reason=judged.reason, readings=readings)
    if stop is None or state == "completed":
        return Followed(end=End.EXITED, judgement=judgement)
    return Followed(end=stop, judgement=judgement)
