"""Copy a virtual tape into the store: whole, or not at all."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import zstandard
from attrs import evolve

from vtspolicy import __version__
from vtspolicy.runner.disk.catalogue import Copy, checked_copy, copy_of_link, has_content
from vtspolicy.runner.disk.failure import DiskError, HandleTakenError, shown
from vtspolicy.runner.disk.files import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    checked_tape,
    claimed,
    early_writer_to,
    make_folders,
    opened_tape,
    remove,
    sync_folder,
    unchanged,
    writer_to,
)
from vtspolicy.runner.disk.layout import HANDLES, TAPES, CopyFiles, checked_handle
from vtspolicy.runner.disk.manifest import Manifest
from vtspolicy.runner.disk.pump import pump

LEVEL = 3  # zstd's own default: half the size of a mixed tape at the speed of a disk
MOST_THREADS = 8  # hashing is the limit beyond that, and each costs memory
# Bytes that one thread compresses at a time. zstd's own choice of 8 MiB falls out of the caches:
# half as much processor time again, and 100 MiB more memory, for 1 % less output.
JOB = 1 << 20

MOST_TRIED = 100
"""Handles that are tried for one copy: the given one, and those with a number behind it."""

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def archive(
    files: CopyFiles, progress: Progress, now: Callable[[], datetime], *, next_free: bool = False
) -> tuple[Copy, bool]:
    """Copy the tape of `files` into the store; return the copy, and whether it was made just now.

    A copy under the same handle of the same tape with the same size, time and data is taken as this
    one. With `next_free`, a handle that names an earlier copy of other data of this tape is passed
    over, and HANDLE.2, HANDLE.3 and so on are tried, up to MOST_TRIED. BadHandleError when such a
    handle would be too long to ask for.
    Raises DiskError and leaves no copy when anything is in doubt: the tape is empty, not a plain
    file, changed while it was read, or the handle is taken. Raises OSError as the system gives it.
    """
    with opened_tape(files.tape) as (descriptor, before):
        if before.st_size == 0:
            # A copy of an erased tape would be the newest, and be restored instead of the real one.
            raise DiskError(f"{shown(files.tape)}: the tape is empty (erased); nothing to archive")
        _make_store(files.store)
        for number in range(1, MOST_TRIED + 1):
            one = files
            if number > 1:
                one = evolve(files, handle=checked_handle(f"{files.handle}.{number}"))
            try:
                return _archive(one, descriptor, before, progress, now)
            except HandleTakenError:
                if not next_free or number == MOST_TRIED:
                    raise
        raise AssertionError("the last try returns or raises")


def _archive(
    files: CopyFiles,
    descriptor: int,
    before: os.stat_result,
    progress: Progress,
    now: Callable[[], datetime],
) -> tuple[Copy, bool]:
    with claimed(files.lock, f"another run is busy with handle {files.handle}"):
        earlier = _earlier(files, descriptor, before, progress)
        if earlier is not None:
            return earlier, False
        try:
            return _write(files, descriptor, before, progress, now), True
        except BaseException:
            _forget(files)
            raise


def _make_store(store: Path) -> None:
    # Only the last folder is made: one that is missing above it may be a disk that is not mounted.
    try:
        store.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise DiskError(
            f"{shown(store)}: the store cannot be made here, {shown(store.parent)}"
            " does not exist (is its disk mounted?)"
        ) from None
    else:
        sync_folder(store.parent)
    make_folders(store / HANDLES)
    make_folders(store / TAPES)


def _earlier(
    files: CopyFiles, descriptor: int, tape: os.stat_result, progress: Progress
) -> Copy | None:
    """Return the copy that this run would make, if it is there; clear what an interrupted run left.

    The data is compared, too: a host can write as many bytes and set the old time again. Raises
    DiskError when the handle names another copy.
    """
    holder = copy_of_link(files.store, files.handle) or files
    if not os.path.lexists(holder.manifest):
        _forget(holder)
        _forget(files)
        return None
    if holder != files:
        raise DiskError(f"handle {files.handle} is taken: it names a copy of {shown(holder.tape)}")
    copy = checked_copy(files)
    same = (copy.manifest.size, copy.manifest.mtime_ns) == (tape.st_size, tape.st_mtime_ns)
    if not same or not has_content(copy, descriptor, tape.st_size, progress):
        raise HandleTakenError(
            f"handle {files.handle} is taken: it names an earlier copy of this tape,"
            f" made {copy.manifest.created}; the tape has changed since"
        )
    return copy


def _forget(files: CopyFiles) -> None:
    """Remove every trace of a copy that did not become whole, the manifest first."""
    with suppress(NotADirectoryError):
        remove(files.manifest, files.data, *files.unfinished)
    remove(files.index)


def _write(
    files: CopyFiles,
    descriptor: int,
    before: os.stat_result,
    progress: Progress,
    now: Callable[[], datetime],
) -> Copy:
    created = now()
    make_folders(files.folder)
    files.index.symlink_to(files.index_target)
    sync_folder(files.index.parent)
    unfinished_data, unfinished_manifest = files.unfinished
    sha256, stored = _compress(descriptor, before.st_size, unfinished_data, progress)
    if not unchanged(before, checked_tape(files.tape)):
        raise DiskError(
            f"{shown(files.tape)}: the tape was written or replaced while it was read;"
            " no copy was kept"
        )
    unfinished_data.rename(files.data)
    sync_folder(files.folder)
    manifest = Manifest(
        handle=files.handle,
        path=str(files.tape),
        size=before.st_size,
        sha256=sha256,
        mtime_ns=before.st_mtime_ns,
        mode=before.st_mode & 0o777,
        uid=before.st_uid,
        gid=before.st_gid,
        stored=stored,
        created=created.isoformat(timespec="microseconds"),
        program=f"vtspolicy {__version__}",
    )
    output = os.open(unfinished_manifest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        writer_to(output)(manifest.to_json())
        os.fsync(output)
    finally:
        os.close(output)
    progress(before.st_size, before.st_size)  # the last moment at which a signal can stop this
    unfinished_manifest.rename(files.manifest)
    sync_folder(files.folder)
    return Copy(files=files, manifest=manifest)


def _compress(descriptor: int, size: int, path: Path, progress: Progress) -> tuple[str, int]:
    """Compress `size` bytes into a new file; return their SHA-256 and the bytes stored."""
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        digest = hashlib.sha256()
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL,
            threads=min(len(os.sched_getaffinity(0)), MOST_THREADS),
            job_size=JOB,
            write_checksum=True,
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        compression = compressor.compressobj(size=size)
        write = early_writer_to(output)
        left = size

        def fill(buffer: memoryview) -> int:
            # Never more than the size that was announced: a tape that grows is found afterwards.
            nonlocal left
            read = os.readv(descriptor, [buffer[:left]]) if left else 0
            left -= read
            return read

        def compress(block: memoryview) -> None:
            write(compression.compress(block))

        total = pump(fill, [digest.update, compress], lambda done: progress(done, size))
        if total != size:
            raise DiskError(
                f"the tape became shorter while it was read: {total} of {size} bytes;"
                " no copy was kept"
            )
        write(compression.flush())
        os.fsync(output)
        return digest.hexdigest(), os.fstat(output).st_size
    finally:
        os.close(output)
