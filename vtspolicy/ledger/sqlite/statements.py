"""The named statements on a connection of SQLite."""

import re
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.sql import queries
from vtspolicy.ledger.statements import Row, Value

_NAME = re.compile(r":(\w+)")

_LARGEST = 2**63 - 1
"""What SQLite's numbers can hold."""

Pick = Callable[[Mapping[str, Value]], Sequence[Value]]


class Prepared:
    """A statement with `?` for each `:name`, and what picks their values in this order.

    That is faster than names which SQLite has to look up at each call.
    """

    __slots__ = ("_make", "pick", "text")

    def __init__(self, statement: str) -> None:
        names = _NAME.findall(statement)
        self.text = _NAME.sub("?", statement)
        self.pick: Pick = (
            itemgetter(*names)
            if len(names) > 1
            else lambda values: [values[name] for name in names]
        )
        self._make: Callable[[Sequence[Any]], Row] | None = None

    def row_of(self, cursor: sqlite3.Cursor) -> Callable[[Sequence[Any]], Row]:
        """Return what makes a row, with its columns by their names, of what SQLite answers."""
        if self._make is None:  # their names, and so their types, are not known before
            names = [column[0] for column in cursor.description]
            kind: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024
            self._make = kind._make
            return kind._make
        return self._make


prepared = lru_cache(1000)(Prepared)
"""For lists: which filters they have makes them different statements."""


@cache
def _named() -> dict[str, Prepared]:
    return {name: Prepared(statement) for name, statement in queries("sqlite").items()}


class SqliteStatements:
    """See vtspolicy.ledger.statements.Statements."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._named = _named()

    def run(self, statement: str) -> None:
        """Run a statement that begins or ends a transaction, or a part of one."""
        self.connection.execute(statement)

    def do(self, query: str, **values: Value) -> int:
        """Run a statement; answers how many rows it changed."""
        statement = self._named[query]
        return self._execute(statement.text, statement.pick(values)).rowcount

    def one(self, query: str, **values: Value) -> Row | None:
        """Return the row of a statement, or None."""
        statement = self._named[query]
        cursor = self._execute(statement.text, statement.pick(values))
        row = cursor.fetchone()
        return None if row is None else statement.row_of(cursor)(row)

    def need(self, query: str, **values: Value) -> Row:
        """Return the row of a statement that always has one. Raises LedgerError without it."""
        row = self.one(query, **values)
        if row is None:
            raise LedgerError(f"the ledger has no answer to {query} {values!r}")
        return row

    def all(self, query: str, **values: Value) -> list[Row]:
        """Return the rows of a statement."""
        return self._rows(self._named[query], values)

    def do_all(self, query: str, rows: Sequence[Mapping[str, Value]]) -> int:
        """Run a statement for each of some values; answers how many rows it changed in all."""
        statement = self._named[query]
        pick, before, at = statement.pick, self.connection.total_changes, 0

        def picked() -> Iterator[Sequence[Value]]:
            nonlocal at
            for at, row in enumerate(rows):  # noqa: B007 - `at` is how far it came
                yield pick(row)

        try:
            self.connection.executemany(statement.text, picked())
        except UnicodeEncodeError:
            for row in rows[at:]:
                self._execute(statement.text, pick(row))
        return self.connection.total_changes - before

    def do_whole(self, query: str, rows: Sequence[Mapping[str, Value]]) -> bool:
        """Run a statement that changes one row for each of some values; False, and none, if not."""
        if len(rows) == 1:
            statement = self._named[query]
            return self._execute(statement.text, statement.pick(rows[0])).rowcount == 1
        self.run("SAVEPOINT whole")
        is_whole = self.do_all(query, rows) == len(rows)
        if not is_whole:
            self.run("ROLLBACK TO whole")
        self.run("RELEASE whole")
        return is_whole

    def select(
        self,
        query: str,
        conditions: Mapping[str, Value],
        *,
        order: str,
        limit: int,
        hint: str | None = None,
        **values: Value,
    ) -> list[Row]:
        """Return the rows of a statement that ends in `WHERE ...`, with more conditions."""
        given = {name: value for name, value in conditions.items() if value is not None}
        texts = queries("sqlite")
        parts = [texts[query], *(texts[name] for name in (*given, *((hint,) if hint else ())))]
        statement = prepared(f"{' AND '.join(parts)} ORDER BY {order} LIMIT :limit")
        return self._rows(statement, {**values, **given, "limit": limit})

    def _rows(self, statement: Prepared, values: Mapping[str, Value]) -> list[Row]:
        cursor = self._execute(statement.text, statement.pick(values))
        return list(map(statement.row_of(cursor), cursor))

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
