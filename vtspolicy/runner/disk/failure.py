"""What can stop the disk archive, each with a text for the person who reads it."""

import errno
from pathlib import Path

# A limit on file size and a quota look to the user like a disk that is full, because they are one.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskError(Exception):
    """The work was not done; nothing that looks like a copy or a restored tape was left behind."""


class BadHandleError(DiskError):
    """The handle cannot be the name of a copy."""


class HandleTakenError(DiskError):
    """The handle names an earlier copy of the same tape, with other data."""


class NoCopyError(DiskError):
    """The store holds no copy of this tape, or none under this handle."""


class DamagedError(DiskError):
    """The store names a copy, but what it holds is not what was put there."""


class StoppedError(BaseException):
    """A signal asked the program to stop. Not an Exception: nothing but a clean-up may catch it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def shown(path: Path | str) -> str:
    """Return `path` for a message: as it is, or escaped if it could upset a terminal."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def explained(error: OSError, doing: str, filling: Path) -> DiskError:
    """Return a system error as a sentence: what was being done, and why it could not be.

    `filling` is the folder that the work writes to: where to look when there is no space.
    """
    if error.errno in _FULL:
        return DiskError(f"{doing}: no space left in {shown(filling)} ({error.strerror})")
    where = f": {shown(str(error.filename))}" if error.filename else ""
    return DiskError(f"{doing}: {error.strerror or error}{where}")
