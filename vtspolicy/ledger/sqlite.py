"""The ledger in SQLite: one thread that writes in groups, one that reads."""

import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from vtspolicy.ledger.book import Book
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.ledger.file import ServerLock, connect, copy, open_file, result_code

P = ParamSpec("P")
T = TypeVar("T")

GROUP = 1000
"""How many verbs go into one transaction at most: enough that the flush costs nothing each."""

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


class _Verb:
    """One verb that waits for its turn, and then its answer."""

    __slots__ = ("answer", "deferred", "failed", "run")

    def __init__(self, run: Callable[[Book], object]) -> None:
        self.run = run
        self.deferred: Deferred[Any] = Deferred()  # each verb has its own type of answer
        self.answer: object = None
        self.failed = False

    def work(self, book: Book) -> None:
        self.failed = False
        self.answer = self.run(book)

    def fail(self, error: BaseException) -> None:
        self.failed = True
        self.answer = Failure(error)

    def fire(self) -> None:
        if self.failed:
            self.deferred.errback(cast("Failure", self.answer))  # fail() put it there
        else:
            self.deferred.callback(self.answer)


def is_trouble(error: BaseException) -> bool:
    """Whether an error is the disk's, or another process's, so that trying again may help."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _TROUBLE


class _Worker:
    """A thread with verbs that wait for it."""

    def __init__(
        self,
        name: str,
        reactor: IReactorFromThreads,
        work: Callable[[Sequence[_Verb]], None],
        most: int,
    ) -> None:
        self._reactor = reactor
        self._work = work
        self._most = most  # verbs in a group
        self._changed = threading.Condition()
        self._waiting: deque[_Verb] = deque()
        self._closing = False
        self._under_way = 0
        self._ended: Deferred[None] = Deferred()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    @property
    def backlog(self) -> int:
        return len(self._waiting) + self._under_way

    def start(self) -> None:
        self._thread.start()

    def add(self, verb: _Verb) -> None:
        with self._changed:
            if self._closing:
                verb.fail(LedgerError("the ledger is closed"))
                verb.fire()
                return
            self._waiting.append(verb)
            if len(self._waiting) == 1:
                self._changed.notify()

    def finish(self) -> Deferred[None]:
        """Do what waits, then end; fires when the thread has done its last work."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        return self._ended

    def pause(self, seconds: float) -> bool:
        """Wait a while; answers whether the ledger is being closed."""
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, seconds)
            return self._closing

    def _loop(self) -> None:
        while group := self._next():
            self._under_way = len(group)
            self._work(group)
            self._under_way = 0
            self._reactor.callFromThread(_fire, group)
        self._reactor.callFromThread(self._ended.callback, None)

    def _next(self) -> list[_Verb]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            count = min(len(self._waiting), self._most)
            return [self._waiting.popleft() for _ in range(count)]


def _fire(group: Sequence[_Verb]) -> None:
    for verb in group:
        verb.fire()


class SqliteLedger:
    """A ledger in one file, for one server. See vtspolicy.ledger.protocol.Ledger."""

    def __init__(self, path: Path | str, reactor: IReactorFromThreads) -> None:
        self.path = Path(path)
        self._reactor = reactor
        self._trouble: str | None = None
        self._told: str | None = None  # by the writer's thread
        self._opened = False
        self._listeners: list[Callable[[str | None], object]] = []
        self._lock: ServerLock | None = None
        self._writing: sqlite3.Connection | None = None
        self._book: Book | None = None
        self._reading: sqlite3.Connection | None = None
        self._writer = _Worker("ledger-writer", reactor, self._write_group, GROUP)
        self._reader = _Worker("ledger-reader", reactor, self._read_group, 1)

    # -- what the engine sees

    @property
    def backlog(self) -> int:
        """How many writes wait, or are under way."""
        return self._writer.backlog

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written just now; None when all is well."""
        return self._trouble

    def on_trouble(self, callback: Callable[[str | None], object]) -> None:
        """Have a callback told, in the reactor's thread, when trouble begins (why) and ends."""
        self._listeners.append(callback)

    async def open(self) -> None:
        """Take the lock, open the file, bring it to the newest schema, look whether it is whole.

        Raises LedgerInUse, LedgerDamaged, LedgerTooNew; LedgerError when the place cannot be used.
        """
        try:
            self._lock = ServerLock(self.path)
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be opened: {error.strerror}") from error
        try:
            self._writing = open_file(self.path)
            self._reading = connect(self.path, readonly=True)
        except (sqlite3.Error, OSError) as error:
            self._shut()
            raise LedgerError(f"{self.path}: cannot be opened: {error}") from error
        except BaseException:
            self._shut()
            raise
        self._book = Book(self._writing)
        self._readers_book = Book(self._reading)
        self._opened = True
        self._writer.start()
        self._reader.start()

    async def close(self) -> None:
        """Write what waits, then close. While the disk is in trouble, what waits fails instead."""
        if not self._opened:
            return
        self._opened = False
        await self._reader.finish()
        await self._writer.finish()
        self._shut()

    def write(
        self, verb: Callable[Concatenate[Book, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that writes; the answer is on the disk when it comes."""
        waiting = _Verb(lambda book: verb(book, *args, **kwargs))
        self._writer.add(waiting)
        return waiting.deferred

    def read(
        self, verb: Callable[Concatenate[Book, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a verb that only reads, on what is committed."""
        waiting = _Verb(lambda book: verb(book, *args, **kwargs))
        self._reader.add(waiting)
        return waiting.deferred

    def backup(self, path: Path) -> Deferred[None]:
        """Make a consistent copy while all goes on, in a thread of its own."""
        copied: Deferred[None] = Deferred()

        def run() -> None:
            try:
                copy(self.path, path)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                self._reactor.callFromThread(copied.errback, error)
            else:
                self._reactor.callFromThread(copied.callback, None)

        threading.Thread(target=run, name="ledger-copy", daemon=True).start()
        return copied

    # -- the writer's thread

    def _write_group(self, group: Sequence[_Verb]) -> None:
        """Commit a group, and do not come back before it is committed.

        When a commit fails nobody knows whether it reached the disk. Therefore each group leaves
        its name in the same transaction: that name is looked up before the group is tried again.
        """
        name = uuid.uuid4().hex
        tried = closing = False
        delay = FIRST_DELAY
        while True:
            try:
                book = self._writers_book()
                if not (tried and book.last_batch() == name):
                    tried = True
                    self._commit(book, group, name)
            except (sqlite3.Error, LedgerError, OSError) as error:
                self._abandon(error)
                self._tell(f"{self.path}: {error}")
                if closing:
                    _fail(group, LedgerError(f"{self.path}: closed in trouble: {error}"))
                    return
                closing = self._writer.pause(delay)
                delay = min(delay * 2, LAST_DELAY)
            except BaseException as error:  # noqa: BLE001 - the thread must go on, and somebody hear
                self._abandon(error)
                _fail(group, error)
                return
            else:
                self._tell(None)
                return

    def _writers_book(self) -> Book:
        if self._writing is None:
            self._writing = open_file(self.path)
            self._book = None
        if self._book is None:
            self._book = Book(self._writing)
        return self._book

    def _commit(self, book: Book, group: Sequence[_Verb], name: str) -> None:
        """Run a group as one transaction; a verb that raises takes back only its own part."""
        run = book.run
        run("BEGIN IMMEDIATE")
        try:
            for verb in group:
                verb.work(book)
        except Exception as error:
            if is_trouble(error):
                raise
            # Rare, and so paid for only now: the group again, each verb in a savepoint.
            run("ROLLBACK")
            book.forget()
            run("BEGIN IMMEDIATE")
            for verb in group:
                _work_apart(verb, book, run)
        book.mark_batch(name)
        run("COMMIT")

    def _abandon(self, error: BaseException) -> None:
        """Undo what was begun; after an error of the device begin with a new connection."""
        if self._writing is None:
            return
        if self._book is not None:
            self._book.forget()
        try:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
        except sqlite3.Error as second:
            error = second
        if not (isinstance(error, sqlite3.Error) and result_code(error) in _PASSING):
            with suppress(sqlite3.Error):
                self._writing.close()
            self._writing = None

    def _tell(self, trouble: str | None) -> None:
        if trouble != self._told:
            self._told = trouble
            self._reactor.callFromThread(self._set_trouble, trouble)

    def _set_trouble(self, trouble: str | None) -> None:
        self._trouble = trouble
        for callback in self._listeners:
            callback(trouble)

    # -- the reader's thread

    def _read_group(self, group: Sequence[_Verb]) -> None:
        """Run each verb on one moment of the ledger."""
        for verb in group:
            try:
                if self._reading is None:
                    self._reading = connect(self.path, readonly=True)
                    self._readers_book = Book(self._reading)
                self._reading.execute("BEGIN")
                try:
                    verb.work(self._readers_book)
                finally:
                    self._reading.execute("ROLLBACK")
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
                verb.fail(error)
                if isinstance(error, sqlite3.Error) and self._reading is not None:
                    with suppress(sqlite3.Error):
                        self._reading.close()
                    self._reading = None

    def _shut(self) -> None:
        for connection in (self._reading, self._writing):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._reading = self._writing = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _work_apart(verb: _Verb, book: Book, run: Callable[[str], object]) -> None:
    run("SAVEPOINT verb")
    try:
        verb.work(book)
    except Exception as error:
        if is_trouble(error):
            raise
        verb.fail(error)
        run("ROLLBACK TO verb")
        book.forget()
    run("RELEASE verb")


def _fail(group: Sequence[_Verb], error: BaseException) -> None:
    for verb in group:
        verb.fail(error)
