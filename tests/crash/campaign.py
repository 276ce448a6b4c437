"""What is done in one run, in its short form and in its long one; storms before single deaths."""

import shutil
import time
from pathlib import Path

from tests.crash.crew import Task
from tests.crash.defects import DEFECTS, with_defect
from tests.crash.faults import KINDS
from tests.crash.report import Report
from tests.crash.storm import VICTIMS, Tell, nobody, storm
from tests.crash.sweep import sweep

ROUND = 150
"""Kills of one storm; each has a site of its own, so that a failure stays small enough to read."""

STORMS = 4
"""Storms in which a defect must be found."""

BLOWS = 8
"""Kills of such a storm."""

SERVER_ONLY = {"server": 1}
"""Then nothing may be interrupted or lost at all."""


def short(root: Path, seed: int) -> list[Task]:
    """A minute's worth of everything, less where there are several processors."""
    return [
        _storm(root, seed, 10, SERVER_ONLY),
        _storm(root, seed + 1, 12, VICTIMS),
        *(_defect(root, seed, name) for name in DEFECTS),
        *(sweep(root, seed, kind, most) for kind, most in zip(KINDS, (4, 2, 2, 2), strict=True)),
    ]


def long(root: Path, seed: int, kills: int) -> list[Task]:
    """So many kills in storms, and all the instants of the rest; of the ledger's in proportion."""
    most = {kind: max(50, kills // (2 if kind == "ledger" else 5)) for kind in KINDS}
    return [
        *(sweep(root, seed, kind, most[kind]) for kind in KINDS),
        *(
            _storm(
                *(root, seed + number, min(ROUND, kills - number)),
                SERVER_ONLY if number // ROUND % 3 == 0 else VICTIMS,
            )
            for number in range(0, kills, ROUND)
        ),
        *(_defect(root, seed, name) for name in DEFECTS),
    ]


def _storm(root: Path, seed: int, kills: int, victims: dict[str, int]) -> Task:
    folder = root / f"storm-{seed}"

    def work(tell: Tell) -> Report:
        report = storm(folder, seed, kills, victims, tell=tell)
        if not report.wrong:
            shutil.rmtree(folder)
        return report

    return Task(what=f"storm {seed}", kills=kills, work=work, limit=300 + 10 * kills)


def _defect(root: Path, seed: int, name: str) -> Task:
    return Task(what=f"defect {name}", kills=BLOWS, work=lambda tell: found(root, seed, name, tell))


def found(root: Path, seed: int, name: str, tell: Tell = nobody) -> Report:
    """Put a defect in: a storm has to find it. Its window can be small: a few storms may try.

    That a storm has no end within its patience is no finding: a busy machine can do that too.
    """
    defect = DEFECTS[name]
    began = time.monotonic()
    total = Report("")
    what = "NOT FOUND"
    for number in range(STORMS):
        folder = root / f"defect-{name}-{number}"
        report = storm(
            *(folder, seed + number, BLOWS, SERVER_ONLY), prepare=with_defect(name), patience=8.0
        )
        seen = [each for each in report.wrong if defect.found in each and "no end" not in each]
        report.wrong = []
        total.add(report)
        tell(total)
        if seen:
            what = f"found: {seen[0]}"
            break
    else:
        total.wrong.append(f"{defect.what}: put in, and not found in {STORMS} storms")
    total.what = f"defect put in, {defect.what}: {what}"
    total.seconds = time.monotonic() - began
    return total
