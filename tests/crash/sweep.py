"""The sweep: the same short play again and again, with a death at each instant of each writing."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.crash.check import faults
from tests.crash.crew import Task
from tests.crash.faults import NEVER, arm
from tests.crash.hosts import Hosts, Source
from tests.crash.plan import Command, commands
from tests.crash.report import Report
from tests.crash.site import Site
from tests.crash.storm import Tell, calm, hosts_of

Fault = Callable[[Path], None]

PLAY = 8
"""Commands of the play, of all kinds."""

ACT = 60.0
"""Seconds in which a play without a death comes to its end, and any death has happened."""


def play(seed: int) -> Iterator[Command]:
    """Yield the commands of the play."""
    stream = commands(seed)
    for _ in range(PLAY):
        yield next(stream)


def act(root: Path, seed: int, kind: str, at: int) -> Report:
    """Play once, with a death at an instant, if that instant is reached."""
    began = time.monotonic()
    report = Report(f"sweep {seed} of the writes of the {kind}")
    site = Site(root)
    root.mkdir(parents=True)
    site.make()
    hosts = hosts_of(site, seed)
    try:
        if _until_death(site, hosts, Source(play(seed)), arm(kind, at), kind):
            report.kills[kind] += 1
        if site.excused and ["keeper-killed"] not in site.record():
            report.wrong.append(f"{kind} {at}: the server ended, though its keeper did not die")
        calm(site, hosts, report, installed=False)
        report.wrong += [f"{kind} {at}: {each}" for each in faults(site, hosts.all)]
    finally:
        hosts.close()
        site.end()
    report.count(site, hosts)
    report.jobs = sum(line[0] == "start" for line in site.record())
    report.seconds = time.monotonic() - began
    return report


def _until_death(site: Site, hosts: Hosts, source: Source, fault: Fault, kind: str) -> bool:
    """Let hosts say all they have to; answers whether somebody died meanwhile."""

    def keeper_died() -> bool:
        return kind == "keeper" and ["keeper-killed"] in site.record()

    until = time.monotonic() + ACT
    site.start(fault)
    if kind == "keeper":
        site.excuse()
    while site.look() and (hosts.owed or not source.is_empty) and time.monotonic() < until:
        hosts.turn(source, 0.01)
        if keeper_died():
            break
    died = site.server is None or keeper_died()
    while not source.is_empty and not site.exits and time.monotonic() < until:
        if not site.look() and not site.exits:
            site.start()
        hosts.turn(source, 0.01)
    return died


def sweep(root: Path, seed: int, kind: str, most: int) -> Task:
    """Return what begins a sweep: a play without a death, which counts the instants of one kind.

    It makes a death possible at every one of them, or at `most` of them, drawn from the seed.
    """
    what = f"sweep of {kind}"
    counting = root / f"{kind}-count"

    def acts(counted: Report) -> list[Task]:
        tally = counting / f"tally-{kind}"
        total = int(tally.read_text()) if tally.exists() else 0
        if not total:
            counted.wrong.append(f"the play has no instants of the {kind}")
        points = list(range(1, total + 1))
        if most < total:
            points = sorted(random.Random(f"{seed}-{kind}").sample(points, most))
        counted.what += f", {len(points)} of {total} instants"
        return [
            Task(what=what, kills=1, work=partial(_acted, root, seed, kind, at, counted.what))
            for at in points
        ]

    return Task(what=what, kills=0, work=lambda _tell: act(counting, seed, kind, NEVER), then=acts)


def _acted(root: Path, seed: int, kind: str, at: int, what: str, _tell: Tell) -> Report:
    folder = root / f"{kind}-{at}"
    report = act(folder, seed, kind, at)
    report.what = what
    if not report.wrong:
        shutil.rmtree(folder)
    return report
