"""`python -m tests.crash`: storms, sweeps, and the proof that both would find a defect.

--kills N    how many kills the storms make (CRASH_KILLS; 3000)
--seed S     what everything is drawn from (CRASH_SEED; drawn and printed when not given)
--short      a minute's worth of all that
"""

import argparse
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

from tests.crash.defects import DEFECTS, with_defect
from tests.crash.faults import KINDS
from tests.crash.storm import VICTIMS, Report, say, storm
from tests.crash.sweep import sweep

ROUND = 150
"""Kills of one storm; each has a site of its own, so that a failure stays small enough to read."""

STORMS = 4
"""Storms in which a defect must be found."""

SERVER_ONLY = {"server": 1}
"""Then nothing may be interrupted or lost at all."""


def main() -> int:
    """Run what the arguments say; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("CRASH_KILLS", "3000")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CRASH_SEED", "0")))
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    seed = arguments.seed or random.SystemRandom().randrange(1, 10**6)
    say(f"seed {seed}; the same again with --seed {seed} or CRASH_SEED={seed}")
    _load()
    root = Path(tempfile.mkdtemp(prefix="vtspolicy-crash-"))
    began = time.monotonic()
    right = _short(root, seed) if arguments.short else _long(root, seed, arguments.kills)
    say(f"{'All as promised' if right else 'NOT as promised'}; {time.monotonic() - began:.0f} s.")
    if right:
        shutil.rmtree(root, ignore_errors=True)
        return 0
    say(f"What is left of it: {root}")
    return 1


def _load() -> None:
    """Load what servers need, once: they are forks of this process, and so begin at once."""
    import vtspolicy.cli.serve
    import vtspolicy.service  # noqa: F401


def _short(root: Path, seed: int) -> bool:
    right = _tell(storm(root / "server", seed, 10, SERVER_ONLY))
    right &= _tell(storm(root / "all", seed + 1, 12, VICTIMS))
    for kind, most in zip(KINDS, (4, 2, 2, 2), strict=True):
        right &= _tell(sweep(root / "sweep", seed, kind, most))
    return right and _found(root, seed, "claim")


def _long(root: Path, seed: int, kills: int) -> bool:
    right = True
    for number in range(0, kills, ROUND):
        victims = SERVER_ONLY if number // ROUND % 3 == 0 else VICTIMS
        folder = root / f"storm-{number}"
        if fine := _tell(storm(folder, seed + number, min(ROUND, kills - number), victims)):
            shutil.rmtree(folder)
        right &= fine
    for kind in KINDS:
        # All instants of the spool, the notices and the keeper; of the ledger's, in proportion.
        most = max(50, kills // 2) if kind == "ledger" else max(50, kills // 5)
        right &= _tell(sweep(root / "sweep", seed, kind, most))
    for name in DEFECTS:
        right &= _found(root, seed, name)
    return right


def _found(root: Path, seed: int, name: str) -> bool:
    """Put a defect in: a storm has to find it. Its window can be small: a few storms may try."""
    defect = DEFECTS[name]
    began = time.monotonic()
    for number in range(STORMS):
        folder = root / f"defect-{name}-{number}"
        report = storm(
            *(folder, seed + number, 8, SERVER_ONLY), prepare=with_defect(name), patience=8.0
        )
        found = [each for each in report.wrong if defect.found in each]
        if found:
            break
    what = f"found: {found[0]}" if found else "NOT FOUND"
    say(f"defect put in, {defect.what}: {what} ({time.monotonic() - began:.0f} s)")
    return bool(found)


def _tell(report: Report) -> bool:
    say(str(report))
    for each in report.wrong[:25]:
        say(f"    {each}")
    return not report.wrong


if __name__ == "__main__":
    raise SystemExit(main())
