"""Costs that may grow with a site: each is measured at a large size beside a tenth of it.

Rules are not here: they have a row of their own.
"""

import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .accept import held
from .ground import NOISE, RULES, Server, command
from .size import Size
from .table import Beside, Line

POOLS = ("LARGE0", "LARGE1")
TABLE = RULES.replace("pool: HELD", f"pool: [HELD, {', '.join(POOLS)}]")
GOAL_OTHERS = 50.0  # ms that one command and its cancel may hold up others
GOAL_METRICS = 20.0
GOAL_START = 2.0  # s
GOAL_TAPES = 5.0
GOAL_RATE = 0.7  # of a tenth of the notices
SCRAPES = 5


class Others:
    """Another host, which sends one refused command after the other and notes its waits."""

    def __init__(self, server: Server) -> None:
        self._link = socket.create_connection(
            ("127.0.0.1", server.unwrapped), 30, source_address=("127.0.0.2", 0)
        )
        self._link.settimeout(300)
        self._ended = False
        self.longest = 0.0
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        number = 0
        while not self._ended:
            number += 1
            line = command(f"O{time.monotonic_ns()}", "DENIED", number).replace(b"NSK1", b"NSK2")
            begun = time.perf_counter()
            self._link.sendall(line)
            answer = b""
            while not answer.endswith(b"\n"):
                answer += self._link.recv(65536)
            self.longest = max(self.longest, time.perf_counter() - begun)
            time.sleep(0.002)

    def stop(self) -> float:
        """Return the longest wait, in milliseconds."""
        self._ended = True
        self._thread.join()
        self._link.close()
        return self.longest * 1000


@contextmanager
def watched(server: Server, waits: dict[str, float], name: str) -> Iterator[None]:
    """Note under `name` how long others wait at most while something is done."""
    others = Others(server)
    time.sleep(0.2)
    try:
        yield
        time.sleep(0.2)
    finally:
        waits[name] = others.stop()


def pool_command(text: str, number: int) -> bytes:
    """Return a command in an event of its own."""
    head = command("x", "HELD", 0).split(b"VTSPolicy")[0]
    return head.replace(b"02:14:09", b"03:14:%02d" % number) + text.encode() + b"\n"


def pools(root: Path, tapes: int) -> dict[str, float]:
    """Accept a command for each of two pools, start again, list the tapes, and cancel one."""
    root.mkdir()
    for letter, pool in zip("BC", POOLS, strict=True):
        (root / "VAULT01" / pool).mkdir(parents=True)
        for number in range(tapes // len(POOLS)):
            (root / "VAULT01" / pool / f"{letter}{number:05}").touch()
    found: dict[str, float] = {}
    server = Server(root, rules=TABLE)
    with server, held(server) as link:
        for number, pool in enumerate(POOLS):
            with watched(server, found, f"take{number}"):
                text = f"VTSPolicy DSK 'archive /VAULT01/{pool} ref={pool}'"
                link.socket.sendall(pool_command(text, number) + NOISE)
                link.wait(b"ACCEPTED", 2 + number)
        found["list"] = listed(root, tapes)
    found["start"] = server.start()
    try:
        link = server.link()
        with watched(server, found, "cancel"):
            text = f"VTSPolicy Cancel - ref={POOLS[0]}"
            link.socket.sendall(pool_command(text, 10) + NOISE)
            link.wait(b"CANCELLED", 1)
        link.close()
    finally:
        server.stop()
    found["take"] = max(found["take0"], found["take1"])
    return found


def listed(root: Path, tapes: int) -> float:
    """Return the seconds of `vtspolicy tapes` as a table, once the catalogue has them all."""
    words = [sys.executable, "-m", "vtspolicy", "tapes", "--config", "vtspolicy.yaml"]
    subprocess.run([*words, "--scan"], cwd=root, check=True, capture_output=True)
    begun = time.perf_counter()
    done = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if tapes >= 10_000 and f"{tapes // 1000:,}" not in done.stdout + done.stderr:
        raise RuntimeError("the catalogue does not have all tapes")
    return seconds


def scraped(root: Path, hosts: int) -> float:
    """Return how long others wait at most while the metrics of so many hosts are read."""
    root.mkdir()
    waits: dict[str, float] = {}
    with Server(root, hosts=hosts, web=True) as server:
        page = f"http://127.0.0.1:{server.web}/metrics"
        urllib.request.urlopen(page).read()
        with watched(server, waits, "metrics"):
            for _ in range(SCRAPES):
                urllib.request.urlopen(page).read()
                time.sleep(0.1)
    return waits["metrics"]


def fetched(root: Path, notices: int) -> float:
    """Return how many notices a second a host gets that comes when so many wait for it."""
    root.mkdir()
    server = Server(root)
    with server:
        pass
    connection = sqlite3.connect(server.ledger)
    rows = (("NSK1", 1304, f'{{"req":{number}}}', time.time()) for number in range(notices))
    with connection:
        connection.executemany(
            "INSERT INTO notices (host, word, fields, created) VALUES (?, ?, ?, ?)", rows
        )
    connection.close()
    with server:
        link = server.link()
        begun = time.perf_counter()
        link.socket.sendall(NOISE)
        link.wait(b"CANCELLED", notices)
        seconds = time.perf_counter() - begun
        link.close()
    return notices / seconds


def line(what: str, unit: str, most: float, figures: tuple[float, float]) -> Line:
    """Return a line for a figure, and the same at a tenth, that is to be `most` at most."""
    ours, beside = figures
    return Line(
        row="growth",
        what=what,
        unit=unit,
        ours=ours,
        floors=(Beside(what="the same with a tenth", value=beside),),
        goal=f"at most {most:g} {unit}",
        reached=ours <= most,
    )


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure each cost at its size and at a tenth of it."""
    whole, tenth = pools(folder / "whole", size.tapes), pools(folder / "tenth", size.tapes // 10)
    many, few = scraped(folder / "many", size.hosts), scraped(folder / "few", size.hosts // 10)
    long = fetched(folder / "long", size.notices)
    short = fetched(folder / "short", size.notices // 10)
    found = {name: (figure, tenth[name]) for name, figure in whole.items()}
    pool = f"a pool of {size.tapes // len(POOLS):,} tapes"
    hosts = f"the metrics of {size.hosts:,} hosts"
    return [
        line(f"others wait: a command for {pool}", "ms", GOAL_OTHERS, found["take"]),
        line(f"others wait: the cancel of that, {pool}", "ms", GOAL_OTHERS, found["cancel"]),
        line(f"start with {size.tapes:,} waiting jobs", "s", GOAL_START, found["start"]),
        line(f"vtspolicy tapes, {size.tapes:,} tapes", "s", GOAL_TAPES, found["list"]),
        line(f"others wait: {hosts}", "ms", GOAL_METRICS, (many, few)),
        Line(
            row="growth",
            what=f"notices fetched, {size.notices:,} waiting",
            unit="notices/s",
            ours=long,
            floors=(Beside(what="the same with a tenth", value=short),),
            goal=f"{GOAL_RATE:g} of a tenth",
            reached=long >= GOAL_RATE * short,
        ),
    ]
