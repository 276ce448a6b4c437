"""Requests: commands as they come in, with event, jobs and first notice in one transaction."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from vtspolicy.changes import Answered, ChangeBuilder
from vtspolicy.events.event import Event
from vtspolicy.jobs import Job, JobState, Request, RequestState, final_word
from vtspolicy.ledger.errors import BeingRecorded, LedgerError, NoSuchRow
from vtspolicy.ledger.events import EventRecords, event_row, time_text
from vtspolicy.ledger.filters import REQUEST_TEXT, among, one_of
from vtspolicy.ledger.history import ASKED, History, cancelled_by, told_why
from vtspolicy.ledger.jobs import Cancelled, JobRecords
from vtspolicy.ledger.notices import NoticeRecords, notice_row, present
from vtspolicy.ledger.numbers import Numbers
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements, to_json
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.steps import with_steps
from vtspolicy.tapes import Tape

_FIRST_WORD = {
    RequestState.OPEN: Word.ACCEPTED,
    RequestState.REJECTED: Word.REJECTED,
    RequestState.DENIED: Word.DENIED,
    RequestState.NORULE: Word.NORULE,
    RequestState.ANSWERED: Word.STATUS,
}


@frozen(kw_only=True)
class Intake:
    """One recognised command and what was decided about it."""

    event: Event  # that held it
    host: str  # the configured host; "" for an operator's
    received: float  # seconds since the epoch
    state: RequestState  # OPEN when accepted, else REJECTED, DENIED, NORULE or ANSWERED
    digest: bytes | None = None  # identity of the event; None for one that has none
    family: str | None = None  # as in Command
    operation: str | None = None
    ref: str | None = None
    event_id: str | None = None  # the sender's id; that of the event when not given
    rule: str | None = None  # the rule that decided
    table: str | None = None  # the hash of the table that decided
    reason: str | None = None  # of a refusal, or of the end of a request without jobs
    why: str | None = None  # JSON: the trace of the decision, or the error
    jobs: tuple[PlannedJob, ...] = ()  # of an accepted command
    fields: Mapping[str, str | int] = field(factory=dict)  # more for the first notice: column, tape
    end: JobState | None = None  # of an accepted command without jobs; None: WARNING
    word: Word | None = None  # of the first notice, where it does not follow from the state
    notify_all: bool = False  # the host wants to hear of progress too
    actor: str | None = None  # for the history; "host NAME" when not given
    asked: str | None = None  # why an operator asked for it; for the history
    again: int | None = None  # the request that it repeats
    repeats: int | None = None  # the job that it runs again


@frozen(kw_only=True)
class Recorded:
    """What became of one command."""

    request: int  # its number; of a duplicate the first one's
    duplicate: bool  # the event was seen before; nothing but a notice was recorded
    jobs: tuple[Job, ...] = ()  # all waiting
    notices: tuple[Notice, ...] = ()  # the first, and the final one when it ended at once


def request_of(row: Row) -> Request:
    """Return a request from request_columns."""
    return Request(
        id=row[0],
        host=row[1],
        received=row[2],
        text=row[3],
        state=RequestState(row[4]),
        family=row[5],
        operation=row[6],
        ref=row[7],
        event_id=row[8],
        rule=row[9],
        table=row[10],
        reason=row[11],
        jobs=row[12],
        live=row[13],
        ok=row[14],
        warn=row[15],
        failed=row[16],
        finished=row[17],
        again=row[18],
    )


class RequestRecords(Part):
    """Requests."""

    def __init__(
        self,
        sql: Statements,
        change: ChangeBuilder,
        *,
        events: EventRecords,
        jobs: JobRecords,
        works: WorkRecords,
        numbers: Numbers,
        notices: NoticeRecords,
        history: History,
    ) -> None:
        super().__init__(sql, change)
        self._events = events
        self._jobs = jobs
        self._works = works
        self._numbers = numbers
        self._notices = notices
        self._history = history

    def get(self, request_id: int) -> Request | None:
        """Return a request, or None."""
        row = self._sql.one("request", request_id)
        return request_of(row) if row else None

    def by_ref(self, host: str, ref: str) -> Request | None:
        """Return the newest request to which a host gave this reference, or None.

        Commands about requests do not count: they may have one, too.
        """
        row = self._sql.one("request_by_ref", ref, host)
        return request_of(row) if row else None

    def find(
        self,
        *,
        state: RequestState | Collection[RequestState] | None = None,
        host: str | None = None,
        hosts: Collection[str] | None = None,
        family: str | None = None,
        ref: str | None = None,
        since: float | None = None,
        until: float | None = None,
        text: str | None = None,
        limit: int = 100,
        before_id: int | None = None,
    ) -> list[Request]:
        """Return the newest requests that fit every filter given, the newest first.

        Of `hosts` one must fit, and `text` is a part of the command or the reason. One fits
        `since` if it had not ended by then, and `until` if it came before.
        """
        states = (state,) if isinstance(state, RequestState) else tuple(state or ())
        filters = [
            (
                "requests.state IN (SELECT value FROM json_each(?))",
                one_of(states) if states else None,
            ),
            ("requests.host = ?", host),
            ("requests.host IN (SELECT value FROM json_each(?))", among(hosts)),
            ("requests.family = ?", family),
            ("requests.ref = ?", ref),
            ("(requests.finished IS NULL OR requests.finished >= ?)", since),
            ("requests.received < ?", until),
            (f"instr({REQUEST_TEXT}, ?) > 0", None if text is None else text.lower()),
        ]
        first = before_id if before_id is not None else 2**62
        rows = self._sql.filtered(
            "requests_before", first, filters, "ORDER BY requests.id DESC", limit
        )
        return [request_of(row) for row in rows]

    def live(self, after_id: int = 0, limit: int = 1000) -> list[Request]:
        """Return requests with a live job, by number."""
        return [request_of(row) for row in self._sql.all("live_requests", after_id, limit)]

    def why(self, request_id: int) -> dict[str, Any] | None:
        """Return how a request was decided, as JSON's types; None when that was not kept."""
        text = self._kept_why(request_id)
        if text is None or self._sql.one("request", request_id) is None:
            raise NoSuchRow("request", request_id)
        if not text:
            return None
        trace = json.loads(text)
        kept = self._sql.one("rule_table", trace["table"]) if trace.get("table") else None
        return with_steps(trace, kept[0] if kept else None)

    def _kept_why(self, request_id: int) -> str | None:
        """The JSON that was recorded of how a request was decided: "" for none, None without it."""
        row = self._sql.one("why", request_id)
        return None if row is None else row[0] or ""

    def record(self, intake: Intake) -> Recorded:
        """Record a command: once for each identity, with its jobs and its first notice.

        A request without jobs is final at once and gets its final notice here.
        """
        return self.record_all((intake,))[0]

    def record_all(self, intakes: Sequence[Intake]) -> list[Recorded]:
        """Record several commands as `record` does one, in their order.

        Each table takes its rows by one statement, and the numbers are given here: only this
        connection gives any.
        """
        given = self._numbers.given()
        if not self._record_events(intakes, given.get("events", 0) + 1):
            if len(intakes) == 1:
                return [self._record_duplicate(intakes[0])]
            return [self.record(intake) for intake in intakes]
        return self._record_requests(intakes, given)

    def _record_events(self, intakes: Sequence[Intake], first: int) -> bool:
        """Record the events, numbered from `first`; False, and none, when one was seen before."""
        rows = [
            (
                first + place,
                *event_row(
                    intake.event,
                    intake.host,
                    intake.digest,
                    intake.received,
                    actor=_actor(intake),
                    why=intake.why,
                ),
            )
            for place, intake in enumerate(intakes)
        ]
        if len(rows) == 1:
            return self._sql.do("record_events", *rows[0]) == 1
        self._sql.run("SAVEPOINT events")
        complete = self._sql.do_all("record_events", rows) == len(rows)
        if not complete:
            self._sql.run("ROLLBACK TO events")
        self._sql.run("RELEASE events")
        return complete

    def _record_duplicate(self, intake: Intake) -> Recorded:
        first = int(self._sql.need("first_event", time_text(intake.event), intake.digest)[0])
        if self._sql.one("unfinished", first) is not None:
            raise BeingRecorded(first)
        if intake.event.replayed:
            return Recorded(request=first, duplicate=True)
        known = self.get(first)
        ended = known is not None and known.state is not RequestState.OPEN
        fields = present(
            req=first,
            ref=intake.ref,
            family=intake.family,
            operation=intake.operation,
            reason=known.state.value if known is not None and ended else None,
            id=_event_id(intake),
        )
        notice = self._notices.post(Word.DUPLICATE, intake.host, intake.received, fields, first)
        self._change.answered.append(
            Answered(notices=(notice,), family=intake.family or "", rule=None, actor=intake.actor)
        )
        return Recorded(request=first, duplicate=True, notices=(notice,))

    def _record_requests(
        self, intakes: Sequence[Intake], given: Mapping[str, int]
    ) -> list[Recorded]:
        """Record what follows from events that are recorded, numbered after the last `given`."""
        number, job = (given.get(name, 0) for name in ("events", "jobs"))
        requests: list[Row] = []
        jobs: list[Row] = []
        recorded: list[Recorded] = []
        for intake in intakes:
            number += 1
            end = _end(intake)
            requests.append(_request_row(intake, number, end))
            numbered = enumerate(intake.jobs, job + 1)
            begun = tuple(self._job(intake, number, n, planned) for n, planned in numbered)
            jobs += map(self._job_row, begun)
            job += len(begun)
            recorded.append(Recorded(request=number, duplicate=False, jobs=begun))
        self._sql.do_all("record_requests", requests)
        if jobs:
            self._sql.do_all("record_jobs", jobs)
        return self._announce(intakes, recorded, given.get("notices", 0))

    def begin(self, intake: Intake) -> Recorded | int:
        """Record a command without its jobs; returns its number, or that it was seen before."""
        number = self._numbers.given().get("events", 0) + 1
        if not self._record_events([intake], number):
            return self._record_duplicate(intake)
        self._sql.do("record_requests", *_request_row(intake, number, None))
        return number

    def add_jobs(
        self, intake: Intake, request: int, planned: Sequence[PlannedJob]
    ) -> tuple[Job, ...]:
        """Record some of the jobs of a request that was begun."""
        first = self._numbers.given().get("jobs", 0) + 1
        jobs = tuple(self._job(intake, request, n, each) for n, each in enumerate(planned, first))
        self._sql.do_all("record_jobs", [self._job_row(job) for job in jobs])
        return jobs

    def announce(self, intake: Intake, recorded: Recorded) -> Recorded:
        """Record the first notice about a request of which all jobs are there."""
        return self._announce([intake], [recorded], self._numbers.given().get("notices", 0))[0]

    def _announce(
        self, intakes: Sequence[Intake], begun: Sequence[Recorded], notice: int
    ) -> list[Recorded]:
        """Record the notices about requests, numbered after `notice`, and what has changed."""
        recorded = []
        for intake, each in zip(intakes, begun, strict=True):
            words = _told(intake, each.request, _end(intake))
            host, at = intake.host, intake.received
            told = tuple(
                Notice(word=word, host=host, fields=fields, id=number, created=at)
                for number, (word, fields) in enumerate(words, notice + 1)
            )
            notice += len(told)
            recorded.append(evolve(each, notices=told))
        self._sql.do_all(
            "record_notices",
            [notice_row(notice, each.request) for each in recorded for notice in each.notices],
        )
        change = self._change
        for intake, each in zip(intakes, recorded, strict=True):
            change.answered.append(_answered(intake, each))
            change.notices += each.notices
            change.waiting += each.jobs
            if _end(intake) is not None:
                change.requests.append(each.request)
            if intake.asked is not None:
                state = intake.state.value
                cause = told_why(ASKED, intake.asked)
                at, by = intake.received, _actor(intake)
                self._history.note(at, state, state, cause, by, request=each.request)
        return recorded

    def _job(self, intake: Intake, request: int, number: int, planned: PlannedJob) -> Job:
        tape = planned.tape
        return Job(
            id=number,
            request=request,
            host=intake.host,
            work=planned.work,
            values=planned.values,
            rule=intake.rule or "",
            lock=planned.lock,
            priority=planned.priority,
            handle=self._numbers.handle(request, number),
            state=JobState.WAITING,
            tape=tape.name if tape is not None else planned.pool,
            path=tape.path if tape is not None else None,
            created=intake.received,
            notify_all=intake.notify_all,
            repeats=intake.repeats,
            ref=intake.ref,
            family=intake.family,
        )

    def _job_row(self, job: Job) -> Row:
        return (
            *(job.id, job.request, job.host, self._works.number(job.work), to_json(job.values)),
            *(job.rule, job.lock, job.priority, job.notify_all, "waiting", job.tape, job.path),
            *(job.created, job.repeats),
        )

    def cancel(
        self, request_id: int, actor: str, at: float, reason: str | None = None
    ) -> Cancelled:
        """Cancel all live jobs of a request. NoSuchRow when there is no such request."""
        if self.get(request_id) is None:
            raise NoSuchRow("request", request_id)
        return self._jobs.cancel_all(request_id, cancelled_by(actor, reason), actor, at)

    def why_not_renewed(self, job_id: int) -> str | None:
        """Return why a job cannot be run again now; None if it can."""
        old = self._jobs.need(job_id)
        if old.state.is_live:
            return f"job {job_id} is {old.state}; only one that has ended is run again"
        again = self._live_renewal(job_id)
        if again is not None:
            return f"job {job_id} is being run again already, as job {again}"
        return None

    def renew(self, job_id: int, actor: str, at: float, reason: str | None = None) -> Recorded:
        """Make a new request of one job that has ended: the same work, a handle of its own.

        It is the operator's wish, and so never a duplicate; the history of both names the other. It
        does not answer under the host's reference: who waits for that waits for its own command.
        LedgerError when the job has not ended, or is being run again already.
        """
        refusal = self.why_not_renewed(job_id)
        if refusal is not None:
            raise LedgerError(refusal)
        old = self._jobs.need(job_id)
        request = self.get(old.request)
        event = evolve(self._events.get(old.request) or Event(text=""), id=None)
        first = request.again if request and request.again is not None else old.request
        intake = Intake(
            event=event,
            host=old.host,
            received=at,
            state=RequestState.OPEN,
            family=request.family if request else None,
            operation=request.operation if request else None,
            again=first,
            repeats=job_id,
            rule=old.rule,
            table=request.table if request else None,
            why=self._kept_why(old.request) or None,
            jobs=(_planned(old),),
            fields=present(tape=old.tape),
            notify_all=old.notify_all,
            actor=actor,
        )
        recorded = self.record(intake)  # it has no identity
        cause = told_why(f"job {job_id} is run again as job {recorded.jobs[0].id}", reason)
        state = old.state.value
        self._history.note(at, state, state, cause, actor, request=old.request, job=job_id)
        self._history.note(at, "open", "open", cause, actor, request=recorded.request)
        return recorded

    def _live_renewal(self, job_id: int) -> int | None:
        """Return a live job of the same work, among all that repeat the same first job; or None."""
        row = self._sql.one("live_renewal", job_id)
        return None if row is None else int(row[0])


def _end(intake: Intake) -> Word | None:
    """Return the final word of a command that is accepted and has no job to wait for."""
    if intake.state is not RequestState.OPEN or intake.jobs:
        return None
    return Word[intake.end.name] if intake.end is not None else final_word({})


def _answered(intake: Intake, recorded: Recorded) -> Answered:
    return Answered(
        notices=recorded.notices,
        family=intake.family or "",
        rule=intake.rule,
        actor=intake.actor,
        repeats=intake.repeats,
    )


def _request_row(intake: Intake, number: int, end: Word | None) -> Row:
    at = intake.received
    count = len(intake.jobs)
    state = intake.state if end is None else RequestState[end.name]
    return (
        *(number, intake.host, at, state.value, intake.family, intake.operation, intake.ref),
        *(_event_id(intake), intake.rule, intake.table, intake.reason, count, count),
        None if count else at,
        intake.again,
    )


def _told(
    intake: Intake, number: int, end: Word | None
) -> Iterator[tuple[Word, dict[str, str | int]]]:
    """Yield the notices about a command that is recorded: words with their fields."""
    known = present(
        req=number,
        again=intake.again,
        ref=intake.ref,
        family=intake.family,
        operation=intake.operation,
        id=_event_id(intake),
    )
    first = dict(known)
    if intake.state is RequestState.OPEN:
        first["jobs"] = len(intake.jobs)
    elif intake.reason is not None:
        first["reason"] = intake.reason
    first.update(intake.fields)
    yield intake.word or _FIRST_WORD[intake.state], first
    if end is not None:
        yield end, known | present(jobs=0, tape=intake.fields.get("tape"), reason=intake.reason)


def _actor(intake: Intake) -> str:
    return intake.actor or (f"host {intake.host}" if intake.host else "operator")


def _event_id(intake: Intake) -> str | None:
    return intake.event_id if intake.event_id is not None else intake.event.id


def _planned(job: Job) -> PlannedJob:
    """Return a job as it was planned."""
    tape = None
    if job.path is not None and job.tape is not None:
        vault, pool, cartridge = job.tape.strip("/").split("/")
        tape = Tape(vault=vault, pool=pool, cartridge=cartridge, path=job.path)
    return PlannedJob(
        work=job.work,
        values=job.values,
        lock=job.lock,
        priority=job.priority,
        tape=tape,
        pool=None if tape is not None else job.tape,
    )
