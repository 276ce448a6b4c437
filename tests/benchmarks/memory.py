"""Resident memory of the server: idle, with many waiting jobs, under a flood."""

import threading
import time
from pathlib import Path

from .accept import held
from .ground import NOISE, Server, command
from .size import Size
from .table import Line

GOAL_IDLE = 60.0  # MB
GOAL_WAITING = 250.0
GOAL_GROWTH = 10.0  # MB: what "flat" allows for caches that fill
STEP = 10_000  # commands made at a time, so that this side stays small too


class Highest:
    """Watches a server's memory until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self.value = server.memory()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.value = max(self.value, self._server.memory())

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return self.value


def commands(name: str, pool: str, count: int) -> bytes:
    """Return so many commands, and a line that completes the last one."""
    return b"".join(command(f"{name}-{n}", pool, n) for n in range(count)) + NOISE


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure one server in its three conditions."""
    with Server(folder) as server:
        time.sleep(0.5)  # what starting needs is given back
        idle = server.memory()
        with held(server) as link:
            link.send(commands("warm", "DENIED", min(size.flood, 2000)))
            link.wait(b"DENIED", min(size.flood, 2000))
            before = server.memory()
            data = commands("flood", "DENIED", size.flood)
            highest = Highest(server)
            begun = time.perf_counter()
            sender = link.send(data)
            link.wait(b"DENIED", size.flood + min(size.flood, 2000))
            seconds = time.perf_counter() - begun
            sender.join()
            grown = highest.stop() - before
            sent = 0
            while sent < size.waiting:
                part = min(STEP, size.waiting - sent)
                sender = link.send(commands(f"wait{sent}", "HELD", part))
                sent += part
                link.wait(b"ACCEPTED", 1 + sent)
                sender.join()
            waiting = server.memory()
    common = {"row": "memory", "unit": "MB"}
    return [
        Line(
            **common,
            what="idle",
            ours=idle,
            goal=f"at most {GOAL_IDLE:g} MB",
            reached=idle <= GOAL_IDLE,
        ),
        Line(
            **common,
            what=f"{size.waiting:,} waiting jobs",
            ours=waiting,
            goal=f"at most {GOAL_WAITING:g} MB",
            reached=waiting <= GOAL_WAITING,
        ),
        Line(
            **common,
            what=f"growth in a flood of {size.flood:,} commands",
            ours=grown,
            goal=f"flat: at most {GOAL_GROWTH:g} MB",
            reached=grown <= GOAL_GROWTH,
            notes=(f"Offered at once; the server recorded {size.flood / seconds:,.0f} a second.",),
        ),
    ]
