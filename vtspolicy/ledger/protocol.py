"""What the engine asks of a ledger, independent of its database."""

from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

from vtspolicy.changes import Written
from vtspolicy.ledger.transaction import Scope

P = ParamSpec("P")
T = TypeVar("T")


class Ledger(Protocol):
    """Runs operations: `ledger.read(JobRecords.get, 17)` answers a Deferred[Job | None].

    Each belongs to a part of a transaction, or is a function that is given the transaction.

    Who writes gets what changed beside the result, and has to see to what follows from it. In a
    server that is vtspolicy.engine.effects, for all others.

    Verbs that write are run in the order in which they were asked for, and what one
    wrote is on the disk before its Deferred fires.
    """

    @property
    def backlog(self) -> int:
        """How many writes wait, or are under way."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; None when all is well."""

    def on_trouble(self, callback: Callable[[str | None], object]) -> None:
        """Have a callback called when trouble begins (why) and ends (None)."""

    async def open(self) -> None:
        """Open it, made when there is none. Raises a LedgerError."""

    async def close(self) -> None:
        """Write what waits, then close."""

    def write(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Written[T]]:
        """Run an operation that writes; its result and its change are on the disk when they come.

        While the disk is in trouble the operation is kept and tried again until it succeeds. What
        it raises itself comes back as its failure, and nothing of it stays.
        """

    def read(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation that only reads, on what is committed.

        What keeps the disk from being read for a while is waited for. Of damage the answer is
        LedgerUnreadable.
        """

    def browse(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation as `read` does, for somebody who may ask anything.

        It holds up nothing that is read or written. What would take too long fails with
        QuestionTooLong.
        """

    def backup(self, path: Path) -> Deferred[None]:
        """Make a consistent copy while the server runs."""
