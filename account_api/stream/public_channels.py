"""The public channels: messages about books and trades, rendered once for all subscribers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from account_api.schema.from_rows import SIDE_TEXT, instant_text
from engine.core.instruments import Instrument
from engine.core.types import PriceLevel, Side
from engine.market_data.market import Feed, Trade


def book_snapshot(feed: Feed, instrument: Instrument) -> dict[str, Any]:
    """Render the ``data`` of a whole book."""
    return _book(feed, instrument, feed.book.levels(Side.BUY), feed.book.levels(Side.SELL))


def book_update(feed: Feed, instrument: Instrument, seq: int) -> dict[str, Any] | None:
    """Render the ``data`` of what changed in a book after ``seq``.

    None if so much has changed that the whole book must be sent.
    """
    changes = feed.book.levels_since(seq)
    if changes is None:
        return None
    bids, asks = (
        [PriceLevel(change.price, change.qty, change.orders) for change in side]
        for side in changes
    )
    return _book(feed, instrument, bids, asks)


def trades_data(
    trades: Iterable[Trade], instruments: Mapping[str, Instrument]
) -> list[dict[str, Any]]:
    """Render the ``data`` of trades."""
    return [
        {
            "trade_id": trade.trade_id,
            "symbol": trade.symbol,
            "price": instruments[trade.symbol].price_text(trade.price),
            "quantity": instruments[trade.symbol].quantity_text(trade.qty),
            "side": SIDE_TEXT[trade.side],
            "time": instant_text(trade.time_us),
            "seq": trade.seq,
        }
        for trade in trades
    ]


def _book(
    feed: Feed, instrument: Instrument, bids: list[PriceLevel], asks: list[PriceLevel]
) -> dict[str, Any]:
    price, quantity = instrument.price_text, instrument.quantity_text
    return {
        "symbol": feed.symbol,
        "status": feed.status.name.lower(),
        "bids": [[price(level.price), quantity(level.qty), level.orders] for level in bids],
        "asks": [[price(level.price), quantity(level.qty), level.orders] for level in asks],
        "checksum": feed.book.checksum(instrument),
    }
