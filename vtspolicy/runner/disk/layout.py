"""Where things are in a store: pure functions from a tape and a handle to file names."""

import re
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from vtspolicy.runner.disk.failure import BadHandleError, DiskError, shown

HANDLE_LIMIT = 128  # characters; leaves room for suffixes within the 255 of a file name
TAPES = "tapes"
HANDLES = "handles"
DATA = ".zst"
MANIFEST = ".json"
UNFINISHED = ".part"

_HANDLE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


@frozen(kw_only=True)
class CopyFiles:
    """The files of one copy: where they are, or would be."""

    store: Path  # absolute path of the store
    tape: Path  # absolute path of the virtual tape
    handle: str  # checked name of the copy

    @property
    def folder(self) -> Path:
        """The folder of the tape, the same for all its copies."""
        return tape_folder(self.store, self.tape)

    @property
    def data(self) -> Path:
        """The compressed bytes."""
        return self.folder / (self.handle + DATA)

    @property
    def manifest(self) -> Path:
        """The record whose presence makes the copy whole."""
        return self.folder / (self.handle + MANIFEST)

    @property
    def index(self) -> Path:
        """The symbolic link that reserves the handle and leads to the manifest."""
        return index_of(self.store, self.handle)

    @property
    def index_target(self) -> Path:
        """What the link says: relative, so that a store can be moved or mounted elsewhere."""
        return Path("..") / self.manifest.relative_to(self.store)

    @property
    def lock(self) -> Path:
        """Held by the run that writes or deletes under this handle."""
        return self.store / HANDLES / f".{self.handle}.lock"

    @property
    def unfinished(self) -> tuple[Path, Path]:
        """Data and manifest while they are being written."""
        return (
            self.folder / f".{self.handle}{DATA}{UNFINISHED}",
            self.folder / f".{self.handle}{MANIFEST}{UNFINISHED}",
        )


def checked_handle(handle: str) -> str:
    """Return `handle` if it can name a copy.

    Raises BadHandleError. Only letters, digits and `-_.`, because it becomes a file name, and never
    a leading dot, because dot files are this program's own work in progress.
    """
    if not handle:
        raise BadHandleError("the handle is empty")
    if len(handle) > HANDLE_LIMIT:
        raise BadHandleError(
            f"the handle has {len(handle)} characters, at most {HANDLE_LIMIT} are allowed"
        )
    good = _HANDLE.match(handle)
    end = good.end() if good else 0
    if end < len(handle):
        raise BadHandleError(
            f"the handle {handle!a} has {handle[end]!a} at position {end + 1};"
            " only letters, digits and - _ . are allowed"
        )
    if handle.startswith("."):
        raise BadHandleError(f"the handle {handle!r} begins with a dot")
    return handle


def tape_path(path: str, folder: Path) -> Path:
    """Return the one absolute name under which a tape is kept; `folder` is the working directory.

    Raises DiskError when `path` cannot be a tape. Symbolic links on the way are left as they are: a
    vault that moves to another disk behind its link keeps its copies.
    """
    if not path or "\0" in path:
        raise DiskError("the path of the tape is empty or has a NUL in it")
    if ".." in path.split("/"):
        raise DiskError(f"{shown(path)}: '..' is not allowed in the path of a tape")
    if path.endswith("/"):
        raise DiskError(f"{shown(path)}: this names a folder; a tape is a file")
    return Path("/", str(folder / path).lstrip("/"))


def tape_folder(store: Path, tape: Path) -> Path:
    """Return the folder that holds the copies of `tape`."""
    return store / TAPES / tape.relative_to("/")


def index_of(store: Path, handle: str) -> Path:
    """Return the name of the link that stands for a handle."""
    return store / HANDLES / handle


def unfinished_restore(path: Path) -> Path:
    """Return the name a tape has while it is being restored: hidden, in the tape's own folder."""
    return path.with_name(f".{path.name}.restore{UNFINISHED}")


def handles_among(names: Iterable[str]) -> list[str]:
    """Return the handles whose manifests are among the file names of a tape's folder, sorted."""
    return sorted(
        name.removesuffix(MANIFEST)
        for name in names
        if name.endswith(MANIFEST) and not name.startswith(".")
    )
