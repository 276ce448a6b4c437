"""Endpoint strings (`tcp:port=7171:interface=127.0.0.1`) checked by their form alone."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from vtspolicy.suggest import did_you_mean

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

_SERVERS = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "backlog", "interface"),
    "tls": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "systemd": ("domain", "index", "name"),
}

LOCAL = "local"
"""The peer at the other end of a UNIX socket, which has no address."""

_CLIENTS = {
    "tcp": ("host", "port", "timeout", "bindAddress"),
    "tls": ("host", "port", "timeout", "bindAddress", "trustRoots", "endpoint"),
    "unix": ("path", "timeout", "lockfile"),
}

_VALUES = {
    "port": (r"[0-9]{1,5}", "a number from 0 to 65535; 0 takes a free one"),
    "backlog": (r"[1-9][0-9]{0,4}", "a number from 1 to 65535"),
    "timeout": (r"[0-9]{1,5}", "a number of seconds"),
    "mode": (r"[0-7]{1,4}", "up to four digits from 0 to 7, as in mode=600"),
    "lockfile": (r"[01]", "0 or 1"),
    "domain": (r"INET|INET6|UNIX", "INET, INET6 or UNIX"),
    "index": (r"[0-9]{1,5}", "a number of 0 or more"),
}
MOST = 65535
"""The highest number that an endpoint may have."""

MAPPED = 96
"""Bits before the address of IPv4 in one of IPv6 that stands for it."""

SERVER_KINDS = tuple(_SERVERS)
"""The kinds of doors that a listener can be."""

CLIENT_KINDS = tuple(_CLIENTS)
"""The kinds of endpoints at which another machine can be called."""


def why_no_client(endpoint: str) -> tuple[str, str] | None:
    """Return what is wrong with a client endpoint and the remedy, or None."""
    return _why_not(
        endpoint,
        _CLIENTS,
        needed=("host", "port", "path"),
        sample="tcp:host=10.0.0.9:port=23",
    )


def host_and_port(written: str, port: int) -> tuple[str, int] | None:
    """Return the parts of `HOST` or `HOST:PORT`; None if it is neither.

    `port` is taken where none is written. An address of IPv6 stands in brackets: `[::1]:22`.
    """
    match = re.fullmatch(
        r"(?:\[(?P<address>[0-9A-Fa-f:.%a-z]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?",
        written,
    )
    if match is None:
        return None
    number = int(match["port"] or port)
    return (match["address"] or match["name"], number) if 0 < number <= MOST else None


def is_loopback(host: str) -> bool:
    """Whether a host, as an endpoint names it, is this machine."""
    from ipaddress import ip_address  # noqa: PLC0415 - slow; only files need it

    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def why_no_server(endpoint: str, kinds: Collection[str] = SERVER_KINDS) -> tuple[str, str] | None:
    """Return what is wrong with a server endpoint and the remedy, or None.

    `kinds` are those that can be opened there.
    """
    return _why_not(
        endpoint,
        {kind: _SERVERS[kind] for kind in kinds},
        needed=("port", "address", "domain"),
        sample="tcp:port=7171:interface=127.0.0.1",
    )


def network_of(peer: str) -> "IPv4Network | IPv6Network":
    """Return the network that a peer is written as: an address is one of its own.

    IPv4 addresses are recognised in IPv6 notation too (`::ffff:10.0.0.9`). Raises ValueError.
    """
    from ipaddress import IPv6Network, ip_network  # noqa: PLC0415 - slow; only files need it

    network = ip_network(peer, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= MAPPED:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network((mapped, network.prefixlen - MAPPED))
    return network


def reaches_beyond(endpoint: str) -> bool:
    """Whether other machines can reach a server endpoint, as far as its form shows."""
    kind = kind_of(endpoint)
    if kind not in {"tcp", "tcp6", "tls"}:
        return False
    (_, *given), named = split(endpoint)
    values = {**dict(zip(_SERVERS[kind], given, strict=False)), **dict(named)}
    return not is_loopback(values.get("interface", ""))


def client_values(endpoint: str) -> dict[str, str]:
    """Return the parts of a client endpoint that is right in its form, by their names."""
    (kind, *given), named = split(endpoint)
    return {**dict(zip(_CLIENTS[kind], given, strict=False)), **dict(named)}


def kind_of(endpoint: str) -> str:
    """Return the kind of an endpoint: the word before its first colon."""
    return endpoint.partition(":")[0]


def _why_not(
    endpoint: str, kinds: Mapping[str, tuple[str, ...]], *, needed: tuple[str, ...], sample: str
) -> tuple[str, str] | None:
    kind = kind_of(endpoint)
    if kind not in kinds:
        known = f"one of {', '.join(kinds)}, as in {sample}"
        return f'"{kind}" is not a kind of endpoint', did_you_mean(kind, kinds) or known
    (_, *given), named = split(endpoint)
    names = kinds[kind]
    if re.search(r"(?<!\\)(\\\\)*\\\Z", endpoint):
        return "it ends with a backslash", f"as in {sample}"
    if re.search(r"(?<!\\)::", endpoint):
        return "there is nothing between two colons", r"\: is a colon of an address, as in \:\:1"
    if len(given) > len(names):
        return f'"{given[len(names)]}" is one part too many', f"as in {sample}"
    values = dict(zip(names, given, strict=False))
    for name, value in named:
        if name not in names:
            known = f"{kind} takes {', '.join(names)}"
            return f'{kind} has no "{name}"', did_you_mean(name, names) or known
        if name in values:
            return f"{name} is given twice", f"as in {sample}"
        values[name] = value
    for name in needed:
        if name in names and not values.get(name):
            return f"{kind} needs {name}=", f"as in {sample}"
    return _why_no_values(kind, values)


def _why_no_values(kind: str, values: Mapping[str, str]) -> tuple[str, str] | None:
    for name, (form, known) in _VALUES.items():
        value = values.get(name)
        if value is not None and not (
            re.fullmatch(form, value) and (not value.isdecimal() or int(value) <= MOST)
        ):
            return f'"{value}" is not a valid {name}', known
    if kind == "systemd" and ("index" in values) == ("name" in values):
        return "systemd needs one of index= and name=", "as in systemd:domain=INET:index=0"
    return None


def split(endpoint: str) -> tuple[list[str], list[tuple[str, str]]]:
    r"""Return the parts of an endpoint that have no name, and those that have, as Twisted does.

    A backslash takes the next character as it is: `tcp6:port=1:interface=\:\:1`.
    """
    parts: list[list[str]] = [[""]]
    characters = iter(endpoint)
    for character in characters:
        if character == ":":
            parts.append([""])
        elif character == "=" and len(parts[-1]) == 1:
            parts[-1].append("")
        else:
            parts[-1][-1] += next(characters, "\\") if character == "\\" else character
    unnamed = [part[0] for part in parts if len(part) == 1]
    return unnamed, [(part[0], part[1]) for part in parts if len(part) > 1]
