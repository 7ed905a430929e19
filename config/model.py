"""The settings as the program sees them: frozen, checked, amounts as integers.

Times end in their unit (``_us``, ``_ms``, ``_s``); amounts are atoms of their asset,
quantities lots and prices ticks of their instrument, as everywhere in the core. Paths are
absolute. Nothing here reads a file; ``config.settings`` does.

A struct ``…Of`` is one in two forms: with decimal texts as the file has it (``…Table``), and with
atoms, which only the scales of the assets, another table, can make of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import Meta, Struct

from config.cluster import Cluster
from config.fix import Fix
from engine.core.authority import Reports, SessionKind
from engine.core.instruments import SCALE_MAX, Instrument
from engine.core.types import CancelScope, SelfTrade

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, le=86_400_000)]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=86_400)]
Ppm: TypeAlias = Annotated[int, Meta(ge=0, le=999_999)]

Environment: TypeAlias = Literal["demo", "test", "production"]
AddressFormat: TypeAlias = Literal["", "bitcoin", "ethereum"]
KeyKind: TypeAlias = Literal["hmac", "ed25519", "bearer", "operator"]
Scope: TypeAlias = Literal["read", "trade", "withdraw", "address", "approve", "keys", "operator"]
SettlementMode: TypeAlias = Literal["simulated"]
SelfTradeName: TypeAlias = Literal[
    "none", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"
]
Texts: TypeAlias = dict[str, str]
"""Amounts as the file has them: asset to decimal text."""
Atoms: TypeAlias = tuple[tuple[str, int], ...]
"""Amounts as the program has them: pairs of asset and atoms."""
Amounts = TypeVar("Amounts", Texts, Atoms)
Amount = TypeVar("Amount", str, int)
_NONE: Any = {}
"""No amounts, where the file has none; the loader makes Atoms of it."""


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file whose keys are the fields, read without further conversion."""


class Venue(_Section, frozen=True, kw_only=True):
    """What holds for the venue as a whole; ``day_roll`` is a time of day in UTC, HH:MM.

    ``work_max`` bounds the trades, cancels and triggered stops of one command (rule M-10 of
    ``spec/MATCHING.md``), and so how long it can keep others waiting: see docs/operator.md.
    """

    day_roll: str = "00:00"
    cascade_max: Annotated[int, Meta(ge=1, le=10_000)] = 100
    work_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    closed_orders_kept: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    client_id_window_days: Annotated[int, Meta(ge=1, le=3660)] = 30

    @property
    def day_roll_us(self) -> int:
        """When the day rolls, in microseconds from midnight UTC."""
        hours, minutes = self.day_roll.split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000_000

    @property
    def client_id_window_us(self) -> int:
        """How long a client's ids are remembered."""
        return self.client_id_window_days * 86_400_000_000


class Engine(_Section, frozen=True, kw_only=True):
    """The engine process: its socket, its journal, and the bounds of both.

    ``keep_awake`` keeps the machine's processors from sleeping while the engine runs, for shorter
    latencies at the price of their full power (``config/awake.py``).
    """

    socket: Path = Path("engine.sock")
    journal: Path = Path("journal")
    batch_max: Annotated[int, Meta(ge=1, le=4096)] = 512
    snapshot_every: Count = 200_000
    clients_max: Annotated[int, Meta(ge=1, le=4096)] = 64
    client_queue_bytes_max: Annotated[int, Meta(ge=1 << 20, le=1 << 32)] = 64 << 20
    frame_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 20)] = 1 << 20
    min_seq_wait_ms_max: Milliseconds = 5_000
    segment_records_max: Count = 1_000_000
    keep_awake: bool = False


class Http(_Section, frozen=True, kw_only=True):
    """The account API under gunicorn. ``window_ms`` is how old a signature may be.

    ``proxies`` lists the addresses of reverse proxies whose X-Forwarded-For is believed, for
    the allow-lists of keys; the WebSocket process believes the same ones.
    ``cors_origins`` lists the origins whose pages may send any request from a browser, such as
    https://app.example.com; pages of all others may read what is public.
    Responses to GET of at least ``gzip_bytes_min`` are compressed for clients that ask; 0: none is.
    Each key may send ``<group>_quota`` requests in ``rate_window_s``; a quota of 0 is no limit.
    With ``shared`` the venue has account APIs on several machines: API keys and webhook endpoints
    are stored in the engine and not in files of one machine (decision 37).
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    gzip_bytes_min: Annotated[int, Meta(ge=0, le=1 << 30)] = 1_024
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    threads: Annotated[int, Meta(ge=1, le=256)] = 8
    body_bytes_max: Annotated[int, Meta(ge=1024, le=1 << 20)] = 65_536
    window_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    read_quota: Annotated[int, Meta(ge=0, le=10_000_000)] = 20_000
    trade_quota: Annotated[int, Meta(ge=0, le=10_000_000)] = 10_000
    money_quota: Annotated[int, Meta(ge=0, le=10_000_000)] = 10_000
    rate_window_s: Annotated[int, Meta(ge=1, le=3_600)] = 2
    shared: bool = False


class Stream(_Section, frozen=True, kw_only=True):
    """The WebSocket process.

    ``public_url`` is where browsers find it behind a proxy: /v1/stream at the origin of the page,
    or wss://stream.example/v1/stream; "" means the page's host and ``port``.
    Messages of ``deflate_bytes_min`` and more are compressed where the client offers it; 0: never.
    """

    host: str = "127.0.0.1"
    port: Port = 8081
    connections_max: Annotated[int, Meta(ge=1, le=100_000)] = 4_000
    deflate_bytes_min: Annotated[int, Meta(ge=0, le=1 << 30)] = 1_024
    public_url: Annotated[str, Meta(max_length=200)] = ""


class Metrics(_Section, frozen=True, kw_only=True):
    """Where Prometheus finds the metrics of all processes, at /metrics, in plain HTTP."""

    host: str = "127.0.0.1"
    port: Port = 9464


class MarketData(_Section, frozen=True, kw_only=True):
    """Market data by FIX: what one session may have, and how slow it may be.

    ``subscriptions_max`` counts each symbol of a request, ``symbols_max`` and ``depth_max`` bound
    one request (depth 0, the whole book, is always allowed), ``recent_trades_max`` is how many
    past trades it gives. A session that leaves more than ``slow_bytes`` unread is told nothing
    until it has read, and then the newest; one that does so for ``unread_s_max`` is ended.
    """

    subscriptions_max: Annotated[int, Meta(ge=1, le=100_000)] = 256
    symbols_max: Annotated[int, Meta(ge=1, le=10_000)] = 64
    depth_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    recent_trades_max: Annotated[int, Meta(ge=1, le=1_000)] = 50
    slow_bytes: Annotated[int, Meta(ge=4096, le=1 << 20)] = 1 << 16
    unread_s_max: Annotated[int, Meta(ge=1, le=3_600)] = 30


class History(_Section, frozen=True, kw_only=True):
    """The SQL read model; "" means SQLite in the data folder."""

    url: str = ""


class Settlement(_Section, frozen=True, kw_only=True):
    """The settlement worker, and how long the simulated network takes for each step.

    Payments to addresses that begin with ``fail_prefix`` fail, and those that begin with
    ``reorganise_prefix`` drop out of the chain once; "" matches no address.
    """

    mode: SettlementMode = "simulated"
    poll_ms: Annotated[int, Meta(ge=10, le=60_000)] = 200
    queue_delay_ms: Milliseconds = 0
    broadcast_delay_ms: Milliseconds = 200
    confirmation_delay_ms: Milliseconds = 200
    fail_prefix: Annotated[str, Meta(max_length=32)] = ""
    reorganise_prefix: Annotated[str, Meta(max_length=32)] = ""


class Webhooks(_Section, frozen=True, kw_only=True):
    """Deliveries to endpoints that firms register, and how many an account may register.

    They go to public addresses and, beyond these, to the networks in ``allow``. An attempt may take
    ``timeout_ms``; an endpoint that fails for ``give_up_h`` hours without a success is disabled.
    """

    endpoints_max: Annotated[int, Meta(ge=0, le=1_000)] = 10
    allow: tuple[str, ...] = ()
    timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 10_000
    give_up_h: Annotated[int, Meta(ge=1, le=720)] = 72
    poll_ms: Annotated[int, Meta(ge=10, le=60_000)] = 200


class Simulation(_Section, frozen=True, kw_only=True):
    """The symbol ``SIM-<quote>``, whose orders behave as their quantity says: docs/test-net.md."""

    enabled: bool = False
    quote: str = "USD"

    @property
    def symbol(self) -> str:
        """The symbol; "" where it is not enabled."""
        return f"SIM-{self.quote}" if self.enabled else ""


class Bots(_Section, frozen=True, kw_only=True):
    """The market of a test-net: a market maker and takers, clients like any other.

    ``prices`` (symbol to decimal text) are where the maker's prices wander around; an
    instrument between two assets that both have a price in a third one follows from them.
    ``band_ppm`` is the price band of instruments that have none of their own, while bots trade.
    ``quantities`` (base asset to decimal text) is about what one quote shows. The maker and
    one taker sign with their keys, the other taker is the FIX session.
    """

    enabled: bool = False
    seed: Annotated[int, Meta(ge=0, le=2**31)] = 1
    step_ms: Annotated[int, Meta(ge=100, le=60_000)] = 2_000
    levels: Annotated[int, Meta(ge=1, le=8)] = 8
    orders_per_minute: Annotated[int, Meta(ge=1, le=600)] = 40
    prices: dict[str, str] = {}
    quantities: dict[str, str] = {}
    band_ppm: Annotated[int, Meta(ge=0, le=999_999)] = 0
    maker_key: str = ""
    taker_key: str = ""
    taker_comp_id: str = ""
    taker_password: str = ""

    def __repr__(self) -> str:
        return f"Bots(enabled={self.enabled}, seed={self.seed}, …)"


class FaucetOf(_Section, Generic[Amounts], frozen=True, kw_only=True):
    """Test coins for whoever asks; no portions, no faucet."""

    portions_per_day: Annotated[int, Meta(ge=1, le=1_000)] = 10
    portions: Amounts = _NONE


FaucetTable: TypeAlias = FaucetOf[Texts]
Faucet: TypeAlias = FaucetOf[Atoms]


class Asset(_Section, frozen=True, kw_only=True):
    """An asset; one unit is 10**scale atoms."""

    asset: str
    scale: Annotated[int, Meta(ge=0, le=SCALE_MAX)]


class NetworkOf(_Section, Generic[Amount], frozen=True, kw_only=True):
    """How an asset travels; fee, minimum and step are amounts of ``asset``.

    ``address_format`` says how the API checks addresses; "" takes any text.
    """

    asset: str
    network: str
    withdrawal_fee: Amount
    withdrawal_min: Amount
    withdrawal_step: Amount
    confirmations_required: Annotated[int, Meta(ge=0, le=10_000)]
    memo_required: bool = False
    suspended: bool = False
    address_format: AddressFormat = ""


NetworkTable: TypeAlias = NetworkOf[str]
Network: TypeAlias = NetworkOf[int]


class AccountOf(_Section, Generic[Amounts], frozen=True, kw_only=True):
    """An account of a firm."""

    account: str
    firm: str
    maker_fee_ppm: Ppm
    taker_fee_ppm: Ppm
    stp: SelfTradeName = "none"
    open_orders_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    grants: Amounts = _NONE
    approval_above: Amounts = _NONE
    daily_limits: Amounts = _NONE
    require_known_address: bool = False
    address_cooloff_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 0

    @property
    def self_trade(self) -> SelfTrade:
        """What ``stp`` names."""
        return SelfTrade[self.stp.upper()]

    @property
    def address_cooloff_us(self) -> int:
        """How long a new address has to wait."""
        return self.address_cooloff_s * 1_000_000


AccountTable: TypeAlias = AccountOf[Texts]
Account: TypeAlias = AccountOf[Atoms]


class SessionTable(_Section, frozen=True, kw_only=True):
    """A FIX session as the file has it: a setting of a session is a line here and nowhere else.

    ``password_hash`` is argon2, ``public_key`` an Ed25519 key (base64, 32 bytes) that its
    Logons must be signed with; "" is neither asked for. ``allow`` empty admits every address.
    ``client_certificate`` is the TLS certificate without which nobody is let in: the CN of its
    subject, or "sha256:" and the hash of its DER; "" asks for none.
    ``cancel_on_disconnect`` and ``grace_s`` hold where the Logon does not say; with
    ``cancel_on_logout`` false a Logout that the client begins cancels nothing, whatever they are.
    ``throttle_rate`` orders and replaces a second are taken, ``throttle_burst`` at once; a rate
    of 0 is no limit.
    ``market_data`` lets an order session subscribe to the market; one of kind "market_data" does
    nothing else. ``conflation_ms`` is how long changes are gathered before they are told.
    """

    comp_id: str
    account: str
    username: str
    password_hash: str = ""
    public_key: str = ""
    client_certificate: str = ""
    throttle_rate: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    throttle_burst: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    reset_on_logon: bool = False
    cancel_on_disconnect: CancelScope = CancelScope.NONE
    cancel_on_logout: bool = True
    grace_s: Seconds = 0
    reports: Reports = "own"
    kind: SessionKind = "order"
    market_data: bool = False
    conflation_ms: Literal[0, 10, 100] = 0
    allow: tuple[str, ...] = ()
    enabled: bool = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}(comp_id={self.comp_id!r}, account={self.account!r}, …)"


class SessionSettings(SessionTable, frozen=True, kw_only=True):
    """A FIX session with what follows from the rest of the file, from the loader to the session.

    ``firm`` is the firm of its account, ``accounts`` are those that it reaches: all of the firm,
    or a sub-account's own (see ``engine.core.authority``).
    """

    firm: str
    accounts: frozenset[str]


class KeyTable(_Section, frozen=True, kw_only=True):
    """An API key as the file has it; ``account`` is "" for an operator.

    ``secret`` goes with the kinds hmac and operator, ``token_sha256`` (hex) with bearer,
    ``public_key`` (base64, 32 bytes) with ed25519; the others are "".
    """

    key: str
    kind: KeyKind
    account: str = ""
    user: str
    scopes: tuple[Scope, ...]
    secret: str = ""
    token_sha256: str = ""
    public_key: str = ""
    allow: tuple[str, ...] = ()
    enabled: bool = True

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(key={self.key!r}, kind={self.kind!r}, "
            f"account={self.account!r}, …)"
        )


class Key(KeyTable, frozen=True, kw_only=True):
    """An API key with the firm of its account, "" for an operator."""

    firm: str


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that a process may be told. ``file`` is where it was read from."""

    file: Path
    environment: Environment
    data: Path
    venue: Venue
    engine: Engine
    cluster: Cluster | None
    fix: Fix
    http: Http
    stream: Stream
    metrics: Metrics
    market_data: MarketData
    history: History
    settlement: Settlement
    webhooks: Webhooks
    simulation: Simulation
    bots: Bots
    faucet: Faucet
    assets: tuple[Asset, ...]
    networks: tuple[Network, ...]
    instruments: tuple[Instrument, ...]
    accounts: tuple[Account, ...]
    sessions: tuple[SessionSettings, ...]
    keys: tuple[Key, ...]

    @property
    def explains_refusals(self) -> bool:
        """Whether a client whose FIX Logon is refused is told why."""
        chosen = self.fix.explain_refusals
        return self.environment != "production" if chosen is None else chosen
