"""The endpoint of a `tls:` listener; what loads OpenSSL is loaded from here only."""

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from vtspolicy.config.model import Listen
from vtspolicy.hosts.certificates import accepts_no_client, certificates, validities, why_no_server

WORDS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it has signed itself",
    19: "its chain ends in an authority that is not in `clients`",
    20: "the authority that has signed it is not in `clients`",
    21: "the authority that has signed it is not in `clients`",
    23: "it is revoked",
    26: "it is not for TLS clients",
}
"""What is wrong with a certificate, by OpenSSL's X509_V_ERR numbers (x509_vfy.h)."""

_REFUSED: MutableMapping[SSL.Connection, str] = WeakKeyDictionary()
"""Why a peer's certificate was not accepted: OpenSSL gives it during verification only."""


class TLSProtocol(TLSMemoryBIOProtocol):
    """TLS that remembers whether the TCP connection beneath it was ended in order.

    Many programs close it without the end that TLS has for this (close_notify, RFC 8446, 6.1).
    """

    peer_ended = False
    refused: str | None = None  # why its certificate was not accepted

    def makeConnection(self, transport: ITransport) -> None:
        """Begin; what is wrong with the peer's certificate is kept for the log."""
        super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's
        connection = self._tlsConnection
        connection.set_verify(connection.get_context().get_verify_mode(), _look)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note how the connection ended, then what TLS makes of that."""
        self.peer_ended = reason.check(ConnectionDone) is not None
        self.refused = _REFUSED.get(self._tlsConnection)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's


class _TLSFactory(TLSMemoryBIOFactory):
    protocol = TLSProtocol


@implementer(IStreamServerEndpoint)
@frozen(kw_only=True)
class TLSServerEndpoint:
    """TLS on every endpoint that Twisted has: its options are those of the endpoint beneath it."""

    beneath: IStreamServerEndpoint  # where connections come in
    context: CertificateOptions  # our certificate, and whose certificates are wanted

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; what the factory makes sees the bytes within TLS."""
        factory = _TLSFactory(self.context, False, protocolFactory)
        port: Deferred[IListeningPort] = self.beneath.listen(factory)
        return port


class UnusableFileError(ValueError):
    """A file of a `tls:` listener, which its key `key` names, does not hold what it must."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class InvalidCertificateError(UnusableFileError):
    """A certificate of a `tls:` listener has expired, or does not hold yet."""


def tls_endpoint(reactor: Any, listen: Listen) -> IStreamServerEndpoint:  # a whole reactor
    """Return the endpoint of a listener that wants a client certificate.

    Raises OSError or ValueError.
    """
    beneath = serverFromString(reactor, f"tcp:{listen.endpoint.removeprefix('tls:')}")
    return TLSServerEndpoint(beneath=beneath, context=tls_context(listen))


def tls_context(listen: Listen, *, anybody: bool = False) -> CertificateOptions:
    """Return our certificate, and who is accepted. Raises OSError or UnusableFileError.

    `anybody` needs no certificate: people sign in with a password.
    """
    if listen.key is None or listen.cert is None or (listen.clients is None and not anybody):
        raise ValueError(f"{listen.endpoint}: key, cert and clients are needed")
    with _reading("cert", f"{listen.cert} holds no certificate in PEM, or a broken one"):
        own, *chain = certificates(listen.cert)
    with _reading("key", f"{listen.key} holds no key in PEM, or one with a passphrase"):
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, listen.key.read_bytes(), b"")
    authorities = _authorities(listen.clients)
    if key.to_cryptography_key().public_key() != own.public_key():  # type: ignore[union-attr]  # it has one
        raise UnusableFileError("key", f"{listen.key} is not the key of {listen.cert}")
    if (unfit := why_no_server(own)) is not None:
        told = f"the certificate in {listen.cert} is not for TLS servers: {unfit}"
        raise UnusableFileError("cert", told)
    for each in validities(listen):
        wrong = each.wrong(time.time())
        if wrong is not None:
            raise InvalidCertificateError(each.key, wrong)
    return CertificateOptions(
        privateKey=key,
        certificate=crypto.X509.from_cryptography(own),
        extraCertChain=[crypto.X509.from_cryptography(each) for each in chain],
        trustRoot=trustRootFromCertificates(
            [Certificate(crypto.X509.from_cryptography(each)) for each in authorities]
        )
        if authorities
        else None,
    )


def _authorities(clients: Path | None) -> list[x509.Certificate]:
    """Return who must have signed the certificates of clients; none if anybody may connect."""
    if clients is None:
        return []
    with _reading("clients", f"{clients} holds no certificates in PEM, or a broken one"):
        authorities = certificates(clients)
    if all(map(accepts_no_client, authorities)):
        told = f"{clients} holds no certificate of an authority: no host's could be valid"
        raise UnusableFileError("clients", told)
    return authorities


def _look(
    connection: SSL.Connection, shown: crypto.X509, error: int, _depth: int, accepted: int
) -> bool:
    """Keep the name of a certificate that OpenSSL does not accept, and why; decide nothing."""
    if not accepted:
        name = shown.get_subject().CN or "a certificate without a name"
        words = WORDS.get(error, f"error {error} of OpenSSL's verification")
        _REFUSED[connection] = f"the certificate of {name} is not accepted: {words}"
    return bool(accepted)


@contextmanager
def _reading(key: str, otherwise: str) -> Iterator[None]:
    try:
        yield
    except (crypto.Error, ValueError) as error:
        raise UnusableFileError(key, otherwise) from error
