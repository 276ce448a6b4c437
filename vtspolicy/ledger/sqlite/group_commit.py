"""Group commit: what arrives while one transaction is flushed goes into the next one.

The operations run in the reactor's thread and only the flush in another: a thread that runs Python
between the statements would have to wait for the interpreter at each of them, up to five
milliseconds while the reactor is busy, which is just when the ledger must keep up.
"""

import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from vtspolicy.ledger.errors import LedgerError, LedgerMoved
from vtspolicy.ledger.groups import Groups, Waiting
from vtspolicy.ledger.sqlite.database_file import open_file, reopen_file
from vtspolicy.ledger.sqlite.faults import is_passing, is_trouble
from vtspolicy.ledger.sqlite.statements import SqliteStatements
from vtspolicy.ledger.transaction import Transaction
from vtspolicy.threads import Reactor, Threads

T = TypeVar("T")

SLICE = 0.004
"""Seconds of operations in one turn of the reactor, so that others get theirs."""


class GroupCommit:
    """The one writer of a ledger's file."""

    def __init__(self, path: Path, reactor: Reactor, tell: Callable[[str | None], object]) -> None:
        """Open the file; `tell` gets why nothing can be written, and None when it can again."""
        self._path = path
        self._reactor = reactor
        self._tell = tell
        self._connect(open_file(path))
        there = path.stat()
        self._file = (there.st_dev, there.st_ino)  # the one that is open, under any name
        self._flusher = Threads("ledger-flush", reactor)
        self._groups = Groups()
        self._name = ""  # of the group, in the ledger itself once it is committed
        self._begun = False  # a transaction is open
        self._busy = False  # a turn is due, or a flush under way
        self._pause: IDelayedCall | None = None  # until the next try
        self._closed: Deferred[None] | None = None

    @property
    def uid(self) -> str:
        """Which ledger it is."""
        return self._tx.meta.uid()

    @property
    def backlog(self) -> int:
        """How many operations wait, or are under way."""
        return self._groups.backlog

    def add(self, run: Callable[[Transaction], T]) -> Deferred[T]:
        """Have an operation run; its answer is on the disk when it comes."""
        operation = Waiting(run)
        if self._closed is not None:
            operation.fail(LedgerError("the ledger is closed"))
            operation.fire()
        else:
            self._groups.add(operation)
            self._go_on()
        return operation.deferred

    def close(self) -> Deferred[None]:
        """Write what waits, then close; in trouble there is one more try, then what waits fails."""
        self._closed = Deferred()
        closed = self._closed
        if self._pause is not None and self._pause.active():
            self._pause.reset(0)
        self._go_on()
        return closed

    # -- turns

    def _go_on(self) -> None:
        if not self._busy:
            self._busy = True
            self._reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._pause = None
        if not self.backlog:
            self._busy = False
            if self._closed is not None:
                self._end()
            return
        try:
            if not self._begun:
                self._look()
            if self._connection is None:
                self._connect(reopen_file(self._path))
            if not self._begun:
                # When a commit failed it is not known whether it reached the disk. Therefore each
                # group leaves its name in its own transaction, and is looked for before it is
                # tried again.
                if self._groups.is_flushed and self._tx.meta.last_batch() == self._name:
                    self._done()
                    return
                self._begin()
            if not self._slice():
                self._reactor.callLater(0, self._turn)
                return
            self._tx.meta.mark_batch(self._name)
        except (sqlite3.Error, LedgerError, OSError) as error:
            self._trouble(error)
            return
        self._groups.is_flushed = True
        flushed = self._flusher.ask(lambda: self._sql.run("COMMIT"))
        flushed.addCallbacks(lambda _none: self._done(), lambda why: self._trouble(why.value))

    def _begin(self) -> None:
        self._sql.run("BEGIN IMMEDIATE")
        self._begun = True
        self._groups.begin()
        if self._groups.is_empty:
            self._name = uuid.uuid4().hex

    def _slice(self) -> bool:
        """Run some operations; answers whether the transaction has all that it shall have."""
        groups = self._groups
        began = now = perf_counter()
        while now - began < SLICE:
            operation = groups.next(now - began)
            if operation is None:
                return True
            if groups.is_apart:
                self._work_apart(operation)
            else:
                try:
                    operation.work(self._tx)
                except Exception as error:
                    if is_trouble(error):
                        raise
                    groups.set_apart()
                    self._sql.run("ROLLBACK")
                    self._tx.forget()
                    self._begin()
                    continue
            groups.went()
            now = perf_counter()
        groups.pause(now - began)
        return False

    def _work_apart(self, operation: Waiting) -> None:
        """Run it in a savepoint: what it raises takes back its own part and no other's."""
        self._sql.run("SAVEPOINT operation")
        try:
            operation.work(self._tx)
        except Exception as error:
            if is_trouble(error):
                raise
            operation.fail(error)
            self._sql.run("ROLLBACK TO operation")
            self._tx.forget()
        self._sql.run("RELEASE operation")

    def _done(self) -> None:
        """The group is on the disk."""
        self._begun = False
        group = self._groups.done()
        self._tell(None)
        for operation in group:
            operation.fire()
        self._turn_again()

    def _turn_again(self) -> None:
        if self._groups.waits or self._closed is not None:
            self._reactor.callLater(0, self._turn)
        else:
            self._busy = False

    # -- trouble

    def _trouble(self, error: BaseException) -> None:
        """Undo, report, and try the same group again after a while."""
        self._undo(error)
        self._tell(str(error) if isinstance(error, LedgerError) else f"{self._path}: {error}")
        if self._closed is not None:
            failed = self._groups.give_up(LedgerError(f"{self._path}: closed in trouble: {error}"))
            for operation in failed:
                operation.fire()
            self._turn_again()
            return
        self._pause = self._reactor.callLater(self._groups.again(), self._turn)

    def _undo(self, error: BaseException) -> None:
        """Roll back; after an error of the device begin with a new connection."""
        self._begun = False
        self._tx.forget()
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            error = second
        if isinstance(error, LedgerMoved):
            return  # what was removed is there only as long as it is open; it may get its name back
        if not is_passing(error):
            self._drop()

    def _look(self) -> None:
        """Look whether the open file is still the one at its place; LedgerMoved when it is not.

        What is written into a file without a name is gone with the server.
        """
        try:
            there = os.stat(self._path)  # noqa: PTH116 - for each group: no object for it
        except FileNotFoundError:
            raise LedgerMoved(str(self._path), "the file was removed or renamed") from None
        if (there.st_dev, there.st_ino) != self._file:
            raise LedgerMoved(str(self._path), "another file was put in its place")
        if there.st_size == 0:
            raise LedgerMoved(str(self._path), "the file was emptied")

    def _connect(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._sql = SqliteStatements(connection)
        self._tx = Transaction(self._sql)

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _end(self) -> None:
        self._drop()
        if self._closed is not None:
            self._flusher.finish().chainDeferred(self._closed)
