"""Requests: commands as they come in, with event, jobs and first notice in one transaction."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from attrs import frozen

from vtspolicy.changes import Answered, ChangeBuilder
from vtspolicy.jobs import Job, JobState, Request, RequestState
from vtspolicy.ledger.errors import BeingRecorded, LedgerError, NoSuchRow
from vtspolicy.ledger.events import EventRecords, event_row, time_text
from vtspolicy.ledger.filters import among, lower, one_of
from vtspolicy.ledger.history import ASKED, History, cancelled_by, told_why
from vtspolicy.ledger.jobs import Cancelled, JobRecords
from vtspolicy.ledger.notices import NoticeRecords, notice_row
from vtspolicy.ledger.numbers import Given, Numbers
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Columns, Row, Statements, Value, to_json
from vtspolicy.ledger.works import WorkRecords
from vtspolicy.notices import Notice, Word
from vtspolicy.requests import (
    Intake,
    actor_of,
    duplicate_fields,
    end_at_once,
    event_id_of,
    first_notices,
    renewal,
    why_not_renewed,
)
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.steps import with_steps


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
        id=row.id,
        host=row.host,
        received=row.received,
        text=row.text,
        state=RequestState(row.state),
        family=row.family,
        operation=row.operation,
        ref=row.ref,
        event_id=row.event_id,
        rule=row.rule,
        table=row.table,
        reason=row.reason,
        jobs=row.jobs,
        live=row.live,
        ok=row.completed,
        warn=row.warning,
        failed=row.bad,
        finished=row.finished,
        again=row.again,
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
        row = self._sql.one("request", id=request_id)
        return request_of(row) if row else None

    def by_ref(self, host: str, ref: str) -> Request | None:
        """Return the newest request to which a host gave this reference, or None.

        Commands about requests do not count: they may have one, too.
        """
        row = self._sql.one("request_by_ref", ref=ref, host=host)
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
        conditions: dict[str, Value] = {
            "requests_in_states": one_of(states),
            "requests_of_host": host,
            "requests_of_hosts": among(hosts),
            "requests_of_family": family,
            "requests_of_ref": ref,
            "requests_since": since,
            "requests_until": until,
            "requests_with_text": lower(text),
        }
        rows = self._sql.select(
            "requests_before",
            conditions,
            order="requests.id DESC",
            limit=limit,
            first=before_id if before_id is not None else 2**62,
        )
        return [request_of(row) for row in rows]

    def live(self, after_id: int = 0, limit: int = 1000) -> list[Request]:
        """Return requests with a live job, by number."""
        return [
            request_of(row) for row in self._sql.all("live_requests", after=after_id, limit=limit)
        ]

    def why(self, request_id: int) -> dict[str, Any] | None:
        """Return how a request was decided, as JSON's types; None when that was not kept."""
        text = self._kept_why(request_id)
        if text is None or self._sql.one("request", id=request_id) is None:
            raise NoSuchRow("request", request_id)
        if not text:
            return None
        trace = json.loads(text)
        kept = self._sql.one("rule_table", hash=trace["table"]) if trace.get("table") else None
        return with_steps(trace, kept.rules if kept else None)

    def _kept_why(self, request_id: int) -> str | None:
        """The JSON that was recorded of how a request was decided: "" for none, None without it."""
        row = self._sql.one("why", id=request_id)
        return None if row is None else row.why or ""

    def record(self, intake: Intake) -> Recorded:
        """Record a command: once for each identity, with its jobs and its first notice.

        A request without jobs is final at once and gets its final notice here.
        """
        return self.record_all((intake,))[0]

    def record_all(self, intakes: Sequence[Intake]) -> list[Recorded]:
        """Record several commands as `record` does one, in their order.

        Each table takes its rows by one statement.
        """
        ends = [end_at_once(intake) for intake in intakes]
        numbers = self._numbers.give(
            events=len(intakes),
            jobs=sum(len(intake.jobs) for intake in intakes),
            notices=sum(1 if end is None else 2 for end in ends),
        )
        if self._record_events(intakes, numbers.events):
            return self._record_requests(intakes, ends, numbers)
        if len(intakes) == 1:
            return [self._record_duplicate(intakes[0])]
        return [self.record(intake) for intake in intakes]

    def _record_events(self, intakes: Sequence[Intake], numbers: Sequence[int]) -> bool:
        """Record the events; False, and none, when one was seen before."""
        events = [
            event_row(
                intake.event,
                intake.host,
                intake.digest,
                intake.received,
                actor=actor_of(intake),
                why=intake.why,
                number=number,
            )
            for number, intake in zip(numbers, intakes, strict=True)
        ]
        return self._sql.do_whole("record_events", events)

    def _record_duplicate(self, intake: Intake) -> Recorded:
        row = self._sql.need("first_event", time=time_text(intake.event), digest=intake.digest)
        first = int(row.id)
        if self._sql.one("unfinished", request=first) is not None:
            raise BeingRecorded(first)
        if intake.event.replayed:
            return Recorded(request=first, duplicate=True)
        fields = duplicate_fields(intake, first, self.get(first))
        notice = self._notices.post(Word.DUPLICATE, intake.host, intake.received, fields, first)
        self._change.answered.append(
            Answered(notices=(notice,), family=intake.family or "", rule=None, actor=intake.actor)
        )
        return Recorded(request=first, duplicate=True, notices=(notice,))

    def _record_requests(
        self, intakes: Sequence[Intake], ends: Sequence[Word | None], numbers: Given
    ) -> list[Recorded]:
        """Record what follows from events that are recorded."""
        job_numbers = iter(numbers.jobs)
        requests: list[Columns] = []
        jobs: list[Columns] = []
        recorded: list[Recorded] = []
        for number, intake, end in zip(numbers.events, intakes, ends, strict=True):
            requests.append(_request_columns(intake, number, end))
            begun = tuple(
                self._job(intake, number, job, planned)
                for planned, job in zip(intake.jobs, job_numbers, strict=False)
            )
            jobs += map(self._job_columns, begun)
            recorded.append(Recorded(request=number, duplicate=False, jobs=begun))
        self._sql.do_all("record_requests", requests)
        if jobs:
            self._sql.do_all("record_jobs", jobs)
        return self._announce(intakes, recorded, ends, numbers.notices)

    def begin(self, intake: Intake) -> Recorded | int:
        """Record a command without its jobs; returns its number, or that it was seen before."""
        numbers = self._numbers.give(events=1).events
        if not self._record_events([intake], numbers):
            return self._record_duplicate(intake)
        self._sql.do("record_requests", **_request_columns(intake, numbers[0], None))
        return numbers[0]

    def add_jobs(
        self, intake: Intake, request: int, planned: Sequence[PlannedJob]
    ) -> tuple[Job, ...]:
        """Record some of the jobs of a request that was begun."""
        numbers = self._numbers.give(jobs=len(planned)).jobs
        jobs = tuple(
            self._job(intake, request, number, each)
            for number, each in zip(numbers, planned, strict=True)
        )
        self._sql.do_all("record_jobs", [self._job_columns(job) for job in jobs])
        return jobs

    def announce(self, intake: Intake, recorded: Recorded) -> Recorded:
        """Record the first notice about a request of which all jobs are there."""
        end = end_at_once(intake)
        numbers = self._numbers.give(notices=1 if end is None else 2).notices
        return self._announce([intake], [recorded], [end], numbers)[0]

    def _announce(
        self,
        intakes: Sequence[Intake],
        begun: Sequence[Recorded],
        ends: Sequence[Word | None],
        numbers: Sequence[int],
    ) -> list[Recorded]:
        """Record the notices about requests, with these numbers, and what has changed."""
        left = iter(numbers)
        recorded = []
        for intake, each, end in zip(intakes, begun, ends, strict=True):
            told = tuple(
                Notice(
                    word=word,
                    host=intake.host,
                    fields=fields,
                    id=next(left),
                    created=intake.received,
                )
                for word, fields in first_notices(intake, each.request, end)
            )
            recorded.append(
                Recorded(request=each.request, duplicate=False, jobs=each.jobs, notices=told)
            )
        self._sql.do_all(
            "record_notices",
            [notice_row(notice, each.request) for each in recorded for notice in each.notices],
        )
        change = self._change
        for intake, end, each in zip(intakes, ends, recorded, strict=True):
            change.answered.append(_answered(intake, each))
            change.notices += each.notices
            change.waiting += each.jobs
            if end is not None:
                change.requests.append(each.request)
            if intake.asked is not None:
                state = intake.state.value
                cause = told_why(ASKED, intake.asked)
                at, by = intake.received, actor_of(intake)
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

    def _job_columns(self, job: Job) -> Columns:
        return {
            "id": job.id,
            "request": job.request,
            "host": job.host,
            "work": self._works.number(job.work),
            "values": to_json(job.values),
            "rule": job.rule,
            "lock": job.lock,
            "priority": job.priority,
            "notify": job.notify_all,
            "state": job.state.value,
            "tape": job.tape,
            "path": job.path,
            "created": job.created,
            "repeats": job.repeats,
        }

    def cancel(
        self, request_id: int, actor: str, at: float, reason: str | None = None
    ) -> Cancelled:
        """Cancel all live jobs of a request. NoSuchRow when there is no such request."""
        if self.get(request_id) is None:
            raise NoSuchRow("request", request_id)
        return self._jobs.cancel_all(request_id, cancelled_by(actor, reason), actor, at)

    def why_not_renewed(self, job_id: int) -> str | None:
        """Return why a job cannot be run again now; None if it can."""
        return why_not_renewed(self._jobs.need(job_id), self._live_renewal(job_id))

    def renew(self, job_id: int, actor: str, at: float, reason: str | None = None) -> Recorded:
        """Make a new request of one job that has ended: the same work, a handle of its own.

        It is the operator's wish, and so never a duplicate; the history of both names the other.
        LedgerError when the job has not ended, or is being run again already.
        """
        refusal = self.why_not_renewed(job_id)
        if refusal is not None:
            raise LedgerError(refusal)
        old = self._jobs.need(job_id)
        event, why = self._events.get(old.request), self._kept_why(old.request) or None
        request = self.get(old.request)
        recorded = self.record(renewal(old, request, event, why=why, actor=actor, at=at))
        cause = told_why(f"job {job_id} is run again as job {recorded.jobs[0].id}", reason)
        state = old.state.value
        self._history.note(at, state, state, cause, actor, request=old.request, job=job_id)
        self._history.note(at, "open", "open", cause, actor, request=recorded.request)
        return recorded

    def _live_renewal(self, job_id: int) -> int | None:
        """Return a live job of the same work, among all that repeat the same first job; or None."""
        row = self._sql.one("live_renewal", job=job_id)
        return None if row is None else int(row.id)


def _answered(intake: Intake, recorded: Recorded) -> Answered:
    return Answered(
        notices=recorded.notices,
        family=intake.family or "",
        rule=intake.rule,
        actor=intake.actor,
        repeats=intake.repeats,
    )


def _request_columns(intake: Intake, number: int, end: Word | None) -> Columns:
    count = len(intake.jobs)
    state = intake.state if end is None else RequestState[end.name]
    return {
        "id": number,
        "host": intake.host,
        "received": intake.received,
        "state": state.value,
        "family": intake.family,
        "operation": intake.operation,
        "ref": intake.ref,
        "event_id": event_id_of(intake),
        "rule": intake.rule,
        "table": intake.table,
        "reason": intake.reason,
        "jobs": count,
        "live": count,
        "finished": None if count else intake.received,
        "again": intake.again,
    }
