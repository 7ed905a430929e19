"""Rules L: postings, holds, and that money is never made or lost."""

from __future__ import annotations

from engine.core.events import OrderAccepted, OrderFilled, OrderReplaced
from engine.core.types import SelfTrade
from tests.support.venue import FIRMS, RICH, Venue, all_of, only
from tests.unit.core.conftest import MakeVenue


def total(venue: Venue, asset: str) -> int:
    """Everything that the accounts own, and the fees they paid."""
    fees = sum(e.fee for e in all_of(venue.events, OrderFilled)) if asset == "USD" else 0
    return fees + sum(venue.posted(account, asset) for account in FIRMS)


def test_L1_trades_and_fees_only_move_money(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=333, taker=7_777)
    venue.sell("alice", 9, 101)
    venue.buy("bob", 4, 103)
    venue.buy("carol", 50, 101)
    venue.sell("bob", 8)
    for asset in ("BTC", "USD"):
        assert total(venue, asset) == len(FIRMS) * RICH


def test_L2_a_hold_cannot_be_spent_twice(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=100)
    venue.buy("alice", 6, 10)
    assert venue.available("alice", "USD") == 40
    assert "OrderRejected" in [type(e).__name__ for e in venue.buy("alice", 5, 10)]
    assert "OrderAccepted" in [type(e).__name__ for e in venue.buy("alice", 4, 10)]
    assert venue.available("alice", "USD") == 0


def test_L3_a_buy_holds_its_cost_and_the_highest_fee(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=2_000, taker=1_000)
    assert only(venue.buy("alice", 7, 100), OrderAccepted).hold_change == 700 + 2  # ⌈1.4⌉
    assert only(venue.sell("alice", 7, 200), OrderAccepted).hold_change == 7
    assert venue.held("alice", "USD") == 702 and venue.held("alice", "BTC") == 7


def test_L3_after_fills_the_hold_knows_what_was_paid(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=300_000, taker=300_000)
    venue.buy("alice", 10, 1)
    # 10 + ⌈3⌉ at first; after 1 lot F is 0.3, paid 1: 9 + ⌈0.3 + 2.7⌉ − 1.
    assert venue.held("alice", "USD") == 13
    venue.sell("bob", 1, 1)
    assert venue.held("alice", "USD") == 9 + 3 - 1
    venue.sell("bob", 9, 1)
    assert venue.held("alice", "USD") == 0
    assert venue.posted("alice", "USD") == RICH - 10 - 3


def test_L4_a_better_price_frees_the_difference_at_once(make_venue: MakeVenue) -> None:
    venue = make_venue(taker=10_000)
    venue.sell("bob", 5, 60)
    venue.buy("alice", 10, 100)
    assert venue.posted("alice", "USD") == RICH - 300 - 3
    # 500 and a fee of ⌈3 + 5⌉ − 3 for what rests.
    assert venue.held("alice", "USD") == 505
    assert venue.available("alice", "USD") == RICH - 303 - 505


def test_L4_each_event_says_how_the_hold_changed(make_venue: MakeVenue) -> None:
    venue = make_venue(taker=10_000)
    venue.sell("bob", 5, 60)
    accepted, taker, maker = venue.buy("alice", 10, 100)
    assert isinstance(accepted, OrderAccepted) and accepted.hold_change == 1_010
    assert isinstance(taker, OrderFilled) and taker.hold_change == 505 - 1_010
    assert isinstance(maker, OrderFilled) and maker.hold_change == -5


def test_L5_holds_follow_replaces(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=1_000)
    venue.buy("alice", 10, 100, client_order_id="one")
    replaced = only(venue.replace("alice", "one", client_order_id="two", qty=4), OrderReplaced)
    assert replaced.hold_change == 401 - 1_001
    replaced = only(venue.replace("alice", "two", price=300), OrderReplaced)
    assert replaced.hold_change == 1_202 - 401
    assert venue.held("alice", "USD") == 1_202


def test_L5_holds_end_with_the_order(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=777, taker=999)
    venue.buy("alice", 10, 100, client_order_id="one")
    venue.sell("bob", 3, 100)
    venue.sell("alice2", 10, 100, stp=SelfTrade.CANCEL_BOTH)
    venue.cancel("alice", "one")
    for account in FIRMS:
        assert venue.held(account, "USD") == venue.held(account, "BTC") == 0
