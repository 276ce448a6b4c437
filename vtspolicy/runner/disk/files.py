"""Files that are durable or gone: locks, temporary names, and the checks of a tape."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vtspolicy.runner.disk.failure import DiskError, shown

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
EARLY = 16 << 20  # bytes between two hints to write out


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make `folder` and what is missing above it, each durable in the folder that holds it."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for name in reversed(missing):
        with suppress(FileExistsError):  # another run archives another copy of the same tape
            name.mkdir(PRIVATE_FOLDER)
        sync_folder(name.parent)


def writer_to(descriptor: int) -> Callable[[memoryview | bytes], int]:
    """Return a function that writes all it is given; a plain write may stop half way."""

    def write(data: memoryview | bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        return len(data)

    return write


def early_writer_to(descriptor: int) -> Callable[[memoryview | bytes], int]:
    """Return a function like that of `writer_to`, for a long file that will be synced at its end.

    The system is advised every few mebibytes that the pages will not be read again: it begins to
    write them out while the work continues, the sync at the end is short, and a long file does not
    push everything else out of the machine's cache.
    """
    write = writer_to(descriptor)
    written = advised = 0

    def write_early(data: memoryview | bytes) -> int:
        nonlocal written, advised
        written += write(data)
        if written - advised >= EARLY:
            # The part before is by now written, and can be dropped; the last one is begun.
            start = max(0, advised - EARLY)
            os.posix_fadvise(descriptor, start, written - start, os.POSIX_FADV_DONTNEED)
            advised = written
        return len(data)

    return write_early


def remove(*paths: Path) -> None:
    """Remove files that may be gone already."""
    for path in paths:
        path.unlink(missing_ok=True)


@contextmanager
def claimed(path: Path, busy: str) -> Iterator[int]:
    """Hold a new, empty file that no other run can hold; give its descriptor.

    The lock ends with the process however it ends, so a file left by a kill is taken over. The name
    is removed at the end if it still means this file; renaming it is how to keep it. Raises
    DiskError with the text `busy` while another run holds it.
    """
    descriptor = _claim(path, busy)
    try:
        yield descriptor
    finally:
        if _still_names(path, descriptor):
            path.unlink()
        os.close(descriptor)


def _claim(path: Path, busy: str) -> int:
    new = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    old = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        made = True
        try:
            descriptor = os.open(path, new, PRIVATE_FILE)
        except FileExistsError:
            made = False
            try:
                descriptor = os.open(path, old)
            except FileNotFoundError:
                continue  # its owner has just finished
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DiskError(busy) from None
        if made and _still_names(path, descriptor):
            return descriptor
        # Left by a run that was killed. It is replaced, never written: somebody else could have
        # made the name as a hard link to a file that matters.
        if _still_names(path, descriptor):
            path.unlink()
        os.close(descriptor)


def _still_names(path: Path, descriptor: int) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def checked_tape(path: Path) -> os.stat_result | None:
    """Return what is at the path of a tape, None if nothing is.

    Raises DiskError for anything but a regular file with one name: a virtual tape is never a link,
    and the target of a link is not in the vault.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    _refuse_odd(path, found)
    return found


def _refuse_odd(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise DiskError(f"{shown(path)}: a symbolic link, not a virtual tape; it is not followed")
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise DiskError(f"{shown(path)}: {kind}; a virtual tape is a regular file")
    if found.st_nlink > 1:
        raise DiskError(
            f"{shown(path)}: this file has {found.st_nlink} names (hard links);"
            " a virtual tape has one"
        )


@contextmanager
def opened_tape(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """Open a virtual tape to read; give the descriptor and what it was when it was opened.

    Raises DiskError when there is none or it is not a plain file with one name.
    """
    if checked_tape(path) is None:
        raise DiskError(f"{shown(path)}: there is no such tape")
    # O_NONBLOCK: a named pipe that took the tape's place since the check must not hold us up.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DiskError(f"{shown(path)}: a symbolic link, not a virtual tape") from None
        raise
    try:
        found = os.fstat(descriptor)
        _refuse_odd(path, found)
        yield descriptor, found
    finally:
        os.close(descriptor)


def unchanged(before: os.stat_result, after: os.stat_result | None) -> bool:
    """Whether two looks saw the same file with, by size and time, the same content."""
    return (
        after is not None
        and os.path.samestat(before, after)
        and before.st_size == after.st_size
        and before.st_mtime_ns == after.st_mtime_ns
    )
