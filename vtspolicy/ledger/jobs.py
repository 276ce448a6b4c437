"""Jobs from their start to their end, and the one final notice of each request."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from attrs import evolve, field, frozen

from vtspolicy.jobs import Job, JobLife, JobState, Request, RequestState, final_word, life
from vtspolicy.ledger.desk import present, to_json
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.tapes import TapeDesk
from vtspolicy.notices import Notice, Word
from vtspolicy.tapes import Tape

_HAPPENINGS: dict[JobState, Callable[[JobLife], JobState]] = {
    JobState.WAITING: lambda job: job.retry(),
    JobState.COMPLETED: lambda job: job.complete(),
    JobState.WARNING: lambda job: job.warn(),
    JobState.FAILED: lambda job: job.fail(),
    JobState.TIMEDOUT: lambda job: job.time_out(),
    JobState.INTERRUPTED: lambda job: job.interrupt(),
}

_COUNTED = (
    *(JobState.COMPLETED, JobState.WARNING, JobState.FAILED),
    *(JobState.CANCELLED, JobState.TIMEDOUT, JobState.INTERRUPTED),
)
"""In the order of the columns that settle_request answers."""

_GOOD = (JobState.COMPLETED, JobState.WARNING)


@lru_cache
def follow(before: JobState, ending: JobState) -> JobState:
    """Return the state that follows when an attempt, or a wait, ends as `ending`.

    A job that is being stopped is not tried again: whatever end its run did not reach by itself is
    a cancellation. What the life cycle does not have raises `automat.NoTransition`.
    """
    current = life(before)
    if before is JobState.STOPPING and ending in {
        JobState.WAITING,
        JobState.TIMEDOUT,
        JobState.CANCELLED,
    }:
        return current.stopped()
    if ending is JobState.CANCELLED:
        return current.cancel()
    return _HAPPENINGS[ending](current)


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
    tapes: tuple[Tape, ...] = ()  # what the run proved: tapes as they were copied, or are now
    handle: str | None = None  # of the copy, when the application gave its own instead of ours


@frozen(kw_only=True)
class Finished:
    """What the end of an attempt, or of a job, brought about."""

    changed: bool  # False: it had ended before, and nothing was recorded
    job: Job  # as it is now
    request: Request | None = None  # as it is now, when it ended by this
    notices: tuple[Notice, ...] = ()  # that were put into the outbox


@frozen(kw_only=True)
class Cancelled:
    """What a cancellation brought about."""

    ended: tuple[Job, ...] = ()  # had not been started and are cancelled
    running: tuple[Job, ...] = ()  # are to be stopped now
    notices: tuple[Notice, ...] = ()  # the final one, when no job is left


class JobDesk(TapeDesk):
    """Verbs that move jobs."""

    def start_attempt(self, job_id: int, at: float, notify_all: bool | None = None) -> Job | None:
        """Record that the next attempt of a waiting job starts; STARTED for who wants progress.

        None when the job does not wait any more: nothing was recorded, and nothing may be run.
        """
        row = self._one("start_job", at, job_id)
        if row is None:
            return None
        job = self._job_of(row)
        self._do("start_attempt", job_id, job.attempt, at)
        self._move(at, job, JobState.WAITING, f"attempt {job.attempt}", "engine")
        if job.notify_all if notify_all is None else notify_all:
            self._tell(Word.STARTED, job, at, attempt=job.attempt)
        return job

    def finish_attempt(
        self, job_id: int, attempt: int, ending: Ending, at: float, notify_all: bool | None = None
    ) -> Finished:
        """Record how an attempt ended, what its job and its request became, and who is told.

        The second report of one attempt changes nothing. An end that the life cycle does not have
        raises `automat.NoTransition`; an attempt that is not in the ledger NoSuchRow.
        """
        before = self._need_job(job_id)
        state = follow(before.state, ending.state) if before.state.is_live else before.state
        done = self._do(
            "finish_attempt",
            *(at, ending.kind, ending.code, ending.signal, state.value, ending.reason),
            *(ending.output, to_json(ending.readings), job_id, attempt),
        )
        if not done:
            if not self._one("attempt", job_id, attempt):
                raise NoSuchRow("attempt", f"{job_id}-{attempt}")
            return Finished(changed=False, job=before)
        reason = ending.reason
        if before.state is JobState.STOPPING and state is JobState.CANCELLED:
            reason = before.reason  # who cancelled it says more than the signal that it died of
        job = evolve(
            before,
            state=state,
            due=ending.due if state is JobState.WAITING else before.due,
            finished=None if state is JobState.WAITING else at,
            code=ending.code,
            reason=reason,
        )
        self._do("move_job", state.value, job.due, job.finished, job.code, job.reason, job_id)
        self._move(at, job, before.state, reason or ending.kind or "", "engine")
        if ending.tapes and state in {JobState.COMPLETED, JobState.WARNING}:
            self._mark_tapes(job, ending, at)
        if state is JobState.WAITING:
            notices: tuple[Notice, ...] = ()
            if job.notify_all if notify_all is None else notify_all:
                delay = max(round(ending.due - at), 0)
                told = {"rc": ending.code, "attempt": attempt, "in": delay, "reason": reason}
                notices = (self._tell(Word.RETRYING, job, at, **told),)
            return Finished(changed=True, job=job, notices=notices)
        return self._settle(job, at)

    def end_job(
        self, job_id: int, state: JobState, reason: str, at: float, actor: str = "engine"
    ) -> Finished:
        """End a job that waits, without an attempt: TIMEDOUT, FAILED or CANCELLED.

        A job that does not wait any more is left as it is.
        """
        before = self._need_job(job_id)
        if before.state is not JobState.WAITING:
            return Finished(changed=False, job=before)
        after = follow(JobState.WAITING, state)
        job = evolve(before, state=after, finished=at, reason=reason)
        self._do("move_job", after.value, job.due, at, job.code, reason, job_id)
        self._move(at, job, before.state, reason, actor)
        return self._settle(job, at)

    def postpone_job(self, job_id: int, due: float) -> bool:
        """Set when a waiting job may start; False when it does not wait."""
        return self._do("postpone_job", due, job_id) > 0

    def cancel_job(
        self, job_id: int, actor: str, at: float, reason: str | None = None
    ) -> Cancelled:
        """Cancel a job: a waiting one ends, a running one is to be stopped by the caller."""
        return self._cancel([self._need_job(job_id)], actor, at, reason)

    def cancel_request(
        self, request_id: int, actor: str, at: float, reason: str | None = None
    ) -> Cancelled:
        """Cancel all live jobs of a request. NoSuchRow when there is no such request."""
        if self.request(request_id) is None:
            raise NoSuchRow("request", request_id)
        rows = self._all("live_jobs_of", request_id)
        return self._cancel([self._job_of(row) for row in rows], actor, at, reason)

    def _cancel(self, jobs: Sequence[Job], actor: str, at: float, reason: str | None) -> Cancelled:
        cause = reason or f"cancelled by {actor}"
        ended: list[Job] = []
        running: list[Job] = []
        notices: list[Notice] = []
        for job in jobs:
            if job.state is JobState.WAITING:
                finished = self.end_job(job.id, JobState.CANCELLED, cause, at, actor)
                ended.append(finished.job)
                notices.extend(finished.notices)
            elif job.state is JobState.RUNNING:
                stopping = evolve(job, state=life(job.state).cancel(), reason=cause)
                self._do("stop_job", stopping.state.value, cause, job.id)
                self._move(at, stopping, job.state, cause, actor)
                running.append(stopping)
            elif job.state is JobState.STOPPING:
                running.append(job)
        return Cancelled(ended=tuple(ended), running=tuple(running), notices=tuple(notices))

    def _move(self, at: float, job: Job, before: JobState, cause: str, actor: str) -> None:
        self._note(at, before.value, job.state.value, cause, actor, request=job.request, job=job.id)

    def _tell(self, word: Word, job: Job, at: float, **more: str | int | None) -> Notice:
        """Put a notice about one job into the outbox."""
        ref, family, operation, event_id = self._need("request_marks", job.request)
        fields = present(
            req=job.request,
            job=job.id,
            ref=ref,
            family=family,
            operation=operation,
            tape=job.tape,
            **more,
            id=event_id,
        )
        return self._post(word, job.host, at, fields, job.request)

    def _settle(self, job: Job, at: float) -> Finished:
        """Count an ended job for its request; the last one brings the final notice."""
        self._do("count_job", job.state.value)
        row = self._need("settle_request", job.state.value, job.request)
        live, *numbers = row[:7]
        if live:
            return Finished(changed=True, job=job)
        count, host, ref, family, operation, event_id, received = row[7:]
        ends = dict(zip(_COUNTED, numbers, strict=True))
        word = final_word(ends)
        state = RequestState[word.name]
        if count == 1:
            reason = job.reason if word is not Word.COMPLETED else None
            fields = present(
                req=job.request,
                job=job.id,
                ref=ref,
                family=family,
                operation=operation,
                tape=job.tape,
                rc=job.code,
                attempt=job.attempt or None,
                secs=round(at - job.started) if job.started is not None else None,
                reason=reason,
                id=event_id,
            )
        else:
            ok, warn = ends[JobState.COMPLETED], ends[JobState.WARNING]
            bad = count - ok - warn
            reason = job.reason if bad and job.state not in _GOOD else None
            fields = present(
                req=job.request,
                jobs=count,
                ref=ref,
                family=family,
                operation=operation,
                ok=ok,
                warn=warn,
                failed=bad,
                secs=round(at - received),
                id=event_id,
            )
        self._do("close_request", state.value, at, reason, job.request)
        cause = reason or f"all {count} jobs ended" if count > 1 else reason or "its job ended"
        self._note(at, "open", state.value, cause, "engine", request=job.request)
        notice = self._post(word, host, at, fields, job.request)
        return Finished(changed=True, job=job, request=self.request(job.request), notices=(notice,))

    def _mark_tapes(self, job: Job, ending: Ending, at: float) -> None:
        """Write into the catalogue what a run proved of its tapes."""
        then = job.work.then
        for proved in ending.tapes:
            known = self.tape(proved.path) or proved
            tape = evolve(known, size=proved.size, written=proved.written)
            if then == "migrated":
                tape = evolve(
                    tape,
                    migrated=at,
                    handle=ending.handle or job.handle,
                    application=job.work.application,
                    copied_size=proved.size,
                    copied_written=proved.written,
                    retention=job.values.get("retention", known.retention),
                    override=None,
                )
            elif then == "restored":
                # What was brought back is what the copy holds: it needs no second migration.
                tape = evolve(
                    tape, restored=at, copied_size=proved.size, copied_written=proved.written
                )
            elif then == "erased":
                tape = evolve(tape, erased=at, override=None)
            elif then == "deleted":
                tape = evolve(tape, size=None, erased=at, override=None)
            self.save_tape(tape)
            if then is not None:
                before = known.state.value
                self._note(
                    at,
                    before,
                    tape.state.value,
                    f"job {job.id}: {then}",
                    "engine",
                    subject=f"tape {tape.name}",
                )
