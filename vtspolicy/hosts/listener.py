"""The doors: one Twisted endpoint for each `listen` of the configuration, plain TCP or TLS."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from OpenSSL import crypto
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint, serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.logger import Logger

from vtspolicy.config.model import Host, Listen
from vtspolicy.events.decoder import decoder
from vtspolicy.hosts.session import HostSession, Link
from vtspolicy.rights import hosts_of_peer

STRANGERS = 16
"""The most connections at once of peers that are no configured host."""


@define(kw_only=True)
class Doors:
    """All listening ports and all sessions that came through them."""

    link: Link
    hosts: Callable[[], Sequence[Host]]  # asked at each connection: a reload may change them
    limit: int  # connections at once
    on_refused: Callable[[str], None]  # a connection was closed at the door: stranger or full
    on_count: Callable[[HostSession, int], None]  # a session came (+1) or went (-1)
    sessions: set[HostSession] = field(factory=set)
    ports: list[IListeningPort] = field(factory=list)
    held: bool = False  # nothing is read from new connections either

    async def open(self, reactor: Any, listens: Sequence[Listen]) -> None:  # a whole reactor
        """Open all doors. Raises CannotListenError, OSError or ValueError."""
        for listen in listens:
            endpoint = server_endpoint(reactor, listen)
            self.ports.append(await endpoint.listen(_Door(self, listen)))

    async def close(self) -> None:
        """Close the doors, then the sessions; what they had received complete is still taken."""
        with suppress(Exception):  # a port that is gone already is closed
            await gatherResults([maybeDeferred(port.stopListening) for port in self.ports])
        self.ports.clear()
        for session in list(self.sessions):
            session.close()

    def hold(self) -> None:
        """Read nothing more from anybody: senders wait, nothing is lost; notices still go out."""
        self.held = True
        for session in self.sessions:
            session.hold()

    def let_go(self) -> None:
        """Read again."""
        self.held = False
        for session in self.sessions:
            session.let_go()

    def admit(self, hosts: tuple[Host, ...]) -> bool:
        """Whether one more connection fits."""
        if len(self.sessions) >= self.limit:
            self.on_refused("full")
            return False
        strangers = sum(1 for session in self.sessions if not session.hosts)
        if not hosts and strangers >= STRANGERS:
            self.on_refused("stranger")
            return False
        return True

    def add(self, session: HostSession) -> None:
        """A session begins."""
        self.sessions.add(session)
        session.on_closed = self._remove
        if self.held:
            session.hold()
        self.on_count(session, +1)

    def _remove(self, session: HostSession) -> None:
        self.sessions.discard(session)
        self.on_count(session, -1)


class _Door(Factory):
    noisy = False

    def __init__(self, doors: Doors, listen: Listen) -> None:
        self._doors = doors
        self._listen = listen
        self._log = Logger("vtspolicy.hosts")

    def buildProtocol(self, addr: IAddress | None) -> TwistedProtocol | None:
        """Make a session for a peer, or close the door on it."""
        address = getattr(addr, "host", None) or "local"
        if self._listen.clients is not None:
            return _Handshake(self, address)
        return self.session(address, None)

    def session(self, address: str, certificate: str | None) -> HostSession | None:
        """Make the session of a peer, now that its name is known."""
        hosts = hosts_of_peer(self._doors.hosts(), address=address, certificate=certificate)
        if not self._doors.admit(hosts):
            self._log.warn(
                "Connection of {address} closed: no room.", action="refused", address=address
            )
            return None
        if not hosts:
            self._log.warn(
                "{address} is no peer of a configured host.", action="stranger", address=address
            )
        session = HostSession(
            self._doors.link,
            hosts=hosts,
            address=address,
            decoder=decoder(self._listen.format, wrapped=self._listen.wrapped),
        )
        self._doors.add(session)
        return session


class _Handshake(TwistedProtocol):
    """Waits for the first bytes of a TLS peer: only then its certificate is known."""

    def __init__(self, door: _Door, address: str) -> None:
        self._door = door
        self._address = address
        self._session: HostSession | None = None

    def dataReceived(self, data: bytes) -> None:
        if self._session is None and not self._begin():
            return
        if self._session is not None:
            self._session.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:  # Twisted's own signature
        if self._session is not None:
            self._session.connectionLost(reason)

    def _begin(self) -> bool:
        if self.transport is None:
            return False
        peer: crypto.X509 | None = self.transport.getPeerCertificate()  # type: ignore[attr-defined]
        name = peer.get_subject().CN if peer is not None else None
        self._session = self._door.session(self._address, name)
        if self._session is None:
            self.transport.loseConnection()
            return False
        self._session.makeConnection(self.transport)  # type: ignore[no-untyped-call]  # Twisted
        return True


def server_endpoint(reactor: Any, listen: Listen) -> IStreamServerEndpoint:  # a whole reactor
    """Return the endpoint of one door; `tls:` is `ssl:` with a required client certificate."""
    if not listen.endpoint.startswith("tls:"):
        endpoint: IStreamServerEndpoint = serverFromString(reactor, listen.endpoint)
        return endpoint
    options = dict(part.split("=", 1) for part in listen.endpoint.split(":")[1:])
    if listen.key is None or listen.cert is None or listen.clients is None:
        raise ValueError(f"{listen.endpoint}: key, cert and clients are needed")
    own = PrivateCertificate.loadPEM(listen.cert.read_bytes() + b"\n" + listen.key.read_bytes())
    context = CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        trustRoot=trustRootFromCertificates(_authorities(listen.clients)),
    )
    return SSL4ServerEndpoint(
        reactor, int(options["port"]), context, interface=options.get("interface", "")
    )


def _authorities(file: Path) -> list[Certificate]:
    end = b"-----END CERTIFICATE-----"
    parts = file.read_bytes().split(end)[:-1]
    return [Certificate.loadPEM(part + end) for part in parts]
