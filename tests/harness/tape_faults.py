"""A server with tapes whose ledger and disk fail where a test wants it."""

import json
from pathlib import Path

from tests.harness.engine_worlds import Site, World

RULES = """
applications:
  DSK:
    seats: 2
    query: {run: ["true", query, "{path}", "{handle}"], absent: [1]}
rules:
  - rule: archive
    when: {family: DSK, operation: archive}
    run: ["true", archive, "{path}", "{handle}"]
    then: migrated
    on_interrupt: retry
  - rule: restore
    application: DSK
    when: {family: Restore, tape: {state: [erased, deleted]}}
    run: ["true", restore, "{path}", "{handle}"]
    ready: ["true", mount, "{cartridge}", "{seq}"]
    then: restored
    on_interrupt: retry
  - rule: erase
    when: {family: Erase}
    then: erased
  - rule: delete
    when: {family: Delete}
    then: deleted
"""


class TapeSite(Site):
    def __init__(self):
        super().__init__(RULES, families=("Delete", "Restore"))


class TapeWorld(World):
    """A world with an application that keeps copies."""

    def __init__(self, site):
        self.copies = {}
        self.mounted = []
        super().__init__(site)
        self.path = site.root / "VAULT01/PAY/P00001"

    def work(self):
        """The application does all that it was started for."""
        for _ in range(50):
            running = [each for each in self.machine.running if each.stopped is None]
            if not running:
                return
            key, argv = running[0].run.key, running[0].run.argv
            self.runner.exit(key, self.act(*argv[1:]))
            self.settle()

    def act(self, verb, path, handle):
        if verb == "archive":
            self.copies[handle] = Path(path).read_bytes()
        elif verb == "query":
            return 0 if handle in self.copies else 1
        elif verb == "restore":
            Path(path).write_bytes(self.copies[handle])
        else:
            self.mounted.append((path, handle))
        return 0

    def mount(self, seq="0412", minute=30, host="NSK1"):
        line = {
            "time": f"2026-11-22T03:{minute:02d}:00",
            "system": f"\\{host}",
            "process": "$ZSVR",
            "ssid": "TANDEM.TAPE.L01",
            "number": 600,
            "text": f"$ZSVR: {seq} MOUNT P00001 WITH RING",
        }
        self.of(host).dataReceived(json.dumps(line).encode() + b"\n")
        self.settle()

    def tape(self):
        return self.ledger.tx.tapes.get(str(self.path))

    def words(self, host="NSK1"):
        return [notice.word for notice in self.mail[host].notices]
