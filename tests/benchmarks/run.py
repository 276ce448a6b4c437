"""Commands run to their final notice; the application is /bin/true."""

import os
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from .ground import NOISE, RULES, Link, Server, command
from .peers import NotInstalled, celery, celery_seconds, celery_workers, redis
from .size import Size
from .table import Beside, Line, at_least, middle

SEATS = (8, 32)
"""Runs at once."""


def ours(link: Link, name: str, count: int, before: int) -> float:
    """Return the seconds until so many more commands have their final notice."""
    data = b"".join(command(f"{name}-{number}", "RUN", number) for number in range(count)) + NOISE
    begun = time.perf_counter()
    sender = link.send(data)
    link.wait(b"COMPLETED", before + count)
    seconds = time.perf_counter() - begun
    sender.join()
    return seconds


def floor(count: int) -> float:
    """Return the seconds that the system needs to run the program so often."""
    begun = time.perf_counter()
    for _ in range(count):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return time.perf_counter() - begun


def peer(folder: Path, count: int, *, install: bool) -> float:
    """Return the seconds until two workers of Celery have given all results."""
    programs = celery(install=install)
    with (
        redis(folder) as address,
        celery_workers(programs, address, folder / "workers"),
    ):
        return celery_seconds(programs, address, "run", count)


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure a server with few seats, one with many, and all else, in turns."""
    count = size.runs
    taken: dict[str | int, list[float]] = defaultdict(list)
    missing = "" if peers else "left out"
    with ExitStack() as stack:
        links: dict[int, Link] = {}
        for seats in SEATS:
            root = folder / f"{seats} seats"
            root.mkdir()
            rules = RULES.replace("seats: 8", f"seats: {seats}")
            links[seats] = stack.enter_context(Server(root, rules=rules)).link()
            stack.callback(links[seats].close)
            ours(links[seats], "warm", 10, 0)
        for turn in range(size.rounds):
            for seats, link in links.items():
                taken[seats].append(count / ours(link, f"R{turn}", count, 10 + turn * count))
            taken["floor"].append(count / floor(count))
            if not missing:
                try:
                    seconds = peer(folder / f"redis{turn}", size.peer_runs, install=size.rounds > 1)
                    taken["peer"].append(size.peer_runs / seconds)
                except NotInstalled as error:
                    missing = str(error)
    few, many = (middle(taken[seats]) for seats in SEATS)
    bare = Beside(what="posix_spawn in a loop", value=middle(taken["floor"]))
    theirs = None if missing else middle(taken["peer"])
    common = {"row": "run", "unit": "commands/s", "floors": (bare,)}
    what = "commands run to the final notice, /bin/true"
    return [
        Line(
            **common,
            what=f"{what}, {SEATS[0]} seats",
            ours=few,
            peer=Beside(what="Celery, two workers, subprocess", value=theirs, note=missing),
            goal="2 x Celery",
            reached=at_least(few, 2, theirs),
        ),
        Line(
            **common,
            what=f"the same, {SEATS[1]} seats",
            ours=many,
            goal="half the floor",
            reached=at_least(many, 0.5, bare.value),
            notes=("Ours flushes three times for each command: accepted, started, ended.",),
        ),
    ]
