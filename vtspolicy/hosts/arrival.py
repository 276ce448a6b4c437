"""What the system knows of written bytes: whether they have arrived at the peer's system."""

import fcntl
import socket
import struct
import termios

from twisted.internet.interfaces import ITCPTransport

TCP_CLOSE = 7
"""The state of a connection that is gone, as Linux numbers them."""


def all_acknowledged(transport: object) -> bool:
    """Whether everything written was acknowledged by the peer's system.

    A transport without a socket (in tests) is believed at once.
    """
    lower = _lower(transport)
    if not ITCPTransport.providedBy(lower):
        return True
    if getattr(lower, "dataBuffer", b"") or getattr(lower, "_tempDataBuffer", []):
        return False
    handle = _socket(lower)
    if handle is None:
        return False
    # TIOCOUTQ on a TCP socket: the bytes that are sent but not acknowledged (tcp(7), SIOCOUTQ).
    left = fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return bool(struct.unpack("i", left)[0] == 0)


def is_broken(transport: object) -> bool:
    """Whether the peer's system has reset the connection; TCP_INFO begins with its state."""
    handle = _socket(_lower(transport))
    if handle is None:
        return False
    return handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE


def _lower(transport: object) -> object:
    """Return the TCP transport that carries a session; its own, or the one below TLS."""
    lower = transport
    while hasattr(lower, "_tlsConnection"):
        lower = lower.transport  # type: ignore[attr-defined]  # TLS runs on a TCP transport
    return lower


def _socket(lower: object) -> socket.socket | None:
    handle: object = getattr(lower, "getHandle", lambda: None)()
    return handle if isinstance(handle, socket.socket) and handle.fileno() >= 0 else None
