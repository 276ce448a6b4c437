"""What is done in one run, in its short form and in its long one; storms before single deaths."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.crew import Task
from tests.crash.defects import DEFECTS, with_defect
from tests.crash.faults import KINDS
from tests.crash.report import Report
from tests.crash.storm import VICTIMS, Tell, nobody, storm
from tests.crash.sweep import sweep
from tests.crash.tapes import defects as of_tapes
from tests.crash.tapes import storm as over_tapes
from tests.crash.tapes import sweep as steps_over_tapes

ROUND = 150
"""Kills of one storm; each has a site of its own, so that a failure stays small enough to read."""

STORMS = 16
"""Storms in which a defect must be found. Mostly one to three do; a busy machine needs more."""

SEARCH = 1500.0
"""Seconds after which the search for a defect is stopped: it hangs."""

BLOWS = 8
"""Kills of such a storm."""

SERVER_ONLY = {"server": 1}
"""Then nothing may be interrupted or lost at all."""


def short(root: Path, seed: int) -> list[Task]:
    """A minute's worth of everything, less where there are several processors."""
    return [
        _over_tapes(root, seed, 10),
        *(_defect_of_tapes(root, seed, name) for name in of_tapes.DEFECTS),
        _storm(root, seed, 10, SERVER_ONLY),
        _storm(root, seed + 1, 12, VICTIMS),
        *(_defect(root, seed, name) for name in DEFECTS),
        *(sweep(root, seed, kind, most) for kind, most in zip(KINDS, (4, 2, 2, 2), strict=True)),
        *(steps_over_tapes.one(root, seed, kind) for kind in steps_over_tapes.KINDS),
    ]


def long(root: Path, seed: int, kills: int) -> list[Task]:
    """So many kills in storms over tapes, and as many in others; and the instants of the rest."""
    most = {kind: max(50, kills // (2 if kind == "ledger" else 5)) for kind in KINDS}
    return [
        *tapes(root, seed, kills),
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


def tapes(root: Path, seed: int, kills: int) -> list[Task]:
    """So many kills in storms over tapes, and a tenth as many at single steps."""
    most = max(10, kills // (10 * len(steps_over_tapes.KINDS)))
    return [
        *(
            _over_tapes(root, seed + number, min(ROUND, kills - number))
            for number in range(0, kills, ROUND)
        ),
        *(steps_over_tapes.sweep(root, seed, kind, most) for kind in steps_over_tapes.KINDS),
        *(_defect_of_tapes(root, seed, name) for name in of_tapes.DEFECTS),
    ]


def _storm(root: Path, seed: int, kills: int, victims: dict[str, int]) -> Task:
    folder = root / f"storm-{seed}"

    def work(tell: Tell) -> Report:
        report = storm(folder, seed, kills, victims, tell=tell)
        if not report.wrong:
            shutil.rmtree(folder)
        return report

    return Task(what=f"storm {seed}", kills=kills, work=work, limit=300 + 10 * kills)


def _over_tapes(root: Path, seed: int, kills: int) -> Task:
    folder = root / f"tapes-{seed}"

    def work(tell: Tell) -> Report:
        report = over_tapes.storm(folder, seed, kills, tell=tell)
        if not report.wrong:
            shutil.rmtree(folder)
        return report

    what = f"storm {seed} over tapes"
    return Task(what=what, kills=kills, work=work, limit=600 + 20 * kills)


def _defect(root: Path, seed: int, name: str) -> Task:
    defect = DEFECTS[name]

    def storm_with_it(folder: Path, number: int) -> Report:
        return storm(*(folder, number, BLOWS, SERVER_ONLY), prepare=with_defect(name), patience=8.0)

    def is_it(wrong: str) -> bool:
        return defect.found in wrong

    def work(tell: Tell) -> Report:
        return found(root / f"defect-{name}", seed, (defect.what, storm_with_it, is_it), tell)

    return Task(what=f"defect {name}", kills=BLOWS, work=work, limit=SEARCH)


def _defect_of_tapes(root: Path, seed: int, name: str) -> Task:
    defect = of_tapes.DEFECTS[name]

    def storm_with_it(folder: Path, number: int) -> Report:
        return over_tapes.storm(folder, number, BLOWS, of_tapes.with_defect(name))

    def is_it(wrong: str) -> bool:
        return any(each in wrong for each in defect.found)

    def work(tell: Tell) -> Report:
        return found(root / f"tapes-{name}", seed, (defect.what, storm_with_it, is_it), tell)

    return Task(what=f"defect {name} of tapes", kills=BLOWS, work=work, limit=SEARCH)


def found(
    root: Path,
    seed: int,
    defect: tuple[str, Callable[[Path, int], Report], Callable[[str], bool]],
    tell: Tell = nobody,
) -> Report:
    """Put a defect in: a storm has to find it. Its window can be small: a few storms may try.

    A defect is its name, a storm with it, and whether it is what that has found. That a storm has
    no end within its patience is no finding: a busy machine can do that too.
    """
    what, storm_with_it, is_it = defect
    began = time.monotonic()
    total = Report("")
    end = "NOT FOUND"
    for number in range(STORMS):
        report = storm_with_it(root.with_name(f"{root.name}-{number}"), seed + number)
        seen = [each for each in report.wrong if is_it(each) and "no end" not in each]
        report.wrong = []
        total.add(report)
        tell(total)
        if seen:
            end = f"found: {seen[0]}"
            break
    else:
        total.wrong.append(f"{what}: put in, and not found in {STORMS} storms")
    total.what = f"defect put in, {what}: {end}"
    total.seconds = time.monotonic() - began
    return total
