"""The language and the disk archive: what their own benchmarks say, in the form of this table."""

import shutil
from pathlib import Path

from . import bench_disk, bench_grammar
from .size import Size
from .table import Beside, Line


def grammar(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """The parser beside a hand-written expression, a naive grammar and Lark."""
    rates = bench_grammar.rates(bench_grammar.tsm_commands(size.texts), max(size.rounds, 2))
    ours = rates["matching (pyparsing)"]
    floor = Beside(what="one hand-written re", value=rates["floor: one hand-written re"])
    common = {"row": "grammar", "unit": "commands/s", "ours": ours}
    lines = []
    for what, name, times in (
        ("TSM commands matched", "naive: pyparsing of Words", 2.0),
        ("the same", "Lark LALR", 1.0),
    ):
        beside = Beside(what=name, value=rates[name])
        lines.append(
            Line(
                **common,
                what=what,
                floors=(floor,) if times == 2.0 else (),
                peer=beside,
                goal=f"{times} x {name.split(':')[0]}",
                reached=ours >= times * rates[name],
            )
        )
    slowest = {
        name: bench_grammar.milliseconds(text, max(size.rounds, 2))
        for name, text in bench_grammar.longest().items()
    }
    worst = max(slowest, key=lambda name: slowest[name])
    lines.append(
        Line(
            row="grammar",
            what=f"the slowest text of 4024 bytes ({worst})",
            unit="ms",
            ours=slowest[worst],
            goal="under 50 ms",
            reached=slowest[worst] < 50,
        )
    )
    return lines


def disk(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """The disk archive beside tar and zstd, both until their files are on the disk."""
    if not all(shutil.which(name) for name in ("tar", "zstd", "sync")):
        return []
    found = bench_disk.measure(folder, size.tape_mib, size.rounds)
    return [
        Line(
            row="disk",
            what=f"archive of a tape of {size.tape_mib} MiB",
            unit="MiB/s",
            ours=found["archive_mib_s"],
            peer=Beside(what="tar | zstd -3 -T0, then sync", value=found["peer_durable_mib_s"]),
            goal="0.8 x tar | zstd",
            reached=found["ratio"] >= bench_disk.GOAL,
            notes=(
                f"Its memory: {found['memory_large_mib']} MiB.",
                f"For a tape of {bench_disk.SMALL_MIB} MiB: {found['memory_small_mib']} MiB.",
            ),
        )
    ]
