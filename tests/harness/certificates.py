"""Certificates of an authority of the tests' own."""

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates, as `openssl x509 -req -CA` does; they hold from `begin` to `end`."""

    def __init__(self, folder, *, begin=-0.1, end=100, above=None):
        self.folder = folder
        self.begin, self.end = dt.timedelta(days=begin), dt.timedelta(days=end)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        itself = self._builder(self.name, self.key, issuer=above)
        itself = itself.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        self.file = folder / "authority.pem"
        self._write(self.file, itself.sign((above or self).key, hashes.SHA256()))

    def _builder(self, subject, key, issuer=None):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name((issuer or self).name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + self.begin)
            .not_valid_after(now + self.end)
        )

    @staticmethod
    def _write(path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def certify(self, name, usage=()):
        """Write NAME.pem and NAME.key, and return both paths; `usage` is the extended key usage."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        named = self._builder(subject, key).add_extension(
            x509.SubjectAlternativeName([address]), critical=False
        )
        if usage:
            named = named.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self._write(certificate, named.sign(self.key, hashes.SHA256()))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, private
