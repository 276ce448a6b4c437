"""What a vault's file system can do, tried on private files.

The files are named after this process, so that several servers can probe a vault at once. They are
removed at the end; what a killed process left is removed by a later probe.
"""

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from vtspolicy.tapes import VaultFeatures
from vtspolicy.vaults.errors import PASSING
from vtspolicy.vaults.system import FILE, System

PROBE = ".vtspolicy-probe-"

OLD = 3600.0
"""Seconds after which a private file of a probe was left by one that was killed."""

LONGEST = 0.05
"""Seconds that are spent on finding out how fine times are."""

STEPS = 4
"""Steps of a clock that are enough to measure its resolution."""

FINEST = 1_000_000
"""The shortest tick that is believed in, nanoseconds: waiting for two of it costs nothing."""

WAITS = (0.0, 0.011)
"""Seconds before changes that must have another time; the last is longer than any tick."""

CAP_LEASE = 28

SECOND = 1_000_000_000

_numbers = itertools.count(1)


def probe(system: System, folder: int) -> VaultFeatures:
    """Return what can be done with files, by private ones in a folder.

    Whether leases can be had on tapes depends on who owns them, too: see `fit_for`. Raises OSError
    when no private file can be made.
    """
    with _private_file(system, folder) as first, _private_file(system, folder) as second:
        trial = _Trial(system=system, folder=folder, first=first, second=second)
        features = VaultFeatures(
            tick_ns=trial.tick(),  # first: nothing else has touched the file yet
            keeps_ctime=trial.tried(trial.keeps_ctime),
            leases=trial.tried(trial.has_leases),
            keeps_inode=trial.tried(trial.keeps_inode),
            exchange=trial.tried(trial.exchanges),
        )
    _remove_old(system, folder)
    return features


@contextmanager
def _private_file(system: System, folder: int) -> Iterator[str]:
    """Make a private file with a name that no other process has; remove it at the end."""
    while True:
        name = f"{PROBE}{os.getpid()}-{next(_numbers)}"
        try:
            system.close(system.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, folder))
        except FileExistsError:
            continue  # of a process with this number on another node, or before a restart
        break
    try:
        yield name
    finally:
        with suppress(FileNotFoundError):
            system.unlink(name, folder)


def _remove_old(system: System, folder: int) -> None:
    """Remove private files that killed probes have left; that it cannot be done does not matter."""
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PROBE)]
        for name in names:
            with suppress(OSError):
                if time.time() - system.facts_at(name, folder).st_ctime > OLD:
                    system.unlink(name, folder)


@define(kw_only=True)
class _Trial:
    """Two private files, and what can be done with them."""

    system: System
    folder: int
    first: str
    second: str
    seen: list[int] = field(factory=list)  # times that were seen, nanoseconds

    def tried(self, can: Callable[[], bool]) -> bool:
        """Return whether something can be done; an error of the file system says no."""
        try:
            return can()
        except OSError as error:
            if error.errno in PASSING or error.errno == errno.ENOSPC:
                raise
            return False

    @contextmanager
    def opened(self, name: str, flags: int) -> Iterator[int]:
        """Hold a private file open."""
        file = self.system.open(name, flags | FILE, self.folder)
        try:
            yield file
        finally:
            self.system.close(file)

    def tick(self) -> int:
        """Return by how much two times differ at least, if they differ."""
        with self.opened(self.first, os.O_RDWR) as file:
            odd = (int(time.time()) // 2 * 2 + 1) * SECOND + 987_654_321
            self.system.touch(file, (odd, odd))
            kept = self.system.facts(file)
            grain = max(_grain(kept.st_mtime_ns, odd), self._step(file))
        return max(FINEST, grain)

    def _step(self, file: int) -> int:
        """Return the shortest step between times of changes that follow each other closely."""
        end = time.monotonic() + LONGEST
        times: list[int] = []
        while len(times) <= STEPS and time.monotonic() < end:
            self.system.touch(file)  # and nothing written: the disk may be full
            facts = self.system.facts(file)
            if not times or facts.st_ctime_ns != times[-1]:
                times.append(facts.st_ctime_ns)
        if all(each % SECOND == 0 for each in times):
            return SECOND
        steps = [after - before for before, after in itertools.pairwise(times) if after > before]
        return min(steps, default=round(LONGEST * SECOND))

    def keeps_ctime(self) -> bool:
        """Whether the change time moves with each change, cannot be set, and stays otherwise."""
        with self.opened(self.first, os.O_RDWR) as file:
            begun = self.system.facts(file)
            self.system.touch(file, (0, 0))  # what hides a write from who looks at mtime only
            now = self.system.facts(file)
            if now.st_mtime_ns != 0 or now.st_ctime_ns < begun.st_ctime_ns:
                return False
            coarse = begun.st_ctime_ns % SECOND == 0 and now.st_ctime_ns % SECOND == 0
            changes = (
                lambda: self.system.set_mode(file, 0o640),
                lambda: self.system.set_mode(file, 0o600),
                lambda: self.system.truncate(file),
            )
            for change in changes:
                if not coarse and not self._moves(file, change):
                    return False
            self.system.sync(file)
            settled = self.system.facts(file)
        with self.opened(self.first, os.O_RDONLY) as file:
            return self.system.facts(file).st_ctime_ns == settled.st_ctime_ns

    def _moves(self, file: int, change: Callable[[], object]) -> bool:
        before = self.system.facts(file).st_ctime_ns
        for wait in WAITS:
            time.sleep(wait)
            change()
            if self.system.facts(file).st_ctime_ns > before:
                return True
        return False

    def keeps_inode(self) -> bool:
        """Whether a file keeps its inode number when it is renamed and opened anew."""
        then = self.system.facts_at(self.first, self.folder)
        moved = f"{self.first}-moved"
        self.system.rename(self.first, moved, self.folder)
        try:
            with self.opened(moved, os.O_RDONLY) as file:
                again = self.system.facts(file)
        finally:
            self.system.rename(moved, self.first, self.folder)
        back = self.system.facts_at(self.first, self.folder)
        return then.st_ino == again.st_ino == back.st_ino and then.st_ctime_ns <= back.st_ctime_ns

    def has_leases(self) -> bool:
        """Whether a lease can be had, is refused for a file in use, and holds up who opens it."""
        with self.opened(self.first, os.O_RDONLY) as file:
            for flags, kind in (
                (os.O_RDONLY, fcntl.F_WRLCK),
                (os.O_WRONLY, fcntl.F_WRLCK),
                (os.O_WRONLY, fcntl.F_RDLCK),
            ):
                with self.opened(self.first, flags):
                    if self._leases(file, kind):
                        return False
            if not self._leases(file, fcntl.F_RDLCK):
                return False
            self.system.lease(file, fcntl.F_WRLCK)
            try:
                if self.system.leased(file) != fcntl.F_WRLCK:
                    return False
                with self.opened(self.first, os.O_WRONLY):
                    return False  # it was not held up
            except BlockingIOError:
                return self.system.leased(file) != fcntl.F_WRLCK  # and we are told of it
            finally:
                self.system.lease(file, fcntl.F_UNLCK)

    def _leases(self, file: int, kind: int) -> bool:
        try:
            self.system.lease(file, kind)
        except BlockingIOError:
            return False
        self.system.lease(file, fcntl.F_UNLCK)
        return True

    def exchanges(self) -> bool:
        """Whether two names can be exchanged, and a rename spares what has the new name."""
        one = self.system.facts_at(self.first, self.folder)
        other = self.system.facts_at(self.second, self.folder)
        self.system.exchange(self.first, self.second, self.folder)
        if self.system.facts_at(self.first, self.folder).st_ino != other.st_ino:
            return False
        if self.system.facts_at(self.second, self.folder).st_ino != one.st_ino:
            return False
        try:
            self.system.rename_free(self.first, self.second, self.folder)
        except FileExistsError:
            return True
        return False


def _grain(kept: int, wanted: int) -> int:
    """Return how fine a time is kept, by what became of one that is as fine as can be."""
    if kept == wanted:
        return 1
    if kept % (2 * SECOND) == 0:
        return 2 * SECOND
    grain = SECOND
    while grain > 1 and kept % grain:
        grain //= 10
    return grain


def fit_for(system: System, tapes: Sequence[tuple[int, str]]) -> bool:
    """Whether a lease can be taken on one of some tapes: by their owner, or with CAP_LEASE.

    `tapes` are some of a vault's, as a pool's descriptor and a name. One odd file says nothing.
    """
    answers = {fits(system, pool, name) for pool, name in tapes}
    return True in answers or False not in answers


def fits(system: System, pool: int, name: str) -> bool | None:
    """Whether a lease can be taken on a tape; None: it is gone, or in use."""
    try:
        if system.facts_at(name, pool).st_uid == os.geteuid():
            return True
        file = system.open(name, os.O_RDONLY | FILE, pool)
    except OSError as error:
        if error.errno in PASSING:
            raise
        denied = isinstance(error, PermissionError) and not has_capability()
        return False if denied else None  # else it is gone, or held by another server
    try:
        system.lease(file, fcntl.F_RDLCK)
        system.lease(file, fcntl.F_UNLCK)
    except BlockingIOError:
        return None  # in use: that is for an act to find out
    except OSError:
        return False
    finally:
        system.close(file)
    return True


def has_capability() -> bool:
    """Whether this process may take leases on files of others, as far as the kernel shows."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_LEASE & 1)
    return False
