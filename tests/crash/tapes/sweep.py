"""The sweep over tapes: the same short play again and again, with a death at each single step.

In the play tapes are copied, emptied or removed, and brought back: by exchange, in place, by a
queued job, and into an empty tape that a host holds open all the while.
"""

import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from attrs import define, field

from tests.crash.check import facts, record, told
from tests.crash.crew import Task
from tests.crash.faults import NEVER
from tests.crash.hosts import Source
from tests.crash.plan import Command
from tests.crash.report import Report
from tests.crash.storm import Tell
from tests.crash.tapes.check import losses
from tests.crash.tapes.steps import arm
from tests.crash.tapes.storm import Play

KINDS: Mapping[str, int] = {"vault": 300, "evidence": 150, "keeper": 450, "ledger": 5000}
"""At whose steps it dies, and a number of instants that a play reaches in any case.

See `steps`, and `faults` for the last two.
"""

HELD = "P00004"
"""The tape that a host holds open while it is brought back."""

ROWS = (
    ("P00001", ("archive", "erase", "restore")),
    ("P00002", ("archive", "delete", "restore")),
    ("F00001", ("archive", "erase", "restore", "delete")),
    ("I00001", ("archive", "erase", "restore", "erase")),
    ("Q00001", ("archive", "delete", "restore")),
    (HELD, ("archive", "erase", "restore")),
)

ACT = 90.0
"""Seconds in which a play without a death comes to its end."""


@define
class _Rows(Source):
    """Gives the next command of a row when the one before it has ended."""

    play: Play = field(kw_only=True)
    rows: list[list[Command]] = field(factory=list)
    held: list[int] = field(factory=list)  # descriptors of the tape that a host holds open

    def next(self, host: str) -> Command | None:
        (ended,) = (each.ended for each in self.play.hosts.all if each.name == host)
        for row in self.rows:
            if len(row) > 1 and row[1].host == host and row[0].ref in ended:
                row.pop(0)
                if HELD in row[0].text and "Restore" in row[0].text:
                    self.held.append(os.open(self.play.ground.path(HELD), os.O_RDWR))
                return row[0]
        return None

    @property
    def is_empty(self) -> bool:
        return all(len(row) == 1 for row in self.rows)

    def let_go(self) -> None:
        """Close what was held open."""
        while self.held:
            os.close(self.held.pop())


def _rows(play: Play) -> _Rows:
    source = _Rows(iter(()), play=play)
    for number, (tape, verbs) in enumerate(ROWS):
        host = ("NSK1", "NSK2")[number % 2]
        first = play.plan.command("archive", [tape], host)
        (own,) = (each for each in play.hosts.all if each.name == host)
        own.ended.add("")
        before = Command(ref="", host=host, text="", data=b"")
        rest = [play.plan.command(verb, [tape], host) for verb in verbs[1:]]
        source.rows.append([before, first, *rest])
    return source


def act(folder: Path, seed: int, kind: str, at: int) -> Report:
    """Play once, with a death at an instant, if that instant is reached."""
    began = time.monotonic()
    play = Play(folder, seed)
    site, report = play.site, play.report
    report.what = f"sweep {seed} of the steps of {kind} over tapes"
    source = _rows(play)
    for host in play.hosts.all:
        host.cancels = 0.0
    try:
        if _until_death(play, source, kind, at):
            report.kills[kind] += 1
        source.let_go()
        play.settle()
        play.kill_all()
        known = facts(site)
        wrong = [*losses(play.ground, settled=True), *told(known, play.hosts.all)]
        wrong += record(known, site)
        report.wrong += [f"{kind} {at}: {each}" for each in wrong]
    finally:
        source.let_go()
        play.end()
    report.count(site, play.hosts)
    report.jobs = sum(line[0] == "start" for line in site.record())
    report.seconds = time.monotonic() - began
    return report


def _until_death(play: Play, source: _Rows, kind: str, at: int) -> bool:
    """Let hosts say all they have to; answers whether somebody died meanwhile."""
    site, hosts = play.site, play.hosts
    site.start(_hurried(arm(kind, at)))
    if kind == "keeper":
        site.excuse()
    died = False
    until = time.monotonic() + ACT
    while (hosts.owed or not source.is_empty) and time.monotonic() < until and not site.exits:
        if not site.look():
            died = True
            site.start(_hurried(lambda _root: None))
        hosts.turn(source, 0.01)
    return died or (kind == "keeper" and ["keeper-killed"] in site.record())


def _hurried(prepare: Callable[[Path], None]) -> Callable[[Path], None]:
    """Have a server that starts write soon into an empty tape which a host holds open."""

    def hurry(root: Path) -> None:
        from vtspolicy.engine.tapes import restores

        restores.HELD_OPEN, restores.HELD_PAUSE = 0.2, 0.1
        prepare(root)

    return hurry


def sweep(root: Path, seed: int, kind: str, most: int) -> Task:
    """Return what begins a sweep: a play without a death, which counts the instants of one kind.

    It makes a death possible at every one of them, or at `most` of them, drawn from the seed.
    """
    what = f"sweep of {kind} over tapes"
    counting = root / f"tapes-{kind}-count"

    def acts(counted: Report) -> list[Task]:
        tally = counting / "site" / f"tally-{kind}"
        total = int(tally.read_text()) if tally.exists() else 0
        if not total:
            counted.wrong.append(f"the play has no instants of {kind}")
        points = list(range(1, total + 1))
        if most < total:
            points = sorted(random.Random(f"{seed}-{kind}").sample(points, most))
        counted.what += f", {len(points)} of {total} instants"
        return [
            Task(what=what, kills=1, work=partial(_acted, root, seed, kind, at, counted.what))
            for at in points
        ]

    return Task(what=what, kills=0, work=lambda _tell: act(counting, seed, kind, NEVER), then=acts)


def one(root: Path, seed: int, kind: str) -> Task:
    """Return one play with a death at an instant that is drawn from the seed."""
    at = random.Random(f"{seed}-{kind}").randint(1, KINDS[kind])
    what = f"step of {kind} over tapes"
    return Task(what=what, kills=1, work=partial(_acted, root, seed, kind, at, what))


def _acted(root: Path, seed: int, kind: str, at: int, what: str, _tell: Tell) -> Report:
    folder = root / f"tapes-{kind}-{at}"
    report = act(folder, seed, kind, at)
    report.what = what
    if not report.wrong:
        shutil.rmtree(folder)
    return report
