"""The sweep: the same short play again and again, with a death at each instant of each writing."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.check import faults
from tests.crash.faults import NEVER, arm
from tests.crash.hosts import Source
from tests.crash.plan import Command, commands
from tests.crash.site import Site
from tests.crash.storm import Report, calm, hosts_of

PLAY = 8
"""Commands of the play, of all kinds."""


def play(seed: int) -> Iterator[Command]:
    """Yield the commands of the play."""
    stream = commands(seed)
    for _ in range(PLAY):
        yield next(stream)


def act(root: Path, seed: int, kind: str, at: int, report: Report) -> bool:
    """Play once, with a death at an instant; answers whether that instant was reached."""
    site = Site(root)
    root.mkdir(parents=True)
    site.make()
    hosts = hosts_of(site, seed)
    source = Source(play(seed))
    died = False
    try:
        site.start(arm(kind, at))
        while site.look() and (hosts.owed or not source.is_empty):
            hosts.turn(source, 0.01)
            if kind == "keeper" and ["keeper-killed"] in site.record():
                break
        died = site.server is None or (kind == "keeper" and ["keeper-killed"] in site.record())
        while not source.is_empty:
            if not site.look():
                site.start()
            hosts.turn(source, 0.01)
        calm(site, hosts, report, installed=False)
        wrong = faults(site, hosts.all)
        report.wrong += [f"{kind} {at}: {each}" for each in wrong]
    finally:
        hosts.close()
        site.end()
    report.commands += sum(len(host.sent) for host in hosts.all)
    report.notices += sum(len(host.heard) for host in hosts.all)
    report.jobs += sum(line[0] == "start" for line in site.record())
    if died:
        report.kills[kind] += 1
    return died


def instants(root: Path, seed: int, kind: str, report: Report) -> int:
    """Return how many instants the play has."""
    act(root, seed, kind, NEVER, report)
    return int((root / f"tally-{kind}").read_text())


def sweep(root: Path, seed: int, kind: str, most: int | None = None) -> Report:
    """Die at every instant of one kind, or at `most` of them, drawn from the seed."""
    began = time.monotonic()
    report = Report(f"sweep {seed} of the writes of the {kind}")
    total = instants(root / f"{kind}-0", seed, kind, report)
    points = list(range(1, total + 1))
    if most is not None and most < total:
        points = sorted(random.Random(f"{seed}-{kind}").sample(points, most))
    for at in points:
        act(root / f"{kind}-{at}", seed, kind, at, report)
    report.what += f", {len(points)} of {total} instants"
    report.seconds = time.monotonic() - began
    return report
