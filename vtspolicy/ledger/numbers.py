"""The numbers of requests, jobs and notices, and the handles of copies: each is given once."""

from bisect import bisect_right

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.part import Part
from vtspolicy.ledger.statements import Statements

RATES = {"events": 10_000, "jobs": 10_000, "notices": 1_000_000}
"""More numbers than are given in a second, by the table that gives them; requests have those of
events. With so many for each second since BEGINNING, the numbers of a ledger that was restored are
above all that it gave after the copy. They fit into JSON's numbers till 2311.
"""

BEGINNING = 1767225600.0
"""From where they count, 2026-01-01 UTC: before all ledgers."""

_LEFT_OUT = 100
"""Seconds' worth of numbers that are left out where the clock is behind what the copy has given."""


class Numbers(Part):
    """Gives numbers and handles."""

    def __init__(self, sql: Statements, change: ChangeBuilder) -> None:
        super().__init__(sql, change)
        self._eras: list[tuple[int, str]] = []  # first job number and name, in order

    def forget(self) -> None:
        """Forget the names of the eras."""
        self._eras.clear()

    def given(self) -> dict[str, int]:
        """Return the last number that each table has given."""
        return dict(self._sql.all("numbers_given"))

    def handle(self, request: int, job: int) -> str:
        """Return the handle of the copy that a job makes.

        No other ledger gives it again, nor does this one after it was restored from a copy: each
        server that opens it begins an era with a name of its own.
        """
        if not self._eras:
            self._eras = [(int(first), str(name)) for first, name in self._sql.all("eras")]
        era = bisect_right(self._eras, (job, "~")) - 1
        return f"vts-{self._eras[era][1]}-{request}-{job}"

    def begin_serving(self, newest_job: int, *, now: float, restored: bool) -> int:
        """Continue above all numbers that were given; returns the number of the next request."""
        self._sql.do("reserve_numbers")
        given = self.given()
        if restored:
            for name, rate in RATES.items():
                safe = int(rate * (now - BEGINNING))
                given[name] = safe if safe > given[name] else given[name] + rate * _LEFT_OUT
        given["jobs"] = max(given["jobs"], newest_job)
        self._sql.do_all("go_on_behind", [(number, name) for name, number in given.items()])
        self._sql.do("begin_era", given["jobs"] + 1)
        self._eras.clear()
        return given["events"] + 1
