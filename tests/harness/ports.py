"""Ports of loopback for the servers that tests start."""

import random
import socket
from pathlib import Path

LOWEST = 15_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return ports that are free now, all different, and none of them given before.

    They lie below those that the system itself gives to connections: nobody who connects meanwhile
    can get one, not even to itself, as whoever knocks at a port before its server is there might.
    """
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    found: list[int] = []
    for _ in range(10_000):
        if len(found) == count:
            return found
        port = random.SystemRandom().randrange(LOWEST, end) if end > LOWEST + 5_000 else 0
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            found.append(port)
    raise RuntimeError(f"no {count} free ports")
