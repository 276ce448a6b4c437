"""Notices on their way to the hosts."""

import json
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from vtspolicy.clock_trust import Between
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Columns, Row, to_json
from vtspolicy.notices import Notice, Word

_STEP = 10_000


@frozen(kw_only=True)
class Pending:
    """What waits in the outbox for one host."""

    host: str
    count: int  # notices
    oldest: float  # when the first of them was recorded, seconds since the epoch


def notice_of(row: Row) -> Notice:
    """Return a notice of the outbox."""
    return Notice(
        id=row.id,
        host=row.host,
        word=Word(row.word),
        fields=json.loads(row.fields),
        created=row.created,
    )


def notice_row(notice: Notice, request: int | None) -> Columns:
    """Return the columns of a notice; those for an operator (host "") need no delivery."""
    delivered = None if notice.host else notice.created
    return {
        "id": notice.id,
        "host": notice.host,
        "request": request,
        "word": notice.word.value,
        "fields": to_json(notice.fields),
        "created": notice.created,
        "delivered": delivered,
    }


class NoticeRecords(Part):
    """The outbox."""

    def post(
        self,
        word: Word,
        host: str,
        at: float,
        fields: Mapping[str, str | int],
        request: int | None = None,
    ) -> Notice:
        """Put a notice into the outbox."""
        notice = Notice(word=word, host=host, fields=fields, created=at)
        number = self._sql.need("record_notice", **notice_row(notice, request)).id
        notice = evolve(notice, id=number)
        self._change.notices.append(notice)
        return notice

    def add(self, notice: Notice, request: int | None = None) -> Notice:
        """Put a notice into the outbox and return it with its number.

        A second final notice of a request is refused by the database, with its driver's error.
        """
        return self.post(notice.word, notice.host, notice.created, notice.fields, request)

    def pending(self, host: str, after_id: int = 0, limit: int = 1000) -> list[Notice]:
        """Return notices that wait for a host, in the order in which they were recorded."""
        return [
            notice_of(row)
            for row in self._sql.all("pending_notices", host=host, after=after_id, limit=limit)
        ]

    def of_request(self, request_id: int) -> list[Notice]:
        """Return all notices of a request, delivered or not."""
        return [notice_of(row) for row in self._sql.all("notices_of", request=request_id)]

    def pending_counts(self) -> tuple[Pending, ...]:
        """Return how many notices wait for each host, and since when."""
        return tuple(
            Pending(host=row.host, count=row.count, oldest=row.oldest)
            for row in self._sql.all("pending_counts")
        )

    def deliver(self, ids: Iterable[int], at: float) -> int:
        """Take notices out of the outbox; answers how many were still in it."""
        return self._sql.do_all("deliver_notice", [{"at": at, "id": number} for number in ids])

    def expire(self, before: float, at: float | None = None, spared: Sequence[Between] = ()) -> int:
        """Take notices out of the outbox that were recorded before `before` and never delivered.

        Notices whose time is within `spared` stay.
        Returns how many; at most 10,000 in one step.
        """
        now = before if at is None else at
        return self._sql.do(
            "expire_notices", at=now, before=before, spared=json.dumps(spared), limit=_STEP
        )
