"""The site under fire: its configuration, its tapes, its application, and who can be killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from vtspolicy.cli import main
from vtspolicy.runner import identity
from vtspolicy.runner.keeper import process
from vtspolicy.runner.link import PROGRAM

CONFIGURATION = r"""
node: vts1.example.com
listen: [{{endpoint: "tcp:port={port}:interface=127.0.0.1"}}]
ledger: sqlite:///{root}/ledger.db
spool: {root}/spool
settle: 0.05s
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1:
    peers: [127.0.0.2]
    systems: ['\NSK1']
    vaults: [VAULT01]
    families: [DSK, RST, Status, Cancel]
  NSK2:
    peers: [127.0.0.3]
    systems: ['\NSK2']
    vaults: [VAULT01]
    families: [DSK, RST, Status, Cancel]
    notices: all
    acknowledge: true
rules: [rules.yaml]
"""

RULES = """
applications:
  DSK: {{title: one that may be run again, seats: 3, outcome: {{0: completed, 4: warning}}}}
  RST: {{title: one that may not, seats: 2, outcome: {{0: completed, 4: warning}}}}
rules:
  - rule: the whole pool at once
    when: {{family: DSK, pool: SET}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    each: pool
    lock: "{{path}}"
    on_interrupt: retry
  - rule: several attempts
    when: {{family: DSK, pool: RETRY}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    retry: {{attempts: 3, delay: 0.1s}}
    on_interrupt: retry
  - rule: one attempt, again if it was interrupted
    when: {{family: DSK}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    on_interrupt: retry
    then: migrated
  - rule: one attempt and no more
    when: {{family: RST}}
    run: [{root}/application, archive, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
    lock: "{{path}}"
    on_interrupt: fail
    verify: [{root}/application, query, "{{path}}", "{{handle}}", "{{job}}", "{{attempt}}"]
"""

APPLICATION = """#!/bin/sh
# Each line of the record is one write to a file that is open for appending. What a tape holds says
# how long its copy takes, and with which code each attempt ends.
if [ "$1" = query ]; then echo "query $4 $5 $$ $3 $2" >> {root}/record; exit 0; fi
job=$4; attempt=$5; seconds=0.05; codes=0
trap 'echo "end $job $attempt $$ 143" >> {root}/record; exit 143' TERM
echo "start $4 $5 $$ $3 $2" >> {root}/record
[ ! -f "$2" ] || read -r seconds codes < "$2"
echo "copying $2"
sleep "$seconds"
trap "" TERM  # it is over: what it says next is how it ends
set -- $codes; shift $((attempt > $# ? $# - 1 : attempt - 1))
echo "end $job $attempt $$ $1" >> {root}/record
exit "$1"
"""

TAPES = {
    # pool -> cartridge -> how long its copy takes, and with which code each attempt ends
    "PAY": {"A00001": "0.02 0", "A00002": "0.1 0", "A00003": "0.3 0", "A00004": "0.05 4"},
    "FAIL": {"F00001": "0.02 7", "F00002": "0.1 8"},
    "RETRY": {"R00001": "0.02 7 0", "R00002": "0.05 7 9 0", "R00003": "0.02 7 8 9"},
    "SET": {"S00001": "0.05 0", "S00002": "0.1 0", "S00003": "0.05 0"},
}

WARM = sys.executable
"""The interpreter of the installed command."""


@define
class Site:
    """One site in a folder of its own."""

    root: Path
    always: Callable[[Path], None] | None = None  # called in each server before it starts
    port: int = 0
    server: int | None = None  # its process id, while it has not been seen to end
    starts: int = 0
    exits: list[int] = field(factory=list)  # how servers ended that nobody killed

    def make(self) -> None:
        """Write everything that a server needs."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for pool, tapes in TAPES.items():
            (self.root / "VAULT01" / pool).mkdir(parents=True)
            for cartridge, text in tapes.items():
                (self.root / "VAULT01" / pool / cartridge).write_text(text + "\n")
        for name, text in (
            ("vtspolicy.yaml", CONFIGURATION),
            ("rules.yaml", RULES),
            ("application", APPLICATION),
        ):
            (self.root / name).write_text(text.format(root=self.root, port=self.port))
        (self.root / "application").chmod(0o755)
        (self.root / "record").touch()

    def start(self, prepare: Callable[[Path], None] | None = None) -> None:
        """Start a server: a fork of this process, which has everything loaded already.

        It does what the installed command does, and is there in a tenth of the time. `prepare` is
        called in it first: it may put in faults.
        """
        self.starts += 1
        self.server = os.fork()
        if self.server:
            return
        try:
            self._become_server(prepare)
        finally:
            os._exit(70)  # not reached: the server ends by SystemExit, which is taken below

    def _become_server(self, prepare: Callable[[Path], None] | None) -> None:
        log = os.open(self.root / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.closerange(3, 1024)
        os.setsid()
        try:
            for each in (self.always, prepare):
                if each is not None:
                    each(self.root)
            main(["serve", "--config", str(self.root / "vtspolicy.yaml")])
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise

    def start_installed(self) -> None:
        """Start the installed command, as systemd does."""
        self.starts += 1
        with (self.root / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [WARM, "-m", "vtspolicy", "serve", "--config", self.root / "vtspolicy.yaml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).pid

    def look(self) -> bool:
        """Whether the server runs; one that has ended is noted."""
        if self.server is None:
            return False
        ended, status = os.waitpid(self.server, os.WNOHANG)
        if not ended:
            return True
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            self.exits.append(code)
        self.server = None
        return False

    def kill_server(self) -> bool:
        """Kill the server and wait for its death; False if there was none."""
        if not self.look() or self.server is None:
            return False
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)
        self.server = None
        return True

    def keepers(self) -> list[int]:
        """Return the living keepers of the spool."""
        spool = os.fsencode(self.root / "spool")
        names = {os.fsencode(PROGRAM), os.fsencode(FAULTY_KEEPER)}
        found = {}
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are all it takes
            if name.isdigit():
                try:
                    words = (Path("/proc") / name / "cmdline").read_bytes().split(b"\0")
                    stat = (Path("/proc") / name / "stat").read_text()
                except OSError:
                    continue
                if spool in words and names & set(words) and not gone(int(name)):
                    found[int(name)] = int(stat.rpartition(")")[2].split()[1])
        # A child that a keeper is just starting still shows the keeper's own arguments.
        return [pid for pid, parent in found.items() if parent not in found]

    def applications(self) -> list[int]:
        """Return the leaders of applications that have begun and not ended."""
        begun = {}
        for line in self.record():
            if line[0] == "start":
                begun[int(line[3])] = line
            elif line[0] in {"end", "kill"}:
                begun.pop(int(line[-1] if line[0] == "kill" else line[3]), None)
        return [pid for pid in begun if self.is_ours(pid)]

    def is_ours(self, pid: int) -> bool:
        """Whether a process is a living application of this site."""
        try:
            words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.root / "application") in words and not gone(pid)

    def kill_application(self, pid: int) -> None:
        """Kill an application; what the record says of it comes first."""
        with (self.root / "record").open("ab", buffering=0) as record:
            record.write(b"kill %d\n" % pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def note_keeper_killed(self) -> None:
        """Leave a mark in the record: from here on exit statuses may be unknown."""
        with (self.root / "record").open("ab", buffering=0) as record:
            record.write(b"keeper-killed\n")

    def kill_keepers(self) -> int:
        """Kill all keepers; return how many there were."""
        found = self.keepers()
        if found:
            self.note_keeper_killed()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(found)

    def record(self) -> list[list[str]]:
        """Return what the application itself has written down, in the order of the writes."""
        return [line.split() for line in (self.root / "record").read_text().splitlines()]

    def end(self) -> None:
        """Leave no process behind."""
        self.kill_server()
        for pid in self.keepers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self.applications():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


FAULTY_KEEPER = Path(__file__).with_name("faulty_keeper.py")
"""Stands in for the keeper when faults are put into it."""


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    found = process(pid)
    return found is None or found[0] in identity.DEAD
