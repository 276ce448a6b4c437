"""Say how far the work is, often enough to be believed and seldom enough to be kept."""

from collections.abc import Callable

EVERY = 5.0  # seconds between two lines


class ProgressLines:
    """Lines `progress 37%` for the engine, which reads them from the run's output."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._next = clock() + EVERY
        self._percent = -1

    def __call__(self, done: int, total: int) -> None:
        """Take notice of `done` bytes of `total`; write a line when it is time and it says more."""
        moment = self._clock()
        if moment < self._next or total == 0:
            return
        percent = done * 100 // total
        if percent != self._percent:
            self._percent = percent
            self._next = moment + EVERY
            self._write(f"progress {percent}%\n")
