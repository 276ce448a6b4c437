"""Commands run to their final notice; the application is /bin/true."""

import os
import time
from pathlib import Path

from .ground import NOISE, Link, Server, command
from .peers import NotInstalled, celery, celery_seconds, celery_workers, redis
from .size import Size
from .table import Beside, Line, at_least, middle


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
    """Measure all in turns."""
    count = size.runs
    taken: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    missing = "" if peers else "left out"
    with Server(folder) as server:
        link = server.link()
        ours(link, "warm", 10, 0)
        for turn in range(size.rounds):
            taken["ours"].append(count / ours(link, f"R{turn}", count, 10 + turn * count))
            taken["floor"].append(count / floor(count))
            if not missing:
                try:
                    seconds = peer(folder / f"redis{turn}", size.peer_runs, install=size.rounds > 1)
                    taken["peer"].append(size.peer_runs / seconds)
                except NotInstalled as error:
                    missing = str(error)
        link.close()
    rate, bare = middle(taken["ours"]), middle(taken["floor"])
    theirs = None if missing else middle(taken["peer"])
    common = {"row": "run", "unit": "commands/s", "ours": rate}
    return [
        Line(
            **common,
            what="commands run to the final notice, /bin/true",
            peer=Beside(what="Celery, two workers, subprocess", value=theirs, note=missing),
            goal="2 x Celery",
            reached=at_least(rate, 2, theirs),
        ),
        Line(
            **common,
            what="the same",
            floors=(Beside(what="posix_spawn in a loop", value=bare),),
            goal="half the floor",
            reached=rate >= bare / 2,
            notes=("Ours flushes three times for each command: accepted, started, ended.",),
        ),
    ]
