"""Inputs of the venue: frozen, versioned, in the units of ``types.py``.

A command carries everything on which its outcome depends except the time and the sequence
number, which the sequencer adds. Fields are only ever appended, with defaults, so that an
old journal stays readable.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from engine.core.types import (
    BatchMode,
    CancelScope,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    RetiredId,
    SelfTrade,
    Side,
    TimeInForce,
)


class NewOrder(NamedTuple):
    """Create an order. ``stp`` None means the account's default.

    ``prior`` is set by the sequencer: what the durable index knows about this client order id
    if the engine has retired it from memory; None if nothing.
    ``poss_resend`` asks for the state of a known order instead of a refusal (row F.1.b).
    ``expire_at`` is needed with GTD; for DAY the venue sets it to the next roll.
    """

    origin: Origin
    account: str
    client_order_id: str
    symbol: str
    side: Side
    ord_type: OrdType
    tif: TimeInForce
    qty: int
    price: int = 0
    stop_price: int = 0
    cash_qty: int = 0
    min_qty: int = 0
    display_qty: int = 0
    expire_at: int = 0
    post_only: bool = False
    stp: SelfTrade | None = None
    strategy: str = ""
    manual: bool = False
    poss_resend: bool = False
    prior: RetiredId | None = None


class CancelOrder(NamedTuple):
    """Cancel one order, found by any client order id of its chain, or by order id.

    Where both are given both must agree. ``client_order_id`` is the id of this request.
    ``symbol`` and ``side`` are checked where given ("" and None say nothing). An
    ``order_id`` may name an order of another account of the same firm.
    """

    origin: Origin
    account: str
    client_order_id: str
    orig_client_order_id: str = ""
    order_id: int = 0
    symbol: str = ""
    side: Side | None = None


class ReplaceOrder(NamedTuple):
    """Change an order; found as in CancelOrder. None leaves a value as it is.

    ``qty`` counts what is executed. ``client_order_id`` is the order's new id; "" keeps the
    old one (REST). ``symbol``, ``side`` and ``ord_type`` cannot change and are checked where
    given. ``expire_at`` goes with ``tif`` GTD. ``prior`` is as in NewOrder.
    """

    origin: Origin
    account: str
    client_order_id: str
    orig_client_order_id: str = ""
    order_id: int = 0
    symbol: str = ""
    side: Side | None = None
    ord_type: OrdType | None = None
    tif: TimeInForce | None = None
    qty: int | None = None
    price: int | None = None
    stop_price: int | None = None
    display_qty: int | None = None
    expire_at: int | None = None
    prior: RetiredId | None = None


class MassCancel(NamedTuple):
    """Cancel every open order that all given filters match ("" and None match everything).

    With ``firm_wide`` the orders of all accounts of the acting account's firm are meant,
    else those of ``account`` alone.
    """

    origin: Origin
    account: str
    client_order_id: str
    firm_wide: bool = False
    session: str = ""
    symbol: str = ""
    side: Side | None = None
    strategy: str = ""


class RecordRefusal(NamedTuple):
    """A request that a gateway refused; committed, so that it is never accepted later.

    For instance a price off the tick, an unknown symbol, or a throttled message.
    """

    origin: Origin
    account: str
    request: RequestKind
    reason: RejectReason
    text: str
    client_order_id: str = ""
    orig_client_order_id: str = ""
    order_id: int = 0
    symbol: str = ""
    side: Side | None = None
    ord_type: OrdType | None = None
    qty_text: str = ""
    price_text: str = ""
    strategy: str = ""
    mark_only: bool = False
    """Record only the number of the message (the gateway answered it by itself)."""
    echo: str = ""
    """What the gateway's own answer repeats of the request; the engine only stores it."""


BatchEntry: TypeAlias = NewOrder | CancelOrder | ReplaceOrder | RecordRefusal


class Batch(NamedTuple):
    """Up to 50 creates, replaces and cancels, executed in order in one turn of the engine.

    An entry that the gateway refused takes its place as a RecordRefusal (request NEW,
    CANCEL or REPLACE) and fails with its own reason (rule B-5).
    """

    origin: Origin
    account: str
    batch_id: str
    mode: BatchMode
    entries: tuple[BatchEntry, ...]
    echo: str = ""
    """As in RecordRefusal."""


class Deposit(NamedTuple):
    """Report a deposit and its confirmations; repeated with more, credited once.

    A deposit id is remembered permanently; account, asset and amount may not change.
    """

    origin: Origin
    deposit_id: str
    account: str
    asset: str
    amount: int
    network: str = ""
    address: str = ""
    txid: str = ""
    confirmations: int = 0
    confirmations_required: int = 0


class RequestWithdrawal(NamedTuple):
    """Request a withdrawal; amount + fee are held at once. The id is remembered permanently."""

    origin: Origin
    account: str
    client_withdrawal_id: str
    asset: str
    network: str
    address: str
    amount: int
    memo: str = ""
    quote_id: str = ""


class ApproveWithdrawal(NamedTuple):
    """Approve a withdrawal that waits for a second person (``origin.user``)."""

    origin: Origin
    account: str
    withdrawal_id: int


class RejectWithdrawal(NamedTuple):
    """Reject a withdrawal that waits for a second person; its hold is released."""

    origin: Origin
    account: str
    withdrawal_id: int
    note: str = ""


class CancelWithdrawal(NamedTuple):
    """Cancel a withdrawal that has not been handed to the network; releases its hold."""

    origin: Origin
    account: str
    withdrawal_id: int


class AdvanceWithdrawal(NamedTuple):
    """The settlement worker's report: the withdrawal has reached ``state``.

    Legal transitions are those of rule W-3; a repeated report is recognized and does nothing.
    """

    origin: Origin
    withdrawal_id: int
    state: int
    txid: str = ""
    confirmations: int = 0
    note: str = ""


class Transfer(NamedTuple):
    """Move money between two accounts of one firm; the id is remembered permanently."""

    origin: Origin
    account: str
    to_account: str
    asset: str
    amount: int
    client_transfer_id: str


class AddAddress(NamedTuple):
    """Put an address into the account's book; usable after the cool-off (rule W-10)."""

    origin: Origin
    account: str
    asset: str
    network: str
    address: str
    memo: str = ""
    label: str = ""


class RemoveAddress(NamedTuple):
    """Remove an address from the account's book."""

    origin: Origin
    account: str
    address_id: int


class QuoteWithdrawal(NamedTuple):
    """Quote the fee of one withdrawal, valid for a short time (rule W-11)."""

    origin: Origin
    account: str
    asset: str
    network: str
    amount: int


class AssignDepositAddress(NamedTuple):
    """Give an account a deposit address; a repeated request returns the same one (W-12)."""

    origin: Origin
    account: str
    asset: str
    network: str
    address: str
    memo: str = ""


class SetDeadMansSwitch(NamedTuple):
    """Cancel the account's orders (of one strategy, if given) unless repeated in time.

    ``timeout_us`` 0 switches it off.
    """

    origin: Origin
    account: str
    timeout_us: int
    strategy: str = ""


class OpenSession(NamedTuple):
    """A FIX session logged on (or a WebSocket requested cancel on disconnect)."""

    origin: Origin
    account: str
    cancel_scope: CancelScope
    grace_us: int


class CloseSession(NamedTuple):
    """A session ended; starts its grace period. If it is unknown or closed nothing happens."""

    origin: Origin
    clean: bool = False
    """A logout by the client, as opposed to a lost connection."""


class StartEpoch(NamedTuple):
    """Sequence numbers of a session are reset to 1; ``origin.epoch`` is the new epoch.

    Refused unless it is the current one + 1. ``cursor`` is the position that delivery had reached.
    """

    origin: Origin
    account: str
    cursor: tuple[int, int, int]
    cause: str


class TakeSession(NamedTuple):
    """A FIX gateway takes a session; ``holder`` is its name, which no other gateway has.

    Refused while the session is connected through another (rule S-7).
    """

    origin: Origin
    account: str
    holder: str


class ReserveNumbers(NamedTuple):
    """The gateway that holds a session may use outgoing numbers up to ``through`` (rule S-8).

    The client has everything up to ``cursor``. Refused unless ``origin`` has the session's
    epoch and term.
    """

    origin: Origin
    through: int
    cursor: tuple[int, int, int]


class Tick(NamedTuple):
    """Fire due timers (expiry, roll, grace periods, switches) and continue unfinished work."""

    origin: Origin


class DefineAsset(NamedTuple):
    """Define an asset, or confirm its definition."""

    origin: Origin
    asset: str
    scale: int


class DefineInstrument(NamedTuple):
    """Define an instrument or change its bounds; tick and lot never change."""

    origin: Origin
    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_qty: int
    max_qty: int
    max_price: int
    band_ppm: int = 0


class DefineAccount(NamedTuple):
    """Define an account or change its settings. Fees in parts per million.

    ``approval_above`` lists (asset, atoms): withdrawals above need a second person.
    """

    origin: Origin
    account: str
    firm: str
    maker_fee_ppm: int
    taker_fee_ppm: int
    stp: SelfTrade
    open_orders_max: int
    approval_above: tuple[tuple[str, int], ...] = ()
    daily_limits: tuple[tuple[str, int], ...] = ()
    require_known_address: bool = False
    address_cooloff_us: int = 0


class DefineNetwork(NamedTuple):
    """Define a network of an asset: withdrawal fee, minimum and step in atoms, confirmations."""

    origin: Origin
    asset: str
    network: str
    withdrawal_fee: int
    withdrawal_min: int
    withdrawal_step: int
    confirmations_required: int
    memo_required: bool = False
    suspended: bool = False


class SetInstrumentStatus(NamedTuple):
    """Halt or resume an instrument; resting orders stay."""

    origin: Origin
    symbol: str
    status: int
    note: str = ""


class SetReferencePrice(NamedTuple):
    """Set the reference price (ticks) of an instrument's band until the next trade (P-2)."""

    origin: Origin
    symbol: str
    price: int
    note: str = ""


class SetAccountStatus(NamedTuple):
    """Suspend or resume an account (rules A); ``note`` says why, and the client sees it.

    A suspension cancels open orders and withdrawals unless ``keep_open`` is set.
    """

    origin: Origin
    account: str
    suspended: bool
    note: str = ""
    keep_open: bool = False


class DefineVenue(NamedTuple):
    """Venue-wide settings on which outcomes depend; the roll in µs after midnight UTC."""

    origin: Origin
    day_roll_us: int
    cascade_max: int
    closed_orders_kept: int
    client_id_window_us: int
    work_max: int = 500
    """Trades, cancels and triggered stops of one command (rule M-10)."""


class StoreRecords(NamedTuple):
    """Change records that another process stores in the engine, all of one owner.

    ``expected`` is the version of the owner's records in the collection on which the change is
    based: the seq of their last change, 0 if there was none. ``changes`` lists (key, value); an
    empty value deletes. ``owner`` is a firm, or "" for the venue.
    """

    origin: Origin
    collection: str
    owner: str
    expected: int
    changes: tuple[tuple[str, str], ...]


Command: TypeAlias = (
    NewOrder
    | CancelOrder
    | ReplaceOrder
    | MassCancel
    | Batch
    | RecordRefusal
    | Deposit
    | RequestWithdrawal
    | ApproveWithdrawal
    | RejectWithdrawal
    | CancelWithdrawal
    | AdvanceWithdrawal
    | Transfer
    | AddAddress
    | RemoveAddress
    | QuoteWithdrawal
    | AssignDepositAddress
    | SetDeadMansSwitch
    | OpenSession
    | CloseSession
    | StartEpoch
    | TakeSession
    | ReserveNumbers
    | Tick
    | DefineAsset
    | DefineInstrument
    | DefineAccount
    | DefineNetwork
    | SetInstrumentStatus
    | SetAccountStatus
    | SetReferencePrice
    | DefineVenue
    | StoreRecords
)

COMMAND_KINDS: Final[dict[type[Command], int]] = {
    NewOrder: 1,
    CancelOrder: 2,
    ReplaceOrder: 3,
    MassCancel: 4,
    RecordRefusal: 6,
    Batch: 5,
    Deposit: 10,
    RequestWithdrawal: 11,
    ApproveWithdrawal: 12,
    RejectWithdrawal: 13,
    CancelWithdrawal: 14,
    AdvanceWithdrawal: 15,
    Transfer: 16,
    AddAddress: 40,
    RemoveAddress: 41,
    QuoteWithdrawal: 42,
    AssignDepositAddress: 43,
    SetDeadMansSwitch: 20,
    OpenSession: 21,
    CloseSession: 22,
    StartEpoch: 23,
    Tick: 24,
    TakeSession: 25,
    ReserveNumbers: 26,
    DefineAsset: 30,
    DefineInstrument: 31,
    DefineAccount: 32,
    DefineNetwork: 33,
    SetInstrumentStatus: 34,
    DefineVenue: 35,
    SetAccountStatus: 36,
    SetReferencePrice: 37,
    StoreRecords: 50,
}
"""The number of each command on the wire and in the journal; numbers are never reused."""
