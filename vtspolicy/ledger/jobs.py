"""Jobs from their start to their end, and the one final notice of each request."""

import json
import sys
from collections.abc import Collection, Mapping, Sequence

from attrs import evolve, frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import (
    CHANGING,
    ENDS,
    STARTED_AS,
    STARTS_FROM,
    UNDER_WAY,
    Ending,
    Job,
    JobState,
    RequestState,
    ended,
    ended_unstarted,
    follow,
    to_be_stopped,
)
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.filters import about_tape, among, hint_for, lower, one_of
from vtspolicy.ledger.fingerprints import looks_text
from vtspolicy.ledger.history import History, cancelled_by
from vtspolicy.ledger.notices import NoticeRecords, notice_of
from vtspolicy.ledger.numbers import Numbers
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements, Value, to_json
from vtspolicy.ledger.tape_orders import TapeOrders
from vtspolicy.ledger.tapes import TapeRecords
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.requests import (
    Standing,
    final_fields,
    job_fields,
    reason_of,
    retry_fields,
    target_of,
)
from vtspolicy.tapes import Look, Tape

_END_COLUMNS = tuple((state, state.value) for state in ENDS)
"""The columns of a request that count how its jobs have ended."""


@frozen(kw_only=True)
class Started:
    """An attempt that may be run now."""

    job: Job  # as it is now: running
    notices: tuple[Notice, ...] = ()  # STARTED, for hosts that want progress


@frozen(kw_only=True)
class Finished:
    """What the end of an attempt, or of a job, brought about."""

    changed: bool  # False: it had ended before, and nothing was recorded
    job: Job  # as it is now
    request_state: RequestState | None = None  # of its request, when that ended by this
    notices: tuple[Notice, ...] = ()  # that were put into the outbox


@frozen(kw_only=True)
class Cancelled:
    """What a cancellation brought about."""

    ended: tuple[Job, ...] = ()  # had not been started and are cancelled
    running: tuple[Job, ...] = ()  # are to be stopped now
    notices: tuple[Notice, ...] = ()  # the final one, when no job is left


class JobRecords(Part):
    """Jobs."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        *,
        numbers: Numbers,
        works: WorkRecords,
        notices: NoticeRecords,
        history: History,
        tapes: TapeRecords,
        orders: TapeOrders,
    ) -> None:
        super().__init__(sql, change)
        self._numbers = numbers
        self._works = works
        self._notices = notices
        self._history = history
        self._tapes = tapes
        self._orders = orders

    def from_row(self, row: Row) -> Job:
        """Return a job from job_columns. A hundred thousand may wait: equal words are shared."""
        values = {sys.intern(key): value for key, value in json.loads(row.values).items()}
        return Job(
            id=row.id,
            request=row.request,
            host=sys.intern(row.host),
            work=self._works.get(row.work),
            values=values,
            rule=sys.intern(row.rule),
            lock=row.lock,
            priority=row.priority,
            handle=self._numbers.handle(row.request, row.id),
            state=JobState(row.state),
            tape=row.tape,
            path=row.path,
            attempt=row.attempt,
            due=row.due,
            created=row.created,
            started=row.started,
            finished=row.finished,
            code=row.code,
            reason=row.reason,
            notify_all=bool(row.notify),
            repeats=row.repeats,
            ref=row.ref,
            family=None if row.family is None else sys.intern(row.family),
        )

    def need(self, job_id: int) -> Job:
        """Return a job. Raises NoSuchRow."""
        job = self.get(job_id)
        if job is None:
            raise NoSuchRow("job", job_id)
        return job

    def get(self, job_id: int) -> Job | None:
        """Return a job, or None."""
        row = self._sql.one("job", id=job_id)
        return self.from_row(row) if row else None

    def live(self, after_id: int = 0, limit: int = 1000) -> list[Job]:
        """Return jobs that have not ended, by number: pages for the start of a server."""
        return [
            self.from_row(row) for row in self._sql.all("live_jobs", after=after_id, limit=limit)
        ]

    def find(
        self,
        *,
        state: JobState | Collection[JobState] | None = None,
        host: str | None = None,
        hosts: Collection[str] | None = None,
        request: int | None = None,
        tape: str | None = None,
        family: str | None = None,
        ref: str | None = None,
        rule: str | None = None,
        application: str | None = None,
        since: float | None = None,
        until: float | None = None,
        text: str | None = None,
        limit: int = 100,
        before_id: int | None = None,
    ) -> list[Job]:
        """Return the newest jobs that fit every filter given, the newest first.

        Of `hosts` one must fit, and `text` is a part of tape, reference or reason. `tape` is the
        name of a tape, a pool or a vault, or a part of such a name. A job fits `since` if it had
        not ended by then, and `until` if it was asked for before.
        """
        states = (state,) if isinstance(state, JobState) else tuple(state or ())
        conditions: dict[str, Value] = {
            "jobs_in_states": one_of(states),
            "jobs_of_host": host,
            "jobs_of_hosts": among(hosts),
            "jobs_of_request": request,
            **about_tape(tape),
            "jobs_of_family": family,
            "jobs_of_ref": ref,
            "jobs_of_rule": rule,
            "jobs_of_application": application,
            "jobs_since": since,
            "jobs_until": until,
            "jobs_with_text": lower(text),
        }
        rows = self._sql.select(
            "jobs_before",
            conditions,
            order="jobs.id DESC",
            limit=limit,
            hint=hint_for(states),
            first=before_id if before_id is not None else 2**62,
        )
        return [self.from_row(row) for row in rows]

    def repeats(self, job_id: int) -> list[int]:
        """Return the jobs that run this one again, at first hand, the first one first."""
        return [int(row.id) for row in self._sql.all("repeats", job=job_id)]

    def oldest(self, now: float) -> dict[tuple[str, str], float]:
        """Return the ages of the oldest live jobs, in seconds, by state and application."""
        ages: dict[tuple[str, str], float] = {}
        for row in self._sql.all("oldest_jobs"):
            key = row.state, self._works.get(row.work).application
            ages[key] = max(ages.get(key, 0.0), now - row.since)
        return ages

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs there are of each state, live and finished."""
        jobs = dict.fromkeys(JobState, 0)
        for query in ("live_counts", "finished_counts"):
            for row in self._sql.all(query):
                jobs[JobState(row.state)] = row.n
        return jobs

    def successes(self) -> list[tuple[str, str, str, float]]:
        """Return application, host and rule of completed jobs, and when the last of each ended."""
        return [
            (self._works.get(row.work).application, row.host, row.rule, row.finished)
            for row in self._sql.all("successes")
        ]

    def start_attempt(
        self,
        job_id: int,
        at: float,
        before: Mapping[str, Look] | None = None,
        boot: str | None = None,
    ) -> Started | None:
        """Record that the next attempt of a waiting job starts; STARTED for who wants progress.

        `before` are looks at the tapes that it is about, by their paths: a later write will be
        noticed.
        `boot` names this start of the machine.
        None when the job does not wait any more: nothing was recorded, and nothing may be run.
        """
        row = self._sql.one(
            "start_job", at=at, id=job_id, before=STARTS_FROM.value, after=STARTED_AS.value
        )
        if row is None:
            return None
        job = self.from_row(row)
        self._sql.do(
            "start_attempt",
            job=job_id,
            number=job.attempt,
            started=at,
            before=looks_text(before or {}),
            boot=boot,
        )
        self._move(at, job, STARTS_FROM, f"attempt {job.attempt}", "engine")
        self._change.started.append(job)
        if not job.notify_all:
            return Started(job=job)
        _, standing = self._load(job_id)
        notice = self._tell(Word.STARTED, job, standing, at, attempt=job.attempt)
        return Started(job=job, notices=(notice,))

    def is_changed_now(self, tape: Tape) -> bool:
        """Whether a job that runs just now empties, removes or restores a tape, or its pool."""
        pool = tape.path.rpartition("/")[0]
        rows = self._sql.all("jobs_on_tape", path=tape.path, pool=pool)
        return any(self.from_row(row).work.then in CHANGING for row in rows)

    def tell_progress(self, job_id: int, attempt: int, percent: int, at: float) -> list[Notice]:
        """Put PROGRESS into the outbox for who wants it; nothing once the attempt is over."""
        job, standing = self._load(job_id)
        if not job.notify_all or job.state is not JobState.RUNNING or job.attempt != attempt:
            return []
        return [self._tell(Word.PROGRESS, job, standing, at, attempt=attempt, pct=percent)]

    def finish_attempt(
        self, job_id: int, attempt: int, ending: Ending, at: float, notify_all: bool | None = None
    ) -> Finished:
        """Record how an attempt ended, what its job and its request became, and its notices.

        The second report of one attempt changes nothing. An end that the life cycle does not have
        raises `automat.NoTransition`; an attempt that is not in the ledger NoSuchRow.
        """
        before, standing = self._load(job_id)
        if attempt != before.attempt or before.state not in UNDER_WAY:
            if not self._sql.one("attempt", job=job_id, number=attempt):
                raise NoSuchRow("attempt", f"{job_id}-{attempt}")
            return Finished(changed=False, job=before)
        job = ended(before, ending, at)
        self._sql.do(
            "finish_attempt",
            finished=at,
            kind=ending.kind,
            code=ending.code,
            signal=ending.signal,
            state=job.state.value,
            reason=ending.reason,
            output=ending.output,
            readings=to_json(ending.readings),
            job=job_id,
            number=attempt,
        )
        self._save(job)
        self._move(at, job, before.state, job.reason or ending.kind or "", "engine")
        self._tapes.mark(
            evolve(job, attempt=attempt), ending.outcomes, at, readings=ending.readings
        )
        if job.state is not JobState.WAITING:
            self._orders.end_override(job, at)
            self._change.ended.append(job)
            return self._settle(job, standing, at)
        self._change.retried.append(job)
        if not (job.notify_all if notify_all is None else notify_all):
            return Finished(changed=True, job=job)
        fields = retry_fields(job, standing, attempt, at)
        notice = self._notices.post(Word.RETRYING, job.host, at, fields, job.request)
        return Finished(changed=True, job=job, notices=(notice,))

    def end(
        self, job_id: int, state: JobState, reason: str, at: float, actor: str = "engine"
    ) -> Finished:
        """End a job that waits, without an attempt: TIMEDOUT, FAILED or CANCELLED.

        A job that does not wait any more is left as it is.
        """
        before, standing = self._load(job_id)
        if before.state is not JobState.WAITING:
            return Finished(changed=False, job=before)
        job = ended_unstarted(before, state, reason, at)
        self._save(job)
        self._move(at, job, before.state, reason, actor)
        self._change.ended.append(job)
        self._orders.end_override(job, at)
        return self._settle(job, standing, at)

    def postpone(self, job_id: int, due: float) -> bool:
        """Set when a waiting job may start; False when it does not wait."""
        return self._sql.do("postpone_job", due=due, id=job_id) > 0

    def cancel(self, job_id: int, actor: str, at: float, reason: str | None = None) -> Cancelled:
        """Cancel a job: a waiting one ends, a running one is to be stopped by the caller."""
        cause = cancelled_by(actor, reason)
        job = self.need(job_id)
        if job.state is JobState.WAITING:
            finished = self.end(job_id, JobState.CANCELLED, cause, at, actor)
            return Cancelled(ended=(finished.job,), notices=finished.notices)
        return Cancelled(running=self._stop([job], cause, actor, at))

    def cancel_all(self, request_id: int, cause: str, actor: str, at: float) -> Cancelled:
        """Cancel all live jobs of a request.

        Those that wait end by a few statements for all of them.
        """
        rows = self._sql.all("jobs_under_way", request=request_id)
        running = self._stop([self.from_row(row) for row in rows], cause, actor, at)
        return evolve(self.end_waiting(request_id, cause, actor, at), running=running)

    def end_waiting(
        self, request: int, cause: str, actor: str, at: float, numbers: range = range(2**62)
    ) -> Cancelled:
        """Cancel those waiting jobs of a request whose numbers are among these."""
        after = follow(JobState.WAITING, JobState.CANCELLED).value
        those: dict[str, Value] = {
            "request": request,
            "first": numbers.start,
            "below": numbers.stop,
        }
        self._sql.do("note_waiting", at=at, after=after, cause=cause, actor=actor, **those)
        rows = self._sql.all("end_waiting", state=after, finished=at, reason=cause, **those)
        ended = tuple(sorted((self.from_row(row) for row in rows), key=lambda job: job.id))
        self._change.ended += ended
        for job in ended:
            self._orders.end_override(job, at)
        if not ended:
            return Cancelled()
        last, standing = self._load(ended[-1].id)
        finished = self._settle(last, standing, at, len(ended))
        return Cancelled(ended=ended, notices=finished.notices)

    def _stop(self, jobs: Sequence[Job], cause: str, actor: str, at: float) -> tuple[Job, ...]:
        """Note that jobs are to be stopped; answers those that run."""
        running: list[Job] = []
        for job in jobs:
            if job.state is JobState.RUNNING:
                stopping = to_be_stopped(job, cause)
                self._sql.do("stop_job", state=stopping.state.value, reason=cause, id=job.id)
                self._move(at, stopping, job.state, cause, actor)
                running.append(stopping)
            elif job.state is JobState.STOPPING:
                running.append(job)
        self._change.stopping += running
        return tuple(running)

    def _move(self, at: float, job: Job, before: JobState, cause: str, actor: str) -> None:
        self._history.note(
            at, before.value, job.state.value, cause, actor, request=job.request, job=job.id
        )

    def _save(self, job: Job) -> None:
        self._sql.do(
            "move_job",
            state=job.state.value,
            due=job.due,
            finished=job.finished,
            code=job.code,
            reason=job.reason,
            id=job.id,
        )

    def _load(self, job_id: int) -> tuple[Job, Standing]:
        row = self._sql.one("job_and_request", id=job_id)
        if row is None:
            raise NoSuchRow("job", job_id)
        return self.from_row(row), Standing(
            ref=row.ref,
            again=row.again,
            family=row.family,
            operation=row.operation,
            event_id=row.event_id,
            received=row.received,
            jobs=row.jobs,
            live=row.live,
            ends={state: getattr(row, column) for state, column in _END_COLUMNS},
        )

    def _tell(
        self, word: Word, job: Job, standing: Standing, at: float, **more: str | int | None
    ) -> Notice:
        """Put a notice about one job into the outbox."""
        fields = job_fields(job, standing, **more)
        return self._notices.post(word, job.host, at, fields, job.request)

    def _settle(self, job: Job, before: Standing, at: float, count: int = 1) -> Finished:
        """Count an ended job, or several, for its request; the last brings the final notice."""
        self._sql.do("count_job", count=count, state=job.state.value)
        standing = before.after(job.state, count)
        word = standing.final
        reason = None if word is None else self._why(job, standing, word)
        self._sql.do(
            "settle_request",
            live=standing.live,
            **{column: standing.ends[state] for state, column in _END_COLUMNS},
            state=None if word is None else RequestState[word.name].value,
            finished=None if word is None else at,
            reason=reason,
            id=job.request,
        )
        if word is None:
            return Finished(changed=True, job=job)
        self._change.requests.append(job.request)
        target = None if standing.jobs == 1 else self._target_of(job.request)
        fields = final_fields(job, standing, reason, at, target=target)
        notice = self._notices.post(word, job.host, at, fields, job.request)
        return Finished(
            changed=True, job=job, request_state=RequestState[word.name], notices=(notice,)
        )

    def _target_of(self, request: int) -> str | None:
        row = self._sql.one("first_notice_of", request=request)
        return None if row is None else target_of(notice_of(row).fields.get("tape"))

    def _why(self, job: Job, standing: Standing, word: Word) -> str | None:
        """Return why a request ends so: the reason of the first job that ended in the worst way.

        A job that had nothing to do is COMPLETED, and says so.
        """
        if standing.jobs == 1:
            return job.reason
        row = self._sql.one("first_reason", request=job.request, state=JobState[word.name].value)
        return None if row is None else reason_of(row.reason, row.tape)
