"""The control socket: SPOOL/control.sock, for this user, root, and the members of one group."""

import grp
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet import tcp
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from twisted.web.server import Site

from vtspolicy.client import SOCKET, reachable


class SocketInUseError(OSError):
    """Another server answers on this control socket."""


@define(kw_only=True)
class ControlSocket:
    """One listening control socket."""

    reactor: Any  # a whole reactor
    site: Site
    path: Path
    port: IListeningPort
    inode: tuple[int, int]  # device and number of the file that is ours
    kept: ExitStack  # what the socket's address needs for as long as it is open
    group: str | None = None  # of the system, whose members may use it

    @classmethod
    def open(
        cls,
        reactor: Any,  # a whole reactor
        spool: Path,
        site: Site,
        group: str | None = None,
    ) -> "ControlSocket":
        """Listen; a socket that a dead server left is replaced.

        Raises OSError, or CannotListenError, when that cannot be done. No connection is possible
        before the mode of the file is set: Twisted sets it between binding and listening.
        """
        path = spool / SOCKET
        look_for_server(spool)
        path.unlink(missing_ok=True)
        with ExitStack() as kept:
            address = kept.enter_context(reachable(path))
            port = reactor.listenUNIX(address, site, mode=0o600)
            about = path.lstat()
            if group is not None:
                try:
                    _share(path, group)
                except OSError:
                    port.stopListening()
                    raise
            return cls(
                reactor=reactor,
                site=site,
                path=path,
                port=port,
                inode=(about.st_dev, about.st_ino),
                kept=kept.pop_all(),
                group=group,
            )

    @property
    def is_lost(self) -> bool:
        """Whether the file by which it is reached was removed, alone or with its folder."""
        try:
            self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            pass
        return False

    def renew(self) -> "ControlSocket":
        """Listen again where the file was removed. Raises what `open` raises.

        The old socket is closed as one of TCP is: one of UNIX would remove its file, too.
        """
        renewed = self.open(self.reactor, self.path.parent, self.site, self.group)
        old: Any = self.port  # its interface does not declare this way to close it
        old.stopReading()
        tcp.Port.connectionLost(old, Failure(ConnectionDone()))
        self.kept.close()
        return renewed

    async def close(self) -> None:
        """Listen no more. A file that is not ours any more is left alone, and so is the port."""
        try:
            about = self.path.lstat()
        except OSError:
            return
        if (about.st_dev, about.st_ino) == self.inode:
            await maybeDeferred(self.port.stopListening)  # which removes the file
            self.kept.close()


def _share(path: Path, group: str) -> None:
    """Give a socket to a group, and let its members pass through the folder, but not list it.

    Raises OSError.
    """
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(f"control_group: there is no group {group}") from None
    try:
        os.chown(path, -1, number)
        path.chmod(0o660)
        folder = path.parent
        about = folder.stat()
        if not about.st_mode & stat.S_IXOTH and about.st_gid != number:
            os.chown(folder, -1, number)
            folder.chmod(stat.S_IMODE(about.st_mode) & ~stat.S_IRWXG | stat.S_IXGRP)
        elif not about.st_mode & (stat.S_IXOTH | stat.S_IXGRP):
            folder.chmod(stat.S_IMODE(about.st_mode) | stat.S_IXGRP)
    except PermissionError as error:
        raise PermissionError(
            f"control_group: {path} cannot be given to group {group}: the server's user is not one"
            f" of its members ({error.strerror})"
        ) from error


def look_for_server(spool: Path) -> None:
    """Look whether another server answers. Raises SocketInUseError, or FileExistsError.

    Before anything of a spool is touched: a server of an older version does not lock it.
    """
    path = spool / SOCKET
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise FileExistsError(f"{path} is there, and it is not a socket")
    if _is_answered(path):
        raise SocketInUseError(f"{path}: another server answers on it")


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            with reachable(path) as address:
                asking.connect(address)
        except TimeoutError:
            return True  # its backlog is full: somebody is there
        except OSError:
            return False
    return True
