"""The files of tapes as the model sees them: times that the test's clock tells, and a host.

Times on a real disk pass by themselves. A model needs those of its own clock: what the kernel noted
for a file is translated, so that a tape which was written in the model's second is of that second,
however coarse the model's file system keeps times.
"""

import mmap
import os
import tempfile
import time
from bisect import bisect_right
from pathlib import Path

from attrs import define, evolve, field, frozen

from vtspolicy.runner.looks import look_at
from vtspolicy.vaults.system import System

COARSE = getattr(time, "CLOCK_REALTIME_COARSE", None) or 5  # Linux
SLOWER = 100
"""While the model's clock stands, the times of its files pass so many times slower than ours."""

GAP = 60 * 10**9
"""Nanoseconds beyond which a time was not noted by the kernel, but set by somebody."""


PLACE = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
"""Where the files of these tests are: in memory, if it may be."""


class FileClock:
    """The clock of the model's file server: nobody sets it, whatever becomes of the others."""

    def __init__(self, seconds, tick_ns=1):
        self.tick_ns = tick_ns
        self._real = [time.clock_gettime_ns(COARSE)]
        self._model = [round(seconds * 1e9)]

    def advance(self, seconds):
        """Let time pass.

        The kernel's coarse clock has to show it too, or a write after this would seem earlier.
        """
        before = time.time_ns()
        while (now := time.clock_gettime_ns(COARSE)) <= before:
            time.sleep(0.0005)
        reached = max(self._model[-1] + round(seconds * 1e9), self.model(now))
        self._real.append(now)
        self._model.append(reached)

    def model(self, real, tick_ns=None):
        """What the model has for a time of the kernel, in nanoseconds."""
        since = real - self._real[0]
        if 0 <= since < GAP:
            at = bisect_right(self._real, real) - 1
            told = self._model[at] + (real - self._real[at]) // SLOWER
        else:
            told = self._model[0] + since
        return told - told % (tick_ns or self.tick_ns)

    @property
    def now(self):
        """Nanoseconds since 1970, by a clock that is finer than the times of files."""
        return self.model(time.time_ns(), tick_ns=1)


class Facts:
    """What the system tells of a file, with the model's times and device number."""

    def __init__(self, real, clock, remounts=0):
        self._real = real
        self.st_dev = real.st_dev + remounts
        self.st_mtime_ns = clock.model(real.st_mtime_ns)
        self.st_ctime_ns = clock.model(real.st_ctime_ns)

    def __getattr__(self, name):
        return getattr(self._real, name)


class Killed(BaseException):
    """The server is gone: nothing of it goes on, and nothing cleans up after it."""


class ModelSystem(System):
    """The kernel with the model's times; the world may act between any two calls."""

    def __init__(self, world):
        self.world = world
        self.opened = set()

    def open(self, name, flags, folder=None):
        self.world.moment("system", "open")
        file = super().open(name, flags, folder)
        self.opened.add(file)
        return file

    def close(self, file):
        self.opened.discard(file)
        super().close(file)

    def die(self):
        """What the kernel does for a process that is gone."""
        while self.opened:
            super().close(self.opened.pop())

    def facts(self, file):
        return Facts(super().facts(file), self.world.files, self.world.remounts)

    def facts_at(self, name, folder):
        return Facts(super().facts_at(name, folder), self.world.files, self.world.remounts)

    def sync(self, file):
        """Nothing here loses power."""

    def pause(self, seconds):
        """Time passes, and the host goes on."""
        self.world.files.advance(seconds)
        self.world.moment("system", "pause")


def _between(name):
    real = getattr(System, name)

    def call(self, *args, **given):
        self.world.moment("system", name)
        return real(self, *args, **given)

    return call


for _each in ("truncate", "unlink", "rename", "rename_free", "exchange", "lease", "leased"):
    setattr(ModelSystem, _each, _between(_each))
for _each in ("read", "write", "set_mode", "link"):
    setattr(ModelSystem, _each, _between(_each))


def keeper_look(world, tape, boot):
    """What a keeper sees of a tape, with the model's times."""
    look = look_at(tape, boot)
    file = look.fingerprint
    if file is not None:
        file = evolve(
            file,
            mtime_ns=world.files.model(file.mtime_ns),
            ctime_ns=world.files.model(file.ctime_ns),
            device=file.device + world.remounts,
        )
    clock = None if look.vault_ns is None else world.files.model(look.vault_ns)
    return evolve(look, at=world.clock.seconds(), fingerprint=file, vault_ns=clock)


@define(eq=False)
class ModelTape:
    """One tape, and what its host last wrote to it."""

    path: Path
    content: bytes | None = None  # of the last write; None or empty: thrown away, or never any
    version: int = 0  # of writes
    waived: int = -1  # the version about which an operator, or the contract, gave up
    why: str = ""
    chosen: int = 0  # how often an operator chose a copy for it

    @property
    def name(self):
        return self.path.name

    @property
    def guarded(self):
        """Whether its last content must be somewhere."""
        return bool(self.content) and self.waived != self.version

    def waive(self, why):
        self.waived, self.why = self.version, why

    def read(self):
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None


@frozen
class Held:
    """A tape's file that a process of the host has open, or mapped."""

    file: int  # descriptor; -1: closed, and only mapped
    pages: mmap.mmap | None
    tape: ModelTape
    inode: int
    full: bool = True  # it had data when it was opened


@define
class ModelHost:
    """A host that writes to tapes in every way that there is."""

    tapes: list[ModelTape]
    held: list[Held] = field(factory=list)
    late: list[tuple] = field(factory=list)  # writes that wait for a lease to end
    _number: int = 0

    def data(self, size):
        """Bytes that were never written before."""
        self._number += 1
        head = b"%06d" % self._number
        return (head * (size // 6 + 1))[:size] if size >= 6 else b"%06d" % self._number

    def wrote(self, tape, content):
        tape.content = content
        tape.version += 1

    def act(self, how, tape):
        """Write to a tape, or do something else to its file; False if it was not possible."""
        try:
            return getattr(self, how)(tape) is not False
        except FileNotFoundError:
            return False
        except BlockingIOError:  # a lease: a host would wait for its end
            self.late.append((how, tape))
            return True

    def catch_up(self):
        """Do what had to wait for a lease."""
        late, self.late = self.late, []
        for how, tape in late:
            self.act(how, tape)

    def _open(self, tape, flags=os.O_WRONLY):
        file = os.open(tape.path, flags | os.O_NONBLOCK)
        return os.fdopen(file, "r+b" if flags & os.O_RDWR else "wb", buffering=0)

    # Ways to write

    def rewrite(self, tape):
        """Other data, of another size."""
        data = self.data(30 + self._number % 7)
        self._unmap(tape)
        if not tape.path.exists():
            _make(tape.path)
        with self._open(tape, os.O_WRONLY | os.O_CREAT) as file:
            file.truncate(0)
            file.write(data)
        self.wrote(tape, data)

    def same_size(self, tape):
        """Other data of the same size, as a host that overwrites in place."""
        size = tape.path.stat().st_size
        if not size:
            return False
        data = self.data(size)[:size]
        with self._open(tape) as file:
            file.write(data)
        self.wrote(tape, tape.path.read_bytes())
        return True

    def same_times(self, tape):
        """The same, and the old time of write is set again."""
        facts = tape.path.stat()
        done = self.same_size(tape)
        if done:
            os.utime(tape.path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return done

    def append(self, tape):
        if not tape.path.stat().st_size:
            return False
        with self._open(tape, os.O_WRONLY | os.O_APPEND) as file:
            file.write(self.data(8))
        self.wrote(tape, tape.path.read_bytes())
        return True

    def replace(self, tape):
        """A new file gets the name, with the size and times of the old one."""
        facts = tape.path.stat()
        data = self.data(facts.st_size)[: facts.st_size] if facts.st_size else self.data(20)
        self._drop(tape)
        new = tape.path.with_name(f".new-{tape.name}")
        _make(new)
        new.write_bytes(data)
        os.utime(new, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        new.rename(tape.path)
        self.wrote(tape, data)

    def empty(self, tape):
        self._unmap(tape)
        with self._open(tape) as file:
            file.truncate(0)
        self.wrote(tape, b"")

    def remove(self, tape):
        self._drop(tape)
        tape.path.unlink()
        self.wrote(tape, None)

    def touch(self, tape):
        """A backup program sets the access time again; that is no write."""
        facts = tape.path.stat()
        os.utime(tape.path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def mode(self, tape):
        tape.path.chmod(0o640 if tape.path.stat().st_mode & 0o040 == 0 else 0o600)

    def future(self, tape):
        """The tape gets a time that is still to come."""
        if self.same_size(tape) is False:
            return False
        ahead = time.time_ns() + 3600 * 10**9
        os.utime(tape.path, ns=(ahead, ahead))
        return True

    def move(self, tape):
        """It is renamed to the other pool."""
        other = {"A": "B", "B": "A"}[tape.path.parent.name]
        there = tape.path.parent.parent / other / tape.name
        if there.exists():
            return False
        tape.path.rename(there)
        tape.path = there
        return True

    # Ways to hold a file

    def hold(self, tape):
        """A process opens it for writing, and writes later."""
        file = os.open(tape.path, os.O_RDWR | os.O_NONBLOCK)
        facts = os.fstat(file)
        self.held.append(Held(file, None, tape, facts.st_ino, full=facts.st_size > 0))

    def map(self, tape):
        """A process maps it, dirties a page and closes the descriptor."""
        file = os.open(tape.path, os.O_RDWR | os.O_NONBLOCK)
        size = os.fstat(file).st_size  # looked at: its next change gets a time of its own
        if size < 6:
            os.close(file)
            return False
        before = os.fstat(file)
        pages = mmap.mmap(file, size)
        pages[:6] = self.data(6)
        if os.fstat(file).st_mtime_ns == before.st_mtime_ns:  # tmpfs: other disks note the first
            os.utime(file)
        held = Held(-1, pages, tape, before.st_ino)
        os.close(file)
        self.held.append(held)
        self.wrote(tape, bytes(pages))
        return True

    def poke(self, tape):
        """A process that holds the file writes to it again."""
        for each in self.held:
            if each.tape is not tape:
                continue
            if each.pages is not None:
                if _is_shorter(tape.path, each):
                    return False  # a process that writes now dies of SIGBUS
                each.pages[:6] = self.data(6)  # no time of the file is moved by this
                beyond = (tape.content or b"")[len(each.pages) :]  # was added since
                self.wrote(tape, bytes(each.pages) + beyond)
            else:
                # It writes its buffer to the beginning; the rest is what it was, for all it knows.
                begin, rest = self.data(6), os.pread(each.file, 1 << 20, 0)
                os.pwrite(each.file, begin, 0)
                self.wrote(tape, begin + ((tape.content or b"") if each.full else rest)[6:])
            return True
        return False

    def close(self, tape):
        """Its processes let go of it."""
        self._drop(tape)

    def _drop(self, tape):
        for each in [each for each in self.held if each.tape is tape]:
            self.held.remove(each)
            if each.pages is not None:
                each.pages.close()
            if each.file >= 0:
                os.close(each.file)

    def _unmap(self, tape):
        if any(each.pages is not None for each in self.held if each.tape is tape):
            self._drop(tape)

    def leave(self):
        for tape in self.tapes:
            self._drop(tape)


WRITES = ("rewrite", "same_size", "same_times", "append", "replace", "empty", "remove", "future")
OTHERS = ("touch", "mode", "move", "hold", "map", "poke", "close")


def _make(path):
    """Make a file; the kernel gives a new one a coarse time, which may be of before."""
    path.touch()
    path.stat()
    os.utime(path)
    path.stat()


def _is_shorter(path, held):
    """Whether somebody has cut off what a process has mapped."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return False
    return facts.st_ino == held.inode and facts.st_size < len(held.pages)
