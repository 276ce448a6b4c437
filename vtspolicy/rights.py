"""Who may do what: a host is known by its peer address and its system, and may do what is listed.

Everything that is not listed in the configuration is denied.
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address

from vtspolicy.config.endpoints import LOCAL, network_of
from vtspolicy.config.model import Host
from vtspolicy.events.event import Event
from vtspolicy.grammar.command import Command
from vtspolicy.tapes import Tape


def hosts_of_peer(
    hosts: Iterable[Host], *, address: str, certificate: str | None = None
) -> tuple[Host, ...]:
    """Return the configured hosts that connect from `address`, or with a certificate of that name.

    `peers` holds addresses, networks (10.0.0.0/24), LOCAL, and `CN=name` for TLS. A host that lists
    a `CN=` is known by its certificate only: its address alone proves nothing.
    """
    return tuple(host for host in hosts if _is_peer(host, address, certificate))


def _is_peer(host: Host, address: str, certificate: str | None) -> bool:
    names = [peer[3:] for peer in host.peers if peer.startswith("CN=")]
    networks = [peer for peer in host.peers if not peer.startswith("CN=")]
    if names and certificate not in names:
        return False
    return any(_covers(network, address) for network in networks) if networks else bool(names)


def _covers(network: str, address: str) -> bool:
    if LOCAL in {network, address}:
        return network == address
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found) in network_of(network)


def host_of_event(hosts: Collection[Host], event: Event, *, address: str) -> Host | str:
    """Return the host that sent an event over a connection of `hosts`, or the reason for a denial.

    The system in the header decides among hosts that share an address; a plain command has
    none, so its connection must belong to exactly one host.
    """
    if not hosts:
        return f"{address} is not a peer of a configured host"
    if event.system is None:
        if len(hosts) == 1:
            return next(iter(hosts))
        return (
            f"a command without an event header is ambiguous: {address} is a peer of several hosts"
        )
    for host in hosts:
        if event.system in host.systems:
            return host
    return not_a_system(event.system)


def why_not_command(host: Host, command: Command) -> str | None:
    """Return why a host may not give a command, or None: its family and the vaults it names."""
    if not _listed(command.family, host.families):
        return f"host {host.name} may not use {command.family}"
    for target in command.targets:
        if target.vault is not None and not _listed(target.vault, host.vaults):
            return f"host {host.name} may not use vault {target.vault}"
    return None


def why_not_tapes(host: Host, tapes: Iterable[Tape]) -> str | None:
    """Return why a host may not use these tapes, or None: for commands that name tapes only."""
    for tape in tapes:
        if not _listed(tape.vault, host.vaults):
            return f"host {host.name} may not use vault {tape.vault}"
    return None


def why_denied(
    host: Host, command: Command, *, system: str | None, tapes: Iterable[Tape]
) -> str | None:
    """Return why a server denies a command of a host, or None, before it asks its rules.

    `system` is that of the event's header, None for a command without one.
    """
    if system is not None and system not in host.systems:
        return not_a_system(system)
    return why_not_command(host, command) or why_not_tapes(host, tapes)


def not_a_system(system: str) -> str:
    """Return the reason why an event of a system is denied that is not its host's."""
    return f"system {system} is not one of this host's systems"


@lru_cache(maxsize=1024)
def _listed(name: str, allowed: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in allowed)
