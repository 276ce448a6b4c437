"""A ledger in memory: the same operations, answers at once, and faults where a test wants them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, execute

from vtspolicy.changes import Written
from vtspolicy.events.event import Event, identity
from vtspolicy.jobs import RequestState
from vtspolicy.ledger import Scope, Transaction
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.sqlite.copies import write_out
from vtspolicy.ledger.sqlite.database_file import in_memory
from vtspolicy.ledger.sqlite.statements import SqliteStatements
from vtspolicy.requests import Intake
from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Tape

P = ParamSpec("P")
T = TypeVar("T")


class MemoryLedger:
    """See vtspolicy.ledger.protocol.Ledger. Every Deferred has fired when it is returned.

    `before`, when set, is called with the name of each operation that writes, before it runs: what
    it raises becomes the failure of that operation, and nothing is written. It begins with the
    `image` of another one, if given, which is made faster than an empty one.
    """

    def __init__(
        self, before: Callable[[str], object] | None = None, *, image: bytes | None = None
    ) -> None:
        self.before = before
        self.backlog = 0  # tests may set it
        self._trouble: str | None = None
        self._listeners: list[Callable[[str | None], object]] = []
        self._connection = in_memory(image)
        self._sql = SqliteStatements(self._connection)
        self.tx = Transaction(self._sql)  # for looking at it without a Deferred
        self._open = True

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; tests set it, and the listeners are called."""
        return self._trouble

    @trouble.setter
    def trouble(self, why: str | None) -> None:
        self._trouble = why
        for callback in self._listeners:
            callback(why)

    def on_trouble(self, callback: Callable[[str | None], object]) -> None:
        """Have a callback called when trouble begins (why) and ends (None)."""
        self._listeners.append(callback)

    async def open(self) -> None:
        """Open it; what was written before a `close` is still there: a restart."""
        self._open = True

    async def close(self) -> None:
        """Take no more operations."""
        self._open = False

    def write(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Written[T]]:
        """Run an operation in a transaction of its own."""

        def run() -> Written[T]:
            self._check()
            if self.before is not None:
                self.before(operation.__name__)
            self._sql.run("BEGIN IMMEDIATE")
            try:
                answer = self.tx.perform(operation, *args, **kwargs)
            except BaseException:
                self._sql.run("ROLLBACK")
                self.tx.forget()
                raise
            self._sql.run("COMMIT")
            return answer

        return execute(run)

    def read(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation that only reads."""

        def run() -> T:
            self._check()
            return self.tx.ask(operation, *args, **kwargs)

        return execute(run)

    def browse(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation that only reads; there is nothing here that it could hold up."""
        return self.read(operation, *args, **kwargs)

    def backup(self, path: Path) -> Deferred[None]:
        """Write all of it into a file."""
        return execute(write_out, self._connection, path)

    def image(self) -> bytes:
        """Return all that is in it."""
        return self._connection.serialize()

    def destroy(self) -> None:
        """Give the memory back; nothing can be asked after this."""
        self._open = False
        self._connection.close()

    def _check(self) -> None:
        if not self._open:
            raise LedgerError("the ledger is closed")


WORK = Work(application="DSK", run=("true",))
_FIRST = datetime(2026, 11, 22)  # noqa: DTZ001 - as displayed: no zone


def an_intake(number: int, **more: Any) -> Intake:
    """Return the command of the event of this number: the same number is the same event."""
    event = Event(
        text=f"VTSPolicy DSK '/V/P ref=R{number}'", time=_FIRST + timedelta(seconds=number)
    )
    tape = Tape(vault="V", pool="P", cartridge="A", path="/V/P/A")
    given: dict[str, Any] = {
        "event": event,
        "host": "NSK1",
        "received": 1000.0 + number,
        "state": RequestState.OPEN,
        "digest": identity("NSK1", event),
        "family": "DSK",
        "ref": f"R{number}",
        "jobs": (PlannedJob(work=WORK, values={}, lock=None, tape=tape),),
    }
    return Intake(**{**given, **more})
