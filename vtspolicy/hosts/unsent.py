"""Notices just recorded that no session could take at that moment, kept in memory.

The ledger has them too. Reading them back from it costs more than recording them, and a connection
whose buffer is full can mostly take more a few milliseconds later.
"""

from collections import deque

from attrs import define, field

from vtspolicy.hosts.session import HostSession
from vtspolicy.notices import Notice

MOST = 4000
"""Notices that are kept for all hosts together: about 3 MB."""

Pushed = tuple[Notice, HostSession | None]
"""A notice, and the session that it answers."""


@define
class Unsent:
    """What waits in memory, by host and in the order in which it was pushed."""

    _most: int = MOST
    _by_host: dict[str, deque[Pushed]] = field(factory=dict)  # none is empty
    _count: int = 0

    def has(self, host: str) -> bool:
        """Whether something waits here for a host."""
        return host in self._by_host

    def keep(self, host: str, notice: Notice, origin: HostSession | None) -> bool:
        """Keep a notice behind those of its host; False when there is no room."""
        if self._count >= self._most:
            return False
        self._count += 1
        self._by_host.setdefault(host, deque()).append((notice, origin))
        return True

    def take(self, host: str) -> Pushed:
        """Remove the first one of a host that has some, and return it."""
        waiting = self._by_host[host]
        self._count -= 1
        first = waiting.popleft()
        if not waiting:
            del self._by_host[host]
        return first

    def drop(self, host: str) -> int | None:
        """Leave those of a host to the ledger; returns the lowest number, None without any."""
        dropped = self._by_host.pop(host, ())
        self._count -= len(dropped)
        return min((notice.id or 0 for notice, _ in dropped), default=None)
