"""One reader of a ledger's file: a connection and a thread, which answers one after the other."""

import math
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from vtspolicy.ledger.errors import LedgerError, LedgerUnreadable, QuestionTooLong
from vtspolicy.ledger.groups import FIRST_DELAY, LAST_DELAY
from vtspolicy.ledger.sqlite.database_file import connect
from vtspolicy.ledger.sqlite.faults import is_damage, is_trouble, result_code
from vtspolicy.ledger.sqlite.statements import SqliteStatements
from vtspolicy.ledger.transaction import Transaction
from vtspolicy.threads import Reactor, Threads

T = TypeVar("T")

STEPS = 100_000
"""Instructions of SQLite between looks at the clock: some milliseconds."""


class Reader:
    """Answers questions about what is committed. It has no thread and no file until it is asked."""

    def __init__(
        self,
        path: Path,
        reactor: Reactor,
        name: str,
        *,
        cache: int = 4000,
        longest: float | None = None,
    ) -> None:
        """Read with `cache` KiB of memory at most; a question may take `longest` seconds."""
        self._path = path
        self._reactor = reactor
        self._cache = cache
        self._longest = longest
        self._until = math.inf  # when the question is given up, by the steady clock
        self._thread: Threads | None = Threads(name, reactor)
        self._connection: sqlite3.Connection | None = None

    def ask(self, question: Callable[[Transaction], T]) -> Deferred[T]:
        """Answer a question. What keeps the disk from being read for a while is waited for.

        Fails with QuestionTooLong, with LedgerUnreadable of damage, and with LedgerError
        after `close`.
        """
        answer: Deferred[T] = Deferred()
        self._ask(lambda: self._read(question), answer, FIRST_DELAY)
        return answer

    async def close(self) -> None:
        """Answer what was asked, then let the file go. What has a limit is given up at once."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.ask(self._disconnect)
            await thread.finish()

    def _ask(self, question: Callable[[], T], answer: Deferred[T], delay: float) -> None:
        """Have the thread answer; in trouble that can pass, ask again after a while."""
        if self._thread is None:
            answer.errback(LedgerError("the ledger is closed"))
            return

        def failed(failure: Failure) -> None:
            error = failure.value
            if error is not None and is_trouble(error) and not is_damage(error):
                later = min(delay * 2, LAST_DELAY)
                self._reactor.callLater(delay, self._ask, question, answer, later)
            elif isinstance(error, sqlite3.Error):
                unreadable = LedgerUnreadable(str(error))
                unreadable.__cause__ = error
                answer.errback(unreadable)
            else:
                answer.errback(failure)

        self._thread.ask(question).addCallbacks(answer.callback, failed)

    # -- in the thread

    def _read(self, question: Callable[[Transaction], T]) -> T:
        """Answer on one moment of the ledger; after an error of SQLite connect again."""
        if self._is_given_up():
            raise LedgerError("the ledger is closed")
        if self._connection is None:
            self._connection = self._connect()
            self._tx = Transaction(SqliteStatements(self._connection))
        try:
            self._connection.execute("BEGIN")
            try:
                if self._longest is not None:
                    self._until = monotonic() + self._longest
                return question(self._tx)
            finally:
                self._until = math.inf
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._disconnect()
            if self._longest is not None and result_code(error) == sqlite3.SQLITE_INTERRUPT:
                raise QuestionTooLong(self._longest) from error
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, readonly=True, cache=self._cache)
        if self._longest is not None:
            connection.set_progress_handler(self._is_given_up, STEPS)
        return connection

    def _is_given_up(self) -> bool:
        is_over = self._thread is None and self._longest is not None
        return is_over or monotonic() > self._until

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
