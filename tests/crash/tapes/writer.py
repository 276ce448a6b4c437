"""The writing host: writes to tapes in every way, at any moment, and never waits for a server.

It is a process of its own and may be killed at any moment, too; what its journal says holds. Each
write is a list of steps, of which it is known beforehand what the tape has after each. While it
has a tape open, nothing but its own steps may change the tape, or put another file in its place.
"""

import contextlib
import ctypes
import mmap
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path

from attrs import define, field, frozen

from tests.crash.tapes.journal import Journal

WAYS: Mapping[str, int] = {
    "rewrite": 3,
    "slow": 2,
    "append": 3,
    "same size": 4,
    "same size and time": 4,
    "mapping": 4,
    "rename": 4,
    "truncate": 1,
    "hold": 1,
    "touch": 1,
}
"""In which ways it writes, and how often in relation to the others."""

SIZES = (200, 5000, 3 * 4096, 70_001)
"""Bytes of what it writes; the larger ones take several steps of the kernel."""

SLOW = 0.3
"""Seconds for which a tape is open at most before it is written, where that takes its time."""

HELD = 3.0
"""Seconds for which a tape is held open at most, with nothing written to it."""

AWAKE = "awake"
"""The file of the journal that is there while it writes, or was when it was killed."""

WANTED = "wanted"
"""The file of the journal in which a tape can be named that is to be written at once."""

NEW = 0o640
"""The mode of a tape that it makes."""


@frozen
class Step:
    """One change of a tape's file."""

    what: str  # "truncate" to `at` bytes, or "write" or "map" of `data` at `at`
    at: int
    data: bytes = b""

    def after(self, tape: bytes) -> bytes:
        """Return what the tape has after it."""
        if self.what == "truncate":
            return tape[: self.at]
        return tape[: self.at] + self.data + tape[self.at + len(self.data) :]


@define
class WritingHost:
    """One such process, and the next one after it was killed."""

    vault: Path
    journal: Journal
    pools: Mapping[str, str]  # cartridge -> pool
    seed: int
    pace: float = 0.06  # seconds between two writes, on average
    ways: Mapping[str, int] = field(factory=lambda: WAYS)
    fills: bool = False  # it likes to write to tapes that have nothing
    pid: int | None = None
    count: int = 0  # processes so far

    def start(self) -> None:
        """Begin to write."""
        self.count += 1
        (self.journal.root / AWAKE).touch()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            return
        try:
            os.closerange(3, 1024)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _Pen(self, random.Random(f"{self.seed}-{self.count}")).write_on(parent)
        finally:
            os._exit(1)

    def kill(self) -> bool:
        """Kill it wherever it is; False if it does not run."""
        if self.pid is None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = None
        return True

    def stop(self) -> None:
        """Let it end the write that is under way."""
        if self.pid is None:
            return
        stop = self.journal.root / "stop"
        stop.touch()
        (self.journal.root / AWAKE).unlink()
        os.waitpid(self.pid, 0)
        stop.unlink()
        self.pid = None

    def fill(self, cartridge: str) -> None:
        """Write a tape anew, here and now."""
        pen = _Pen(self, random.Random(f"{self.seed}-fill-{cartridge}"))
        pen.write(cartridge, "rewrite", pause=lambda: None)


@define
class _Pen:
    host: WritingHost
    draw: random.Random

    def write_on(self, parent: int) -> None:
        """Write until it is told to stop, or whoever began it is gone."""
        stop = self.host.journal.root / "stop"
        names = sorted(self.host.pools)
        until, hot = 0.0, names
        while not stop.exists() and os.getppid() == parent:
            if time.monotonic() > until:  # others are left alone for a while: they can be emptied
                until = time.monotonic() + self.draw.uniform(0.3, 1.5)
                hot = self.draw.sample(names, self.draw.randint(1, 3))
            self._write_one(self._wanted() or self.draw.choice(self._empty() or hot))
            rest = time.monotonic() + self.draw.expovariate(1 / self.host.pace)
            while time.monotonic() < rest and not stop.exists():
                time.sleep(min(0.01, self.host.pace))
                if (wanted := self._wanted()) is not None:
                    self._write_one(wanted)
        os._exit(0)

    def _write_one(self, cartridge: str) -> None:
        way = self.draw.choices(tuple(self.host.ways), tuple(self.host.ways.values()))[0]
        self.write(cartridge, way, self._pause)

    def _wanted(self) -> str | None:
        """Return the tape that somebody wants to be written just now."""
        wanted = self.host.journal.root / WANTED
        try:
            cartridge = wanted.read_text()
            wanted.unlink()
        except FileNotFoundError:
            return None
        return cartridge

    def _empty(self) -> list[str]:
        if not self.host.fills:
            return []
        places = {name: self.host.vault / pool / name for name, pool in self.host.pools.items()}
        return [name for name, at in places.items() if not at.exists() or not at.stat().st_size]

    def _pause(self) -> None:
        time.sleep(self.draw.choice((0.0, 0.0, 0.01, 0.05)))

    def write(self, cartridge: str, way: str, pause: Callable[[], None]) -> None:
        """Write one tape in one way."""
        with self.host.journal.held(cartridge), contextlib.suppress(FileNotFoundError):
            path = self.host.vault / self.host.pools[cartridge] / cartridge
            number = time.time_ns()
            if way == "rename":
                self._rename(cartridge, path, number)
            else:
                self._open(cartridge, path, number, way, pause)

    def _rename(self, cartridge: str, path: Path, number: int) -> None:
        journal, data = self.host.journal, self._bytes(cartridge)
        new = self.host.vault.parent / f"new-{cartridge}"
        new.write_bytes(data)
        new.chmod(NEW)
        states = [journal.keep(data)]
        has_data = path.exists() and path.stat().st_size
        was = None if has_data else journal.keep(b"")
        journal.note(cartridge, begin=number, way="rename", was=was, states=states)
        new.rename(path)
        journal.ended(cartridge, number, data)

    def _open(
        self, cartridge: str, path: Path, number: int, way: str, pause: Callable[[], None]
    ) -> None:
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            if way in {"truncate", "hold", "touch"}:
                return
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, NEW))
            file = os.open(path, os.O_RDWR)
        with os.fdopen(file, "r+b", buffering=0) as tape:
            if not _is_named(os.fstat(file), path):
                return  # it was removed as it was opened, as can happen to whoever opens a file
            if way == "hold":
                time.sleep(self.draw.choice((0.05, 0.3, HELD)))
            elif way == "touch":
                os.utime(file, ns=(time.time_ns(), os.fstat(file).st_mtime_ns))
            else:
                self._write(_Opened(cartridge, path, tape, number), way, pause)

    def _write(self, opened: "_Opened", way: str, pause: Callable[[], None]) -> None:
        journal, file, facts = self.host.journal, opened.tape.fileno(), opened.facts()
        before = now = os.pread(file, facts.st_size + 1, 0)
        steps, states = self._steps(way, opened.cartridge, before), []
        for step in steps:
            now = step.after(now)
            states.append(journal.keep(now))
        was = journal.keep(before)
        journal.note(opened.cartridge, begin=opened.number, way=way, was=was, states=states)
        with opened.steps(way, len(before)) as do:
            if way == "slow":
                time.sleep(self.draw.uniform(0.0, SLOW))
            for step in steps:
                pause()
                do(step)
            if way == "same size and time":
                os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            if not _is_named(facts, opened.path):
                journal.note(opened.cartridge, replaced=opened.number)
            elif (there := opened.path.read_bytes()) != now:
                journal.note(opened.cartridge, mixed=opened.number, digest=journal.keep(there))
                now = there
        journal.ended(opened.cartridge, opened.number, now)

    def _steps(self, way: str, cartridge: str, before: bytes) -> list[Step]:
        """Return how a tape with that content is written."""
        draw = self.draw
        if way == "truncate":
            return [Step("truncate", draw.choice((0, len(before) // 2)))]
        if not before or way in {"rewrite", "slow"}:
            data = self._bytes(cartridge)
            half = draw.randrange(len(data))
            steps = [Step("write", 0, data[:half]), Step("write", half, data[half:])]
            return [Step("truncate", 0), *steps] if before else steps
        if way == "append":
            more = self._bytes(cartridge)[: draw.randint(1, 5000)]
            return [Step("write", len(before), more), Step("write", len(before) + len(more), more)]
        if way == "mapping":
            return [self._patch("map", before) for _ in range(draw.randint(2, 4))]
        return [self._patch("write", before) for _ in range(draw.randint(1, 2))]

    def _patch(self, what: str, before: bytes) -> Step:
        at = self.draw.randrange(len(before))
        size = min(len(before) - at, self.draw.choice((1, 50, 6000)))
        return Step(what, at, self.draw.randbytes(size))

    def _bytes(self, cartridge: str) -> bytes:
        head = f"{cartridge} {time.time_ns()}\n".encode()
        return head + self.draw.randbytes(self.draw.choice(SIZES))


@frozen
class _Opened:
    """A tape that a host has open."""

    cartridge: str
    path: Path
    tape: FileIO
    number: int  # of the write

    def facts(self) -> os.stat_result:
        return os.fstat(self.tape.fileno())

    @contextlib.contextmanager
    def steps(self, way: str, size: int) -> Iterator[Callable[[Step], object]]:
        """Give what does one step: through the descriptor, or a mapping that outlives that."""
        file = self.tape.fileno()
        if way != "mapping" or not size:
            yield (
                lambda step: (
                    os.ftruncate(file, step.at)
                    if step.what == "truncate"
                    else os.pwrite(file, step.data, step.at)
                )
            )
            return
        address = _C.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
        self.tape.close()
        try:
            yield lambda step: ctypes.memmove(address + step.at, step.data, len(step.data))
        finally:
            _C.munmap(address, size)


_C = ctypes.CDLL(None)  # Python's own mapping keeps a descriptor
_C.mmap.restype = ctypes.c_void_p
_C.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_C.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def _is_named(facts: os.stat_result, path: Path) -> bool:
    """Whether a file is what a name means."""
    try:
        return os.path.samestat(facts, path.stat())
    except FileNotFoundError:
        return False
