"""A vault's own clock: the change time that its file system gives a private file just now.

The clocks of a file server and of this node may differ, and a file's times are the server's.
"""

import errno
import itertools
import os
import stat
from collections.abc import Iterable

from vtspolicy.vaults.errors import trouble
from vtspolicy.vaults.system import FILE, System

CLOCK = ".vtspolicy-clock"
"""A private file that stays: to make one each time would look like a change of the pool."""

NOT_OURS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),  # nothing may be written
        *(errno.ENOSPC, errno.EDQUOT),  # nothing can be written
        *(errno.ELOOP, errno.ENXIO, errno.EISDIR),  # something else has the name
    }
)
"""Errors after which another private file is tried."""

_numbers = itertools.count(1)


def moment(system: System, folders: Iterable[int], what: str) -> int | None:
    """Return the vault's clock in nanoseconds since 1970, by the first folder that can be written.

    None when none of them can.
    """
    for folder in folders:
        for name in (CLOCK, f"{CLOCK}-{os.geteuid()}"):
            try:
                return _touched(system, folder, name)
            except OSError as error:
                if error.errno not in NOT_OURS:
                    raise trouble(error, f"{what} does not give the time") from error
        try:
            return _made(system, folder)
        except OSError as error:
            if error.errno not in NOT_OURS:
                raise trouble(error, f"{what} does not give the time") from error
    return None


def _touched(system: System, folder: int, name: str) -> int:
    """Touch the private file and return its change time. Raises OSError when it is not ours."""
    try:
        file = system.open(name, os.O_WRONLY | FILE, folder)
    except FileNotFoundError:
        try:
            file = system.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, folder)
        except FileExistsError:  # another server was faster
            file = system.open(name, os.O_WRONLY | FILE, folder)
    try:
        facts = system.facts(file)
        ours = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and facts.st_size == 0
        if not ours or facts.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a private file of ours", name)
        system.touch(file)
        return system.facts(file).st_ctime_ns
    finally:
        system.close(file)


def _made(system: System, folder: int) -> int:
    """Make a private file, return its change time, and remove it."""
    while True:
        name = f"{CLOCK}-{os.getpid()}-{next(_numbers)}"
        try:
            file = system.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, folder)
        except FileExistsError:
            continue  # left by another process of this number
        try:
            return system.facts(file).st_ctime_ns
        finally:
            system.close(file)
            system.unlink(name, folder)
