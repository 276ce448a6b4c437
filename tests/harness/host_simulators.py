"""`vtspolicy host-simulator` as a process, with the keys that it knows."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

VTSPOLICY = Path(sys.executable).parent / "vtspolicy"


SIMULATE = [str(VTSPOLICY), "host-simulator"]


PASSWORD = "seen-by-nobody"


TIMEOUT = 60


class Simulator:
    """The command, its happenings and its orders."""

    def __init__(self, folder, *words):
        (folder / "password").write_text(PASSWORD + "\n")
        self.log = folder / "journal"
        self.process = subprocess.Popen(
            [
                *SIMULATE,
                *words,
                "--json",
                "--log",
                self.log,
                "--password-file",
                folder / "password",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.listeners = {}
        while "Log on as" not in (line := self.process.stdout.readline()):
            listener = json.loads(line)
            self.listeners[listener["kind"]] = listener

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def until(self, what):
        """Return the facts of the next happening of this kind."""
        while True:
            line = self.process.stdout.readline()
            assert line, "the simulator ended"
            facts = json.loads(line)
            if facts.get("what") == what:
                return facts

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.communicate(timeout=TIMEOUT)[0]
        assert self.process.returncode == 0
        return rest


def stdio(folder, *words):
    return shlex.join([*SIMULATE, "--stdio", "--log", str(folder / "journal"), *words])
