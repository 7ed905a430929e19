"""Rendering of orders and fills, for REST and the stream alike."""

from __future__ import annotations

from typing import Final, TypedDict

from account_api.schema.catalogue import Listing
from account_api.schema.from_rows import SIDE_TEXT, instant_text
from account_api.schema.order_responses import FillView, OrderAnswer, OrderView, ThirdPartyView
from account_api.schema.requests import SideText
from account_api.schema.responses import extended
from engine.core.events import OrderFilled
from engine.core.instruments import Instrument, format_scaled
from engine.core.types import (
    CancelReason,
    Liquidity,
    OrderRow,
    OrderTerms,
    OrdStatus,
    Route,
    Side,
)
from engine.history.rows import Fill

_LIQUIDITY_TEXT: Final = {one: one.name.lower() for one in Liquidity}


class OrderMembers(TypedDict):
    """The members of an order that every message about one has."""

    order_id: str
    client_order_id: str
    first_client_order_id: str
    strategy: str | None
    symbol: str
    side: SideText
    type: str
    time_in_force: str
    quantity: str
    price: str | None
    stop_price: str | None
    display_quantity: str | None
    expire_at: str | None
    post_only: bool
    manual: bool
    entered_by: str
    third_party: ThirdPartyView | None
    status: str
    leaves_quantity: str
    filled_quantity: str
    average_price: str | None


def third_party_view(route: Route) -> ThirdPartyView:
    """Render the third parties of an order."""
    return ThirdPartyView(**{name: value or None for name, value in route._asdict().items()})


def order_members(
    order: OrderTerms,
    instrument: Instrument,
    status: OrdStatus,
    leaves: int,
    cum: int,
    notional: int,
) -> OrderMembers:
    """Render an order's terms and state; quantities are in lots, money in atoms."""
    price, quantity = instrument.price_text, instrument.quantity_text
    return {
        "order_id": str(order.order_id),
        "client_order_id": order.client_order_id,
        "first_client_order_id": order.first_client_order_id,
        "strategy": order.strategy or None,
        "symbol": order.symbol,
        "side": SIDE_TEXT[order.side],
        "type": order.ord_type.name.lower(),
        "time_in_force": order.tif.name.lower(),
        "quantity": quantity(order.qty),
        "price": price(order.price) if order.price else None,
        "stop_price": price(order.stop_price) if order.stop_price else None,
        "display_quantity": quantity(order.display_qty) if order.display_qty else None,
        "expire_at": instant_text(order.expire_at) if order.expire_at else None,
        "post_only": order.post_only,
        "manual": order.manual,
        "entered_by": order.session,
        "third_party": None if order.route is None else third_party_view(order.route),
        "status": status.name.lower(),
        "leaves_quantity": quantity(leaves),
        "filled_quantity": quantity(cum),
        "average_price": instrument.average_price_text(notional, cum) if cum else None,
    }


def order_view(
    row: OrderRow, listing: Listing, cancel_reason: CancelReason | None = None
) -> OrderView:
    """Render an order in its present state."""
    order = row.order
    instrument = listing.instruments[order.symbol]
    scales = listing.scales
    quote_scale = scales[instrument.quote]
    cash, least = order.cash_qty, order.min_qty
    spent = instrument.quote if order.side is Side.BUY else instrument.base
    return OrderView(
        **order_members(order, instrument, row.status, row.leaves, row.cum, row.notional),
        account=order.account,
        cash_quantity=format_scaled(cash, quote_scale) if cash else None,
        min_quantity=instrument.quantity_text(least) if least else None,
        self_trade_prevention=order.stp.name.lower(),
        fees=format_scaled(row.fees, quote_scale),
        fee_asset=instrument.quote,
        held=format_scaled(row.held, scales.get(row.hold_asset, 0)),
        held_asset=row.hold_asset or spent,
        triggered=row.triggered,
        cancel_reason=None if cancel_reason is None else cancel_reason.name.lower(),
        created_at=instant_text(order.created_at),
        updated_at=instant_text(row.updated_at),
    )


def order_answer(
    row: OrderRow,
    reason: CancelReason | None,
    listing: Listing,
    as_of_seq: int,
    executions: list[FillView] | None = None,
    priority_kept: bool | None = None,
) -> OrderAnswer:
    """Render the answer to a request about one order."""
    return extended(
        order_view(row, listing, reason), OrderAnswer,
        fills=executions or [], priority_kept=priority_kept, as_of_seq=as_of_seq,
    )  # fmt: skip


def fill_of(event: OrderFilled, seq: int, time_us: int, fee_asset: str) -> Fill:
    """Make a fill's row from its event, without its place in the transaction."""
    order = event.order
    return Fill(
        trade_id=event.trade_id,
        order_id=order.order_id,
        account=order.account,
        client_order_id=order.client_order_id,
        first_client_order_id=order.first_client_order_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        qty=event.last_qty,
        price=event.last_price,
        liquidity=event.liquidity,
        cash=event.cash,
        fee=event.fee,
        fee_asset=fee_asset,
        time_us=time_us,
        seq=seq,
        event_index=-1,
        account_seq=event.account_seq,
    )


def fill_view(fill: Fill, listing: Listing) -> FillView:
    """Render a fill."""
    instrument = listing.instruments[fill.symbol]
    scale = listing.scales[instrument.quote]
    return FillView(
        trade_id=fill.trade_id,
        order_id=str(fill.order_id),
        client_order_id=fill.client_order_id,
        first_client_order_id=fill.first_client_order_id,
        strategy=fill.strategy or None,
        symbol=fill.symbol,
        side=SIDE_TEXT[fill.side],
        quantity=instrument.quantity_text(fill.qty),
        price=instrument.price_text(fill.price),
        notional=format_scaled(fill.cash, scale),
        fee=format_scaled(fill.fee, scale),
        fee_asset=fill.fee_asset,
        liquidity=_LIQUIDITY_TEXT[fill.liquidity],
        time=instant_text(fill.time_us),
        seq=fill.seq,
    )
