"""Consistent copies of a ledger's file, made while others write to it."""

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from vtspolicy.ledger.errors import LedgerError, LedgerUnreadable
from vtspolicy.ledger.sqlite.database_file import appear, connect
from vtspolicy.ledger.sqlite.preflight import beside, lock_of
from vtspolicy.private import make_private

ABANDONED = 3600.0
"""Seconds without a write after which a copy is taken for abandoned."""

MAGIC = b"SQLite format 3\x00"
"""How the file of a database begins."""


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
    killed is removed. LedgerUnreadable where the ledger or the disk does not allow it.
    """
    own = [source, lock_of(source), *(beside(source, end) for end in ("-wal", "-shm"))]
    if any(_is_same(target, each) for each in own):
        raise LedgerError(f"{target} is the ledger itself: name another file for its copy")
    if not _is_replaceable(target):
        raise LedgerError(
            f"{target} is there and is not a copy of a ledger: name another file, or remove it"
        )
    try:
        _copy(source, target)
    except sqlite3.Error as error:
        raise LedgerUnreadable(str(error)) from error


def write_out(connection: sqlite3.Connection, target: Path) -> None:
    """Write all that a connection sees into a file."""
    with closing(sqlite3.connect(target)) as writing:
        connection.backup(writing)


def _copy(source: Path, target: Path) -> None:
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
            appear(part, target)
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
