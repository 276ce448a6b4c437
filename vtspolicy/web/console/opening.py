"""The console's endpoint, opened: with TLS, or as it is on a loopback address or a UNIX socket."""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort

from vtspolicy.config.endpoints import kind_of
from vtspolicy.config.model import Console
from vtspolicy.control import Control
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.ledger import Ledger
from vtspolicy.threads import Threads
from vtspolicy.web.access import COMPARED, Access
from vtspolicy.web.console.asking import Server
from vtspolicy.web.console.site import make_console


def open_console(
    reactor: Any,  # a whole reactor
    console: Console,
    *,
    control: Control,
    ledger: Ledger,
    policy: PolicyInForce,
    names: Callable[[], set[str]],
) -> Deferred[IListeningPort]:
    """Listen for browsers. Raises OSError or UnusableFileError; CannotListenError comes later."""
    about = Server(
        control=control,
        ledger=ledger,
        policy=lambda: policy.current,
        clock=reactor.seconds,
        threads=Threads("console", reactor).ask,
    )
    access = Access(
        people=lambda: policy.current.configuration.people,
        monotonic=time.monotonic,
        threads=Threads("sign-in", reactor, COMPARED).ask,
    )
    is_tls = kind_of(console.endpoint) == "tls"
    site = make_console(about, access, names=names, secure=is_tls, reactor=reactor)
    if not is_tls:
        port: Deferred[IListeningPort] = serverFromString(reactor, console.endpoint).listen(site)
        return port
    from vtspolicy.hosts.tls import TLSServerEndpoint, tls_context  # noqa: PLC0415  OpenSSL

    beneath = serverFromString(reactor, f"tcp:{console.endpoint.removeprefix('tls:')}")
    return TLSServerEndpoint(
        beneath=beneath, context=tls_context(console.door, anybody=True)
    ).listen(site)
