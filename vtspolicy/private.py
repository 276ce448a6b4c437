"""Files and folders that only this user can access, with any umask."""

import os
from pathlib import Path


def make_private(file: Path) -> None:
    """Make a new, empty file that only this user may read or write. Raises OSError.

    SQLite gives the files that it makes beside a database the mode of the database.
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def make_folder(folder: Path) -> None:
    """Make a folder for this user alone. Raises OSError.

    Only the last folder is made: one that is missing above it may be on a disk that is not mounted,
    and what was begun in its place would hide behind it later.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError as error:
        above = [each for each in folder.parents if not each.exists()]
        if not above:  # /proc, for instance, takes no folders
            raise
        words = f"{above[-1]} is missing: mount its disk, or make the folder"
        raise FileNotFoundError(error.errno, words, str(folder)) from error
