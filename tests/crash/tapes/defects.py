"""Defects in what is done to tapes, which a storm must find when somebody puts them in.

Each is put into every server of a storm, in its own process. A short storm would rarely hit the
instant that counts: so there the broken act waits for the host to write, or its server dies.
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet.defer import succeed

from tests.crash.tapes.storm import Weather
from tests.crash.tapes.writer import AWAKE, WANTED, WAYS

LONG = 4.0
"""Seconds for which an act waits, at most, until the host does what it must not miss."""

PAUSE = 0.002
"""Seconds between two looks for that."""


def _wait_until(path: str, is_so: Callable[[], bool]) -> None:
    """Have the host write a tape now, if there is one that writes, and wait for it."""
    if not _want(path):
        return
    until = time.monotonic() + LONG
    while not is_so() and time.monotonic() < until:
        time.sleep(PAUSE)


@frozen(kw_only=True)
class Defect:
    """One broken promise, what the judge must say about it, and the storm that shows it."""

    what: str
    put_in: Callable[[], None]
    found: tuple[str, ...]  # any of them
    rows: tuple[tuple[str, ...], ...]  # of commands, in the storm that shows it
    ways: Mapping[str, int] = field(factory=lambda: WAYS)  # in which its host writes
    pace: float = 1.5
    fills: bool = True
    lives: tuple[int, ...] = (20, 40)


def _want(path: str) -> bool:
    """Have the host write a tape now; False if none writes."""
    tape = Path(path)
    wanted = tape.parents[3] / "journal" / WANTED
    unfinished = wanted.with_suffix(f".{tape.name}")
    unfinished.write_text(tape.name)
    unfinished.rename(wanted)
    return wanted.with_name(AWAKE).exists()


def _erase_whatever_is_there() -> None:
    """The file is emptied without comparing it with the judged one."""
    from vtspolicy.vaults import acts

    erase = acts.erase

    def late(pool: Any, judged: Any) -> Any:
        _wait_until(pool.tape.path, lambda: _is_written(pool, judged))
        return erase(pool, judged)

    acts.erase = late
    acts.require_judged = lambda pool, file, _judged: pool.fingerprint(pool.system.facts(file))


def _is_other(pool: Any, judged: Any) -> bool:
    facts = pool.facts(pool.name)
    return facts is None or pool.fingerprint(facts) != judged


def _is_written(pool: Any, judged: Any) -> bool:
    """Whether the host has written the tape, and has it open no more."""
    try:
        file = os.open(pool.tape.path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return _is_other(pool, judged) and not _is_open(pool.system, file)
    finally:
        os.close(file)


def _exchange_without_lease() -> None:
    """A restored file takes the place of one that a host has open."""
    from vtspolicy.vaults import restores
    from vtspolicy.vaults.files import Lease
    from vtspolicy.vaults.system import System

    exchange, held = System.exchange, threading.local()

    @contextmanager
    def unclaimed(pool: Any, file: int, name: str) -> Iterator[Lease]:
        if name == pool.name:
            held.tape = pool.tape.path, file
        yield Lease(system=pool.system, file=file, shown=name, is_real=False)

    def late(self: Any, one: str, other: str, folder: int) -> None:
        tape = getattr(held, "tape", None)
        if tape is not None:  # else it is the probe that exchanges two files of its own
            held.tape = None
            path, file = tape
            _wait_until(path, lambda: _is_open(self, file))
        exchange(self, one, other, folder)

    restores.claimed = unclaimed
    System.exchange = late  # type: ignore[method-assign]


def _is_open(system: Any, file: int) -> bool:
    try:
        system.lease(file, fcntl.F_WRLCK)
        system.lease(file, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    return False


def _delete_whatever_was_renamed() -> None:
    """What has the private name is removed, whether it was judged or not."""
    from vtspolicy.vaults import acts
    from vtspolicy.vaults.private import DELETE

    def remove(pool: Any, _file: int, _lease: Any, judged: Any, token: str) -> None:
        _wait_until(pool.tape.path, lambda: _is_other(pool, judged))
        aside = pool.private(token, DELETE)
        acts.put_aside(pool, aside)
        pool.system.unlink(aside, pool.folder)

    acts._remove = remove


def _look_after_a_restart() -> None:
    """Where a run has outlived its server, the tape as it is now counts as what was copied."""
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    from vtspolicy.engine.jobs.attempt_runner import AttemptRunner
    from vtspolicy.engine.tapes.archives import Archives

    run, made, adopted = AttemptRunner.run, Archives._made, set()

    async def noted(self: Any, job: Any, key: str, *, adopt: bool) -> Any:
        if adopt:
            adopted.add(job.id)
        elif job.work.then == "migrated":
            reactor.callLater(0.3, os.kill, os.getpid(), signal.SIGKILL)
        return await run(self, job, key, adopt=adopt)

    async def looked(self: Any, job: Any, tape: Any, began: Any, *rest: Any) -> Any:
        ended, judged = rest
        if job.id in adopted and ended is not None and ended.after is not None:
            now, seen = await self._look(tape), ended.after.fingerprint
            left = LONG if _want(tape.path) else 0.0
            while now.fingerprint == seen and left > 0:
                left -= 0.05
                await deferLater(reactor, 0.05)
                now = await self._look(tape)
            ended = evolve(ended, before=now, after=now)
        return await made(self, job, tape, began, ended, judged)

    AttemptRunner.run = noted  # type: ignore[method-assign]
    Archives._made = looked  # type: ignore[method-assign]


def _prove_after_the_act() -> None:
    """Which copy has what was on the tape is written down when the tape is empty already."""
    from vtspolicy.engine.tapes.gate import DeletionGate
    from vtspolicy.ledger import TapeRecords

    act = DeletionGate._act

    class Late:
        def __init__(self, ledger: Any) -> None:
            self.ledger = ledger
            self.kept: list[Any] = []

        def __getattr__(self, name: str) -> Any:
            return getattr(self.ledger, name)

        def write(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
            if verb is TapeRecords.prove_copy:
                self.kept.append((verb, args, kwargs))
                return succeed(None)
            return self.ledger.write(verb, *args, **kwargs)

    async def late(self: Any, which: Any, job: Any, ruling: Any, facts: Any) -> Any:
        ledger = Late(self.checks.ledger)
        gate = DeletionGate(checks=evolve(self.checks, ledger=ledger))
        outcome = await act(gate, which, job, ruling, facts)
        if not isinstance(outcome, str):
            os.kill(os.getpid(), signal.SIGKILL)
        for verb, args, kwargs in ledger.kept:
            await self.checks.ledger.write(verb, *args, **kwargs)
        return outcome

    DeletionGate._act = late  # type: ignore[method-assign]


def _leave_deletes_undone() -> None:
    """What a delete had put aside when its server was killed stays there."""
    from vtspolicy.vaults.system import System
    from vtspolicy.vaults.vaults import Vaults

    unlink = System.unlink

    def dying(self: Any, name: str, folder: int) -> None:
        if "-delete-" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        unlink(self, name, folder)

    System.unlink = dying  # type: ignore[method-assign]
    Vaults.undo_delete = lambda _self, _tape, _token: False  # type: ignore[method-assign]


TAPES = ("F00001", "F00002", "F00003")
"""The tapes of these storms: few, so that hosts and writers meet."""

VICTIMS = {"server": 2, "all": 1}

DEFECTS: Mapping[str, Defect] = {
    "erase": Defect(
        what="a tape is erased without a comparison with what was judged",
        put_in=_erase_whatever_is_there,
        found=("LOST",),
        rows=(("archive", "erase"),),
        ways={"rewrite": 1, "same size": 1},
    ),
    "lease": Defect(
        what="an exchange takes no lease",
        put_in=_exchange_without_lease,
        found=("was replaced", "LOST"),
        rows=(("archive", "erase", "restore"), ("erase", "restore"), ("restore",)),
        ways={"slow": 1},
        pace=5.0,
        fills=False,
        lives=(40, 60),
    ),
    "rename": Defect(
        what="a delete does not compare after its rename",
        put_in=_delete_whatever_was_renamed,
        found=("LOST", "was replaced"),
        rows=(("archive", "delete"),),
        ways={"rename": 3, "rewrite": 1},
    ),
    "look": Defect(
        what="after a restart the server's look counts, not the keeper's",
        put_in=_look_after_a_restart,
        found=("LOST", "no copy of"),
        rows=(("archive", "erase"),),
        ways={"rewrite": 1, "same size": 1},
    ),
    "prove": Defect(
        what="the proof is written down after the act",
        put_in=_prove_after_the_act,
        found=("all is quiet", "does not come back"),
        rows=(("archive", "archive", "erase"),),
        ways={"hold": 6, "rewrite": 1},
    ),
    "undo": Defect(
        what="a delete that was cut short is not undone",
        put_in=_leave_deletes_undone,
        found=("left behind", "deleted is COMPLETED"),
        rows=(("archive", "delete"),),
    ),
}


def with_defect(name: str) -> Weather:
    """Return the weather in which a defect is put into every server that starts."""
    defect = DEFECTS[name]

    def prepare(_root: Path) -> None:
        defect.put_in()

    return Weather(
        victims=VICTIMS,
        rows=dict.fromkeys(defect.rows, 1),
        ways=defect.ways,
        steps={},
        pace=defect.pace,
        fills=defect.fills,
        lives=defect.lives,
        longest=20.0,
        tapes=TAPES,
        prepare=prepare,
        patience=60.0,
    )
