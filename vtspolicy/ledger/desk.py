"""What every part of the book works with: a connection, the named queries, JSON and works."""

import hashlib
import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any

from attrs import evolve, frozen
from cattrs.preconf.json import make_converter

from vtspolicy.changes import ChangeBuilder
from vtspolicy.events.event import Event
from vtspolicy.jobs import DOUBTED
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.sql import queries
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.work import Work

Row = tuple[Any, ...]  # what a driver answers: the columns of one row, typed by the room that asks
Value = str | int | float | bytes | None

_CONVERTER = make_converter()
_WORKS_KEPT = 1000

RATES = {"events": 10_000, "jobs": 10_000, "notices": 1_000_000}
"""More numbers than are given in a second, by the table that gives them; requests have those of
events. With so many for each second since BEGINNING, the numbers of a ledger that was restored are
above all that it gave after the copy. They fit into JSON's numbers till 2311.
"""

BEGINNING = 1767225600.0
"""From where they count, 2026-01-01 UTC: before all ledgers."""

_LEFT_OUT = 100
"""Seconds' worth of numbers that are left out where the clock is behind what the copy has given."""

_LARGEST = 2**63 - 1
"""What SQLite's numbers can hold."""


def to_json(value: Mapping[str, str] | Mapping[str, str | int]) -> str:
    """Return a flat mapping as the text of a column."""
    # Three times as fast as json.dumps, and every command has two of them.
    pairs = [
        f"{_quoted(key)}:{_quoted(each) if isinstance(each, str) else int(each)}"
        for key, each in value.items()
    ]
    return "{" + ",".join(pairs) + "}"


def work_text(work: Work) -> str:
    """Return the canonical JSON of a work: equal works have equal texts."""
    return json.dumps(
        _CONVERTER.unstructure(work), ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )


def work_of(text: str) -> Work:
    """Return the work that `work_text` wrote."""
    return _CONVERTER.structure(json.loads(text), Work)


def time_text(event: Event) -> str:
    """Return the generation time as the column of events has it."""
    return event.time.isoformat() if event.time is not None else ""


@frozen(kw_only=True)
class Era:
    """What a server found as it began with a ledger."""

    put_back: bool  # it is a copy that no server has opened yet
    first: int  # the number that the next request gets
    doubted: int  # attempts under way that count as interrupted if the spool has no folder of them


class Desk:
    """One connection, and the little that all verbs share."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = queries("sqlite")
        self._change = ChangeBuilder()  # of the verb that runs
        self._uid: str | None = None
        self._eras: list[tuple[int, str]] = []  # first job number and name, in order
        self._work_by_id: dict[int, Work] = {}
        # By identity: the jobs of one rule share one Work. It is kept here, so no id is used again.
        self._id_by_work: dict[int, tuple[Work, int]] = {}

    def run(self, statement: str) -> None:
        """Run a statement that begins or ends a transaction, or a part of one."""
        self._connection.execute(statement)

    def forget(self) -> None:
        """Forget what was remembered of rows: a transaction was rolled back."""
        self._work_by_id.clear()
        self._id_by_work.clear()
        self._eras.clear()

    # -- statements

    def _do(self, query: str, *values: Value) -> int:
        """Run a statement; answer how many rows it changed."""
        return self._execute(self._sql[query], values).rowcount

    def _one(self, query: str, *values: Value) -> Row | None:
        row: Row | None = self._execute(self._sql[query], values).fetchone()
        return row

    def _need(self, query: str, *values: Value) -> Row:
        """Answer the row of a statement that always has one."""
        row = self._one(query, *values)
        if row is None:
            raise LedgerError(f"the ledger has no answer to {query} {values!r}")
        return row

    def _all(self, query: str, *values: Value) -> list[Row]:
        return self._execute(self._sql[query], values).fetchall()

    def _do_all(self, query: str, rows: Sequence[Sequence[Value]]) -> int:
        """Run a statement for each of the rows; answer how many rows it changed in all."""
        statement, before = self._sql[query], self._connection.total_changes
        at = 0

        def count() -> Iterator[Sequence[Value]]:
            nonlocal at
            for at, row in enumerate(rows):  # noqa: B007 - `at` is how far it came
                yield row

        try:
            self._connection.executemany(statement, count())
        except UnicodeEncodeError:
            for row in rows[at:]:
                self._execute(statement, row)
        return self._connection.total_changes - before

    def _execute(self, statement: str, values: Sequence[Value]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except UnicodeEncodeError:
            # A JSON text can hold half a surrogate pair, which no UTF-8 can: it is shown as `?`.
            plain = [
                each.encode("utf-8", "replace").decode() if isinstance(each, str) else each
                for each in values
            ]
            return self._connection.execute(statement, plain)
        except OverflowError:
            # A number that somebody asks for may have any length; no row has the largest one.
            bounded = [
                min(max(each, -_LARGEST), _LARGEST) if isinstance(each, int) else each
                for each in values
            ]
            return self._connection.execute(statement, bounded)

    def _filtered(
        self, query: str, first: Value, filters: Sequence[tuple[str, Value]], tail: str, limit: int
    ) -> list[Row]:
        """Run a query that ends in `WHERE ...`, with more conditions; columns are ours alone."""
        present = [(condition, value) for condition, value in filters if value is not None]
        more = "".join(f" AND {condition}" for condition, _ in present)
        statement = f"{self._sql[query]}{more} {tail} LIMIT ?"
        values = (first, *(value for _, value in present), limit)
        return self._execute(statement, values).fetchall()

    # -- what several rooms need

    def uid(self) -> str:
        """Return the eight hexadecimal digits that were drawn once for this ledger."""
        if self._uid is None:
            self._uid = str(self._need("meta", "uid")[0])
        return self._uid

    def handle(self, request: int, job: int) -> str:
        """Return the handle of the copy that a job makes.

        No other ledger gives it again, nor does this one after it was restored from a copy: each
        server that opens it begins an era with a name of its own.
        """
        if not self._eras:
            self._eras = [(int(first), str(name)) for first, name in self._all("eras")]
        era = bisect_right(self._eras, (job, "~")) - 1
        return f"vts-{self._eras[era][1]}-{request}-{job}"

    def begin_era(self, newest_job: int = 0, *, now: float, is_own_spool: bool = True) -> Era:
        """Give the jobs from now on handles, and numbers, that were never given before.

        `newest_job` is the highest job number that the spool knows: a ledger that was restored
        from a copy would give it again, and take an old run for a new job's. Hosts, too, know the
        numbers that such a ledger gave since the copy. Therefore its requests, jobs and notices
        continue where the clock says: `now`, in seconds since the epoch, see RATES. So does the
        same copy that is restored again.

        It doubts the attempts that are under way, too, as it does where the spool is not known to
        be its own: one that has no folder there may have run all the same.
        """
        put_back = self._do("end_put_back") > 0 and self._one("was_served") is not None
        self._do("reserve_numbers")
        given: dict[str, int] = dict(self._all("numbers_given"))
        if put_back:
            for name, rate in RATES.items():
                safe = int(rate * (now - BEGINNING))
                given[name] = safe if safe > given[name] else given[name] + rate * _LEFT_OUT
        given["jobs"] = max(given["jobs"], newest_job)
        self._do_all("go_on_behind", [(number, name) for name, number in given.items()])
        self._do("begin_era", given["jobs"] + 1)
        self._eras.clear()
        if put_back:
            self._do("unsee_tapes")  # each is looked at before its record is believed
        doubted = self._do("doubt_attempts", DOUBTED) if put_back or not is_own_spool else 0
        return Era(put_back=put_back, first=given["events"] + 1, doubted=doubted)

    def spool_mark(self) -> str | None:
        """Return what the spool said as the last server began; None when none has kept it yet."""
        row = self._one("meta", "spool_mark")
        return None if row is None else str(row[0])

    def keep_spool_mark(self, mark: str) -> None:
        """Keep which ledger the spool says that it belongs to, "" when it says nothing."""
        self._do("keep_spool_mark", mark)

    def _work_id(self, work: Work) -> int:
        known = self._id_by_work.get(id(work))
        if known is not None:
            return known[1]
        text = work_text(work)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self._do("record_work", digest, text)
        number = int(self._need("work_id", digest)[0])
        if len(self._id_by_work) >= _WORKS_KEPT:
            self._id_by_work.clear()
        self._id_by_work[id(work)] = (work, number)
        self._remember_work(number, work)
        return number

    def _work(self, number: int) -> Work:
        work = self._work_by_id.get(number)
        if work is None:
            work = work_of(str(self._need("work_body", number)[0]))
            self._remember_work(number, work)
        return work

    def _remember_work(self, number: int, work: Work) -> None:
        if len(self._work_by_id) >= _WORKS_KEPT:
            self._work_by_id.clear()
        self._work_by_id[number] = work

    def _record_event(
        self,
        event: Event,
        host: str,
        digest: bytes | None,
        received: float,
        *,
        actor: str,
        why: str | None = None,
    ) -> int | None:
        """Record an event; answer its number, or None when one of its identity is there."""
        row = self._one(
            "record_event", *event_row(event, host, digest, received, actor=actor, why=why)
        )
        return None if row is None else int(row[0])

    def _note(
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
        self._do("record_transition", at, request, job, subject, before, after, cause, actor)

    def _post(
        self,
        word: Word,
        host: str,
        at: float,
        fields: Mapping[str, str | int],
        request: int | None = None,
    ) -> Notice:
        """Put a notice into the outbox."""
        notice = Notice(word=word, host=host, fields=fields, created=at)
        number = self._need("record_notice", *notice_row(notice, request)[1:])[0]
        notice = evolve(notice, id=number)
        self._change.notices.append(notice)
        return notice


def event_row(
    event: Event,
    host: str,
    digest: bytes | None,
    received: float,
    *,
    actor: str,
    why: str | None = None,
) -> Row:
    """Return the columns of an event, all but its number."""
    return (
        *(host, received, time_text(event), digest),
        *(event.system, event.process, event.ssid, event.number, event.critical, event.user),
        *(event.action_needed, event.action_id, event.id, event.wire, event.text),
        *(actor, why),
    )


def notice_row(notice: Notice, request: int | None) -> Row:
    """Return the columns of a notice; those for an operator (host "") need no delivery."""
    delivered = None if notice.host else notice.created
    return (
        *(notice.id, notice.host, request, notice.word.value, to_json(notice.fields)),
        *(notice.created, delivered),
    )


ASKED = "an operator asked for it"
"""The cause of an order of which nothing more is known."""


def told_why(cause: str, reason: str | None) -> str:
    """Return a cause for the history, with the reason that an operator gave, if any."""
    return cause if reason is None else f"{cause}: {reason}"


def present(**fields: str | int | None) -> dict[str, str | int]:
    """Return the fields of a notice that have a value."""
    return {key: value for key, value in fields.items() if value is not None}
