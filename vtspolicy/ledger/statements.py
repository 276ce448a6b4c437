"""How the parts of a transaction run statements: by name, whatever the database."""

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any, Protocol

Row = Any
"""A row with its columns as attributes, each typed by the part that asks."""

Value = str | int | float | bytes | None
Columns = dict[str, Value]
"""What a statement that writes a row is given, by the names of the columns."""


class Statements(Protocol):
    """Runs the named statements of `sql/*.sql` and of one database.

    `values` are what a statement has as `:name`. What a database refuses is its driver's error.
    """

    def do(self, query: str, **values: Value) -> int:
        """Run a statement; answers how many rows it changed."""

    def one(self, query: str, **values: Value) -> Row | None:
        """Return the row of a statement, or None."""

    def need(self, query: str, **values: Value) -> Row:
        """Return the row of a statement that always has one. Raises LedgerError without it."""

    def all(self, query: str, **values: Value) -> list[Row]:
        """Return the rows of a statement."""

    def do_all(self, query: str, rows: Sequence[Mapping[str, Value]]) -> int:
        """Run a statement for each of some values; answers how many rows it changed in all."""

    def do_whole(self, query: str, rows: Sequence[Mapping[str, Value]]) -> bool:
        """Run a statement that changes one row for each of some values; False, and none, if not."""

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
        """Return the rows of a statement that ends in `WHERE ...`, with more conditions.

        Those are statements, too, and have their own name for their value; one without a value is
        left out. A `hint` is one that needs no value, and `order` the columns to sort by.
        """


def to_json(value: Mapping[str, str] | Mapping[str, str | int]) -> str:
    """Return a flat mapping as the text of a column."""
    # Three times as fast as json.dumps, and every command has two of them.
    pairs = [
        f"{_quoted(key)}:{_quoted(each) if isinstance(each, str) else int(each)}"
        for key, each in value.items()
    ]
    return "{" + ",".join(pairs) + "}"
