"""The journal of a simulated system: every fact that outlives a session, in order.

All state that sessions share follows from it. Kept in memory it lasts as long as the program; kept
in a file it is shared by several processes, as when sshd or a Telnet daemon starts one for each
session.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attrs import asdict, field, frozen


@frozen(kw_only=True)
class LoggedEvent:
    """An event in the log of the collector `$0`."""

    time: datetime  # generation time, with its zone
    text: str  # bytes that are not UTF-8 are surrogate escapes
    process: str  # $NAME or cpu,pin
    ssid: str  # OWNER.SUBSYSTEM.VERSION
    number: int
    critical: bool = False


@frozen(kw_only=True)
class MountRequest:
    """A request to mount a tape, from when it is made until it is closed."""

    number: int  # of `$ZSVR`, four digits; the action id of its event
    tape: str  # up to six characters
    label: str = "TMF"  # ANSI BACKUP BLP IBM NL TMF UNREADABLE
    device: str = "$TAPE0"  # a node or a tape drive
    write_protected: bool = False
    action: str = "MOUNT REQUESTED TAPE"
    details: dict[str, str] = field(factory=dict)  # more items of the detailed list, by their names


@frozen(kw_only=True)
class MountClosed:
    """A mount request is gone: mounted, rejected or cancelled."""

    number: int


@frozen(kw_only=True)
class LogonFailed:
    """A wrong password was given for an account."""

    user: str


@frozen(kw_only=True)
class LoggedOn:
    """Somebody logged on; wrong passwords before that no longer count."""

    user: str


@frozen(kw_only=True)
class Thawed:
    """A security administrator thawed an account."""

    user: str


Entry = LoggedEvent | MountRequest | MountClosed | LogonFailed | LoggedOn | Thawed
"""What a journal holds."""

_KINDS = {kind.__name__: kind for kind in Entry.__args__}


class Journal(Protocol):
    """Keeps entries in the order in which they were added."""

    def add(self, entry: Entry) -> None:
        """Add an entry."""

    def new(self) -> Sequence[Entry]:
        """Return the entries that were added since the last call, by whichever process."""


class MemoryJournal:
    """A journal for one process."""

    def __init__(self) -> None:
        self._new: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Add an entry."""
        self._new.append(entry)

    def new(self) -> Sequence[Entry]:
        """Return what was added since the last call."""
        new, self._new = self._new, []
        return new


class FileJournal:
    """A journal in a file, a JSON object a line; several processes may share it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._read = 0  # bytes of it that were read

    def add(self, entry: Entry) -> None:
        """Append an entry, whole, whoever else is writing."""
        line = json.dumps({"entry": type(entry).__name__, **asdict(entry)}, default=_iso)
        data = line.encode() + b"\n"
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            while data:
                data = data[os.write(self._file, data) :]
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def new(self) -> Sequence[Entry]:
        """Return the whole lines that were added since the last call."""
        size = os.fstat(self._file).st_size
        if size == self._read:
            return []
        data = os.pread(self._file, size - self._read, self._read)
        lines, end, _rest = data.rpartition(b"\n")
        self._read += len(lines) + len(end)
        return [_entry(line) for line in lines.splitlines()]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _iso(value: object) -> str:
    assert isinstance(value, datetime)  # noqa: S101 - nothing else in an entry lacks a form in JSON
    return value.isoformat()


def _entry(line: bytes) -> Entry:
    fields = json.loads(line)
    kind = _KINDS[fields.pop("entry")]
    if "time" in fields:
        fields["time"] = datetime.fromisoformat(fields["time"])
    entry: Entry = kind(**fields)
    return entry
