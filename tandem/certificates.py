"""A test authority with certificates for the venue and for the clients of its FIX sessions.

Elliptic curve keys (P-256), each readable by its user alone. What is made appears as a whole: in a
folder beside the wanted one, which is renamed when all is in it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config.settings import Settings
from config.shipped import shipped
from tandem.output import CommandError

AUTHORITY: Final = "authority.crt"
VENUE: Final = "fix.crt"
TRUSTED: Final = "clients.crt"
"""What the proxy trusts: the authority again, under the name that the proxy looks for."""
CLIENTS: Final = "clients"
PROXY_CONFIGURATION: Final = "config/haproxy/tandem.cfg"
DAYS_MAX: Final = 3650
_EARLIER: Final = timedelta(hours=1)
"""So that a clock that is behind does not refuse what was made just now."""
HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,63}\Z")
"""As long as a CN may be."""
_HASH: Final = hashes.SHA256()


class Signer(NamedTuple):
    """An authority: its name, and the key with which it signs."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey


class ClientPair(NamedTuple):
    """A client's certificate, its CN, and what ``client_certificate`` calls it by its hash."""

    comp_id: str
    name: str
    fingerprint: str


def names_of(settings: Settings) -> dict[str, str]:
    """Return the CN of a certificate for each session: the one that it is bound to, or its own."""
    return {
        session.comp_id: session.comp_id
        if session.client_certificate.startswith("sha256:") or not session.client_certificate
        else session.client_certificate
        for session in settings.sessions
    }


def run(
    settings: Settings, folder: Path, hosts: Sequence[str], days: int, say: Callable[[str], None]
) -> None:
    """Make certificates for the sessions of a configuration and say how to use them."""
    for host in hosts:
        if not HOST.match(host):
            raise CommandError(
                f"{host!r} is no name of a host and no address; expected something like "
                "fix.venue.example or 192.0.2.1"
            )
    clients = make(folder, names_of(settings), hosts, days)
    ends = (datetime.now(UTC) + timedelta(days=days)).date()
    say(f"Made a test authority and its certificates in {folder}, good until {ends}:")
    say(f"  {AUTHORITY}, authority.key  the authority; with its key more can be signed")
    say(f"  {VENUE}, fix.key              the venue, as {', '.join(hosts)}")
    say(f"  {TRUSTED}                   the authority again: whose clients the proxy trusts")
    say(f"  {CLIENTS}/COMPID.crt, .key       one for each session; a session that is bound to its")
    say("                                certificate has one of these lines:")
    for client in clients:
        say(f'    {client.comp_id}: client_certificate = "{client.name}"')
        say(f'    {" " * len(client.comp_id)}  client_certificate = "{client.fingerprint}"')
    say("Every key is readable by you alone. All of them lie in one place, so this is for trying")
    say("out: in production each client makes its own key and has its certificate signed.")
    say("The proxy, beside a venue whose [fix] has proxy_protocol = true:")
    say(f"  export TANDEM_TLS_FOLDER={folder} TANDEM_TLS_CONTROL={folder}/control")
    say(f"  TANDEM_TLS_UNPRIVILEGED=1 haproxy -f {shipped(PROXY_CONFIGURATION)}")
    if clients:
        one = f"{folder}/{CLIENTS}/{clients[0].comp_id}"
        say("A client:")
        say(
            f"  openssl s_client -connect 127.0.0.1:{settings.fix.tls_port or 9879} "
            f"-CAfile {folder}/{AUTHORITY} -cert {one}.crt -key {one}.key"
        )


def make(
    folder: Path, clients: Mapping[str, str], hosts: Sequence[str], days: int
) -> list[ClientPair]:
    """Make the folder with all that is in it; ``clients`` are CompIDs and the CNs for them.

    Raises CommandError where the folder is there already, which is then left as it is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(
            f"{folder} is there already, and no key is ever overwritten; name a folder that is new"
        )
    whole = folder.with_name(f".{folder.name}.{os.getpid()}")
    whole.mkdir(mode=0o700, parents=True)
    try:
        made = _fill(whole, clients, hosts, days)
        whole.rename(folder)
    except BaseException:
        shutil.rmtree(whole, ignore_errors=True)
        raise
    return made


def ends(folder: Path) -> datetime:
    """Return when the venue's certificate of a folder ends. Raises CommandError."""
    path = folder / VENUE
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{path} cannot be used: {error}; remove {folder}, and it is made again"
        ) from None


def _fill(
    folder: Path, clients: Mapping[str, str], hosts: Sequence[str], days: int
) -> list[ClientPair]:
    by = authority(folder / AUTHORITY, "Tandem test authority", days)
    shutil.copyfile(folder / AUTHORITY, folder / TRUSTED)
    issue(by, folder / VENUE, hosts[0], days, (ExtendedKeyUsageOID.SERVER_AUTH,), hosts)
    (folder / CLIENTS).mkdir(mode=0o700)
    made = []
    for comp_id, common_name in clients.items():
        path = folder / CLIENTS / f"{comp_id}.crt"
        one = issue(by, path, common_name, days, (ExtendedKeyUsageOID.CLIENT_AUTH,), ())
        fingerprint = f"sha256:{one.fingerprint(hashes.SHA256()).hex()}"
        made.append(ClientPair(comp_id, common_name, fingerprint))
    return made


def authority(path: Path, name: str, days: int) -> Signer:
    """Make an authority, its certificate at ``path`` and its key beside it."""
    by = Signer(_named(name), ec.generate_private_key(ec.SECP256R1()))
    root = _signed(by, by.name, by.key, days, (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (_usage(signs_certificates=True), True),
    ))  # fmt: skip
    _write(path, root, by.key)
    return by


def issue(
    by: Signer, path: Path, name: str, days: int, purposes: Sequence[x509.ObjectIdentifier],
    hosts: Iterable[str], attribute: x509.ObjectIdentifier = NameOID.COMMON_NAME,
) -> x509.Certificate:  # fmt: skip
    """Make a key, and a certificate for it that is good for some purposes and no others.

    ``attribute`` is what of the subject has the name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage(purposes), False),
    ]
    alternative = [_alternative(host) for host in hosts]
    if alternative:
        extensions.append((x509.SubjectAlternativeName(alternative), False))
    certificate = _signed(by, _named(name, attribute), key, days, extensions)
    _write(path, certificate, key)
    return certificate


def _signed(
    by: Signer, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(by.key, _HASH)


def _named(name: str, attribute: x509.ObjectIdentifier = NameOID.COMMON_NAME) -> x509.Name:
    return x509.Name([x509.NameAttribute(attribute, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a certificate, and its key beside it for this user alone."""
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    descriptor = os.open(path.with_suffix(".key"), flags, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ))  # fmt: skip
