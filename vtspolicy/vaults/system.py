"""The system calls that change or compare files of a vault, each through a descriptor.

They stand in one class so that a test can act between any two of them, as a host could.
"""

import ctypes
import errno
import fcntl
import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

FOLDER = os.O_RDONLY | os.O_DIRECTORY
"""How a folder is opened; O_NOFOLLOW is added for every one below a vault's root."""

FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
"""How a file is opened: no link is followed, and a pipe in its place holds nothing up."""


class System:
    """The kernel, as this adapter uses it. Names are relative to the descriptor of a folder."""

    def open(self, name: str | Path, flags: int, folder: int | None = None) -> int:
        """Open a file or folder; a new file is for its owner alone."""
        return os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)

    def close(self, file: int) -> None:
        """Close a descriptor."""
        os.close(file)

    def facts(self, file: int) -> os.stat_result:
        """Return what is known of an open file."""
        return os.fstat(file)

    def facts_at(self, name: str, folder: int) -> os.stat_result:
        """Return what is known of a name; a symbolic link is not followed."""
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def mount_point(self, folder: str) -> str | None:
        """Return where the file system that has a folder is mounted; None when that is not known.

        A folder of the same file system that is mounted again is not told apart from its parent.
        """
        try:
            place = Path(folder).resolve(strict=True)
            device = place.stat().st_dev
            while place != place.parent and place.parent.stat().st_dev == device:
                place = place.parent
        except OSError:
            return None
        return str(place)

    def truncate(self, file: int) -> None:
        """Empty a file."""
        os.ftruncate(file, 0)

    def sync(self, file: int) -> None:
        """Make a file's data, or the names in a folder, durable."""
        os.fsync(file)

    def read(self, file: int, size: int) -> bytes:
        """Read some bytes; none at the end of the file."""
        return os.read(file, size)

    def write(self, file: int, data: bytes | memoryview) -> int:
        """Write some bytes and return how many."""
        return os.write(file, data)

    def unlink(self, name: str, folder: int) -> None:
        """Remove a name of a file."""
        os.unlink(name, dir_fd=folder)

    def link(self, old: str, new: str, folder: int) -> None:
        """Give a file a second name, unless something has it."""
        os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)

    def rename(self, old: str, new: str, folder: int, *, source: int | None = None) -> None:
        """Rename, replacing an existing file of the new name."""
        os.rename(old, new, src_dir_fd=folder if source is None else source, dst_dir_fd=folder)

    def rename_free(self, old: str, new: str, folder: int, *, source: int | None = None) -> None:
        """Rename, unless something has the new name: FileExistsError. EINVAL: not supported."""
        _renameat2(folder if source is None else source, old, folder, new, RENAME_NOREPLACE)

    def exchange(self, one: str, other: str, folder: int) -> None:
        """Exchange what two names mean, in one step. EINVAL: not supported."""
        _renameat2(folder, one, folder, other, RENAME_EXCHANGE)

    def make_folder(self, name: str, folder: int) -> None:
        """Make a folder for its owner alone."""
        os.mkdir(name, 0o700, dir_fd=folder)

    def remove_folder(self, name: str, folder: int) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=folder)

    def lease(self, file: int, kind: int) -> None:
        """Take (F_RDLCK, F_WRLCK) or give back (F_UNLCK) a lease.

        When another process opens the file, the kernel sends the process that holds the lease a
        signal: SIGURG, which is ignored unless somebody asked for it, and not SIGIO, which kills.
        """
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, kind)

    def leased(self, file: int) -> int:
        """Return which lease is held; another than was taken when somebody waits for the file."""
        return fcntl.fcntl(file, fcntl.F_GETLEASE)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def set_owner(self, file: int, user: int, group: int) -> None:
        """Give a file to a user and group; -1 leaves either as it is."""
        os.fchown(file, user, group)

    def set_mode(self, file: int, mode: int) -> None:
        """Set the mode of a file."""
        os.fchmod(file, mode)

    def touch(self, file: int, ns: tuple[int, int] | None = None) -> None:
        """Set a file's times of access and write; without any, to now by the vault's clock."""
        if ns is None:
            os.utime(file)
        else:
            os.utime(file, ns=ns)

    def attributes(self, file: int) -> dict[str, bytes]:
        """Return the extended attributes of a file, its access list among them."""
        try:
            names = os.listxattr(file)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return {}
        return {name: os.getxattr(file, name) for name in names}

    def set_attribute(self, file: int, name: str, value: bytes | None) -> None:
        """Set an extended attribute, or remove it."""
        if value is None:
            os.removexattr(file, name)
        else:
            os.setxattr(file, name, value)


@functools.cache
def boot() -> str | None:
    """Return the kernel's name for this boot; None when /proc does not have it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def lease_break_time() -> float:
    """Return how many seconds the kernel lets a process wait for a lease; 0: without end."""
    try:
        return float(Path("/proc/sys/fs/lease-break-time").read_text("utf-8"))
    except (OSError, ValueError):
        return 45.0


@functools.cache
def _rename_call() -> Callable[..., int] | None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return None  # an old C library
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call  # type: ignore[no-any-return]  # ctypes makes it at run time


def _renameat2(source: int, old: str, folder: int, new: str, flags: int) -> None:
    call = _rename_call()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(source, os.fsencode(old), folder, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old, None, new)
