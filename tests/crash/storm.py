"""The storm: hosts send without pause while the server, its keeper and applications are killed."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tests.crash.check import faults, is_quiet
from tests.crash.hosts import Host, Hosts, Source
from tests.crash.plan import commands
from tests.crash.site import Site

CALM = 120.0
"""Seconds after the last kill in which everything must have come to its end."""

VICTIMS = {"server": 14, "application": 3, "keeper": 2, "server and keeper": 1, "all": 1}
"""Who is killed, and how often in relation to the others."""


@define
class Report:
    """What a storm, or a sweep, has shown."""

    what: str
    kills: Counter[str] = field(factory=Counter)
    commands: int = 0
    jobs: int = 0
    notices: int = 0
    wrong: list[str] = field(factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        killed = ", ".join(f"{count} x {who}" for who, count in sorted(self.kills.items()))
        return (
            f"{self.what}: killed {killed or 'nobody'}; {self.commands} commands,"
            f" {self.jobs} starts, {self.notices} notices; {self.seconds:.0f} s;"
            f" {len(self.wrong)} wrong"
        )


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
) -> Report:
    """Kill so often, then wait for the end of everything and judge.

    `prepare` is called in every server before it starts: it may put in a defect.
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
        while report.kills.total() < kills:
            _live(site, hosts, source, draw)
            _strike(site, draw, report, victims)
        calm(site, hosts, report, patience=patience, installed=prepare is None)
        report.wrong += faults(site, hosts.all)
    finally:
        hosts.close()
        site.end()
    _count(report, site, hosts)
    report.seconds = time.monotonic() - began
    return report


def _live(site: Site, hosts: Hosts, source: Source, draw: random.Random) -> None:
    """Let a server live for a while: often so short that it is still taking up what was left."""
    if not site.look():
        if site.exits:
            raise RuntimeError(f"the server ended by itself: {site.exits}; see its log")
        site.start()
    until = time.monotonic() + draw.choice((0.1, 0.3, 0.5, 1.0)) * draw.uniform(0.2, 1.5)
    while time.monotonic() < until:
        hosts.turn(source, 0.01)


def _strike(site: Site, draw: random.Random, report: Report, victims: dict[str, int]) -> None:
    victim = draw.choices(tuple(victims), tuple(victims.values()))[0]
    struck = False
    if victim in {"application", "all"}:
        running = site.applications()
        for pid in running if victim == "all" else draw.sample(running, min(1, len(running))):
            site.kill_application(pid)
            struck = True
    if victim in {"keeper", "all"} or (victim == "server and keeper" and draw.random() < 0.5):
        struck = bool(site.kill_keepers()) or struck
    if victim in {"server", "server and keeper", "all"}:
        struck = site.kill_server() or struck
    if victim == "server and keeper":
        struck = bool(site.kill_keepers()) or struck
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
        if not hosts.owed and now > looked + 0.1:
            looked = now
            if is_quiet(site):
                return
        if now > until:
            report.wrong.append(f"no end after {patience:g} s: {hosts.owed[:20]} are open")
            return


def _count(report: Report, site: Site, hosts: Hosts) -> None:
    report.commands += sum(len(host.sent) for host in hosts.all)
    report.notices += sum(len(host.heard) for host in hosts.all)
    report.jobs += sum(line[0] == "start" for line in site.record())


def say(text: str) -> None:
    """Tell how it goes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
