"""The file systems that the tapes of a vault are on, and whether they are still mounted.

Where one is not, its mount point is an ordinary folder, perhaps with the folders of pools in it.
What is missing there is not gone, and what was put there would be hidden by the next mount.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from vtspolicy.tapes import Tape
from vtspolicy.vaults.errors import NotMountedError
from vtspolicy.vaults.system import System

Mounts = Mapping[str, str]
"""Folders of vaults and pools, each with the mount point of the file system that has its tapes."""


def require_mounted(system: System, mounts: Mounts, folder: Path, shown: str) -> None:
    """Make sure that the tapes of a folder can be there. Raises NotMountedError."""
    place = mounts.get(str(folder))
    if place is not None and not _is_mounted(system, place):
        raise NotMountedError(f"{shown}: the file system of its tapes is not mounted at {place}")


def without_moved(system: System, mounts: Mounts, known: Collection[Tape]) -> dict[str, str]:
    """Return the mount points without those that no tape waits for, where nothing is mounted.

    Its tapes were moved to another file system where one that is known is in the folder as it was.
    """
    missing = {folder for folder, place in mounts.items() if not _is_mounted(system, place)}
    if not missing:
        return dict(mounts)
    had = _folders(tape for tape in known if tape.size is not None)
    waited_for = (missing & had) - _folders(filter(_is_there, known))
    return {
        folder: place
        for folder, place in mounts.items()
        if folder not in missing or folder in waited_for
    }


def mounts_of(
    system: System, mounts: Mounts, vaults: Iterable[Path], found: Iterable[Tape]
) -> dict[str, str]:
    """Return the mount points, now that these vaults were looked through, and tapes found."""
    after = dict(mounts)
    for folder in sorted({str(vault) for vault in vaults} | _folders(found)):
        place = system.mount_point(folder)
        if place is not None:
            after[folder] = place
    return after


def _is_mounted(system: System, place: str) -> bool:
    return system.mount_point(place) == place


def _folders(tapes: Iterable[Tape]) -> set[str]:
    """Return the folders of the pools and vaults that tapes are in."""
    pools = {tape.path.rpartition("/")[0] for tape in tapes}
    return pools | {pool.rpartition("/")[0] for pool in pools}


def _is_there(tape: Tape) -> bool:
    """Whether a tape is as its record has it."""
    try:
        facts = Path(tape.path).lstat()
    except OSError:
        return False
    return tape.size == facts.st_size and tape.written == facts.st_mtime_ns / 1e9
