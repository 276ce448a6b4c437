"""Requests: how a command becomes one, when it is final, and what its notices say."""

from collections.abc import Iterator, Mapping

from attrs import evolve, field, frozen

from vtspolicy.events.event import Event
from vtspolicy.jobs import Job, JobState, Request, RequestState, final_word
from vtspolicy.notices import Word, present
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


def end_at_once(intake: Intake) -> Word | None:
    """Return the final word of a command that is accepted and has no job to wait for."""
    if intake.state is not RequestState.OPEN or intake.jobs:
        return None
    return Word[intake.end.name] if intake.end is not None else final_word({})


def first_notices(
    intake: Intake, number: int, end: Word | None
) -> Iterator[tuple[Word, dict[str, str | int]]]:
    """Yield the notices about a command that is recorded: words with their fields."""
    known = present(
        req=number,
        again=intake.again,
        ref=intake.ref,
        family=intake.family,
        operation=intake.operation,
        id=event_id_of(intake),
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


def duplicate_fields(intake: Intake, first: int, known: Request | None) -> dict[str, str | int]:
    """Return what DUPLICATE says of a command whose event was recorded before as `first`."""
    ended = known is not None and known.state is not RequestState.OPEN
    return present(
        req=first,
        ref=intake.ref,
        family=intake.family,
        operation=intake.operation,
        reason=known.state.value if known is not None and ended else None,
        id=event_id_of(intake),
    )


def actor_of(intake: Intake) -> str:
    """Return who gave a command, for the history."""
    return intake.actor or (f"host {intake.host}" if intake.host else "operator")


def event_id_of(intake: Intake) -> str | None:
    """Return the sender's id of a command, or that of its event."""
    return intake.event_id if intake.event_id is not None else intake.event.id


# -- how a request stands


@frozen(kw_only=True)
class Standing:
    """What is known of a job's request: what notices repeat of it, and how its jobs ended."""

    ref: str | None
    again: int | None
    family: str | None
    operation: str | None
    event_id: str | None
    received: float  # seconds since the epoch
    jobs: int  # how many it has
    live: int  # how many of them have not ended
    ends: Mapping[JobState, int]  # by their last state

    def after(self, state: JobState, count: int = 1) -> "Standing":
        """Return how it stands when `count` more of its jobs have ended as `state`."""
        ends = {**self.ends, state: self.ends[state] + count}
        return Standing(  # each job does this once, and evolve() takes several times as long
            ref=self.ref,
            again=self.again,
            family=self.family,
            operation=self.operation,
            event_id=self.event_id,
            received=self.received,
            jobs=self.jobs,
            live=self.live - count,
            ends=ends,
        )

    @property
    def final(self) -> Word | None:
        """The final word about it: the worst end wins. None while a job is live."""
        return None if self.live else final_word(self.ends)


def reason_of(reason: str, tape: str | None) -> str:
    """Return why a request of several jobs ended so, by the reason of the job that decided."""
    return reason if tape is None or tape in reason else f"{tape}: {reason}"


def target_of(named: object) -> str | None:
    """Return the pool or tape that a request names; None for a list, which needs much room."""
    return named if isinstance(named, str) and " " not in named else None


def job_fields(job: Job, standing: Standing, **more: str | int | None) -> dict[str, str | int]:
    """Return what a notice about one job says."""
    return present(
        req=job.request,
        again=standing.again,
        job=job.id,
        ref=standing.ref,
        family=standing.family,
        operation=standing.operation,
        tape=job.tape,
        **more,
        id=standing.event_id,
    )


def retry_fields(job: Job, standing: Standing, attempt: int, at: float) -> dict[str, str | int]:
    """Return what RETRYING says of a job whose attempt has ended at `at`."""
    delay = max(round(job.due - at), 0)
    told = {"rc": job.code, "attempt": attempt, "in": delay, "reason": job.reason}
    return job_fields(job, standing, **told)


def final_fields(
    job: Job, standing: Standing, reason: str | None, at: float, *, target: str | None
) -> dict[str, str | int]:
    """Return what the final notice of a request says; `job` is the one that ended last.

    `target` is what the request named; one of a single job shows that job instead.
    """
    if standing.jobs == 1:
        return job_fields(
            job,
            standing,
            rc=job.code,
            attempt=job.attempt or None,
            secs=max(round(at - job.started), 0) if job.started is not None else None,
            reason=reason,
        )
    ok, warn = standing.ends[JobState.COMPLETED], standing.ends[JobState.WARNING]
    return present(
        req=job.request,
        again=standing.again,
        jobs=standing.jobs,
        ref=standing.ref,
        family=standing.family,
        operation=standing.operation,
        tape=target,
        ok=ok,
        warn=warn,
        failed=standing.jobs - ok - warn,
        secs=max(round(at - standing.received), 0),
        reason=reason,
        id=standing.event_id,
    )


# -- jobs that are run again


def why_not_renewed(job: Job, again: int | None) -> str | None:
    """Return why a job cannot be run again now; None if it can.

    `again` is a live job of the same work, if there is one.
    """
    if job.state.is_live:
        return f"job {job.id} is {job.state}; only one that has ended is run again"
    if again is not None:
        return f"job {job.id} is being run again already, as job {again}"
    return None


def renewal(
    job: Job,
    request: Request | None,
    event: Event | None,
    *,
    why: str | None,
    actor: str,
    at: float,
) -> Intake:
    """Return the command of an operator that one job is run again; `request` and `event` are its.

    It has no identity, and so is never a duplicate. It does not answer under the host's reference:
    who waits for that waits for its own command.
    """
    return Intake(
        event=evolve(event or Event(text=""), id=None),
        host=job.host,
        received=at,
        state=RequestState.OPEN,
        family=request.family if request else None,
        operation=request.operation if request else None,
        again=request.again if request and request.again is not None else job.request,
        repeats=job.id,
        rule=job.rule,
        table=request.table if request else None,
        why=why,
        jobs=(planned_again(job),),
        fields=present(tape=job.tape),
        notify_all=job.notify_all,
        actor=actor,
    )


def planned_again(job: Job) -> PlannedJob:
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
