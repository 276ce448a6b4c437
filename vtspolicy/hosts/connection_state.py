"""What the system knows of a peer's system: whether written bytes have arrived, if it is there."""

import fcntl
import socket
import struct
import termios

from twisted.internet.interfaces import ITCPTransport

_INTERNET = (socket.AF_INET, socket.AF_INET6)

TCP_CLOSE = 7
"""The state of a connection that is gone, as Linux numbers them."""

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A peer's system that is silent for a minute is asked four times more, each 15 s: two minutes."""

SILENCE = 150.0
"""Seconds without an answer of the peer's system, while it owes one, until it counts as gone.

More than the two minutes that Linux lets pass at most before it asks a third or later time
(TCP_RTO_MAX). Without our limit it gives up after a quarter of an hour (tcp_retries2).
"""

UNANSWERED = 2
"""How often the peer's system must have been asked in vain: what is sent once can be lost.

One that does not read, and has vanished, is missed by this four minutes after its last answer.
"""


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


def has_unread(transport: object) -> bool:
    """Whether the system keeps bytes of the peer that the session has not been given.

    TLS keeps nothing back but a record of which a part is still under way.
    """
    handle = _socket(_lower(transport))
    if handle is None:
        return False
    unread = fcntl.ioctl(handle.fileno(), termios.FIONREAD, b"\0\0\0\0")
    return bool(struct.unpack("i", unread)[0])


def is_broken(transport: object) -> bool:
    """Whether the peer's system has reset the connection; TCP_INFO begins with its state."""
    handle = _internet_socket(transport)
    if handle is None:
        return False
    return handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE


def keep_alive(transport: object) -> None:
    """Have the system ask an idle peer's system whether it is still there.

    TCP_USER_TIMEOUT is left alone: with it, Linux ends also the connection of a peer that is there
    and answers every probe but does not read. `is_silent` looks for those that do not answer.
    """
    handle = _internet_socket(transport)
    if handle is None:
        return
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)


def is_silent(transport: object) -> bool:
    """Whether the peer's system has owed an answer for SILENCE: it, or the way to it, is gone.

    While bytes are under way the system does not use its keep-alive, but sends them again.
    """
    handle = _internet_socket(transport)
    if handle is None:
        return False
    # The beginning of `struct tcp_info` (linux/tcp.h): what was asked again without an answer, and
    # the milliseconds since the last one. Data that is sent again counts as `retransmits`; a probe,
    # of an idle peer or of one whose window is closed, as `probes`. Any answer clears the latter,
    # one that takes data the former. A single one may be lost: a closed window is then asked about
    # again two minutes later.
    facts = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
    _state, _ca_state, retransmits, probes = struct.unpack_from("4B", facts)
    (last_answer,) = struct.unpack_from("I", facts, 56)
    return bool(retransmits + probes >= UNANSWERED) and last_answer / 1000 >= SILENCE


def _lower(transport: object) -> object:
    """Return the TCP transport that carries a session; its own, or the one below TLS."""
    lower = transport
    while hasattr(lower, "_tlsConnection"):
        lower = lower.transport  # type: ignore[attr-defined]  # TLS runs on a TCP transport
    return lower


def _internet_socket(transport: object) -> socket.socket | None:
    """Return the socket of a connection over TCP; Twisted calls a UNIX socket's one TCP too."""
    handle = _socket(_lower(transport))
    return handle if handle is not None and handle.family in _INTERNET else None


def _socket(lower: object) -> socket.socket | None:
    handle: object = getattr(lower, "getHandle", lambda: None)()
    return handle if isinstance(handle, socket.socket) and handle.fileno() >= 0 else None
