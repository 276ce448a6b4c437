"""Deaths at single steps of what is done to tapes: between the system calls, and around records.

`vault` counts the system calls of erase, delete, restore and of what recovers them; `evidence`
counts what is written in the ledger about copies, plans and ends: before and after the record is
made, and after it is on the disk.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tests.crash import faults
from tests.crash.faults import NEVER, Fuse

KINDS = ("vault", "evidence")

ACTS = tuple(f"vtspolicy.vaults.{name}" for name in ("acts", "restores", "bringing", "notes"))
"""Whose system calls are counted."""

DEEP = 8
"""How many callers are looked at."""

RECORDS = {
    "TapeRecords": (
        *("prove_copy", "begin_restore", "keep_partial", "forget_restore", "end_restore"),
    ),
    "AttemptRecords": ("note_plan",),
    "JobRecords": ("start_attempt", "finish_attempt"),
}
"""The operations of the ledger that are counted, by the part of a transaction."""


def arm(kind: str, at: int) -> Callable[[Path], None]:
    """Return what puts a fault into a server that is just starting in a site's folder."""
    if kind not in KINDS:
        return faults.arm(kind, at)

    def prepare(root: Path) -> None:
        tally = root / f"tally-{kind}"
        descriptor = os.open(tally, os.O_WRONLY | os.O_CREAT) if at == NEVER else -1
        {"vault": _in_vaults, "evidence": _in_evidence}[kind](Fuse(at, descriptor))

    return prepare


def _in_vaults(fuse: Fuse) -> None:
    from vtspolicy.vaults.system import System

    for name, function in list(vars(System).items()):
        if not name.startswith("_"):
            setattr(System, name, _counted(fuse, name, function))


def _counted(fuse: Fuse, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if not _is_an_act(sys._getframe(1)):
            return function(*args, **kwargs)
        if fuse.step():
            fuse.die()
        if name == "write" and fuse.step():
            own, file, data = args
            function(own, file, data[: len(data) // 2])
            fuse.die()
        return function(*args, **kwargs)

    return counted


def _is_an_act(frame: Any) -> bool:
    for _ in range(DEEP):
        if frame is None:
            return False
        if frame.f_globals.get("__name__", "") in ACTS:
            return True
        frame = frame.f_back
    return False


def _in_evidence(fuse: Fuse) -> None:
    from vtspolicy import ledger
    from vtspolicy.ledger.sqlite import SqliteLedger

    counted = set()
    for each, name in [(each, name) for each, names in RECORDS.items() for name in names]:
        part = getattr(ledger, each)
        function = getattr(part, name)

        def around(*args: Any, _function: Any = function, **kwargs: Any) -> Any:
            return fuse.around(lambda: _function(*args, **kwargs))

        setattr(part, name, wraps(function)(around))
        counted.add(getattr(part, name))
    write: Any = SqliteLedger.write

    def written(answer: Any) -> Any:
        if fuse.step():
            fuse.die()
        return answer

    def count(self: Any, verb: Any, *args: Any, **kwargs: Any) -> Any:
        done = write(self, verb, *args, **kwargs)
        return done.addCallback(written) if verb in counted else done

    SqliteLedger.write = count  # type: ignore[method-assign]
