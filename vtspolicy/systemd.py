"""Reports to systemd about a server: that it is ready, alive, reloading, stopping (sd_notify(3)).

Without NOTIFY_SOCKET in the environment nothing is sent.
"""

import socket
from collections.abc import Mapping

from attrs import frozen


@frozen(kw_only=True)
class Notifier:
    """The way to the service manager that has started us, if one has."""

    address: str | None  # of its datagram socket; one that begins with @ is abstract
    watchdog: float | None = None  # seconds within which it wants to hear that we live

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> "Notifier":
        """Return the one that an environment names; its watchdog is for the process `pid` only."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        watchdog = int(microseconds) / 1e6 if meant and microseconds.isdigit() else None
        return cls(address=environ.get("NOTIFY_SOCKET") or None, watchdog=watchdog or None)

    def tell(self, *lines: str) -> bool:
        """Send assignments such as `READY=1`; return False if that failed."""
        if self.address is None:
            return False
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(lines).encode(), where)
        except OSError:
            return False
        return True

    def ready(self, status: str) -> None:
        """Report that the server takes commands."""
        self.tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the server stops; its runs continue."""
        self.tell("STOPPING=1", "STATUS=Stopping; running applications continue.")

    def alive(self) -> None:
        """Report that the server is alive."""
        self.tell("WATCHDOG=1")

    def wait_longer(self, seconds: float, why: str) -> None:
        """Ask for more time to start: for so many seconds from now."""
        self.tell(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", f"STATUS={why}")
