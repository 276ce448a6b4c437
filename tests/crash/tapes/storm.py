"""The storm over tapes: hosts command and write while server, keeper and applications are killed.

The server dies from outside, and at single steps of what it does to tapes. Every now and then all
processes are killed, and what the tapes and copies have is judged. At the end the host writes no
more, and each tape has to be brought back, copied, emptied or removed, and brought back again.
"""

import random
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import define, field

from tests.crash.check import facts, record, told
from tests.crash.hosts import Hosts, Source
from tests.crash.report import Report
from tests.crash.site import Site
from tests.crash.storm import CALM, Tell, calm, hosts_of, nobody
from tests.crash.tapes.check import Ground, losses
from tests.crash.tapes.journal import Journal
from tests.crash.tapes.plan import ROWS, Plan
from tests.crash.tapes.setting import POOL_OF, TAPES
from tests.crash.tapes.steps import arm
from tests.crash.tapes.writer import WAYS, WritingHost

VICTIMS = {
    "server": 12,
    "application": 3,
    "keeper": 2,
    "server and keeper": 1,
    "looker": 1,
    "host": 4,
    "all": 2,
}
"""Who is killed from outside, and how often in relation to the others."""

STEP = "server at a step"
"""What kills are called that a server comes to at a single step of its own."""

STEPS: Mapping[str, tuple[int, int]] = {
    "vault": (6, 15),
    "evidence": (4, 8),
    "ledger": (1, 150),
    "spool": (1, 12),
}
"""Where these deaths lie: how often, in relation to the others, and within how many instants."""

AT_A_STEP = 0.6
"""The share of servers that die so."""

LONGEST = 4.0
"""Seconds that a server lives at most, if not told otherwise."""

TIDIED = 10.0
"""Seconds for which private files may stay when all has ended."""

OPEN = 8
"""Commands of a host that wait for their final notice, at most."""


@define(kw_only=True)
class Weather:
    """How a storm is; a defect may need a special one."""

    victims: Mapping[str, int] = field(factory=lambda: VICTIMS)
    rows: Mapping[tuple[str, ...], int] = field(factory=lambda: ROWS)
    ways: Mapping[str, int] = field(factory=lambda: WAYS)
    steps: Mapping[str, tuple[int, int]] = field(factory=lambda: STEPS)
    pace: float = 0.06  # seconds between two writes
    fills: bool = False  # the host likes to write to tapes that have nothing
    tapes: tuple[str, ...] = tuple(POOL_OF)  # that the hosts use
    lives: tuple[int, ...] = (1, 5, 12, 25)  # notices that are heard of a server before it dies
    longest: float = LONGEST
    prepare: Callable[[Path], None] | None = None  # called in each server before it starts
    patience: float = CALM


@define
class Play:
    """One site under fire, with all that belongs to it."""

    folder: Path
    seed: int
    weather: Weather = field(factory=Weather)
    site: Site = field(init=False)
    hosts: Hosts = field(init=False)
    journal: Journal = field(init=False)
    writer: WritingHost = field(init=False)
    plan: Plan = field(init=False)
    report: Report = field(init=False)
    draw: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.draw = random.Random(f"{self.seed}-tapes")
        self.site = Site(self.folder / "site", self.weather.prepare, TAPES)
        self.site.root.mkdir(parents=True)
        self.site.make()
        self.hosts = hosts_of(self.site, self.seed)
        for host in self.hosts.all:
            host.open = OPEN
        self.journal = Journal(self.folder / "journal")
        self.journal.make(
            {name: self.ground.path(name).read_bytes() for name in POOL_OF},
        )
        self.writer = WritingHost(
            self.site.root / "VAULT01",
            self.journal,
            {name: POOL_OF[name] for name in self.weather.tapes},
            self.seed,
            self.weather.pace,
            self.weather.ways,
            self.weather.fills,
        )
        self.plan = Plan(random.Random(f"{self.seed}-plan"), self.weather.rows, self.weather.tapes)
        self.report = Report(f"storm {self.seed} over tapes")

    @property
    def ground(self) -> Ground:
        """What the judge looks at."""
        return Ground(self.site, self.journal)

    def kill_all(self) -> None:
        """Kill every process of the site, and the host."""
        self.site.kill_server()
        self.site.kill_keepers(starting=False)
        for pid in self.site.applications():
            self.site.kill_application(pid)
        self.writer.kill()
        until = time.monotonic() + 10.0
        while _is_queued(self.site) and time.monotonic() < until:
            time.sleep(0.02)

    def strike(self) -> None:
        """Kill somebody."""
        victims = self.weather.victims
        victim = self.draw.choices(tuple(victims), tuple(victims.values()))[0]
        starting = self.hosts.reached(self.site.started) is None
        struck = False
        match victim:
            case "all":
                self.kill_all()
                self.report.wrong += losses(self.ground, settled=False)
                struck = True
            case "host":
                struck = self.writer.kill()
            case "looker":
                struck = self.site.kill_lookers()
            case "application":
                running = self.site.applications()
                for pid in self.draw.sample(running, min(1, len(running))):
                    self.site.kill_application(pid)
                    struck = True
            case "keeper":
                struck = bool(self.site.kill_keepers(starting=starting))
            case "server and keeper":
                struck = bool(self.site.kill_keepers(starting=starting))
                struck = self.site.kill_server() or struck
            case _:
                struck = self.site.kill_server()
                self.report.starting += struck and starting
        if struck:
            self.report.kills[victim] += 1

    def settle(self, commands: Source | None = None) -> bool:
        """Wait until all that was asked for has ended; the host writes no more."""
        self.writer.stop()
        source = commands
        until = time.monotonic() + self.weather.patience
        while source is not None and not source.is_empty and time.monotonic() < until:
            if not self.site.look():
                if self.site.exits:
                    break
                self.site.start()
            self.hosts.turn(source, 0.01)
        count = len(self.report.wrong)
        calm(
            self.site,
            self.hosts,
            self.report,
            installed=self.weather.prepare is None,
            patience=self.weather.patience,
        )
        until = time.monotonic() + TIDIED
        while time.monotonic() < until and any(
            "-kept-" not in each.name for each in self.ground.private()
        ):
            time.sleep(0.05)  # what a restore has left goes once its end is recorded
        return len(self.report.wrong) == count

    def end(self) -> None:
        """Leave no process behind."""
        self.writer.kill()
        self.hosts.close()
        self.site.end()

    def close(self) -> None:
        """Let all settle, judge, and have every tape go through everything once more."""
        if not self.settle():
            return
        self.kill_all()
        self.report.wrong += losses(self.ground, settled=True)
        for host in self.hosts.all:
            host.cancels = 0.0
        missing = self._missing()
        unknown = [name for name in self.weather.tapes if self.ground.is_left_unknown(name)]
        if not self._overrule([name for name in unknown if name in missing]):
            return
        if not self._again([(name, "restore") for name in missing if name not in unknown]):
            return
        for name in self.weather.tapes:
            is_back = self._has_its_last(name)
            if not is_back and not self.journal.story(name).last.is_nothing:
                self.report.wrong.append(f"{name} does not come back")
            if not is_back or name in unknown:
                self.writer.fill(name)
        names = sorted(self.weather.tapes)
        if not self._again([(name, "archive") for name in names]):
            return
        removed = set(self.draw.sample(names, len(names) // 2))
        ends = [(name, "delete" if name in removed else "erase") for name in names]
        if not self._again([each for end in ends for each in (end, (end[0], "restore"))]):
            return
        wrong = [
            f"{name} is not as it was before all was done once more"
            for name in names
            if not self._has_its_last(name)
        ]
        known = facts(self.site)
        wrong += losses(self.ground, settled=True)
        self.report.wrong += [*wrong, *told(known, self.hosts.all), *record(known, self.site)]

    def _has_its_last(self, name: str) -> bool:
        there = self.ground.on_tape(name)
        return bool(there) and self.journal.fits(self.journal.story(name).last, there or b"")

    def _missing(self) -> list[str]:
        """Return the tapes that have to be brought back: they are empty, gone or half-restored."""
        return [
            name
            for name in self.weather.tapes
            if not self.journal.story(name).last.is_nothing and not self._has_its_last(name)
        ]

    def _overrule(self, names: list[str]) -> bool:
        """Have an operator bring back half-restored tapes of which only a person can be sure.

        The operator knows that it is not the host's data which is on them.
        """
        for name in names:
            if not self.site.look():
                self.site.start()
            code, said = self.site.order("restore", name, "--override=it is half-restored")
            if code:
                self.report.wrong.append(f"an operator cannot bring {name} back: {said}")
                return False
        self.kill_all()
        return True

    def _again(self, rows: list[tuple[str, str]]) -> bool:
        """Have a quiet server do this to tapes; each command has to end as COMPLETED.

        The host has one connection, so that the commands come in this order.
        """
        commands = [self.plan.command(verb, [name], "NSK2") for name, verb in rows]
        if not self.settle(Source(iter(commands))):
            return False
        self.kill_all()
        requests = {row["ref"]: row for row in facts(self.site).requests.values()}
        for command in commands:
            row = requests.get(command.ref)
            if row is None or row["state"] != "completed":
                state = "not recorded" if row is None else f"{row['state']}: {row['reason']}"
                self.report.wrong.append(f"all is quiet, and {command.text} is {state}")
        return True


def _is_queued(site: Site) -> bool:
    """Whether a queued job is being worked on."""
    queue = site.root / "queue"
    states = queue.glob("[0-9]*") if queue.exists() else ()
    return any(each.read_text() == "state running\n" for each in states)


def storm(
    folder: Path, seed: int, kills: int, weather: Weather | None = None, *, tell: Tell = nobody
) -> Report:
    """Kill so often, then wait for the end of everything, judge, and do all once more."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    play = Play(folder, seed, weather or Weather())
    report, site = play.report, play.site
    source = Source(play.plan.stream())
    try:
        while report.kills.total() < kills and not site.exits and not report.wrong:
            if play.writer.pid is None:
                play.writer.start()
            if not site.look() and not site.exits:
                _start(play)
            if _live(play, source):
                play.strike()
            elif not site.exits:
                report.kills[STEP] += 1
            report.count(site, play.hosts)
            tell(report)
        if not report.wrong:
            play.close()
    finally:
        play.end()
    report.count(site, play.hosts)
    report.jobs = sum(line[0] == "start" for line in site.record())
    report.seconds = time.monotonic() - began
    return report


def _start(play: Play) -> None:
    """Start a server, which may die at a step of its own if it comes to that."""
    draw, steps = play.draw, play.weather.steps
    if not steps or draw.random() >= AT_A_STEP:
        play.site.start()
        return
    kind = draw.choices(tuple(steps), [often for often, _ in steps.values()])[0]
    play.site.start(arm(kind, 1 + int(draw.expovariate(1 / steps[kind][1]))))


def _live(play: Play, source: Source) -> bool:
    """Let the server live; False when it has died by itself meanwhile."""
    draw, site, hosts = play.draw, play.site, play.hosts
    enough = hosts.heard + int(draw.choice(play.weather.lives) * draw.uniform(0.5, 1.5))
    until = time.monotonic() + (
        draw.uniform(0.0, 0.3) if draw.random() < 0.2 else play.weather.longest
    )
    while time.monotonic() < until:
        if not site.look():
            return False
        hosts.turn(source, 0.01)
        if (reached := hosts.reached(site.started)) is not None:
            site.note_start(reached)
            if hosts.heard >= enough:
                until = min(until, time.monotonic() + draw.uniform(0.0, 0.2))
                enough = 1 << 60
    return True
