"""Statements by their names in the files of SQL, on one connection."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any

from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.sql import queries

Row = tuple[Any, ...]  # what a driver answers: the columns of one row, typed by the part that asks
Value = str | int | float | bytes | None

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


class Statements:
    """Runs the named statements."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._queries = queries("sqlite")

    def run(self, statement: str) -> None:
        """Run a statement that begins or ends a transaction, or a part of one."""
        self.connection.execute(statement)

    def do(self, query: str, *values: Value) -> int:
        """Run a statement; answer how many rows it changed."""
        return self._execute(self._queries[query], values).rowcount

    def one(self, query: str, *values: Value) -> Row | None:
        """Return the row of a statement, or None."""
        row: Row | None = self._execute(self._queries[query], values).fetchone()
        return row

    def need(self, query: str, *values: Value) -> Row:
        """Answer the row of a statement that always has one."""
        row = self.one(query, *values)
        if row is None:
            raise LedgerError(f"the ledger has no answer to {query} {values!r}")
        return row

    def all(self, query: str, *values: Value) -> list[Row]:
        """Return the rows of a statement."""
        return self._execute(self._queries[query], values).fetchall()

    def do_all(self, query: str, rows: Sequence[Sequence[Value]]) -> int:
        """Run a statement for each of the rows; answer how many rows it changed in all."""
        statement, before = self._queries[query], self.connection.total_changes
        at = 0

        def count() -> Iterator[Sequence[Value]]:
            nonlocal at
            for at, row in enumerate(rows):  # noqa: B007 - `at` is how far it came
                yield row

        try:
            self.connection.executemany(statement, count())
        except UnicodeEncodeError:
            for row in rows[at:]:
                self._execute(statement, row)
        return self.connection.total_changes - before

    def _execute(self, statement: str, values: Sequence[Value]) -> sqlite3.Cursor:
        try:
            return self.connection.execute(statement, values)
        except UnicodeEncodeError:
            # A JSON text can hold half a surrogate pair, which no UTF-8 can: it is shown as `?`.
            plain = [
                each.encode("utf-8", "replace").decode() if isinstance(each, str) else each
                for each in values
            ]
            return self.connection.execute(statement, plain)
        except OverflowError:
            # A number that somebody asks for may have any length; no row has the largest one.
            bounded = [
                min(max(each, -_LARGEST), _LARGEST) if isinstance(each, int) else each
                for each in values
            ]
            return self.connection.execute(statement, bounded)

    def filtered(
        self, query: str, first: Value, filters: Sequence[tuple[str, Value]], tail: str, limit: int
    ) -> list[Row]:
        """Run a query that ends in `WHERE ...`, with more conditions; columns are ours alone."""
        present = [(condition, value) for condition, value in filters if value is not None]
        more = "".join(f" AND {condition}" for condition, _ in present)
        statement = f"{self._queries[query]}{more} {tail} LIMIT ?"
        values = (first, *(value for _, value in present), limit)
        return self._execute(statement, values).fetchall()
