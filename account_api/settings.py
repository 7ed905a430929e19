"""Settings of the account API, as frozen values; ``main.py`` makes them from the configuration.

Times are milliseconds or microseconds as the names say. Secrets never appear in a ``repr``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal, get_args

from config.model import AddressFormat, Faucet, Scope
from engine.core import authority
from engine.core.authority import Holder

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_HOLDERS: Final = {holder.value: holder for holder in authority.SCOPES}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One credential and what it may do.

    ``kind`` says how a request proves that it holds the key: ``bearer`` (a read-only token,
    of which only the SHA-256 is known), ``hmac`` (a shared secret) or ``ed25519`` (a public
    key of 32 bytes). ``account`` is empty for an operator. ``user`` is the person or program
    behind the key. ``allow`` lists the networks it may be used from; empty allows all.
    ``slot`` is the slot of a made key in the rate limits, 0 for a configured one; ``pending``:
    it is not active until a second person approves it. From ``valid_until`` (µs since 1970, 0:
    for ever) on it is not valid.
    """

    key: str
    kind: Literal["bearer", "hmac", "ed25519"]
    account: str
    firm: str
    user: str
    scopes: frozenset[Scope]
    secret: bytes = field(default=b"", repr=False)
    token_sha256: str = field(default="", repr=False)
    public_key: bytes = field(default=b"", repr=False)
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    slot: int = 0
    pending: bool = False
    valid_until: int = 0

    def has_expired(self, now_us: int) -> bool:
        """Return True from the key's end on."""
        return 0 < self.valid_until <= now_us

    @property
    def holders(self) -> frozenset[Holder]:
        """The key's rows in the table of authority: one for each scope."""
        return frozenset([_HOLDERS[scope] for scope in self.scopes])

    @property
    def is_operator(self) -> bool:
        """True if the key acts for the venue and not for an account."""
        return "operator" in self.scopes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``quota`` requests per ``window_s`` seconds for each key; quota 0 means no limit."""

    quota: int
    window_s: int


@dataclass(frozen=True, slots=True)
class Page:
    """Settings of the page at /.

    ``stream_url`` is where browsers find the stream; a path is relative to the page's origin, and
    "" means the page's host and ``stream_port``. ``demo_keys`` are keys whose secret is public,
    ``<key>-secret``; the page offers them by name.
    """

    environment: str = ""
    stream_url: str = ""
    stream_port: int = 0
    demo_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """``file`` holds the endpoints, ``account_max`` of one account. ``allow`` lists networks that
    deliveries may go to beyond public addresses; ``https_only``: not even to loopback by http.
    """

    file: str = ":memory:"
    account_max: int = 10
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    https_only: bool = True


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the HTTP service.

    ``window_ms`` is the age at which a signed request is refused, ``ahead_ms`` how far its
    timestamp may lie in the future; ``wait_ms_max`` bounds the wait for ``min_seq``.
    """

    keys: tuple[ApiKey, ...]
    body_bytes_max: int = 65_536
    window_ms: int = 5_000
    ahead_ms: int = 1_000
    wait_ms_max: int = 2_000
    engine_timeout_s: float = 5.0
    address_formats: tuple[tuple[str, str, AddressFormat], ...] = ()
    """(asset, network, format) of networks whose addresses are checked."""
    answers: str = ":memory:"
    """The file of the answers under an Idempotency-Key."""
    logins: str = ":memory:"
    """The file of the signatures that have logged in to the stream."""
    key_file: str = ":memory:"
    """The file of the API keys made through the API, and of revocations."""
    key_master: str = ""
    """The file of the key that encrypts their secrets; "": a key that is not stored."""
    shared: bool = False
    """The venue runs on several machines: what they must all know is in the engine."""
    records_wait_s: float = 5.0
    """How long a request waits for the engine to say what has changed of it."""
    docs: Path | None = None
    """The folder of the built documentation; None: only the API reference is served."""
    fix_messages: Callable[[str, str, int], str] | None = None
    """Asks the FIX gateway for messages of a session (``fix_messages.Source``)."""
    fix_dictionary: Path = Path("FIX44.xml")
    downloads: Callable[[], Mapping[str, Path]] = dict
    """Finds the files for clients, by their path under ``/docs/files/``."""
    proxies: frozenset[str] = frozenset()
    """Addresses of reverse proxies whose X-Forwarded-For is trusted."""
    cors_origins: frozenset[str] = frozenset()
    """Origins whose pages may send any request; every other may read what is public."""
    gzip_bytes_min: int = 1_024
    """The smallest response that is compressed; 0: none is."""
    rate_limits: tuple[tuple[str, RateLimit], ...] = ()
    """(group, limit); the groups are ``read``, ``trade`` and ``money``."""
    faucet: Faucet | None = None
    """None: the venue has no faucet."""
    page: Page = Page()
    webhooks: WebhookSettings = WebhookSettings()
