"""Certificates for tests: an authority, and what it signs for a server and for a client, as PEM files."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority"]

USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class Authority:
    """Signs for 127.0.0.1 and localhost, for a day."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._sign(self._name, self._key, [(x509.BasicConstraints(ca=True, path_length=0), True)])

    def directory(self, place: Path, use: str) -> Path:
        """A directory with ca.pem, cert.pem and key.pem for the `use` server or client, as docker wants them."""
        place.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, use)])
        signed = self._sign(name, key, [(names, False), (x509.ExtendedKeyUsage([USES[use]]), False)])
        pem = serialization.Encoding.PEM
        (place / "ca.pem").write_bytes(self.certificate.public_bytes(pem))
        (place / "cert.pem").write_bytes(signed.public_bytes(pem))
        plain = serialization.NoEncryption()
        (place / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
        return place

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: list[tuple[x509.ExtensionType, bool]]
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        made = made.not_valid_after(now + datetime.timedelta(days=1))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical=critical)
        return made.sign(self._key, hashes.SHA256())
