"""A ledger's place: what lies there, looked at before SQLite may change it, and whose it is."""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from vtspolicy.ledger.errors import LedgerInUse, LedgerLost
from vtspolicy.private import make_folder

_PID = 11  # bytes of the lock's first line: a number that is changed in place moves nothing else
_MARK = re.compile(r"ledger ([0-9a-f]+)\n")
_HEAD = 20  # bytes of the file that are looked at
_ROLLBACK = b"\x01\x01"
"""Their last two where no WAL is used, as in our copies (sqlite.org/fileformat2.html, 1.3.2)."""

_RESTORE = "Restore it, or the newest copy made with `vtspolicy backup-ledger`"


def beside(path: Path, end: str) -> Path:
    """Return what SQLite keeps beside a ledger: it follows symbolic links first."""
    return Path(f"{os.path.realpath(path)}{end}")


def lock_of(path: Path) -> Path:
    """Return the file that a server locks."""
    return Path(f"{path}.lock")


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None when there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def mark_of(path: Path) -> str | None:
    """Return the uid of the ledger that was served here; None when none ever was."""
    try:
        text = lock_of(path).read_bytes()[_PID:].decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = _MARK.match(text)
    return found[1] if found else None


def _anew(path: Path) -> str:
    """Return how to begin with a new ledger, and what has to go for it."""
    files = [path, *(beside(path, end) for end in ("-wal", "-shm", "-journal"))]
    there = [str(each) for each in files if each.exists()]
    if mark_of(path) is not None:
        there.append(str(lock_of(path)))
    return f"To begin with an empty ledger, first move away {' and '.join(there)}"


def find(path: Path) -> bool:
    """Whether a ledger's file is there; False only when there is nothing at all of a ledger.

    SQLite makes a new database where the file is missing or empty, and removes the WAL beside it,
    even for who only reads: this comes before each connection. LedgerLost when something is left,
    be it the mark that a ledger was served here. Nothing is opened: closing the file would take
    SQLite's locks from it.
    """
    size = _size(path)
    if size:
        return True
    wal = _size(beside(path, "-wal"))
    others = [beside(path, end) for end in ("-wal", "-shm", "-journal")]
    if size is None and mark_of(path) is None and not any(each.exists() for each in others):
        return False
    found = "the file is missing" if size is None else "the file is empty"
    if wal:
        found += f", but {others[0]} is there with {wal} bytes, which hold what was recorded last"
    elif mark_of(path) is not None:
        found += f", but {lock_of(path)} says that ledger {mark_of(path)} was here"
    elif size is None:
        found += ", but files beside it are left"
    raise LedgerLost(str(path), found, f"{_RESTORE}. {_anew(path)}")


def examine(path: Path) -> None:
    """Look whether a ledger's file and its WAL belong together. LedgerLost when they do not.

    Only for a file that this process has not opened: closing it takes SQLite's locks from it.
    """
    with path.open("rb") as file:
        is_copy = file.read(_HEAD)[18:] == _ROLLBACK
    wal, shm = beside(path, "-wal"), beside(path, "-shm")
    if is_copy and _size(wal):
        # A ledger that was ever opened says so in its file before anything goes into a WAL. SQLite
        # would write the pages of the other one over those of the copy.
        raise LedgerLost(
            str(path),
            f"the file is a copy that no server has opened, but {wal} of another one is beside it",
            f"To start with the copy, first move away {wal} and {shm}",
        )
    # The last one to close removes both, this one first; looked at again for just that instant.
    if not is_copy and shm.exists() and not wal.exists() and shm.exists():
        raise LedgerLost(
            str(path),
            f"{shm} is there, but {wal} is not, which held what was recorded last",
            f"{_RESTORE}. To start without what was recorded last, first move away {shm}",
        )


def recognize(path: Path, uid: str) -> None:
    """Compare a ledger with the mark. LedgerLost when another one was served here."""
    mark = mark_of(path)
    if mark is not None and mark != uid:
        raise LedgerLost(
            str(path),
            f"the file is ledger {uid}, but {lock_of(path)} says that ledger {mark} was here",
            f"{_RESTORE}. To continue with this other one, first move away {lock_of(path)}",
        )


class ServerLock:
    """The lock that keeps a second server from a ledger; the kernel drops it when we die.

    Its file has two lines: the process id of who took it last, and `ledger UID` once a ledger was
    served. That mark stays, so that a ledger which is gone is not taken for one that never was.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock `PATH.lock`; LedgerInUse when another process has it."""
        self._ledger = path
        self.path = lock_of(path)
        make_folder(self.path.parent)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = os.pread(self._descriptor, _PID, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise LedgerInUse(str(path), int(text) if text.isdecimal() else None) from error
        with suppress(OSError):  # the number is for people; a full disk must not stop the start
            os.pwrite(self._descriptor, f"{os.getpid():<{_PID - 1}}\n".encode(), 0)

    def mark(self, uid: str) -> None:
        """Keep for ever, on the disk, which ledger is served here. OSError when it cannot be."""
        if mark_of(self._ledger) == uid:
            return
        os.pwrite(self._descriptor, f"ledger {uid}\n".encode(), _PID)
        os.fsync(self._descriptor)
        flush_folder(self.path.parent)

    def release(self) -> None:
        """Let the ledger go. The file stays: removing it could take the lock from a third."""
        os.close(self._descriptor)


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
