"""Files and folders that only this user can access, whatever the umask."""

import os
from pathlib import Path


def make_private(file: Path) -> None:
    """Make a new, empty file that only this user may read or write. Raises OSError.

    SQLite gives the files that it makes beside a database the mode of the database.
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone. Raises OSError."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
