"""Commands as they come in: event, request, jobs and the first notice in one transaction."""

from collections.abc import Mapping

from attrs import field, frozen

from vtspolicy.events.event import Event
from vtspolicy.jobs import Job, JobState, RequestState, final_word
from vtspolicy.ledger.desk import present, time_text, to_json
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
    word: Word | None = None  # of the first notice, where the state does not tell it
    notify_all: bool = False  # the host wants to hear of progress too
    actor: str | None = None  # for the history; "host NAME" when not given


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
        number = self._record_event(
            *(intake.event, intake.host, intake.digest, intake.received),
            actor=_actor(intake),
            why=intake.why,
        )
        if number is None:
            return self._record_duplicate(intake)
        return self._record_request(intake, number)

    def _record_duplicate(self, intake: Intake) -> Recorded:
        first = int(self._need("first_event", time_text(intake.event), intake.digest)[0])
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
        return Recorded(request=first, duplicate=True, notices=(notice,))

    def _record_request(self, intake: Intake, number: int) -> Recorded:
        at = intake.received
        event_id = _event_id(intake)
        accepted = intake.state is RequestState.OPEN
        count = len(intake.jobs)
        state = intake.state
        end = None
        if accepted and not count:
            end = Word[intake.end.name] if intake.end is not None else final_word({})
            state = RequestState[end.name]
        self._do(
            "record_request",
            *(number, intake.host, at, state.value, intake.family, intake.operation, intake.ref),
            *(event_id, intake.rule, intake.table, intake.reason, count, count),
            None if count else at,
        )
        jobs = tuple(self._record_job(intake, number, planned) for planned in intake.jobs)
        known = present(
            req=number,
            ref=intake.ref,
            family=intake.family,
            operation=intake.operation,
            id=event_id,
        )
        first = dict(known)
        if accepted:
            first["jobs"] = count
        elif intake.reason is not None:
            first["reason"] = intake.reason
        first.update(intake.fields)
        word = intake.word or _FIRST_WORD[intake.state]
        notices = [self._post(word, intake.host, at, first, number)]
        if end is not None:
            final = known | present(jobs=0, reason=intake.reason)
            notices.append(self._post(end, intake.host, at, final, number))
        return Recorded(request=number, duplicate=False, jobs=jobs, notices=tuple(notices))

    def _record_job(self, intake: Intake, request: int, planned: PlannedJob) -> Job:
        tape = planned.tape
        name = tape.name if tape is not None else planned.pool
        path = tape.path if tape is not None else None
        rule = intake.rule or ""
        number = self._need(
            "record_job",
            *(request, intake.host, self._work_id(planned.work), to_json(planned.values), rule),
            *(planned.lock, planned.priority, intake.notify_all, "waiting", name, path),
            intake.received,
        )[0]
        return Job(
            id=number,
            request=request,
            host=intake.host,
            work=planned.work,
            values=planned.values,
            rule=rule,
            lock=planned.lock,
            priority=planned.priority,
            handle=self.handle(request, number),
            state=JobState.WAITING,
            tape=name,
            path=path,
            created=intake.received,
            notify_all=intake.notify_all,
        )

    def renew(self, job_id: int, actor: str, at: float) -> Recorded:
        """Make a new request of one job that has ended: the same work, a handle of its own.

        It is the operator's wish, and so never a duplicate; the history of both names the other.
        LedgerError when the job has not ended.
        """
        old = self._need_job(job_id)
        if old.state.is_live:
            raise LedgerError(f"job {job_id} is {old.state}; only one that has ended is run again")
        request = self.request(old.request)
        event = self.event_of(old.request) or Event(text="")
        intake = Intake(
            event=event,
            host=old.host,
            received=at,
            state=RequestState.OPEN,
            family=request.family if request else None,
            operation=request.operation if request else None,
            ref=request.ref if request else None,
            event_id=request.event_id if request else None,
            rule=old.rule,
            table=request.table if request else None,
            why=self.why(old.request),
            jobs=(_planned(old),),
            notify_all=old.notify_all,
            actor=actor,
        )
        number = self._record_event(event, old.host, None, at, actor=actor, why=intake.why)
        if number is None:
            raise LedgerError("an event without an identity was taken for one seen before")
        recorded = self._record_request(intake, number)
        cause = f"job {job_id} is run again as job {recorded.jobs[0].id}"
        state = old.state.value
        self._note(at, state, state, cause, actor, request=old.request, job=job_id)
        self._note(at, "open", "open", cause, actor, request=recorded.request)
        return recorded


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
