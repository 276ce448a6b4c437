"""The log of connections: who came and went, who was turned away, and why TLS failed."""

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from vtspolicy.hosts.session import HostSession
from vtspolicy.log_limit import Line, LogLimit

OPENED = Line(
    action="link_opened",
    format="{host} has connected from {address} to {listener}.",
    more="{count} more connections of {peer} opened within a minute.",
)
CLOSED = Line(
    action="link_closed",
    format="The connection of {host} from {address} is closed.",
    more="{count} more connections of {peer} closed within a minute.",
)
STRANGER = Line(
    action="stranger",
    format="{name} at {listener} is not a peer of a configured host.",
    more="{count} more connections of {peer}, not a peer of a configured host, within a minute.",
)
NO_ROOM = Line(
    action="refused",
    format="Connection of {address} to {listener} closed: no room.",
    more="{count} more connections of {peer} closed within a minute: no room.",
)
TLS_FAILED = Line(
    action="tls_failed",
    format="No TLS connection of {address} to {listener}: {cause}.",
    more="{count} more TLS connections of {peer} failed within a minute.",
)


@define
class LinkLog:
    """Logs connections, the first of a peer at once and the others of a minute as a number."""

    _clock: IReactorTime
    _limit: LogLimit = field(init=False)
    _log: Logger = field(init=False, factory=lambda: Logger("vtspolicy.hosts"))

    def __attrs_post_init__(self) -> None:
        self._limit = LogLimit(self._clock)

    def opened(self, session: HostSession, listener: str) -> None:
        """A connection is there, of a host or of a stranger."""
        about = {
            "address": session.address,
            "certificate": session.peer.certificate,
            "listener": listener,
        }
        if session.hosts:
            host = _host(session)
            self._limit.write(self._log.info, OPENED, host, host=host, **about)
            return
        name = session.address
        if session.peer.certificate is not None:
            name = f"{session.peer.certificate} ({session.address})"
        self._limit.write(self._log.warn, STRANGER, session.address, name=name, **about)

    def closed(self, session: HostSession) -> None:
        """A connection is gone; that a stranger has gone is not logged."""
        if session.hosts:
            host = _host(session)
            self._limit.write(self._log.info, CLOSED, host, host=host, address=session.address)

    def no_room(self, address: str, listener: str) -> None:
        """A connection was refused: there are too many."""
        self._limit.write(self._log.warn, NO_ROOM, address, address=address, listener=listener)

    def tls_failed(self, address: str, listener: str, cause: str) -> None:
        """A peer has not got through its TLS handshake."""
        self._limit.write(
            self._log.warn, TLS_FAILED, address, address=address, listener=listener, cause=cause
        )


def _host(session: HostSession) -> str:
    return ", ".join(host.name for host in session.hosts)
