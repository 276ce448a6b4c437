"""Endpoint strings (`tcp:port=7171:interface=127.0.0.1`) checked by their form alone."""

import re
from collections.abc import Mapping

from vtspolicy.suggest import did_you_mean

_SERVERS = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "tls": ("port", "interface", "backlog"),
    "unix": ("address", "mode", "backlog", "lockfile"),
    "systemd": ("domain", "index", "name"),
    "fd": ("fileno",),
}
_CLIENTS = {
    "tcp": ("host", "port", "timeout", "bindAddress"),
    "tls": ("host", "port", "timeout", "bindAddress"),
    "unix": ("path", "timeout", "lockfile"),
}
LOCAL = "local"
"""The peer at the other end of a UNIX socket, which has no address."""

SERVER_KINDS = tuple(_SERVERS)
"""The kinds of doors that a listener can be."""

CLIENT_KINDS = tuple(_CLIENTS)
"""The ways in which a host can be called."""


def why_no_server(endpoint: str) -> tuple[str, str] | None:
    """Return what is wrong with a server endpoint and the remedy, or None."""
    return _why_not(
        endpoint, _SERVERS, needed=("port",), sample="tcp:port=7171:interface=127.0.0.1"
    )


def why_no_client(endpoint: str) -> tuple[str, str] | None:
    """Return what is wrong with a client endpoint and the remedy, or None."""
    return _why_not(endpoint, _CLIENTS, needed=("host", "port"), sample="tcp:host=10.0.0.9:port=23")


def kind_of(endpoint: str) -> str:
    """Return the kind of an endpoint: the word before its first colon."""
    return endpoint.partition(":")[0]


def _why_not(
    endpoint: str, kinds: Mapping[str, tuple[str, ...]], *, needed: tuple[str, ...], sample: str
) -> tuple[str, str] | None:
    kind, *parts = re.split(r"(?<!\\):", endpoint)
    if kind not in kinds:
        known = f"one of {', '.join(kinds)}, as in {sample}"
        return f'"{kind}" is no kind of endpoint', did_you_mean(kind, kinds) or known
    values: dict[str, str] = {}
    for position, part in enumerate(parts):
        name, is_named, value = part.partition("=")
        if not is_named:
            if position >= len(kinds[kind]):
                return f'"{part}" is one part too many', f"as in {sample}"
            name, value = kinds[kind][position], part
        if name not in kinds[kind]:
            known = f"{kind} takes {', '.join(kinds[kind])}"
            return f'{kind} has no "{name}"', did_you_mean(name, kinds[kind]) or known
        values[name] = value
    for name in needed:
        if name in kinds[kind] and not values.get(name):
            return f"{kind} needs {name}=", f"as in {sample}"
    port = values.get("port", "0")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        return f'"{port}" is no port', "a number from 0 to 65535; 0 takes a free one"
    return None
