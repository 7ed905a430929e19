"""Rules T: what sets a stop off, in which order, and what it pays with."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.events import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderTriggered,
)
from engine.core.types import CancelReason, OrdStatus, Side
from tests.support.venue import Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue


def trade(venue: Venue, price: int) -> list[Any]:
    """One lot between bob and carol; the events of the second order."""
    venue.sell("bob", 1, price)
    return venue.buy("carol", 1, price)


def triggered(events: list[Any]) -> list[str]:
    return [e.order.client_order_id for e in all_of(events, OrderTriggered)]


@pytest.mark.parametrize(
    ("side", "price", "fires"),
    [
        (Side.BUY, 49, False), (Side.BUY, 50, True), (Side.BUY, 51, True),
        (Side.SELL, 51, False), (Side.SELL, 50, True), (Side.SELL, 49, True),
    ],
)  # fmt: skip
def test_T1_stop_comparison(venue: Venue, side: Side, price: int, fires: bool) -> None:
    """Found elsewhere: the comparison inverted, so that stops fired on the wrong side."""
    venue.new("alice", side, 1, stop_price=50, client_order_id="stop")
    assert triggered(trade(venue, price)) == (["stop"] if fires else [])


@pytest.mark.parametrize(
    ("side", "stop", "fires"),
    [
        (Side.BUY, 49, True), (Side.BUY, 50, True), (Side.BUY, 51, False),
        (Side.SELL, 51, True), (Side.SELL, 50, True), (Side.SELL, 49, False),
    ],
)  # fmt: skip
def test_T1_on_arrival_the_last_price_counts(
    venue: Venue, side: Side, stop: int, fires: bool
) -> None:
    trade(venue, 50)
    events = venue.new("alice", side, 1, stop_price=stop)
    rest = ["OrderTriggered", "OrderCanceled"] if fires else []
    assert kinds(events) == ["OrderAccepted", *rest]


def test_T1_before_the_first_trade_nothing_is_triggered(venue: Venue) -> None:
    assert kinds(venue.buy("alice", 1, stop_price=1)) == ["OrderAccepted"]
    assert kinds(venue.sell("alice", 1, stop_price=1_000_000)) == ["OrderAccepted"]


def test_T1_orders_in_the_book_do_not_trigger_stops(venue: Venue) -> None:
    venue.buy("alice", 1, stop_price=50, client_order_id="stop")
    assert triggered(venue.sell("bob", 1, 60) + venue.buy("carol", 1, 55)) == []


def test_T1_a_price_that_was_passed_on_the_way_counts(venue: Venue) -> None:
    trade(venue, 55)
    venue.sell("alice", 1, stop_price=50, client_order_id="low")
    venue.sell("bob", 1, 49)
    venue.sell("bob", 1, 56)
    assert triggered(venue.buy("carol", 2, 56)) == ["low"]


def test_T1_a_waiting_stop_is_not_in_the_book(venue: Venue) -> None:
    accepted = only(venue.sell("alice", 5, 40, stop_price=50), OrderAccepted)
    assert (accepted.display, accepted.hold_change) == (0, 5)
    assert kinds(venue.buy("bob", 5, 45)) == ["OrderAccepted"]


def test_T2_buys_before_sells_nearest_first_then_by_order_id(venue: Venue) -> None:
    trade(venue, 55)
    for client_id, stop in (("s1", 50), ("s2", 52), ("s3", 52)):
        venue.sell("alice", 1, 1, stop_price=stop, client_order_id=client_id)
    for client_id, stop in (("b1", 60), ("b2", 58), ("b3", 58)):
        venue.buy("alice", 1, 2, stop_price=stop, client_order_id=client_id)
    for price in (49, 61):
        venue.sell("bob", 1, price)
    events = venue.buy("carol", 2, 61)  # trades at 49 and at 61
    assert triggered(events) == ["b2", "b3", "b1", "s2", "s3", "s1"]


def test_T2_stops_act_after_the_command_that_triggered_them(venue: Venue) -> None:
    venue.sell("bob", 1, 50)
    venue.sell("bob", 5, 51)
    venue.buy("alice", 2, stop_price=50, client_order_id="stop")
    events = venue.buy("carol", 2, 51)
    assert [(type(e).__name__, e.account) for e in events] == [
        ("OrderAccepted", "carol"),
        ("OrderFilled", "carol"), ("OrderFilled", "bob"),
        ("OrderFilled", "carol"), ("OrderFilled", "bob"),
        ("OrderTriggered", "alice"),
        ("OrderFilled", "alice"), ("OrderFilled", "bob"),
    ]  # fmt: skip


def test_T2_a_triggered_stop_limit_matches_as_a_new_arrival_and_rests(venue: Venue) -> None:
    venue.buy("alice", 3, 52, stop_price=50, client_order_id="stop")
    venue.sell("bob", 1, 51)
    venue.buy("carol", 1, 52)
    venue.sell("bob", 1, 52)
    events = venue.buy("carol", 1, 52)
    assert triggered(venue.events) == ["stop"]
    assert kinds(events)[:1] == ["OrderAccepted"]
    fills = all_of(venue.sell("bob", 3, 52), OrderFilled)
    assert fills[1].order.client_order_id == "stop" and fills[1].status is OrdStatus.FILLED
    assert fills[1].liquidity == 1


def test_T2_stops_trigger_stops(venue: Venue) -> None:
    for price in (50, 55, 60, 65):
        venue.sell("bob", 1, price)
    for client_id, stop in (("one", 50), ("two", 55), ("three", 60)):
        venue.buy("alice", 1, stop_price=stop, client_order_id=client_id)
    events = venue.buy("carol", 1, 50)
    assert triggered(events) == ["one", "two", "three"]
    assert [e.last_price for e in all_of(events, OrderFilled)][::2] == [50, 55, 60, 65]


def test_T3_a_cascade_is_bounded_and_goes_on_with_the_next_command(make_venue: MakeVenue) -> None:
    venue = make_venue(cascade_max=2)
    for index in range(5):
        venue.sell("alice", 1, 99, stop_price=60, client_order_id=f"s{index}")
    assert triggered(trade(venue, 55)) == ["s0", "s1"]
    assert triggered(venue.tick()) == ["s2", "s3"]
    assert triggered(venue.cancel("alice", "s1")) == ["s4"]
    assert triggered(venue.tick()) == []


def test_T3_what_waits_for_its_turn_is_triggered_even_if_the_price_came_back(
    make_venue: MakeVenue,
) -> None:
    venue = make_venue(cascade_max=1)
    for index in range(2):
        venue.sell("alice", 1, 99, stop_price=50, client_order_id=f"s{index}")
    assert triggered(trade(venue, 50)) == ["s0"]
    venue.sell("bob", 1, 70)
    assert triggered(venue.events) == ["s0", "s1"]


def test_T3_a_waiting_stop_can_be_canceled_before_its_turn(make_venue: MakeVenue) -> None:
    venue = make_venue(cascade_max=1)
    for index in range(3):
        venue.sell("alice", 1, 99, stop_price=50, client_order_id=f"s{index}")
    trade(venue, 50)
    events = venue.cancel("alice", "s1")
    assert kinds(events) == ["OrderCanceled", "OrderTriggered"]
    assert triggered(events) == ["s2"]


def test_T4_a_stop_buy_holds_nothing_until_it_is_triggered(venue: Venue) -> None:
    accepted = only(venue.buy("alice", 5, stop_price=50), OrderAccepted)
    assert accepted.hold_change == 0 and venue.held("alice", "USD") == 0
    venue.sell("bob", 5, 52)
    events = trade(venue, 50)
    assert only(events, OrderTriggered).hold_change == 260
    assert venue.held("alice", "USD") == 0
    assert venue.posted("alice", "USD") == venue.posted("alice2", "USD") - 260


def test_T4_a_stop_buy_that_is_not_covered_is_canceled(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=200)
    venue.buy("alice", 5, stop_price=50)
    venue.sell("bob", 5, 52)
    events = trade(venue, 50)
    assert kinds(events)[-2:] == ["OrderTriggered", "OrderCanceled"]
    assert only(events, OrderCanceled).reason is CancelReason.STOP_UNFUNDED
    assert only(events, OrderTriggered).hold_change == 0
    assert venue.posted("alice", "USD") == 200 and venue.held("alice", "USD") == 0


def test_T4_a_stop_buy_may_spend_the_last_atom(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=260)
    venue.buy("alice", 5, stop_price=50)
    venue.sell("bob", 5, 52)
    assert only(trade(venue, 50), OrderTriggered).hold_change == 260
    assert venue.posted("alice", "USD") == 0


def test_T4_a_stop_sell_and_a_stop_limit_hold_from_the_start(venue: Venue) -> None:
    assert only(venue.sell("alice", 5, stop_price=5), OrderAccepted).hold_change == 5
    assert only(venue.buy("alice", 5, 60, stop_price=55), OrderAccepted).hold_change == 300


def test_T4_a_replaced_stop_buy_still_holds_nothing(venue: Venue) -> None:
    venue.buy("alice", 5, stop_price=50, client_order_id="stop")
    replaced = only(venue.replace("alice", "stop", qty=9, stop_price=51), OrderReplaced)
    assert (replaced.hold_change, replaced.leaves) == (0, 9)


def test_stops_wait_while_their_instrument_is_halted(make_venue: MakeVenue) -> None:
    venue = make_venue(cascade_max=1)
    for index in range(2):
        venue.sell("alice", 1, 99, stop_price=50, client_order_id=f"s{index}")
    trade(venue, 50)
    assert triggered(venue.status(2)) == []
    assert triggered(venue.tick()) == []
    assert triggered(venue.status(1)) == ["s1"]
