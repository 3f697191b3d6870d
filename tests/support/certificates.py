"""Certificates for servers of tests, signed by themselves or by an authority of their own."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """Signs certificates; ``file`` is its own, in PEM."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = rsa.generate_private_key(65537, 2048)
        self._name = _name("The authority of the tests")
        certificate = _sign(self._name, self._key, self._name, self._key, is_authority=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def certificate(self, host: str = "127.0.0.1", alternatives: Sequence[x509.GeneralName] = ()) -> Path:
        """Return a file with a certificate for this host, or for these alternative names, and its key."""
        key = rsa.generate_private_key(65537, 2048)
        signed = _sign(_name(host), key, self._name, self._key, alternatives=alternatives or _alternatives(host))
        return _saved(self._folder / f"{host}.pem", signed, key)


def self_signed(folder: Path, host: str = "127.0.0.1") -> Path:
    """Return a file with a certificate for this host that nothing else vouches for, and its key."""
    key = rsa.generate_private_key(65537, 2048)
    return _saved(
        folder / "self-signed.pem", _sign(_name(host), key, _name(host), key, alternatives=_alternatives(host)), key
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _sign(
    subject: x509.Name,
    key: rsa.RSAPrivateKey,
    issuer: x509.Name,
    issuer_key: rsa.RSAPrivateKey,
    *,
    alternatives: Sequence[x509.GeneralName] = (),
    is_authority: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _alternatives(host: str) -> list[x509.GeneralName]:
    # An address is there as a name too: Microsoft's driver compares it with the names only.
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    with suppress(ValueError):
        names.append(x509.IPAddress(ip_address(host)))
    return names


def _saved(file: Path, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> Path:
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return file
