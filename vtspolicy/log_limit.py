"""Rate-limited log lines, for what peers can cause as often as they like."""

from collections.abc import Callable

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime

PERIOD = 60.0
"""Seconds in which one peer gets one line of each action; further ones are only counted."""

PEERS = 100
"""Peers that have lines of their own within a period; those beyond share the lines of OTHERS."""

OTHERS = "other peers"
"""Stands for the peers beyond PEERS, so that many addresses do not make many lines."""

Write = Callable[..., object]  # a method of a Logger: the format, and fields by their names


@frozen(kw_only=True)
class Line:
    """One kind of line: what is logged at once, and what a minute later about all others."""

    action: str  # its key; with `_more` behind it, the key of the line about the others
    format: str
    more: str  # has {count} and {peer}


@define
class _Held:
    """The lines of one kind about one peer that were counted but not logged yet."""

    write: Write
    peer: str
    count: int = 0


@define
class LogLimit:
    """Writes the first line of a peer at once, and once a minute how many others there were."""

    _clock: IReactorTime
    _held: dict[tuple[Line, str], _Held] = field(factory=dict)

    def write(self, write: Write, line: Line, peer: str, **fields: object) -> None:
        """Write a line about a peer, or count it; the count is logged within a minute."""
        key = line, peer
        if key not in self._held and sum(each is line for each, _ in self._held) >= PEERS:
            key = line, OTHERS
        held = self._held.get(key)
        if held is not None:
            held.count += 1
            return
        self._begin(key, _Held(write, key[1]))
        write(line.format, action=line.action, **{"peer": peer, **fields})

    def _begin(self, key: tuple[Line, str], held: _Held) -> None:
        self._held[key] = held
        self._clock.callLater(PERIOD, self._end, key)

    def _end(self, key: tuple[Line, str]) -> None:
        held = self._held.pop(key)
        if not held.count:
            return
        line, _ = key
        held.write(line.more, action=f"{line.action}_more", count=held.count, peer=held.peer)
        self._begin(key, _Held(held.write, held.peer))
