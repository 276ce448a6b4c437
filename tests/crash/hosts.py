"""The hosts: they show events, again when unsure, and remember every notice that reaches them."""

import json
import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from attrs import define, field

from tests.crash.plan import Command, cancellation
from vtspolicy.notices import ReceivedNotice, Word, read_line

ADDRESSES = {"NSK1": "127.0.0.2", "NSK2": "127.0.0.3"}
LINKS = {"NSK1": 2, "NSK2": 1}
"""NSK1 speaks the display format on two connections, NSK2 JSON on one, and acknowledges."""

ANSWERS = {Word.ACCEPTED, Word.DUPLICATE, Word.REJECTED, Word.DENIED, Word.NORULE}
AGAIN = 0.15  # of the answered commands are shown once more, as a restarted distributor does
RUDE = 0.02  # of what a host that acknowledges reads is lost, and its connection with it
RETRY_DELAY = 0.02  # seconds between two tries to connect
CANCELLED = 0.08  # of the accepted commands are cancelled
OPEN = 40  # commands of a host that wait for their final notice, at most, if not told otherwise
UNANSWERED = 6  # commands of a host that wait for their first notice, at most


@define(eq=False)
class Link:
    """One connection of a host, and the next one after it."""

    host: "Host"
    wire: socket.socket | None = None
    connected: bool = False
    since: float = 0.0  # when it was connected, by the monotonic clock
    out: bytes = b""
    rest: bytes = b""
    shown: list[Command] = field(factory=list)  # on this connection, and not answered
    retry_at: float = 0.0

    def connect(self, port: int) -> None:
        """Begin to connect; nothing waits."""
        if self.wire is not None or time.monotonic() < self.retry_at:
            return
        self.wire = socket.socket()
        self.wire.setblocking(False)
        self.wire.bind((ADDRESSES[self.host.name], 0))
        self.wire.connect_ex(("127.0.0.1", port))
        self.connected = False
        self.out = self.rest = b""

    def drop(self) -> None:
        """The connection is gone: what was not answered on it is to be shown again."""
        if self.wire is not None:
            self.wire.close()
            self.wire = None
        self.retry_at = time.monotonic() + RETRY_DELAY
        self.connected = False
        self.host.show_again(self.shown)
        self.shown = []

    def show(self, command: Command) -> None:
        """Show a command, as soon as the connection takes it."""
        self.out += command.data
        if not command.is_silent:
            self.shown.append(command)

    def turn(self, events: int) -> None:
        """Read and write what can be."""
        if self.wire is None:
            return
        gone = events & (select.POLLHUP | select.POLLERR)
        try:
            if not self.connected and (gone or events & select.POLLOUT):
                error = self.wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self.connected = not error
                self.since = time.monotonic()
            if not self.connected:
                if gone:
                    self.drop()
                return
            if (gone or events & select.POLLIN) and not self._read_all(self.wire):
                self.drop()
                return
            if self.out:
                self.out = self.out[self.wire.send(self.out) :]
        except BlockingIOError:
            pass
        except OSError:
            self.drop()

    def _read_all(self, wire: socket.socket) -> bool:
        """Read all that has arrived: our system has confirmed it. False at the end."""
        with suppress(BlockingIOError):
            while data := wire.recv(65536):
                if self.host.is_rude and self.host.draw.random() < RUDE:
                    return False  # what was just read is forgotten: nobody acknowledged it
                self._take(data)
            return False
        return True

    def _take(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            notice = read_line(line + b"\n")
            if notice is not None:
                self.host.hear(notice)
                if notice.number is not None:
                    self.out += json.dumps({"ack": [notice.number]}).encode() + b"\n"
                ref = notice.fields.get("ref")
                if notice.word in ANSWERS:
                    self.shown = [each for each in self.shown if each.ref != ref]


@define(eq=False)
class Host:
    """One host. Its memory survives everything: it is what the server is judged by."""

    name: str
    draw: random.Random
    heard: list[ReceivedNotice] = field(factory=list)
    sent: dict[str, Command] = field(factory=dict)  # everything that was ever shown
    answered: set[str] = field(factory=set)  # refs
    accepted: set[str] = field(factory=set)  # refs
    ended: set[str] = field(factory=set)
    again: deque[Command] = field(factory=deque)  # to be shown again
    open: int = OPEN
    cancels: float = CANCELLED
    links: list[Link] = field(factory=list)

    @property
    def is_rude(self) -> bool:
        """Whether it may hang up at any time: it says itself what it has got."""
        return self.name == "NSK2"

    def __attrs_post_init__(self) -> None:
        self.links = [Link(self) for _ in range(LINKS[self.name])]

    def hear(self, notice: ReceivedNotice) -> None:
        """Remember a notice."""
        self.heard.append(notice)
        ref = notice.fields.get("ref")
        if ref is None:
            return  # it is about a mount
        if notice.word in {Word.ACCEPTED, Word.STARTED}:
            self._perhaps_cancel(ref, int(notice.fields["req"]))
        if notice.word is Word.ACCEPTED:
            self.accepted.add(ref)
        if notice.word in ANSWERS:
            if ref not in self.answered and self.draw.random() < AGAIN:
                command = self.sent[ref]
                if not command.plain:
                    self.again.append(command)
            self.answered.add(ref)
        if notice.word.is_final or notice.word in {Word.DENIED, Word.REJECTED, Word.NORULE}:
            self.ended.add(ref)

    def _perhaps_cancel(self, ref: str, request: int) -> None:
        command = self.sent[ref]
        again = f"c-{ref}" in self.sent
        if command.cancels is None and not again and self.draw.random() < self.cancels:
            command = cancellation(self.name, f"c-{ref}", request)
            self.sent[command.ref] = command
            self.again.append(command)

    def show_again(self, commands: list[Command]) -> None:
        """Show these again; a plain command only where it cannot have arrived."""
        self.again.extend(each for each in commands if not each.plain)

    def speak(self, source: "Source | None") -> None:
        """Show what is due on the connections that are there."""
        links = [each for each in self.links if each.connected and not each.out]
        if not links:
            return
        waiting = sum(len(each.shown) for each in self.links)
        if self.again:
            self.draw.choice(links).show(self.again.popleft())
        elif source is not None and waiting < UNANSWERED and self._is_patient():
            command = source.next(self.name)
            if command is not None:
                if not command.is_silent:
                    self.sent[command.ref] = command
                self.draw.choice(links).show(command)

    def _is_patient(self) -> bool:
        return len(self.sent) - len(self.ended) < self.open

    @property
    def owed(self) -> list[str]:
        """Return the refs whose end has not been heard of. Of a plain command none may come."""
        return [
            ref
            for ref, command in self.sent.items()
            if ref not in self.ended and not (command.plain and ref not in self.answered)
        ]


@define
class Source:
    """Gives each host its commands out of one stream."""

    stream: Iterator[Command]
    kept: dict[str, deque[Command]] = field(factory=dict)
    taken: int = 0

    def next(self, host: str) -> Command | None:
        """Return the next command of a host; None when there are no more."""
        queue = self.kept.setdefault(host, deque())
        while not queue:
            command = next(self.stream, None)
            if command is None:
                return None
            self.kept.setdefault(command.host, deque()).append(command)
        self.taken += 1
        return queue.popleft()

    @property
    def is_empty(self) -> bool:
        """Whether a stream that has an end has given everything."""
        if not any(self.kept.values()):
            command = next(self.stream, None)
            if command is None:
                return True
            self.kept.setdefault(command.host, deque()).append(command)
        return False


@define
class Hosts:
    """All hosts, moved by one loop."""

    port: int
    all: list[Host]

    def turn(self, source: Source | None, patience: float) -> None:
        """Let everybody do what can be done now; wait so long at most for something to happen."""
        poll = select.poll()
        by_number: dict[int, Link] = {}
        for host in self.all:
            host.speak(source)
            for link in host.links:
                link.connect(self.port)
                if link.wire is not None:
                    number = link.wire.fileno()
                    by_number[number] = link
                    wanted = select.POLLIN
                    if link.out or not link.connected:
                        wanted |= select.POLLOUT
                    poll.register(number, wanted)
        for number, events in poll.poll(patience * 1000):
            by_number[number].turn(events)

    @property
    def heard(self) -> int:
        """How many notices have been heard."""
        return sum(len(host.heard) for host in self.all)

    def reached(self, begun: float) -> float | None:
        """When a server that began then was reached first; None while it is not."""
        times = [link.since for host in self.all for link in host.links if link.connected]
        return min((each for each in times if each > begun), default=None)

    @property
    def owed(self) -> list[str]:
        """What has not ended, as far as the hosts know."""
        return [ref for host in self.all for ref in host.owed] + [
            each.ref for host in self.all for each in host.again
        ]

    def close(self) -> None:
        """Hang up."""
        for host in self.all:
            for link in host.links:
                if link.wire is not None:
                    link.wire.close()
                    link.wire = None
