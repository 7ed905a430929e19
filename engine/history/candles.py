"""Candles, updated trade by trade."""

from __future__ import annotations

from typing import Any, Final

CANDLE_INTERVALS_US: Final[dict[str, int]] = {
    "1m": 60_000_000,
    "5m": 300_000_000,
    "15m": 900_000_000,
    "1h": 3_600_000_000,
    "4h": 14_400_000_000,
    "1d": 86_400_000_000,
}


def new_candle(symbol: str, interval_us: int, start_us: int, price: int) -> dict[str, Any]:
    """Return a candle before its first trade, which is at ``price``."""
    return {
        "symbol": symbol,
        "interval_us": interval_us,
        "start_us": start_us,
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "qty": 0,
        "cash": 0,
        "trades": 0,
    }


def add_trade(candle: dict[str, Any], price: int, qty: int, cash: int) -> None:
    """Add a trade to the candle."""
    if price > candle["high"]:
        candle["high"] = price
    if price < candle["low"]:
        candle["low"] = price
    candle["close"] = price
    candle["qty"] += qty
    candle["cash"] += cash
    candle["trades"] += 1
