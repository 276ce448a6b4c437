"""The history: lines that are only ever added to."""

from vtspolicy.jobs import Transition
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row


def _subject(request: int | None, job: int | None, subject: str | None) -> str:
    if subject is not None:
        return subject
    return f"job {job}" if job is not None else f"request {request}"


def transition_of(row: Row) -> Transition:
    """Return a line of the history."""
    return Transition(
        at=row.at,
        subject=_subject(row.request, row.job, row.subject),
        before=row.before,
        after=row.after,
        cause=row.cause,
        actor=row.actor,
    )


class History(Part):
    """What happened to requests, jobs, tapes and locks, and why."""

    def note(
        self,
        at: float,
        before: str | None,
        after: str,
        cause: str,
        actor: str,
        *,
        request: int | None = None,
        job: int | None = None,
        subject: str | None = None,
    ) -> None:
        """Add a line to the history."""
        self._sql.do(
            "record_transition",
            at=at,
            request=request,
            job=job,
            subject=subject,
            before=before,
            after=after,
            cause=cause,
            actor=actor,
        )

    def add(
        self, subject: str, before: str | None, after: str, *, cause: str, actor: str, at: float
    ) -> None:
        """Add a line about something other than a request or job: a lock, the table, a tape."""
        self.note(at, before, after, cause, actor, subject=subject)

    def about(self, subject: str) -> list[Transition]:
        """Return the lines about "request 17" (with its jobs), "job 23", "tape ...", "lock ...".

        They come in the order in which they were recorded, not by the clock.
        """
        kind, _, rest = subject.partition(" ")
        if kind in {"request", "job"} and rest.isdecimal():
            rows = self._sql.all(f"history_of_{kind}", id=int(rest))
        else:
            rows = self._sql.all("history_of_subject", subject=subject)
        return [transition_of(row) for row in rows]


ASKED = "an operator asked for it"
"""The cause of an order of which nothing more is known."""


def told_why(cause: str, reason: str | None) -> str:
    """Return a cause for the history, with the reason that an operator gave, if any."""
    return cause if reason is None else f"{cause}: {reason}"


def cancelled_by(actor: str, reason: str | None) -> str:
    """Return the reason of a job that somebody cancelled."""
    return told_why(f"cancelled by {actor}", reason)
