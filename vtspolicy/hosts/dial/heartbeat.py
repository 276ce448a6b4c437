"""The check from end to end: a heartbeat is posted on a silent link, and has to be shown."""

from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST_MISSING = 2
"""Heartbeats that may be missing before the link counts as broken."""


@define(kw_only=True)
class Heartbeat:
    """Posts a heartbeat when nothing was seen for so long."""

    clock: IReactorTime
    every: float  # seconds; 0 is off
    post: Callable[[], None]
    silent: Callable[[str], None]  # told when too many are missing
    is_held: Callable[[], bool] = lambda: False  # whether the display is not read just now
    _missing: int = 0
    _timer: IDelayedCall | None = None

    def start(self) -> None:
        """Begin, or begin with another interval."""
        self.stop()
        if self.every:
            self._timer = self.clock.callLater(self.every, self._ring)

    def stop(self) -> None:
        """Post no more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def seen(self) -> None:
        """The display has shown something: the way works."""
        self._missing = 0
        if self._timer is not None and self._timer.active():
            self._timer.reset(self.every)

    def _ring(self) -> None:
        self._timer = None
        if self.is_held():
            self.start()
            return
        if self._missing >= MOST_MISSING:
            self.silent(f"{MOST_MISSING} heartbeats were not shown, posted every {self.every:g} s")
            return
        self._missing += 1
        self.post()
        self.start()
