"""A ledger's file: made, opened, brought to the newest schema, checked."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from vtspolicy.ledger.errors import (
    LedgerDamaged,
    LedgerLost,
    LedgerMissing,
    LedgerNotLocal,
    LedgerTooNew,
    LedgerTooOld,
    LedgerUnreadable,
)
from vtspolicy.ledger.sql import migrations
from vtspolicy.ledger.sqlite.faults import is_damage
from vtspolicy.ledger.sqlite.preflight import (
    ServerLock,
    beside,
    examine,
    find,
    flush_folder,
    recognize,
)
from vtspolicy.ledger.sqlite.statements import SqliteStatements
from vtspolicy.ledger.transaction import Transaction
from vtspolicy.private import make_folder, make_private

_SHORT = 0.05
"""Seconds that the reactor's thread waits for a lock; then it is tried again later."""

MIGRATING_CACHE = 65_536
"""KiB of the file that are kept in memory while every row of it may be rewritten."""

_SMALL = ("meta", "tallies")  # what start reads first; a million rows are not read at every start


def connect(
    path: Path,
    *,
    readonly: bool = False,
    alone: bool = False,
    busy: float = 5.0,
    cache: int = 4000,
) -> sqlite3.Connection:
    """Return a connection that begins no transaction on its own; any thread may use it in turn.

    `busy` is for how many seconds a lock of another process is waited for, `cache` how many KiB
    of the file are kept in memory at most. With `alone` there is no WAL, and none is made. It never
    makes a ledger: LedgerMissing or LedgerLost. LedgerNotLocal where no WAL can be had.
    """
    if not find(path):
        raise LedgerMissing(f"{path}: there is no ledger; `vtspolicy serve` makes it")
    mode = "ro" if readonly else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}{'&immutable=1' if alone else ''}",
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
            _note_copy(connection)
            _use_wal(connection, path)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        connection.execute(f"PRAGMA cache_size = -{cache}")
    except BaseException:
        connection.close()
        raise
    return connection


def _note_copy(connection: sqlite3.Connection) -> None:
    """Note in a copy that it is one, for the server that begins with it.

    It shows only until it has a WAL; and who gives it one need not come as far as that.
    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    if 0 < connection.execute("PRAGMA user_version").fetchone()[0] <= len(migrations("sqlite")):
        connection.execute(
            "INSERT INTO meta (key, value) VALUES ('put_back', '1') ON CONFLICT DO NOTHING"
        )


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Give a ledger its WAL; LedgerNotLocal where none can be had."""
    # SQLite raises no error then: it answers with the mode that stays.
    mode = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    if mode != "wal":
        raise LedgerNotLocal(str(path), mode)


def in_memory(image: bytes | None = None) -> sqlite3.Connection:
    """Return a connection to a new ledger in memory, or to one that `serialize` has given."""
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
    if image is None:
        migrate(connection, ":memory:")
    else:
        connection.deserialize(image)
    return connection


def migrate(connection: sqlite3.Connection, file: str) -> None:
    """Bring the schema to the newest version, one transaction for each step."""
    known = migrations("sqlite")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > len(known):
        raise LedgerTooNew(file, found, len(known))
    if found == len(known):
        return
    cache = int(connection.execute("PRAGMA cache_size").fetchone()[0])
    connection.execute(f"PRAGMA cache_size = -{MIGRATING_CACHE}")
    try:
        for number in range(found + 1, len(known) + 1):
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE;\n{known[number]}\nPRAGMA user_version = {number};\nCOMMIT;"
                )
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
    finally:
        connection.execute(f"PRAGMA cache_size = {cache}")


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


def inspect(connection: sqlite3.Connection, path: Path) -> int:
    """Look whether a file is the whole ledger that belongs here; answer its schema's number."""
    known = len(migrations("sqlite"))
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > known:
        raise LedgerTooNew(str(path), found, known)
    if found == 0:
        raise LedgerLost(
            str(path),
            "this file holds no ledger",
            "Put the ledger back, or the newest copy made with `vtspolicy backup-ledger`; or give"
            " the server a `ledger` of its own",
        )
    check(connection, str(path))
    recognize(path, connection.execute("SELECT value FROM meta WHERE key = 'uid'").fetchone()[0])
    return found


def probe(path: Path) -> None:
    """Look at a ledger without changing anything.

    Who may write and closes last writes the WAL into the file, and removes it, however damaged the
    file is. Who only reads cannot.
    """
    wal = beside(path, "-wal").exists()
    if not wal and beside(path, "-journal").exists():
        return  # a transaction was cut short; SQLite has to undo it before anybody can look
    with closing(connect(path, readonly=True, alone=not wal, busy=_SHORT)) as connection:
        inspect(connection, path)


def make(path: Path) -> None:
    """Make a new ledger. It appears under its name only when it is whole and on the disk."""
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.name}.new")
    part.unlink(missing_ok=True)  # of a start that was killed
    try:
        make_private(part)
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            migrate(connection, str(path))
        appear(part, place)
    finally:
        part.unlink(missing_ok=True)


def open_file(path: Path) -> sqlite3.Connection:
    """Open a ledger for writing; made when there is nothing of one.

    Raises LedgerLost, LedgerDamaged, LedgerTooNew, LedgerNotLocal, or the sqlite3.Error or OSError
    of a disk in trouble. Only for a file that this process has not opened: see `examine`.
    """
    make_folder(path.parent)
    if find(path):
        examine(path)
        _keep_from_others(path)
    else:
        make(path)
    return reopen_file(path)


def _keep_from_others(path: Path) -> None:
    """Take all rights to a ledger from other users; those of its group may be meant."""
    for each in (path, beside(path, "-wal"), beside(path, "-shm")):
        with suppress(FileNotFoundError, PermissionError):  # gone meanwhile, or not ours to change
            mode = stat.S_IMODE(each.stat().st_mode)
            if mode & stat.S_IRWXO:
                each.chmod(mode & ~stat.S_IRWXO)


def reopen_file(path: Path) -> sqlite3.Connection:
    """Open a ledger for writing, as `open_file`, but never make one."""
    try:
        probe(path)
        connection = connect(path, busy=_SHORT)
        try:
            migrate(connection, str(path))
            inspect(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
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
def open_ledger(url: str | os.PathLike[str], *, readonly: bool = True) -> Iterator[Transaction]:
    """Open a ledger beside its server, or without one, for the time of a `with`.

    What is read is one moment of the ledger. With `readonly=False` all is one transaction, undone
    when the block raises, and only while no server has the ledger (LedgerInUse). Raises
    LedgerMissing, LedgerLost, LedgerDamaged, LedgerTooNew, LedgerTooOld or LedgerUnreadable.
    """
    path = path_of(url)
    if not find(path):  # before its lock is made
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
            yield Transaction(SqliteStatements(connection))
            connection.execute("ROLLBACK" if readonly else "COMMIT")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
        raise LedgerUnreadable(str(error)) from error
    except sqlite3.Error as error:
        raise LedgerUnreadable(str(error)) from error
    finally:
        if lock is not None:
            lock.release()


def appear(part: Path, target: Path) -> None:
    """Give a file its name once it is on the disk."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(target)
    flush_folder(target.parent)
