"""The storm: hosts send without pause while the server, its keeper and applications are killed."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.check import faults, is_quiet
from tests.crash.hosts import Host, Hosts, Source
from tests.crash.life import drawn, live
from tests.crash.plan import commands
from tests.crash.report import Report
from tests.crash.site import Site

CALM = 120.0
"""Seconds after the last kill in which everything must have come to its end."""

LOOK = 0.03
"""Seconds between two looks into the ledger, once all hosts have heard the end of everything."""

VICTIMS = {"server": 14, "application": 3, "keeper": 2, "server and keeper": 1, "all": 1}
"""Who is killed, and how often in relation to the others."""


Tell = Callable[[Report], None]


def nobody(_report: Report) -> None:
    """Nobody wants to know how it goes."""


def hosts_of(site: Site, seed: int) -> Hosts:
    """Return the hosts of a site."""
    return Hosts(
        site.port, [Host(name, random.Random(f"{seed}-{name}")) for name in ("NSK1", "NSK2")]
    )


def storm(
    root: Path,
    seed: int,
    kills: int,
    victims: dict[str, int] = VICTIMS,
    *,
    prepare: Callable[[Path], None] | None = None,
    patience: float = CALM,
    tell: Tell = nobody,
) -> Report:
    """Kill so often, then wait for the end of everything and judge.

    `prepare` is called in every server before it starts: it may put in a defect. `tell` is called
    after each blow with what has been done so far.
    """
    began = time.monotonic()
    draw = random.Random(seed)
    site = Site(root, prepare)
    root.mkdir(parents=True)
    site.make()
    hosts = hosts_of(site, seed)
    source = Source(commands(seed))
    report = Report(f"storm {seed} on {', '.join(victims)}")
    try:
        while report.kills.total() < kills and not site.exits:
            life = drawn(draw)
            if not site.look() and not site.exits:
                (site.start_installed if life.installed and prepare is None else site.start)()
            live(life, site, hosts, source)
            _strike(site, hosts, draw, report, victims)
            report.count(site, hosts)
            tell(report)
        calm(site, hosts, report, patience=patience, installed=prepare is None)
        report.wrong += faults(site, hosts.all)
    finally:
        hosts.close()
        site.end()
    report.count(site, hosts)
    report.jobs = sum(line[0] == "start" for line in site.record())
    report.seconds = time.monotonic() - began
    return report


def _strike(
    site: Site, hosts: Hosts, draw: random.Random, report: Report, victims: dict[str, int]
) -> None:
    starting = hosts.reached(site.started) is None
    victim = draw.choices(tuple(victims), tuple(victims.values()))[0]
    struck = False
    if victim in {"application", "all"}:
        running = site.applications()
        for pid in running if victim == "all" else draw.sample(running, min(1, len(running))):
            site.kill_application(pid)
            struck = True
    if victim in {"keeper", "all"} or (victim == "server and keeper" and draw.random() < 0.5):
        struck = bool(site.kill_keepers(starting=starting)) or struck
    if victim in {"server", "server and keeper", "all"}:
        killed = site.kill_server()
        report.starting += killed and starting
        struck = killed or struck
    if victim == "server and keeper":
        struck = bool(site.kill_keepers(starting=starting)) or struck
    if struck:
        report.kills[victim] += 1


def calm(
    site: Site, hosts: Hosts, report: Report, *, installed: bool = True, patience: float = CALM
) -> None:
    """Wait until nothing is left to be done; the last start is that of the installed command."""
    if installed:
        site.kill_server()
    until = time.monotonic() + patience
    looked = 0.0
    while True:
        if not site.look():
            if site.exits:
                report.wrong.append(f"the server ended by itself: {site.exits}")
                return
            (site.start_installed if installed else site.start)()
        hosts.turn(None, 0.02)
        now = time.monotonic()
        if not hosts.owed and now > looked + LOOK:
            looked = now
            if is_quiet(site):
                return
        if now > until:
            report.wrong.append(f"no end after {patience:g} s: {hosts.owed[:20]} are open")
            return
