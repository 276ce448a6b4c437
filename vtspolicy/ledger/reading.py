"""Questions to the ledger that change nothing."""

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from vtspolicy.events.event import Event
from vtspolicy.jobs import Attempt, Job, JobState, Request, RequestState, Transition
from vtspolicy.ledger.desk import Desk, Row
from vtspolicy.ledger.errors import NoSuchRow
from vtspolicy.rules.steps import with_steps

JOB_WIDTH = 22
"""How many columns job_columns has: what else a query has comes after them."""


@frozen(kw_only=True)
class Pending:
    """What waits in the outbox for one host."""

    host: str
    count: int  # notices
    oldest: float  # when the first of them was recorded, seconds since the epoch


@frozen(kw_only=True)
class Counts:
    """How much of what the ledger holds."""

    jobs: Mapping[JobState, int] = field(factory=dict)  # every state, live and finished
    pending: tuple[Pending, ...] = ()  # by host; hosts without any are left out


@frozen(kw_only=True)
class UnderWay:
    """What the next server has to know of an attempt that was under way."""

    started: float  # seconds since the epoch
    released: bool  # an operator took its lock


def _subject(request: int | None, job: int | None, subject: str | None) -> str:
    if subject is not None:
        return subject
    return f"job {job}" if job is not None else f"request {request}"


_BAD = {JobState.FAILED, JobState.TIMEDOUT, JobState.INTERRUPTED}


def _hint(states: Collection[JobState]) -> str:
    """Return the condition that lets SQLite use the partial index of some states' jobs."""
    if states and all(state.is_live for state in states):
        return "AND jobs.finished IS NULL"
    if states and _BAD.issuperset(states):
        return "AND jobs.state IN ('failed', 'timedout', 'interrupted')"
    return ""


def _one_of(states: Iterable[JobState] | Iterable[RequestState]) -> str:
    """Return states as the text of a JSON array."""
    return json.dumps([state.value for state in states])


def _names(hosts: Collection[str] | None) -> str | None:
    return None if hosts is None else json.dumps(sorted(hosts))


_JOB_TEXT = (
    "lower(coalesce(jobs.tape, '') || ' ' || coalesce(requests.ref, '') || ' '"
    " || coalesce(jobs.reason, ''))"
)
_REQUEST_TEXT = "lower(events.text || ' ' || coalesce(requests.reason, ''))"
"""Where a free text is looked for."""


def _about(tape: str | None) -> tuple[str, str | None]:
    """Return the condition for jobs about a tape, or about a pool or vault and what is in it.

    A name with slashes counts from the vault on, a bare word anywhere in the name.
    """
    parts = "/".join(part for part in (tape or "").split("/") if part)
    place = "= 1" if "/" in (tape or "") else "> 0"
    named = "'/' || trim(jobs.tape, '/') || '/'"
    return f"instr({named}, ?) {place}", f"/{parts}/" if parts else None


def transition_of(row: Row) -> Transition:
    """Return a line of the history."""
    at, request, job, subject, before, after, cause, actor = row
    return Transition(
        at=at,
        subject=_subject(request, job, subject),
        before=before,
        after=after,
        cause=cause,
        actor=actor,
    )


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


def attempt_of(row: Row) -> Attempt:
    """Return an attempt from attempt_columns."""
    return Attempt(
        job=row[0],
        number=row[1],
        started=row[2],
        finished=row[3],
        kind=row[4],
        code=row[5],
        signal=row[6],
        state=None if row[7] is None else JobState(row[7]),
        reason=row[8],
        output=row[9],
        readings=json.loads(row[10]) if row[10] else {},
        boot=row[11],
    )


class ReadingDesk(Desk):
    """Verbs that answer and change nothing."""

    def _job_of(self, row: Row) -> Job:
        """Return a job from job_columns. A hundred thousand may wait: equal words are shared."""
        values = {sys.intern(key): value for key, value in json.loads(row[4]).items()}
        return Job(
            id=row[0],
            request=row[1],
            host=sys.intern(row[2]),
            work=self._work(row[3]),
            values=values,
            rule=sys.intern(row[5]),
            lock=row[6],
            priority=row[7],
            handle=self.handle(row[1], row[0]),
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

    def _need_job(self, job_id: int) -> Job:
        job = self.job(job_id)
        if job is None:
            raise NoSuchRow("job", job_id)
        return job

    def job(self, job_id: int) -> Job | None:
        """Return a job, or None."""
        row = self._one("job", job_id)
        return self._job_of(row) if row else None

    def under_way(self) -> dict[int, UnderWay]:
        """Return the attempts that are under way, by job."""
        return {
            job: UnderWay(started=started, released=released is not None)
            for job, started, released in self._all("under_way")
        }

    def live_jobs(self, after_id: int = 0, limit: int = 1000) -> list[Job]:
        """Return jobs that have not ended, by number: pages for the start of a server."""
        return [self._job_of(row) for row in self._all("live_jobs", after_id, limit)]

    def jobs(
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
            ("jobs.state IN (SELECT value FROM json_each(?))", _one_of(states) if states else None),
            ("jobs.host = ?", host),
            ("jobs.host IN (SELECT value FROM json_each(?))", _names(hosts)),
            ("jobs.request = ?", request),
            _about(tape),
            ("requests.family = ?", family),
            ("requests.ref = ?", ref),
            ("jobs.rule = ?", rule),
            (
                "jobs.work IN (SELECT id FROM works WHERE json_extract(body, '$.application') = ?)",
                application,
            ),
            ("(jobs.finished IS NULL OR jobs.finished >= ?)", since),
            ("jobs.created < ?", until),
            (
                f"instr({_JOB_TEXT}, ?) > 0",
                None if text is None else text.lower(),
            ),
        ]
        first = before_id if before_id is not None else 2**62
        tail = f"{_hint(states)} ORDER BY jobs.id DESC"
        rows = self._filtered("jobs_before", first, filters, tail, limit)
        return [self._job_of(row) for row in rows]

    def repeats(self, job_id: int) -> list[int]:
        """Return the jobs that run this one again, at first hand, the first one first."""
        return [int(row[0]) for row in self._all("repeats", job_id)]

    def request(self, request_id: int) -> Request | None:
        """Return a request, or None."""
        row = self._one("request", request_id)
        return request_of(row) if row else None

    def request_by_ref(self, host: str, ref: str) -> Request | None:
        """Return the newest request to which a host gave this reference, or None.

        Commands about requests do not count: they may have one, too.
        """
        row = self._one("request_by_ref", ref, host)
        return request_of(row) if row else None

    def requests(
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
                _one_of(states) if states else None,
            ),
            ("requests.host = ?", host),
            ("requests.host IN (SELECT value FROM json_each(?))", _names(hosts)),
            ("requests.family = ?", family),
            ("requests.ref = ?", ref),
            ("(requests.finished IS NULL OR requests.finished >= ?)", since),
            ("requests.received < ?", until),
            (
                f"instr({_REQUEST_TEXT}, ?) > 0",
                None if text is None else text.lower(),
            ),
        ]
        first = before_id if before_id is not None else 2**62
        rows = self._filtered("requests_before", first, filters, "ORDER BY requests.id DESC", limit)
        return [request_of(row) for row in rows]

    def live_requests(self, after_id: int = 0, limit: int = 1000) -> list[Request]:
        """Return requests with a live job, by number."""
        return [request_of(row) for row in self._all("live_requests", after_id, limit)]

    def why(self, request_id: int) -> dict[str, Any] | None:
        """Return how a request was decided, as JSON's types; None when that was not kept."""
        text = self._kept_why(request_id)
        if text is None or self._one("request", request_id) is None:
            raise NoSuchRow("request", request_id)
        if not text:
            return None
        trace = json.loads(text)
        kept = self._one("rule_table", trace["table"]) if trace.get("table") else None
        return with_steps(trace, kept[0] if kept else None)

    def _kept_why(self, request_id: int) -> str | None:
        """The JSON that was recorded of how a request was decided: "" for none, None without it."""
        row = self._one("why", request_id)
        return None if row is None else row[0] or ""

    def event_of(self, request_id: int) -> Event | None:
        """Return the event that held a command, or what an operator gave instead; or None."""
        row = self._one("event_of", request_id)
        if row is None:
            return None
        return Event(
            text=row[0],
            time=datetime.fromisoformat(row[1]) if row[1] else None,
            system=row[2],
            process=row[3],
            ssid=row[4],
            number=row[5],
            critical=bool(row[6]),
            user=row[7],
            action_needed=bool(row[8]),
            action_id=row[9],
            id=row[10],
            wire=row[11],
        )

    def attempts(self, job_id: int) -> list[Attempt]:
        """Return the attempts of a job, the first one first."""
        return [attempt_of(row) for row in self._all("attempts", job_id)]

    def live_attempts(self) -> list[Attempt]:
        """Return the attempt under way of each job that runs or is being stopped."""
        return [attempt_of(row) for row in self._all("live_attempts")]

    def history(self, subject: str) -> list[Transition]:
        """Return the lines about "request 17" (with its jobs), "job 23", "tape ...", "lock ...".

        They come in the order in which they were recorded, not by the clock.
        """
        kind, _, rest = subject.partition(" ")
        if kind in {"request", "job"} and rest.isdecimal():
            rows = self._all(f"history_of_{kind}", int(rest))
        else:
            rows = self._all("history_of_subject", subject)
        return [transition_of(row) for row in rows]

    def failed_since(self, since: float) -> tuple[int, int]:
        """Return how many jobs, and requests without any, have failed since, not repeated."""
        return int(self._need("failed_since", since)[0]), int(self._need("failed_alone", since)[0])

    def lost_tapes(self) -> int:
        """Return of how many tapes the last content is in a copy that its application has lost."""
        return int(self._need("lost_tapes")[0])

    def oldest_jobs(self, now: float) -> dict[tuple[str, str], float]:
        """Return the ages of the oldest live jobs, in seconds, by state and application."""
        ages: dict[tuple[str, str], float] = {}
        for state, work, since in self._all("oldest_jobs"):
            key = state, self._work(work).application
            ages[key] = max(ages.get(key, 0.0), now - since)
        return ages

    def successes(self) -> list[tuple[str, str, str, float]]:
        """Return application, host and rule of completed jobs, and when the last of each ended."""
        return [
            (self._work(work).application, host, rule, at)
            for work, host, rule, at in self._all("successes")
        ]

    def counts(self) -> Counts:
        """Return jobs by state and pending notices by host; cheap however much has finished."""
        jobs = dict.fromkeys(JobState, 0)
        for query in ("live_counts", "finished_counts"):
            for state, number in self._all(query):
                jobs[JobState(state)] = number
        pending = [
            Pending(host=host, count=count, oldest=oldest)
            for host, count, oldest in self._all("pending_counts")
        ]
        return Counts(jobs=jobs, pending=tuple(pending))
