"""The parts of a transaction: each has the operations on one kind of record."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

from vtspolicy.changes import ChangeBuilder
from vtspolicy.ledger.statements import Statements


class Part:
    """Some operations on the ledger, inside a transaction that somebody else has begun.

    Each does one thing whole. What it changes is noted in the change of the transaction. Times are
    passed in, in seconds since the epoch.
    """

    def __init_subclass__(cls) -> None:
        """Let each operation know whose it is: `JobRecords.get` is asked of `tx.jobs`."""
        for operation in vars(cls).values():
            if isinstance(operation, FunctionType):
                operation.__dict__["part"] = cls

    def __init__(self, sql: Statements, change: ChangeBuilder) -> None:
        self._sql = sql
        self._change = change

    def forget(self) -> None:
        """Forget what was remembered of rows: the transaction was rolled back."""


def part_of(operation: Callable[..., Any]) -> type[Part] | None:
    """Return the part that an operation belongs to; None for a function of the transaction."""
    part: type[Part] | None = getattr(operation, "part", None)
    return part
