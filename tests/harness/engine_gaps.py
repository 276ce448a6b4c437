"""A world of tapes for faults between two steps."""

import json
from pathlib import Path

from tests.harness.engine_worlds import World

RULES = """
applications:
  DSK:
    seats: 1
    query: ["true", query, "{path}", "{handle}"]
rules:
  - rule: archive
    when: {family: DSK, operation: archive}
    run: ["true", archive, "{path}", "{handle}"]
    then: migrated
    on_interrupt: retry
  - rule: restore
    application: DSK
    when: {family: Restore}
    run: ["true", restore, "{path}", "{handle}"]
    then: restored
    on_interrupt: retry
  - rule: erase
    when: {family: Erase}
    then: erased
"""


class TapeWorld(World):
    """A world with an application that keeps copies."""

    def __init__(self, site):
        self.copies = {}
        super().__init__(site)

    def path(self, tape):
        return self.site.root / "VAULT01/PAY" / tape

    def work(self):
        """The application does all that it was started for."""
        while running := [each for each in self.machine.running if each.stopped is None]:
            key, (_, verb, path, handle) = running[0].run.key, running[0].run.argv
            if verb == "archive":
                self.copies[handle] = Path(path).read_bytes()
            elif verb == "restore":
                Path(path).write_bytes(self.copies[handle])
            self.runner.exit(key, 0 if handle in self.copies else 1)
            self.settle()

    def empty(self, tape, minute):
        """A tape that has its copy, and no data."""
        self.send("NSK1", f"VTSPolicy DSK 'archive /VAULT01/PAY/{tape}'", minute)
        self.work()
        self.send("NSK1", f"VTSPolicy Erase - {tape}", minute + 1)
        self.work()
        assert self.path(tape).read_bytes() == b""

    def mount(self, tape, seq, minute):
        line = {
            "time": f"2026-11-22T03:{minute:02d}:00",
            "system": "\\NSK1",
            "process": "$ZSVR",
            "ssid": "TANDEM.TAPE.L01",
            "number": 600,
            "text": f"$ZSVR: {seq} MOUNT {tape} WITH RING",
        }
        self.of("NSK1").dataReceived(json.dumps(line).encode() + b"\n")
        self.settle()

    def words(self):
        return [notice.word for notice in self.mail["NSK1"].notices]
