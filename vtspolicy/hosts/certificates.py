"""The certificates of `tls:` listeners: from when and until when they hold."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from vtspolicy.config.model import Listen

DAY = 86400.0

WARNED = 30 * DAY
"""Seconds before its end from which a certificate is warned about."""


@frozen(kw_only=True)
class Validity:
    """One certificate of a listener's file."""

    key: str  # of the listener: cert or clients
    file: Path
    name: str  # whose certificate it is
    begin: float  # seconds since the epoch
    end: float

    def wrong(self, now: float) -> str | None:
        """Return why the certificate does not hold at a time, or None."""
        if now >= self.end:
            return f"the certificate of {self.name} in {self.file} has expired on {_day(self.end)}"
        if now < self.begin:
            return f"the certificate of {self.name} in {self.file} holds from {_day(self.begin)} on"
        return None

    def soon(self, now: float) -> str | None:
        """Return the warning that its end is near, or None."""
        if self.wrong(now) is not None or now < self.end - WARNED:
            return None
        left = int((self.end - now) // DAY)
        days = f"in {left} days" if left > 1 else "in a day" if left else "today"
        return f"the certificate of {self.name} in {self.file} expires {days}, on {_day(self.end)}"


def validities(listen: Listen) -> Iterator[Validity]:
    """Yield what is known of a listener's own certificates, and of those that sign its hosts'.

    Its own are that of the server and those between it and its authority. Raises OSError or
    ValueError for files that hold none, or a broken one.
    """
    for key, file in (("cert", listen.cert), ("clients", listen.clients)):
        if file is not None:
            for each in certificates(file):
                yield _of(each, key, file)


def certificates(file: Path) -> list[x509.Certificate]:
    """Return the certificates of a file, all of them. Raises OSError or ValueError."""
    data = file.read_bytes()
    found = x509.load_pem_x509_certificates(data)
    if len(found) != data.count(b"-----BEGIN CERTIFICATE-----"):
        raise ValueError(f"{file} holds a certificate that is cut off")
    return found


def accepts_no_client(certificate: x509.Certificate) -> bool:
    """Whether no host's certificate can be valid by this one: it signs none, and is not one itself.

    RFC 5280, 4.2.1.3 and 4.2.1.9, as OpenSSL applies them: a signer has `CA:TRUE` and, if it
    has a key usage, `keyCertSign`. A host's certificate that has signed itself lets in that host.
    """
    if certificate.issuer == certificate.subject:
        return False
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return True
    except x509.ExtensionNotFound:
        return True
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return not usage.key_cert_sign


def why_no_server(certificate: x509.Certificate) -> str | None:
    """Return why hosts do not take this one for a server's, or None. RFC 5280, 4.2.1.12."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None  # it is for everything
    good = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if any(each in usage for each in good):
        return None
    return "its extended key usage does not include serverAuth"


def _of(certificate: x509.Certificate, key: str, file: Path) -> Validity:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = names[0].value if names else certificate.subject.rfc4514_string()
    return Validity(
        key=key,
        file=file,
        name=name if isinstance(name, str) else name.decode(errors="replace"),
        begin=certificate.not_valid_before_utc.timestamp(),
        end=certificate.not_valid_after_utc.timestamp(),
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
