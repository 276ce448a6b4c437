"""Start a daemon in the foreground on a free loopback port, know when it answers, and stop it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Debian keeps daemons where an ordinary user's PATH does not look.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 120  # seconds for a daemon to answer or to end


def program(name):
    """Return the full path of a program of .ci/packages."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is not installed; .ci/packages tells which package has it"
    return found


class Daemon:
    """One process, its port and its output."""

    def __init__(
        self, argv: Sequence[str], port: int, output: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.argv = list(argv)
        self.port = port
        self.output = output
        self.env = env or {}  # besides the usual
        self.process: subprocess.Popen[bytes] | None = None

    def start(self):
        """Start it and return when it answers on its port."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/"), **self.env},
                start_new_session=True,
            )
        deadline = time.monotonic() + TIMEOUT
        while not self._answers():
            try:
                code = self.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < deadline, f"{self.argv} does not answer\n{self.said()}"
            else:
                raise AssertionError(f"{self.argv} ended with {code}\n{self.said()}")

    def stop(self):
        """Ask it to end, and see to it that it does."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        """End it as a power failure would."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def said(self):
        """Return its output so far."""
        return self.output.read_text(errors="replace")

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
