"""Opens a terminal on a host: the transport that a link's settings ask for."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    clientFromString,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from vtspolicy.config.endpoints import kind_of
from vtspolicy.config.model import Dial
from vtspolicy.hosts.dial.terminal import LinkError, PlainTerminal, Screen
from vtspolicy.links.life import Cause

CONNECTING = 30.0
"""Seconds that a connection may take."""

LONGEST_PASSWORD = 239
"""Bytes of a password at most: a line of the host has no more."""


def read_password(file: Path) -> str:
    """Return the password in a file, its first line. Raises LinkError."""
    try:
        with file.open("rb") as opened:
            line = opened.readline(LONGEST_PASSWORD + 3)
        password = line.decode().rstrip("\r\n")
    except OSError as error:
        raise LinkError(Cause.UNUSABLE, f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LinkError(Cause.UNUSABLE, f"{file} is not UTF-8") from None
    if not password or not password.isprintable() or len(password.encode()) > LONGEST_PASSWORD:
        raise LinkError(
            Cause.UNUSABLE, f"the first line of {file} is not a password that can be typed"
        )
    return password


@frozen(kw_only=True)
class Attempt:
    """A terminal that is being opened; the screen learns what becomes of it."""

    _connecting: "Deferred[Any]"  # fires with a protocol of one kind or another

    def cancel(self) -> None:
        """End it, if it is still under way."""
        self._connecting.cancel()


def open_terminal(
    reactor: Any,  # a whole one
    dial: Dial,
    screen: Screen,
    password: str | None,
    *,
    endpoint_of: Callable[[Any, Dial], IStreamClientEndpoint] | None = None,
) -> Attempt:
    """Begin to open a terminal. Raises LinkError if a file of ours cannot be used.

    `endpoint_of` says where to connect, other than the settings do.
    """
    endpoint = (endpoint_of or _endpoint)(reactor, dial)
    protocol = _protocol(dial, screen, password)
    connecting = connectProtocol(endpoint, protocol)

    def failed(failure: Failure) -> None:
        if failure.check(CancelledError):
            words = f"no connection within {CONNECTING:g} s"
        else:
            words = f"no connection: {failure.getErrorMessage()}"
        screen.ended(LinkError(Cause.UNREACHABLE, words))

    connecting.addErrback(failed)
    return Attempt(connecting=connecting)


Open = Callable[[Dial, Screen, str | None], Attempt]
"""`open_terminal` on a reactor, or on what a test has for one."""


def _endpoint(reactor: Any, dial: Dial) -> IStreamClientEndpoint:  # a whole reactor
    if kind_of(dial.endpoint) in {"tls", "telnets"} and _has_no_tls():
        words = "the server was started without any TLS: restart it to open this link"
        raise LinkError(Cause.UNUSABLE, words)
    if dial.address is None:
        try:
            endpoint: IStreamClientEndpoint = clientFromString(reactor, dial.endpoint)
        except (ValueError, TypeError, OSError) as error:
            raise LinkError(Cause.UNUSABLE, f"{dial.endpoint} cannot be used: {error}") from None
        return endpoint
    host, port = dial.address
    plain = HostnameEndpoint(reactor, host, port, timeout=CONNECTING)
    if dial.protocol != "telnets":
        return plain
    return wrapClientTLS(_tls(host.partition("%")[0], dial.authority), plain)


def _has_no_tls() -> bool:
    """Whether the server was started without OpenSSL; see `vtspolicy.cli.serve`."""
    return sys.modules.get("OpenSSL", sys) is None


def _tls(host: str, authority: Path | None) -> Any:  # one of OpenSSL's, loaded for who needs it
    from OpenSSL import crypto  # noqa: PLC0415  OpenSSL only for who needs it
    from twisted.internet.ssl import (  # noqa: PLC0415  the same
        Certificate,
        optionsForClientTLS,
        platformTrust,
        trustRootFromCertificates,
    )

    if authority is None:
        return optionsForClientTLS(host, platformTrust())
    from vtspolicy.hosts.certificates import certificates  # noqa: PLC0415  the same

    try:
        found = [crypto.X509.from_cryptography(each) for each in certificates(authority)]
    except (OSError, ValueError) as error:
        raise LinkError(Cause.UNUSABLE, f"{authority} cannot be used: {error}") from None
    return optionsForClientTLS(host, trustRootFromCertificates([Certificate(c) for c in found]))


def _protocol(dial: Dial, screen: Screen, password: str | None) -> Protocol:
    if dial.protocol == "lines":
        return PlainTerminal(screen)
    if dial.protocol == "ssh":
        from vtspolicy.hosts.dial.ssh import (  # noqa: PLC0415  Conch only for who needs it
            Account,
            KnownHosts,
            SshTerminal,
            read_key,
        )

        if dial.address is None or dial.known_hosts is None:
            raise LinkError(Cause.UNUSABLE, "ssh needs an address and known_hosts")
        known = KnownHosts(dial.known_hosts, *dial.address)
        key = None if dial.key_file is None else read_key(dial.key_file)
        account = Account(user=dial.user, password=password, key=key)
        return SshTerminal(screen, account=account, known=known, command=dial.command)
    from vtspolicy.hosts.dial.telnet import (  # noqa: PLC0415  the same
        TelnetsTerminal,
        TelnetTerminal,
    )

    kind = TelnetsTerminal if dial.protocol == "telnets" else TelnetTerminal
    return kind(screen)
