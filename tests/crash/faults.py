"""Faults: a server, or its keeper, that dies at a chosen instant of its writing.

An instant is just before a write, in the middle of it (half of the bytes are written), or just
after it. Nothing in the program knows of this: SQLite's writes are counted in its own interface to
the system (the VFS, https://sqlite.org/vfs.html), those of the spool in `os`.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from attrs import define

from tests.crash.site import FAULTY_KEEPER

KINDS = ("ledger", "spool", "notice", "keeper")
"""What is counted: SQLite's writes, the server's in the spool, its notices, the keeper's writes."""

NEVER = 0


@define
class Fuse:
    """Counts instants, and burns through at one of them."""

    at: int  # the instant at which this process dies; NEVER: it leaves the count in `tally`
    tally: int = -1  # a descriptor
    count: int = 0

    def step(self) -> bool:
        """One instant is reached; answers whether it is the one."""
        self.count += 1
        if self.at == NEVER:
            os.pwrite(self.tally, b"%d" % self.count, 0)
        return self.count == self.at

    def die(self) -> None:
        """End this process as `kill -9` does."""
        os.kill(os.getpid(), signal.SIGKILL)

    def around(self, whole: Callable[[], Any], half: Callable[[], object] | None = None) -> Any:
        """Do something between two instants, or three where it can be done by halves."""
        if self.step():
            self.die()
        if half is not None and self.step():
            half()
            self.die()
        done = whole()
        if self.step():
            self.die()
        return done


def arm(kind: str, at: int) -> Callable[[Path], None]:
    """Return what puts a fault into a server that is just starting in a site's folder."""

    def prepare(root: Path) -> None:
        tally = root / f"tally-{kind}"
        if kind == "keeper":
            (root / "fuse-keeper").write_text(str(at))
            from vtspolicy.runner import link

            link.PROGRAM = FAULTY_KEEPER
            return
        descriptor = os.open(tally, os.O_WRONLY | os.O_CREAT) if at == NEVER else -1
        {"ledger": _in_sqlite, "spool": _in_spool, "notice": _in_notices}[kind](
            Fuse(at, descriptor)
        )

    return prepare


def _in_spool(fuse: Fuse) -> None:
    """Count what the runner's modules change on the disk, and what they ask of the keeper."""
    from vtspolicy.runner.link import KeeperLink

    for name in ("mkdir", "open", "write", "unlink", "link", "replace", "rename"):
        setattr(os, name, _counted(fuse, name, getattr(os, name)))
    send = KeeperLink.send
    KeeperLink.send = lambda self, line: fuse.around(lambda: send(self, line))  # type: ignore[method-assign]


def _counted(fuse: Fuse, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        changes = name != "open" or bool(args[1] & os.O_CREAT)
        if not changes or not _is_runner(sys._getframe(1)):
            return function(*args, **kwargs)
        half = None
        if name == "write":
            half = lambda: function(args[0], args[1][: len(args[1]) // 2])  # noqa: E731
        return fuse.around(lambda: function(*args, **kwargs), half)

    return counted


def _is_runner(frame: Any) -> bool:
    for _ in range(4):  # pathlib stands between
        if frame is None:
            return False
        if frame.f_globals.get("__name__", "").startswith("vtspolicy.runner."):
            return True
        frame = frame.f_back
    return False


def _in_notices(fuse: Fuse) -> None:
    """Count the notices that are written to sessions, and their confirmations."""
    from vtspolicy.hosts.session import HostSession

    tell, confirm = HostSession.tell, HostSession.delivered
    HostSession.tell = lambda self, notice: fuse.around(lambda: tell(self, notice))  # type: ignore[method-assign]
    HostSession.delivered = lambda self, ids: fuse.around(lambda: confirm(self, ids))  # type: ignore[method-assign]


# SQLite's own interface to the system: the first fields of its structures.

_XWRITE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_XTRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_XSYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_XOPEN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
)


class _Methods(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("write", _XWRITE),
        ("truncate", _XTRUNCATE),
        ("sync", _XSYNC),
        ("others", ctypes.c_void_p * 13),
    ]


class _File(ctypes.Structure):
    _fields_ = [("methods", ctypes.POINTER(_Methods))]


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", _XOPEN),
    ]


_kept: list[object] = []  # what SQLite points to must not be collected


def _in_sqlite(fuse: Fuse) -> None:
    """Count what SQLite writes, truncates and flushes, in whichever file."""
    import _sqlite3

    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    open_ = _XOPEN(ctypes.cast(vfs.open, ctypes.c_void_p).value or 0)
    known: dict[int, Any] = {}

    def opened(own: int, name: int, file: int, flags: int, out: int) -> int:
        code: int = open_(own, name, file, flags, out)
        there = _File.from_address(file)
        if not code and there.methods:
            address = ctypes.addressof(there.methods.contents)
            if address not in known:
                known[address] = _counting(fuse, there.methods.contents)
                known[ctypes.addressof(known[address])] = known[address]
            there.methods = ctypes.pointer(known[address])
        return code

    vfs.open = _XOPEN(opened)
    _kept.extend((vfs.open, open_, known, opened))


def _counting(fuse: Fuse, real: _Methods) -> _Methods:
    methods = _Methods()
    ctypes.memmove(ctypes.byref(methods), ctypes.byref(real), ctypes.sizeof(_Methods))
    write = _XWRITE(ctypes.cast(real.write, ctypes.c_void_p).value or 0)
    truncate = _XTRUNCATE(ctypes.cast(real.truncate, ctypes.c_void_p).value or 0)
    sync = _XSYNC(ctypes.cast(real.sync, ctypes.c_void_p).value or 0)

    def counted_write(file: int, data: int, amount: int, offset: int) -> int:
        code: int = fuse.around(
            lambda: write(file, data, amount, offset),
            lambda: write(file, data, amount // 2, offset),
        )
        return code

    def counted_truncate(file: int, size: int) -> int:
        code: int = fuse.around(lambda: truncate(file, size))
        return code

    def counted_sync(file: int, flags: int) -> int:
        code: int = fuse.around(lambda: sync(file, flags))
        return code

    methods.write = _XWRITE(counted_write)
    methods.truncate = _XTRUNCATE(counted_truncate)
    methods.sync = _XSYNC(counted_sync)
    _kept.extend((methods, write, truncate, sync, methods.write, methods.truncate, methods.sync))
    return methods
