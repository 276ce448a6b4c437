"""Whether the peer's system, and the way to it, are still there."""

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from vtspolicy.hosts.connection_state import is_silent
from vtspolicy.hosts.timers import Timer

PRESENCE = 15.0
"""Seconds between looks."""


@define(eq=False)
class Presence:
    """Looks at a connection from time to time, until the system beyond it has vanished."""

    _clock: IReactorTime
    _may_end: Callable[[], bool]  # whether nothing that came in would be lost by the end
    _vanished: Callable[[], object]
    _transport: object = None
    _timer: Timer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._timer = Timer(self._clock, self._look)

    def watch(self, transport: object) -> None:
        """Begin with this transport."""
        self._transport = transport
        self._timer.start(PRESENCE)

    def end(self) -> None:
        """Look no more."""
        self._timer.stop()

    def _look(self) -> None:
        if self._may_end() and is_silent(self._transport):
            self._vanished()
        else:
            self._timer.start(PRESENCE)
