"""A consumer distributor: gives a program one event for each GETEVENT.

Documented: it begins with the event that is logged next, or with TIME; with `EOFSTOP` it answers at
once when the log has no more, and otherwise when there is an event. Ours: how many events it keeps.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from attrs import define, field

from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.journal import LoggedEvent
from vtspolicy.testing.nonstop.system import MOST_EVENTS, Filter


@define
class Consumer:
    """A consumer distributor that runs."""

    console: Console
    name: str
    filters: tuple[Filter, ...]
    begin: datetime | None
    waiting: deque[LoggedEvent] = field(factory=lambda: deque(maxlen=MOST_EVENTS))
    is_running: bool = False
    _unwatch: Callable[[], None] = field(default=lambda: None)

    def start(self) -> None:
        """Begin to collect events."""
        self.console.start(self)
        self.is_running = True
        if self.begin is not None:
            for event in tuple(self.console.system.events):
                if event.time >= self.begin:
                    self._take(event)
        self._unwatch = self.console.system.watch(self._take)

    def stop(self) -> None:
        """End it."""
        if self.is_running:
            self.is_running = False
            self._unwatch()
            self.console.ended(self)

    def _take(self, event: LoggedEvent) -> None:
        if all(passes(event) for passes in self.filters):
            self.waiting.append(event)
            self.console.poke()
