"""Writing what a restore brought back to a file outside of the vaults, to be looked at."""

import hashlib
import os
from pathlib import Path

from vtspolicy.vaults.errors import told
from vtspolicy.vaults.files import OpenPool, opened
from vtspolicy.vaults.private import RESTORE

CHUNK = 1 << 20
"""Bytes that are copied at once."""


def digest(pool: OpenPool, token: str) -> str:
    """Return the SHA-256 of the private file of a restore, hexadecimal. Raises VaultError."""
    sha256 = hashlib.sha256()
    with opened(pool, pool.private(token, RESTORE), os.O_RDONLY) as file:
        while data := pool.system.read(file, CHUNK):
            sha256.update(data)
    return sha256.hexdigest()


def export(pool: OpenPool, token: str, destination: Path) -> None:
    """Write the private file of a restore to a new file, for its owner alone. Raises VaultError.

    A file that is there already is left alone, and one that is not whole is removed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with told(f"{destination} cannot be written"):
        new = os.open(destination, flags, 0o600)
        try:
            with opened(pool, pool.private(token, RESTORE), os.O_RDONLY) as file:
                while data := pool.system.read(file, CHUNK):
                    rest = memoryview(data)
                    while rest:
                        rest = rest[pool.system.write(new, rest) :]
            pool.system.sync(new)
        except BaseException:
            destination.unlink()
            raise
        finally:
            os.close(new)
