"""A ledger's file: made, opened, brought to the newest schema, checked, copied."""

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from vtspolicy.ledger.errors import (
    LedgerDamaged,
    LedgerError,
    LedgerLost,
    LedgerMissing,
    LedgerNotLocal,
    LedgerTooNew,
    LedgerTooOld,
)
from vtspolicy.ledger.place import (
    ServerLock,
    beside,
    examine,
    find,
    flush_folder,
    lock_of,
    recognize,
)
from vtspolicy.ledger.sql import migrations
from vtspolicy.ledger.statements import Statements
from vtspolicy.ledger.transaction import Transaction
from vtspolicy.private import make_folder, make_private

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SHORT = 0.05
"""Seconds that the reactor's thread waits for a lock; then it is tried again later."""

ABANDONED = 3600.0
"""Seconds without a write after which a copy is taken for abandoned."""

MAGIC = b"SQLite format 3\x00"
"""How the file of a database begins."""

MIGRATING_CACHE = 65_536
"""KiB of the file that are kept in memory while every row of it may be rewritten."""

_SMALL = ("meta", "tallies")  # what start reads first; a million rows are not read at every start


def result_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code of an error; 0 when it is not SQLite's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is not a ledger, or not whole."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _DAMAGE


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
    """Note in a copy that it is one, for the server that begins an era with it.

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
        _appear(part, place)
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
    LedgerMissing, LedgerLost, LedgerDamaged, LedgerTooNew or LedgerTooOld.
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
            yield Transaction(Statements(connection))
            connection.execute("ROLLBACK" if readonly else "COMMIT")
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise LedgerDamaged(str(path), str(error)) from error
        raise
    finally:
        if lock is not None:
            lock.release()


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def copy(source: Path, target: Path) -> None:
    """Make a consistent copy of a ledger, in steps, also while others write to it.

    It appears under its name only when it is whole and on the disk. Another copy that is there is
    replaced, but not the ledger itself, what belongs to it, or any other file: LedgerError. Of
    several that are made at once each is whole, and the last one stays. What a copy left that was
    killed is removed.
    """
    own = [source, lock_of(source), *(beside(source, end) for end in ("-wal", "-shm"))]
    if any(_is_same(target, each) for each in own):
        raise LedgerError(f"{target} is the ledger itself: name another file for its copy")
    if not _is_replaceable(target):
        raise LedgerError(
            f"{target} is there and is not a copy of a ledger: name another file, or remove it"
        )
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    with closing(connect(source, readonly=True)) as reading:
        try:
            make_private(part)
            with closing(sqlite3.connect(part, isolation_level=None)) as writing:
                # One reading transaction over all steps: what is written meanwhile is not seen, and
                # so never makes the copy begin again.
                reading.execute("BEGIN")
                reading.execute("SELECT 1 FROM meta").fetchone()
                reading.backup(writing, pages=1000, sleep=0.005)
                reading.execute("ROLLBACK")
                writing.execute("PRAGMA journal_mode = DELETE")
            _remove_parts(target, part)
            _appear(part, target)
        finally:
            part.unlink(missing_ok=True)


def _is_replaceable(target: Path) -> bool:
    """Whether there is nothing, or an empty file or a database, under the name of a copy."""
    if not os.path.lexists(target):
        return True
    if not target.is_file():  # a device or a folder; or a link to nothing
        return False
    with target.open("rb") as file:
        return file.read(len(MAGIC)) in {MAGIC, b""}


def _remove_parts(target: Path, part: Path) -> None:
    """Remove what other copies to the same name have left that were killed, but none at work.

    One at work is written to all the time. Both times are of the clock of the folder's own disk. A
    lock is not used: over NFS it would be in the way of SQLite's.
    """
    before = part.stat().st_mtime - ABANDONED
    for other in target.parent.iterdir():
        if other.name.startswith(f".{target.name}.") and other.name.endswith(".part"):
            with suppress(OSError):  # it has just been finished
                if other.stat().st_mtime < before:
                    beside(other, "-journal").unlink(missing_ok=True)
                    other.unlink()


def _appear(part: Path, target: Path) -> None:
    """Give a file its name once it is on the disk."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(target)
    flush_folder(target.parent)
