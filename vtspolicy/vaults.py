"""Vaults on disk: the tapes of a pool, a tape by its name, and emptying or removing one safely.

Nothing here follows a symbolic link below a vault's own folder: every step down is opened by
itself with O_NOFOLLOW, so that no name a host sends can lead out of its vault.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from vtspolicy.grammar.command import Target
from vtspolicy.tapes import Tape

POOL_LIMIT = 100_000
"""The most cartridges of one pool that a command can be about."""


class VaultError(Exception):
    """A vault, pool or tape that cannot be used; the text is for the host."""


@frozen(kw_only=True)
class Found:
    """What a target turned out to be."""

    tapes: tuple[Tape, ...]  # of a pool all of them, in the order of their names
    pool: str | None = None  # the pool's real path, when the target was a pool


class Vaults:
    """The vaults of this node. All methods touch the disk: call them in a thread."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = dict(roots)  # name -> directory; a reload replaces it

    def find(self, target: Target) -> Found:
        """Return the tapes that a target names, with what their files say now.

        A cartridge that is not there is returned with size None: a restore may bring it back.

        Raises VaultError for an unknown vault or pool, a name that is not a plain file, a bare
        name that is found nowhere or twice.
        """
        if target.vault is None:
            return Found(tapes=(self._find_by_name(target.cartridge or ""),))
        with self._pool(target.vault, target.pool or "") as pool:
            if target.cartridge is not None:
                tape = self._tape(pool, target.vault, target.pool or "", target.cartridge)
                return Found(tapes=(tape,))
            return Found(tapes=tuple(self._all(pool, target)), pool=self.path(target))

    def all(self) -> Iterator[Tape]:
        """Yield every tape of every vault, by vault, pool and name."""
        for vault, name in self.pools():
            with self._pool(vault, name) as pool:
                yield from self._all(pool, Target(vault=vault, pool=name))

    def path(self, target: Target) -> str:
        """Return the real path of a target; it is not touched."""
        root = self.roots.get(target.vault or "")
        if root is None:
            raise VaultError(f"there is no vault {target.vault} on this node")
        return str(root.joinpath(*(part for part in (target.pool, target.cartridge) if part)))

    def look(self, tape: Tape) -> Tape:
        """Return the tape with what its file says now; size None when it is not there."""
        with self._pool(tape.vault, tape.pool) as pool:
            return self._tape(pool, tape.vault, tape.pool, tape.cartridge)

    def erase(self, tape: Tape) -> None:
        """Empty a tape: its file stays, with size 0. Already empty is fine."""
        with self._pool(tape.vault, tape.pool) as pool:
            file = self._open(pool, tape, os.O_WRONLY)
            try:
                os.ftruncate(file, 0)
                os.fsync(file)
            finally:
                os.close(file)

    def delete(self, tape: Tape) -> None:
        """Remove a tape's file. Already gone is fine."""
        with self._pool(tape.vault, tape.pool) as pool:
            try:
                os.close(self._open(pool, tape, os.O_RDONLY))
                os.unlink(tape.cartridge, dir_fd=pool)
            except FileNotFoundError:
                return
            os.fsync(pool)

    def pools(self) -> Iterator[tuple[str, str]]:
        """Yield every (vault, pool) that there is."""
        for vault, root in self.roots.items():
            try:
                with os.scandir(root) as entries:
                    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError as error:
                raise VaultError(f"vault {vault} cannot be read: {error.strerror}") from error
            yield from ((vault, name) for name in sorted(names) if not name.startswith("."))

    def _find_by_name(self, cartridge: str) -> Tape:
        found: list[Tape] = []
        for vault, name in self.pools():
            with self._pool(vault, name) as pool:
                tape = self._tape(pool, vault, name, cartridge)
            if tape.size is not None:
                found.append(tape)
        if not found:
            raise VaultError(f"no vault has a tape {cartridge}")
        if len(found) > 1:
            names = ", ".join(tape.name for tape in found)
            raise VaultError(f"{cartridge} is there more than once: {names}")
        return found[0]

    @contextmanager
    def _pool(self, vault: str, name: str) -> Iterator[int]:
        root = self.roots.get(vault)
        if root is None:
            raise VaultError(f"there is no vault {vault} on this node")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            above = os.open(root, flags)
        except OSError as error:
            raise VaultError(f"vault {vault} cannot be opened: {error.strerror}") from error
        try:
            pool = os.open(name, flags | os.O_NOFOLLOW, dir_fd=above)
        except FileNotFoundError:
            raise VaultError(f"there is no pool {name} in vault {vault}") from None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise VaultError(f"/{vault}/{name} is not a folder") from error
            raise VaultError(f"/{vault}/{name} cannot be opened: {error.strerror}") from error
        finally:
            os.close(above)
        try:
            yield pool
        finally:
            os.close(pool)

    def _all(self, pool: int, target: Target) -> Iterator[Tape]:
        vault, name = target.vault or "", target.pool or ""
        names: list[str] = []
        with os.scandir(pool) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file(follow_symlinks=False):
                    continue
                names.append(entry.name)
                if len(names) > POOL_LIMIT:
                    raise VaultError(f"/{vault}/{name} holds more than {POOL_LIMIT} tapes")
        for cartridge in sorted(names):
            yield self._tape(pool, vault, name, cartridge)

    def _tape(self, pool: int, vault: str, name: str, cartridge: str) -> Tape:
        path = str(self.roots[vault] / name / cartridge)
        try:
            facts = os.stat(cartridge, dir_fd=pool, follow_symlinks=False)
        except FileNotFoundError:
            return Tape(vault=vault, pool=name, cartridge=cartridge, path=path)
        except OSError as error:
            raise VaultError(f"{path} cannot be looked at: {error.strerror}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise VaultError(f"/{vault}/{name}/{cartridge} is not a plain file")
        return Tape(
            vault=vault,
            pool=name,
            cartridge=cartridge,
            path=path,
            size=facts.st_size,
            written=facts.st_mtime_ns / 1e9,
        )

    def _open(self, pool: int, tape: Tape, flags: int) -> int:
        try:
            file = os.open(
                tape.cartridge, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=pool
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise VaultError(f"{tape.name} cannot be opened: {error.strerror}") from error
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            os.close(file)
            raise VaultError(f"{tape.name} is not a plain file with one name")
        return file
