"""The last 24 hours of every instrument."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from account_api.http.routing import QueryCall, Route
from account_api.reply import Reply
from account_api.routes.common import check_filters
from account_api.schema.from_rows import instant_text
from account_api.schema.requests import Request, Symbol
from account_api.schema.responses import View
from engine.core.instruments import Instrument, format_scaled
from engine.history import reader as history
from engine.history.rows import Ticker

_HUNDREDTH: Final = Decimal("0.01")


class TickersQuery(Request, frozen=True, kw_only=True):
    """One instrument; without it, all of them."""

    symbol: Symbol | None = None


class TickerView(View, frozen=True, kw_only=True):
    """The last 24 hours of an instrument, begun at a whole minute, `start`.

    `open` is the first price in them, `change` the last less the first, and `change_percent` that
    in percent of the first; null without a trade in them. `last_price`, `last_trade_id` and
    `last_trade_at` are those of the newest trade however old it is; null before the first trade.
    """

    symbol: str
    start: str
    open: str | None
    high: str | None
    low: str | None
    change: str | None
    change_percent: str | None
    volume: str
    quote_volume: str
    trades: int
    last_price: str | None
    last_trade_id: int | None
    last_trade_at: str | None


class TickersView(View, frozen=True, kw_only=True):
    """The last 24 hours of every instrument that was asked for."""

    tickers: list[TickerView]
    as_of_seq: int


def get_tickers(call: QueryCall[TickersQuery]) -> Reply:
    """Get price change, high, low and volume of the last 24 hours, of one or every instrument."""
    wanted = call.query.symbol
    check_filters(call, symbol=wanted)
    catalogue = call.services.catalogue()
    symbols = [wanted] if wanted is not None else list(catalogue.instruments)
    with call.services.history() as connection:
        as_of_seq = history.last_seq(connection)
        rows = [history.ticker(connection, symbol, call.now_us) for symbol in symbols]
    return Reply(
        TickersView(
            tickers=[
                _view(row, instrument, catalogue.scales[instrument.quote])
                for row in rows
                for instrument in (catalogue.instruments[row.symbol],)
            ],
            as_of_seq=as_of_seq,
        )
    )


def _view(row: Ticker, instrument: Instrument, quote_scale: int) -> TickerView:
    def price(ticks: int) -> str | None:
        return instrument.price_text(ticks) if row.trades else None

    change = row.close - row.open
    return TickerView(
        symbol=row.symbol,
        start=instant_text(row.from_us),
        open=price(row.open),
        high=price(row.high),
        low=price(row.low),
        change=f"-{instrument.price_text(-change)}" if change < 0 else price(change),
        change_percent=_percent(change, row.open) if row.trades else None,
        volume=instrument.quantity_text(row.qty),
        quote_volume=format_scaled(row.cash, quote_scale),
        trades=row.trades,
        last_price=instrument.price_text(row.last_price) if row.last_trade_id else None,
        last_trade_id=row.last_trade_id or None,
        last_trade_at=instant_text(row.last_us) if row.last_trade_id else None,
    )


def _percent(change: int, whole: int) -> str:
    return f"{(Decimal(100 * change) / whole).quantize(_HUNDREDTH, ROUND_HALF_EVEN):f}"


ROUTES: Final = (
    Route(
        "GET", "/v1/tickers", get_tickers, "The last 24 hours", TickersView,
        errors=("unknown_symbol", "history_unavailable"),
    ),
)  # fmt: skip
