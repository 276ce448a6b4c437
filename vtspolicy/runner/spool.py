"""The spool: one folder per run, and the journal in it from which a run is known again."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from vtspolicy.private import make_folder
from vtspolicy.runner.identity import MARK, Process
from vtspolicy.runner.keeper import INPUT, OUTPUT, STATE, afresh, encoded, write_whole
from vtspolicy.runner.looks import as_look
from vtspolicy.runner.protocol import End, Run, SpoolError
from vtspolicy.tapes import Look

NUMBER = re.compile(r"[0-9]{1,18}(?=-)")  # the job's, with which a key begins
KEY = re.compile(r"(?!keeper)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
BELONGS = "ledger.mark"  # the file that says which ledger the runs belong to
LEDGER = re.compile(r"ledger ([0-9a-f]+)\n")
TERMINATED = 128 + signal.SIGTERM  # the exit code of a shell whose program that signal has ended
REASON = 240  # characters of a reason that are kept: the journal has to stay within its block
FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


@frozen(kw_only=True)
class Journal:
    """What the journal of a run says."""

    claimed: bool = False  # as its keeper wrote: its program was, or was about to be, started
    boot: str = ""  # the start of the machine in which it was claimed
    keeper: Process | None = None  # who claimed it
    leader: Process | None = None  # the program's process
    started: float | None = None  # seconds since the epoch
    ending: dict[str, Any] | None = None  # the keeper's line about the end, values are JSON
    stop: End | None = None  # we asked for its end, before it and all that it left had ended
    reason: str = ""  # why we did
    asked: float | None = None  # when we did, by the steady clock of that start of the machine
    looks: bool = False  # its keeper takes looks at its tape
    vault: str = ""  # the identity of that tape's vault
    before: Look | None = None  # at the tape, before the program was started
    after: Look | None = None  # and after its end
    looked: bool = False  # the keeper has noted what it saw after the end, or that it saw nothing

    @property
    def awaits_look(self) -> bool:
        """Whether it ended and its keeper has yet to note the look at its tape."""
        exited = self.ending is not None and "exit" in self.ending
        return exited and self.looks and not self.looked

    @property
    def ended_with_its_machine(self) -> bool:
        """Whether its end, of an earlier boot of the machine, says nothing about the program.

        A machine that stops signals all processes to end. A signal that is not ours was that, and
        so was the code by which shells report TERM, and any other than 0 from a program whose
        keeper had been asked to end before it. (The first keepers, which may live on, do not say.)
        """
        if self.ending is None or self.stop is not None or "failed" in self.ending:
            return False
        told_to_end = self.ending["exit"] != 0 and bool(self.ending.get("leaving"))
        by_signal = self.ending["signal"] is not None or self.ending["exit"] == TERMINATED
        return by_signal or told_to_end


def told(data: bytes) -> Journal:
    """Read a journal. What is not a line of it, or was cut as its writer died, is ignored."""
    known: dict[str, Any] = {}  # fields of Journal
    for text in data.split(b"\n")[:-1]:
        with suppress(ValueError, KeyError, TypeError):
            known |= _fields(json.loads(text), known)
    return Journal(**known)


def _fields(line: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Journal that a line of it has, given the lines before."""
    if "claim" in line:
        keeper = Process(line["keeper"]["pid"], line["keeper"]["ticks"])
        claim = {"claimed": True, "boot": line["boot"], "keeper": keeper}
        return claim | ({"looks": True, "vault": line["tape"][0]} if line.get("looks") else {})
    if "pid" in line:
        return {"leader": Process(line["pid"], line["ticks"]), "started": line["at"]}
    if "stop" in line and ("ending" not in known or line.get("left")):
        stop = End(line["stop"])
        return {"stop": stop, "reason": line["reason"], "asked": line.get("steady")}
    if "exit" in line or "failed" in line:
        return {"ending": line}
    if "before" in line:
        return {"before": _look(line["before"], known)}
    if "after" in line:
        return {"after": _look(line["after"], known), "looked": True}
    return {}


def _look(seen: dict[str, Any] | None, known: dict[str, Any]) -> Look | None:
    """Return a look of the journal, given the lines before; None: it did not come in time."""
    return None if seen is None else as_look(seen, known["vault"], known["boot"])


@frozen
class Spool:
    """The folder of all runs."""

    root: Path = field(converter=Path.absolute)  # type: ignore[misc]  # mypy knows no methods here
    _base: str = field(init=False, repr=False, eq=False)  # the same: paths are made for every run

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_base", str(self.root))

    def newest(self) -> int:
        """Return the highest number with which a run's name begins; 0 when there is none."""
        try:
            names = [entry.name for entry in self.root.iterdir()]
        except FileNotFoundError:
            return 0
        return max((int(found[0]) for name in names if (found := NUMBER.match(name))), default=0)

    def folder(self, key: str) -> Path:
        """Return the folder of a run. Raises SpoolError for what cannot be a key."""
        return Path(self.path(key))

    def path(self, key: str) -> str:
        """Return the same as text."""
        if not KEY.fullmatch(key):
            raise SpoolError(f"{key!r} cannot name a run: letters, digits, '.', '_' and '-' only")
        return f"{self._base}/{key}"

    def create(self) -> None:
        """Make the spool itself. Raises SpoolError."""
        try:
            make_folder(self.root)
            self.root.mkdir(exist_ok=True)  # fails if it is not a folder
        except OSError as error:
            raise SpoolError(f"{self.root}: {error.strerror}") from error

    def ledger(self) -> str | None:
        """Return the ledger that the runs belong to; None when that was not set."""
        try:
            found = LEDGER.fullmatch((self.root / BELONGS).read_text("utf-8", "replace"))
        except OSError:
            return None
        return found[1] if found else None

    def belong(self, ledger: str) -> None:
        """Say which ledger the runs belong to. Raises OSError."""
        if self.ledger() == ledger:
            return
        new = self.root / f"{BELONGS}.new"
        _write(str(new), FRESH, f"ledger {ledger}\n".encode())
        new.replace(self.root / BELONGS)

    def prepare(self, run: Run) -> bool:
        """Make a run's folder, in which a keeper can claim it; False: one has claimed it before."""
        folder = self.path(run.key)
        try:
            try:
                os.mkdir(folder, 0o700)  # noqa: PTH102 - this is done for every run: be quick
            except FileExistsError:
                if not self.take_back(run.key):
                    return False
                os.mkdir(folder, 0o700)  # noqa: PTH102 - as above
            if run.input is not None:
                _write(f"{folder}/{INPUT}", FRESH, run.input.encode(errors="surrogateescape"))
        except OSError as error:
            raise SpoolError(f"{folder}: {error.strerror}") from error
        return True

    def journal(self, key: str) -> Journal | None:
        """Read the journal of a run; None: there is none, the run is not claimed."""
        try:
            data = (self.folder(key) / STATE).read_bytes()
        except FileNotFoundError:
            return None
        return told(data)

    def take_back(self, key: str) -> bool:
        """Make sure that no keeper will start this run any more; False: one has claimed it.

        Raises OSError if that cannot be made sure.
        """
        folder = self.folder(key)
        if (folder / STATE).exists():
            return False
        try:
            (folder / INPUT).unlink(
                missing_ok=True
            )  # a keeper that is just claiming it has opened it
            folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            if (folder / STATE).exists():  # which a keeper makes before any other file
                return False
            raise
        return True

    def note(self, key: str, line: dict[str, object]) -> None:
        """Add a line to a journal. Raises OSError."""
        fd = os.open(self.folder(key) / STATE, os.O_WRONLY | os.O_APPEND)
        try:
            write_whole(fd, afresh(encoded(line)))
        finally:
            os.close(fd)

    def note_stop(
        self, key: str, kind: End, reason: str, *, steady: float, left: bool = False
    ) -> None:
        """Write down that we end the run, or what its program has left, before we do.

        `steady` is the moment by the monotonic clock. Raises OSError.
        """
        line: dict[str, object] = {"stop": kind.value, "reason": reason[:REASON]}
        line |= {"at": time.time(), "steady": round(steady, 3)}
        self.note(key, line | {"left": True} if left else line)

    def note_leader(self, key: str, leader: Process, started: float) -> None:
        """Write down a process that its keeper had no time to write down. Raises OSError."""
        self.note(key, {"pid": leader.pid, "ticks": leader.ticks, "at": started})

    def tail(self, key: str, limit: int) -> str:
        """Return the last `limit` bytes of the output, or ""."""
        try:
            fd = os.open(f"{self.path(key)}/{OUTPUT}", os.O_RDONLY)
        except OSError:
            return ""
        try:
            size = os.fstat(fd).st_size
            data = os.pread(fd, min(size, limit), max(0, size - limit)) if size else b""
        except OSError:
            return ""
        finally:
            os.close(fd)
        return data.decode(errors="replace")

    def growth(self, key: str) -> tuple[int, float] | None:
        """Return size and time of the last change of the output."""
        try:
            status = (self.folder(key) / OUTPUT).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime

    def remove(self, key: str) -> None:
        """Remove the folder of a run."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def keys(self) -> Iterator[str]:
        """Yield the keys of the folders that are there, in no order."""
        with suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                if KEY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield entry.name

    def is_old(self, key: str, before: float) -> bool:
        """Whether nothing of a run can live, and nothing was noted from `before` on (epoch)."""
        try:
            if self.folder(key).stat().st_mtime >= before:
                return False
            journal = self.journal(key)
            if journal is not None and (self.folder(key) / STATE).stat().st_mtime >= before:
                return False
        except OSError:  # somebody else removes it
            return False
        return not may_live(journal)


def occupy(root: Path) -> int:
    """Take a spool for this process alone; it is free again when the descriptor is closed.

    Runs are found by the numbers of their jobs: another ledger's would be taken for our own. The
    folder itself is locked, which needs no room on its disk. Raises SpoolError when another server
    has it, or it cannot be made.
    """
    Spool(root).create()
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SpoolError(f"{root}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolError(
            f"{root}: another server keeps its runs there; each needs a spool of its own"
        ) from error
    except OSError:  # a file system of the network may have no locks for folders
        pass
    return descriptor


def _write(path: str, flags: int, data: bytes) -> None:
    """Write a small file whole. Raises OSError."""
    fd = os.open(path, flags, 0o600)
    try:
        write_whole(fd, data)
    finally:
        os.close(fd)


def may_live(journal: Journal | None) -> bool:
    """Whether a process of that run may be there."""
    if journal is None or journal.ending is not None:
        return False
    alive = [each for each in (journal.leader, journal.keeper) if each is not None]
    return any(each.is_alive for each in alive)


def program(run: Run) -> tuple[str, str]:
    """Return the program of a run as an absolute path, or "" and why there is none.

    A name without a slash is looked up in the PATH of the run, not in ours.
    """
    name = run.argv[0] if run.argv else ""
    if not name:
        return "", "there is no program to run: the argument list is empty"
    if any("\0" in word for word in (*run.argv, *run.env, *run.env.values())):
        return "", "an argument or environment value holds a NUL, which no program can be given"
    if "/" in name:
        if name.startswith("/"):
            return name, ""
        return "", f"{name} is neither a plain name nor an absolute path"
    path = run.env.get("PATH", os.defpath)
    found = shutil.which(name, path=path)
    if found is None:
        return "", f"{name} was not found in PATH ({path})"
    if not found.startswith("/"):
        return "", f"{name} was found as {found}: PATH holds a relative folder"
    return found, ""


def explained(path: str, number: int | None, text: str) -> str:
    """Say for people why the system would not run a program."""
    match number:
        case errno.ENOENT if Path(path).exists():
            return f"{path} is there, but the interpreter that its first line names is not"
        case errno.ENOENT:
            return f"{path} was not found"
        case errno.EACCES if Path(path).is_dir():
            return f"{path} is a folder, not a program"
        case errno.EACCES:
            return f"{path} may not be executed by this user"
        case errno.ENOEXEC:
            return (
                f"{path} is not a program: a script needs a first line that names its interpreter"
            )
        case errno.E2BIG:
            return f"{path}: argument list and environment are longer than the system allows"
    return f"{path} could not be started: {text}"


def environment(run: Run, folder: str) -> dict[str, str]:
    """Return the environment of a run: its own, and the mark by which it is found again."""
    return {**run.env, MARK: folder}


def request(run: Run, path: str, folder: str, limit: int) -> bytes:
    """Return what a keeper is sent to start a run: its program's path, the bytes of its output.

    What it gets about the run becomes the first line of the journal, for people and for the
    server that takes up the run.
    """
    tape = run.tape
    about: dict[str, object] = {
        "job": run.job,
        "attempt": run.attempt,
        "timeout": run.timeout,
        "silence": run.silence,
    }
    if tape is not None:
        about["tape"] = [tape.vault, tape.pool, tape.cartridge]
    asked: dict[str, object] = {
        "start": run.key,
        "program": path,
        "argv": run.argv,
        "env": environment(run, folder),
        "limit": limit,
        "input": run.input is not None,
        "tape": None if tape is None else [tape.root, tape.pool, tape.cartridge],
        "about": about,
    }
    return encoded(asked)[:-1]
