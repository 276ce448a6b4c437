"""Notices on their way to the hosts, and lines of the history that others add."""

import json
from collections.abc import Iterable, Sequence

from vtspolicy.clock_trust import Between
from vtspolicy.ledger.desk import ASKED, Desk, Row, told_why
from vtspolicy.notices import Notice, Word

_STEP = 10_000


def notice_of(row: Row) -> Notice:
    """Return a notice of the outbox."""
    return Notice(
        id=row[0], host=row[1], word=Word(row[2]), fields=json.loads(row[3]), created=row[4]
    )


class OutboxDesk(Desk):
    """Verbs about notices."""

    def add_notice(self, notice: Notice, request: int | None = None) -> Notice:
        """Put a notice into the outbox and return it with its number.

        A second final notice of a request is refused by the database (sqlite3.IntegrityError).
        """
        return self._post(notice.word, notice.host, notice.created, notice.fields, request)

    def pending_notices(self, host: str, after_id: int = 0, limit: int = 1000) -> list[Notice]:
        """Return notices that wait for a host, in the order in which they were recorded."""
        return [notice_of(row) for row in self._all("pending_notices", host, after_id, limit)]

    def notices_of(self, request_id: int) -> list[Notice]:
        """Return all notices of a request, delivered or not."""
        return [notice_of(row) for row in self._all("notices_of", request_id)]

    def delivered(self, ids: Iterable[int], at: float) -> int:
        """Take notices out of the outbox; answers how many were still in it."""
        rows = [(at, number) for number in ids]
        return self._connection.executemany(self._sql["deliver_notice"], rows).rowcount

    def expire_notices(
        self, before: float, at: float | None = None, spared: Sequence[Between] = ()
    ) -> int:
        """Take notices out of the outbox that were recorded before `before` and never delivered.

        Notices whose time is within `spared` stay.
        Returns how many; at most 10,000 in one step.
        """
        now = before if at is None else at
        return self._do("expire_notices", now, before, json.dumps(spared), _STEP)

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
            self._do("release_attempt", at, job)
            cause += f", job {job}" if number else f"; taken from job {job}"
        self._note(at, "held", "released", cause, actor, subject=f"lock {lock}")

    def add_history(
        self, subject: str, before: str | None, after: str, *, cause: str, actor: str, at: float
    ) -> None:
        """Add a line about something other than a request or job: a lock, the table, a tape."""
        self._note(at, before, after, cause, actor, subject=subject)
