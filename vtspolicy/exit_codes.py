"""The exit codes of all commands, and of the server: one table for code, help and documents."""

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """An exit code with its meaning."""

    meaning: str  # in words, for help and documents

    DONE = (0, "done")
    FAILED = (1, "the work failed")
    USAGE = (2, "bad usage or configuration: a person must change something")
    WARNINGS = (3, "done, with warnings")
    REFUSED = (4, "rejected, denied, or no rule matches")
    GAVE_UP = (5, "gave up waiting")
    UNREACHABLE = (6, "the server cannot be reached")
    NOT_STARTED = (7, "`serve` could not start, for a reason that may pass")

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make one of a number and its meaning."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made


SUMMARY = f"Exit codes: {'; '.join(f'{each.value} {each.meaning}' for each in Exit)}."
"""All of them in one sentence."""
