"""A backup application as the model has it: it keeps bytes by handle, and can do that badly."""

import hashlib
from pathlib import Path

from attrs import define, evolve, field
from twisted.internet.defer import Deferred

from vtspolicy.testing.runner import FakeRunner

NO_COPY = "no copy of that name\n"


@define
class Stored:
    """One copy."""

    source: str  # of the file
    claimed: bytes  # what its record says that it holds
    data: bytes | None  # what it holds; None: nothing
    is_known: bool = True  # its record is there

    @property
    def is_true(self):
        return self.is_known and self.data == self.claimed


@define
class ModelApplication:
    """What it has, and what its programs do. `world` gets what it writes to tapes."""

    copies: dict[str, Stored] = field(factory=dict)
    begun: dict[str, bytes | None] = field(factory=dict)  # by run: the tape as it began
    deaf: bool = False  # it answers no question clearly
    queued: dict[str, str] = field(factory=dict)  # its own job numbers -> keys of runs
    ended: set[str] = field(factory=set)  # its own jobs that are done

    def begin(self, run):
        """A program begins: it may have read its tape from now on."""
        if run.argv[1] == "archive":
            self.begun[run.key] = _read(Path(run.argv[2]))

    def copy(self, source, handle):
        """The copy of a file by a handle, which may be that of its whole pool."""
        for name in (handle, f"{handle}/{Path(source).name}"):
            copy = self.copies.get(name)
            if copy is not None and copy.is_known and copy.source == source:
                return copy
        return None

    def archive(self, run, how, when="end"):
        """Store a tape; returns exit code and output."""
        _, _, path, handle = run.argv
        first, last = self.begun.get(run.key), _read(Path(path))
        data = {"begin": first, "end": last, "torn": _torn(first, last)}[when]
        if data is None:
            return 1, "no such file\n"
        if how == "fails":
            return 1, "it did not work\n"
        if how == "halfway":
            self.copies[handle] = Stored(path, data, data[: len(data) // 2])
            return 1, "it was cut short\n"
        if how == "lies":
            return 0, "stored\n"
        self.copies[handle] = Stored(path, data, data)
        return 0, f"bytes={len(data)}\nsha256={hashlib.sha256(data).hexdigest()}\n"

    def restore(self, run, how, place):
        """Bring a copy back to a place; returns exit code and output."""
        copy = self.copy(*run.argv[2:4])
        if copy is None or copy.data is None:
            return 1, NO_COPY
        if how == "fails":
            return 1, "it did not work\n"
        if how == "lies":
            return 0, "restored\n"
        if how == "halfway":
            place.write_bytes(copy.data[: len(copy.data) // 2])
            return 1, "it was cut short\n"
        place.write_bytes(copy.data)
        return 0, "restored\n"

    def query(self, run):
        """Tell whether there is a copy."""
        if self.deaf:
            return 2, "the server does not answer\n"
        return (0, "found\n") if self.copy(*run.argv[2:4]) is not None else (1, NO_COPY)

    def read(self, run):
        """Read a copy's data and return its sum."""
        code, said = self.query(run)
        if code:
            return code, said
        data = self.copy(*run.argv[2:4]).data
        if data is None:
            return 2, "its data cannot be read\n"
        return 0, f"digest={hashlib.sha256(data).hexdigest()}\n"

    def archive_pool(self, run, how):
        """Store a pool; returns exit code and output. An exclude list passes some tapes over."""
        _, _, pool, handle = run.argv
        if how in {"fails", "halfway"}:
            return 1, "it did not work\n"
        for path in sorted(Path(pool).iterdir()):
            if path.name.startswith(".") or (how == "lies" and path.name.endswith("2")):
                continue
            data = path.read_bytes()
            self.copies[f"{handle}/{path.name}"] = Stored(str(path), data, data)
        self.copies[handle] = Stored(pool, b"", b"")
        return 0, "stored\n"

    def holds(self, handles, name, content):
        """Whether a tape's content is in a copy of one of some handles."""
        return any(copy.data == content for copy in self._known(handles, name))

    def claims(self, handles, name, content):
        """Whether a record says so."""
        return any(copy.claimed == content for copy in self._known(handles, name))

    def _known(self, handles, name):
        for handle in handles:
            for each in (handle, f"{handle}/{name}"):
                copy = self.copies.get(each)
                if copy is not None and copy.is_known and copy.source.endswith(f"/{name}"):
                    yield copy


class ModelRunner(FakeRunner):
    """Runs that report their begin to their application."""

    world = None

    def start(self, run):
        self.world.starting = run
        lives = self.world.lives_through("run", run.argv[1])
        self.world.starting = None
        if not lives:
            return Deferred()
        began = run.key not in self.machine.lives
        watched = super().start(run)
        if began:
            self.world.application.begin(run)
        return watched


def _read(path):
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None


def _torn(first, last):
    if first is None or last is None:
        return first or last
    return first[: len(first) // 2] + last[len(first) // 2 :]


def damaged(copy):
    """What somebody's data becomes who damages it."""
    data = copy.data or b""
    return evolve(copy, data=bytes(each ^ 1 for each in data))
