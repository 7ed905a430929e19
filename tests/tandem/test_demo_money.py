"""The demo's own model of the money, held against figures worked out by hand."""

from __future__ import annotations

import pytest

from tandem.demo.money import Money, Order, atoms, text


def money() -> Money:
    return Money({(firm, asset): atoms("1000000") for firm in ("alice", "bob")
                  for asset in ("BTC", "ETH", "USD")})  # fmt: skip


def test_text_and_atoms_are_inverse() -> None:
    for shown in ("0", "1", "0.00000001", "60010.005", "100000000"):
        assert text(atoms(shown)) == shown
    assert text(atoms("1") - atoms("2.5")) == "-1.5"
    with pytest.raises(ValueError, match="more than 8"):
        atoms("0.000000001")


def test_a_bid_holds_its_cost_and_the_higher_fee() -> None:
    model = money()
    model.place("bid", Order("alice", "BTC-USD", True, atoms("60000"), atoms("1")))
    # 60,000 and 0.10 % of it.
    assert model.row("alice", "USD") == ("1000000", "60060", "939940")
    assert model.row("alice", "BTC")[1] == "0"


def test_a_partial_fill_moves_money_and_shrinks_the_holds() -> None:
    model = money()
    model.place("ask", Order("alice", "BTC-USD", False, atoms("60010"), atoms("1")))
    model.place("bid", Order("bob", "BTC-USD", True, atoms("60020"), atoms("0.5")))
    fees = model.trade("ask", "bid", atoms("0.4"))
    # 0.4 × 60,010 = 24,004; 0.05 % for the maker, 0.10 % for the taker.
    assert [text(fee) for fee in fees] == ["12.002", "24.004"]
    assert model.row("alice", "BTC") == ("999999.6", "0.6", "999999")
    assert model.row("alice", "USD") == ("1023991.998", "0", "1023991.998")
    # 0.1 are left, at bob's limit: 6,002 and 6.002.
    assert model.row("bob", "USD") == ("975971.996", "6008.002", "969963.994")
    assert text(model.fees["USD"]) == "36.006"


def test_fees_are_rounded_up_once_per_order() -> None:
    model = money()
    model.place("ask", Order("alice", "ETH-BTC", False, 1, atoms("4")))
    model.place("bid", Order("bob", "ETH-BTC", True, 1, atoms("4")))
    # A notional of one atom each time: 0.001 atoms of fee round up to one, then grow no more.
    assert [model.trade("ask", "bid", atoms("1"))[1] for _ in range(4)] == [1, 0, 0, 0]


def test_a_withdrawal_holds_then_posts_or_releases() -> None:
    model = money()
    model.request("w", "bob", "BTC", atoms("2.0002"))
    assert model.row("bob", "BTC") == ("1000000", "2.0002", "999997.9998")
    model.settle("w")
    assert model.row("bob", "BTC") == ("999997.9998", "0", "999997.9998")
