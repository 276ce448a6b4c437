"""What a restore brings back: a private file in the tape's pool, or one found in a private folder.

An application writes to the private file, or restores into the private folder. Both are beside the
tape, so that the file that came back can take the tape's place by a rename.
"""

import errno
import os
import stat
from collections.abc import Iterator

from vtspolicy.tapes import Fingerprint
from vtspolicy.vaults.errors import VaultError, trouble
from vtspolicy.vaults.files import OpenPool, opened
from vtspolicy.vaults.private import RESTORE, STAGING, private
from vtspolicy.vaults.system import FOLDER, System

DEEPEST = 64
"""How many folders may stand in each other below a staging folder."""

MOST = 10_000
"""How many names may stand below a staging folder."""


def new_target(pool: OpenPool, token: str) -> str:
    """Return the name of the private file; it is not there."""
    return pool.private(token, RESTORE)


def new_staging(pool: OpenPool, token: str) -> str:
    """Make the private folder, empty and for its owner alone, and return its name."""
    name = private(token, STAGING)
    pool.system.make_folder(name, pool.folder)
    pool.sync()
    return name


def brought(pool: OpenPool, token: str) -> Fingerprint:
    """Return what has come back: the private file, or what stands in the staging folder.

    The latter becomes the private file: the one regular file that is named like the cartridge, at
    any depth, or the only one that there is. Raises VaultError when nothing came, when it cannot be
    told which file it is, and when it is a link, has a second name or is not a regular file.
    """
    target = pool.private(token, RESTORE)
    if not pool.has(target):
        _take_from_staging(pool, token, target)
    try:
        with opened(pool, target, os.O_RDONLY) as file:
            pool.system.sync(file)
            pool.sync()
            return pool.fingerprint(pool.system.facts(file))
    except FileNotFoundError:
        raise VaultError(f"nothing came back for {pool.tape.name}") from None


def remove_brought(pool: OpenPool, token: str) -> None:
    """Remove the private file and the private folder, if they are there.

    So is what the application called the file while it wrote it, and has left there if it was
    killed: a hidden name that begins with that of the private file.
    """
    target = pool.private(token, RESTORE)
    with os.scandir(pool.folder) as entries:
        unfinished = [entry.name for entry in entries if entry.name.startswith(f".{target}")]
    for name in (target, private(token, STAGING), *unfinished):
        remove_tree(pool.system, pool.folder, name)
    pool.sync()


def _take_from_staging(pool: OpenPool, token: str, target: str) -> None:
    staging = private(token, STAGING)
    try:
        folder = pool.system.open(staging, FOLDER | os.O_NOFOLLOW, pool.folder)
    except FileNotFoundError:
        raise VaultError(f"nothing came back for {pool.tape.name}") from None
    except OSError as error:
        raise trouble(error, f"{pool.shown(staging)} cannot be opened") from error
    try:
        found = list(_below(pool.system, folder, ()))
        path = _chosen(pool, found)
        _with_folder(pool, folder, path, target)
    finally:
        pool.system.close(folder)
    pool.sync()


def _chosen(pool: OpenPool, found: list[tuple[tuple[str, ...], os.stat_result]]) -> tuple[str, ...]:
    """Return where the file is that came back."""
    files = [path for path, facts in found if stat.S_ISREG(facts.st_mode)]
    named = [path for path in files if path[-1] == pool.name]
    odd = [path for path, facts in found if not stat.S_ISREG(facts.st_mode)]
    candidates = named or files
    if any(path[-1] == pool.name for path in odd) or (odd and not files):
        raise VaultError(f"what came back for {pool.tape.name} is not a regular file")
    if not candidates:
        raise VaultError(f"nothing came back for {pool.tape.name}")
    if len(candidates) > 1:
        raise VaultError(
            f"{len(candidates)} files came back for {pool.tape.name}, and it is not known which"
            " of them is the tape"
        )
    return candidates[0]


def _with_folder(pool: OpenPool, folder: int, path: tuple[str, ...], target: str) -> None:
    """Move a file from below a folder to the target; no step follows a link."""
    if len(path) == 1:
        try:
            pool.system.rename_free(path[0], target, pool.folder, source=folder)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EOPNOTSUPP}:
                raise
            pool.system.rename(path[0], target, pool.folder, source=folder)
        return
    below = pool.system.open(path[0], FOLDER | os.O_NOFOLLOW, folder)
    try:
        _with_folder(pool, below, path[1:], target)
    finally:
        pool.system.close(below)


def _below(
    system: System, folder: int, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], os.stat_result]]:
    """Yield everything below a folder but folders, with its path; no link is followed."""
    if len(above) >= DEEPEST:
        raise VaultError(f"more than {DEEPEST} folders stand in each other in what came back")
    with os.scandir(folder) as entries:
        names = sorted(entry.name for _, entry in zip(range(MOST + 1), entries, strict=False))
    if len(names) > MOST:
        raise VaultError(f"more than {MOST} files came back")
    for name in names:
        facts = system.facts_at(name, folder)
        if not stat.S_ISDIR(facts.st_mode):
            yield (*above, name), facts
            continue
        below = system.open(name, FOLDER | os.O_NOFOLLOW, folder)
        try:
            yield from _below(system, below, (*above, name))
        finally:
            system.close(below)


def remove_tree(system: System, folder: int, name: str) -> None:
    """Remove a name, and if it is a folder all that is below it; links are removed, not followed.

    That it is gone already is fine.
    """
    try:
        facts = system.facts_at(name, folder)
        if not stat.S_ISDIR(facts.st_mode):
            system.unlink(name, folder)
            return
        below = system.open(name, FOLDER | os.O_NOFOLLOW, folder)
    except FileNotFoundError:
        return
    try:
        with os.scandir(below) as entries:
            names = [entry.name for entry in entries]
        for each in names:
            remove_tree(system, below, each)
    finally:
        system.close(below)
    try:
        system.remove_folder(name, folder)
    except FileNotFoundError:
        return
