"""What can go wrong in a vault; the text of each error is for the host."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from vtspolicy.tapes import Fingerprint

PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of a machine that has no descriptor or memory left just now."""


class VaultError(Exception):
    """A vault, pool or tape that cannot be used; the text is for the host."""

    renamed: Fingerprint | None = None  # the judged file, if only its renames by us have changed it


class ChangedError(VaultError):
    """A file that is not, or not any more, the one that was judged. It was left as it is."""


class InUseError(VaultError):
    """A file that another process has open, or is about to open. It was left as it is."""


class NoLeaseError(VaultError):
    """It is not known whether another process has a file open."""


class CannotExchangeError(VaultError):
    """A restored file that cannot take the place of the old one; its bytes can be copied."""


class CannotProbeError(VaultError):
    """A vault in which nothing can be written, so that what it can do is not known."""


class NotMountedError(VaultError):
    """A vault or pool of which the file system that has its tapes is not mounted."""


class NoSuchPoolError(VaultError):
    """There is no pool of this name in the vault."""


class NoSuchTapeError(VaultError):
    """No vault has a tape of this name, and no record says where it was."""


class VaultBusyError(VaultError):
    """The machine has no descriptor or memory left just now: wait, and try again."""


def trouble(error: OSError, what: str) -> VaultError:
    """Return the error that says what could not be done, and why."""
    kind = VaultBusyError if error.errno in PASSING else VaultError
    reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    return kind(f"{what}: {reason}")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Make errors of the system VaultErrors that begin with `what`."""
    try:
        yield
    except OSError as error:
        raise trouble(error, what) from error
