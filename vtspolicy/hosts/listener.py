"""The listeners: a Twisted endpoint for each `listen` of the configuration, plain or TLS."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from vtspolicy.config.endpoints import LOCAL
from vtspolicy.config.model import Host, Listen
from vtspolicy.events.decoder import decoder
from vtspolicy.hosts.link_log import LinkLog
from vtspolicy.hosts.peers import ConnectingPeer
from vtspolicy.hosts.session import HostSession
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.hosts.wires import Wire

STRANGERS = 16
"""The most connections at once of peers that are not a configured host."""

HANDSHAKE = 15.0
"""Seconds that a TLS peer may take to show its certificate."""

HANDSHAKES = 100
"""The most TLS peers at once that have not shown it yet: more than a listener's backlog holds."""


@define(kw_only=True)
class Listeners:
    """All listening ports, and how many peers they let in."""

    sessions: Sessions  # of all links; those that came in through a listener are counted here
    limit: int  # connections at once
    on_refused: Callable[[str], None]  # a connection was refused, and why
    on_tls_failure: Callable[[str], None] = lambda _: None  # at this endpoint
    handshakes: dict["_Handshake", str] = field(factory=dict)  # the oldest first -> its address
    ports: list[IListeningPort] = field(factory=list)

    @property
    def reactor(self) -> IReactorTime:
        """The clock."""
        return self.sessions.services.reactor

    @property
    def log(self) -> LinkLog:
        """The log of connections."""
        return self.sessions.log

    async def open(self, reactor: Any, listens: Sequence[Listen]) -> None:  # a whole reactor
        """Open all listeners. Raises CannotListenError, OSError or ValueError."""
        for listen in listens:
            endpoint = server_endpoint(reactor, listen)
            self.ports.append(await endpoint.listen(_SessionFactory(self, listen)))

    async def close(self) -> None:
        """Close the listeners; the sessions go on."""
        for port in self.ports:
            closed = maybeDeferred(port.stopListening)
            await closed.addErrback(self._not_closed)  # the others are closed all the same
        self.ports.clear()
        for handshake in list(self.handshakes):
            handshake.transport.abortConnection()  # type: ignore[union-attr]  # it is connected

    def _not_closed(self, failure: Failure) -> None:
        self.sessions.services.log.failure(
            "A listener could not be closed; the stop goes on.", failure, action="door_not_closed"
        )

    @property
    def _is_full(self) -> bool:
        return len(self.sessions.incoming) >= self.limit

    def has_room(self) -> bool:
        """Whether there is room for one more connection, of any peer; if not, it is counted.

        Where a host has several, one of them may make way.
        """
        of_hosts = [count for owner, count in self._shares().items() if owner]
        if not self._is_full or max(of_hosts, default=0) > 1:
            return True
        self.on_refused("full")
        return False

    def _shares(self) -> Counter[str]:
        """Return how many connections each host has; strangers are one."""
        return Counter(_owner(each.hosts) for each in self.sessions.incoming)

    def _make_room(self, hosts: tuple[Host, ...]) -> bool:
        """End an idle connection of the host that has most, for one that has two less.

        Of those, it is the one that waits for nothing and has been silent longest.
        """
        shares = self._shares()
        if not hosts or not shares:
            return False
        owner, most = shares.most_common(1)[0]
        if most < shares[_owner(hosts)] + 2:
            return False
        idle = [
            each
            for each in self.sessions.incoming
            if _owner(each.hosts) == owner and not each.is_busy
        ]
        if not idle:
            return False
        chosen = min(idle, key=lambda each: (bool(each.waiting), each.reading.last))
        self.sessions.incoming.discard(chosen)  # it will be gone at once
        self.on_refused("made_way")
        chosen.make_way()
        return True

    def limit_handshakes(self) -> None:
        """End one handshake if there are too many: the oldest of the address that has most.

        So those who show no certificate take the place of one another, never that of a host, and
        not even that of a host's own handshake.
        """
        if len(self.handshakes) < HANDSHAKES:
            return
        of_address = Counter(self.handshakes.values())
        most = max(of_address.values())
        next(each for each, its in self.handshakes.items() if of_address[its] == most).give_up()

    def admit(self, hosts: tuple[Host, ...]) -> bool:
        """Whether one more connection of these hosts fits."""
        if self._is_full and not self._make_room(hosts):
            self.on_refused("full")
            return False
        strangers = sum(1 for session in self.sessions.incoming if not session.hosts)
        if not hosts and strangers >= STRANGERS:
            self.on_refused("stranger")
            return False
        return True


def _owner(hosts: tuple[Host, ...]) -> str:
    """Return whose a connection is, of hosts that share an address that of the first."""
    return hosts[0].name if hosts else ""


class _SessionFactory(Factory):
    noisy = False

    def __init__(self, listeners: Listeners, listen: Listen) -> None:
        self.listeners = listeners
        self.listen = listen

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol | None:
        """Make a session for a peer, or refuse it."""
        address = getattr(addr, "host", None) or LOCAL
        if self.listen.clients is not None:
            if not self.listeners.has_room():
                self.listeners.log.no_room(address, self.listen.endpoint)
                return None
            self.listeners.limit_handshakes()
            return _Handshake(self, address)
        return self.session(address, None)

    def session(self, address: str, certificate: str | None) -> HostSession | None:
        """Make the session of a peer, now that its name is known."""
        peer = ConnectingPeer(address=address, certificate=certificate)
        sessions = self.listeners.sessions
        hosts = peer.hosts_among(sessions.hosts())
        if not self.listeners.admit(hosts):
            self.listeners.log.no_room(address, self.listen.endpoint)
            return None
        listen = self.listen
        wire = Wire(decoder=decoder(listen.format, wrapped=listen.wrapped, plain=listen.plain))
        session = HostSession(sessions.services, peer=peer, hosts=hosts, wire=wire)
        sessions.add(session, listen.endpoint)
        return session


@implementer(IHandshakeListener)
class _Handshake(TwistedProtocol):
    """Waits until a TLS peer has shown its certificate: only then it is known who it is."""

    def __init__(self, factory: _SessionFactory, address: str) -> None:
        self._factory = factory
        self._address = address
        self._session: HostSession | None = None
        self._patience: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Wait, but not for ever."""
        listeners = self._factory.listeners
        listeners.handshakes[self] = self._address
        self._patience = listeners.reactor.callLater(HANDSHAKE, self.give_up)

    def handshakeCompleted(self) -> None:
        """Begin the session of a peer whose certificate our authority has signed."""
        self._end_wait()
        if self.transport is None:
            return
        # An OpenSSL.crypto.X509, or None.
        peer: Any = self.transport.getPeerCertificate()  # type: ignore[attr-defined]
        name = peer.get_subject().CN if peer is not None else None
        self._session = self._factory.session(self._address, name)
        if self._session is None:
            self.transport.loseConnection()
        else:
            self._session.makeConnection(self.transport)  # type: ignore[no-untyped-call]  # Twisted

    def dataReceived(self, data: bytes) -> None:
        """Pass on what comes; it comes after the handshake."""
        if self._session is not None:
            self._session.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:  # Twisted's own signature
        """End the session, if there is one."""
        waited = self in self._factory.listeners.handshakes
        self._end_wait()
        if self._session is not None:
            self._session.connectionLost(reason)
        elif waited:
            self._failed(_why_no_handshake(self.transport, reason))

    def give_up(self) -> None:
        """End the connection: it has waited too long, or others need its place."""
        self._end_wait()
        self._factory.listeners.on_refused("handshake")
        self._failed(f"it showed no certificate within {HANDSHAKE:g} s, or others needed its place")
        self.transport.abortConnection()  # type: ignore[union-attr]  # TLS over TCP has it

    def _failed(self, reason: str) -> None:
        endpoint = self._factory.listen.endpoint
        self._factory.listeners.on_tls_failure(endpoint)
        self._factory.listeners.log.tls_failed(self._address, endpoint, reason)

    def _end_wait(self) -> None:
        self._factory.listeners.handshakes.pop(self, None)
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        self._patience = None


def _why_no_handshake(transport: object, reason: Any) -> str:  # Twisted's own signature
    """Return why a peer got no TLS connection, in the words of OpenSSL or of our own check."""
    refused: str | None = getattr(transport, "refused", None)
    if refused is not None:
        return refused
    value = getattr(reason, "value", None)
    # OpenSSL.SSL.Error, which is loaded by who needs it only: a list of (library, function, text).
    said = value.args[0] if value is not None and value.args else None
    if isinstance(said, list):
        return "; ".join(str(each[-1]) for each in said) or "the peer broke it off"
    return "the peer ended the connection before its TLS handshake was over"


def server_endpoint(reactor: Any, listen: Listen) -> IStreamServerEndpoint:  # a whole reactor
    """Return the endpoint of one listener; `tls:` is `ssl:` with a required client certificate."""
    if not listen.endpoint.startswith("tls:"):
        endpoint: IStreamServerEndpoint = serverFromString(reactor, listen.endpoint)
        return endpoint
    from vtspolicy.hosts.tls import tls_endpoint  # noqa: PLC0415  OpenSSL only for who needs it

    return tls_endpoint(reactor, listen)
