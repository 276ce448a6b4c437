"""The door of a `tls:` listener; whatever loads OpenSSL is loaded from here only."""

from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from vtspolicy.config.model import Listen


@implementer(IStreamServerEndpoint)
@frozen(kw_only=True)
class TLSServerEndpoint:
    """TLS on whatever Twisted can listen on: its options are those of the endpoint beneath it."""

    beneath: IStreamServerEndpoint  # where connections come in
    context: CertificateOptions  # our certificate, and whose certificates are wanted

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; what the factory makes sees the bytes within TLS."""
        factory = TLSMemoryBIOFactory(self.context, False, protocolFactory)
        port: Deferred[IListeningPort] = self.beneath.listen(factory)
        return port


def tls_endpoint(reactor: Any, listen: Listen) -> IStreamServerEndpoint:  # a whole reactor
    """Return the endpoint of a door that wants a client certificate.

    Raises OSError or ValueError.
    """
    if listen.key is None or listen.cert is None or listen.clients is None:
        raise ValueError(f"{listen.endpoint}: key, cert and clients are needed")
    own = PrivateCertificate.loadPEM(listen.cert.read_bytes() + b"\n" + listen.key.read_bytes())
    context = CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        trustRoot=trustRootFromCertificates(_authorities(listen.clients)),
    )
    beneath = serverFromString(reactor, f"tcp:{listen.endpoint.removeprefix('tls:')}")
    return TLSServerEndpoint(beneath=beneath, context=context)


def _authorities(file: Path) -> list[Certificate]:
    end = b"-----END CERTIFICATE-----"
    parts = file.read_bytes().split(end)[:-1]
    return [Certificate.loadPEM(part + end) for part in parts]
