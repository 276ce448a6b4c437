"""A scan of many tapes: the first one, one of nothing new, one after all were written.

    python tests/benchmarks/bench_tapes.py [--json] [--tapes 10000] [--pools 20] [--folder DIR]

Beside it the floor: reading all folders and looking at all files, and nothing more. While a scan
goes on the reactor is asked every millisecond: the longest time that it did not answer is what a
host would have waited.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attrs import define, field
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.tapes.catalogue import Catalogue
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.vaults import Vaults

GOAL = 2.0  # seconds for 10,000 tapes

reactor: Any = installed  # a whole one


@define
class Pulse:
    """How long the reactor did not answer."""

    last: float = 0.0
    longest: float = 0.0
    loop: LoopingCall = field(init=False)

    def begin(self) -> None:
        """Start to feel it."""
        self.last, self.longest = time.perf_counter(), 0.0
        self.loop = LoopingCall(self.beat)
        self.loop.start(0.001)

    def beat(self) -> None:
        """It has answered."""
        now = time.perf_counter()
        self.longest, self.last = max(self.longest, now - self.last), now

    def end(self) -> float:
        """Stop; return the longest time, in milliseconds."""
        self.loop.stop()
        return self.longest * 1000


def make_tapes(vault: Path, tapes: int, pools: int) -> None:
    """Make pools of small tapes."""
    for pool in range(pools):
        folder = vault / f"POOL{pool:03d}"
        folder.mkdir(parents=True)
        for number in range(pool, tapes, pools):
            (folder / f"A{number:05d}").write_bytes(b"x")


def floor(vault: Path) -> float:
    """Return the seconds that it takes to look at all files."""
    began = time.perf_counter()
    for pool in os.scandir(vault):
        for file in os.scandir(pool.path):
            file.stat(follow_symlinks=False)
    return time.perf_counter() - began


def write_all(vault: Path) -> None:
    """Give every tape another time."""
    for each in vault.glob("*/*"):
        os.utime(each, (1.0, 1.0))


async def measure(vault: Path, folder: Path) -> dict[str, float]:
    """Scan three times."""
    ledger = SqliteLedger(folder / "ledger.db", reactor)
    await ledger.open()
    catalogue = Catalogue(
        clock=reactor,
        ledger=EngineLedger(ledger),
        vaults=Vaults({"VAULT01": vault}),
        policy=SimpleNamespace(current=SimpleNamespace(configuration=SimpleNamespace(scan=600.0))),
        running=(),
    )
    found: dict[str, float] = {"floor": floor(vault)}
    pulse = Pulse()
    for name in ("first", "quiet", "written"):
        if name == "written":
            write_all(vault)
        pulse.begin()
        began = time.perf_counter()
        await catalogue.scan("benchmark")
        found[name] = time.perf_counter() - began
        found[f"{name}_held_up_ms"] = pulse.end()
    await ledger.close()
    return found


def run(tapes: int, pools: int, base: str | None) -> dict[str, float]:
    """Return the figures, in seconds."""
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        vault = folder / "VAULT01"
        make_tapes(vault, tapes, pools)
        results: list[Any] = []  # the figures, or why there are none

        def begin() -> None:
            done = Deferred.fromCoroutine(measure(vault, folder))
            done.addBoth(results.append)
            done.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        figures: dict[str, float] = results[0]
        return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when the goal was not reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tapes", type=int, default=10_000)
    parser.add_argument("--pools", type=int, default=20)
    parser.add_argument("--folder", help="where to make them")
    options = parser.parse_args(argv)
    figures = run(options.tapes, options.pools, options.folder)
    slowest = max(figures[name] for name in ("first", "quiet", "written"))
    reached = slowest <= GOAL * options.tapes / 10_000
    if options.json:
        found = {"tapes": options.tapes, "goal": GOAL, "reached": reached, **figures}
        sys.stdout.write(json.dumps(found) + "\n")
        return 0 if reached else 1
    lines = [f"{options.tapes} tapes in {options.pools} pools"]
    lines.append(f"  floor, only looked at   {figures['floor']:8.3f} s")
    for name in ("first", "quiet", "written"):
        held = f"others held up {figures[f'{name}_held_up_ms']:4.0f} ms at most"
        lines.append(f"  scan, {name:<17} {figures[name]:8.3f} s, {held}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
