"""CAP_LEASE: with it an unprivileged keeper sees who writes to the tapes of other users."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vtspolicy.runner import keeper
from vtspolicy.runner.link import PROGRAM
from vtspolicy.runner.looks import as_look
from vtspolicy.runner.protocol import Run, TapeFile
from vtspolicy.runner.spool import request

OTHER = 65534  # the user who owns the tape
# So root has no capability by its number, like any other user, but can still read a Python that
# lies in its home.
WORDS = ("setpriv", "--securebits=+noroot,+noroot_locked")
NONE = ("--inh-caps=-all",)
LEASE = ("--inh-caps=-all,+lease", "--ambient-caps=+lease")
MORE = ("--inh-caps=-all,+lease,+chown", "--ambient-caps=+lease,+chown")
PATH = {"PATH": "/usr/bin:/bin"}

pytestmark = pytest.mark.programs  # to give capabilities needs root


class Place:
    """Our spool, and a vault with a tape of another user, which all can read."""

    def __init__(self, root):
        self.root = root
        self.spool = root / "spool"
        self.spool.mkdir()
        self.tape = root / "VAULT01" / "P" / "A00017"
        self.tape.parent.mkdir(parents=True)
        self.tape.write_bytes(b"data")
        os.chown(self.tape, OTHER, OTHER)
        self.keeper = 0

    def run(self, *capabilities, command="cat /proc/self/status", key="1-1"):
        """Run a program about the tape by a keeper with these capabilities; return its end."""
        tape = TapeFile(vault="V", root=str(self.root / "VAULT01"), pool="P", cartridge="A00017")
        run = Run(key=key, argv=("sh", "-c", command), env=PATH, tape=tape)
        folder = self.spool / key
        folder.mkdir()
        words = [sys.executable, "-I", "-S", "-X", "utf8", PROGRAM, self.spool, "0.1"]
        subprocess.run([*WORDS, *capabilities, *words], check=True, timeout=60)
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(60)
            server.connect(str(self.spool / keeper.SOCKET))
            server.sendall(request(run, "/bin/sh", str(folder), 1 << 20) + b"\n")
            with server.makefile("rb") as lines:
                self.keeper = json.loads(lines.readline())["pid"]
                self.effective = capabilities_of(Path(f"/proc/{self.keeper}/status").read_text())
                while "ended" not in (ended := json.loads(lines.readline())):
                    pass
        assert ended["exit"] == 0, (folder / "output").read_text()
        return ended

    def output(self, key="1-1"):
        return (self.spool / key / "output").read_text()


def capabilities_of(status):
    """The sets of capabilities, by their name in /proc/PID/status."""
    lines = (line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    return {name: int(value, 16) for name, value in lines}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    if made.keeper and keeper.process(made.keeper) is not None:
        os.kill(made.keeper, signal.SIGKILL)


def writer(ended):
    looks = [as_look(ended[name], "V", "boot") for name in ("before", "after")]
    assert all(look.fingerprint.size == 4 for look in looks)
    return [look.writer for look in looks]


def test_with_it_a_writer_of_another_user_s_tape_is_reported(place):
    with place.tape.open("r+b"):
        assert writer(place.run(*LEASE)) == [True, True]


def test_with_it_that_nobody_writes_is_reported(place):
    assert writer(place.run(*LEASE)) == [False, False]


def test_without_it_neither_is_known(place):
    with place.tape.open("r+b"):
        assert writer(place.run(*NONE)) == [None, None]


def test_without_it_the_owner_of_a_tape_still_knows(place):
    os.chown(place.tape, os.getuid(), os.getgid())
    assert writer(place.run(*NONE)) == [False, False]


def test_no_program_that_the_keeper_starts_has_it(place):
    place.run(*LEASE)
    assert place.effective["CapEff"] == 1 << keeper.CAP_LEASE
    found = capabilities_of(place.output())
    assert found.pop("CapBnd") == capabilities_of(Path("/proc/self/status").read_text())["CapBnd"]
    assert found == {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0}


def test_other_capabilities_that_a_site_gives_its_applications_stay_theirs(place):
    place.run(*MORE)
    assert capabilities_of(place.output())["CapEff"] == 1  # CAP_CHOWN


def test_a_program_of_root_keeps_what_root_has(tmp_path):
    script = (
        f"import os, sys; sys.path.insert(0, {str(Path(keeper.__file__).parent)!r})\n"
        "import keeper\n"
        "keeper.keep_from_programs(keeper.CAP_LEASE)\n"
        "os.execv('/bin/cat', ['cat', '/proc/self/status'])\n"
    )
    words = ["setpriv", "--inh-caps=+lease", sys.executable, "-I", "-S", "-c", script]
    found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    ours = capabilities_of(Path("/proc/self/status").read_text())
    assert capabilities_of(found) == {**ours, "CapInh": 0}
