"""A host's list of pending mounts, and what of it no event has told.

An event can be lost, or suppressed by burst control. The list's headings, columns and actions are
documented; what is printed when nothing is pending is not known, so that only a list with its
headings says that a request is gone, and only the second one in a row.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import define, field, frozen

from vtspolicy.events.event import TAPE_SERVER, Event
from vtspolicy.events.mounts import MountMessage

LIST = "MEDIACOM STATUS TAPEMOUNT"
"""The command that prints the list."""

WANTED = "MOUNT REQUESTED TAPE"
"""The action of a request that waits for a tape of a name."""

_DASHES = re.compile(r" *-+(?: +-+){5} *")
_VOLUME = re.compile(r"[A-Za-z0-9@#$_-]{1,6}")
_DEVICE = re.compile(r"\S*\$\S{1,40}")
_FIRST = {"IBM": ("IBM ", 603), "TMF": ("TMF ", 609)}
_OTHERS = ("", 600)
_CANCELLED = 649


@frozen(kw_only=True)
class PendingMount:
    """One request of the list."""

    sequence: str  # four digits
    volume: str  # the tape's name, or a word for a library that is busy
    label: str
    device: str
    is_protected: bool
    action: str

    @property
    def is_for_tape(self) -> bool:
        """Whether it waits for a tape of a name."""
        named = _VOLUME.fullmatch(self.volume) and self.volume not in {"RETRY", "BUST"}
        return bool(named) and self.action == WANTED

    def event(self, time: datetime, system: str) -> Event:
        """Return the event that would have told it."""
        word, first = _FIRST.get(self.label, _OTHERS)
        device = f"ON {self.device} " if _DEVICE.fullmatch(self.device) else ""
        ring = "NO RING" if self.is_protected else "WITH RING"
        text = f"{self.sequence} MOUNT {word}{self.volume} {device}{ring}"
        return _event(time, system, first + self.is_protected, text)


def _event(time: datetime, system: str, number: int, text: str) -> Event:
    return Event(
        text=f"{TAPE_SERVER}: {text}",
        time=time,
        system=system,
        process=TAPE_SERVER,
        ssid="TANDEM.TAPE.L01",
        number=number,
    )


def read_list(shown: str) -> list[PendingMount] | None:
    """Return the requests of a list; None if it is not one."""
    lines = shown.splitlines()
    for at, line in enumerate(lines):
        if at >= 2 and _DASHES.fullmatch(line) and "Action Needed" in lines[at - 1] + lines[at - 2]:
            starts = [match.start() for match in re.finditer(r"-+", line)]
            starts[0] = 0  # numbers stand at the right
            return list(_rows(lines[at + 1 :], starts))
    return None


def _rows(lines: Sequence[str], starts: Sequence[int]) -> Iterator[PendingMount]:
    for line in lines:
        ends = [*starts[1:], len(line)]
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        number, volume, label, device, protected, action = cells
        if number.isdecimal() and len(number) <= 4:
            yield PendingMount(
                sequence=f"{int(number):04d}",
                volume=volume,
                label=label,
                device=device,
                is_protected=protected == "YES",
                action=action,
            )


@define
class PendingMounts:
    """What of a host's mount requests is known here."""

    _known: dict[str, str] = field(factory=dict)  # volumes, by sequence number
    _missed: set[str] = field(factory=set)  # of these, what the last list did not have

    def note(self, message: MountMessage) -> None:
        """An event tells of a request."""
        if message.sequence is None:
            return
        self._missed.discard(message.sequence)
        if message.is_request:
            self._known[message.sequence] = message.volume
        elif message.closes_request:
            self._known.pop(message.sequence, None)

    def compare(self, listed: Sequence[PendingMount], time: datetime, system: str) -> list[Event]:
        """Return the events that were missed, now that the host has listed its requests."""
        wanted = {each.sequence: each for each in listed}
        events = []
        for sequence, volume in list(self._known.items()):
            if sequence in wanted:
                self._missed.discard(sequence)
            elif sequence not in self._missed:
                self._missed.add(sequence)  # its event may have come after the list was made
            else:
                self._missed.discard(sequence)
                del self._known[sequence]
                text = f"{sequence} REQUEST FOR VOLUME {volume} IS NOT PENDING"
                events.append(_event(time, system, _CANCELLED, text))
        for sequence, each in wanted.items():
            if each.is_for_tape and self._known.get(sequence) != each.volume:
                self._known[sequence] = each.volume
                events.append(each.event(time, system))
        return events
