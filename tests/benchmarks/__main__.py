"""Every speed of the program beside its floor and its peer, measured in the same run.

    python -m tests.benchmarks [--json] [--quick] [--no-peers] [--folder DIR] [NAMES]

docs/reference/speed.md says what each figure means.
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from . import accept, crowd, growth, latency, memory, others, rules, run, start, stream
from .ground import fsyncs
from .size import QUICK, Size
from .table import Line, as_json, as_text, machine, percentile


class Measure(Protocol):
    """One benchmark: works in an empty folder and answers its lines of the table."""

    def __call__(self, folder: Path, size: Size, *, peers: bool) -> list[Line]: ...


BENCHMARKS: dict[str, Measure] = {
    "stream": stream.measure,
    "accept": accept.measure,
    "rules": rules.measure,
    "run": run.measure,
    "latency": latency.measure,
    "start": start.measure,
    "memory": memory.measure,
    "crowd": crowd.measure,
    "grammar": others.grammar,
    "disk": others.disk,
    "growth": growth.measure,  # last: files were removed, which slows down the making of others
}


def main(argv: Sequence[str] | None = None, out: Callable[[str], object] = sys.stdout.write) -> int:
    """Measure what is asked for and print one table. The exit code does not judge the figures."""
    options = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    options.add_argument("names", nargs="*", metavar="NAMES", help=", ".join(BENCHMARKS))
    options.add_argument("--json", action="store_true", help="one object instead of the table")
    options.add_argument("--quick", action="store_true", help="prove that all works; no figures")
    options.add_argument("--no-peers", action="store_true", help="without the other programs")
    options.add_argument("--folder", type=Path, help="where to work; default: temporary")
    chosen = options.parse_args(argv)
    unknown = set(chosen.names) - set(BENCHMARKS)
    if unknown:
        options.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    size = QUICK if chosen.quick else Size()
    lines: list[Line] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="vtspolicy-bench-") as made:
        root = Path(made)
        flushes = [each * 1000 for each in fsyncs(root, 100)]
        about = machine(root.parent, (percentile(flushes, 0.5), percentile(flushes, 0.99)))
        for name in chosen.names or BENCHMARKS:
            begun = time.perf_counter()
            folder = root / name
            folder.mkdir()
            try:
                lines += BENCHMARKS[name](folder, size, peers=not chosen.no_peers)
            except Exception:  # noqa: BLE001 - what the others have measured is still worth it
                failed.append(name)
                traceback.print_exc()
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write(f"{name}: {time.perf_counter() - begun:.0f} s\n")
    out(as_json(lines, about) + "\n" if chosen.json else as_text(lines, about))
    if failed:
        sys.stderr.write(f"could not be measured: {', '.join(failed)}\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
