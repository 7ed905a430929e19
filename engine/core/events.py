"""Outputs of the venue: frozen facts, in the units of ``types.py``.

Every event begins with ``account`` and ``account_seq``: the account whose event it is and
its place in that account's contiguous sequence ("" and 0 for events of the whole venue).
The time and the global sequence are those of the transaction that holds the event. An
event is complete in itself: an ExecutionReport or a WebSocket message is made from it
without any other state. ``hold_change`` is the change of the account's held money in the
asset in which the order has its hold (quote for buys, base for sells), in atoms; available money
changes by the opposite, plus what a fill posts.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from engine.core.types import (
    Address,
    CancelReason,
    CancelScope,
    Deposit,
    DepositAddress,
    InstrumentStatus,
    Liquidity,
    OrderTerms,
    OrdStatus,
    OrdType,
    RejectReason,
    RequestKind,
    RestateReason,
    RetiredId,
    Route,
    SelfTrade,
    Side,
    Withdrawal,
    WithdrawalQuote,
)


class OrderAccepted(NamedTuple):
    """The order is accepted (ExecType 0). A stop order waits with display 0."""

    account: str
    account_seq: int
    order: OrderTerms
    leaves: int
    hold_change: int
    display: int


class OrderRejected(NamedTuple):
    """A create was refused (ExecType 8).

    For a duplicate client order id ``status``, ``qty``, ``cum``, ``leaves`` and
    ``notional`` describe the order that owns the id and ``order_id`` names it (row F.1.a);
    otherwise status is REJECTED and order_id 0. ``qty_text`` and ``price_text`` carry what
    the client sent if it could not be converted into lots and ticks.
    """

    account: str
    account_seq: int
    client_order_id: str
    symbol: str
    side: Side | None
    ord_type: OrdType | None
    qty: int
    price: int
    strategy: str
    reason: RejectReason
    text: str
    status: OrdStatus
    order_id: int
    cum: int
    leaves: int
    notional: int
    qty_text: str
    price_text: str


class OrderFilled(NamedTuple):
    """One side of one trade (ExecType F).

    ``cash`` is the notional in quote atoms, ``fee`` in quote atoms. A buyer's posted money
    changes by +base and −(cash + fee), a seller's by −base and +(cash − fee).
    ``display`` is what the book shows of the order afterwards.
    """

    account: str
    account_seq: int
    order: OrderTerms
    status: OrdStatus
    leaves: int
    cum: int
    notional: int
    trade_id: int
    last_qty: int
    last_price: int
    liquidity: Liquidity
    base_amount: int
    cash: int
    fee: int
    fees: int
    hold_change: int
    display: int


class OrderCanceled(NamedTuple):
    """The order was canceled (ExecType 4) or has expired (C, with the reason EXPIRED).

    ``client_order_id`` is the id of the cancel request, "" if there was none, and
    ``requester`` is the ``Origin.source`` of the requester and ``route`` that of its request.
    """

    account: str
    account_seq: int
    order: OrderTerms
    status: OrdStatus
    cum: int
    notional: int
    reason: CancelReason
    client_order_id: str
    requester: str
    hold_change: int
    route: Route | None = None


class OrderReplaced(NamedTuple):
    """The order has new terms (ExecType 5); ``order`` holds the new ones.

    Status is FILLED with leaves 0 when the new quantity was at or below what was executed.
    """

    account: str
    account_seq: int
    order: OrderTerms
    orig_client_order_id: str
    status: OrdStatus
    leaves: int
    cum: int
    notional: int
    priority_kept: bool
    requester: str
    hold_change: int
    display: int


class OrderRestated(NamedTuple):
    """The venue changed the order without a request (ExecType D); terms hold the new quantity."""

    account: str
    account_seq: int
    order: OrderTerms
    status: OrdStatus
    leaves: int
    cum: int
    notional: int
    reason: RestateReason
    hold_change: int
    display: int


class OrderTriggered(NamedTuple):
    """A stop price was reached (ExecType L); ``order`` keeps its terms.

    ``hold_change`` is the hold that a stop buy without a limit takes now (rule T-4).
    """

    account: str
    account_seq: int
    order: OrderTerms
    leaves: int
    display: int
    hold_change: int = 0


class CancelRejected(NamedTuple):
    """A cancel or replace was refused (OrderCancelReject(9)).

    ``order_id`` 0 and status REJECTED when no such order is known to the account; else the
    current status and, in ``current_client_order_id``, the last accepted id.
    ``strategy`` is the order's.
    """

    account: str
    account_seq: int
    request: RequestKind
    client_order_id: str
    orig_client_order_id: str
    current_client_order_id: str
    order_id: int
    status: OrdStatus
    reason: RejectReason
    text: str
    strategy: str = ""


class StatusReported(NamedTuple):
    """State of an order, in answer to a repeated create (ExecType I, row F.1.b)."""

    account: str
    account_seq: int
    order: OrderTerms
    status: OrdStatus
    leaves: int
    cum: int
    notional: int


class MassCanceled(NamedTuple):
    """What a mass cancel did: (account, client order id, order id) of each order.

    It follows the OrderCanceled events of those orders. With ``reason`` set it was refused.
    If a mass cancel exceeds the work of one command, ``complete`` is false, and a second event
    follows the last order's. ``total`` counts the orders canceled so far, of which ``affected``
    names the first 1,000 (both cover all pieces together). ``requester`` is the
    ``Origin.source`` of the requester and ``route`` that of its request, since the second event
    belongs to another command.
    """

    account: str
    account_seq: int
    client_order_id: str
    affected: tuple[tuple[str, str, int], ...]
    symbol: str
    side: Side | None
    strategy: str
    session: str
    firm_wide: bool
    reason: RejectReason | None
    text: str
    total: int = 0
    complete: bool = True
    requester: str = ""
    route: Route | None = None


class BatchDone(NamedTuple):
    """Summary of a batch, after the events of its entries.

    ``results`` has a row per entry: (index of its first event in this transaction, number
    of its events, accepted). With ``reason`` set no entry was executed.
    """

    account: str
    account_seq: int
    batch_id: str
    results: tuple[tuple[int, int, bool], ...]
    reason: RejectReason | None
    text: str


class Refused(NamedTuple):
    """A command that is not about an order was refused.

    ``subject`` is the id that the caller gave (a client withdrawal id, a session…), and
    ``detail`` the one number that helps the caller: when an address is usable, what remains of a
    limit, the existing withdrawal's id.
    """

    account: str
    account_seq: int
    subject: str
    reason: RejectReason
    text: str
    detail: int


class DepositUpdated(NamedTuple):
    """A deposit was seen, has more confirmations, or was credited."""

    account: str
    account_seq: int
    deposit: Deposit
    credited_now: int


class WithdrawalUpdated(NamedTuple):
    """A withdrawal changed its state; ``posted`` is the amount that left the account."""

    account: str
    account_seq: int
    withdrawal: Withdrawal
    hold_change: int
    posted: int


class Transferred(NamedTuple):
    """One side of a transfer: ``change`` of the account's available money."""

    account: str
    account_seq: int
    client_transfer_id: str
    transfer_id: int
    other_account: str
    asset: str
    change: int


class AddressChanged(NamedTuple):
    """An address was added to the account's book, was there already, or was removed."""

    account: str
    account_seq: int
    address: Address
    removed: bool


class WithdrawalQuoted(NamedTuple):
    """The fee of one withdrawal was quoted, valid for a limited time."""

    account: str
    account_seq: int
    quote: WithdrawalQuote


class DepositAddressAssigned(NamedTuple):
    """The account's deposit address for an asset on a network."""

    account: str
    account_seq: int
    deposit_address: DepositAddress


class DeadMansSwitchSet(NamedTuple):
    """The switch now fires at ``fires_at`` (0: off)."""

    account: str
    account_seq: int
    strategy: str
    fires_at: int


class SessionChanged(NamedTuple):
    """A session opened, closed or began a new epoch (``what``: opened, closed, epoch)."""

    account: str
    account_seq: int
    session: str
    what: str
    epoch: int
    mark: int
    cancel_scope: CancelScope
    cursor: tuple[int, int, int]
    cause: str


class SessionHeld(NamedTuple):
    """Which gateway holds a session, and the outgoing numbers that it may use (rules S-7, S-8).

    ``what`` is taken, reserved or refused; ``text`` says why it was refused. ``before`` is the
    holder before, and all else is as it is now. It belongs to no account's sequence.
    """

    account: str
    account_seq: int
    session: str
    what: str
    holder: str
    before: str
    term: int
    epoch: int
    mark: int
    reserved: int
    cursor: tuple[int, int, int]
    text: str


class InstrumentStatusChanged(NamedTuple):
    """An instrument was halted or resumed."""

    account: str
    account_seq: int
    symbol: str
    status: InstrumentStatus
    note: str


class ReferencePriceSet(NamedTuple):
    """An operator set the reference price of an instrument's band, in ticks."""

    account: str
    account_seq: int
    symbol: str
    price: int
    note: str


class AccountStatusChanged(NamedTuple):
    """An account was suspended or resumed (rules A)."""

    account: str
    account_seq: int
    suspended: bool
    note: str


class AssetDefined(NamedTuple):
    """An asset was defined."""

    account: str
    account_seq: int
    asset: str
    scale: int


class InstrumentDefined(NamedTuple):
    """An instrument was defined or has new bounds."""

    account: str
    account_seq: int
    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_qty: int
    max_qty: int
    max_price: int
    band_ppm: int = 0


class AccountDefined(NamedTuple):
    """An account was defined or has new settings."""

    account: str
    account_seq: int
    firm: str
    maker_fee_ppm: int
    taker_fee_ppm: int
    stp: SelfTrade


class NetworkDefined(NamedTuple):
    """A network of an asset was defined or has new terms."""

    account: str
    account_seq: int
    asset: str
    network: str
    suspended: bool


class ClientIdsRetired(NamedTuple):
    """Closed client order ids leave the engine's memory for the durable index (rule I-3)."""

    account: str
    account_seq: int
    ids: tuple[RetiredId, ...]


class RecordsStored(NamedTuple):
    """Records of an owner were changed; their values are in the command."""

    account: str
    account_seq: int
    collection: str
    owner: str
    version: int
    keys: tuple[str, ...]


Event: TypeAlias = (
    OrderAccepted
    | OrderRejected
    | OrderFilled
    | OrderCanceled
    | OrderReplaced
    | OrderRestated
    | OrderTriggered
    | CancelRejected
    | StatusReported
    | MassCanceled
    | BatchDone
    | Refused
    | DepositUpdated
    | WithdrawalUpdated
    | Transferred
    | AddressChanged
    | WithdrawalQuoted
    | DepositAddressAssigned
    | DeadMansSwitchSet
    | SessionChanged
    | SessionHeld
    | InstrumentStatusChanged
    | AccountStatusChanged
    | ReferencePriceSet
    | AssetDefined
    | InstrumentDefined
    | AccountDefined
    | NetworkDefined
    | ClientIdsRetired
    | RecordsStored
)

EVENT_KINDS: Final[dict[type[Event], int]] = {
    OrderAccepted: 1,
    OrderRejected: 2,
    OrderFilled: 3,
    OrderCanceled: 4,
    OrderReplaced: 5,
    OrderRestated: 6,
    OrderTriggered: 7,
    CancelRejected: 8,
    StatusReported: 9,
    MassCanceled: 10,
    BatchDone: 11,
    Refused: 12,
    DepositUpdated: 20,
    WithdrawalUpdated: 21,
    Transferred: 22,
    AddressChanged: 40,
    WithdrawalQuoted: 41,
    DepositAddressAssigned: 42,
    DeadMansSwitchSet: 23,
    SessionChanged: 24,
    SessionHeld: 25,
    InstrumentStatusChanged: 30,
    AssetDefined: 31,
    InstrumentDefined: 32,
    AccountDefined: 33,
    NetworkDefined: 34,
    ClientIdsRetired: 35,
    AccountStatusChanged: 36,
    ReferencePriceSet: 37,
    RecordsStored: 50,
}
"""The number of each event on the wire and in the journal; numbers are never reused."""
