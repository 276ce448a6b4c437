"""Many connections, some slow or silent: what the others notice of it."""

import re
import resource
import selectors
import socket
import time
from pathlib import Path

from .accept import held
from .ground import Server, command
from .size import Size
from .table import Beside, Line, percentile

NOISE_ALLOWED = 1.3
"""How much worse the others may be before it counts as an effect: the rounds differ so much."""

_REF = re.compile(rb"ACCEPTED .*ref=\w+-(\d+)")


class Bad:
    """Connections that hold still, or send a command a byte at a time and read nothing."""

    def __init__(self, port: int, count: int, name: str) -> None:
        # Another host: what is told to a host may go to any of its connections.
        self.links = [
            socket.create_connection(("127.0.0.1", port), 30, source_address=("127.0.0.2", 0))
            for _ in range(count)
        ]
        half = count // 2
        self._slow = [
            (link, command(f"{name}{number}-0", "HELD", number).replace(b"NSK1", b"NSK2"))
            for number, link in enumerate(self.links[:half])
        ]
        self._at = 0

    def step(self) -> None:
        """Let the next slow one send its next byte."""
        if self._slow:
            link, data = self._slow[self._at % len(self._slow)]
            byte = (self._at // len(self._slow)) % len(data)
            link.sendall(data[byte : byte + 1])
            self._at += 1

    def close(self) -> None:
        for link in self.links:
            link.close()


def paced(links: list[socket.socket], name: str, rate: float, count: int, bad: Bad | None):
    """Send commands at fixed times, each on the next link; return the seconds of each answer."""
    selector = selectors.DefaultSelector()
    rest = dict.fromkeys(links, b"")
    for link in links:
        selector.register(link, selectors.EVENT_READ)
    sent: list[float] = []
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < count:
        now = time.perf_counter()
        due = begun + len(sent) / rate
        if len(sent) < count and now >= due:
            number = len(sent)
            links[number % len(links)].sendall(command(f"{name}-{number}", "HELD", number))
            sent.append(time.perf_counter())
            if bad is not None:
                bad.step()
            continue
        wait = max(due - now, 0) if len(sent) < count else 60
        ready = selector.select(wait)
        if not ready and wait == 60:
            raise RuntimeError(f"{len(taken)} of {count} commands were answered")
        for key, _ in ready:
            link = key.fileobj
            *lines, rest[link] = (rest[link] + link.recv(65536)).split(b"\n")
            now = time.perf_counter()
            for line in lines:
                found = _REF.search(line)
                if found and f"ref={name}-".encode() in line:
                    taken.append(now - sent[int(found[1])])
    selector.close()
    return taken


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure the good ones alone and in bad company, in turns."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    good = size.connections - size.bad
    count = int(size.crowd_rate * size.crowd_seconds)
    alone: list[float] = []
    together: list[float] = []
    with Server(folder) as server, held(server):
        links = [socket.create_connection(("127.0.0.1", server.unwrapped), 30) for _ in range(good)]
        paced(links, "W", size.crowd_rate, min(count, good), None)
        for turn in range(size.rounds):
            alone += paced(links, f"A{turn}", size.crowd_rate, count, None)
            bad = Bad(server.unwrapped, size.bad, f"X{turn}")
            # That they come costs something once; what they do while they are there is measured.
            paced(links, f"C{turn}", size.crowd_rate, count // 2, bad)
            together += paced(links, f"T{turn}", size.crowd_rate, count, bad)
            bad.close()
        for link in links:
            link.close()
    lines = []
    for part, what in ((0.5, "median"), (0.99, "99th percentile")):
        ours, before = percentile(together, part) * 1000, percentile(alone, part) * 1000
        lines.append(
            Line(
                row="crowd",
                what=f"{good} of {size.connections} connections, others bad, {what}",
                unit="ms",
                ours=ours,
                floors=(Beside(what="the same without the bad ones", value=before),),
                goal=f"no effect (within {NOISE_ALLOWED} x)",
                reached=ours <= NOISE_ALLOWED * before,
            )
        )
    return lines
