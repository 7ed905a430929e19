"""Clients over TLS for the tests, and certificates that are wrong in one way each."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fix.rawfix import RawFix


def context(
    folder: Path, client: str | Path = "", version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """What a client trusts, and the certificate that it shows: a session's, or a file, or none."""
    made = ssl.create_default_context(cafile=str(folder / "authority.crt"))
    if client:
        path = folder / "clients" / f"{client}.crt" if isinstance(client, str) else client
        made.load_cert_chain(path, path.with_suffix(".key"))
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


def over_tls(port: int, comp_id: str, source: str, made: ssl.SSLContext) -> RawFix:
    """A client whose connection is TLS; nothing of FIX has been sent yet."""
    client = RawFix(("127.0.0.1", port), comp_id, source=source)
    try:
        client.socket = made.wrap_socket(client.socket, server_hostname="localhost")
    except BaseException:
        client.close()
        raise
    return client


def signed(
    folder: Path, path: Path, name: str, *, days: int, start: int = -2, server: bool = False
) -> Path:
    """A certificate of the folder's authority, good for ``days`` from ``start`` days from now."""
    authority = x509.load_pem_x509_certificate((folder / "authority.crt").read_bytes())
    by = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
    assert isinstance(by, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.now(UTC) - timedelta(days=-start)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False
        )
    )
    certificate = builder.sign(by, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ))  # fmt: skip
    return path
