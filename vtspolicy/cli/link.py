"""A host's side of a connection, as `vtspolicy send` plays it: lines out, lines in, a deadline.

Plain blocking sockets: a command that shell scripts call has to start fast.
"""

import socket
import time
from collections.abc import Iterator

from attrs import define, frozen

CONNECT = 10.0
"""Seconds that a connection may take to be made."""

LONGEST_LINE = 65_536
"""Bytes; a longer line is not a notice."""


class Unreachable(Exception):  # noqa: N818 - it says what the server is
    """The server cannot be reached."""


class GaveUp(Exception):  # noqa: N818 - it says what we did
    """The time to wait is over."""


@frozen(kw_only=True)
class Address:
    """Where the server listens, and how to speak to it."""

    host: str
    port: int
    tls: bool = False
    cert: str | None = None  # our certificate (PEM)
    key: str | None = None  # its key (PEM)
    ca: str | None = None  # the authority of the server's certificate; None: the system's own

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, patience: float) -> socket.socket:
        """Return a connection. Raises Unreachable."""
        try:
            context = None
            if self.tls:
                import ssl  # noqa: PLC0415 - most links to a server on the same machine are plain

                context = ssl.create_default_context(cafile=self.ca)
                # Since Python 3.13 it refuses authorities of sites that lack an extension, though
                # the server accepts them, as older Pythons do.
                context.verify_flags &= ~ssl.VERIFY_X509_STRICT
                if self.cert:
                    context.load_cert_chain(self.cert, self.key)
            plain = socket.create_connection((self.host, self.port), timeout=patience)
            return context.wrap_socket(plain, server_hostname=self.host) if context else plain
        except OSError as error:  # of TLS and of the resolver, too
            raise Unreachable(f"cannot reach {self}: {error.strerror or error}") from None


@define
class Conversation:
    """A connection, line by line, with a deadline."""

    address: Address
    deadline: float | None  # by the monotonic clock; None: none
    link: socket.socket | None = None
    rest: bytes = b""

    def left(self) -> float | None:
        """Return the seconds left; None: as many as it takes. Raises GaveUp."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise GaveUp
        return left

    def say(self, line: bytes) -> None:
        """Send a line, over a new connection if there is none. Raises Unreachable, GaveUp."""
        left = self.left()
        if self.link is None:
            self.link = self.address.connect(CONNECT if left is None else min(left, CONNECT))
            self.rest = b""
        try:
            self.link.settimeout(left)
            self.link.sendall(line)
        except TimeoutError:
            raise GaveUp from None
        except OSError as error:
            self.close()
            raise Unreachable(f"lost {self.address}: {error.strerror or error}") from None

    def lines(self) -> Iterator[bytes]:
        """Give out lines until the other side closes. Raises GaveUp."""
        while (link := self.link) is not None:
            *lines, self.rest = self.rest.split(b"\n")
            yield from lines
            if self.link is not link:
                continue  # the caller wanted to answer a line, and lost the connection
            if len(self.rest) > LONGEST_LINE:
                self.rest = self.rest[:1]  # still no notice, when its end comes
            try:
                link.settimeout(self.left())
                data = link.recv(65536)
            except TimeoutError:
                raise GaveUp from None
            except OSError:
                data = b""
            if not data:
                self.close()
            self.rest += data

    def close(self) -> None:
        """End the connection."""
        if self.link is not None:
            self.link.close()
            self.link = None
