"""What an error of SQLite means: damage, trouble that may pass, or the operation's own fault."""

import sqlite3

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_TROUBLE = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY),
    *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}
"""What is the disk's fault, not the operation's: the group is kept and tried again."""

_HELD = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
"""Another program has the file for itself, for a while."""

_PASSING = {sqlite3.SQLITE_FULL, *_HELD}
"""Trouble that leaves the connection as good as new."""


def result_code(error: BaseException) -> int:
    """Return SQLite's primary result code of an error; 0 when it is not SQLite's own."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is not a ledger, or not whole."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _DAMAGE


def is_trouble(error: BaseException) -> bool:
    """Whether an error is the disk's, or another process's, so that trying again may help."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _TROUBLE


def is_held(error: BaseException) -> bool:
    """Whether another program has the file for itself, for a while."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _HELD


def is_passing(error: BaseException) -> bool:
    """Whether an error leaves the connection as good as new."""
    return isinstance(error, sqlite3.Error) and result_code(error) in _PASSING
