"""A limit of time for regular expressions: some take years on a line of a hundred characters."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

SECONDS = 2.0
"""Seconds of processor time that the patterns of a table may take on one output."""

T = TypeVar("T")


class SlowPatternError(Exception):
    """The table's patterns or fields are not found in time."""

    def __init__(self) -> None:
        super().__init__("the table's regular expressions take too long on this output")


def within_time(look: Callable[[], T], seconds: float = SECONDS) -> T:
    """Return what a function finds. Raises SlowPatternError when it takes longer.

    `re` looks for signals while it searches, and nothing else interrupts it. Only a main thread
    gets them: the server's and every command's reads outputs there.
    """

    def late(_number: int, _frame: FrameType | None) -> None:
        raise SlowPatternError

    before = signal.signal(signal.SIGVTALRM, late)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        try:
            return look()
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    finally:
        signal.signal(signal.SIGVTALRM, before)
