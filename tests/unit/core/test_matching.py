"""Rules M: who trades with whom, at which price, and what is left."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.events import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderRestated,
)
from engine.core.types import CancelReason, OrdStatus, RejectReason, SelfTrade, TimeInForce
from tests.support.venue import Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC
NONE, NEWEST, OLDEST, BOTH, DECREMENT = SelfTrade


def makers(venue: Venue, events: list[Any]) -> list[tuple[str, int, int]]:
    """(client order id, lots, price) of the resting side of each trade."""
    return [
        (e.order.client_order_id, e.last_qty, e.last_price)
        for e in all_of(events, OrderFilled)
        if e.liquidity == 1
    ]


def test_M1_better_prices_first_then_first_come(venue: Venue) -> None:
    for client_id, price in (("a", 12), ("b", 11), ("c", 12), ("d", 10), ("e", 11)):
        venue.sell("alice", 2, price, client_order_id=client_id)
    traded = makers(venue, venue.buy("bob", 9, 12))
    assert traded == [("d", 2, 10), ("b", 2, 11), ("e", 2, 11), ("a", 2, 12), ("c", 1, 12)]
    for client_id, price in (("f", 7), ("g", 9), ("h", 9), ("i", 8)):
        venue.buy("alice", 2, price, client_order_id=client_id)
    traded = makers(venue, venue.sell("carol", 8, 7))
    assert traded == [("g", 2, 9), ("h", 2, 9), ("i", 2, 8), ("f", 2, 7)]


def test_M2_a_trade_is_made_at_the_price_of_the_resting_order(venue: Venue) -> None:
    venue.sell("alice", 5, 20)
    taker, maker = all_of(venue.buy("bob", 5, 30), OrderFilled)
    assert (taker.last_price, maker.last_price, taker.cash) == (20, 20, 100)
    assert taker.trade_id == maker.trade_id
    venue.buy("alice", 5, 30)
    assert all_of(venue.sell("bob", 5, 20), OrderFilled)[0].last_price == 30


def test_M3_events_follow_what_happened(venue: Venue) -> None:
    venue.sell("carol", 1, 12, stop_price=10)
    venue.buy("carol", 9, 8)
    venue.sell("alice", 2, 10)
    venue.sell("alice2", 2, 11)
    events = venue.buy("bob", 5, 12, tif=IOC)
    assert [(type(e).__name__, e.account) for e in events] == [
        ("OrderAccepted", "bob"),
        ("OrderFilled", "bob"),
        ("OrderFilled", "alice"),
        ("OrderFilled", "bob"),
        ("OrderFilled", "alice2"),
        ("OrderCanceled", "bob"),
        ("OrderTriggered", "carol"),
    ]


def test_M4_limit_remainders_rest_and_ioc_remainders_do_not(venue: Venue) -> None:
    venue.sell("alice", 2, 10)
    resting = venue.buy("bob", 5, 10)
    assert kinds(resting) == ["OrderAccepted", "OrderFilled", "OrderFilled"]
    assert makers(venue, venue.sell("alice", 3, 10)) == [("id2", 3, 10)]
    venue.sell("alice", 2, 10)
    canceled = only(venue.buy("bob", 5, 10, tif=IOC), OrderCanceled)
    assert (canceled.reason, canceled.cum) == (CancelReason.IOC_REMAINDER, 2)
    assert kinds(venue.sell("alice", 1, 10)) == ["OrderAccepted"]


@pytest.mark.parametrize("tif", [TimeInForce.DAY, GTC, IOC])
def test_M4_a_market_remainder_is_canceled_whatever_its_time_in_force(
    venue: Venue, tif: TimeInForce
) -> None:
    venue.sell("alice", 2, 10)
    canceled = only(venue.buy("bob", 5, tif=tif), OrderCanceled)
    assert (canceled.reason, canceled.status) == (
        CancelReason.MARKET_REMAINDER, OrdStatus.CANCELED,
    )  # fmt: skip
    empty = venue.buy("bob", 5, tif=tif)
    assert kinds(empty) == ["OrderAccepted", "OrderCanceled"]
    assert only(empty, OrderAccepted).hold_change == 0


def test_M5_fok_is_filled_whole_or_canceled_untouched(venue: Venue) -> None:
    venue.sell("alice", 3, 10)
    venue.sell("carol", 3, 11)
    events = venue.buy("bob", 7, 11, tif=FOK)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled"]
    assert only(events, OrderCanceled).reason is CancelReason.FOK_UNFILLABLE
    assert venue.held("bob", "USD") == 0
    assert kinds(venue.buy("bob", 6, 10, tif=FOK)) == ["OrderAccepted", "OrderCanceled"]
    filled = venue.buy("bob", 6, 11, tif=FOK)
    assert all_of(filled, OrderFilled)[-2].status is OrdStatus.FILLED


def test_M5_fok_counts_what_lies_behind_an_own_order_only_if_matching_gets_there(
    venue: Venue,
) -> None:
    """Found elsewhere: a pre-check that ignored liquidity behind one's own order."""
    venue.sell("alice", 2, 10)
    venue.sell("bob", 1, 11, client_order_id="own")
    venue.sell("carol", 3, 12)
    for stp in (NEWEST, BOTH):
        events = venue.buy("bob", 5, 12, tif=FOK, stp=stp)
        assert only(events, OrderCanceled).reason is CancelReason.FOK_UNFILLABLE
        assert kinds(events) == ["OrderAccepted", "OrderCanceled"], stp
    for stp in (NEWEST, BOTH):
        # Two lots lie before the own order; they are enough and the own order is not met.
        venue.sell("alice", 0 + 1, 9)
        events = venue.buy("bob", 1, 12, tif=FOK, stp=stp)
        assert [e.status for e in all_of(events, OrderFilled)] == [OrdStatus.FILLED] * 2
    events = venue.buy("bob", 5, 12, tif=FOK, stp=OLDEST)
    assert kinds(events) == [
        "OrderAccepted", "OrderFilled", "OrderFilled", "OrderCanceled", "OrderFilled",
        "OrderFilled",
    ]  # fmt: skip
    assert only(events, OrderCanceled).order.client_order_id == "own"


def test_M5_fok_under_decrement_cannot_be_whole_past_an_own_order(venue: Venue) -> None:
    venue.sell("bob", 1, 10)
    venue.sell("alice", 9, 11)
    events = venue.buy("bob", 5, 11, tif=FOK, stp=DECREMENT)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled"]
    venue.sell("alice", 5, 9)
    assert len(all_of(venue.buy("bob", 5, 11, tif=FOK, stp=DECREMENT), OrderFilled)) == 2


def test_M5_fok_sees_hidden_quantity_of_icebergs_in_their_place(venue: Venue) -> None:
    venue.sell("alice", 9, 10, display_qty=2)
    assert all_of(venue.buy("carol", 9, 10, tif=FOK), OrderFilled)[-1].status is OrdStatus.FILLED
    # Two lots of the iceberg, then bob's own order, then the rest of the iceberg behind it.
    venue.sell("alice", 9, 10, display_qty=2)
    venue.sell("bob", 1, 10)
    canceled = venue.buy("bob", 3, 10, tif=FOK, stp=NEWEST)
    assert kinds(canceled) == ["OrderAccepted", "OrderCanceled"]
    assert len(all_of(venue.buy("bob", 2, 10, tif=FOK, stp=NEWEST), OrderFilled)) == 2


def test_M6_min_qty_is_filled_at_least_or_nothing(venue: Venue) -> None:
    venue.sell("alice", 3, 10)
    events = venue.buy("bob", 9, 10, tif=IOC, min_qty=4)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled"]
    assert only(events, OrderCanceled).reason is CancelReason.MIN_QTY
    events = venue.buy("bob", 9, 10, tif=IOC, min_qty=3)
    assert kinds(events) == ["OrderAccepted", "OrderFilled", "OrderFilled", "OrderCanceled"]
    assert only(events, OrderCanceled).reason is CancelReason.IOC_REMAINDER


def test_M6_min_qty_counts_as_fok_does(venue: Venue) -> None:
    venue.sell("alice", 2, 10)
    venue.sell("bob", 1, 10)
    venue.sell("alice", 5, 10)
    events = venue.buy("bob", 5, 10, tif=IOC, min_qty=3, stp=NEWEST)
    assert only(events, OrderCanceled).reason is CancelReason.MIN_QTY
    events = venue.buy("bob", 5, 10, tif=IOC, min_qty=2, stp=NEWEST)
    assert [e.last_qty for e in all_of(events, OrderFilled)] == [2, 2]


def test_M7_none_lets_a_firm_trade_with_itself(venue: Venue) -> None:
    venue.sell("alice", 3, 10)
    fills = all_of(venue.buy("alice2", 3, 10, stp=NONE), OrderFilled)
    assert [e.account for e in fills] == ["alice2", "alice"]
    venue.sell("alice", 3, 10)
    fills = all_of(venue.buy("alice", 3, 10, stp=NONE), OrderFilled)
    assert [e.account for e in fills] == ["alice", "alice"]
    assert fills[1].account_seq == fills[0].account_seq + 1


def test_M7_cancel_newest(venue: Venue) -> None:
    venue.sell("bob", 1, 9)
    venue.sell("alice2", 2, 10, client_order_id="own")
    venue.sell("bob", 5, 11)
    events = venue.buy("alice", 5, 11, stp=NEWEST)
    assert kinds(events) == ["OrderAccepted", "OrderFilled", "OrderFilled", "OrderCanceled"]
    canceled = only(events, OrderCanceled)
    assert (canceled.account, canceled.reason, canceled.cum) == (
        "alice", CancelReason.SELF_TRADE, 1,
    )  # fmt: skip
    assert makers(venue, venue.buy("carol", 2, 10)) == [("own", 2, 10)]


def test_M7_cancel_oldest_cancels_the_resting_order_and_goes_on(venue: Venue) -> None:
    venue.sell("alice2", 2, 10, client_order_id="own")
    venue.sell("bob", 5, 11)
    events = venue.buy("alice", 5, 11, stp=OLDEST)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled", "OrderFilled", "OrderFilled"]
    canceled = only(events, OrderCanceled)
    assert (canceled.account, canceled.reason) == ("alice2", CancelReason.SELF_TRADE)
    assert canceled.hold_change == -2 and venue.held("alice2", "BTC") == 0


def test_M7_cancel_both_incoming_first(venue: Venue) -> None:
    venue.sell("alice2", 2, 10, client_order_id="own")
    venue.sell("bob", 5, 11)
    events = venue.buy("alice", 5, 11, stp=BOTH)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled", "OrderCanceled"]
    assert [e.account for e in events] == ["alice", "alice", "alice2"]
    assert {e.reason for e in all_of(events, OrderCanceled)} == {CancelReason.SELF_TRADE}
    assert venue.held("alice", "USD") == venue.held("alice2", "BTC") == 0


def test_M7_decrement_smaller_resting_order(venue: Venue) -> None:
    venue.sell("alice2", 2, 10)
    venue.sell("bob", 5, 11)
    events = venue.buy("alice", 6, 11, stp=DECREMENT)
    assert kinds(events) == [
        "OrderAccepted", "OrderRestated", "OrderCanceled", "OrderFilled", "OrderFilled",
    ]  # fmt: skip
    restated = only(events, OrderRestated)
    assert (restated.account, restated.order.qty, restated.leaves) == ("alice", 4, 4)
    assert restated.hold_change == -22
    assert only(events, OrderCanceled).account == "alice2"
    assert all_of(events, OrderFilled)[0].status is OrdStatus.FILLED
    assert venue.held("alice", "USD") == 0


def test_M7_decrement_smaller_incoming_order(venue: Venue) -> None:
    venue.sell("alice2", 7, 10, client_order_id="own")
    venue.sell("bob", 1, 10)
    events = venue.buy("alice", 3, 11, stp=DECREMENT)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled", "OrderRestated"]
    assert [e.account for e in events] == ["alice", "alice", "alice2"]
    restated = only(events, OrderRestated)
    assert (restated.order.qty, restated.leaves, restated.display) == (4, 4, 4)
    assert restated.hold_change == -3
    # It has kept its place.
    assert makers(venue, venue.buy("carol", 5, 10)) == [("own", 4, 10), ("id2", 1, 10)]


def test_M7_decrement_of_equal_orders_cancels_both(venue: Venue) -> None:
    venue.sell("alice2", 3, 10)
    events = venue.buy("alice", 3, 10, stp=DECREMENT)
    assert [(type(e).__name__, e.account) for e in events] == [
        ("OrderAccepted", "alice"), ("OrderCanceled", "alice"), ("OrderCanceled", "alice2"),
    ]  # fmt: skip


def test_M7_the_mode_of_the_incoming_order_rules(venue: Venue) -> None:
    venue.sell("alice2", 3, 10, stp=OLDEST)
    events = venue.buy("alice", 3, 10, stp=NEWEST)
    assert only(events, OrderCanceled).account == "alice"


def test_M7_the_mode_of_the_account_is_the_default(make_venue: MakeVenue) -> None:
    venue = make_venue(stp=BOTH)
    venue.sell("alice2", 3, 10)
    assert len(all_of(venue.buy("alice", 3, 10), OrderCanceled)) == 2
    venue.sell("alice2", 3, 10)
    assert len(all_of(venue.buy("alice", 3, 10, stp=NONE), OrderFilled)) == 2


def test_M8_an_iceberg_refills_at_the_back_of_the_level(venue: Venue) -> None:
    venue.sell("alice", 5, 10, client_order_id="ice", display_qty=2)
    venue.sell("carol", 2, 10, client_order_id="plain")
    events = venue.buy("bob", 6, 10)
    assert makers(venue, events) == [("ice", 2, 10), ("plain", 2, 10), ("ice", 2, 10)]
    shown = [e.display for e in all_of(events, OrderFilled) if e.account == "alice"]
    assert shown == [2, 1]  # the fill that used a slice up shows the next one
    events = venue.buy("bob", 1, 10)
    assert makers(venue, events) == [("ice", 1, 10)]
    assert all_of(events, OrderFilled)[1].status is OrdStatus.FILLED


def test_M8_a_slice_that_is_used_in_part_keeps_its_place(venue: Venue) -> None:
    venue.sell("alice", 6, 10, client_order_id="ice", display_qty=3)
    venue.sell("carol", 2, 10, client_order_id="plain")
    venue.buy("bob", 2, 10)
    assert makers(venue, venue.buy("bob", 2, 10)) == [("ice", 1, 10), ("plain", 1, 10)]


def test_M8_an_incoming_iceberg_trades_with_all_its_quantity(venue: Venue) -> None:
    venue.sell("alice", 4, 10)
    events = venue.buy("bob", 9, 10, display_qty=2)
    assert makers(venue, events) == [("id1", 4, 10)]
    fill = all_of(events, OrderFilled)[0]
    assert (fill.leaves, fill.display) == (5, 2)


def test_M9_money_becomes_a_quantity_level_by_level(venue: Venue) -> None:
    venue.sell("alice", 3, 10)
    venue.sell("alice", 3, 20)
    events = venue.buy("bob", 0, cash_qty=75)  # 3 × 10, then 2 × 20 of the 45 left
    accepted = only(events, OrderAccepted)
    assert (accepted.leaves, accepted.order.qty, accepted.order.cash_qty) == (5, 5, 75)
    fills = [e for e in all_of(events, OrderFilled) if e.account == "bob"]
    assert [(e.last_qty, e.last_price) for e in fills] == [(3, 10), (2, 20)]
    assert fills[-1].status is OrdStatus.FILLED


def test_M9_a_sell_by_money_brings_in_at_most_that(venue: Venue) -> None:
    venue.buy("alice", 2, 60)
    venue.buy("alice", 9, 30)
    accepted = only(venue.sell("bob", 0, cash_qty=100), OrderAccepted)
    assert accepted.leaves == 1  # the second lot at 60 would bring in 120
    assert venue.posted("bob", "USD") == venue.posted("carol", "USD") + 60


def test_M9_fees_come_on_top_of_the_money_of_a_buy(make_venue: MakeVenue) -> None:
    venue = make_venue(taker=10_000)
    venue.sell("alice", 9, 100)
    events = venue.buy("bob", 0, cash_qty=300)
    assert only(events, OrderAccepted).hold_change == 303
    assert venue.posted("bob", "USD") == venue.posted("carol", "USD") - 303


@pytest.mark.parametrize(("stp", "lots"), [(NONE, 4), (NEWEST, 1), (BOTH, 1), (OLDEST, 3)])
def test_M9_own_orders_are_passed_over_as_self_trade_prevention_has_it(
    venue: Venue, stp: SelfTrade, lots: int
) -> None:
    venue.sell("alice", 1, 10)
    venue.sell("bob", 2, 10)
    venue.sell("alice", 2, 15)
    events = venue.buy("bob", 0, cash_qty=45, stp=stp)
    assert only(events, OrderAccepted).leaves == lots


def test_M9_an_order_by_money_that_meets_only_own_orders_has_no_liquidity(venue: Venue) -> None:
    venue.sell("bob", 2, 10)
    rejected = only(venue.buy("bob", 0, cash_qty=45, stp=OLDEST), OrderRejected)
    assert rejected.reason is RejectReason.NO_LIQUIDITY
