"""The ledger in one SQLite file, for one server."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from vtspolicy.changes import Written
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.groups import FIRST_DELAY, LAST_DELAY
from vtspolicy.ledger.sqlite.copies import copy
from vtspolicy.ledger.sqlite.faults import is_held
from vtspolicy.ledger.sqlite.group_commit import GroupCommit
from vtspolicy.ledger.sqlite.preflight import ServerLock
from vtspolicy.ledger.sqlite.reader import Reader
from vtspolicy.ledger.transaction import Scope, Transaction
from vtspolicy.threads import Reactor, Threads

P = ParamSpec("P")
T = TypeVar("T")

BROWSED = 1000
"""KiB of the file that are kept in memory for who browses."""

TIMEOUT = 5.0
"""Seconds that a question of who browses may take: a few million rows looked through."""

_log = Logger()


class SqliteLedger:
    """A ledger in one file, for one server. See vtspolicy.ledger.protocol.Ledger."""

    def __init__(self, path: Path | str, reactor: Reactor) -> None:
        self.path = Path(path)
        self._reactor = reactor
        self._trouble: str | None = None
        self._listeners: list[Callable[[str | None], object]] = []
        self._lock: ServerLock | None = None
        self._writer: GroupCommit | None = None
        self._reader: Reader | None = None  # the engine's
        self._browser: Reader | None = None  # of all others: what they ask must not hold it up
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
        """Have a callback called when trouble begins, or changes (why), and when it ends (None)."""
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
        self._reader = Reader(self.path, self._reactor, "ledger-reader")
        self._browser = Reader(
            self.path, self._reactor, "ledger-browser", cache=BROWSED, longest=TIMEOUT
        )

    async def _open_writer(self) -> GroupCommit:
        delay = FIRST_DELAY
        while True:
            try:
                writer = GroupCommit(self.path, self._reactor, self._tell)
            except sqlite3.Error as error:
                if not is_held(error):
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
        browser, self._browser = self._browser, None
        if reader is None or browser is None or self._writer is None:
            return
        await browser.close()
        await reader.close()
        await self._writer.close()
        self._unlock()

    def write(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[Written[T]]:
        """Run an operation that writes; its answer and change are on the disk when they come."""
        if self._writer is None:
            return fail(LedgerError("the ledger is not open"))
        return self._writer.add(lambda tx: tx.perform(operation, *args, **kwargs))

    def read(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation that only reads, on what is committed, in the reader's thread."""
        return _ask(self._reader, lambda tx: tx.ask(operation, *args, **kwargs))

    def browse(
        self, operation: Callable[Concatenate[Scope, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run an operation as `read` does, beside all others; QuestionTooLong after TIMEOUT."""
        return _ask(self._browser, lambda tx: tx.ask(operation, *args, **kwargs))

    def backup(self, path: Path) -> Deferred[None]:
        """Make a consistent copy in a thread of its own, while the server runs."""
        copier = Threads("ledger-copy", self._reactor)
        copied = copier.ask(lambda: copy(self.path, path))
        copier.finish()
        return copied

    def _tell(self, trouble: str | None) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            for callback in self._listeners:
                callback(trouble)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _ask(reader: Reader | None, question: Callable[[Transaction], T]) -> Deferred[T]:
    if reader is None:
        return fail(LedgerError("the ledger is closed"))
    return reader.ask(question)
