"""From a command's last byte to its ACCEPTED, at a steady rate on an unwrapped listener."""

import re
import select
import time
from pathlib import Path

from .accept import held
from .ground import Link, Server, command, fsyncs
from .size import Size
from .table import Beside, Line, percentile

GOAL_MS = 10.0
_REF = re.compile(rb"ACCEPTED .*ref=\w+-(\d+)")


def paced(link: Link, name: str, count: int, rate: float) -> list[float]:
    """Send at fixed times and return each command's seconds until its answer.

    A command that is sent late because the sender was held up counts from its own sending.
    """
    sent: list[float] = []
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < count:
        now = time.perf_counter()
        due = begun + len(sent) / rate
        if len(sent) < count and now >= due:
            data = command(f"{name}-{len(sent)}", "HELD", len(sent))
            link.socket.sendall(data)
            sent.append(time.perf_counter())
            continue
        wait = max(due - now, 0) if len(sent) < count else 60
        if select.select([link.socket], [], [], wait)[0]:
            lines = link.read()
            now = time.perf_counter()
            for line in lines:
                found = _REF.search(line)
                if found:
                    taken.append(now - sent[int(found[1])])
        elif wait == 60:
            raise RuntimeError(f"{len(taken)} of {count} commands were answered")
    return taken


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure the latency, and between two halves what one flush takes."""
    count = int(size.latency_seconds * size.latency_rate / 2)
    with Server(folder) as server, held(server):
        link = server.link(unwrapped=True)
        paced(link, "W", min(count, 200), size.latency_rate)
        before = fsyncs(folder, 200)
        taken = paced(link, "L1", count, size.latency_rate)
        between = fsyncs(folder, 200)
        taken += paced(link, "L2", count, size.latency_rate)
        flushes = before + between + fsyncs(folder, 200)
        link.close()
    lines = []
    for part, what in ((0.5, "median"), (0.99, "99th percentile")):
        ours = percentile(taken, part) * 1000
        lines.append(
            Line(
                row="latency",
                what=f"last byte to ACCEPTED at {size.latency_rate:,}/s, {what}",
                unit="ms",
                ours=ours,
                floors=(Beside(what=f"one fsync, {what}", value=percentile(flushes, part) * 1000),),
                goal=f"at most {GOAL_MS:g} ms" if part > 0.5 else "",
                reached=ours <= GOAL_MS if part > 0.5 else None,
            )
        )
    return lines
