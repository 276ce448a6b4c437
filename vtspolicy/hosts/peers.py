"""Who is at the other end of a link, and which of the configured hosts that makes it.

What a peer may do follows from its hosts: `vtspolicy.rights` decides by them about each command.
"""

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

from vtspolicy.config.model import Host
from vtspolicy.rights import hosts_of_peer


class Peer(Protocol):
    """The other end of a link."""

    @property
    def address(self) -> str:
        """Where it is, for denials and the log."""

    @property
    def certificate(self) -> str | None:
        """The name in its certificate, where it had to show one."""

    @property
    def is_dialled(self) -> bool:
        """Whether this program opened the link; if not, a listener has limited the number."""

    def hosts_among(self, configured: Iterable[Host]) -> tuple[Host, ...]:
        """Return the hosts that the peer is, of those that are configured now."""


@frozen(kw_only=True)
class ConnectingPeer:
    """A peer that has connected to a listener: its address and its certificate tell its hosts."""

    address: str
    certificate: str | None = None
    is_dialled: bool = False

    def hosts_among(self, configured: Iterable[Host]) -> tuple[Host, ...]:
        """Return the hosts whose `peers` cover the address and the certificate."""
        return hosts_of_peer(configured, address=self.address, certificate=self.certificate)


@frozen(kw_only=True)
class DialledPeer:
    """A host to which this program has logged on: it is known, and needs no `peers`."""

    host: str  # its name in the configuration
    address: str  # where it was reached, for denials and the log
    certificate: str | None = None
    is_dialled: bool = True

    def hosts_among(self, configured: Iterable[Host]) -> tuple[Host, ...]:
        """Return the host as it is configured now; none if it is no longer configured."""
        return tuple(host for host in configured if host.name == self.host)
