"""The numbers of requests, jobs and notices, and the handles of copies: each is given once."""

from bisect import bisect_right
from collections.abc import Sequence

from attrs import frozen

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Row, Statements

RATES = {"events": 10_000, "jobs": 10_000, "notices": 1_000_000}
"""More numbers than are given in a second, by the table that gives them; requests have those of
events. With so many for each second since BEGINNING, the numbers of a ledger that was restored are
above all that it gave after the copy. They fit into JSON's numbers till 2311.
"""

BEGINNING = 1767225600.0
"""From where they count, 2026-01-01 UTC: before all ledgers."""

_LEFT_OUT = 100
"""Seconds' worth of numbers that are left out where the clock is behind what the copy has given."""


@frozen(kw_only=True)
class Given:
    """Numbers that nobody else gets, by table. They need not follow one another without a gap."""

    events: Sequence[int]
    jobs: Sequence[int]
    notices: Sequence[int]


def _behind(last: int, count: int) -> Sequence[int]:
    return range(last + 1, last + 1 + count)


class Numbers(Part):
    """Gives numbers and handles."""

    def __init__(self, sql: Statements, change: ChangeBuilder) -> None:
        super().__init__(sql, change)
        self._names: list[tuple[int, str]] = []  # first job number and name, in order

    def forget(self) -> None:
        """Forget the names in handles."""
        self._names.clear()

    def give(self, *, events: int = 0, jobs: int = 0, notices: int = 0) -> Given:
        """Give so many numbers for each table, in this transaction; unused ones are given again."""
        last = self._given()
        return Given(
            events=_behind(last.events, events),
            jobs=_behind(last.jobs, jobs),
            notices=_behind(last.notices, notices),
        )

    def _given(self) -> Row:
        """Return the last number that each table has given."""
        return self._sql.need("numbers_given")

    def handle(self, request: int, job: int) -> str:
        """Return the handle of the copy that a job makes.

        No other ledger gives it again, nor does this one after it was restored from a copy: each
        server that opens it begins with a name of its own.
        """
        if not self._names:
            self._names = [(int(row.first), str(row.name)) for row in self._sql.all("handle_names")]
        at = bisect_right(self._names, (job, "~")) - 1
        return f"vts-{self._names[at][1]}-{request}-{job}"

    def begin_serving(self, newest_job: int, *, now: float, restored: bool) -> int:
        """Continue above all numbers that were given; returns the number of the next request."""
        self._sql.do("reserve_numbers")
        last = self._given()
        given: dict[str, int] = {"events": last.events, "jobs": last.jobs, "notices": last.notices}
        if restored:
            for name, rate in RATES.items():
                safe = int(rate * (now - BEGINNING))
                given[name] = safe if safe > given[name] else given[name] + rate * _LEFT_OUT
        given["jobs"] = max(given["jobs"], newest_job)
        self._sql.do_all(
            "go_on_behind", [{"name": name, "last": last} for name, last in given.items()]
        )
        self._sql.do("begin_handle_name", first=given["jobs"] + 1)
        self._names.clear()
        return given["events"] + 1
