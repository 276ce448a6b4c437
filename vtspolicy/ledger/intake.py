"""Commands as they come in: event, request, jobs and the first notice in one transaction."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from vtspolicy.changes import Answered
from vtspolicy.events.event import Event
from vtspolicy.jobs import Job, JobState, RequestState, final_word
from vtspolicy.ledger.desk import (
    ASKED,
    Row,
    event_row,
    notice_row,
    present,
    time_text,
    to_json,
    told_why,
)
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.reading import ReadingDesk
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.decision import PlannedJob
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


class IntakeDesk(ReadingDesk):
    """Verbs that make requests."""

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
        given: dict[str, int] = dict(self._all("numbers_given"))
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
            return self._do("record_events", *rows[0]) == 1
        self.run("SAVEPOINT events")
        complete = self._do_all("record_events", rows) == len(rows)
        if not complete:
            self.run("ROLLBACK TO events")
        self.run("RELEASE events")
        return complete

    def _record_duplicate(self, intake: Intake) -> Recorded:
        first = int(self._need("first_event", time_text(intake.event), intake.digest)[0])
        if intake.event.replayed:
            return Recorded(request=first, duplicate=True)
        known = self.request(first)
        ended = known is not None and known.state is not RequestState.OPEN
        fields = present(
            req=first,
            ref=intake.ref,
            family=intake.family,
            operation=intake.operation,
            reason=known.state.value if known is not None and ended else None,
            id=_event_id(intake),
        )
        notice = self._post(Word.DUPLICATE, intake.host, intake.received, fields, first)
        self._change.answered.append(
            Answered(notices=(notice,), family=intake.family or "", rule=None, actor=intake.actor)
        )
        return Recorded(request=first, duplicate=True, notices=(notice,))

    def _record_requests(
        self, intakes: Sequence[Intake], given: Mapping[str, int]
    ) -> list[Recorded]:
        """Record what follows from events that are recorded, numbered after the last `given`."""
        number, job, notice = (given.get(name, 0) for name in ("events", "jobs", "notices"))
        requests: list[Row] = []
        jobs: list[Row] = []
        recorded: list[Recorded] = []
        for intake in intakes:
            number += 1
            end = _end(intake)
            requests.append(_request_row(intake, number, end))
            begun = tuple(
                self._job(intake, number, job + place, planned)
                for place, planned in enumerate(intake.jobs, 1)
            )
            jobs += map(self._job_row, begun)
            told = tuple(
                Notice(
                    word=word,
                    host=intake.host,
                    fields=fields,
                    id=notice + place,
                    created=intake.received,
                )
                for place, (word, fields) in enumerate(_told(intake, number, end), 1)
            )
            job += len(begun)
            notice += len(told)
            recorded.append(Recorded(request=number, duplicate=False, jobs=begun, notices=told))
        self._do_all("record_requests", requests)
        if jobs:
            self._do_all("record_jobs", jobs)
        self._do_all(
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
                self._note(at, state, state, cause, by, request=each.request)
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
            handle=self.handle(request, number),
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
            *(job.id, job.request, job.host, self._work_id(job.work), to_json(job.values)),
            *(job.rule, job.lock, job.priority, job.notify_all, "waiting", job.tape, job.path),
            *(job.created, job.repeats),
        )

    def why_not_renewed(self, job_id: int) -> str | None:
        """Return why a job cannot be run again now; None if it can."""
        old = self._need_job(job_id)
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
        old = self._need_job(job_id)
        request = self.request(old.request)
        event = evolve(self.event_of(old.request) or Event(text=""), id=None)
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
        self._note(at, state, state, cause, actor, request=old.request, job=job_id)
        self._note(at, "open", "open", cause, actor, request=recorded.request)
        return recorded

    def keep_rule_table(self, digest: str, rules: str) -> None:
        """Keep what decides in the table that is in use from now on: see rules.steps.outline."""
        self._do("replace_rule_tables", digest)
        self._do("keep_rule_table", digest, rules)

    def _live_renewal(self, job_id: int) -> int | None:
        """Return a live job of the same work, among all that repeat the same first job; or None."""
        row = self._one("live_renewal", job_id)
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
