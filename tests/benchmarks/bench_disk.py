"""The disk archive beside `tar | zstd -3 -T0`, in turns in one run, and its memory by tape size.

    python tests/benchmarks/bench_disk.py [--json] [--mib 1024] [--rounds 5] [--folder DIR]

Both write their result to the same file system, and both are timed until it is durable: the archive
always does that, and the peer is followed by `sync FILE`. The ratio that counts is that of medians.
The peer's time without the sync is shown too. Needs tar, zstd and sync.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL = 0.8  # of the peer's throughput
SMALL_MIB = 64
MIB = 1 << 20

ARCHIVE = [sys.executable, "-c", "from vtspolicy.cli.disk import disk; disk()"]


def make_tape(path: Path, mib: int) -> None:
    """Write a tape of which every mebibyte is half noise and half zeros."""
    with path.open("wb") as tape:
        for _ in range(mib):
            tape.write(os.urandom(MIB // 2) + bytes(MIB // 2))
        os.fsync(tape.fileno())


def run_archive(tape: Path, folder: Path, handle: str) -> tuple[float, int]:
    """Archive once; return seconds and the most memory it held, in bytes."""
    store = folder / "store"
    command = [*ARCHIVE, "archive", str(tape), f"--store={store}", f"--handle={handle}", "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the archive ended with {process.returncode}")
    shutil.rmtree(store)
    return seconds, usage.ru_maxrss * 1024


def run_peer(tape: Path, folder: Path) -> tuple[float, float]:
    """Run the peer once; return seconds until it ended, and until its file was durable."""
    output = folder / "peer.tar.zst"
    started = time.perf_counter()
    with output.open("wb") as file:
        tar = subprocess.Popen(
            ["tar", "cf", "-", "-C", str(tape.parent), tape.name], stdout=subprocess.PIPE
        )
        zstd = subprocess.Popen(["zstd", "-q", "-3", "-T0"], stdin=tar.stdout, stdout=file)
        assert tar.stdout is not None
        tar.stdout.close()
        codes = (zstd.wait(), tar.wait())
    ended = time.perf_counter() - started
    subprocess.run(["sync", str(output)], check=True)
    durable = time.perf_counter() - started
    if any(codes):
        raise RuntimeError(f"the peer ended with {codes}")
    output.unlink()
    return ended, durable


def measure(folder: Path, mib: int, rounds: int) -> dict[str, float]:
    """Run both in turns and return the figures."""
    small, large = folder / "SMALL", folder / "LARGE"
    make_tape(small, SMALL_MIB)
    make_tape(large, mib)
    small_memory = run_archive(small, folder, "small")[1]
    ours, ended, durable, memory = [], [], [], 0
    for number in range(rounds):
        turns = ["ours", "peer"] if number % 2 else ["peer", "ours"]
        for turn in turns:
            if turn == "ours":
                seconds, used = run_archive(large, folder, f"large-{number}")
                ours.append(seconds)
                memory = max(memory, used)
            else:
                quick, whole = run_peer(large, folder)
                ended.append(quick)
                durable.append(whole)
    mib_per_second = {
        "archive_mib_s": mib / statistics.median(ours),
        "peer_durable_mib_s": mib / statistics.median(durable),
        "peer_mib_s": mib / statistics.median(ended),
    }
    return {
        "tape_mib": mib,
        "rounds": rounds,
        **{name: round(value, 1) for name, value in mib_per_second.items()},
        "ratio": round(statistics.median(durable) / statistics.median(ours), 3),
        "ratio_peer_without_sync": round(statistics.median(ended) / statistics.median(ours), 3),
        "goal": GOAL,
        "memory_small_mib": round(small_memory / MIB, 1),
        "memory_large_mib": round(memory / MIB, 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object instead of lines")
    parser.add_argument("--mib", type=int, default=1024, help="size of the large tape")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where to work; default: the temporary folder")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        figures = measure(Path(folder), arguments.mib, arguments.rounds)
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name:26} {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
