"""A disk that is full or takes no write, a ledger locked or damaged: waited for, or named."""

import contextlib
import os
import resource
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.harness.ports import free_ports
from vtspolicy.notices import read_line
from vtspolicy.runner.link import PROGRAM

VTSPOLICY = Path(sys.executable).parent / "vtspolicy"

CONFIGURATION = r"""
node: vts1.example.com
listen: [{{endpoint: "tcp:port={port}:interface=127.0.0.1"}}]
ledger: sqlite:///{ledger}/ledger.db
spool: {spool}/spool
web: "tcp:port={web}:interface=127.0.0.1"
settle: 0.05s
vaults: {{VAULT01: {root}/VAULT01}}
hosts:
  NSK1: {{peers: [127.0.0.1], systems: ['\NSK1'], vaults: [VAULT01], families: [DSK]}}
rules: [rules.yaml]
"""

RULES = """
applications:
  DSK: {{title: a script, seats: 2, outcome: {{0: completed, default: failed}}}}
rules:
  - rule: the script
    when: {{family: DSK}}
    run: [{root}/application, "{{handle}}"]
"""

APPLICATION = """#!/bin/sh
echo "$1" >> {root}/record
echo some output
while [ -e {root}/gate ]; do sleep 0.05; done
"""


class Site:
    """A server whose ledger and spool can lie on disks of their own."""

    def __init__(self, root, *, ledger=None, spool=None):
        self.root = root
        self.ledger = (ledger or root) / "ledger.db"
        self.spool = (spool or root) / "spool"
        self.server = None
        self.link = None
        self.rest = b""
        self.notices = []
        self.port, self.web = free_ports(2)
        places = {
            "root": root,
            "port": self.port,
            "web": self.web,
            "ledger": self.ledger.parent,
            "spool": self.spool.parent,
        }
        (root / "VAULT01/PAY").mkdir(parents=True)
        (root / "VAULT01/PAY/A00001").write_bytes(b"tape")
        for name, text in (
            ("vtspolicy.yaml", CONFIGURATION),
            ("rules.yaml", RULES),
            ("application", APPLICATION),
        ):
            (root / name).write_text(text.format(**places))
        (root / "application").chmod(0o755)

    def begin(self):
        self.server = subprocess.Popen(
            [VTSPOLICY, "serve", "--config", self.root / "vtspolicy.yaml"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self):
        self.begin()
        until(lambda: self.server.poll() is not None or self.answers())
        assert self.server.poll() is None, self.server.stderr.read()
        self.link = socket.create_connection(("127.0.0.1", self.port))

    def answers(self):
        with contextlib.suppress(OSError):
            return self.ready() is not None
        return False

    def kill(self):
        self.server.kill()
        self.server.communicate()
        self.link.close()

    def send(self, number):
        text = f"VTSPolicy DSK 'archive /VAULT01/PAY/A00001 ref=r{number}'"
        stamp = f"26-11-22 02:{number // 60:02d}:{number % 60:02d}"
        self.link.sendall(f"{stamp} \\NSK1.$ZBAT USER.BATCH.A01 001234 {text}\n".encode())

    def hear(self):
        """Take what has arrived."""
        while select.select([self.link], [], [], 0.02)[0]:
            data = self.link.recv(65536)
            assert data, "the server hung up"
            *lines, self.rest = (self.rest + data).split(b"\n")
            self.notices += [read_line(line + b"\n") for line in lines]

    def heard(self, word):
        self.hear()
        return [n.fields.get("ref") for n in self.notices if n.word.name == word]

    def wait(self, word, *numbers):
        refs = {f"r{number}" for number in numbers}
        until(lambda: refs <= set(self.heard(word)))

    @property
    def record(self):
        path = self.root / "record"
        return path.read_text().split() if path.exists() else []

    def ready(self):
        """Return the status of /readyz and what it says."""
        try:
            with urlopen(f"http://127.0.0.1:{self.web}/readyz", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def trouble(self, of="ledger"):
        with urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=60) as answer:
            return f"vtspolicy_{of}_trouble 1.0".encode() in answer.read()

    def status(self):
        return subprocess.run(
            [VTSPOLICY, "status", "--config", self.root / "vtspolicy.yaml"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def takes_input(self):
        """Whether the server still reads from a host that sends much more than buffers hold."""
        with socket.create_connection(("127.0.0.1", self.port)) as link:
            link.sendall(self.line(9))
            link.setblocking(False)
            noise = b"26-11-22 02:14:09 \\NSK1.$X TANDEM.EMS.L01 000001 nothing\n" * 1000
            sent, end = 0, time.monotonic() + 10
            while sent < 64 << 20 and time.monotonic() < end:
                if not select.select([], [link], [], 1.0)[1]:
                    return False
                sent += link.send(noise)
            return True

    @staticmethod
    def line(number):
        text = f"VTSPolicy DSK 'archive /VAULT01/PAY/A00001 ref=r{number}'"
        return f"26-11-22 03:00:{number:02d} \\NSK1.$ZBAT USER.BATCH.A01 001234 {text}\n".encode()

    def end(self):
        (self.root / "gate").unlink(missing_ok=True)
        if self.link is not None:
            self.link.close()
        if self.server is not None:
            self.server.kill()
            self.server.communicate()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if os.fsencode(PROGRAM) in words and os.fsencode(self.spool) in words:
                    os.kill(int(entry.name), signal.SIGKILL)


def until(true, seconds=180):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def sites(tmp_path):
    made = []

    def make(**places):
        made.append(Site(tmp_path, **places))
        return made[-1]

    yield make
    for site in made:
        site.end()


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 2 MB; needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk):
    """Leave not one block."""
    with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def get_stuck(site, first):
    """Send commands until the ledger can take no more; return the number of the last one."""
    number = first
    site.send(number)
    while not site.trouble():
        number += 1
        assert number < first + 500
        site.send(number)
        time.sleep(0.02)
    return number


def stuck(site):
    status, why = site.ready()
    assert status == 503
    assert "ledger cannot be written" in why
    assert site.trouble()


@pytest.mark.programs  # mounting needs root
def test_nothing_is_accepted_while_the_ledgers_disk_is_full_and_all_of_it_afterwards(
    sites, small_disk
):
    site = sites(ledger=small_disk)
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    fill(small_disk)
    last = get_stuck(site, 2)
    stuck(site)
    site.send(last + 1)
    assert not site.takes_input()
    assert f"r{last + 1}" not in site.heard("ACCEPTED")
    (small_disk / "ballast").unlink()
    site.wait("COMPLETED", *range(1, last + 2))
    assert site.ready()[0] == 200
    assert not site.trouble()
    until(lambda: len(site.record) == last + 2)  # and the one of `takes_input`
    assert len(set(site.record)) == len(site.record)
    assert site.server.poll() is None


@pytest.mark.programs  # mounting needs root
def test_a_server_that_dies_on_a_full_disk_loses_nothing_that_it_had_accepted(sites, small_disk):
    site = sites(ledger=small_disk)
    site.start()
    (site.root / "gate").touch()
    site.send(1)
    site.wait("ACCEPTED", 1)
    until(lambda: len(site.record) == 1)
    fill(small_disk)
    get_stuck(site, 2)
    accepted = set(site.heard("ACCEPTED"))
    site.kill()
    (small_disk / "ballast").unlink()
    site.start()
    (site.root / "gate").unlink()
    numbers = [int(ref[1:]) for ref in accepted]
    site.wait("COMPLETED", *numbers)
    assert len(set(site.record)) == len(site.record)


@pytest.mark.programs  # mounting needs root
def test_a_job_waits_while_the_spools_disk_is_full_and_is_then_run_once(sites, small_disk):
    site = sites(spool=small_disk)
    site.start()
    fill(small_disk)
    site.send(1)
    site.wait("ACCEPTED", 1)
    site.send(2)
    site.wait("ACCEPTED", 2)
    until(lambda: site.trouble("spool"))
    full = f"programs cannot be started: {site.spool}/000001-1: No space left on device"
    status, why = site.ready()
    assert status == 503
    assert full in why
    assert "not ready: programs cannot be started" in site.status()
    assert not site.trouble()
    assert site.record == []
    (small_disk / "ballast").unlink()
    site.wait("COMPLETED", 1, 2)
    assert len(site.record) == 2
    assert site.ready()[0] == 200
    assert not site.trouble("spool")


@pytest.mark.programs  # mounting needs root
def test_the_alarm_for_a_spool_is_over_when_its_job_has_begun_or_is_cancelled(sites, small_disk):
    site = sites(spool=small_disk)
    site.start()
    (site.root / "gate").touch()
    fill(small_disk)
    site.send(1)
    until(lambda: site.trouble("spool"))
    (small_disk / "ballast").unlink()
    until(lambda: len(site.record) == 1)  # and it goes on to run
    until(lambda: site.ready()[0] == 200)
    assert not site.trouble("spool")
    (site.root / "gate").unlink()
    site.wait("COMPLETED", 1)
    fill(small_disk)
    site.send(2)
    until(lambda: site.trouble("spool"))
    cancel = [VTSPOLICY, "cancel", "--config", site.root / "vtspolicy.yaml", "--job", "2"]
    subprocess.run(cancel, check=True, capture_output=True)
    site.wait("CANCELLED", 2)
    assert site.ready()[0] == 200
    assert not site.trouble("spool")


@pytest.mark.programs  # mounting needs root
def test_a_run_that_ends_on_a_full_spool_is_reported_with_its_exit_status(sites, small_disk):
    site = sites(spool=small_disk)
    site.start()
    (site.root / "gate").touch()
    site.send(1)
    until(lambda: len(site.record) == 1)
    fill(small_disk)
    site.kill()
    (site.root / "gate").unlink()
    site.start()
    site.wait("COMPLETED", 1)


@pytest.mark.programs  # mounting needs root
def test_a_read_only_disk_is_named_at_start(sites, small_disk):
    site = sites(ledger=small_disk)
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    site.kill()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    site.begin()
    _out, told = site.server.communicate(timeout=180)
    assert site.server.returncode == 7
    assert f"{site.ledger}: cannot be opened" in told
    assert "Read-only" in told
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    site.start()
    site.send(2)
    site.wait("COMPLETED", 2)


def test_a_disk_that_takes_no_write_is_waited_for(sites):
    site = sites()
    site.start()
    (site.root / "gate").touch()
    site.send(1)
    site.wait("ACCEPTED", 1)
    until(lambda: len(site.record) == 1)
    before = resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    last = get_stuck(site, 2)
    stuck(site)
    (site.root / "gate").unlink()  # a run ends meanwhile: that is not forgotten
    assert site.heard("COMPLETED") == []
    resource.prlimit(site.server.pid, resource.RLIMIT_FSIZE, before)
    site.wait("COMPLETED", *range(1, last + 1))
    assert site.ready()[0] == 200
    assert len(set(site.record)) == len(site.record) == last


def test_a_ledger_that_another_program_locks_is_waited_for(sites):
    site = sites()
    site.start()
    with contextlib.closing(sqlite3.connect(site.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        last = get_stuck(site, 1)
        stuck(site)
        assert not site.takes_input()
        assert site.heard("ACCEPTED") == []
        other.execute("ROLLBACK")
    site.wait("COMPLETED", *range(1, last + 1))
    assert not site.trouble()


@pytest.mark.parametrize("damage", ["text", "first page", "cut"])
def test_a_damaged_ledger_is_named_at_start_and_left_as_it_is(sites, damage):
    site = sites()
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    site.link.close()
    site.server.terminate()
    site.server.communicate(timeout=180)
    data = site.ledger.read_bytes()
    broken = {
        "text": b"this is no ledger\n" * 1000,
        "first page": data[:100] + bytes(4000) + data[4100:],
        "cut": data[: len(data) // 2],
    }[damage]
    site.ledger.write_bytes(broken)
    site.begin()
    _out, told = site.server.communicate(timeout=180)
    assert site.server.returncode == 2
    assert f"{site.ledger}: the ledger is damaged" in told
    assert "Traceback" not in told
    assert site.ledger.read_bytes() == broken


@pytest.mark.parametrize("loss", ["emptied", "removed"])
def test_a_ledger_that_is_gone_is_named_at_start_and_what_is_left_of_it_stays(sites, loss):
    site = sites()
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    site.kill()
    if loss == "emptied":
        site.ledger.write_bytes(b"")
    else:
        site.ledger.unlink()
    wal = Path(f"{site.ledger}-wal")
    before = wal.read_bytes()
    site.begin()
    _out, told = site.server.communicate(timeout=180)
    assert site.server.returncode == 2
    assert f"{site.ledger}: the ledger is lost" in told
    assert "Traceback" not in told
    assert wal.read_bytes() == before
    assert not site.ledger.exists() or site.ledger.read_bytes() == b""


def test_nothing_is_accepted_into_a_ledger_that_was_removed_until_it_is_back(sites):
    site = sites()
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    site.ledger.rename(site.root / "away")
    last = get_stuck(site, 2)
    stuck(site)
    assert "removed or renamed" in site.ready()[1]
    assert site.heard("ACCEPTED") == ["r1"]
    (site.root / "away").rename(site.ledger)
    site.wait("COMPLETED", *range(1, last + 1))
    assert not site.trouble()


def end_again_and_again(server):
    """Send TERM until a server has ended, as people do who are in a hurry; return its log."""
    until = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < until:
        server.terminate()
        time.sleep(0.003)
    return server.communicate(timeout=180)[1]


def test_a_ledger_that_another_program_has_for_itself_at_the_start_is_waited_for(sites):
    site = sites()
    site.start()
    site.send(1)
    site.wait("COMPLETED", 1)
    site.link.close()
    site.server.terminate()
    site.server.communicate(timeout=180)
    with contextlib.closing(sqlite3.connect(site.ledger, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
        site.begin()
        assert "Another program holds the ledger" in site.server.stderr.readline()
        site.server.send_signal(signal.SIGHUP)
        log = end_again_and_again(site.server)
        assert site.server.returncode in {0, -signal.SIGTERM}
        assert "Traceback" not in log
        site.begin()
        assert "Another program holds the ledger" in site.server.stderr.readline()
        site.server.send_signal(signal.SIGHUP)
    until(site.answers)
    site.link = socket.create_connection(("127.0.0.1", site.port))
    site.send(2)
    site.wait("COMPLETED", 2)
    log = end_again_and_again(site.server)
    assert log.index("Ready: ") < log.index("Reloaded by signal HUP")
    assert "Traceback" not in log


def test_an_order_about_a_number_that_no_ledger_can_have_is_answered_as_any_unknown_one(sites):
    site = sites()
    site.start()
    told = [
        subprocess.run(
            [VTSPOLICY, *words, "--config", site.root / "vtspolicy.yaml"],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        for number in ("77", "9" * 23)
        for words in (("cancel", number), ("cancel", "--job", number), ("retry", number))
    ]
    assert {each.returncode for each in told} == {1}
    assert [each.stderr.replace("9" * 23, "77") for each in told[3:]] == [
        each.stderr for each in told[:3]
    ]
