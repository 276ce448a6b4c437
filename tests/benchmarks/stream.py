"""A stream of noise with a command in every 10,000 lines, on one connection."""

import os
import socket
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from attrs import frozen

from .bench_events import ONE_IN, display
from .ground import NOISE, TIMEOUT, Link, Server, command
from .loggers import LOGGERS, WORD, delivery, prove_whole, require_whole
from .peers import NotInstalled, counting
from .size import Size
from .table import Beside, Line, at_least, middle

NOTES = (
    "All read the same bytes from the same sender, until the last command's effect is seen.",
    "grep and the peers write what they found to a file, unflushed; ours flushes to the ledger.",
    "What each delivered was compared byte for byte with what was sent; for the peers, first also",
    "a megabyte of which every line was asked for.",
)


@frozen
class Figures:
    """What was measured, in MB/s, and why some peers were not."""

    rates: dict[str, float]
    missing: dict[str, str]


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

    def sent(self) -> bytes:
        """Return all commands that were sent last, which is what a receiver has to find."""
        return b"".join(self.command(number) for number in range(self.blocks))

    def block(self) -> bytes:
        """Return the noise and one command."""
        return self.noise + self.command(0)


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


def grep(stream: Stream, folder: Path) -> float:
    """Return the seconds until grep has found the commands in the same bytes, from a socket too."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as door:
        link = socket.create_connection(door.getsockname(), 30)
        taken, _ = door.accept()
    with link:
        link.settimeout(TIMEOUT)
        with taken, (folder / "found").open("wb") as found:
            process = subprocess.Popen(
                ["grep", "-F", WORD],
                stdin=taken,
                stdout=found,
                env=os.environ | {"LC_ALL": "C"},
            )
        begun = time.perf_counter()
        try:
            stream.send(link)
            link.shutdown(socket.SHUT_WR)
            process.wait(TIMEOUT)
        finally:
            process.kill()
        seconds = time.perf_counter() - begun
    require_whole("grep", (folder / "found").read_bytes(), stream.sent())
    return seconds


def beside(stream: Stream, folder: Path, rounds: int, server: Server, peers: bool) -> Figures:
    """Measure ours, the floors and the peers in turns."""
    taken: dict[str, list[float]] = defaultdict(list)
    missing = {} if peers else {logger.name: "left out" for logger in LOGGERS}
    install = rounds > 1
    for logger in LOGGERS if peers else ():
        try:
            prove_whole(logger, folder / f"whole {logger.name}", stream.block(), install=install)
        except NotInstalled as error:
            missing[logger.name] = str(error)
    for turn in range(rounds):
        taken["ours"].append(ours(stream, server))
        taken["floor"].append(floor(stream, folder / f"floor{turn}"))
        taken["grep"].append(grep(stream, folder / f"grep{turn}"))
        for logger in LOGGERS:
            if logger.name not in missing:
                place = folder / f"{logger.name} {turn}"
                taken[logger.name].append(delivery(logger, place, stream.send, stream.sent))
    rates = {name: stream.megabytes / middle(each) for name, each in taken.items()}
    return Figures(rates=rates, missing=missing)


def measure(folder: Path, size: Size, *, peers: bool) -> list[Line]:
    """Return a line for each peer; the first has the floors, too."""
    stream = Stream(size.stream_blocks)
    with Server(folder) as server:
        figures = beside(stream, folder, size.rounds, server, peers)
    mine = figures.rates["ours"]
    floors = (
        Beside(what=f"grep -F {WORD}, from a socket", value=figures.rates["grep"]),
        Beside(what="Twisted LineOnlyReceiver", value=figures.rates["floor"]),
    )
    lines = []
    for logger in LOGGERS:
        theirs = figures.rates.get(logger.name)
        note = figures.missing.get(logger.name, "")
        lines.append(
            Line(
                row="stream",
                what="the same" if lines else "mixed stream, 1 command in 10,000 lines",
                unit="MB/s",
                ours=mine,
                floors=() if lines else floors,
                peer=Beside(what=logger.what, value=theirs, note=note),
                goal=f"1.0 x {logger.name}",
                reached=at_least(mine, 1.0, theirs),
                notes=NOTES if logger is LOGGERS[-1] else (),
            )
        )
    return lines
