"""Finding and listing tapes: by name, by pool, or all that there are.

Nothing here follows a symbolic link below a vault's own folder: every step down is opened by
itself with O_NOFOLLOW, so that no name a host sends can lead out of its vault.
"""

import errno
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from attrs import frozen

from vtspolicy.catalogue import named_twice
from vtspolicy.grammar.command import Target
from vtspolicy.tapes import Fingerprint, Tape
from vtspolicy.vaults.errors import (
    NoSuchPoolError,
    NoSuchTapeError,
    VaultBusyError,
    VaultError,
    told,
    trouble,
)
from vtspolicy.vaults.mounted import mounts_of, require_mounted, without_moved
from vtspolicy.vaults.system import FOLDER, System, boot

EMPTY_VAULT = "vault {vault} is empty; is its file system mounted?"
"""What is said of a vault that had tapes and has no pool now."""

POOL_LIMIT = 100_000
"""The most cartridges of one pool that a command can be about."""


@frozen(kw_only=True)
class Found:
    """What a target turned out to be."""

    tapes: tuple[Tape, ...]  # of a pool all of them, in the order of their names
    pool: str | None = None  # the pool's real path, when the target was a pool
    missing: tuple[str, ...] = ()  # names of tapes beside these that no vault has


@frozen(kw_only=True)
class Seen:
    """What one look through the vaults has found."""

    tapes: tuple[Tape, ...]
    vaults: frozenset[str]  # those that were looked through whole
    troubles: tuple[str, ...]  # what could not be looked at, and names that occur twice
    seconds: float  # how long it took


class Looking:
    """The vaults of this node, as far as they are only looked at.

    All methods touch the disk: call them in a thread.
    """

    def __init__(self, roots: Mapping[str, Path], *, system: System | None = None) -> None:
        self.roots = dict(roots)  # name -> directory; a reload replaces it
        self.system = system or System()
        self.mounts: dict[str, str] = {}  # where the file systems with tapes are: see `mounted`
        boot()  # read now, and remembered: later there may be no descriptor for it

    def find(self, target: Target, known: Sequence[Tape] = ()) -> Found:
        """Return the tapes that a target names, with what their files say now.

        A cartridge that is not there is returned with size None: a restore may bring it back. By
        its bare name that is only possible for one of those that are `known`, the records of this
        name.

        Raises VaultError for an unknown vault or pool, a name that is not a plain file, a bare
        name that is found nowhere or twice.
        """
        if target.vault is None:
            return Found(tapes=(self._find_by_name(target.cartridge or "", known),))
        with self.pool(target.vault, target.pool or "") as pool:
            if target.cartridge is not None:
                tape = self._tape(pool, target.vault, target.pool or "", target.cartridge)
                return Found(tapes=(tape,))
            return Found(tapes=tuple(self._all(pool, target)), pool=self.path(target))

    def all(self) -> Iterator[Tape]:
        """Yield every tape of every vault, by vault, pool and name."""
        for vault, name in self.pools():
            with self.pool(vault, name) as pool:
                yield from self._all(pool, Target(vault=vault, pool=name))

    def look_through(
        self, vault: str, expected: Collection[str] | None = None
    ) -> tuple[list[Tape], list[str], list[str]]:
        """Return every tape of a vault, what of it could not be looked at, and what is no tape.

        The last are files and folders that are passed over for their names, and folders that cannot
        be read and are none of the `expected` pools: tapes of them are not missed. Raises
        VaultError when the vault itself cannot be looked at.
        """
        tapes: list[Tape] = []
        wrong: list[str] = []
        passed: list[str] = []
        for name in self.pools_of(vault, passed):
            try:
                with self.pool(vault, name) as pool:
                    found = list(self._all(pool, Target(vault=vault, pool=name), passed, wrong))
                    tapes += (tape for tape in found if tape.size is not None)
            except VaultBusyError:
                raise
            except VaultError as error:
                missed = expected is None or name in expected
                (wrong if missed else passed).append(str(error))
        return tapes, wrong, passed

    def path(self, target: Target) -> str:
        """Return the real path of a target; it is not touched."""
        root = self.roots.get(target.vault or "")
        if root is None:
            raise VaultError(f"there is no vault {target.vault} on this node")
        return str(root.joinpath(*(part for part in (target.pool, target.cartridge) if part)))

    def look(self, tape: Tape) -> Tape:
        """Return the tape with what its file says now; size None when it is not there."""
        with self.pool(tape.vault, tape.pool) as pool:
            return self._tape(pool, tape.vault, tape.pool, tape.cartridge)

    def identity(self, vault: str) -> str:
        """Return what stands for a vault in fingerprints: its name."""
        return vault

    def fingerprint(self, vault: str, facts: os.stat_result) -> Fingerprint:
        """Return the facts of a file of a vault, from what the system returned."""
        return Fingerprint(
            vault=self.identity(vault),
            size=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            inode=facts.st_ino,
            ctime_ns=facts.st_ctime_ns,
            device=facts.st_dev,
            boot=boot(),
        )

    def folders(self) -> tuple[tuple[str, int], ...]:
        """Return the folders of all vaults and pools with the times at which their names changed.

        What is equal to an earlier answer had no tape added, removed or renamed since. A vault that
        cannot be read is left out.
        """
        found: list[tuple[str, int]] = []
        for root in self.roots.values():
            try:
                found.append((str(root), root.stat().st_mtime_ns))
                with os.scandir(root) as entries:
                    found += [
                        (entry.path, entry.stat(follow_symlinks=False).st_mtime_ns)
                        for entry in entries
                        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                    ]
            except OSError:
                continue
        return tuple(sorted(found))

    def fullness(self, vault: str) -> tuple[int, int]:
        """Return how many bytes a vault's file system has, and how many of them are taken."""
        root = self._root(vault)
        try:
            facts = os.statvfs(root)
        except OSError as error:
            raise trouble(error, f"vault {vault} cannot be looked at") from error
        free = facts.f_bavail * facts.f_frsize
        taken = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
        return taken + free, taken  # what is kept for root counts for neither

    def pools(self) -> Iterator[tuple[str, str]]:
        """Yield every (vault, pool) that there is."""
        for vault in self.roots:
            yield from ((vault, name) for name in self.pools_of(vault))

    def pools_of(self, vault: str, passed: list[str] | None = None) -> list[str]:
        """Return the names of the pools of one vault; `passed` is told of what is none."""
        try:
            with os.scandir(self._mounted_root(vault)) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            raise trouble(error, f"vault {vault} cannot be read") from error
        seen = (name for name in names if not name.startswith("."))
        return sorted(_texts(seen, f"/{vault}", passed))

    def _find_by_name(self, cartridge: str, known: Sequence[Tape]) -> Tape:
        """Find a tape by its name alone. A place that cannot be looked at matters if it had one.

        What is in the way in a pool that never had a tape of this name, or a pool that cannot be
        read (`lost+found` of a file system is one), keeps no tape of another pool.
        """
        had = {(each.vault, each.pool) for each in known if each.size is not None}
        found, pools, odd = self._search(cartridge, had)
        if not found:
            # Its file is gone, perhaps by a Delete, and its pool must be there to bring it back to.
            records = [each for each in known if (each.vault, each.pool) in pools]
            # Where it was before somebody moved it, there is a record, too.
            records = [each for each in records if each.deleted is not None] or records
            found = [
                Tape(
                    vault=each.vault,
                    pool=each.pool,
                    cartridge=cartridge,
                    path=str(self._root(each.vault) / each.pool / cartridge),
                )
                for each in records
            ]
        if not found and odd is not None:
            raise odd
        if not found:
            raise NoSuchTapeError(f"no vault has a tape {cartridge}")
        if len(found) > 1:
            names = ", ".join(tape.name for tape in found)
            raise VaultError(f"{cartridge} is there more than once: {names}")
        return found[0]

    def _search(
        self, cartridge: str, had: Collection[tuple[str, str]]
    ) -> tuple[list[Tape], Collection[tuple[str, str]], VaultError | None]:
        """Return tapes of a name, the pools that were looked at, and other entries of that name."""
        pools: set[tuple[str, str]] = set()
        found: list[Tape] = []
        odd: VaultError | None = None
        for place in self._pools_for(had):
            try:
                with self.pool(*place) as pool:
                    pools.add(place)
                    tape = self._tape(pool, *place, cartridge)
            except VaultError as error:
                if place in had or isinstance(error, VaultBusyError):
                    raise
                if place in pools:
                    odd = odd or error
                    pools.discard(place)
                continue
            if tape.size is not None:
                found.append(tape)
        return found, pools, odd

    def _pools_for(self, had: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Yield every (vault, pool); a vault that cannot be read matters if it had the tape.

        So does one without any pool: its file system is not mounted.
        """
        for vault in self.roots:
            missed = any(each == vault for each, _ in had)
            try:
                names = self.pools_of(vault)
            except VaultError as error:
                if missed or isinstance(error, VaultBusyError):
                    raise
                continue
            if missed and not names:
                raise VaultError(EMPTY_VAULT.format(vault=vault))
            yield from ((vault, name) for name in names)

    def _root(self, vault: str) -> Path:
        """Return a vault's directory; a reload may have removed it while others were looked at."""
        root = self.roots.get(vault)
        if root is None:
            raise VaultError(f"there is no vault {vault} on this node")
        return root

    def _mounted_root(self, vault: str) -> Path:
        """Return a vault's directory. Raises NotMountedError."""
        root = self._root(vault)
        require_mounted(self.system, self.mounts, root, f"vault {vault}")
        return root

    @contextmanager
    def root(self, vault: str) -> Iterator[int]:
        """Hold a vault's own folder open; give its descriptor."""
        with told(f"vault {vault} cannot be opened"):
            folder = self.system.open(self._mounted_root(vault), FOLDER)
        try:
            yield folder
        finally:
            self.system.close(folder)

    @contextmanager
    def pool(self, vault: str, name: str) -> Iterator[int]:
        """Hold the folder of a pool open; give its descriptor. It is never a symbolic link."""
        with self.root(vault) as above:
            pool = self._below(above, vault, name)
        try:
            yield pool
        finally:
            self.system.close(pool)

    def _below(self, above: int, vault: str, name: str) -> int:
        require_mounted(
            self.system, self.mounts, self._root(vault) / name, f"pool {name} of vault {vault}"
        )
        try:
            return self.system.open(name, FOLDER | os.O_NOFOLLOW, above)
        except FileNotFoundError:
            raise NoSuchPoolError(f"there is no pool {name} in vault {vault}") from None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise VaultError(f"/{vault}/{name} is not a folder") from error
            raise trouble(error, f"/{vault}/{name} cannot be opened") from error

    def _all(
        self,
        pool: int,
        target: Target,
        passed: list[str] | None = None,
        wrong: list[str] | None = None,
    ) -> Iterator[Tape]:
        """Yield the tapes of a pool.

        `passed` gets what is not a tape, and `wrong` the tapes that cannot be looked at; without it
        the first such tape raises VaultError.
        """
        vault, name = target.vault or "", target.pool or ""
        names: list[str] = []
        with told(f"/{vault}/{name} cannot be read"), os.scandir(pool) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                    continue
                names.append(entry.name)
                if len(names) > POOL_LIMIT:
                    raise VaultError(f"/{vault}/{name} holds more than {POOL_LIMIT} tapes")
        for cartridge in sorted(_texts(names, f"/{vault}/{name}", passed)):
            try:
                tape = self._tape(pool, vault, name, cartridge)
            except VaultError as error:
                if wrong is None or isinstance(error, VaultBusyError):
                    raise
                wrong.append(str(error))
            else:
                yield tape

    def _tape(self, pool: int, vault: str, name: str, cartridge: str) -> Tape:
        path = f"{self._root(vault)}/{name}/{cartridge}"
        try:
            facts = self.system.facts_at(cartridge, pool)
        except FileNotFoundError:
            return Tape(vault=vault, pool=name, cartridge=cartridge, path=path)
        except OSError as error:
            raise trouble(error, f"{path} cannot be looked at") from error
        if not stat.S_ISREG(facts.st_mode):
            raise VaultError(f"/{vault}/{name}/{cartridge} is not a plain file")
        return Tape(
            vault=vault,
            pool=name,
            cartridge=cartridge,
            path=path,
            size=facts.st_size,
            written=facts.st_mtime_ns / 1e9,
            seen=self.fingerprint(vault, facts),
        )


class _Held(Looking):
    """Vaults of which the pool that was used last is held open for whoever wants it next."""

    def __init__(
        self, roots: Mapping[str, Path], mounts: dict[str, str], *, system: System
    ) -> None:
        super().__init__(roots, system=system)
        self.mounts = mounts
        self.held = ExitStack()
        self._last: tuple[str, str, int] | None = None  # vault, pool, descriptor

    @contextmanager
    def pool(self, vault: str, name: str) -> Iterator[int]:
        if self._last is None or self._last[:2] != (vault, name):
            self._last = None
            self.held.close()
            self._last = (vault, name, self.held.enter_context(super().pool(vault, name)))
        yield self._last[2]


class OneLook:
    """One look at many tapes, for a command each: those of one pool share its opening."""

    def __init__(self, vaults: Looking) -> None:
        self._vaults = _Held(vaults.roots, vaults.mounts, system=vaults.system)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._vaults.held.close()

    def find(self, target: Target, known: Sequence[Tape] = ()) -> Found:
        """Return what `Looking.find` does."""
        return self._vaults.find(target, known)


def look_through(vaults: Looking, known: Collection[Tape]) -> Seen:
    """Return the tapes of all vaults. In a thread.

    A vault without any pool, of which tapes are known, is one that is not mounted, and so is one
    whose mount point has no file system: nothing of it is believed to be gone.
    """
    began = time.monotonic()
    vaults.mounts = without_moved(vaults.system, vaults.mounts, known)
    tapes: list[Tape] = []
    troubles: list[str] = []
    whole: set[str] = set()
    pools = {(tape.vault, tape.pool) for tape in known if tape.size is not None}
    expected = {vault for vault, _ in pools}
    for vault in vaults.roots:
        try:
            found, wrong, passed = vaults.look_through(
                vault, {pool for where, pool in pools if where == vault}
            )
        except VaultError as error:
            troubles.append(str(error))
            continue
        tapes += found
        if not found and vault in expected and not vaults.pools_of(vault):
            wrong = [EMPTY_VAULT.format(vault=vault)]
        troubles += [*wrong, *passed]
        if not wrong:
            whole.add(vault)
    troubles += [
        f"{name} is there more than once: {', '.join(where[:5])}"
        for name, where in named_twice(tapes).items()
    ]
    vaults.mounts = mounts_of(
        vaults.system, vaults.mounts, [vaults.roots[vault] for vault in whole], tapes
    )
    return Seen(
        tapes=tuple(tapes),
        vaults=frozenset(whole),
        troubles=tuple(troubles),
        seconds=time.monotonic() - began,
    )


def _texts(names: Iterable[str], where: str, passed: list[str] | None) -> list[str]:
    """Return the names that are texts: those of tapes are.

    A folder can hold others, as bytes that are no UTF-8. No command can name such a file and the
    ledger could not hold it, so it is passed over; what is told of it names one for all.
    """
    texts: list[str] = []
    others: list[bytes] = []
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            others.append(os.fsencode(name))
        else:
            texts.append(name)
    if others and passed is not None:
        first = min(others).decode(errors="backslashreplace")
        more = f" (one of {len(others)} there)" if len(others) > 1 else ""
        passed.append(f"{where}/{first}{more} is passed over: its name is not UTF-8")
    return texts
