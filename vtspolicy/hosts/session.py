"""One connection of a host: bytes in, items out to the engine; notices in, bytes out."""

import fcntl
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Protocol as TypingProtocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from vtspolicy.config.model import Host
from vtspolicy.events.decoder import Decoder
from vtspolicy.events.event import Item
from vtspolicy.notices import Notice, Word, ems_line, json_line

STRANGER_PATIENCE = 30.0
"""Seconds that a peer which is no configured host may stay."""

LINGER = 60.0
"""Seconds that a peer which sends no more is kept for the final notices of its commands."""

CONFIRM = 0.25
"""Seconds between looks at whether the peer has acknowledged what was written."""


class Engine(TypingProtocol):
    """What a session needs of the engine."""

    def receive(self, session: "HostSession", items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when all of it is recorded or answered."""
        ...


class Outbox(TypingProtocol):
    """What a session needs of the outbox."""

    def attach(self, session: "HostSession") -> None:
        """A session is there and may be given notices."""

    def detach(self, session: "HostSession") -> None:
        """A session is gone; what it had not confirmed is due again."""

    def confirmed(self, session: "HostSession", ids: list[int]) -> None:
        """The peer has got these notices."""

    def ready(self, session: "HostSession") -> None:
        """The session can take more notices again."""

    def owes(self, session: "HostSession") -> bool:
        """Whether there may be notices that the session has not been given yet."""
        ...


@define(kw_only=True)
class Link:
    """What all sessions of a server share."""

    reactor: IReactorTime
    engine: Engine
    outbox: Outbox
    node: str  # this node's name, for the notices' headers
    settle: float  # seconds after which an event without continuation is complete
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))


def local_time(seconds: float) -> datetime:
    """Return this node's local time for seconds since the epoch, as notices show it."""
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006  displays bear local time without a zone


@implementer(IHalfCloseableProtocol, IPushProducer)
class HostSession(Protocol):
    """One connection. Input waits while the engine is busy with what came before it."""

    def __init__(
        self, link: Link, *, hosts: tuple[Host, ...], address: str, decoder: Decoder
    ) -> None:
        self.hosts = hosts  # those that connect from this address
        self.address = address
        self.waiting: set[int] = set()  # requests from here without a final notice
        self._link = link
        self._decoder = decoder
        self._items: deque[list[Item]] = deque()
        self._busy = False
        self._input_ended = False
        self._held_back = False
        self._on_hold = False
        self._full = False
        self._counted = 0
        self._unconfirmed: deque[int] = deque()
        self._timers: dict[str, IDelayedCall] = {}
        self.on_closed: Callable[[HostSession], None] = lambda _: None

    def __repr__(self) -> str:
        names = ",".join(host.name for host in self.hosts) or "stranger"
        return f"<HostSession {names} {self.address}>"

    @property
    def wire(self) -> str | None:
        """The format that the peer speaks; None as long as it sent nothing."""
        return self._decoder.wire

    @property
    def is_half_closed(self) -> bool:
        """Whether the peer sends no more, and stays only for its answers."""
        return self._input_ended

    def new_events(self) -> int:
        """Return how many events came in since this was last asked, noise and all."""
        events = self._decoder.counted.events
        fresh, self._counted = events - self._counted, events
        return fresh

    # Input

    def connectionMade(self) -> None:
        """Greet nobody: hosts expect silence. Strangers do not stay long."""
        if self.transport is not None and hasattr(self.transport, "registerProducer"):
            self.transport.registerProducer(self, streaming=True)
        if self.hosts:
            self._link.outbox.attach(self)
            self._arm("keepalive")
        else:
            self._arm("patience")

    def dataReceived(self, data: bytes) -> None:
        """Decode; what may be acted on goes to the engine, in order."""
        self._take(self._decoder.feed(data))
        self._cancel("settle")
        if self._decoder.pending:
            self._arm("settle")
        if "keepalive" in self._timers:
            self._arm("keepalive")

    def readConnectionLost(self) -> None:
        """The peer sends no more: its last line counts, and its answers are still sent."""
        self._cancel("settle")
        self._take(self._decoder.close())
        self._input_ended = True
        self._look_for_confirmation()
        self._arm("linger")
        self.close_if_done()

    def writeConnectionLost(self) -> None:
        """The peer reads no more: there is nothing left to do on this connection."""
        self._lose()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take what was complete, give back what was not confirmed."""
        if not self._input_ended:
            self._input_ended = True
            self._take(self._decoder.close())
        for name in list(self._timers):
            self._cancel(name)
        self._link.outbox.detach(self)
        self.on_closed(self)

    def _take(self, items: list[Item]) -> None:
        if items:
            self._items.append(items)
            self._work()

    def _work(self) -> None:
        """Hand over one batch after the other; while one is being recorded, read no more."""
        while self._items and not self._busy:
            self._busy = True
            done = self._link.engine.receive(self, self._items.popleft())
            done.addErrback(self._failed)
            done.addCallback(self._done)
        if self._busy and not self._held_back and not self._input_ended:
            self._held_back = True
            self._reading(on=False)

    def _failed(self, failure: Failure) -> None:
        """A defect of ours: say so in the log and drop the link, so that the host sends again."""
        self._link.log.failure(
            "Input from {address} could not be handled.",
            failure,
            action="receive_failed",
            address=self.address,
        )
        self._lose()

    def _done(self, _: None) -> None:
        self._busy = False
        self._work()
        if not self._busy and self._held_back:
            self._held_back = False
            self._reading(on=not (self._full or self._on_hold))
        self.close_if_done()

    def hold(self) -> None:
        """Read nothing more until `let_go`: the peer's system keeps what it sends."""
        self._on_hold = True
        self._reading(on=False)

    def let_go(self) -> None:
        """Read again."""
        self._on_hold = False
        self._reading(on=not (self._full or self._held_back))

    def _reading(self, *, on: bool) -> None:
        transport = self.transport
        if transport is None or getattr(transport, "disconnected", False):
            return
        change = getattr(transport, "resumeProducing" if on else "pauseProducing", None)
        if change is not None:
            change()

    # Output

    @property
    def can_take(self) -> bool:
        """Whether it may be given a notice now."""
        return not self._full and self.transport is not None

    def tell(self, notice: Notice) -> None:
        """Write a notice in the peer's format; the outbox learns when the peer has got it."""
        form = json_line if self.wire == "json" else ems_line
        at = local_time(notice.created)
        if self.transport is not None:
            self.transport.write(form(notice, node=self._link.node, at=at))
        if notice.id is not None:
            self._unconfirmed.append(notice.id)
            if "confirm" not in self._timers:
                self._arm("confirm")
        if "keepalive" in self._timers:
            self._arm("keepalive")

    def acknowledge(self, ids: tuple[int, ...]) -> None:
        """The peer says itself which notices it has got (JSON)."""
        known = [each for each in ids if each in self._unconfirmed]
        for each in known:
            self._unconfirmed.remove(each)
        self._link.outbox.confirmed(self, known)

    def take_back(self) -> list[int]:
        """Return the notices that were written and never confirmed."""
        ids = list(self._unconfirmed)
        self._unconfirmed.clear()
        return ids

    def pauseProducing(self) -> None:
        """The peer reads slower than we write: no more notices, and nothing more to answer."""
        self._full = True
        self._reading(on=False)

    def resumeProducing(self) -> None:
        """The peer has caught up."""
        self._full = False
        self._reading(on=not (self._held_back or self._on_hold))
        self._link.outbox.ready(self)

    def stopProducing(self) -> None:
        """The transport is gone."""
        self._full = True

    def close(self) -> None:
        """End the connection; what is written still goes out."""
        self._lose()

    def close_if_done(self) -> None:
        """End a connection whose peer sends no more once its commands have their answers."""
        idle = not self._busy and not self._items and not self.waiting
        if self._input_ended and idle and not self._link.outbox.owes(self):
            self._lose()

    def _lose(self) -> None:
        if self.transport is not None:
            if hasattr(self.transport, "unregisterProducer"):
                self.transport.unregisterProducer()
            self.transport.loseConnection()

    def _look_for_confirmation(self) -> None:
        """What the peer's side of the connection has acknowledged has arrived there."""
        strict = any(host.acknowledge for host in self.hosts)
        if self._unconfirmed and not strict and _all_acknowledged(self.transport):
            self._link.outbox.confirmed(self, self.take_back())

    # Timers

    def _arm(self, name: str) -> None:
        self._cancel(name)
        seconds = {
            "settle": self._link.settle,
            "patience": STRANGER_PATIENCE,
            "linger": LINGER,
            "confirm": CONFIRM,
            "keepalive": min((h.keepalive for h in self.hosts if h.keepalive), default=0.0),
        }[name]
        if seconds:
            self._timers[name] = self._link.reactor.callLater(seconds, self._ring, name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _ring(self, name: str) -> None:
        del self._timers[name]
        if name == "settle":
            self._take(self._decoder.settle())
        elif name == "confirm":
            self._look_for_confirmation()
            if self._unconfirmed:
                self._arm("confirm")
        elif name == "keepalive":
            now = self._link.reactor.seconds()
            self.tell(Notice(word=Word.HEARTBEAT, host="", created=now))
            self._arm("keepalive")
        else:
            self._lose()


def _all_acknowledged(transport: object) -> bool:
    """Whether everything written was acknowledged by the peer's system.

    A transport without a socket (in tests) is believed at once.
    """
    lower = transport
    while hasattr(lower, "_tlsConnection"):
        lower = lower.transport  # type: ignore[attr-defined]  # TLS runs on a TCP transport
    if not ITCPTransport.providedBy(lower):
        return True
    if getattr(lower, "dataBuffer", b"") or getattr(lower, "_tempDataBuffer", []):
        return False
    handle: object = getattr(lower, "getHandle", lambda: None)()
    if not isinstance(handle, socket.socket) or handle.fileno() < 0:
        return False
    # TIOCOUTQ on a TCP socket: the bytes that are sent but not acknowledged (tcp(7), SIOCOUTQ).
    left = fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return bool(struct.unpack("i", left)[0] == 0)
