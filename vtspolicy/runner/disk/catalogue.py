"""Find, check and delete the copies in a store."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import zstandard
from attrs import frozen

from vtspolicy.runner.disk.failure import DamagedError, DiskError, NoCopyError, shown
from vtspolicy.runner.disk.files import claimed, remove, sync_folder
from vtspolicy.runner.disk.layout import (
    HANDLES,
    MANIFEST,
    TAPES,
    CopyFiles,
    handles_among,
    index_of,
    tape_folder,
)
from vtspolicy.runner.disk.manifest import SIZE_LIMIT, Manifest, from_json
from vtspolicy.runner.disk.pump import Sink, pump

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen(kw_only=True)
class Copy:
    """A copy whose manifest is there and whose data has the length that the manifest gives."""

    files: CopyFiles  # its files
    manifest: Manifest  # its record


def find(store: Path, tape: Path, handle: str | None) -> Copy:
    """Return the copy of `tape` under `handle`, or without a handle the newest.

    Raises NoCopyError, or DamagedError when the copy that was asked for is not what it should be:
    an older one is not offered instead, because old data was not asked for.
    """
    check_store(store)
    if handle is not None:
        files = CopyFiles(store=store, tape=tape, handle=handle)
        if not os.path.lexists(files.manifest):
            raise NoCopyError(_absence(files))
        return checked_copy(files)
    try:
        names = [each.name for each in tape_folder(store, tape).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        names = []
    places = [CopyFiles(store=store, tape=tape, handle=each) for each in handles_among(names)]
    if not places:
        raise NoCopyError(f"{shown(tape)}: no copy in {shown(store)}")
    manifests = [(_read_manifest(files), files) for files in places]
    newest, files = max(manifests, key=lambda each: (each[0].created, each[0].handle))
    return _with_data(files, newest)


def checked_copy(files: CopyFiles) -> Copy:
    """Return the copy at `files`, whose manifest is known to be there. Raises DamagedError."""
    return _with_data(files, _read_manifest(files))


def check_store(store: Path) -> None:
    """Raise DiskError unless `store` is one: a disk that is not mounted is not an empty store."""
    if not (store / HANDLES).is_dir():
        raise DiskError(f"{shown(store)}: not a store, or its disk is not mounted")


def copy_of_link(store: Path, handle: str) -> CopyFiles | None:
    """Return the files that the handle's link leads to, whole or not; None without a link.

    Raises DamagedError when the link leads out of the store's tapes.
    """
    link = index_of(store, handle)
    try:
        target = link.readlink()
    except FileNotFoundError:
        return None
    except OSError:
        raise DamagedError(f"{shown(link)}: not a link to a copy") from None
    top = Path("..", TAPES)
    folder = target.parent
    if (
        not folder.is_relative_to(top)
        or ".." in folder.relative_to(top).parts
        or target.name != handle + MANIFEST
    ):
        raise DamagedError(f"{shown(link)}: does not lead to a copy of handle {handle}")
    return CopyFiles(store=store, tape=Path("/") / folder.relative_to(top), handle=handle)


def tape_state(copy: Copy) -> str:
    """Return what the tape is now beside its copy: unchanged, changed, erased (empty) or absent.

    Judged by size and last write, without reading it: reading a tape, or giving it another owner,
    does not change it.
    """
    try:
        tape = copy.files.tape.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if tape.st_size == 0:
        return "erased"
    record = copy.manifest
    same = (tape.st_size, tape.st_mtime_ns) == (record.size, record.mtime_ns)
    return "unchanged" if same else "changed"


def verify(copy: Copy, progress: Callable[[int, int], None]) -> str:
    """Decompress the copy and compare; return the SHA-256 of what was read. Raises DamagedError."""
    return decompress(copy, [], progress)


def has_content(copy: Copy, tape: int, size: int, progress: Callable[[int, int], None]) -> bool:
    """Read an open tape of so many bytes; return whether it has the very data of a copy."""
    digest = hashlib.sha256()
    pump(
        lambda buffer: os.readv(tape, [buffer]),
        [digest.update],
        lambda done: progress(min(done, size), size),
    )
    return digest.hexdigest() == copy.manifest.sha256


def decompress(copy: Copy, sinks: list[Sink], progress: Callable[[int, int], None]) -> str:
    """Send the tape's bytes to `sinks`, and return their SHA-256.

    Raises DamagedError unless they are those of the manifest.
    """
    manifest = copy.manifest
    name = shown(copy.files.data)
    digest = hashlib.sha256()

    def report(done: int) -> None:
        if done > manifest.size:
            raise DamagedError(f"{name}: holds more than the {manifest.size} bytes of the tape")
        progress(done, manifest.size)

    descriptor = os.open(copy.files.data, _READ)
    try:
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as source:
            reader = zstandard.ZstdDecompressor().stream_reader(source, read_size=1 << 20)
            total = pump(reader.readinto, [digest.update, *sinks], report)
    except zstandard.ZstdError as error:
        raise DamagedError(f"{name}: damaged ({error})") from None
    finally:
        os.close(descriptor)
    if total != manifest.size:
        raise DamagedError(f"{name}: holds {total} bytes; the tape had {manifest.size}")
    if digest.hexdigest() != manifest.sha256:
        raise DamagedError(
            f"{name}: wrong checksum; SHA-256 is {digest.hexdigest()},"
            f" the manifest says {manifest.sha256}"
        )
    return digest.hexdigest()


def delete(files: CopyFiles) -> bool:
    """Delete one copy, the manifest first; return whether there was a whole one.

    What an interrupted run left under this handle goes too. Raises DiskError when the handle names
    a copy of another tape.
    """
    check_store(files.store)
    with claimed(files.lock, f"another run is busy with handle {files.handle}"):
        holder = copy_of_link(files.store, files.handle)
        if holder is not None and holder != files:
            raise DiskError(
                f"handle {files.handle} names a copy of {shown(holder.tape)},"
                f" not of {shown(files.tape)}; nothing was deleted"
            )
        stood = os.path.lexists(files.manifest)
        if files.folder.is_dir():
            remove(files.manifest)
            sync_folder(files.folder)
            remove(files.data, *files.unfinished)
            sync_folder(files.folder)
        remove(files.index)
        sync_folder(files.index.parent)
        return stood


def _absence(files: CopyFiles) -> str:
    holder = copy_of_link(files.store, files.handle)
    if holder is not None and holder != files and os.path.lexists(holder.manifest):
        return (
            f"handle {files.handle} names a copy of {shown(holder.tape)},"
            f" not of {shown(files.tape)}"
        )
    return f"{shown(files.tape)}: no copy with handle {files.handle} in {shown(files.store)}"


def _read_manifest(files: CopyFiles) -> Manifest:
    name = shown(files.manifest)
    try:
        descriptor = os.open(files.manifest, _READ)
    except FileNotFoundError:
        raise NoCopyError(_absence(files)) from None  # deleted since it was seen
    except OSError as error:
        raise DiskError(f"{name}: cannot be read ({error.strerror})") from None
    try:
        text = os.read(descriptor, SIZE_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(text) > SIZE_LIMIT:
        raise DamagedError(f"{name}: too long for a manifest")
    manifest = from_json(text, name)
    if (manifest.path, manifest.handle) != (str(files.tape), files.handle):
        raise DamagedError(
            f"{name}: describes handle {manifest.handle!r} of {shown(manifest.path)},"
            " which does not belong here"
        )
    return manifest


def _with_data(files: CopyFiles, manifest: Manifest) -> Copy:
    try:
        stored = files.data.lstat().st_size
    except FileNotFoundError:
        raise DamagedError(
            f"{shown(files.data)}: missing, although its manifest is there"
        ) from None
    if stored != manifest.stored:
        raise DamagedError(
            f"{shown(files.data)}: has {stored} bytes, the manifest says {manifest.stored}"
        )
    return Copy(files=files, manifest=manifest)
