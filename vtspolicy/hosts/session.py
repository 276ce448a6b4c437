"""One connection of a host: bytes in, items out to the engine; notices in, bytes out."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol as TypingProtocol

from attrs import Factory, define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
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
from vtspolicy.events.event import Acknowledgement, Event, Item
from vtspolicy.hosts.arrival import (
    all_acknowledged,
    has_unread,
    is_broken,
    is_silent,
    keep_alive,
)
from vtspolicy.hosts.reading import Reading
from vtspolicy.hosts.session_log import CUT, MADE_WAY
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.log_limit import LogLimit
from vtspolicy.notices import Notice, Word, ems_line, json_line
from vtspolicy.rights import hosts_of_peer
from vtspolicy.sessions import Pause, SessionState, life

STRANGER_PATIENCE = 30.0
"""Seconds that a peer which is no configured host may stay."""

LINGER = 60.0
"""Seconds that a peer which sends no more is kept for the final notices of its commands."""

CONFIRM = 0.25
"""Seconds between looks at whether the peer has acknowledged what was written."""

FAREWELL = 60.0
"""Seconds that a peer may take to read its last notices, once its connection is being closed."""

PRESENCE = 15.0
"""Seconds between looks at whether the peer's system, and the way to it, are still there."""

PARTING = 0.05
"""The same as CONFIRM for a peer that sends no more: it waits for nothing but the end."""

UNCONFIRMED = 10_000
"""The most notices that are written and not confirmed; the rest wait in the ledger."""


class Engine(TypingProtocol):
    """What a session needs of the engine."""

    def receive(self, session: "HostSession", items: list[Item]) -> Deferred[None]:
        """Take what a host sent; fires when more of it may be read."""
        ...


class Outbox(TypingProtocol):
    """What a session needs of the outbox."""

    def attach(self, session: "HostSession") -> None:
        """A session is there and may be given notices."""

    def detach(self, session: "HostSession") -> None:
        """A session is gone; what it had not confirmed is due again."""

    def serve(self, session: "HostSession", hosts: tuple[Host, ...]) -> None:
        """The session now is one of these hosts."""

    def confirmed(self, session: "HostSession", ids: list[int]) -> None:
        """The peer has got these notices."""

    def ready(self, session: "HostSession") -> None:
        """The session can take more notices again."""

    def owes(self, session: "HostSession") -> bool:
        """Whether notices wait that the session has not been given."""
        ...


@define(kw_only=True)
class Link:
    """What all sessions of a server share."""

    reactor: IReactorTime
    engine: Engine
    outbox: Outbox
    node: str  # this node's name, for the notices' headers
    settle: float  # seconds of reading after which an event without continuation is complete
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))
    limit: LogLimit = Factory(lambda self: LogLimit(self.reactor), takes_self=True)


def local_time(seconds: float) -> datetime:
    """Return this node's local time for seconds since the epoch, as notices show it."""
    return datetime.fromtimestamp(seconds)  # noqa: DTZ006  displays bear local time without a zone


@implementer(IHalfCloseableProtocol, IPushProducer)
class HostSession(Protocol):
    """One connection. Input waits while the engine is busy with what came before it."""

    def __init__(
        self,
        link: Link,
        *,
        hosts: tuple[Host, ...],
        address: str,
        decoder: Decoder,
        certificate: str | None = None,
    ) -> None:
        self.hosts = hosts  # those that connect from this address
        self.address = address
        self.certificate = certificate  # the name in it, where the peer had to show one
        self.state = SessionState.OPEN
        self.waiting: set[int] = set()  # requests from here without a final notice
        self.kept = 0  # what came in and waits for room in the queue; the engine counts it
        self.on_closed: Callable[[HostSession], None] = lambda _: None
        self._link = link
        self._life = life()
        self._decoder = decoder
        self._batches: deque[list[Item]] = deque()  # complete, and not yet handed over
        self._pauses: set[Pause] = set()
        self._reads = True  # what the transport was told last
        self._counted = 0
        self.reading = Reading(link.reactor)
        self._acknowledges = False
        self._unconfirmed: dict[int, None] = {}  # notices that were written, in their order
        self._timers: dict[str, IDelayedCall] = {}

    def __repr__(self) -> str:
        return f"<HostSession {[host.name for host in self.hosts]} {self.address} {self.state}>"

    @property
    def wire(self) -> str | None:
        """The format that the peer speaks; None as long as it sent nothing."""
        return self._decoder.wire

    @property
    def is_live(self) -> bool:
        """Whether the peer can be told anything more."""
        return self.state in {SessionState.OPEN, SessionState.HALF_CLOSED}

    @property
    def is_busy(self) -> bool:
        """Whether something that came in is not recorded yet, or may go on in the next line."""
        return (
            Pause.RECORDING in self._pauses
            or bool(self._batches)
            or self.kept > 0
            or "settle" in self._timers
        )

    def new_events(self) -> int:
        """Return how many events came in since this was last asked, noise and all."""
        events = self._decoder.counted.events
        fresh, self._counted = events - self._counted, events
        return fresh

    def whose(self, hosts: Iterable[Host]) -> tuple[Host, ...]:
        """Return those of these hosts whose connection it is."""
        return hosts_of_peer(hosts, address=self.address, certificate=self.certificate)

    # Life

    def connectionMade(self) -> None:
        """Greet nobody: hosts expect silence. Strangers do not stay long."""
        if self.transport is not None and hasattr(self.transport, "registerProducer"):
            self.transport.registerProducer(self, streaming=True)
        if ITCPTransport.providedBy(self.transport):
            # A notice must not wait until the peer has acknowledged the one before it, which a
            # peer that sends nothing meanwhile puts off for up to 40 ms.
            self.transport.setTcpNoDelay(True)
            keep_alive(self.transport)
            self._arm("presence")
        self._steer()
        if self.hosts:
            self._link.outbox.attach(self)
            self._arm("keepalive")
        else:
            self._arm("patience")

    def readConnectionLost(self) -> None:
        """The peer sends no more: its last event counts, and its answers are still sent."""
        self._cancel("settle")
        self.state = self._life.end_input()
        self._take(self._decoder.close())
        self._link.outbox.ready(self)
        self._arm("linger")
        self._look_for_confirmation()

    def writeConnectionLost(self) -> None:
        """The peer reads no more: there is nothing left to do on this connection."""
        self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take what was complete, give back what was not confirmed.

        An event that waits for its next line counts where the peer itself has ended the
        connection. Where the network did, or we, it was cut: what came of it may be another
        command. Of a peer that ends TCP in order, but not its TLS, whole lines count. A last line
        without its end may be cut in any case, for the kernel ends a killed peer's connection in
        order; the decoder takes it only if it shows itself that it is whole.
        """
        before, self.state = self.state, self._life.lose()
        if before is SessionState.OPEN and reason.check(ConnectionDone):
            self._take(self._decoder.close())
        elif before is SessionState.OPEN and getattr(self.transport, "peer_ended", False):
            self._take(self._decoder.settle())
        self._drop(self._decoder.close())
        for name in list(self._timers):
            self._cancel(name)
        self._link.outbox.detach(self)
        self.on_closed(self)

    def serve(self, hosts: tuple[Host, ...]) -> None:
        """Be these hosts from now on: the configuration has changed."""
        self._link.outbox.serve(self, hosts)
        for name in ("patience", "keepalive"):
            self._cancel(name)
        if self.is_live:
            self._arm("keepalive" if hosts else "patience")

    def close(self) -> None:
        """End the connection; what is written still goes out, if the peer reads it in time."""
        was_live = self.is_live
        self.state = self._life.close()
        if was_live and self.transport is not None:
            if hasattr(self.transport, "unregisterProducer"):
                self.transport.unregisterProducer()
            self.transport.loseConnection()
            self._arm("farewell")

    def make_way(self) -> None:
        """End the connection at once: its host has most of them, and another host has too few."""
        told = {"address": self.address}
        self._link.limit.write(self._link.log.warn, MADE_WAY, self.address, **told)
        self.close()
        self._abort()

    def _abort(self) -> None:
        """End the connection at once; what was not confirmed is due again."""
        abort = getattr(self.transport, "abortConnection", None)
        if abort is not None:
            abort()

    def close_if_done(self) -> None:
        """End a connection whose peer sends no more once its commands have their answers.

        The answers must have arrived, or they would be sent to its next connection again. A peer
        that would have to say so itself can not do that any more.
        """
        if (
            self.state is not SessionState.HALF_CLOSED
            or Pause.RECORDING in self._pauses
            or self.kept
            or self.waiting
            or self._link.outbox.owes(self)
        ):
            return
        if not self._unconfirmed or self._must_acknowledge:
            self.close()

    # Input

    def dataReceived(self, data: bytes) -> None:
        """Decode; what may be acted on goes to the engine, in order."""
        self.reading.came()
        was_silent = self.wire is None
        items = self._decoder.feed(data)
        if was_silent and self.wire is not None:
            self._link.outbox.ready(self)  # what the host has missed can be put into its format
        self._take(items)
        self._await_rest()
        if "keepalive" in self._timers:
            self._arm("keepalive")

    def _await_rest(self) -> None:
        """Give an open event its time from now on; none passes for it while nothing is read."""
        self._cancel("settle")
        if self._reads and self._decoder.pending:
            self._arm("settle")

    def _settle(self) -> None:
        """Take the open event, unless its rest is here already and was only not read in time.

        The reactor rings before it reads, and anything may have held it up. What a connection
        that was reset has brought is left to its end.
        """
        if has_unread(self.transport) or is_broken(self.transport):
            self._await_rest()
        else:
            self._take(self._decoder.settle())

    def _drop(self, items: list[Item]) -> None:
        """Say what was cut, so that somebody has the host show it again."""
        for item in items:
            if isinstance(item, Acknowledgement) or not item.text:
                continue
            if isinstance(item, Event) and not item.is_candidate:
                continue
            told = {"address": self.address, "text": item.text}
            self._link.limit.write(self._link.log.warn, CUT, self.address, **told)

    def _take(self, items: list[Item]) -> None:
        if items:
            self._batches.append(items)
            self._hand_over()

    def _hand_over(self) -> None:
        """Hand over one batch after the other; while one is being recorded, read no more."""
        while self._batches and Pause.RECORDING not in self._pauses:
            self._pauses.add(Pause.RECORDING)
            done = self._link.engine.receive(self, self._batches.popleft())
            done.addErrback(self.fail)
            done.addCallback(self._recorded)
        self._steer()

    def fail(self, failure: Failure) -> None:
        """Log a failed batch, a defect unless the server stops, and have the host send it again."""
        if failure.type is LedgerError and not self.is_live:
            self._link.log.warn(
                "Input from {address} is neither recorded nor answered: {why}.",
                action="not_recorded",
                address=self.address,
                why=failure.getErrorMessage(),
            )
        else:
            self._link.log.failure(
                "Input from {address} could not be handled.",
                failure,
                action="receive_failed",
                address=self.address,
            )
        self.close()

    def _recorded(self, _: None) -> None:
        self._pauses.discard(Pause.RECORDING)
        self._hand_over()
        self.close_if_done()

    def hold(self) -> None:
        """Read nothing more: the server stops, and the peer's system keeps what it sends."""
        self._pauses.add(Pause.HELD)
        self._steer()

    def _steer(self) -> None:
        """Have the transport read, or not, as the pauses say.

        One that is being closed is only stopped: it must not take more than can be recorded.
        """
        wanted = not self._pauses
        states = {SessionState.OPEN} if wanted else {SessionState.OPEN, SessionState.CLOSING}
        if self.state not in states or self.transport is None or wanted == self._reads:
            return
        change = getattr(self.transport, "resumeProducing" if wanted else "pauseProducing", None)
        if change is not None:
            self._reads = wanted
            (self.reading.resume if wanted else self.reading.pause)()
            change()
            self._await_rest()

    # Output

    @property
    def can_take(self) -> bool:
        """Whether it may be given a notice now."""
        return (
            self.is_live and Pause.SLOW not in self._pauses and len(self._unconfirmed) < UNCONFIRMED
        )

    def tell(self, notice: Notice) -> None:
        """Write a notice in the peer's format; the outbox learns when the peer has got it."""
        # Who has to acknowledge by number needs the number, though it may not have spoken yet.
        in_json = self.wire == "json" or (self.wire is None and self._must_acknowledge)
        form = json_line if in_json else ems_line
        if self.transport is not None:
            at = local_time(notice.created)
            self.transport.write(form(notice, node=self._link.node, at=at))
        if notice.id is not None:
            self._unconfirmed[notice.id] = None
            if "confirm" not in self._timers and not self._must_acknowledge:
                self._arm("confirm")
        if "keepalive" in self._timers:
            self._arm("keepalive")

    def acknowledge(self, ids: tuple[int, ...]) -> None:
        """The peer says itself which notices it has got (JSON); from now on only that counts."""
        self._acknowledges = True
        known = [each for each in dict.fromkeys(ids) if each in self._unconfirmed]
        for each in known:
            del self._unconfirmed[each]
        self._confirm(known)

    def take_back(self) -> list[int]:
        """Return the notices that were written and never confirmed."""
        ids = list(self._unconfirmed)
        self._unconfirmed.clear()
        return ids

    def pauseProducing(self) -> None:
        """The peer reads slower than we write: no more notices, and nothing more to answer."""
        self._pauses.add(Pause.SLOW)
        self._steer()

    def resumeProducing(self) -> None:
        """The peer has caught up."""
        self._pauses.discard(Pause.SLOW)
        self._steer()
        self._link.outbox.ready(self)

    def stopProducing(self) -> None:
        """The transport is gone."""
        self._pauses.add(Pause.SLOW)

    @property
    def _must_acknowledge(self) -> bool:
        """Whether only the peer's own word counts for what it has got."""
        return self._acknowledges or any(host.acknowledge for host in self.hosts)

    def _look_for_confirmation(self) -> None:
        """What the peer's side of the connection has acknowledged has arrived there."""
        if self._unconfirmed and not self._must_acknowledge:
            if all_acknowledged(self.transport):
                self._confirm(self.take_back())
            elif self.state is SessionState.HALF_CLOSED and is_broken(self.transport):
                self._abort()  # nobody reads from it any more, and so nobody else would notice
            else:
                self._arm("confirm")
        self.close_if_done()

    def _look_for_presence(self) -> None:
        """End a connection to a system that has vanished, so that its notices go another way.

        What came in and is not read yet would be lost, so nothing is ended that may still read it.
        """
        if self._pauses <= {Pause.SLOW} and is_silent(self.transport):
            self._link.log.warn(
                "{address} does not answer any more.", action="vanished", address=self.address
            )
            self._abort()
        else:
            self._arm("presence")

    def _confirm(self, ids: list[int]) -> None:
        self._link.outbox.confirmed(self, ids)
        self._link.outbox.ready(self)

    # Timers

    def _arm(self, name: str) -> None:
        self._cancel(name)
        half_closed = self.state is SessionState.HALF_CLOSED
        seconds = {
            "settle": self._link.settle,
            "patience": STRANGER_PATIENCE,
            "linger": LINGER,
            "farewell": FAREWELL,
            "presence": PRESENCE,
            "confirm": PARTING if half_closed else CONFIRM,
            "keepalive": min((h.keepalive for h in self.hosts if h.keepalive), default=0.0),
        }[name]
        if seconds or name != "keepalive":
            self._timers[name] = self._link.reactor.callLater(seconds, self._ring, name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _ring(self, name: str) -> None:
        del self._timers[name]
        if name == "settle":
            self._settle()
        elif name == "confirm":
            self._look_for_confirmation()
        elif name == "presence":
            self._look_for_presence()
        elif name == "keepalive":
            if Pause.SLOW not in self._pauses:
                now = self._link.reactor.seconds()
                self.tell(Notice(word=Word.HEARTBEAT, host="", created=now))
            self._arm("keepalive")
        elif name == "farewell":
            self._abort()
        else:
            self.close()
