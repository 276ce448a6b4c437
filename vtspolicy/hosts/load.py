"""How far it has come to read from the ledger what waits for a host."""

from attrs import define, field

from vtspolicy.hosts.session import HostSession
from vtspolicy.notices import Notice

HELD = 4000
"""Notices of a host that are held in memory while what was recorded before them is read."""


@define
class Load:
    """What waits in the ledger for a host is being given to its sessions, in order."""

    after: int  # the number up to which all was given, or is barred
    held: list[tuple[Notice, HostSession | None]] = field(factory=list)  # recorded meanwhile
    left: int | None = None  # the lowest number that was recorded meanwhile and is not held
    seen: set[int] = field(factory=set)  # the numbers of the notices that were read
    arrived: set[int] = field(factory=set)  # confirmed, though the page asked for may have them
    is_stale: bool = False  # to be read from the beginning: what was given may be due again

    def hold(self, notice: Notice, origin: HostSession | None) -> None:
        """Hold a notice until all that was recorded before it is given, if there is room."""
        if len(self.held) < HELD:
            self.held.append((notice, origin))
        else:
            self.left = _lowest(self.left, notice.id)

    def resume_after(self) -> int:
        """Return after which number the next load has to begin if this one ends now."""
        if self.is_stale:
            return 0
        first = self.left
        for notice, _ in self.held:
            first = _lowest(first, notice.id)
        return self.after if first is None else min(self.after, first - 1)


def _lowest(number: int | None, other: int | None) -> int | None:
    """Return the lower one of two numbers, where None is none."""
    if number is None or other is None:
        return other if number is None else number
    return min(number, other)
