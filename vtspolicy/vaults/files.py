"""A tape's file, opened and held: what an act needs before it may change anything."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import evolve, field, frozen

from vtspolicy.tapes import Fingerprint, Tape, VaultFeatures
from vtspolicy.tapes.fingerprint import LEGACY_TOLERANCE_NS
from vtspolicy.vaults.errors import (
    PASSING,
    ChangedError,
    InUseError,
    NoLeaseError,
    VaultError,
    trouble,
)
from vtspolicy.vaults.private import private
from vtspolicy.vaults.system import FILE, System, lease_break_time

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EOPNOTSUPP})
"""Errors of a file system that cannot do what it was asked for."""

WAITS = (0.005, 0.02)
"""Seconds between attempts to take a lease."""


LONGEST_PAUSE = 5.0
"""Seconds that are waited for two ticks of a vault, at most."""


@frozen(kw_only=True)
class OpenPool:
    """The pool of a tape, held open, and what can be done in it."""

    system: System
    folder: int  # descriptor of the pool's folder
    tape: Tape
    features: VaultFeatures
    without: frozenset[str]  # features that the site has accepted to be missing
    fingerprint: Callable[[os.stat_result], Fingerprint]

    @property
    def name(self) -> str:
        """The tape's file in the pool."""
        return self.tape.cartridge

    def private(self, token: str, kind: str) -> str:
        """Return a private name for this tape."""
        return private(token, kind, self.tape.cartridge)

    def shown(self, name: str) -> str:
        """Return how a file of the pool is called in messages."""
        return f"/{self.tape.vault}/{self.tape.pool}/{name}"

    def facts(self, name: str) -> os.stat_result | None:
        """Return what is known of a name in the pool; None when nothing has it."""
        try:
            return self.system.facts_at(name, self.folder)
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether anything has a name in the pool."""
        return self.facts(name) is not None

    def means(self, name: str, file: os.stat_result) -> bool:
        """Whether a name in the pool means that file."""
        found = self.facts(name)
        return found is not None and os.path.samestat(found, file)

    def let_pass_ticks(self) -> None:
        """Wait until a later write to a file that was changed just now gets other times."""
        self.system.pause(min(2 * self.features.tick_ns / 1e9, LONGEST_PAUSE))

    def sync(self) -> None:
        """Make the names in the pool durable."""
        self.system.sync(self.folder)


@contextmanager
def opened(pool: OpenPool, name: str, flags: int) -> Iterator[int]:
    """Hold a file of the pool open; give its descriptor.

    Raises FileNotFoundError, and VaultError for anything but a regular file with one name.
    """
    shown = pool.shown(name)
    try:
        file = pool.system.open(name, flags | FILE, pool.folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise VaultError(f"{shown} is not a plain file with one name") from error
        if error.errno == errno.EWOULDBLOCK:
            raise InUseError(f"{shown} is in use: another process holds it") from error
        raise trouble(error, f"{shown} cannot be opened") from error
    try:
        facts = pool.system.facts(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise VaultError(f"{shown} is not a plain file with one name")
        yield file
    finally:
        pool.system.close(file)


@frozen(kw_only=True)
class Lease:
    """A write lease on an open file: no other process has it open, and none gets it open.

    A process that opens the file meanwhile waits in open() until the lease is given back, but at
    most `lease-break-time` seconds (a setting of the kernel, 45 usually). So what is done while the
    lease is held is done in one step, for everybody who opens the file. Who opened it before, or
    has it mapped, prevents the lease. A rename, a link or a change of attributes does not, and is
    looked for by comparing.

    Without a lease, where the site has accepted that, nothing is held.
    """

    system: System
    file: int
    shown: str  # the file, for messages
    is_real: bool  # False: without a lease, which the site has accepted
    taken: float = field(factory=time.monotonic)

    @property
    def is_held(self) -> bool:
        """Whether no process waits for the file, as far as that can be told."""
        return not self.is_real or self.system.leased(self.file) == fcntl.F_WRLCK

    @property
    def may_have_been_broken(self) -> bool:
        """Whether a process that waited for the file may have got it open."""
        limit = lease_break_time()
        return not self.is_held and 0 < limit <= time.monotonic() - self.taken

    def require(self) -> None:
        """Make sure that no process waits for the file. Raises InUseError."""
        if not self.is_held:
            raise InUseError(f"{self.shown} is in use: a process is about to open it")


@contextmanager
def claimed(pool: OpenPool, file: int, name: str) -> Iterator[Lease]:
    """Hold a write lease on an open file.

    Raises InUseError when another process has it open, NoLeaseError when that is not known and
    the site has not accepted it: the user who runs this is not the file's owner and has not the
    capability CAP_LEASE, or the file system has no leases.
    """
    lease = _claim(pool, file, pool.shown(name))
    try:
        yield lease
    finally:
        if lease.is_real:
            with suppress(OSError):  # it ends with the descriptor at the latest
                pool.system.lease(file, fcntl.F_UNLCK)


def _claim(pool: OpenPool, file: int, shown: str) -> Lease:
    accepted = "leases" in pool.without
    reason = "its vault does not support leases"
    real = False
    if pool.features.leases or accepted:
        try:
            _take(pool.system, file)
        except BlockingIOError as error:
            if pool.features.leases:
                raise InUseError(f"{shown} is in use: a process has it open") from error
        except OSError as error:
            if error.errno in PASSING:
                raise trouble(error, f"{shown} cannot be claimed") from error
            reason = error.strerror or str(error)
        else:
            real = True
    if not real and not accepted:
        raise NoLeaseError(f"{shown}: it is not known whether a process has it open: {reason}")
    return Lease(system=pool.system, file=file, shown=shown, is_real=real)


def _take(system: System, file: int) -> None:
    """Take a write lease, if need be after a moment.

    A program that this server starts has our descriptors until it is executed: a tape that was
    looked at just before may seem to be in use for so long.
    """
    for wait in WAITS:
        try:
            system.lease(file, fcntl.F_WRLCK)
        except BlockingIOError:
            time.sleep(wait)
        else:
            return
    system.lease(file, fcntl.F_WRLCK)


def is_judged(judged: Fingerprint, now: Fingerprint, features: VaultFeatures) -> bool:
    """Return whether a file is exactly the one that was judged.

    Size and times have to be equal, and the inode, as far as the vault keeps them. The device is
    not compared: it may be another after a vault was mounted anew.
    """
    if judged.mtime_ns is None or now.mtime_ns is None or judged.size != now.size:
        return False
    if abs(judged.mtime_ns - now.mtime_ns) > (0 if judged.is_whole else LEGACY_TOLERANCE_NS):
        return False
    if features.keeps_inode and judged.inode not in {None, now.inode}:
        return False
    return not features.keeps_ctime or judged.ctime_ns in {None, now.ctime_ns}


def is_moved(judged: Fingerprint, now: Fingerprint, features: VaultFeatures) -> bool:
    """Return whether a file is the one that was judged, after a rename of ours moved its ctime."""
    then, moved = judged.ctime_ns, now.ctime_ns
    if then is not None and moved is not None and then > moved:
        return False
    return is_judged(judged, evolve(now, ctime_ns=then), features)


def require_judged(pool: OpenPool, file: int, judged: Fingerprint) -> Fingerprint:
    """Return what an open file is now. Raises ChangedError unless it is the one that was judged."""
    now = pool.fingerprint(pool.system.facts(file))
    if not is_judged(judged, now, pool.features):
        raise ChangedError(f"{pool.tape.name} was written just now, or is another file")
    return now


def as_looked_at(tape: Tape) -> Fingerprint:
    """Return what a tape was when it was looked at last: what is acted on, if nothing else is told.

    Raises ChangedError when it was not there.
    """
    if tape.seen is not None:
        return tape.seen
    if tape.size is None or tape.written is None:
        raise ChangedError(f"{tape.name} was not there when it was looked at")
    return Fingerprint(vault=tape.vault, size=tape.size, mtime_ns=round(tape.written * 1e9))
