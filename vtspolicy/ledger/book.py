"""The book: every verb of the ledger on one connection; its caller owns the transactions."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from vtspolicy.changes import ChangeBuilder, Written
from vtspolicy.ledger.clock import ClockDesk
from vtspolicy.ledger.intake import IntakeDesk
from vtspolicy.ledger.jobs import JobDesk
from vtspolicy.ledger.mounts import MountDesk
from vtspolicy.ledger.outbox import OutboxDesk
from vtspolicy.ledger.overview import OverviewDesk
from vtspolicy.ledger.retention import RetentionDesk

P = ParamSpec("P")
T = TypeVar("T")


class Book(ClockDesk, IntakeDesk, JobDesk, MountDesk, OutboxDesk, OverviewDesk, RetentionDesk):
    """All verbs. Each does one thing whole, inside a transaction that its caller began.

    Times are passed in, in seconds since the epoch. A verb that raises may have written: the caller
    rolls back and calls `forget`.
    """

    def perform(
        self, verb: "Callable[Concatenate[Book, P], T]", *args: P.args, **kwargs: P.kwargs
    ) -> Written[T]:
        """Run a verb, of the book or of several of its verbs; answers what it has changed, too."""
        self._change = ChangeBuilder()
        result = verb(self, *args, **kwargs)
        return Written(result, self._change.change())

    def mark_batch(self, batch: str) -> None:
        """Name the transaction that is about to be committed."""
        self._do("set_batch", batch)

    def last_batch(self) -> str:
        """Return the name of the last transaction that was committed."""
        return str(self._need("meta", "batch")[0])
