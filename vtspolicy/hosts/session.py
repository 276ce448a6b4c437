"""One connection of a host: bytes in, items out to the engine; notices in, bytes out."""

from collections import deque
from collections.abc import Callable
from typing import Protocol as TypingProtocol

from attrs import Factory, define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
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
from vtspolicy.events.event import Acknowledgement, Event, Item
from vtspolicy.hosts.connection_state import has_unread, is_broken, keep_alive
from vtspolicy.hosts.delivery import Delivery, StreamDelivery
from vtspolicy.hosts.peers import Peer
from vtspolicy.hosts.presence import Presence
from vtspolicy.hosts.read_activity import ReadActivity
from vtspolicy.hosts.session_life import session_core
from vtspolicy.hosts.session_log import CUT, MADE_WAY
from vtspolicy.hosts.timers import Timer
from vtspolicy.hosts.wires import Wire
from vtspolicy.ledger.errors import LedgerError
from vtspolicy.log_limit import LogLimit
from vtspolicy.notices import Notice, Word
from vtspolicy.sessions import Pause, SessionState, life


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
class SessionServices:
    """What all sessions of a server use."""

    reactor: IReactorTime
    engine: Engine
    outbox: Outbox
    node: str  # this node's name, for the notices' headers
    settle: float  # seconds of reading after which an event without continuation is complete
    log: Logger = field(factory=lambda: Logger("vtspolicy.hosts"))
    limit: LogLimit = Factory(lambda self: LogLimit(self.reactor), takes_self=True)


@implementer(IHalfCloseableProtocol, IPushProducer)
class HostSession(Protocol):
    """One connection. Input waits while the engine is busy with what came before it."""

    def __init__(
        self,
        services: SessionServices,
        *,
        peer: Peer,
        hosts: tuple[Host, ...],
        wire: Wire,
        delivery: Delivery | None = None,
    ) -> None:
        """Prepare it. Without `delivery`, notices are written into the connection."""
        self.peer = peer
        self.hosts = hosts  # those that the peer is now
        self.wire = wire
        self.state = SessionState.NEW
        self.waiting: set[int] = set()  # requests from here without a final notice
        self.kept = 0  # what came in and waits for room in the queue; the engine counts it
        self.on_closed: Callable[[HostSession], None] = lambda _: None
        self.on_recorded: Callable[[], None] = lambda: None
        self.reactor = services.reactor
        self.reading = ReadActivity(services.reactor)
        self._services = services
        self._delivery = delivery or StreamDelivery(services.reactor, wire, services.node)
        self._batches: deque[list[Item]] = deque()  # complete, and not yet handed over
        self._pauses: set[Pause] = set()
        self._reads = True  # what the transport was told last
        self._counted = 0
        self._settling = Timer(services.reactor, self._settle)
        self._presence = Presence(
            services.reactor, lambda: self._pauses <= {Pause.SLOW}, self._vanished
        )
        self._core = session_core(self)
        self._life = life(self._core)

    def __repr__(self) -> str:
        names = ",".join(host.name for host in self.hosts) or "stranger"
        return f"<HostSession {names} {self.address} {self.state}>"

    @property
    def address(self) -> str:
        """Where the peer is."""
        return self.peer.address

    @property
    def is_live(self) -> bool:
        """Whether the peer can be told anything more."""
        return self.state in {SessionState.OPEN, SessionState.HALF_CLOSED}

    @property
    def is_busy(self) -> bool:
        """Whether something that came in is not recorded yet, or may go on in the next line."""
        return not self.has_recorded_all or self._settling.runs

    @property
    def has_recorded_all(self) -> bool:
        """Whether all complete events that came in are recorded."""
        return Pause.RECORDING not in self._pauses and not self._batches and not self.kept

    def new_events(self) -> int:
        """Return how many events came in since this was last asked, noise and all."""
        events = self.wire.decoder.counted.events
        fresh, self._counted = events - self._counted, events
        return fresh

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
            self._presence.watch(self.transport)
        self._delivery.begin(self, self.transport)  # type: ignore[arg-type]  # a transport has it
        self.state = self._life.connect()
        self._core.data.identified()
        self._steer()
        if self.hosts:
            self._services.outbox.attach(self)

    def readConnectionLost(self) -> None:
        """The peer sends no more: its last event counts, and its answers are still sent."""
        self._settling.stop()
        self.state = self._life.end_input()
        self._take(self.wire.decoder.close())
        self._services.outbox.ready(self)
        self._delivery.look()

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
            self._take(self.wire.decoder.close())
        elif before is SessionState.OPEN and getattr(self.transport, "peer_ended", False):
            self._take(self.wire.decoder.settle())
        self._drop(self.wire.decoder.close())
        self._settling.stop()
        self._presence.end()
        self._delivery.end()
        self._services.outbox.detach(self)
        self.on_closed(self)

    def serve(self, hosts: tuple[Host, ...]) -> None:
        """Be these hosts from now on: the configuration has changed."""
        self._services.outbox.serve(self, hosts)
        self._core.data.identified()

    def close(self) -> None:
        """End the connection; what is written still goes out, if the peer reads it in time."""
        was_live = self.is_live
        self.state = self._life.close()
        if was_live and self.transport is not None:
            if hasattr(self.transport, "unregisterProducer"):
                self.transport.unregisterProducer()
            self.transport.loseConnection()

    def make_way(self) -> None:
        """End the connection at once: its host has most of them, and another host has too few."""
        told = {"address": self.address}
        self._services.limit.write(self._services.log.warn, MADE_WAY, self.address, **told)
        self.close()
        self.abort()

    def abort(self) -> None:
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
            self.state is SessionState.HALF_CLOSED
            and Pause.RECORDING not in self._pauses
            and not self.kept
            and not self.waiting
            and not self._services.outbox.owes(self)
            and not self._delivery.is_waiting
        ):
            self.close()

    # Input

    def dataReceived(self, data: bytes) -> None:
        """Decode; what may be acted on goes to the engine, in order."""
        self.reading.came()
        was_silent = self.wire.format is None
        items = self.wire.decoder.feed(data)
        if was_silent and self.wire.format is not None:
            self._services.outbox.ready(self)  # what the host has missed can be put into its format
        self._take(items)
        self._await_rest()
        self._core.data.active()

    def insert(self, events: list[Item]) -> None:
        """Take events that did not come in on the wire."""
        self._take(events)

    def _await_rest(self) -> None:
        """Give an open event its time from now on; none passes for it while nothing is read."""
        if self._reads and self.wire.decoder.pending:
            self._settling.start(self._services.settle)
        else:
            self._settling.stop()

    def _settle(self) -> None:
        """Take the open event, unless its rest is here already and was only not read in time.

        The reactor rings before it reads, and anything may have held it up. What a connection
        that was reset has brought is left to its end.
        """
        if has_unread(self.transport) or is_broken(self.transport):
            self._await_rest()
        else:
            self._take(self.wire.decoder.settle())

    def _drop(self, items: list[Item]) -> None:
        """Say what was cut, so that somebody has the host show it again."""
        if self.wire.shows_again:
            return
        for item in items:
            if isinstance(item, Acknowledgement) or not item.text:
                continue
            if isinstance(item, Event) and not item.is_candidate:
                continue
            told = {"address": self.address, "text": item.text}
            self._services.limit.write(self._services.log.warn, CUT, self.address, **told)

    def _take(self, items: list[Item]) -> None:
        if items:
            self._batches.append(items)
            self._hand_over()

    def _hand_over(self) -> None:
        """Hand over one batch after the other; while one is being recorded, read no more."""
        while self._batches and Pause.RECORDING not in self._pauses:
            self._pauses.add(Pause.RECORDING)
            done = self._services.engine.receive(self, self._batches.popleft())
            done.addErrback(self.fail)
            done.addCallback(self._recorded)
        self._steer()

    def fail(self, failure: Failure) -> None:
        """Log a failed batch, a defect unless the server stops, and have the host send it again."""
        if failure.type is LedgerError and not self.is_live:
            self._services.log.warn(
                "Input from {address} is neither recorded nor answered: {why}.",
                action="not_recorded",
                address=self.address,
                why=failure.getErrorMessage(),
            )
        else:
            self._services.log.failure(
                "Input from {address} could not be handled.",
                failure,
                action="receive_failed",
                address=self.address,
            )
        self.close()

    def _recorded(self, _: None) -> None:
        self._pauses.discard(Pause.RECORDING)
        self._hand_over()
        self.on_recorded()
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
        return self.is_live and Pause.SLOW not in self._pauses and self._delivery.has_room

    def tell(self, notice: Notice) -> None:
        """Send a notice; the outbox learns when it has been delivered."""
        self._delivery.tell(notice)
        self._core.data.active()

    def acknowledge(self, ids: tuple[int, ...]) -> None:
        """The peer says itself which notices it has got."""
        self._delivery.acknowledge(ids)

    def delivered(self, ids: list[int]) -> None:
        """Note that these count as delivered; the outbox may send others instead."""
        self._services.outbox.confirmed(self, ids)
        self._services.outbox.ready(self)

    def take_back(self) -> list[int]:
        """Return the notices that were sent and are not known to have been delivered."""
        return self._delivery.take_back()

    def send_heartbeat(self) -> None:
        """Show a silent host that the link is there, unless it does not read what was sent."""
        if Pause.SLOW not in self._pauses and self._delivery.sends_heartbeats:
            now = self._services.reactor.seconds()
            self.tell(Notice(word=Word.HEARTBEAT, host="", created=now))

    def pauseProducing(self) -> None:
        """The peer reads slower than we write: no more notices, and nothing more to answer."""
        self._pauses.add(Pause.SLOW)
        self._steer()

    def resumeProducing(self) -> None:
        """The peer has caught up."""
        self._pauses.discard(Pause.SLOW)
        self._steer()
        self._services.outbox.ready(self)

    def stopProducing(self) -> None:
        """The transport is gone."""
        self._pauses.add(Pause.SLOW)

    def _vanished(self) -> None:
        """End a connection to a system that has vanished, so that its notices go another way."""
        self._services.log.warn(
            "{address} no longer answers; its connection is ended, and its notices are due again.",
            action="vanished",
            address=self.address,
        )
        self.abort()
