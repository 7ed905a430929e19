"""The venue of one client: its configuration, and the credentials that the client gets.

Every client certifies against its own venue, on which only it and the certifier trade, so that
parallel runs are independent and every case is deterministic. The configuration is an ordinary
one; nothing in the venue knows that it is used for certification.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from argon2 import PasswordHasher

COMP_ID: Final = re.compile(r"[A-Z][A-Z0-9]{0,19}\Z")
SYMBOL: Final = "CERT-USD"
PRICE: Final = "100"
BAD_PRICE: Final = "100.005"
OPEN_ORDERS_MAX: Final = 4
APPROVAL_ABOVE: Final = "50"
PEER: Final = "COUNTERPARTY"
NETWORK: Final = "certnet"
KINDS: Final = ("trade", "withdraw", "approve")


class CredentialsFault(ValueError):
    """Credentials cannot be read or made; the message says why."""


class Credentials(msgspec.Struct, frozen=True):
    """The client's credentials, and those of the certifier's own sessions. All are secrets."""

    comp_id: str
    password: str
    drop_copy_password: str
    read_token: str
    key_secrets: dict[str, str]
    peer_password: str
    desk_password: str
    market_data_password: str = ""

    @property
    def firm(self) -> str:
        """Return the name of the firm and of its account."""
        return self.comp_id.lower()

    @property
    def drop_copy(self) -> str:
        """Return the CompID of the drop-copy session."""
        return f"{self.comp_id}-DC"

    @property
    def market_data(self) -> str:
        """Return the CompID of the market data session."""
        return f"{self.comp_id}-MD"

    @property
    def desk(self) -> str:
        """Return the CompID of the firm's other trader, which the certifier plays."""
        return f"{self.comp_id}-DESK"

    def __repr__(self) -> str:
        return f"Credentials({self.comp_id}, …)"


def load_or_make(path: Path, comp_id: str) -> Credentials:
    """Load the credentials from a file, or create both. Raises CredentialsFault."""
    if not COMP_ID.match(comp_id):
        raise CredentialsFault(
            f"{comp_id!r} cannot be a client's name: 1 to 20 capitals and digits, like ACME"
        )
    if path.exists():
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Credentials)
        except (OSError, msgspec.DecodeError) as error:
            raise CredentialsFault(f"{path} cannot be read: {error}") from None
        if found.comp_id != comp_id:
            raise CredentialsFault(f"{path} belongs to {found.comp_id}")
        if found.market_data_password:
            return found
        # Made by a release that had no market data sessions.
        made = msgspec.structs.replace(found, market_data_password=secrets.token_urlsafe(18))
        return _keep(path, made)
    made = Credentials(
        comp_id=comp_id,
        password=secrets.token_urlsafe(18),
        drop_copy_password=secrets.token_urlsafe(18),
        read_token=secrets.token_urlsafe(24),
        key_secrets={kind: secrets.token_hex(24) for kind in KINDS},
        peer_password=secrets.token_urlsafe(18),
        desk_password=secrets.token_urlsafe(18),
        market_data_password=secrets.token_urlsafe(18),
    )
    return _keep(path, made)


def _keep(path: Path, made: Credentials) -> Credentials:
    write_private(path, msgspec.json.format(msgspec.json.encode(made), indent=1))
    return made


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the venue's processes, which listen on the loopback interface only."""

    fix: int
    http: int
    stream: int


def configuration(credentials: Credentials, ports: Ports, *, quick: bool = True) -> str:
    """Return the configuration of the client's venue, as TOML.

    ``quick`` hashes passwords with Argon2's least cost, as they are long and random.
    """
    hasher = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1) if quick else (
        PasswordHasher()
    )  # fmt: skip
    firm = credentials.firm
    return "\n".join((
        _VENUE.format(fix=ports.fix, http=ports.http, stream=ports.stream),
        _account(firm), _account("counterparty"),
        _session(
            credentials.comp_id, firm, hasher.hash(credentials.password),
            "cancel_on_disconnect = 1",
        ),
        _session(
            credentials.drop_copy, firm, hasher.hash(credentials.drop_copy_password),
            'kind = "drop_copy"',
        ),
        _session(
            credentials.market_data, firm, hasher.hash(credentials.market_data_password),
            'kind = "market_data"',
        ),
        _session(credentials.desk, firm, hasher.hash(credentials.desk_password), _INSIDE),
        _session(PEER, "counterparty", hasher.hash(credentials.peer_password), _INSIDE),
        *(_key(firm, kind, secret) for kind, secret in credentials.key_secrets.items()),
        _reader(firm, credentials.read_token),
    ))  # fmt: skip


_INSIDE: Final = 'allow = ["127.0.0.0/8"]'
_VENUE: Final = f"""\
# Made by `tandem certify`; changes are lost.
environment = "test"

[fix]
host = "127.0.0.1"
port = {{fix}}

[http]
host = "127.0.0.1"
port = {{http}}
workers = 1
threads = 4

[stream]
host = "127.0.0.1"
port = {{stream}}

[settlement]
mode = "simulated"
poll_ms = 50
queue_delay_ms = 0
broadcast_delay_ms = 50
confirmation_delay_ms = 50

[[assets]]
asset = "CERT"
scale = 8

[[assets]]
asset = "USD"
scale = 8

[[networks]]
asset = "CERT"
network = "{NETWORK}"
withdrawal_fee = "0.1"
withdrawal_min = "1"
withdrawal_step = "0.00000001"
confirmations_required = 1

[[instruments]]
symbol = "{SYMBOL}"
base = "CERT"
quote = "USD"
tick = "0.01"
lot = "0.01"
min_qty = "0.01"
max_qty = "100000"
max_price = "100000"
"""


def _account(firm: str) -> str:
    most = OPEN_ORDERS_MAX if firm != "counterparty" else 100
    return f"""
[[accounts]]
account = "{firm}"
firm = "{firm}"
maker_fee_ppm = 500
taker_fee_ppm = 1000
stp = "cancel_newest"
open_orders_max = {most}
grants = {{ CERT = "1000000", USD = "1000000000" }}
approval_above = {{ CERT = "{APPROVAL_ABOVE}" }}
"""


def _session(comp_id: str, account: str, password_hash: str, more: str) -> str:
    return f"""
[[sessions]]
comp_id = "{comp_id}"
account = "{account}"
username = "{account}"
password_hash = "{password_hash}"
{more}
"""


def _key(firm: str, kind: str, secret: str) -> str:
    scopes = f'["read", "{kind}"]'
    return f"""
[[keys]]
key = "{firm}-{kind}"
kind = "hmac"
account = "{firm}"
user = "{firm}-{kind}"
scopes = {scopes}
secret = "{secret}"
"""


def _reader(firm: str, token: str) -> str:
    return f"""
[[keys]]
key = "{firm}-read"
kind = "bearer"
account = "{firm}"
user = "{firm}-reader"
scopes = ["read"]
token_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"
"""
