"""A running server in a folder of its own, with shipped tables and real applications behind it."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from tests.harness.ports import free_ports
from vtspolicy.notices import read_line
from vtspolicy.testing.display import display

VTSPOLICY = Path(sys.executable).parent / "vtspolicy"
TIMEOUT = 300  # seconds that a command may take to its final notice, on any machine

CONFIGURATION = r"""
node: vts1.example.com
listen:
  - {{endpoint: "tcp:port={port}:interface=127.0.0.1", format: auto}}
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
web: "tcp:port={web}:interface=127.0.0.1"
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.1]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: {families}
    notices: all
rules: {rules}
"""


class Station:
    """Send commands as a host does, and see what became of them."""

    def __init__(self, root, *, site, tables, path=None):
        self.root = root
        self.port, self.web = free_ports(2)
        self.server = None
        self.path = path  # where the server looks for programs; None: as we do
        self.env = {}  # what the server's environment has besides ours
        self._socket = None
        self._rest = b""
        self._at = datetime(2026, 11, 22, 2, 0)  # noqa: DTZ001 - a host shows local time
        self.notices = []
        self._mounts = 0
        families = [table.upper() for table in tables]
        families += ["FTX"] if "idr" in tables else []
        verbs = ["Erase", "Delete", "Restore", "Status", "Cancel"]
        rules = ["site.yaml", *(f"shipped/{table}.yaml" for table in tables)]
        if "dsk" not in tables:
            rules.append("shipped/dsk.yaml")
        (root / "VAULT01").mkdir()
        (root / "site.yaml").write_text(site)
        (root / "vtspolicy.yaml").write_text(
            CONFIGURATION.format(
                root=root,
                port=self.port,
                web=self.web,
                families=json.dumps([*families, *verbs]),
                rules=json.dumps(rules),
            )
        )

    # -- the server

    def start(self):
        env = os.environ | ({"PATH": self.path} if self.path else {}) | self.env
        with (self.root / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [VTSPOLICY, "serve", "--config", self.root / "vtspolicy.yaml"],
                stdout=log,
                stderr=log,
                env=env,
            )
        until = time.monotonic() + TIMEOUT
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self.port), 5)
            except OSError:
                assert self.server.poll() is None, self.log
                assert time.monotonic() < until, self.log
                time.sleep(0.05)
            else:
                self._rest = b""
                return self

    def kill(self):
        """End the server as a power failure would; applications continue."""
        self._socket.close()
        self.server.kill()
        self.server.wait()
        self.server = None

    def stop(self):
        """Stop the server, and its keeper with whatever it still runs."""
        if self.server is not None:
            self._socket.close()
            self.server.terminate()
            self.server.wait(TIMEOUT)
        for pid in _with_argument(str(self.root / "spool")):
            with suppress(ProcessLookupError):  # it may be leaving by itself
                os.kill(pid, signal.SIGTERM)

    @property
    def log(self):
        return (self.root / "server.log").read_text("utf-8", "replace")

    # -- tapes

    def tape(self, pool, cartridge, size=300_000):
        """Make a tape that has data which cannot be compressed."""
        path = self.root / "VAULT01" / pool / cartridge
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(size))
        return path

    # -- commands

    def say(self, text):
        """Send one event, wrapped as a distributor displays it."""
        self._at += timedelta(seconds=1)
        self.show_again(text)

    def show_again(self, text):
        """Send the newest event again: a host that is not sure that it was seen."""
        self._socket.sendall(display(text, time=self._at))

    def command(self, text, seconds=TIMEOUT):
        """Send a command; return its one final notice."""
        number = self.accept(text)
        return self.final(number, seconds)

    def accept(self, text):
        """Send a command; return the number of its request."""
        seen = len(self.notices)
        self.say(text)
        first = self.wait(lambda each: each.word.number in range(1001, 1104), seen)
        assert first.word.name == "ACCEPTED", first
        return int(dict(first.fields)["req"])

    def mount(self, volume, seconds=TIMEOUT):
        """Ask to mount a tape as a host does; return the answer."""
        self._mounts += 1
        seq = f"{self._mounts:04d}"
        self._at += timedelta(seconds=1)
        event = {"ssid": "TANDEM.TAPE.L01", "number": 600, "process": "$ZSVR"}
        self._socket.sendall(
            display(f"$ZSVR: {seq} MOUNT {volume} WITH RING", time=self._at, **event)
        )
        return self.wait(
            lambda each: each.word.name.startswith("MOUNT") and dict(each.fields)["seq"] == seq,
            seconds=seconds,
        )

    def final(self, request, seconds=TIMEOUT):
        return self.wait(
            lambda each: each.word.is_final and int(dict(each.fields)["req"]) == request,
            seconds=seconds,
        )

    def wait(self, condition, seen=0, seconds=TIMEOUT):
        """Return the first notice for which something holds."""
        until = time.monotonic() + seconds
        while True:
            for notice in self.notices[seen:]:
                if condition(notice):
                    return notice
            seen = len(self.notices)
            left = until - time.monotonic()
            assert left > 0, f"it did not come: {self.notices[-3:]}\n{self.log[-3000:]}"
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            assert data, self.log[-3000:]
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.notices += [each for line in lines if (each := read_line(line + b"\n"))]

    # -- what became of them

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v1/{path}") as answer:
            return json.load(answer)

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics") as answer:
            return answer.read().decode()

    def job(self, notice):
        """Return all that the server knows of the one job of a notice."""
        return self.ask(f"jobs/{dict(notice.fields)['job']}")

    def handle(self, notice):
        """Return the handle of the copy that a job made."""
        return self.job(notice)["handle"]

    def until(self, condition, seconds=TIMEOUT):
        """Wait for what is seen only by looking."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, self.log[-3000:]
            time.sleep(0.05)
        return value

    def run(self, *words):
        """Run the installed command on this configuration."""
        return subprocess.run(
            [VTSPOLICY, words[0], "--config", self.root / "vtspolicy.yaml", *words[1:]],
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=os.environ | {"COLUMNS": "200"},
        )


def word(notice):
    return notice.word.name


def reason(notice):
    return dict(notice.fields).get("reason", "")


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _with_argument(argument):
    """The processes that have a word in their argument list: keepers name their spool."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(argument) in words:
                found.append(int(entry.name))
    return found
