"""A site of one's own in a temporary folder: vault, rules, a script as application, the server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from tests.harness.ports import free_ports
from vtspolicy.notices import read_line

VTSPOLICY = Path(sys.executable).parent / "vtspolicy"
TIMEOUT = 180  # seconds until what does not come is given up, on any machine

CONFIGURATION = r"""
node: vts1.example.com
listen:
  - {{endpoint: "tcp:port={port}:interface=127.0.0.1", format: auto, plain: true}}
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
web: "tcp:port={web}:interface=127.0.0.1"
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.1]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [DSK, RST, Erase, Delete, Restore, Status, Cancel]
    notices: all
rules: [rules.yaml]
"""

RULES = """
applications:
  DSK:
    title: a shell script of the site's own
    seats: 4
    outcome: {{0: completed, 4: warning, default: failed}}
rules:
  - rule: the site's script
    when: {{family: DSK, operation: archive}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}"]
    verify: {{run: [{root}/application, query, "{{path}}", "{{handle}}"], absent: [1]}}
    then: migrated
  - rule: the site's script brings it back
    application: DSK
    when: {{family: Restore}}
    run: [{root}/application, restore, "{{path}}", "{{handle}}"]
    then: restored
  - rule: empty a tape that has its copy
    when: {{family: Erase}}
    then: erased
"""

APPLICATION = """#!/bin/sh
# Copies a tape into a folder; waits for the file "gate" to go when there is one.
[ "$1" = query ] && exec test -e "{root}/copies/$3"
echo "$@" >> "{root}/record"
echo "working on $2"
while [ -e "{root}/gate" ]; do sleep 0.05; done
case "$1" in
archive) [ ! -e "$2.fails" ] || exit 7
    cp "$2" "{root}/copies/$3" ;;
restore) cp "{root}/copies/$3" "$2" ;;
esac
"""


class Link:
    """A host's connection: sends bytes, collects notices."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.rest = b""
        self.notices = []

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def wait(self, word, seconds=TIMEOUT, **fields):
        """Return the first notice of this word and with these fields."""
        until = time.monotonic() + seconds
        seen = 0
        while True:
            for notice in self.notices[seen:]:
                if notice.word.name == word and fields.items() <= dict(notice.fields).items():
                    return notice
            seen = len(self.notices)
            left = until - time.monotonic()
            assert left > 0, f"no {word} {fields} in {self.notices}"
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            assert data, f"closed before {word} {fields}: {self.notices}"
            self.take(data)

    def drain(self):
        """Return everything up to the end of the connection."""
        self.socket.settimeout(TIMEOUT)
        while data := self.socket.recv(65536):
            self.take(data)
        return self.notices

    def take(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        self.notices += [notice for line in lines if (notice := read_line(line + b"\n"))]

    def close(self):
        self.socket.close()


def wait_for(port, site):
    """Return once a port of a site's server takes connections."""
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            assert site.server.poll() is None, site.log
            assert time.monotonic() < until, site.log
            time.sleep(0.05)
        else:
            return


class Site:
    """One site; its server can be started, stopped and killed."""

    columns = "120"  # of the terminal

    def __init__(self, root):
        self.root = root
        self.port, self.web = free_ports(2)
        self.server = None
        self.links = []
        (root / "copies").mkdir()
        self.tapes("PAYROLL", "A00017", "A00018", "A00019")
        self.write("vtspolicy.yaml", CONFIGURATION)
        self.write("rules.yaml", RULES)
        self.write("application", APPLICATION).chmod(0o755)

    def write(self, name, text):
        path = self.root / name
        path.write_text(text.format(root=self.root, port=self.port, web=self.web), "utf-8")
        return path

    def tapes(self, pool, *cartridges):
        folder = self.root / "VAULT01" / pool
        folder.mkdir(parents=True, exist_ok=True)
        for cartridge in cartridges:
            (folder / cartridge).write_bytes(f"{cartridge} ".encode() * 1000)

    def start(self):
        log = (self.root / "server.log").open("ab")
        self.server = subprocess.Popen(
            [VTSPOLICY, "serve", "--config", self.root / "vtspolicy.yaml"],
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_for(self.port, self)

    def stop(self, how=signal.SIGTERM):
        self.server.send_signal(how)
        code = self.server.wait(TIMEOUT)
        self.server = None
        return code

    @property
    def log(self):
        return (self.root / "server.log").read_text("utf-8", "replace")

    @property
    def record(self):
        """What the application itself wrote down, a list of words for each start."""
        path = self.root / "record"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def link(self):
        link = Link(self.port)
        self.links.append(link)
        return link

    def hold(self):
        """Let the application wait."""
        (self.root / "gate").touch()

    def let_go(self):
        (self.root / "gate").unlink()

    def run(self, *words, check=True):
        """Run the installed command on this site's configuration."""
        config = ["--config", self.root / "vtspolicy.yaml"]
        done = subprocess.run(
            [VTSPOLICY, words[0], *config, *words[1:]],
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env=os.environ | {"COLUMNS": self.columns},
        )
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done

    def json(self, *words):
        return json.loads(self.run(*words, "--json").stdout)

    def metrics(self):
        """Return what the server tells Prometheus."""
        with urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=TIMEOUT) as answer:
            return answer.read().decode()

    def close(self):
        (self.root / "gate").unlink(missing_ok=True)
        for link in self.links:
            link.close()
        if self.server is not None:
            self.server.kill()
            self.server.wait()


def event(text, *, at="26-11-22 02:14:09", number=1234, system=r"\NSK1"):
    """One unwrapped event as a distributor displays it."""
    return f"{at} {system}.$ZBAT  TANDEM.EMS.L01          {number:06d} {text}\n"
