"""Group commit: what arrives while one transaction is flushed goes into the next one.

The verbs run in the reactor's thread and only the flush in another: a thread that runs Python
between the statements would have to wait for the interpreter at each of them, up to five
milliseconds while the reactor is busy, which is just when the ledger must keep up.
"""

import os
import sqlite3
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from vtspolicy.ledger.errors import LedgerError, LedgerMoved
from vtspolicy.ledger.file import open_file, reopen_file, result_code
from vtspolicy.ledger.statements import Statements
from vtspolicy.ledger.transaction import Transaction
from vtspolicy.threads import Reactor, Threads

T = TypeVar("T")

GROUP = 1000
"""How many verbs go into one transaction at most: enough that the flush costs nothing each."""

SLICE = 0.004
"""Seconds of verbs in one turn of the reactor, so that others get theirs."""

LONGEST = 0.1
"""Seconds of verbs in one transaction, about: no verb waits longer for those beside it."""

FIRST_DELAY = 0.1
LAST_DELAY = 5.0
"""Seconds between two tries of a group while the disk is in trouble."""

_TROUBLE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY),
    *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}
"""What is the disk's fault, not the verb's: the group is kept and tried again."""

_PASSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""Trouble that leaves the connection as good as new."""


def is_trouble(error: BaseException) -> bool:
    """Whether an error is the disk's, or another process's, so that trying again may help."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _TROUBLE


class _Verb:
    """One verb that waits for its turn, and then its answer."""

    __slots__ = ("answer", "deferred", "failed", "run")

    def __init__(self, run: Callable[[Transaction], object]) -> None:
        self.run = run
        self.deferred: Deferred[Any] = Deferred()  # each verb has its own type of answer
        self.answer: object = None
        self.failed = False

    def work(self, tx: Transaction) -> None:
        self.failed = False
        self.answer = self.run(tx)

    def work_apart(self, tx: Transaction) -> None:
        """Work in a savepoint: what it raises takes back its own part and no other's."""
        tx.sql.run("SAVEPOINT verb")
        try:
            self.work(tx)
        except Exception as error:
            if is_trouble(error):
                raise
            self.fail(error)
            tx.sql.run("ROLLBACK TO verb")
            tx.forget()
        tx.sql.run("RELEASE verb")

    def fail(self, error: BaseException) -> None:
        self.failed = True
        self.answer = Failure(error)

    def fire(self) -> None:
        if self.failed:
            self.deferred.errback(cast("Failure", self.answer))  # fail() put it there
        else:
            self.deferred.callback(self.answer)


class GroupWriter:
    """The one writer of a ledger's file."""

    def __init__(self, path: Path, reactor: Reactor, tell: Callable[[str | None], object]) -> None:
        """Open the file; `tell` gets why nothing can be written, and None when it can again."""
        self._path = path
        self._reactor = reactor
        self._tell = tell
        self._connection: sqlite3.Connection | None = open_file(path)
        there = path.stat()
        self._file = (there.st_dev, there.st_ino)  # the one that is open, under any name
        self._tx = Transaction(Statements(self._connection))
        self._flusher = Threads("ledger-flush", reactor)
        self._waiting: deque[_Verb] = deque()
        self._group: list[_Verb] = []
        self._name = ""  # of the group, in the ledger itself once it is committed
        self._run = 0  # how many of the group were run in this transaction
        self._worked = 0.0  # seconds that they took
        self._begun = False  # a transaction is open
        self._apart = False  # a verb of this group raised: each runs in a savepoint
        self._flushed = False  # a commit of this group was tried
        self._busy = False  # a turn is due, or a flush under way
        self._pause: IDelayedCall | None = None  # until the next try
        self._delay = FIRST_DELAY
        self._closed: Deferred[None] | None = None

    @property
    def uid(self) -> str:
        """Which ledger it is."""
        return self._tx.meta.uid()

    @property
    def backlog(self) -> int:
        """How many verbs wait, or are under way."""
        return len(self._waiting) + len(self._group)

    def add(self, run: Callable[[Transaction], T]) -> Deferred[T]:
        """Have a verb run; its answer is on the disk when it comes."""
        verb = _Verb(run)
        if self._closed is not None:
            verb.fail(LedgerError("the ledger is closed"))
            verb.fire()
        else:
            self._waiting.append(verb)
            self._go_on()
        return verb.deferred

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
            tx = self._open_transaction()
            if not self._begun:
                # When a commit failed it is not known whether it reached the disk. Therefore each
                # group leaves its name in its own transaction, and is looked for before it is
                # tried again.
                if self._flushed and tx.meta.last_batch() == self._name:
                    self._done()
                    return
                self._begin(tx)
            if not self._slice(tx):
                self._reactor.callLater(0, self._turn)
                return
            tx.meta.mark_batch(self._name)
        except (sqlite3.Error, LedgerError, OSError) as error:
            self._trouble(error)
            return
        self._flushed = True
        flushed = self._flusher.ask(lambda: tx.sql.run("COMMIT"))
        flushed.addCallbacks(lambda _none: self._done(), lambda why: self._trouble(why.value))

    def _begin(self, tx: Transaction) -> None:
        tx.sql.run("BEGIN IMMEDIATE")
        self._begun = True
        self._run = 0
        self._worked = 0.0
        if not self._group:
            self._name = uuid.uuid4().hex

    def _slice(self, tx: Transaction) -> bool:
        """Run some verbs; answers whether the transaction has all that it shall have."""
        began = now = perf_counter()
        while now - began < SLICE:
            if self._run == len(self._group):
                is_full = len(self._group) >= GROUP or self._worked + now - began >= LONGEST
                if not self._waiting or self._flushed or is_full:
                    return True
                self._group.append(self._waiting.popleft())
            verb = self._group[self._run]
            if self._apart:
                verb.work_apart(tx)
            else:
                try:
                    verb.work(tx)
                except Exception as error:
                    if is_trouble(error):
                        raise
                    # Rare, and so paid for only now: the group again, each verb in a savepoint.
                    self._apart = True
                    tx.sql.run("ROLLBACK")
                    tx.forget()
                    self._begin(tx)
                    continue
            self._run += 1
            now = perf_counter()
        self._worked += now - began
        return False

    def _done(self) -> None:
        """The group is on the disk."""
        group, self._group = self._group, []
        self._begun = self._apart = self._flushed = False
        self._delay = FIRST_DELAY
        self._tell(None)
        for verb in group:
            verb.fire()
        self._turn_again()

    def _turn_again(self) -> None:
        if self._waiting or self._closed is not None:
            self._reactor.callLater(0, self._turn)
        else:
            self._busy = False

    # -- trouble

    def _trouble(self, error: BaseException) -> None:
        """Undo, report, and try the same group again after a while."""
        self._undo(error)
        self._tell(str(error) if isinstance(error, LedgerError) else f"{self._path}: {error}")
        if self._closed is not None:
            for verb in (*self._group, *self._waiting):
                verb.fail(LedgerError(f"{self._path}: closed in trouble: {error}"))
            failed, self._group = (*self._group, *self._waiting), []
            self._waiting.clear()
            for verb in failed:
                verb.fire()
            self._turn_again()
            return
        self._pause = self._reactor.callLater(self._delay, self._turn)
        self._delay = min(self._delay * 2, LAST_DELAY)

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
        if not (isinstance(error, sqlite3.Error) and result_code(error) in _PASSING):
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

    def _open_transaction(self) -> Transaction:
        if self._connection is None:
            self._connection = reopen_file(self._path)
            self._tx = Transaction(Statements(self._connection))
        return self._tx

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _end(self) -> None:
        self._drop()
        if self._closed is not None:
            self._flusher.finish().chainDeferred(self._closed)
