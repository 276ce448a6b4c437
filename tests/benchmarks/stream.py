"""A stream of noise with a command in every 10,000 lines, on one connection."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from .bench_events import ONE_IN, display
from .ground import NOISE, PATIENCE, Link, Server, command
from .peers import NotInstalled, counting, rsyslog
from .size import Size
from .table import Beside, Line, at_least, middle

NOTES = (
    "All read the same bytes from the same sender, until the last command's effect is seen.",
    "rsyslog writes what it found into a file unflushed; ours is flushed to the ledger.",
)


class Stream:
    """The bytes, made once; every sending has commands of its own, so that none is a repeat."""

    def __init__(self, blocks: int) -> None:
        lines = display(ONE_IN).split(b"\n")
        lines = [line for line in lines if b"archive" not in line and b"VTSPolicy" not in line]
        self.noise = b"\n".join(lines)
        self.noise = self.noise[: self.noise.rfind(b"\n", 0, 1 << 20) + 1]
        self.blocks = blocks
        self._sent = 0
        one = self.noise + command("0", "DENIED", 0)
        self.lines = one.count(b"\n") * blocks + 1
        self.megabytes = len(one) * blocks / 1e6

    def send(self, to: socket.socket) -> None:
        """Send noise and commands in turns; a last noise line completes the last command."""
        self._sent += 1
        for number in range(self.blocks):
            to.sendall(self.noise)
            to.sendall(self.command(number))
        to.sendall(NOISE)

    def command(self, number: int) -> bytes:
        """Return one of the commands that were sent last."""
        return command(f"S{self._sent}-{number}", "DENIED", number)


def ours(stream: Stream, server: Server) -> float:
    """Return the seconds until every command is answered."""
    link = server.link()
    begun = time.perf_counter()
    stream.send(link.socket)
    link.wait(b"DENIED", stream.blocks)
    seconds = time.perf_counter() - begun
    link.close()
    return seconds


def floor(stream: Stream, folder: Path) -> float:
    """Return the seconds until a receiver that only counts has counted all lines."""
    with counting(folder, stream.lines) as port:
        link = Link(port)
        begun = time.perf_counter()
        stream.send(link.socket)
        if int(link.read()[0]) != stream.lines:
            raise RuntimeError("the floor has counted wrong")
        seconds = time.perf_counter() - begun
        link.close()
    return seconds


def peer(stream: Stream, folder: Path) -> float:
    """Return the seconds until rsyslog has every command in its file."""
    with rsyslog(folder) as (port, found):
        link = Link(port)
        begun = time.perf_counter()
        stream.send(link.socket)
        until = begun + PATIENCE
        size = 0
        while True:
            if found.exists() and found.stat().st_size != size:
                data = found.read_bytes()
                size = len(data)
                if data.count(b"VTSPolicy") >= stream.blocks and data.endswith(b"\n"):
                    _require_whole(data, stream)
                    break
            if time.perf_counter() > until:
                raise RuntimeError("rsyslog has not found all commands")
            time.sleep(0.001)
        seconds = time.perf_counter() - begun
        link.close()
    return seconds


def _require_whole(found: bytes, stream: Stream) -> None:
    """Raise RuntimeError unless the peer has delivered each command as it was sent."""
    sent = {stream.command(number).rstrip(b"\n") for number in range(stream.blocks)}
    got = {line for line in found.split(b"\n") if line}
    if got != sent:
        odd = next(iter(got - sent), b"nothing")[:100]
        raise RuntimeError(f"rsyslog has not delivered the commands whole: {odd!r}")


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Measure all three in turns."""
    stream = Stream(size.stream_blocks)
    taken: dict[str, list[float]] = {"ours": [], "floor": [], "peer": []}
    missing = "" if peers else "left out"
    with Server(folder) as server:
        for turn in range(size.rounds):
            taken["ours"].append(ours(stream, server))
            taken["floor"].append(floor(stream, folder / f"floor{turn}"))
            if not missing:
                try:
                    taken["peer"].append(peer(stream, folder / f"peer{turn}"))
                except NotInstalled as error:
                    missing = str(error)
    rate: Callable[[str], float] = lambda name: stream.megabytes / middle(taken[name])  # noqa: E731
    theirs = None if missing else rate("peer")
    return [
        Line(
            row="stream",
            what="mixed stream, 1 command in 10,000 lines",
            unit="MB/s",
            ours=rate("ours"),
            floors=(Beside(what="Twisted LineOnlyReceiver", value=rate("floor")),),
            peer=Beside(what="rsyslog imptcp, substring filter", value=theirs, note=missing),
            goal="1.0 x rsyslog",
            reached=at_least(rate("ours"), 1.0, theirs),
            notes=NOTES,
        )
    ]
