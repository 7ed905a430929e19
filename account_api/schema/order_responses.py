"""Responses about orders and fills: the types in OpenAPI, which ``from_orders.py`` fills."""

from __future__ import annotations

from account_api.schema.requests import SideText
from account_api.schema.responses import View


class FillView(View, frozen=True, kw_only=True):
    """One execution of one order, with the ids that the client gave."""

    trade_id: int
    order_id: str
    client_order_id: str
    first_client_order_id: str
    strategy: str | None
    symbol: str
    side: SideText
    quantity: str
    price: str
    notional: str
    fee: str
    fee_asset: str
    liquidity: str
    time: str
    seq: int


class FillsView(View, frozen=True, kw_only=True):
    """Fills, ascending by trade id."""

    account: str
    fills: list[FillView]
    next_cursor: str | None
    as_of_seq: int


class ThirdPartyView(View, frozen=True, kw_only=True):
    """Third parties of an order entered over FIX, as the header of its message had them.

    OnBehalfOfCompID(115), OnBehalfOfSubID(116), DeliverToCompID(128), DeliverToSubID(129).
    """

    on_behalf_of_comp_id: str | None
    on_behalf_of_sub_id: str | None
    deliver_to_comp_id: str | None
    deliver_to_sub_id: str | None


class OrderView(View, frozen=True, kw_only=True):
    """An order in its present state. `client_order_id` is the current one of its chain."""

    order_id: str
    client_order_id: str
    first_client_order_id: str
    account: str
    symbol: str
    side: SideText
    type: str
    time_in_force: str
    quantity: str
    cash_quantity: str | None
    price: str | None
    stop_price: str | None
    min_quantity: str | None
    display_quantity: str | None
    expire_at: str | None
    post_only: bool
    self_trade_prevention: str
    strategy: str | None
    manual: bool
    entered_by: str
    third_party: ThirdPartyView | None
    status: str
    filled_quantity: str
    leaves_quantity: str
    average_price: str | None
    fees: str
    fee_asset: str
    held: str
    held_asset: str
    triggered: bool
    cancel_reason: str | None
    created_at: str
    updated_at: str


class OrderAnswer(OrderView, frozen=True, kw_only=True):
    """An order with what this request did to it.

    `fills` are the executions of this request; `priority_kept` is set after a replace.
    """

    fills: list[FillView] = []
    priority_kept: bool | None = None
    as_of_seq: int


class OrdersView(View, frozen=True, kw_only=True):
    """Orders by order id, ascending unless `sort` is newest."""

    account: str
    orders: list[OrderView]
    next_cursor: str | None
    as_of_seq: int


class CanceledView(View, frozen=True, kw_only=True):
    """One order that a cancel-all canceled."""

    order_id: str
    client_order_id: str


class CancelAllView(View, frozen=True, kw_only=True):
    """What a cancel-all did.

    ``canceled`` names at most 1,000 orders, ``total`` counts all. ``complete`` is false if there
    were more than one command may cancel: none of the orders can trade any more, and the rest is
    canceled in the moments that follow; the ``orders`` channel shows when.
    """

    canceled: list[CanceledView]
    total: int
    complete: bool
    as_of_seq: int


class BatchError(View, frozen=True, kw_only=True):
    """Why an operation of a batch was refused."""

    code: str
    detail: str
    status: int
    retryable: bool
    field: str | None = None


class BatchResult(View, frozen=True, kw_only=True):
    """The result of one operation; exactly one of `order` and `error` is set."""

    index: int
    op: str
    client_order_id: str | None
    accepted: bool
    replayed: bool = False
    order: OrderAnswer | None = None
    error: BatchError | None = None


class BatchView(View, frozen=True, kw_only=True):
    """One result for each operation, in their order."""

    batch_id: str
    mode: str
    accepted: int
    refused: int
    results: list[BatchResult]
    as_of_seq: int


class DeadMansSwitchView(View, frozen=True, kw_only=True):
    """When the switch fires; null if it is off."""

    strategy: str | None
    fires_at: str | None
    as_of_seq: int
