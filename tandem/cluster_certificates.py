"""An authority of a cluster, and for each of its nodes a certificate with which it serves and asks.

A node's folder has the same three files on every machine: copied there whole, they are what etcd
and the members of the venue need. The authority's key stays where it was made.

The node's name is the OU of the certificate's subject, which has no CN: where users are enabled,
the gateway of etcd refuses a client's certificate that has one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tandem.certificates import HOST, Signer, authority, issue
from tandem.output import CommandError

CA: Final = "ca.crt"
CA_KEY: Final = "ca.key"
CERTIFICATE: Final = "node.crt"
KEY: Final = "node.key"
CA_DAYS: Final = 3650
_NODE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_BOTH: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def parse(nodes: Sequence[str]) -> dict[str, list[str]]:
    """Return the hosts of each node from texts NAME=HOST, HOST,HOST… . Raises CommandError."""
    found: dict[str, list[str]] = {}
    for text in nodes:
        name, equals, listed = text.partition("=")
        hosts = listed.split(",")
        if not equals or not _NODE.match(name) or not all(HOST.match(host) for host in hosts):
            raise CommandError(
                f"--node {text!r} is not NAME=HOST; expected something like a=10.0.0.1, or "
                "a=a.venue.example,10.0.0.1 for one that has several"
            )
        if name in found:
            raise CommandError(f"--node names {name} twice; give all its hosts at once")
        found[name] = hosts
    if not found:
        raise CommandError("no node was named; expected --node NAME=HOST for each")
    return found


def run(
    folder: Path, nodes: Sequence[str], days: int, renew: bool, say: Callable[[str], None]
) -> None:
    """Make the authority and the nodes' certificates, or only these anew, and say what to do."""
    wanted = parse(nodes)
    if renew:
        sign(folder, wanted, days)
    else:
        make(folder, wanted, days)
    ends = (datetime.now(UTC) + timedelta(days=days)).date()
    say(f"Made certificates of {', '.join(wanted)} in {folder}, good until {ends}:")
    for name, hosts in wanted.items():
        say(f"  {name}/  {CA}, {CERTIFICATE}, {KEY}, for {', '.join(hosts)}")
    say("Copy each folder to its node, for etcd and for ca, certificate and key of [cluster].")
    say(f"{CA_KEY} signs further nodes and renewals: keep it away from the nodes, and private.")
    if renew:
        say("Running members and etcd take the new files for their next connections.")


def make(folder: Path, nodes: Mapping[str, Sequence[str]], days: int) -> None:
    """Make a folder with a new authority and a folder for each node.

    Raises CommandError where the folder is there already, which is then left as it is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(
            f"{folder} is there already; --renew signs certificates by the authority in it"
        )
    whole = folder.with_name(f".{folder.name}.{os.getpid()}")
    whole.mkdir(mode=0o700, parents=True)
    try:
        by = authority(whole / CA, "Tandem cluster authority", CA_DAYS)
        for name, hosts in nodes.items():
            _node(by, whole, name, hosts, days)
        whole.rename(folder)
    except BaseException:
        shutil.rmtree(whole, ignore_errors=True)
        raise


def sign(folder: Path, nodes: Mapping[str, Sequence[str]], days: int) -> None:
    """Make keys and certificates of nodes, new or not, by the authority of a folder."""
    try:
        root = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CommandError(f"the authority in {folder} cannot be used: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CommandError(f"{folder / CA_KEY} is no elliptic curve key")
    if key.public_key() != root.public_key():
        raise CommandError(f"{folder / CA_KEY} is not the key of {folder / CA}")
    if root.not_valid_after_utc <= datetime.now(UTC) + timedelta(days=days):
        raise CommandError(
            f"the authority in {folder} ends on {root.not_valid_after_utc.date()}, before the "
            f"{days} days are over; make a new one, and let nodes trust both for a while"
        )
    for name, hosts in nodes.items():
        _node(Signer(root.subject, key), folder, name, hosts, days)


def _node(by: Signer, folder: Path, name: str, hosts: Sequence[str], days: int) -> None:
    """Make a node's files beside their place, and move them there."""
    new = folder / f".{name}.{os.getpid()}"
    new.mkdir(mode=0o700)
    try:
        issue(by, new / CERTIFICATE, name, days, _BOTH, hosts, NameOID.ORGANIZATIONAL_UNIT_NAME)
        shutil.copyfile(folder / CA, new / CA)
        place = folder / name
        place.mkdir(mode=0o700, exist_ok=True)
        for file in (CA, KEY, CERTIFICATE):
            (new / file).replace(place / file)
    finally:
        shutil.rmtree(new, ignore_errors=True)
