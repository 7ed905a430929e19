"""A name that is not known is answered with the one that may be meant."""

from __future__ import annotations

import pytest

from config.suggestion import hint, meant

FIELDS = ("client_order_id", "symbol", "quantity", "price", "time_in_force", "side")


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("BTCUSD", ("BTC-USD", "ETH-USD"), "BTC-USD"),
        ("btc/usd", ("BTC-USD", "ETH-USD"), "BTC-USD"),
        ("qty", FIELDS, "quantity"),
        ("tif", FIELDS, "time_in_force"),
        ("clientOrderId", FIELDS, "client_order_id"),
        ("quantitty", FIELDS, "quantity"),
        ("wholly_else", FIELDS, ""),
        ("qty", ("amount", "asset"), ""),
        ("", FIELDS, ""),
        ("x", (), ""),
    ],
)
def test_the_nearest_name_is_found(name: str, known: tuple[str, ...], found: str) -> None:
    assert meant(name, known) == found


def test_a_few_names_are_listed_where_none_is_near() -> None:
    assert hint("DOGE", ["USD", "BTC"]) == "; there are BTC, USD"
    assert hint("DOGE", ["BTC"]) == "; there is BTC"
    assert hint("DOGE", []) == ""
    assert hint("DOGE", [f"A{number}" for number in range(9)]) == ""
    assert hint("BTCUSD", ["BTC-USD", "ETH-USD"]) == "; the nearest is BTC-USD"


def test_a_thousand_names_are_compared_and_none_with_a_long_one() -> None:
    known = [f"{number:05d}-USD" for number in range(2_000)]
    assert meant("00999usd", known) == "00999-USD"
    assert meant("01000usd", known) != "01000-USD"
    assert meant("00999-USD" + " " * 64, known) == ""
