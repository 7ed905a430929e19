"""Translation of requests into commands: decimal text into ticks, lots and atoms, names into enums.

Pure functions; what cannot be translated is a Problem that names the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from account_api.errors import Problem
from account_api.schema.catalogue import Catalogue, unknown_symbol
from account_api.schema.from_rows import SIDES, STPS, TIFS, TYPES
from account_api.schema.identifiers import sentence
from account_api.schema.requests import Instant, NewOrderRequest, ReplaceOrderRequest
from engine.core.commands import CancelOrder, NewOrder, ReplaceOrder
from engine.core.instruments import (
    PRICE_REASONS,
    QUANTITY_REASONS,
    Instrument,
    NumberError,
    NumberKind,
)
from engine.core.types import Origin, RejectReason, TimeInForce


def instant_us(value: Instant | None, field: str) -> int:
    """Read an instant as microseconds since 1970; 0 for none. Raises Problem."""
    if value is None:
        return 0
    if isinstance(value, int) or value.isdigit():
        return int(value) * 1000
    try:
        moment = datetime.fromisoformat(value[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise Problem(
            "invalid_request", f"The field {field} names a date that does not exist.", field=field
        ) from None
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def quantity(instrument: Instrument, text: str | None, field: str) -> int:
    """Read decimal text as lots; 0 for none. Raises Problem."""
    return 0 if text is None else _read(instrument.quantity, QUANTITY_REASONS, text, field)


def price(instrument: Instrument, text: str | None, field: str) -> int:
    """Read decimal text as ticks; 0 for none. Raises Problem."""
    return 0 if text is None else _read(instrument.price, PRICE_REASONS, text, field)


def _read(
    number: Callable[[str, str], int],
    reasons: Mapping[NumberKind, RejectReason],
    text: str,
    field: str,
) -> int:
    """Read a number of an order; a bad one is refused for the same reason as over FIX."""
    try:
        return number(text, field)
    except NumberError as error:
        code = reasons[error.kind].name.lower()
        raise Problem(code, sentence(error.text), field=field) from None


def new_order(
    request: NewOrderRequest, catalogue: Catalogue, account: str, origin: Origin
) -> NewOrder:
    """Translate a create. Raises Problem."""
    instrument = catalogue.instruments.get(request.symbol)
    if instrument is None:
        raise unknown_symbol(request.symbol, catalogue.instruments)
    if request.quantity is None and request.cash_quantity is None:
        raise Problem(
            "invalid_quantity", "An order needs quantity or cash_quantity.", field="quantity"
        )
    if request.quantity is not None and request.cash_quantity is not None:
        raise Problem(
            "unsupported_combination",
            "An order has either quantity or cash_quantity, not both.",
            field="cash_quantity",
        )
    cash = request.cash_quantity
    tif = request.time_in_force or ("ioc" if request.type == "market" else "gtc")
    stp = request.self_trade_prevention
    return NewOrder(
        origin=origin,
        account=account,
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=SIDES[request.side],
        ord_type=TYPES[request.type],
        tif=TIFS[tif],
        qty=quantity(instrument, request.quantity, "quantity"),
        price=price(instrument, request.price, "price"),
        stop_price=price(instrument, request.stop_price, "stop_price"),
        cash_qty=(
            0 if cash is None else _read(instrument.cash, QUANTITY_REASONS, cash, "cash_quantity")
        ),
        min_qty=quantity(instrument, request.min_quantity, "min_quantity"),
        display_qty=quantity(instrument, request.display_quantity, "display_quantity"),
        expire_at=instant_us(request.expire_at, "expire_at"),
        post_only=request.post_only,
        stp=None if stp is None else STPS[stp],
        strategy=request.strategy or "",
        manual=request.manual,
    )


def replace_order(
    request: ReplaceOrderRequest,
    instrument: Instrument,
    account: str,
    reference: tuple[int, str],
    origin: Origin,
) -> ReplaceOrder:
    """Translate a replace of an order of ``instrument``. Raises Problem."""
    wanted = (
        request.quantity, request.price, request.stop_price, request.display_quantity,
        request.time_in_force, request.expire_at, request.client_order_id,
    )  # fmt: skip
    if all(value is None for value in wanted):
        raise Problem(
            "invalid_request", "A replace must say what is to change.", field="quantity"
        )

    def lots(text: str | None, field: str) -> int | None:
        return None if text is None else _read(instrument.lots, QUANTITY_REASONS, text, field)

    def ticks(text: str | None, field: str) -> int | None:
        return None if text is None else _read(instrument.ticks, PRICE_REASONS, text, field)

    tif = request.time_in_force
    expire_at = instant_us(request.expire_at, "expire_at") or None
    return ReplaceOrder(
        origin=origin,
        account=account,
        client_order_id=request.client_order_id or "",
        order_id=reference[0],
        orig_client_order_id=reference[1],
        # The grid of this instrument was used, so the order has to be of it when its turn comes.
        symbol=instrument.symbol,
        tif=None if tif is None else TIFS[tif],
        qty=lots(request.quantity, "quantity"),
        price=ticks(request.price, "price"),
        stop_price=ticks(request.stop_price, "stop_price"),
        display_qty=lots(request.display_quantity, "display_quantity"),
        expire_at=expire_at,
    )


def cancel_order(account: str, reference: tuple[int, str], origin: Origin) -> CancelOrder:
    """Make a cancel."""
    return CancelOrder(
        origin=origin,
        account=account,
        client_order_id="",
        orig_client_order_id=reference[1],
        order_id=reference[0],
    )


def same_create(asked: NewOrder, original: NewOrder) -> bool:
    """Return True if two creates have the same terms; who sent them, and when, does not matter."""
    plain = original._replace(origin=asked.origin, prior=asked.prior, poss_resend=False)
    if asked.stp is None or original.stp is None:
        plain = plain._replace(stp=asked.stp)
    if asked.tif is not TimeInForce.GTD:
        plain = plain._replace(expire_at=asked.expire_at)
    return plain == asked
