"""A ledger's file: opened, brought to the newest schema, checked, locked, copied."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from vtspolicy.ledger.book import Book
from vtspolicy.ledger.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerTooNew,
    LedgerTooOld,
)
from vtspolicy.ledger.sql import migrations

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SMALL = ("meta", "tallies")  # what start reads first; a million rows are not read at every start


def result_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 when it is not SQLite's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is not a ledger, or not whole."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _DAMAGE


def connect(path: Path, *, readonly: bool = False, busy: float = 5.0) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself; any thread may use it in turn.

    `busy` is for how many seconds a lock of another process is waited for.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={'ro' if readonly else 'rwc'}",
        uri=True,
        timeout=busy,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        if readonly:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        connection.execute("PRAGMA cache_size = -4000")
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, file: str) -> None:
    """Bring the schema to the newest version, one transaction for each step."""
    known = migrations("sqlite")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > len(known):
        raise LedgerTooNew(file, found, len(known))
    for number in range(found + 1, len(known) + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{known[number]}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def check(connection: sqlite3.Connection, file: str) -> None:
    """Look at the small tables, and at the ends of the large ones; LedgerDamaged when not whole."""
    for table in _SMALL:
        found = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()[0]
        if found != "ok":
            raise LedgerDamaged(file, str(found))
    for table in ("requests", "jobs", "notices", "transitions", "events"):
        connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608 - names are ours
    if connection.execute("SELECT 1 FROM meta WHERE key = 'uid'").fetchone() is None:
        raise LedgerDamaged(file, "it has no identity")


def open_file(path: Path) -> sqlite3.Connection:
    """Open a ledger for writing; made when there is none.

    Raises LedgerDamaged, LedgerTooNew, or the sqlite3.Error or OSError of a disk in trouble.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Short: it is waited for in the reactor's thread, and tried again later.
        connection = connect(path, busy=0.05)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
        raise
    try:
        migrate(connection, str(path))
        check(connection, str(path))
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def path_of(url: str | os.PathLike[str]) -> Path:
    """Return the file of `sqlite:///var/lib/ledger.db`, or of a plain path.

    Three slashes are followed by an absolute path without its own first one, as everywhere else.
    """
    text = os.fspath(url)
    if text.startswith("sqlite://"):
        return Path("/" + text.removeprefix("sqlite://").lstrip("/"))
    if "://" in text:
        raise LedgerMissing(f"{text}: a ledger is sqlite:///PATH; other kinds are not built in")
    return Path(text)


@contextmanager
def open_book(url: str | os.PathLike[str], *, readonly: bool = True) -> Iterator[Book]:
    """Open a ledger beside its server, or without one, for the time of a `with`.

    What is read is one moment of the ledger. With `readonly=False` all is one transaction, undone
    when the block raises, and only while no server has the ledger (LedgerInUse). Raises
    LedgerMissing, LedgerDamaged, LedgerTooNew or LedgerTooOld.
    """
    path = path_of(url)
    if not path.exists():
        raise LedgerMissing(f"{path}: there is no ledger; `vtspolicy serve` makes it")
    lock = None if readonly else ServerLock(path)
    try:
        with closing(connect(path, readonly=readonly)) as connection:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            known = len(migrations("sqlite"))
            if found > known:
                raise LedgerTooNew(str(path), found, known)
            if found == 0:
                raise LedgerMissing(f"{path}: this file holds no ledger")
            if found < known:
                raise LedgerTooOld(str(path), found, known)
            connection.execute("BEGIN" if readonly else "BEGIN IMMEDIATE")
            connection.execute("SELECT 1 FROM meta").fetchone()  # the moment is chosen here
            yield Book(connection)
            connection.execute("ROLLBACK" if readonly else "COMMIT")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
        raise
    finally:
        if lock is not None:
            lock.release()


class ServerLock:
    """The lock that keeps a second server from a ledger; the kernel drops it when we die."""

    def __init__(self, path: Path) -> None:
        """Take the lock `PATH.lock`; LedgerInUse when another process has it."""
        self.path = Path(f"{path}.lock")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise LedgerInUse(str(path), int(text) if text.isdecimal() else None) from error
        with suppress(OSError):  # the number is for people; a full disk must not stop the start
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the ledger go. The file stays: removing it could take the lock from a third."""
        os.close(self._descriptor)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def copy(source: Path, target: Path) -> None:
    """Make a consistent copy of a ledger, in steps, whoever writes to it meanwhile.

    It appears under its name only when it is whole and on the disk; a file that is there is
    replaced, but not the ledger itself, or what belongs to it: LedgerError.
    """
    own = [source, *(Path(f"{source}{end}") for end in ("-wal", "-shm", ".lock"))]
    if any(_is_same(target, each) for each in own):
        raise LedgerError(f"{target} is the ledger itself: name another file for its copy")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    reading = connect(source, readonly=True)
    try:
        writing = sqlite3.connect(part, isolation_level=None)
        try:
            # One reading transaction over all steps: what is written meanwhile is not seen, and so
            # never makes the copy begin again.
            reading.execute("BEGIN")
            reading.execute("SELECT 1 FROM meta").fetchone()
            reading.backup(writing, pages=1000, sleep=0.005)
            reading.execute("ROLLBACK")
            writing.execute("PRAGMA journal_mode = DELETE")
        finally:
            writing.close()
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        reading.close()
        part.unlink(missing_ok=True)
