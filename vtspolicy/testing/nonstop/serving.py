"""Opens the listeners of a simulated system.

A listener is `KIND:PORT` on this machine alone, or `KIND:` and what Twisted writes behind `tcp:`,
as in `ssh:port=2222:interface=10.0.0.9`. Kinds are `telnet`, `telnets` (Telnet over TLS), `ssh` and
`lines`. Port 0 takes a free one.
"""

import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory

from vtspolicy.testing.nonstop.lines import LineFactory
from vtspolicy.testing.nonstop.link import Faults
from vtspolicy.testing.nonstop.system import System
from vtspolicy.testing.nonstop.telnet import TelnetFactory

KINDS = ("telnet", "telnets", "ssh", "lines")
LOOPBACK = "127.0.0.1"


class ListenerError(ValueError):
    """What was given is not a listener; the message says what is."""


@frozen(kw_only=True)
class Keys:
    """What the listeners show of themselves."""

    host_key: Any = None  # a conch Key; None: a new one for each listener
    certificate: Any = None  # Twisted's CertificateOptions, for telnets


@frozen(kw_only=True)
class Listener:
    """A listener that is open."""

    kind: str
    port: IListeningPort

    @property
    def address(self) -> IAddress:
        """Where it is."""
        address: IAddress = self.port.getHost()
        return address


def read_listener(text: str) -> tuple[str, str]:
    """Return kind and Twisted endpoint of a listener. Raises ListenerError."""
    kind, _, where = text.partition(":")
    if kind not in KINDS or not where:
        raise ListenerError(
            f'"{text}" is not a listener: write one of {", ".join(KINDS)}, and :PORT'
        )
    if re.fullmatch(r"[0-9]{1,5}", where):
        where = f"port={where}:interface={LOOPBACK}"
    return kind, f"tcp:{where}"


def factory(
    kind: str, system: System, reactor: Any, faults: Faults | None, keys: Keys
) -> Factory | TLSMemoryBIOFactory:
    """Return what makes a session for each connection. Raises ListenerError."""
    if kind == "lines":
        return LineFactory(system, reactor, faults)
    if kind == "ssh":
        from vtspolicy.testing.nonstop.ssh import SshFactory  # noqa: PLC0415 - slow to load

        return SshFactory(system, reactor, faults, keys.host_key)
    telnet = TelnetFactory(system, reactor, faults)
    if kind == "telnet":
        return telnet
    if keys.certificate is None:
        raise ListenerError("telnets needs a certificate and its key")
    return TLSMemoryBIOFactory(
        keys.certificate, isClient=False, wrappedFactory=telnet, clock=reactor
    )


@frozen(kw_only=True)
class Plan:
    """A listener that can be opened."""

    kind: str
    endpoint: IStreamServerEndpoint
    factory: Any  # an IProtocolFactory


def prepare(
    system: System,
    reactor: Any,  # a whole one
    listeners: Iterable[str],
    *,
    faults: Faults | None = None,
    keys: Keys | None = None,
) -> list[Plan]:
    """Read listeners. Raises ListenerError."""
    plans = []
    for text in listeners:
        kind, where = read_listener(text)
        try:
            endpoint = serverFromString(reactor, where)
        except (ValueError, TypeError, LookupError) as error:
            raise ListenerError(f'"{text}" is not a listener: {error}') from None
        made = factory(kind, system, reactor, faults, keys or Keys())
        plans.append(Plan(kind=kind, endpoint=endpoint, factory=made))
    return plans


async def listen(plans: Iterable[Plan]) -> list[Listener]:
    """Open listeners, all or none. Raises CannotListenError."""
    opened: list[Listener] = []
    try:
        for plan in plans:
            port = await plan.endpoint.listen(plan.factory)
            opened.append(Listener(kind=plan.kind, port=port))
    except BaseException:
        await close(opened)
        raise
    return opened


async def serve(
    system: System,
    reactor: Any,  # a whole one
    listeners: Iterable[str],
    *,
    faults: Faults | None = None,
    keys: Keys | None = None,
) -> list[Listener]:
    """Open listeners. Raises ListenerError and CannotListenError."""
    return await listen(prepare(system, reactor, listeners, faults=faults, keys=keys))


async def close(listeners: list[Listener]) -> None:
    """Close listeners; links that are up stay up."""
    for listener in listeners:
        await listener.port.stopListening()  # type: ignore[misc]  # a Deferred for every real port
