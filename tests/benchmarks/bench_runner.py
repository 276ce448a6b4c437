"""What a run costs: /bin/true through the keeper, beside its floor, a bare posix_spawn and waitpid.

    python tests/benchmarks/bench_runner.py [--json] [--runs N] [--rounds N] [--seats N]

The two are measured in turns and the medians compared, because the machine may be doing other
things too; the processor time that server and keeper add to a run depends less on that. The floor
runs one program at a time, as the system's own fastest loop does; through the keeper `seats` runs
are under way at once, as in a server that has work. The spool lies where TMPDIR says: three new
files for each run are a good part of the cost on a disk, and next to nothing on a tmpfs.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from vtspolicy.runner.processes import ProcessRunner
from vtspolicy.runner.protocol import Run

TICKS = os.sysconf("SC_CLK_TCK")


def floor(runs: int) -> float:
    """Return the seconds that a run takes at least."""
    begun = time.perf_counter()
    for _ in range(runs):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return (time.perf_counter() - begun) / runs


async def kept(runner: ProcessRunner, name: str, runs: int, seats: int) -> float:
    """Return the seconds for each run through the keeper, with `seats` of them at once."""
    numbers = iter(range(runs))

    async def seat() -> None:
        for number in numbers:
            ended = await runner.start(Run(key=f"{name}-{number}", argv=("/bin/true",)))
            assert ended.code == 0, ended

    begun = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(seat()) for _ in range(seats)])
    return (time.perf_counter() - begun) / runs


def used(pid: int) -> float:
    """Return the seconds of processor time that a process, not its children, has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int, field: str) -> int:
    """Return KiB of a process's memory, from /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


async def measure(runs: int, rounds: int, seats: int) -> dict[str, float]:
    """Measure all, in turns."""
    with tempfile.TemporaryDirectory() as spool:
        runner = ProcessRunner(reactor, Path(spool), idle=0.5)
        await runner.open()
        assert runner.keeper is not None
        idle = resident(runner.keeper, "VmRSS")
        floors, many, single = [], [], []
        ours = theirs = 0.0
        for number in range(rounds):
            floors.append(floor(runs))
            before = time.process_time(), used(runner.keeper)
            many.append(await kept(runner, f"m{number}", runs, seats))
            ours += time.process_time() - before[0]
            theirs += used(runner.keeper) - before[1]
            single.append(await kept(runner, f"s{number}", runs // 4, 1))
        figures = {
            "floor_us": statistics.median(floors) * 1e6,
            "kept_us": statistics.median(many) * 1e6,
            "alone_us": statistics.median(single) * 1e6,
            "times_floor": statistics.median(a / b for a, b in zip(many, floors, strict=True)),
            "server_cpu_us": ours / runs / rounds * 1e6,
            "keeper_cpu_us": theirs / runs / rounds * 1e6,
            "keeper_idle_kib": idle,
            "keeper_after_kib": resident(runner.keeper, "VmRSS"),
            "keeper_private_kib": resident(runner.keeper, "RssAnon"),
        }
        await runner.close()
    return figures


def main(argv: list[str]) -> int:
    """Print the figures; 1 if a run costs more than twice its floor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--runs", type=int, default=500, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seats", type=int, default=8, help="runs at once")
    options = parser.parse_args(argv)
    figures: dict[str, float] = {}

    async def all_of_it() -> None:
        figures.update(await measure(options.runs, options.rounds, options.seats))

    try:
        react(lambda _: Deferred.fromCoroutine(all_of_it()))
    except SystemExit as end:
        if end.code:
            raise
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:20} {value:10.2f}\n")
    return int(figures["times_floor"] > 2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
