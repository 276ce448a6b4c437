"""Timers that can be started, put off and stopped as often as needed."""

from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Timer:
    """Calls a function once, some seconds after it was last started."""

    _clock: IReactorTime
    _call: Callable[[], object]
    _pending: IDelayedCall | None = None

    @property
    def runs(self) -> bool:
        """Whether the call is still to come."""
        return self._pending is not None

    def start(self, seconds: float) -> None:
        """Call in so many seconds from now; a call that was to come earlier or later does not."""
        if self._pending is None:
            self._pending = self._clock.callLater(seconds, self._ring)
        else:
            self._pending.reset(seconds)

    def stop(self) -> None:
        """Do not call."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def _ring(self) -> None:
        self._pending = None
        self._call()
