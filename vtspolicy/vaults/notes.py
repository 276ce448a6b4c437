"""Notes: what an act was about to do, beside the tape, so that a crash in it can be put right."""

import errno
import json
import os
from typing import Any

from attrs import asdict, frozen

from vtspolicy.tapes import Fingerprint
from vtspolicy.vaults.files import OpenPool
from vtspolicy.vaults.system import FILE

LONGEST = 4096
"""Bytes of the longest note that is believed."""


@frozen(kw_only=True)
class Note:
    """Which file was to take the place of which."""

    new: Fingerprint  # the private file
    judged: Fingerprint | None  # the tape's; None: there was none


def write(pool: OpenPool, name: str, note: Note) -> None:
    """Leave a note under a private name, durable before anything is done. Raises OSError."""
    system = pool.system
    if pool.has(name):
        system.unlink(name, pool.folder)
    file = system.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, pool.folder)
    try:
        text = json.dumps(asdict(note)).encode()
        if system.write(file, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        system.sync(file)
    finally:
        system.close(file)
    pool.sync()


def read(pool: OpenPool, name: str) -> Note | None:
    """Return the note of that name; None if it is missing or incomplete."""
    try:
        file = pool.system.open(name, os.O_RDONLY | FILE, pool.folder)
    except FileNotFoundError:
        return None
    try:
        text = pool.system.read(file, LONGEST)
    finally:
        pool.system.close(file)
    try:
        said: dict[str, Any] = json.loads(text)  # Any: as JSON gives it; the classes check names
        judged = said["judged"]
        return Note(
            new=Fingerprint(**said["new"]),
            judged=None if judged is None else Fingerprint(**judged),
        )
    except (ValueError, TypeError, KeyError):
        return None  # it was being written: nothing had been done yet


def remove(pool: OpenPool, name: str) -> None:
    """Remove a note that may be gone already."""
    try:
        pool.system.unlink(name, pool.folder)
    except FileNotFoundError:
        return
