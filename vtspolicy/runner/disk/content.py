"""The content of an open tape, by its SHA-256."""

import hashlib
import os
from collections.abc import Callable

from vtspolicy.runner.disk.pump import pump


def sha256_of(descriptor: int, size: int, progress: Callable[[int, int], None]) -> str:
    """Read an open file to its end and return its SHA-256; `progress` is told of `size` bytes."""
    digest = hashlib.sha256()
    pump(
        lambda buffer: os.readv(descriptor, [buffer]),
        [digest.update],
        lambda done: progress(min(done, size), size),
    )
    return digest.hexdigest()
