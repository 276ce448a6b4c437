"""A server of the installed program on loopback, in a folder of its own, and its host's side."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from tests.harness.ports import free_ports
from vtspolicy.runner.spool import Spool

TAPES = 100
TIMEOUT = 300.0  # seconds in which something must come; then it is given up

CONFIGURATION = r"""
node: vts1.example.com
listen:
  - {{endpoint: "tcp:port={port}:interface=127.0.0.1:backlog=1024", format: auto}}
  - {{endpoint: "tcp:port={unwrapped}:interface=127.0.0.1", format: auto, wrapped: false}}
ledger: sqlite:///{ledger}
spool: {root}/spool
vaults: {{VAULT01: {root}/VAULT01}}
connections: 2000
rules: [rules.yaml]
hosts:
  NSK1: {{peers: [127.0.0.1], systems: ['\NSK1'], vaults: [VAULT01], families: [DSK, Cancel]}}
  NSK2: {{peers: [127.0.0.2], systems: ['\NSK2'], vaults: [VAULT01], families: [DSK]}}
"""
HOST = r"""  H{number}: {{peers: [10.1.{high}.{low}], systems: ['\H{number}'], vaults: [VAULT01]}}
"""

RULES = """
applications:
  DSK: {title: /bin/true, seats: 8, outcome: {0: completed, default: failed}}
  HELD: {title: one run that does not end, seats: 1, outcome: {0: completed, default: failed}}
rules:
  - rule: run something
    when: {family: DSK, pool: RUN}
    run: [/bin/true, "{path}"]
  - rule: wait behind the first of them
    when: {family: DSK, pool: HELD}
    application: HELD
    run: [/bin/sleep, "86400"]
  - rule: refuse
    when: {family: DSK, pool: DENIED}
    deny: this pool is only for refusals
"""


def command(ref: str, pool: str, number: int) -> bytes:
    """Return one event with a command in one line; every `ref` is another event."""
    head = rb"26-11-22 02:14:09 \NSK1.$ZBAT  TANDEM.EMS.L01          001234 "
    text = f"VTSPolicy DSK 'archive /VAULT01/{pool}/A{number % TAPES:05} ref={ref}'\n"
    return head + text.encode()


NOISE = rb"26-11-22 02:14:10 \NSK1.$Z001  TANDEM.DISK.L01          000017 nothing" + b"\n"


class Link:
    """A host's connection that counts what it is told."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(TIMEOUT)
        self._told: dict[bytes, set[bytes]] = {}  # word -> req=, as a notice may come twice
        self._rest = b""

    def send(self, data: bytes) -> threading.Thread:
        """Send in a thread: whoever only sends is held up until somebody reads the answers."""
        thread = threading.Thread(target=self.socket.sendall, args=(data,), daemon=True)
        thread.start()
        return thread

    def read(self) -> list[bytes]:
        """Wait for more notices and return them."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def wait(self, word: bytes, count: int) -> None:
        """Wait until so many requests were told a word, since the link was made."""
        told = self._told.setdefault(word, set())
        while len(told) < count:
            for line in self.read():
                said, request = line.split(b" VTSPolicy ", 1)[-1].split(b" ", 2)[:2]
                self._told.setdefault(said, set()).add(request)

    def close(self) -> None:
        self.socket.close()


class Server:
    """One server with its site; `with` starts it and leaves nothing behind."""

    def __init__(
        self,
        root: Path,
        ledger: Path | None = None,
        *,
        rules: str = RULES,
        hosts: int = 0,  # more than the two that send
        web: bool = False,
    ) -> None:
        self.root = root
        self.ledger = ledger or root / "ledger.db"
        self.port, self.unwrapped, self.web = free_ports(3)
        self.has_web = web
        self.process: subprocess.Popen[bytes] | None = None
        for pool in ("RUN", "HELD", "DENIED"):
            (root / "VAULT01" / pool).mkdir(parents=True, exist_ok=True)
            for number in range(TAPES):
                (root / "VAULT01" / pool / f"A{number:05}").write_bytes(b"tape")
        written = CONFIGURATION.format(
            root=root, ledger=self.ledger, port=self.port, unwrapped=self.unwrapped
        )
        for number in range(hosts):
            written += HOST.format(number=number, high=number // 250, low=number % 250)
        written += f'web: "tcp:port={self.web}:interface=127.0.0.1"\n' if web else ""
        (root / "vtspolicy.yaml").write_text(written)
        (root / "rules.yaml").write_text(rules)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Start it; return the seconds until its port answered."""
        begun = time.perf_counter()
        with (self.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vtspolicy", "serve", "--config", "vtspolicy.yaml"],
                cwd=self.root,
                stdout=log,
                stderr=log,
            )
        self._reach(self.port)
        seconds = time.perf_counter() - begun
        for port in (self.unwrapped, *([self.web] if self.has_web else [])):
            self._reach(port)
        return seconds

    def _reach(self, port: int) -> None:
        """Wait until a port answers."""
        begun = time.perf_counter()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except OSError:
                ended = self.process is None or self.process.poll() is not None
                if ended or time.perf_counter() - begun > TIMEOUT:
                    raise RuntimeError((self.root / "server.log").read_text()) from None
                time.sleep(0.002)
            else:
                return

    def stop(self) -> None:
        """End the server, then what it left running; the keeper ends by itself."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        spool = Spool(self.root / "spool")
        for key in list(spool.keys()):
            journal = spool.journal(key)
            if journal and journal.leader and not journal.ending and journal.leader.is_alive:
                os.killpg(journal.leader.pid, signal.SIGKILL)

    def link(self, *, unwrapped: bool = False) -> Link:
        return Link(self.unwrapped if unwrapped else self.port)

    def memory(self) -> float:
        """Return the resident memory of the server's process, in MB."""
        if self.process is None:
            raise RuntimeError("the server does not run")
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) * 1024 / 1e6 if found else 0.0


def fsyncs(folder: Path, count: int) -> list[float]:
    """Return the seconds of single flushes of 4 KiB at the end of a growing file."""
    path = folder / "fsync"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    taken = []
    for _ in range(count):
        os.write(file, bytes(4096))
        begun = time.perf_counter()
        os.fsync(file)
        taken.append(time.perf_counter() - begun)
    os.close(file)
    path.unlink()
    return taken
