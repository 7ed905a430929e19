"""Vocabulary of the venue: enums, reasons, and the rows that commands and events carry.

Values of enums that exist in FIX are the FIX 4.4 code points (as integers), so that a journal
reads like the protocol. Units, everywhere in the core: prices are integer ticks, order
quantities integer lots, money integer atoms of an asset, times integer microseconds since
1970-01-01 UTC. Zero stands for "absent" where a field is optional and numeric.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Generic, NamedTuple, TypeVar

ENGINE_VERSION: Final = "4"
"""Version of the matching semantics; a journal segment records the one that wrote it."""

INT64_MAX: Final = 2**63 - 1
PPM: Final = 1_000_000
"""Fees are given in parts per million of the notional."""

BATCH_ENTRIES_MAX: Final = 50
CLIENT_ID_LENGTH_MAX: Final = 64
STRATEGY_LENGTH_MAX: Final = 32

make: Final = tuple.__new__
"""``make(Kind, fields)`` builds a row or event from all its fields, in order, in two thirds of
the time of its constructor; for the hot path. A test checks the fields."""


class Side(IntEnum):
    """Side(54)."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """OrdType(40)."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """TimeInForce(59). DAY ends at the configured roll, GTD at ``expire_at``."""

    DAY = 0
    GTC = 1
    IOC = 3
    FOK = 4
    GTD = 6


class OrdStatus(IntEnum):
    """OrdStatus(39); EXPIRED is FIX ``C``. Nothing is ever pending inside the venue."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 4
    REJECTED = 8
    EXPIRED = 12


class SelfTrade(IntEnum):
    """What happens when an order meets an order of the same firm (rule M-7)."""

    NONE = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3
    DECREMENT = 4


class Liquidity(IntEnum):
    """LastLiquidityInd(851)."""

    MAKER = 1
    TAKER = 2


class BatchMode(IntEnum):
    """INDEPENDENT: each entry by itself. VALIDATE_ALL: one invalid entry refuses them all."""

    INDEPENDENT = 0
    VALIDATE_ALL = 1


class CancelScope(IntEnum):
    """Cancel on disconnect, tag 20003: orders of the session, of its account, of the firm."""

    NONE = 0
    SESSION = 1
    FIRM = 2
    ACCOUNT = 3


class InstrumentStatus(IntEnum):
    """OPEN trades; HALTED accepts cancels only."""

    OPEN = 1
    HALTED = 2


class CancelReason(IntEnum):
    """Why an order left the book without being filled."""

    REQUESTED = 1
    MASS_CANCEL = 2
    IOC_REMAINDER = 3
    FOK_UNFILLABLE = 4
    MARKET_REMAINDER = 5
    SELF_TRADE = 6
    DISCONNECT = 7
    EXPIRED = 8
    DEAD_MAN_SWITCH = 9
    OPERATOR = 10
    MIN_QTY = 11
    STOP_UNFUNDED = 12
    SWEEP_TOO_LARGE = 13
    UNFUNDED = 14
    POST_ONLY = 15
    PRICE_BAND = 20


class RestateReason(IntEnum):
    """Why an order changed without a request (ExecRestatementReason(378))."""

    SELF_TRADE_DECREMENT = 1
    RESTS = 2


class RequestKind(IntEnum):
    """Which request a refusal answers."""

    NEW = 1
    CANCEL = 2
    REPLACE = 3
    MASS_CANCEL = 4
    BATCH = 5
    OTHER = 6


class RejectReason(IntEnum):
    """Stable reasons of refusal; the lower-case name is the code in REST errors."""

    UNKNOWN_ACCOUNT = 1
    UNKNOWN_SYMBOL = 2
    INSTRUMENT_HALTED = 3
    DUPLICATE_CLIENT_ORDER_ID = 4
    INVALID_CLIENT_ORDER_ID = 5
    INVALID_QUANTITY = 6
    INVALID_PRICE = 7
    QUANTITY_TOO_SMALL = 8
    QUANTITY_TOO_LARGE = 9
    PRICE_TOO_LARGE = 10
    UNSUPPORTED_COMBINATION = 11
    INVALID_EXPIRY = 12
    INSUFFICIENT_FUNDS = 13
    TOO_MANY_OPEN_ORDERS = 14
    POST_ONLY_WOULD_TRADE = 15
    UNKNOWN_ORDER = 16
    TOO_LATE = 17
    MISMATCH = 18
    REQUEST_EXPIRED = 19
    STALE_RESEND = 20
    THROTTLED = 21
    NO_LIQUIDITY = 22
    INVALID_BATCH = 23
    BATCH_REFUSED = 24
    INVALID_FIELD = 25
    NOT_PERMITTED = 26
    UNKNOWN_ASSET = 30
    UNKNOWN_WITHDRAWAL = 31
    WITHDRAWAL_STATE = 32
    SELF_APPROVAL = 33
    WITHDRAWAL_LIMIT = 34
    AMOUNT_TOO_SMALL = 35
    UNKNOWN_NETWORK = 36
    DUPLICATE_CLIENT_WITHDRAWAL_ID = 37
    DUPLICATE_DEPOSIT = 38
    ADDRESS_NOT_ALLOWED = 39
    ADDRESS_COOLING = 40
    QUOTE_EXPIRED = 41
    UNKNOWN_SESSION = 42
    STALE_EPOCH = 43
    DUPLICATE_CLIENT_TRANSFER_ID = 44
    UNKNOWN_QUOTE = 45
    UNKNOWN_ADDRESS = 46
    NETWORK_SUSPENDED = 47
    MEMO_REQUIRED = 48
    DUPLICATE_DEFINITION = 49
    MESSAGE_TOO_BIG = 50
    TOO_MANY_SESSIONS = 51
    TOO_MANY_ADDRESSES = 52
    ACCOUNT_SUSPENDED = 53
    SWEEP_TOO_LARGE = 56
    INSTRUMENT_BUSY = 57
    PRICE_OUTSIDE_BAND = 60


class WithdrawalState(IntEnum):
    """States of a withdrawal; the transitions are in ``withdrawals.py`` (rules W-1 to W-9)."""

    REQUESTED = 1
    PENDING_APPROVAL = 2
    APPROVED = 3
    QUEUED = 4
    BROADCASTING = 5
    CONFIRMING = 6
    COMPLETED = 7
    REJECTED = 8
    CANCELED = 9
    FAILED = 10
    EXPIRED = 11


class Route(NamedTuple):
    """Third parties of a FIX message, as its header has them; "" where a field is absent.

    OnBehalfOfCompID(115) and OnBehalfOfSubID(116) name the firm and the desk or trader behind the
    session that sent it, DeliverToCompID(128) and DeliverToSubID(129) whom it is meant for.
    """

    on_behalf_of_comp_id: str = ""
    on_behalf_of_sub_id: str = ""
    deliver_to_comp_id: str = ""
    deliver_to_sub_id: str = ""


class Origin(NamedTuple):
    """Where a command came from, and the identity by which a repeat of it is recognized.

    ``source`` is ``fix:<CompID>`` for a FIX session, ``api:<key>`` for a REST key,
    ``ws:<key>`` for a WebSocket, ``operator:<key>``, ``worker:<name>`` or ``engine``.
    A FIX message is identified by (source, epoch, num = MsgSeqNum); a signed request by
    ``token``, the hex SHA-256 of its signature, remembered until ``valid_until``.
    A command that reaches the engine after ``valid_until`` (if not 0) is refused.
    ``user`` is the person or program behind an API key, for the four-eyes rule.
    ``route`` is the message's, None where it has none.
    ``term`` is the session's when its gateway took it (rule S-7), 0 where it was never taken.
    """

    source: str
    epoch: int = 0
    num: int = 0
    token: str = ""
    valid_until: int = 0
    user: str = ""
    route: Route | None = None
    term: int = 0


class OrderTerms(NamedTuple):
    """The terms of an order; a replace substitutes them as a whole.

    ``qty`` is the total, executions included (FIX OrderQty(38)).
    ``client_order_id`` is the current id, ``first_client_order_id`` the one the chain began
    with. ``session`` is the ``Origin.source`` that entered the order. ``cash_qty`` is the
    quote amount in atoms of an order by money (CashOrderQty(152)), whose ``qty`` is what that
    amount became on arrival (rule M-9).
    ``display_qty`` is the iceberg's visible size (MaxFloor(111)), 0 for the whole.
    ``route`` is that of the last create or replace by ``session`` (rule C-11), if it had one.
    """

    order_id: int
    account: str
    client_order_id: str
    first_client_order_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    tif: TimeInForce
    qty: int
    price: int
    stop_price: int
    cash_qty: int
    min_qty: int
    display_qty: int
    expire_at: int
    post_only: bool
    stp: SelfTrade
    strategy: str
    manual: bool
    session: str
    created_at: int
    route: Route | None = None


class RetiredId(NamedTuple):
    """The state of a closed order when its client order id left the engine's memory (rule I-3)."""

    account: str
    client_order_id: str
    order_id: int
    status: OrdStatus
    qty: int
    cum: int
    notional: int


class OrderRow(NamedTuple):
    """An order as a query shows it: its terms and its state.

    ``notional`` is the sum of price × quantity of its fills in ticks × lots, from which the
    average price follows exactly; ``fees`` is in quote atoms; ``held`` in atoms of
    ``hold_asset``; ``display`` is what the public book shows of it, in lots.
    """

    order: OrderTerms
    status: OrdStatus
    leaves: int
    cum: int
    notional: int
    fees: int
    held: int
    hold_asset: str
    display: int
    triggered: bool
    updated_at: int


class Balance(NamedTuple):
    """Money of one account in one asset, in atoms; posted = available + held.

    ``pending`` is the sum of deposits that are not yet confirmed.
    """

    account: str
    asset: str
    posted: int
    held: int
    available: int
    pending: int


class HistoryStep(NamedTuple):
    """One transition of a withdrawal: the state reached, when, by whom, and why."""

    state: WithdrawalState
    time_us: int
    actor: str
    note: str


class Withdrawal(NamedTuple):
    """A withdrawal as events and queries show it; ``amount`` and ``fee`` in atoms of ``asset``.

    ``amount`` goes to the address, ``fee`` stays with the venue; both are held from the
    request on. ``hold_id`` is ``W<withdrawal_id>``. ``txid`` is set when the coins are sent.
    """

    withdrawal_id: int
    account: str
    client_withdrawal_id: str
    asset: str
    network: str
    address: str
    memo: str
    amount: int
    fee: int
    state: WithdrawalState
    requested_by: str
    approved_by: str
    created_at: int
    updated_at: int
    expires_at: int
    txid: str
    confirmations: int
    confirmations_required: int
    history: tuple[HistoryStep, ...]


class Address(NamedTuple):
    """An entry of an account's address book; usable from ``available_at`` on (rule W-10)."""

    address_id: int
    account: str
    asset: str
    network: str
    address: str
    memo: str
    label: str
    created_at: int
    available_at: int


class WithdrawalQuote(NamedTuple):
    """A fee quoted for one withdrawal until ``expires_at`` (rule W-11); amounts in atoms."""

    quote_id: str
    account: str
    asset: str
    network: str
    amount: int
    fee: int
    expires_at: int


class DepositAddress(NamedTuple):
    """The address for an account's deposits of an asset on a network."""

    account: str
    asset: str
    network: str
    address: str
    memo: str
    created_at: int


class Deposit(NamedTuple):
    """Money on its way in; credited once, when confirmations reach the number required."""

    deposit_id: str
    account: str
    asset: str
    network: str
    address: str
    txid: str
    amount: int
    confirmations: int
    confirmations_required: int
    credited: bool
    created_at: int
    updated_at: int


class SessionRow(NamedTuple):
    """The engine's record of a FIX session.

    ``last_num_applied`` is the highest MsgSeqNum that became a command in this epoch.
    ``cursor`` is the outbound position (seq, event index, part) at the start of the epoch, or
    that of the last ReserveNumbers in it. ``holder`` is the gateway that has taken the session
    ("" for none), ``term`` how often it was taken, ``reserved`` the highest outgoing number that
    may have been used (rules S-7, S-8).
    """

    session: str
    account: str
    epoch: int
    last_num_applied: int
    connected: bool
    cancel_scope: CancelScope
    grace_us: int
    cursor: tuple[int, int, int]
    closes_at: int
    holder: str = ""
    term: int = 0
    reserved: int = 0


class PriceLevel(NamedTuple):
    """One level of a public book: price in ticks, displayed quantity in lots, order count."""

    price: int
    qty: int
    orders: int


class ShownOrder(NamedTuple):
    """An order as the book shows it: price in ticks, ``qty`` in lots what it displays."""

    order_id: int
    side: Side
    price: int
    qty: int


class BookOrders(NamedTuple):
    """The orders of one book, bids before offers, from the best price on, by priority."""

    symbol: str
    status: InstrumentStatus
    orders: tuple[ShownOrder, ...]


class BookRow(NamedTuple):
    """Depth of one instrument, best prices first; ``last_price`` 0 before the first trade."""

    symbol: str
    status: InstrumentStatus
    bids: tuple[PriceLevel, ...]
    asks: tuple[PriceLevel, ...]
    last_price: int


class AssetRow(NamedTuple):
    """An asset: one unit is 10**scale atoms."""

    asset: str
    scale: int


class NetworkRow(NamedTuple):
    """A network of an asset; fee, minimum and step of a withdrawal in atoms of the asset."""

    asset: str
    network: str
    withdrawal_fee: int
    withdrawal_min: int
    withdrawal_step: int
    confirmations_required: int
    memo_required: bool
    suspended: bool


class AccountRow(NamedTuple):
    """An account's settings and state; fees in parts per million of notional.

    ``approval_above`` and ``daily_limits`` list (asset, atoms). ``account_seq`` is the number
    of its last event.
    """

    account: str
    firm: str
    maker_fee_ppm: int
    taker_fee_ppm: int
    stp: SelfTrade
    open_orders_max: int
    approval_above: tuple[tuple[str, int], ...]
    daily_limits: tuple[tuple[str, int], ...]
    require_known_address: bool
    address_cooloff_us: int
    open_orders: int
    account_seq: int
    suspended: bool


class AddressRules(NamedTuple):
    """Whether money leaves to known addresses only, and how long a new one cools off."""

    require_known_address: bool
    address_cooloff_us: int


class WithdrawalLimit(NamedTuple):
    """What bounds an account's withdrawals of an asset on one day, in atoms; None is no bound.

    Of the account's own daily limit and its firm's the one that leaves less, with what counts
    towards it: with ``firm_wide`` the withdrawals of all accounts of the firm (rule W-13).
    """

    asset: str
    daily_limit: int | None
    daily_used: int
    daily_remaining: int | None
    firm_wide: bool
    approval_above: int | None


class AccountLimits(NamedTuple):
    """What holds for an account's withdrawals, its firm's rules included."""

    account: str
    addresses: AddressRules
    withdrawals: tuple[WithdrawalLimit, ...]


class Hold(NamedTuple):
    """Money set aside for one open order (``O<order_id>``) or withdrawal (``W<id>``).

    ``amount`` is what is still held, in atoms of ``asset``.
    """

    hold_id: str
    account: str
    asset: str
    amount: int


class InstrumentRow(NamedTuple):
    """Where an instrument stands, for lists that need more than its grid.

    ``reference`` is the price around which its band lies now, ``band_low`` and ``band_high`` its
    ends in ticks, the ends included; all 0 where no band bounds prices (rules P).
    """

    symbol: str
    status: InstrumentStatus
    last_price: int
    reference: int = 0
    band_low: int = 0
    band_high: int = 0


class StoredRecord(NamedTuple):
    """A record that another process has stored in the engine.

    ``number`` counts the records of the collection from 1 and is never used again;
    ``changed_at`` is the seq of its last change.
    """

    owner: str
    key: str
    value: str
    number: int
    changed_at: int


class StoredRecords(NamedTuple):
    """What has changed of a collection since a version, oldest first, and its version now.

    With ``whole`` these are all of its records, and others are there no more. ``versions`` lists
    (owner, version) of the owners that have changed. ``age_ms`` is how long ago this state was
    last known to be the newest.
    """

    whole: bool
    version: int
    records: list[StoredRecord]
    versions: list[tuple[str, int]]
    age_ms: int


class Standing(NamedTuple):
    """What an engine is to processes of which one must act for the venue.

    ``leads`` is true for the one engine that takes commands. ``age_ms`` is how long ago its state
    was last known to be the newest; 0 while no other engine can have a newer one.
    """

    leads: bool
    age_ms: int


class AccountSnapshot(NamedTuple):
    """All that a consumer needs to go on from ``account_seq`` (and ``as_of_seq``) + 1."""

    account: str
    account_seq: int
    balances: list[Balance]
    orders: list[OrderRow]
    withdrawals: list[Withdrawal]
    as_of_seq: int = 0


class MemberRow(NamedTuple):
    """A member of the cluster as the one that answers knows it.

    ``role`` is "leader", "follower" or, for one that says nothing, "away". ``behind`` is how many
    transactions it lacks, ``behind_ms`` for how long it has lacked one.
    """

    node: str
    address: str
    candidate: bool
    role: str
    seq: int
    flushed: int
    behind: int
    behind_ms: int


class ClusterStatus(NamedTuple):
    """The cluster as one of its members knows it.

    ``leader`` is "" while nobody leads, ``trouble`` what keeps this member from etcd or from the
    leader. ``log_records`` and ``log_bytes`` are what etcd holds, as last counted, which the leader
    does, or everybody where there is none; ``alarms`` are etcd's. ``etcd_reached``: a majority of
    etcd answers.
    """

    node: str
    role: str
    epoch: int
    leader: str
    trouble: str
    log_records: int
    log_bytes: int
    members: tuple[MemberRow, ...]
    etcd_reached: bool = True
    alarms: tuple[str, ...] = ()


class EngineStatus(NamedTuple):
    """What the engine tells about itself; ``first_seq`` is the oldest one it can replay."""

    boot_id: str
    engine_version: str
    seq: int
    time_us: int
    first_seq: int
    snapshot_seq: int
    clients: int
    open_orders: int
    accounts: int


class ClientMetrics(NamedTuple):
    """A connection to the engine: its name, and the bytes that wait to be sent to it."""

    name: str
    queued_bytes: int


class EngineMetrics(NamedTuple):
    """What the engine has counted since it started, but for orders, trades and withdrawals,
    which are counts over the whole life of the journal.

    ``commit_buckets`` lists (upper bound in µs, commits that took longer than the bound
    before and at most this). ``catching_up`` is the number of subscribers that are fed from
    the journal; ``dropped`` counts clients ended because they did not read.
    """

    batches: int
    transactions: int
    duplicates: int
    commit_us: int
    commit_us_max: int
    commit_buckets: tuple[tuple[int, int], ...]
    orders: int
    trades: int
    withdrawals: int
    snapshots_failed: int
    snapshot_pause_us: int
    dropped: int
    catching_up: int
    clients: tuple[ClientMetrics, ...]
    cpu_us: int
    resident_bytes: int


T = TypeVar("T")


class Answered(NamedTuple, Generic[T]):
    """The answer to a query, true as of the transaction ``as_of_seq``."""

    value: T
    as_of_seq: int
