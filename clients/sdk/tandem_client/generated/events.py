# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""Events of the stream, as types: amounts are Decimal, times are datetime in UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from tandem_client.document import Document
from tandem_client.generated.models import DepositView, WithdrawalView
from tandem_client.values import Side


class ThirdParty(Document, frozen=True, kw_only=True):
    """Third parties of an order entered over FIX, as the header of its message had them."""

    on_behalf_of_comp_id: str | None
    on_behalf_of_sub_id: str | None
    deliver_to_comp_id: str | None
    deliver_to_sub_id: str | None


class CanceledOrder(Document, frozen=True, kw_only=True):
    """One of the orders that went."""

    account: str
    client_order_id: str
    order_id: str


class PublicTrade(Document, frozen=True, kw_only=True):
    """A public trade."""

    trade_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    side: Side
    time: datetime
    seq: int


class Execution(Document, frozen=True, kw_only=True):
    """One fill of one order."""

    trade_id: int
    order_id: str
    client_order_id: str
    first_client_order_id: str
    strategy: str | None
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    notional: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: str
    filled_quantity: Decimal
    leaves_quantity: Decimal
    time: datetime


class BalanceChange(Document, frozen=True, kw_only=True):
    """The money of one asset after the event, and what the event did to it."""

    asset: str
    posted: Decimal
    held: Decimal
    available: Decimal
    available_change: Decimal
    held_change: Decimal


class LedgerEntry(Document, frozen=True, kw_only=True):
    """One change of the account's money, with the balance after it."""

    asset: str
    available_change: Decimal
    held_change: Decimal
    available: Decimal
    held: Decimal
    cause: str
    reference: str
    order_id: str | None
    trade_id: int | None
    client_order_id: str | None
    strategy: str | None
    time: datetime


class LoggedIn(Document, frozen=True, kw_only=True):
    """Who speaks here from now on."""

    account: str | None
    scopes: list[str]
    session: str


class CancelOnDisconnect(Document, frozen=True, kw_only=True):
    """What is armed."""

    scope: str
    account: str
    grace_s: int
    session: str


class OrderUpdate(Document, frozen=True, kw_only=True):
    """An order as an event leaves it."""

    event: str
    order_id: str
    client_order_id: str
    first_client_order_id: str
    strategy: str | None
    symbol: str
    side: Side
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    display_quantity: Decimal | None
    expire_at: datetime | None
    post_only: bool
    manual: bool
    entered_by: str
    third_party: ThirdParty | None
    status: str
    leaves_quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    trade_id: int | None = None
    reason: str | None = None
    requested_by: str | None = None
    request_client_order_id: str | None = None
    orig_client_order_id: str | None = None
    priority_kept: bool | None = None


class OrderRejected(Document, frozen=True, kw_only=True):
    """An order that was not taken."""

    event: str
    client_order_id: str
    strategy: str | None
    symbol: str | None
    side: Side | None
    order_id: str | None
    status: str
    reason: str
    text: str


class ChangeRejected(Document, frozen=True, kw_only=True):
    """A cancel or a replace that was not done."""

    event: str
    client_order_id: str
    request_client_order_id: str | None
    orig_client_order_id: str | None
    order_id: str | None
    status: str
    reason: str
    text: str


class MassCanceled(Document, frozen=True, kw_only=True):
    """A cancel of many orders; each of them has a message of its own besides."""

    event: str
    client_order_id: str | None
    strategy: str | None
    symbol: str | None
    side: Side | None
    firm_wide: bool
    canceled: list[CanceledOrder]
    total: int
    complete: bool
    reason: str | None
    text: str


class BatchDone(Document, frozen=True, kw_only=True):
    """The end of a batch."""

    event: str
    batch_id: str
    accepted: list[bool]
    reason: str | None
    text: str


class RequestRefused(Document, frozen=True, kw_only=True):
    """A request about money or a session that was not done."""

    event: str
    subject: str
    reason: str
    text: str


class DeadMansSwitchEvent(Document, frozen=True, kw_only=True):
    """A switch was set, fired, or switched off."""

    event: str
    strategy: str | None
    fires_at: datetime | None


class SessionEvent(Document, frozen=True, kw_only=True):
    """A FIX session, or a connection with cancel on disconnect, came or went."""

    event: str
    session: str
    cancel_on_disconnect: str


class AccountDefined(Document, frozen=True, kw_only=True):
    """The account's terms."""

    event: str
    maker_fee_ppm: int
    taker_fee_ppm: int
    self_trade_prevention: str


class AccountStatus(Document, frozen=True, kw_only=True):
    """The venue suspended the account, or lets it act again. The events that follow say what
    was canceled.
    """

    event: str
    note: str


class TransferDone(Document, frozen=True, kw_only=True):
    """One side of a transfer within the firm."""

    event: str
    transfer_id: str
    client_transfer_id: str
    other_account: str
    asset: str
    change: Decimal


class AddressChanged(Document, frozen=True, kw_only=True):
    """An entry of the address book; an address that was there already is added again as it is."""

    event: str
    address_id: str
    asset: str
    network: str
    address: str
    memo: str | None
    label: str
    created_at: datetime
    available_at: datetime


class DepositAddressEvent(Document, frozen=True, kw_only=True):
    """An address for deposits."""

    event: str
    asset: str
    network: str
    address: str
    memo: str | None
    created_at: datetime


class QuoteEvent(Document, frozen=True, kw_only=True):
    """A fee that is pinned for one withdrawal."""

    event: str
    quote_id: str
    asset: str
    network: str
    amount: Decimal
    fee: Decimal
    total: Decimal
    expires_at: datetime


class DepositEvent(DepositView, frozen=True, kw_only=True):
    """A deposit as an event leaves it."""

    event: str


class WithdrawalEvent(WithdrawalView, frozen=True, kw_only=True):
    """A withdrawal as an event leaves it."""

    event: str


ORDER_EVENTS: Final[dict[str, type[Document]]] = {
    "accepted": OrderUpdate,
    "filled": OrderUpdate,
    "canceled": OrderUpdate,
    "expired": OrderUpdate,
    "replaced": OrderUpdate,
    "restated": OrderUpdate,
    "triggered": OrderUpdate,
    "status": OrderUpdate,
    "rejected": OrderRejected,
    "cancel_rejected": ChangeRejected,
    "replace_rejected": ChangeRejected,
    "mass_canceled": MassCanceled,
    "batch_done": BatchDone,
    "refused": RequestRefused,
    "dead_mans_switch": DeadMansSwitchEvent,
    "session_opened": SessionEvent,
    "session_closed": SessionEvent,
    "session_epoch": SessionEvent,
    "account_defined": AccountDefined,
    "account_suspended": AccountStatus,
    "account_resumed": AccountStatus,
}

TRANSFER_EVENTS: Final[dict[str, type[Document]]] = {
    "deposit": DepositEvent,
    "withdrawal": WithdrawalEvent,
    "transfer": TransferDone,
    "address_added": AddressChanged,
    "address_removed": AddressChanged,
    "deposit_address": DepositAddressEvent,
    "quote": QuoteEvent,
}
