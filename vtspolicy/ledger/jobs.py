"""Jobs from their start to their end, and the one final notice of each request."""

import json
import sys
from collections.abc import Collection, Mapping, Sequence

from attrs import evolve, field, frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import CHANGING, Job, JobState, RequestState, final_word, follow, life
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.ledger.filters import JOB_TEXT, about_tape, among, hint_for, one_of
from vtspolicy.ledger.fingerprints import looks_text
from vtspolicy.ledger.history import History, cancelled_by
from vtspolicy.ledger.notices import NoticeRecords, notice_of, present
from vtspolicy.ledger.numbers import Numbers
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements, to_json
from vtspolicy.ledger.tape_orders import TapeOrders
from vtspolicy.ledger.tapes import TapeRecords
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.tapes import Look, Outcome, Tape

JOB_WIDTH = 22
"""How many columns job_columns has: what else a query has comes after them."""

_COUNTED = (
    *(JobState.COMPLETED, JobState.WARNING, JobState.FAILED),
    *(JobState.CANCELLED, JobState.TIMEDOUT, JobState.INTERRUPTED),
)
"""In the order of the columns that settle_request answers."""

_UNDER_WAY = (JobState.RUNNING, JobState.STOPPING)


@frozen(kw_only=True)
class _Place:
    """A job's request: what notices repeat of it, and the states of its jobs."""

    ref: str | None
    again: int | None
    family: str | None
    operation: str | None
    event_id: str | None
    received: float
    jobs: int
    live: int
    ends: Mapping[JobState, int]


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
        values = {sys.intern(key): value for key, value in json.loads(row[4]).items()}
        return Job(
            id=row[0],
            request=row[1],
            host=sys.intern(row[2]),
            work=self._works.get(row[3]),
            values=values,
            rule=sys.intern(row[5]),
            lock=row[6],
            priority=row[7],
            handle=self._numbers.handle(row[1], row[0]),
            state=JobState(row[8]),
            tape=row[9],
            path=row[10],
            attempt=row[11],
            due=row[12],
            created=row[13],
            started=row[14],
            finished=row[15],
            code=row[16],
            reason=row[17],
            notify_all=bool(row[18]),
            repeats=row[19],
            ref=row[20],
            family=None if row[21] is None else sys.intern(row[21]),
        )

    def need(self, job_id: int) -> Job:
        """Return a job. Raises NoSuchRow."""
        job = self.get(job_id)
        if job is None:
            raise NoSuchRow("job", job_id)
        return job

    def get(self, job_id: int) -> Job | None:
        """Return a job, or None."""
        row = self._sql.one("job", job_id)
        return self.from_row(row) if row else None

    def live(self, after_id: int = 0, limit: int = 1000) -> list[Job]:
        """Return jobs that have not ended, by number: pages for the start of a server."""
        return [self.from_row(row) for row in self._sql.all("live_jobs", after_id, limit)]

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
        filters = [
            ("jobs.state IN (SELECT value FROM json_each(?))", one_of(states) if states else None),
            ("jobs.host = ?", host),
            ("jobs.host IN (SELECT value FROM json_each(?))", among(hosts)),
            ("jobs.request = ?", request),
            about_tape(tape),
            ("requests.family = ?", family),
            ("requests.ref = ?", ref),
            ("jobs.rule = ?", rule),
            (
                "jobs.work IN (SELECT id FROM works WHERE json_extract(body, '$.application') = ?)",
                application,
            ),
            ("(jobs.finished IS NULL OR jobs.finished >= ?)", since),
            ("jobs.created < ?", until),
            (f"instr({JOB_TEXT}, ?) > 0", None if text is None else text.lower()),
        ]
        first = before_id if before_id is not None else 2**62
        tail = f"{hint_for(states)} ORDER BY jobs.id DESC"
        rows = self._sql.filtered("jobs_before", first, filters, tail, limit)
        return [self.from_row(row) for row in rows]

    def repeats(self, job_id: int) -> list[int]:
        """Return the jobs that run this one again, at first hand, the first one first."""
        return [int(row[0]) for row in self._sql.all("repeats", job_id)]

    def oldest(self, now: float) -> dict[tuple[str, str], float]:
        """Return the ages of the oldest live jobs, in seconds, by state and application."""
        ages: dict[tuple[str, str], float] = {}
        for state, work, since in self._sql.all("oldest_jobs"):
            key = state, self._works.get(work).application
            ages[key] = max(ages.get(key, 0.0), now - since)
        return ages

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs there are of each state, live and finished."""
        jobs = dict.fromkeys(JobState, 0)
        for query in ("live_counts", "finished_counts"):
            for state, number in self._sql.all(query):
                jobs[JobState(state)] = number
        return jobs

    def successes(self) -> list[tuple[str, str, str, float]]:
        """Return application, host and rule of completed jobs, and when the last of each ended."""
        return [
            (self._works.get(work).application, host, rule, at)
            for work, host, rule, at in self._sql.all("successes")
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
        noticed. `boot` names this start of the machine.
        None when the job does not wait any more: nothing was recorded, and nothing may be run.
        """
        row = self._sql.one("start_job", at, job_id)
        if row is None:
            return None
        job = self.from_row(row)
        self._sql.do("start_attempt", job_id, job.attempt, at, looks_text(before or {}), boot)
        self._move(at, job, JobState.WAITING, f"attempt {job.attempt}", "engine")
        self._change.started.append(job)
        if not job.notify_all:
            return Started(job=job)
        _, place = self._place(job_id)
        notice = self._tell(Word.STARTED, job, place, at, attempt=job.attempt)
        return Started(job=job, notices=(notice,))

    def is_changed_now(self, tape: Tape) -> bool:
        """Whether a job that runs just now empties, removes or restores a tape, or its pool."""
        pool = tape.path.rpartition("/")[0]
        rows = self._sql.all("jobs_on_tape", tape.path, tape.path, pool)
        return any(self.from_row(row).work.then in CHANGING for row in rows)

    def tell_progress(self, job_id: int, attempt: int, percent: int, at: float) -> list[Notice]:
        """Put PROGRESS into the outbox for who wants it; nothing once the attempt is over."""
        job, place = self._place(job_id)
        if not job.notify_all or job.state is not JobState.RUNNING or job.attempt != attempt:
            return []
        return [self._tell(Word.PROGRESS, job, place, at, attempt=attempt, pct=percent)]

    def finish_attempt(
        self, job_id: int, attempt: int, ending: Ending, at: float, notify_all: bool | None = None
    ) -> Finished:
        """Record how an attempt ended, what its job and its request became, and its notices.

        The second report of one attempt changes nothing. An end that the life cycle does not have
        raises `automat.NoTransition`; an attempt that is not in the ledger NoSuchRow.
        """
        before, place = self._place(job_id)
        if attempt != before.attempt or before.state not in _UNDER_WAY:
            if not self._sql.one("attempt", job_id, attempt):
                raise NoSuchRow("attempt", f"{job_id}-{attempt}")
            return Finished(changed=False, job=before)
        state = follow(before.state, ending.state, over=ending.over)
        self._sql.do(
            "finish_attempt",
            *(at, ending.kind, ending.code, ending.signal, state.value, ending.reason),
            *(ending.output, to_json(ending.readings), job_id, attempt),
        )
        reason = ending.reason
        if before.state is JobState.STOPPING and state is JobState.CANCELLED:
            reason = before.reason  # who cancelled it says more than the signal that it died of
        elif before.state is JobState.STOPPING and state is JobState.INTERRUPTED:
            reason = "; ".join(filter(None, (before.reason, ending.reason)))
        job = evolve(
            before,
            state=state,
            due=ending.due if state is JobState.WAITING else before.due,
            finished=None if state is JobState.WAITING else at,
            code=ending.code,
            reason=reason,
        )
        self._sql.do("move_job", state.value, job.due, job.finished, job.code, job.reason, job_id)
        self._move(at, job, before.state, reason or ending.kind or "", "engine")
        self._tapes.mark(
            evolve(job, attempt=attempt), ending.outcomes, at, readings=ending.readings
        )
        if state is not JobState.WAITING:
            self._orders.end_override(job, at)
            self._change.ended.append(job)
        if state is JobState.WAITING:
            self._change.retried.append(job)
            notices: tuple[Notice, ...] = ()
            if job.notify_all if notify_all is None else notify_all:
                delay = max(round(ending.due - at), 0)
                told = {"rc": ending.code, "attempt": attempt, "in": delay, "reason": reason}
                notices = (self._tell(Word.RETRYING, job, place, at, **told),)
            return Finished(changed=True, job=job, notices=notices)
        return self._settle(job, place, at)

    def end(
        self, job_id: int, state: JobState, reason: str, at: float, actor: str = "engine"
    ) -> Finished:
        """End a job that waits, without an attempt: TIMEDOUT, FAILED or CANCELLED.

        A job that does not wait any more is left as it is.
        """
        before, place = self._place(job_id)
        if before.state is not JobState.WAITING:
            return Finished(changed=False, job=before)
        after = follow(JobState.WAITING, state)
        job = evolve(before, state=after, finished=at, reason=reason)
        self._sql.do("move_job", after.value, job.due, at, job.code, reason, job_id)
        self._move(at, job, before.state, reason, actor)
        self._change.ended.append(job)
        self._orders.end_override(job, at)
        return self._settle(job, place, at)

    def postpone(self, job_id: int, due: float) -> bool:
        """Set when a waiting job may start; False when it does not wait."""
        return self._sql.do("postpone_job", due, job_id) > 0

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
        under_way = [self.from_row(row) for row in self._sql.all("jobs_under_way", request_id)]
        running = self._stop(under_way, cause, actor, at)
        return evolve(self.end_waiting(request_id, cause, actor, at), running=running)

    def end_waiting(
        self, request: int, cause: str, actor: str, at: float, numbers: range = range(2**62)
    ) -> Cancelled:
        """Cancel those waiting jobs of a request whose numbers are among these."""
        after = follow(JobState.WAITING, JobState.CANCELLED).value
        self._sql.do("note_waiting", at, after, cause, actor, request, numbers.start, numbers.stop)
        rows = self._sql.all("end_waiting", after, at, cause, request, numbers.start, numbers.stop)
        ended = tuple(sorted((self.from_row(row) for row in rows), key=lambda job: job.id))
        self._change.ended += ended
        for job in ended:
            self._orders.end_override(job, at)
        notices = self._settle(*self._place(ended[-1].id), at, len(ended)).notices if ended else ()
        return Cancelled(ended=ended, notices=notices)

    def _stop(self, jobs: Sequence[Job], cause: str, actor: str, at: float) -> tuple[Job, ...]:
        """Note that jobs are to be stopped; answers those that run."""
        running: list[Job] = []
        for job in jobs:
            if job.state is JobState.RUNNING:
                stopping = evolve(job, state=life(job.state).cancel(), reason=cause)
                self._sql.do("stop_job", stopping.state.value, cause, job.id)
                self._move(at, stopping, job.state, cause, actor)
                running.append(stopping)
            elif job.state is JobState.STOPPING:
                running.append(job)
        self._change.stopping += running
        return tuple(running)

    def _move(self, at: float, job: Job, before: JobState, cause: str, actor: str) -> None:
        old, new, note = before.value, job.state.value, self._history.note
        note(at, old, new, cause, actor, request=job.request, job=job.id)

    def _place(self, job_id: int) -> tuple[Job, _Place]:
        row = self._sql.one("job_and_request", job_id)
        if row is None:
            raise NoSuchRow("job", job_id)
        ref, family, operation, event_id, received, jobs, live, again, *ends = row[JOB_WIDTH:]
        return self.from_row(row), _Place(
            ref=ref,
            again=again,
            family=family,
            operation=operation,
            event_id=event_id,
            received=received,
            jobs=jobs,
            live=live,
            ends=dict(zip(_COUNTED, ends, strict=True)),
        )

    def _tell(
        self, word: Word, job: Job, place: _Place, at: float, **more: str | int | None
    ) -> Notice:
        """Put a notice about one job into the outbox."""
        fields = present(
            req=job.request,
            again=place.again,
            job=job.id,
            ref=place.ref,
            family=place.family,
            operation=place.operation,
            tape=job.tape,
            **more,
            id=place.event_id,
        )
        return self._notices.post(word, job.host, at, fields, job.request)

    def _settle(self, job: Job, place: _Place, at: float, count: int = 1) -> Finished:
        """Count an ended job, or several, for its request; the last brings the final notice."""
        self._sql.do("count_job", count, job.state.value)
        ends = {**place.ends, job.state: place.ends[job.state] + count}
        live = place.live - count
        word = None if live else final_word(ends)
        reason = self._why(job, place, word)
        self._sql.do(
            "settle_request",
            *(live, *ends.values(), None if word is None else RequestState[word.name].value),
            *(None if word is None else at, reason, job.request),
        )
        if word is None:
            return Finished(changed=True, job=job)
        self._change.requests.append(job.request)
        if place.jobs == 1:
            notice = self._tell(
                word,
                job,
                place,
                at,
                rc=job.code,
                attempt=job.attempt or None,
                secs=max(round(at - job.started), 0) if job.started is not None else None,
                reason=reason,
            )
        else:
            ok, warn = ends[JobState.COMPLETED], ends[JobState.WARNING]
            fields = present(
                req=job.request,
                again=place.again,
                jobs=place.jobs,
                ref=place.ref,
                family=place.family,
                operation=place.operation,
                tape=self._target_of(job.request),
                ok=ok,
                warn=warn,
                failed=place.jobs - ok - warn,
                secs=max(round(at - place.received), 0),
                reason=reason,
                id=place.event_id,
            )
            notice = self._notices.post(word, job.host, at, fields, job.request)
        return Finished(
            changed=True, job=job, request_state=RequestState[word.name], notices=(notice,)
        )

    def _target_of(self, request: int) -> str | None:
        """Return the pool or tape that a request names; None for a list, which needs much room."""
        row = self._sql.one("first_notice_of", request)
        target = None if row is None else notice_of(row).fields.get("tape")
        return target if isinstance(target, str) and " " not in target else None

    def _why(self, job: Job, place: _Place, word: Word | None) -> str | None:
        """Return why a request ends so: the reason of the first job that ended in the worst way.

        A job that had nothing to do is COMPLETED, and says so.
        """
        if word is None:
            return None
        if place.jobs == 1:
            return job.reason
        row = self._sql.one("first_reason", job.request, JobState[word.name].value)
        if row is None:
            return None
        reason, tape = row
        return reason if tape is None or tape in reason else f"{tape}: {reason}"
