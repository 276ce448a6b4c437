"""What a benchmark answers: lines of one table, printed for people or as JSON."""

import json
import os
import platform
import re
import statistics
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import asdict, field, frozen


@frozen(kw_only=True)
class Beside:
    """What a figure is compared with: a floor, or another program that does the same."""

    what: str  # as people name it
    value: float | None = None  # in the unit of the line; None: it could not be measured
    note: str = ""  # why it could not


@frozen(kw_only=True)
class Line:
    """One figure of ours beside its floors and its peer, all of one run."""

    row: str  # the name by which the benchmark is chosen
    what: str  # what was measured
    unit: str
    ours: float
    floors: tuple[Beside, ...] = ()
    peer: Beside | None = None
    goal: str = ""  # as the issue has it; "" for a figure without one
    reached: bool | None = None  # None: without a goal, or what it is relative to is missing
    notes: tuple[str, ...] = field(factory=tuple)

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by each thing that it is compared with."""
        beside = (*self.floors, *((self.peer,) if self.peer else ()))
        return {each.what: self.ours / each.value for each in beside if each.value}


def middle(values: Iterable[float]) -> float:
    """Return the median: one disturbed round must not decide."""
    return statistics.median(values)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which `part` of all values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def at_least(ours: float, times: float, other: float | None) -> bool | None:
    """Whether ours is so many times the other; None when there is no other."""
    return None if other is None else ours >= times * other


def as_json(lines: Sequence[Line], machine: dict[str, object]) -> str:
    """Return everything as one object."""
    records = [asdict(line) | {"ratios": line.ratios} for line in lines]
    return json.dumps({"machine": machine, "lines": records}, indent=1)


def as_text(lines: Sequence[Line], machine: dict[str, object]) -> str:
    """Return the table for people: under each figure what it is compared with."""
    out = [*(f"{name}: {value}" for name, value in machine.items()), ""]
    row = ""
    for line in lines:
        if line.row != row:
            row = line.row
            out.append(f"-- {row}")
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[line.reached]
        goal = f"goal {line.goal}: {verdict or 'not to be told'}" if line.goal else ""
        out.append(f"{line.what:58}{_number(line.ours):>12} {line.unit:12} {goal}".rstrip())
        for kind, each in _beside(line):
            named = f"   {kind} {each.what}"
            if each.value is None:
                out.append(f"{named:58}{'-':>12} {each.note}")
            else:
                ratio = f"ours is {line.ours / each.value:.3g} of it" if each.value else ""
                out.append(f"{named:58}{_number(each.value):>12} {line.unit:12} {ratio}".rstrip())
        out += [f"   {note}" for note in line.notes]
    return "\n".join(out) + "\n"


def _beside(line: Line) -> list[tuple[str, Beside]]:
    peer = [("peer ", line.peer)] if line.peer else []
    return [*(("floor", each) for each in line.floors), *peer]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def python_build() -> str:
    """Return which Python runs this, who compiled it, and the options that make it faster.

    Debian optimizes its own without these options, so that they are not named for it.
    """
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    faster = [each for each in ("--enable-optimizations", "--with-lto") if each in options]
    name = f"{platform.python_implementation()} {platform.python_version()}"
    how = " ".join(faster) or "no --enable-optimizations"
    return f"{name} ({' '.join(platform.python_build())}), {platform.python_compiler()}, {how}"


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Return the kind of the file system in which a folder is.

    `mounts` is the text of /proc/self/mounts, in which a later mount covers an earlier one.
    """
    if mounts is None:
        mounts = Path("/proc/self/mounts").read_text()
    kinds = {}
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split()
        unescaped = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place)
        kinds[Path(unescaped)] = kind
    folder = folder.resolve()
    return next(kinds[each] for each in (folder, *folder.parents) if each in kinds)


def machine(folder: os.PathLike[str], fsync_ms: tuple[float, float]) -> dict[str, object]:
    """Return what a reader needs to judge the figures."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "python": python_build(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "memory_gib": round(memory, 1),
        "folder": os.fspath(folder),
        "file_system": file_system(Path(folder)),
        "fsync_ms_median": round(fsync_ms[0], 2),
        "fsync_ms_p99": round(fsync_ms[1], 2),
        "load": round(os.getloadavg()[0], 1),
    }
