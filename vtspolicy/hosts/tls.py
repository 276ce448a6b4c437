"""The door of a `tls:` listener; whatever loads OpenSSL is loaded from here only."""

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)

from vtspolicy.config.model import Listen


def tls_endpoint(reactor: Any, listen: Listen) -> IStreamServerEndpoint:  # a whole reactor
    """Return the endpoint of a door that wants a client certificate.

    Raises OSError or ValueError.
    """
    options = dict(part.split("=", 1) for part in listen.endpoint.split(":")[1:])
    if listen.key is None or listen.cert is None or listen.clients is None:
        raise ValueError(f"{listen.endpoint}: key, cert and clients are needed")
    own = PrivateCertificate.loadPEM(listen.cert.read_bytes() + b"\n" + listen.key.read_bytes())
    context = CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        trustRoot=trustRootFromCertificates(_authorities(listen.clients)),
    )
    return SSL4ServerEndpoint(
        reactor, int(options["port"]), context, interface=options.get("interface", "")
    )


def _authorities(file: Path) -> list[Certificate]:
    end = b"-----END CERTIFICATE-----"
    parts = file.read_bytes().split(end)[:-1]
    return [Certificate.loadPEM(part + end) for part in parts]
