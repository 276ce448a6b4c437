"""The vaults of this node: what can be seen in them, and what is done to a tape.

Every act takes the fingerprint of the file that was judged and is done to exactly that file, or to
none. All methods touch the disk: call them in a thread. Whatever concerns one vault has a tape, or
a target, as its first argument.
"""

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attrs import evolve

from vtspolicy.tapes import Fingerprint, Look, Tape, Use, VaultFeatures
from vtspolicy.vaults import acts, bringing, clock, restores
from vtspolicy.vaults.errors import (
    PASSING,
    CannotProbeError,
    ChangedError,
    InUseError,
    NoLeaseError,
    NoSuchPoolError,
    VaultBusyError,
    VaultError,
    told,
    trouble,
)
from vtspolicy.vaults.export import digest, export
from vtspolicy.vaults.files import OpenPool, as_looked_at, claimed, is_judged, opened
from vtspolicy.vaults.looking import Looking
from vtspolicy.vaults.private import parsed
from vtspolicy.vaults.probe import fit_for, fits, probe
from vtspolicy.vaults.system import FILE, System

SAMPLES = 8
"""How many tapes of a vault are tried for leases, one of each pool."""

LONGEST_WAIT = 5.0
"""Seconds that a tape which was written just now is waited for at most."""

FUTURE = 5_000_000_000
"""Nanoseconds by which a time may be ahead of the vault's clock before it is wrong."""

COARSE = VaultFeatures(leases=False, exchange=False, tick_ns=1_000_000_000)
"""What is assumed of a vault that cannot be probed, where something has to be assumed."""

WORDS = (
    ("inode", "keeps_inode"),
    ("ctime", "keeps_ctime"),
    ("leases", "leases"),
    ("exchange", "exchange"),
)
"""What features are called in the configuration, and in VaultFeatures."""


class Vaults(Looking):
    """The vaults of this node."""

    def __init__(
        self,
        roots: Mapping[str, Path],
        accepted: Mapping[str, frozenset[str]] | None = None,
        *,
        system: System | None = None,
    ) -> None:
        super().__init__(roots, system=system)
        self.accepted = dict(accepted or {})  # vault -> features that the site does without
        self.features: dict[str, VaultFeatures] = {}  # of the vaults that were probed
        self._probed: dict[str, tuple[Path, int]] = {}  # their directories then, and file systems
        self._systems: dict[str, VaultFeatures] = {}  # what they can do, without regard to owners
        self._pools: dict[tuple[str, str], tuple[int, VaultFeatures]] = {}  # of others, mounted

    # -- what a vault can do

    def probe(self, vault: str) -> VaultFeatures:
        """Find out what a vault can do, on private files in it, and remember that.

        Raises VaultError when the vault is not there, CannotProbeError when nothing can be written
        in it.
        """
        root, device = self._root(vault), self._device(vault)
        denied: OSError | None = None
        with ExitStack() as held:
            tapes = list(self._samples(vault, held))
            for folder in self._folders(vault, device, held):
                try:
                    features = probe(self.system, folder)
                    self._systems[vault] = features
                    if features.leases and not fit_for(self.system, tapes):
                        features = evolve(features, leases=False)
                except OSError as error:
                    if error.errno in PASSING:
                        raise trouble(error, f"vault {vault} cannot be probed") from error
                    denied = denied or error
                    continue
                self.features[vault] = features
                self._probed[vault] = (root, device)
                return features
        reason = "it has no pool" if denied is None else denied.strerror
        raise CannotProbeError(f"vault {vault} cannot be probed: {reason}")

    def features_of(self, vault: str) -> VaultFeatures:
        """Return what a vault can do; it is probed if that is not known. Errors: as `probe`.

        It is not known of another file system that was mounted, or unmounted, since.
        """
        if self._probed.get(vault) != (self._root(vault), self._device(vault)):
            return self.probe(vault)
        return self.features[vault]

    def features_for(self, tape: Tape) -> VaultFeatures:
        """Return what can be done with a tape: its pool can be a file system of its own.

        Errors: as `probe`.
        """
        features = self.features_of(tape.vault)
        try:
            with (
                self.pool(tape.vault, tape.pool) as pool,
                told(f"/{tape.vault}/{tape.pool} cannot be looked at"),
            ):
                device = self.system.facts(pool).st_dev
                able = self._systems.get(tape.vault, features)
                if device != self._device(tape.vault):
                    features = able = self._features_of_pool(tape, pool, device)
                if not features.leases and able.leases and fits(self.system, pool, tape.cartridge):
                    features = evolve(features, leases=True)
                return features
        except NoSuchPoolError:
            return features

    def _features_of_pool(self, tape: Tape, pool: int, device: int) -> VaultFeatures:
        place = (tape.vault, tape.pool)
        known = self._pools.get(place)
        if known is None or known[0] != device:
            with told(f"/{tape.vault}/{tape.pool} cannot be probed"):
                self._pools[place] = known = (device, probe(self.system, pool))
        return known[1]

    def _device(self, vault: str) -> int:
        """Return the number of a vault's file system; that of a pool can be another."""
        with self.root(vault) as root, told(f"vault {vault} cannot be looked at"):
            return self.system.facts(root).st_dev

    def missing(self, vault: str) -> tuple[str, ...]:
        """Return the words for what a vault cannot do: inode, ctime, leases, exchange."""
        features = self.features_of(vault)
        return tuple(word for word, name in WORDS if not getattr(features, name))

    def _folders(self, vault: str, device: int, held: ExitStack) -> Iterator[int]:
        """Yield the vault's own folder, then its pools, each held open; those of its device first.

        Where a pool is mounted by itself, the vault is what most of it is.
        """
        yield held.enter_context(self.root(vault))
        others = []
        for name in self.pools_of(vault):
            with suppress(VaultError):
                pool = held.enter_context(self.pool(vault, name))
                if self.system.facts(pool).st_dev == device:
                    yield pool
                else:
                    others.append(pool)
        yield from others

    def _samples(self, vault: str, held: ExitStack) -> Iterator[tuple[int, str]]:
        """Yield a tape of each of some pools: the pool's descriptor, and the name."""
        for name in self.pools_of(vault)[:SAMPLES]:
            try:
                yield from self._sample(held.enter_context(self.pool(vault, name)))
            except VaultBusyError:
                raise
            except (VaultError, OSError):
                continue  # the scan reports it

    def _sample(self, pool: int) -> Iterator[tuple[int, str]]:
        """Yield a tape of a pool, if it has one."""
        with os.scandir(pool) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    yield pool, entry.name
                    return

    # -- when

    def moment(self, tape: Tape) -> int:
        """Return the vault's own clock, in nanoseconds since 1970.

        Raises VaultError when neither the vault's folder nor the tape's pool can be written.
        """
        now = self._clock(tape)
        if now is None:
            raise VaultError(f"/{tape.vault}/{tape.pool} cannot be written: its clock is unknown")
        return now

    def _clock(self, tape: Tape) -> int | None:
        with ExitStack() as held:
            pool = held.enter_context(self.pool(tape.vault, tape.pool))
            root = held.enter_context(self.root(tape.vault))
            one = self.system.facts(root).st_dev == self.system.facts(pool).st_dev
            folders = (root, pool) if one else (pool,)
            return clock.moment(self.system, folders, f"/{tape.vault}/{tape.pool}")

    def settle_time(self, tape: Tape) -> float:
        """Return the seconds, at most 5, after which a later write has other times than now.

        A file system has a tick: two writes within one tick have the same times. A tape is left
        alone until its last write and change are two ticks old by the vault's clock. Where nothing
        can be written, this node's clock is taken, and 5 seconds more allowed for the difference.
        """
        seen = self.look(tape).seen
        if seen is None or seen.mtime_ns is None:
            return 0.0
        try:
            margin = 2 * self.features_for(tape).tick_ns
        except VaultBusyError:
            raise
        except VaultError:
            margin = 2 * COARSE.tick_ns
        now = self._clock(tape)
        if now is None:
            now, margin = time.time_ns(), margin + FUTURE
        latest = max(seen.mtime_ns, seen.ctime_ns or 0)
        if latest > now + FUTURE:
            latest = seen.ctime_ns or 0  # it was set: it does not show when
        return min(max(0.0, (latest + margin - now) / 1e9), LONGEST_WAIT)

    # -- looks

    def writer(self, tape: Tape) -> bool | None:
        """Whether a process has the tape open for writing, or mapped; None if that is not known.

        A read lease is taken and given back at once: the kernel refuses it while there is a writer.
        """
        with self.pool(tape.vault, tape.pool) as pool:
            return self._look_closely(tape, pool)[1]

    def use(self, tape: Tape) -> Use:
        """Whether another process has a tape open: a write lease is taken and given back at once.

        Raises VaultError when the tape cannot be opened.
        """
        try:
            with (
                self._open_pool(tape) as pool,
                opened(pool, pool.name, os.O_RDONLY) as file,
                claimed(pool, file, pool.name) as lease,
            ):
                return Use.FREE if lease.is_real else Use.UNTOLD
        except InUseError:
            return Use.OPEN
        except NoLeaseError:
            return Use.UNTOLD

    def take_look(self, tape: Tape) -> Look:
        """Return what a tape is just now, with the clocks and whether it is open for writing.

        The fingerprint is taken while the read lease is held, if there is one, and the clock of the
        vault before it: a time of the file is never nearer to the clock than it seems.
        """
        vault_ns = self._clock(tape)
        with self.pool(tape.vault, tape.pool) as pool:
            fingerprint, writer = self._look_closely(tape, pool)
        return Look(at=time.time(), fingerprint=fingerprint, writer=writer, vault_ns=vault_ns)

    def _look_closely(self, tape: Tape, pool: int) -> tuple[Fingerprint | None, bool | None]:
        seen = self._tape(pool, tape.vault, tape.pool, tape.cartridge).seen
        if seen is None:
            return None, None
        try:
            leases = self.features_for(tape).leases
            file = self.system.open(tape.cartridge, os.O_RDONLY | FILE, pool)
        except OSError as error:
            if error.errno in PASSING:
                raise trouble(error, f"{tape.name} cannot be opened") from error
            return seen, None
        except VaultBusyError:
            raise
        except VaultError:
            return seen, None
        try:
            writer = self._is_written(file) if leases else None
            facts = self.system.facts(file)
            if not stat.S_ISREG(facts.st_mode):
                raise VaultError(f"{tape.name} is not a plain file")
            return self.fingerprint(tape.vault, facts), writer
        finally:
            with suppress(OSError):
                self.system.lease(file, fcntl.F_UNLCK)
            self.system.close(file)

    def _require_unwritten(self, pool: OpenPool, file: int) -> None:
        """Make sure that no process has a tape open for writing, where that can be told."""
        if not pool.features.leases:
            return
        try:
            if self._is_written(file):
                raise InUseError(f"{pool.tape.name} is in use: a process has it open for writing")
        finally:
            with suppress(OSError):
                self.system.lease(file, fcntl.F_UNLCK)

    def _is_written(self, file: int) -> bool | None:
        try:
            self.system.lease(file, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False

    def digest(self, tape: Tape, judged: Fingerprint | None = None) -> Fingerprint:
        """Read a tape's whole content and return its fingerprint with the SHA-256.

        Raises ChangedError when it changed while it was read, as far as size, times and inode show,
        or is not the file that was judged; InUseError when a process has it open for writing. Who
        has it mapped already could write without moving the times; who opens it later cannot.
        """
        with self._open_pool(tape) as pool, opened(pool, pool.name, os.O_RDONLY) as file:
            self._require_unwritten(pool, file)
            before = pool.fingerprint(pool.system.facts(file))
            if judged is not None and not is_judged(judged, before, pool.features):
                raise ChangedError(f"{tape.name} was written just now, or is another file")
            with os.fdopen(file, "rb", buffering=0, closefd=False) as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            facts = pool.system.facts(file)
            if not is_judged(before, pool.fingerprint(facts), pool.features):
                raise ChangedError(f"{tape.name} was written while it was read")
            if not pool.means(pool.name, facts):
                raise ChangedError(f"{tape.name} became another file while it was read")
            return evolve(before, digest=digest)

    # -- emptying and removing

    def erase(self, tape: Tape, judged: Fingerprint | None = None) -> Fingerprint:
        """Empty a tape and return what it is then: see `acts.erase`.

        Raises ChangedError, InUseError, NoLeaseError.
        """
        with self._open_pool(tape) as pool:
            return acts.erase(pool, judged or as_looked_at(tape))

    def delete(self, tape: Tape, judged: Fingerprint | None = None, token: str = "now") -> None:  # noqa: S107  # a token of names, not of access
        """Remove a tape's file; already gone is fine: see `acts.delete`.

        Raises ChangedError, InUseError, NoLeaseError.
        """
        with self._open_pool(tape) as pool:
            if not pool.has(pool.name):
                return
            acts.delete(pool, judged or as_looked_at(tape), token)

    def undo_delete(self, tape: Tape, token: str) -> bool:
        """Put right what a crash has left of a delete: see `acts.undo_delete`."""
        with self._open_pool(tape) as pool:
            return acts.undo_delete(pool, token)

    # -- bringing back

    def new_target(self, tape: Tape, token: str) -> str:
        """Return the path of a private file that a restore can write; it is not there yet."""
        with self._open_pool(tape) as pool:
            restores.discard(pool, token)
            return str(Path(tape.path).parent / bringing.new_target(pool, token))

    def new_staging(self, tape: Tape, token: str) -> str:
        """Make an empty private folder that a restore can write to, and return its path."""
        with self._open_pool(tape) as pool:
            restores.discard(pool, token)
            return str(Path(tape.path).parent / bringing.new_staging(pool, token))

    def brought(self, tape: Tape, token: str) -> Fingerprint:
        """Return what has come back, which is a private file then: see `bringing.brought`."""
        with self._open_pool(tape) as pool:
            return bringing.brought(pool, token)

    def exchange(self, tape: Tape, judged: Fingerprint | None, token: str) -> Fingerprint:
        """Put the file that was brought back in the tape's place: see `restores.exchange`.

        Raises ChangedError, InUseError, NoLeaseError, CannotExchangeError.
        """
        with self._open_pool(tape) as pool:
            return restores.exchange(pool, judged, token)

    def is_same(self, tape: Tape, judged: Fingerprint, token: str) -> bool:
        """Return whether a tape's file has what was brought back: see `restores.is_same`.

        Raises ChangedError.
        """
        with self._open_pool(tape) as pool:
            return restores.is_same(pool, judged, token)

    def begin_copying(self, tape: Tape, judged: Fingerprint, token: str) -> None:
        """Note that the restored file is about to be copied: see `restores.begin_copying`."""
        with self._open_pool(tape) as pool:
            restores.begin_copying(pool, judged, token)

    def copy_into(self, tape: Tape, judged: Fingerprint, token: str) -> Fingerprint:
        """Copy the file that was brought back into the empty tape: see `restores.copy_into`.

        Raises ChangedError.
        """
        with self._open_pool(tape) as pool:
            return restores.copy_into(pool, judged, token)

    def brought_digest(self, tape: Tape, token: str) -> str:
        """Return the SHA-256 of what has come back, hexadecimal: see `export.digest`."""
        with self._open_pool(tape) as pool:
            bringing.brought(pool, token)
            return digest(pool, token)

    def undo_copying(self, tape: Tape, token: str) -> restores.Half | None:
        """Remove what a copying that did not end has left: see `restores.undo_copying`."""
        with self._open_pool(tape) as pool:
            return restores.undo_copying(pool, token)

    def export(self, tape: Tape, token: str, destination: Path) -> None:
        """Write what came back to a new file outside of the vaults: see `export.export`."""
        with self._open_pool(tape) as pool:
            export(pool, token, destination)

    def discard(self, tape: Tape, token: str) -> None:
        """Remove the private file and folder of a restore."""
        with self._open_pool(tape) as pool:
            restores.discard(pool, token)

    # -- after a crash

    def leftovers(self, vault: str) -> list[tuple[str, str, str, str]]:
        """Return (pool, token, kind, cartridge) of each private name in a vault.

        Kinds: see `private`. A staging folder has no cartridge; it belongs to that of its token.
        """
        found: list[tuple[str, str, str, str]] = []
        for name in self.pools_of(vault):
            with self.pool(vault, name) as pool, told(f"/{vault}/{name} cannot be read"):
                with os.scandir(pool) as entries:
                    names = [entry.name for entry in entries if entry.name.startswith(".")]
                for each in sorted(names):
                    token_kind_cartridge = parsed(each)
                    if token_kind_cartridge is not None:
                        found.append((name, *token_kind_cartridge))
        return found

    def recover(self, tape: Tape, token: str) -> None:
        """Complete or undo what a crash has left of one attempt: see `restores.recover`."""
        with self._open_pool(tape) as pool:
            restores.recover(pool, token)

    @contextmanager
    def _open_pool(self, tape: Tape) -> Iterator[OpenPool]:
        """Hold a tape's pool open; errors of the system become VaultErrors about the tape."""
        features = self.features_for(tape)
        with self.pool(tape.vault, tape.pool) as folder, told(f"{tape.name} cannot be worked on"):
            yield OpenPool(
                system=self.system,
                folder=folder,
                tape=tape,
                features=features,
                without=self.accepted.get(tape.vault, frozenset()),
                fingerprint=lambda facts: self.fingerprint(tape.vault, facts),
            )
