"""Why a server could not start: what a person must change, and what may pass on its own."""

import errno

from twisted.internet.error import CannotListenError

from vtspolicy.exit_codes import Exit
from vtspolicy.ledger import LedgerError, LedgerInUse
from vtspolicy.runner.protocol import KeeperError, SpoolError, WrongSpoolError

START_ERRORS = (LedgerError, SpoolError, KeeperError, CannotListenError, OSError, ValueError)
"""What may be wrong when the server does not start; anything else is a defect of the program."""

_TO_CHANGE = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ELOOP, errno.ENAMETOOLONG),
    }
)
"""Errors of the system that no waiting ends."""


def exit_code(error: BaseException) -> Exit:
    """Return the exit code of a server that could not start for an error among START_ERRORS."""
    if isinstance(error, WrongSpoolError):
        return Exit.USAGE
    if isinstance(error, LedgerError):
        # Lost, damaged, moved, of another version, on a network share: a person has to decide.
        plain = type(error) is LedgerError or isinstance(error, LedgerInUse)
        return _by_cause(error) if plain else Exit.USAGE
    if isinstance(error, ValueError):
        return Exit.USAGE
    return _by_cause(error)


def _by_cause(error: BaseException) -> Exit:
    """Return the code by the error of the system that is behind an error, if there is one."""
    behind: BaseException | None = error
    while behind is not None:
        number = getattr(behind, "errno", None)
        if isinstance(behind, CannotListenError):
            number = getattr(behind.socketError, "errno", None)
        if number is not None:
            return Exit.USAGE if number in _TO_CHANGE else Exit.NOT_STARTED
        behind = behind.__cause__
    return Exit.NOT_STARTED
