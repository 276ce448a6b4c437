"""Bring a virtual tape back from its copy: all of it, checked, or the tape as it was."""

import os
from collections.abc import Callable
from pathlib import Path

from vtspolicy.runner.disk.catalogue import Copy, decompress, has_content
from vtspolicy.runner.disk.failure import DiskError, shown
from vtspolicy.runner.disk.files import (
    checked_tape,
    claimed,
    opened_tape,
    sync_folder,
    unchanged,
    writer_to,
)
from vtspolicy.runner.disk.layout import unfinished_restore

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def restore(
    copy: Copy, path: Path, replace: bool, progress: Progress, *, tape: Path | None = None
) -> tuple[bool, str]:
    """Write the tape of `copy` at `path`; return whether anything was written, and a warning or "".

    An absent or an empty (erased) tape is filled; one with other content only with `replace`; one
    with the same content is left as it is. Owner and permissions are those of the tape that is
    there, else those of `tape`, which may be missing, else those that were recorded; the warning
    says when they could not be given. Raises DiskError, or OSError as the system gives it, with
    the tape at `path` untouched.
    """
    before = checked_tape(path)
    if before is not None and before.st_size > 0:
        if before.st_size == copy.manifest.size:
            with opened_tape(path) as (descriptor, found):
                if has_content(copy, descriptor, found.st_size, progress):
                    return False, ""
        if not replace:
            raise DiskError(
                f"{shown(path)}: the tape has other data on it; --replace would overwrite it"
            )
    unfinished = unfinished_restore(path)
    with claimed(unfinished, f"another run is restoring {shown(path)}") as descriptor:
        decompress(copy, [writer_to(descriptor)], progress)
        warning = _dress(descriptor, copy, before or _plain(tape))
        os.fsync(descriptor)
        now = checked_tape(path)
        if not (now is None if before is None else unchanged(before, now)):
            raise DiskError(
                f"{shown(path)}: the tape was written during the restore; it was left alone"
            )
        progress(copy.manifest.size, copy.manifest.size)  # the last moment for a signal
        unfinished.rename(path)
        sync_folder(path.parent)
    return True, warning


def _plain(path: Path | None) -> os.stat_result | None:
    """Return what is known of a tape whose owner the new file shall have; None if there is none."""
    try:
        return checked_tape(path) if path is not None else None
    except (DiskError, OSError):
        return None


def _dress(descriptor: int, copy: Copy, tape: os.stat_result | None) -> str:
    """Give the new file its owner, permissions and time; return a warning or ""."""
    manifest = copy.manifest
    uid, gid = (tape.st_uid, tape.st_gid) if tape else (manifest.uid, manifest.gid)
    mode = (tape.st_mode if tape else manifest.mode) & 0o777
    warning = ""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (uid, gid):
        try:
            os.fchown(descriptor, uid, gid)
        except PermissionError:
            warning = f"the tape's owner {uid}:{gid} could not be given; it is ours now"
    os.fchmod(descriptor, mode)
    os.utime(descriptor, ns=(manifest.mtime_ns, manifest.mtime_ns))
    return warning
