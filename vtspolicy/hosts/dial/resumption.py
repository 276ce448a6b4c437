"""From when on a host's events are shown again: kept in a file, so that a restart loses none."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attrs import define, field

from vtspolicy.private import make_folder

FILE = "links.json"
"""In a folder of its own in the spool."""


@define
class Resumption:
    """The times of the last events that were recorded, in each host's own time."""

    folder: Path
    _times: dict[str, datetime] = field(factory=dict)
    _saved: dict[str, datetime] = field(factory=dict)

    def load(self) -> None:
        """Read what an earlier server left; a file that is not one counts as none."""
        try:
            found = json.loads((self.folder / FILE).read_text())
            self._times = {
                str(host): datetime.fromisoformat(time)
                for host, time in found.items()
                if datetime.fromisoformat(time).tzinfo is None
            }
        except (OSError, ValueError, AttributeError, TypeError):
            self._times = {}
        self._saved = dict(self._times)

    def of(self, host: str) -> datetime | None:
        """Return the time of a host; None: its first start."""
        return self._times.get(host)

    def note(self, host: str, time: datetime) -> None:
        """Note a time; `save` keeps it."""
        self._times[host] = time

    def keep(self, hosts: Mapping[str, object]) -> None:
        """Forget the hosts that are not called any more."""
        self._times = {host: time for host, time in self._times.items() if host in hosts}

    def save(self) -> None:
        """Write what is new. Raises OSError."""
        if self._times == self._saved:
            return
        make_folder(self.folder)
        written = {host: time.isoformat() for host, time in self._times.items()}
        new = self.folder / f"{FILE}.new"
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, json.dumps(written).encode())
            os.fsync(file)
        finally:
            os.close(file)
        new.replace(self.folder / FILE)
        self._saved = dict(self._times)
