"""Attempts of jobs."""

import json
from collections.abc import Iterable, Mapping

from attrs import frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.jobs import DOUBTED, Attempt, JobState
from vtspolicy.ledger.fingerprints import looks_of
from vtspolicy.ledger.history import ASKED, History, told_why
from vtspolicy.ledger.jobs import JobRecords
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements, to_json
from vtspolicy.tapes import Look


@frozen(kw_only=True)
class UnderWay:
    """What the next server has to know of an attempt that was under way."""

    started: float  # seconds since the epoch
    released: bool  # an operator took its lock


def attempt_of(row: Row) -> Attempt:
    """Return an attempt from attempt_columns."""
    return Attempt(
        job=row.job,
        number=row.number,
        started=row.started,
        finished=row.finished,
        kind=row.kind,
        code=row.code,
        signal=row.signal,
        state=None if row.state is None else JobState(row.state),
        reason=row.reason,
        output=row.output,
        readings=json.loads(row.readings) if row.readings else {},
        boot=row.boot,
    )


class AttemptRecords(Part):
    """Attempts, under way and ended."""

    def __init__(
        self, sql: Statements, change: ChangeBuilder, jobs: JobRecords, history: History
    ) -> None:
        super().__init__(sql, change)
        self._jobs = jobs
        self._history = history

    def of_job(self, job_id: int) -> list[Attempt]:
        """Return the attempts of a job, the first one first."""
        return [attempt_of(row) for row in self._sql.all("attempts", job=job_id)]

    def live(self) -> list[Attempt]:
        """Return the attempt under way of each job that runs or is being stopped."""
        return [attempt_of(row) for row in self._sql.all("live_attempts")]

    def under_way(self) -> dict[int, UnderWay]:
        """Return the attempts that are under way, by job."""
        return {
            row.job: UnderWay(started=row.started, released=row.released is not None)
            for row in self._sql.all("under_way")
        }

    def note_readings(self, job_id: int, attempt: int, readings: Mapping[str, str]) -> bool:
        """Keep what the output of an attempt under way showed; False when it has ended.

        A queued application's own job number is kept so before anything relies on it.
        """
        return (
            self._sql.do("note_readings", readings=to_json(readings), job=job_id, number=attempt)
            > 0
        )

    def tapes_before(self, job_id: int, attempt: int) -> dict[str, Look]:
        """Return how each tape was, by its path, when an attempt started."""
        row = self._sql.one("tapes_before", job=job_id, number=attempt)
        if row is None or row.before is None:
            return {}
        vault = self._jobs.need(job_id).values.get("vault", "")
        return looks_of(row.before, vault=vault, at=row.started)

    def note_plan(self, job_id: int, attempt: int, plan: str) -> bool:
        """Keep, as JSON, what was found out as an attempt began; False when it has ended."""
        return self._sql.do("note_plan", plan=plan, job=job_id, number=attempt) > 0

    def plan(self, job_id: int, attempt: int) -> str | None:
        """Return what `note_plan` kept; None for nothing."""
        row = self._sql.one("plan", job=job_id, number=attempt)
        return None if row is None else row.plan

    def doubt(self) -> int:
        """Doubt the attempts under way, see DOUBTED; answers how many there are."""
        return self._sql.do("doubt_attempts", boot=DOUBTED)

    def release_lock(
        self,
        lock: str,
        holders: Iterable[int],
        *,
        actor: str,
        at: float,
        reason: str | None = None,
    ) -> None:
        """Note that an operator took a lock from jobs; they do not get it back by a restart."""
        cause = told_why(ASKED, reason)
        for number, job in enumerate(holders):
            self._sql.do("release_attempt", released=at, job=job)
            cause += f", job {job}" if number else f"; taken from job {job}"
        self._history.note(at, "held", "released", cause, actor, subject=f"lock {lock}")
