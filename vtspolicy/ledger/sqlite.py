"""The ledger in one SQLite file, for one server."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.ledger.book import Book
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.file import connect, copy, is_damage, result_code
from vtspolicy.ledger.groups import FIRST_DELAY, LAST_DELAY, GroupWriter, is_trouble
from vtspolicy.ledger.place import ServerLock
from vtspolicy.threads import Reactor, Threads

P = ParamSpec("P")
T = TypeVar("T")

_HELD = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""Another program has the file for itself, for a while."""

_log = Logger()


class SqliteLedger:
    """A ledger in one file, for one server. See vtspolicy.ledger.protocol.Ledger."""

    def __init__(self, path: Path | str, reactor: Reactor) -> None:
        self.path = Path(path)
        self._reactor = reactor
        self._trouble: str | None = None
        self._listeners: list[Callable[[str | None], object]] = []
        self._lock: ServerLock | None = None
        self._writer: GroupWriter | None = None
        self._reader: Threads | None = None
        self._reading: sqlite3.Connection | None = None
        self._pause: Deferred[None] | None = None  # of a start that waits for another program

    @property
    def backlog(self) -> int:
        """How many writes wait, or are under way."""
        return self._writer.backlog if self._writer is not None else 0

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; None when all is well."""
        return self._trouble

    def on_trouble(self, callback: Callable[[str | None], object]) -> None:
        """Have a callback told when trouble begins, or changes (why), and when it ends (None)."""
        self._listeners.append(callback)

    async def open(self) -> None:
        """Take the lock, open the file, bring it to the newest schema, look whether it is whole.

        While another program locks the file it waits. Raises LedgerInUse, LedgerLost,
        LedgerDamaged, LedgerTooNew; LedgerError when the place cannot be used.
        """
        try:
            self._lock = ServerLock(self.path)
            self._writer = await self._open_writer()
            try:
                self._lock.mark(self._writer.uid)
            except OSError:
                await self._writer.close()
                raise
        except (sqlite3.Error, OSError) as error:
            self._unlock()
            raise LedgerError(f"{self.path}: cannot be opened: {error}") from error
        except BaseException:
            self._unlock()
            raise
        self._reader = Threads("ledger-reader", self._reactor)

    async def _open_writer(self) -> GroupWriter:
        delay = FIRST_DELAY
        while True:
            try:
                writer = GroupWriter(self.path, self._reactor, self._tell)
            except sqlite3.Error as error:
                if result_code(error) not in _HELD:
                    raise
                if self._trouble is None:
                    _log.critical(
                        "Another program holds the ledger, which is waited for: {path}: {error}.",
                        action="ledger_held",
                        path=str(self.path),
                        error=str(error),
                    )
                self._tell(f"{self.path}: {error}")
            else:
                self._tell(None)
                return writer
            self._pause = Deferred()
            call = self._reactor.callLater(delay, self._pause.callback, None)
            try:
                await self._pause
            finally:
                self._pause = None
                if call.active():
                    call.cancel()
            delay = min(delay * 2, LAST_DELAY)

    async def close(self) -> None:
        """Write what waits, then close. While the disk is in trouble, what waits fails instead."""
        if self._pause is not None:
            self._pause.errback(LedgerError("the ledger was closed before it could be opened"))
            return
        reader, self._reader = self._reader, None
        if reader is None or self._writer is None:
            return
        reader.ask(self._close_reading)
        await reader.finish()
        await self._writer.close()
        self._unlock()

    def write(
        self, verb: Callable[Concatenate[Book, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that writes; the answer is on the disk when it comes."""
        if self._writer is None:
            return fail(LedgerError("the ledger is not open"))
        return self._writer.add(lambda book: verb(book, *args, **kwargs))

    def read(
        self, verb: Callable[Concatenate[Book, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that only reads, on what is committed, in the reader's thread."""
        answer: Deferred[T] = Deferred()
        self._ask(lambda: self._read(lambda book: verb(book, *args, **kwargs)), answer, FIRST_DELAY)
        return answer

    def backup(self, path: Path) -> Deferred[None]:
        """Make a consistent copy while all goes on, in a thread of its own."""
        copier = Threads("ledger-copy", self._reactor)
        copied = copier.ask(lambda: copy(self.path, path))
        copier.finish()
        return copied

    def _ask(self, question: Callable[[], T], answer: Deferred[T], delay: float) -> None:
        """Have the reader answer a question; in trouble that can pass, ask again after a while."""
        if self._reader is None:
            answer.errback(LedgerError("the ledger is closed"))
            return

        def failed(failure: Failure) -> None:
            error = failure.value
            if error is not None and is_trouble(error) and not is_damage(error):
                later = min(delay * 2, LAST_DELAY)
                self._reactor.callLater(delay, self._ask, question, answer, later)
            else:
                answer.errback(failure)

        self._reader.ask(question).addCallbacks(answer.callback, failed)

    def _tell(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            for callback in self._listeners:
                callback(trouble)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # -- in the reader's thread

    def _read(self, run: Callable[[Book], T]) -> T:
        """Run a verb on one moment of the ledger; after an error of SQLite connect anew."""
        if self._reading is None:
            self._reading = connect(self.path, readonly=True)
            self._readers_book = Book(self._reading)
        try:
            self._reading.execute("BEGIN")
            try:
                return run(self._readers_book)
            finally:
                self._reading.execute("ROLLBACK")
        except sqlite3.Error:
            self._close_reading()
            raise

    def _close_reading(self) -> None:
        if self._reading is not None:
            with suppress(sqlite3.Error):
                self._reading.close()
            self._reading = None
