"""Rules C: cancel, replace, mass cancel."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineInstrument
from engine.core.events import (
    CancelRejected,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
)
from engine.core.types import (
    CancelReason,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    SelfTrade,
    Side,
    TimeInForce,
)
from tests.support.venue import START_US, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

REASON = RejectReason


def refusal(venue: Venue, **fields: Any) -> CancelRejected:
    """Replace order "one" of alice in vain; the order and its hold stay as they were."""
    held = venue.held("alice", "USD")
    rejected = only(venue.replace("alice", "one", **fields), CancelRejected)
    assert rejected.request is RequestKind.REPLACE
    assert (rejected.order_id, rejected.current_client_order_id) == (1, "one")
    assert venue.held("alice", "USD") == held
    return rejected


def rest(venue: Venue, qty: int = 10, price: int = 10, **fields: Any) -> None:
    venue.buy("alice", qty, price, client_order_id="one", **fields)


def test_C1_an_order_is_found_by_any_id_of_its_chain(venue: Venue) -> None:
    rest(venue)
    venue.replace("alice", "one", client_order_id="two", qty=9)
    replaced = only(venue.replace("alice", "one", client_order_id="three", qty=8), OrderReplaced)
    assert replaced.order.client_order_id == "three"
    assert replaced.order.first_client_order_id == "one"
    canceled = only(venue.cancel("alice", "two", client_order_id="x"), OrderCanceled)
    assert (canceled.order.client_order_id, canceled.client_order_id) == ("three", "x")


def test_C1_the_firms_account_finds_an_order_of_a_sub_account_by_order_id(venue: Venue) -> None:
    venue.buy("alice2", 10, 5, client_order_id="one")
    events = venue.cancel("alice", order_id=1, client_order_id="x")
    canceled = only(events, OrderCanceled)
    assert (canceled.account, canceled.requester) == ("alice2", "api:alice")


def test_C1_a_sub_account_finds_no_order_of_its_firm(venue: Venue) -> None:
    rest(venue)
    rejected = only(venue.cancel("alice2", order_id=1), CancelRejected)
    assert rejected.reason is REASON.UNKNOWN_ORDER and rejected.order_id == 0


def test_C1_unknown_orders(venue: Venue) -> None:
    rest(venue)
    for account, fields in (
        ("alice", {"orig": "other"}),
        ("alice", {"order_id": 2}),
        ("alice", {}),
        ("alice2", {"orig": "one"}),
        ("bob", {"order_id": 1}),
        ("bob", {"orig": "one"}),
    ):
        rejected = only(venue.cancel(account, **fields), CancelRejected)
        assert rejected.reason is REASON.UNKNOWN_ORDER
        assert (rejected.order_id, rejected.status) == (0, OrdStatus.REJECTED)
        assert (rejected.account, rejected.request) == (account, RequestKind.CANCEL)


def test_C1_both_ids_must_agree(venue: Venue) -> None:
    rest(venue)
    venue.buy("alice", 1, 5, client_order_id="other")
    rejected = only(venue.cancel("alice", "one", 2), CancelRejected)
    assert rejected.reason is REASON.MISMATCH
    assert kinds(venue.cancel("alice", "one", 1)) == ["OrderCanceled"]


@pytest.mark.parametrize(
    "fields", [{"symbol": "ETH-USD"}, {"side": Side.SELL}, {"symbol": "BTC-USD", "side": Side.SELL}]
)
def test_C1_a_stated_symbol_or_side_must_be_the_orders(
    venue: Venue, fields: dict[str, Any]
) -> None:
    rest(venue)
    rejected = only(venue.cancel("alice", "one", **fields), CancelRejected)
    assert (rejected.reason, rejected.status) == (REASON.MISMATCH, OrdStatus.NEW)
    assert refusal(venue, qty=5, **fields).reason is REASON.MISMATCH


def test_C1_a_stated_type_must_be_the_orders(venue: Venue) -> None:
    rest(venue)
    assert refusal(venue, ord_type=OrdType.STOP_LIMIT).reason is REASON.MISMATCH
    same = venue.replace("alice", "one", ord_type=OrdType.LIMIT, qty=9)
    assert kinds(same) == ["OrderReplaced"]


def test_C1_closed_orders_are_too_late_with_their_final_status(venue: Venue) -> None:
    rest(venue, 3)
    venue.sell("bob", 3, 10)
    rejected = only(venue.cancel("alice", "one"), CancelRejected)
    assert (rejected.reason, rejected.status) == (REASON.TOO_LATE, OrdStatus.FILLED)
    venue.buy("alice", 3, 10, client_order_id="two")
    venue.cancel("alice", "two")
    rejected = only(venue.replace("alice", "two", qty=1), CancelRejected)
    assert (rejected.reason, rejected.status) == (REASON.TOO_LATE, OrdStatus.CANCELED)


def test_C1_requests_of_unknown_accounts_and_late_ones(venue: Venue) -> None:
    rest(venue)
    rejected = only(venue.cancel("nobody", "one"), CancelRejected)
    assert (rejected.reason, rejected.account_seq) == (REASON.UNKNOWN_ACCOUNT, 0)
    late = Origin("api:alice", valid_until=START_US - 1)
    rejected = only(venue.cancel("alice", "one", origin=late), CancelRejected)
    assert rejected.reason is REASON.REQUEST_EXPIRED
    assert refusal_is_expired(venue, late)


def refusal_is_expired(venue: Venue, late: Origin) -> bool:
    rejected = only(venue.replace("alice", "one", qty=1, origin=late), CancelRejected)
    return rejected.reason is REASON.REQUEST_EXPIRED


def test_C2_a_cancel_frees_its_money_for_the_next_command(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=100)
    rest(venue)
    rejected = venue.buy("alice", 1, 10)
    assert kinds(rejected) == ["OrderRejected"]
    canceled = only(venue.cancel("alice", "one"), OrderCanceled)
    assert (canceled.hold_change, canceled.reason) == (-100, CancelReason.REQUESTED)
    assert kinds(venue.buy("alice", 10, 10)) == ["OrderAccepted"]


def test_C3_quantity_counts_what_is_executed(venue: Venue) -> None:
    rest(venue, 10)
    venue.sell("bob", 4, 10)
    replaced = only(venue.replace("alice", "one", qty=6), OrderReplaced)
    assert (replaced.order.qty, replaced.leaves, replaced.cum) == (6, 2, 4)
    assert replaced.status is OrdStatus.PARTIALLY_FILLED
    assert venue.held("alice", "USD") == 20


@pytest.mark.parametrize("qty", [4, 3, 1])
def test_C3_at_or_below_what_is_executed_the_order_is_filled(venue: Venue, qty: int) -> None:
    """Found elsewhere: an order filled twice around a replace."""
    rest(venue, 10)
    venue.sell("bob", 4, 10)
    replaced = only(venue.replace("alice", "one", client_order_id="two", qty=qty), OrderReplaced)
    assert (replaced.order.qty, replaced.leaves, replaced.cum) == (4, 0, 4)
    assert replaced.status is OrdStatus.FILLED
    assert venue.held("alice", "USD") == 0
    assert kinds(venue.sell("bob", 4, 10)) == ["OrderAccepted"]
    rejected = only(venue.cancel("alice", "two"), CancelRejected)
    assert (rejected.reason, rejected.status) == (REASON.TOO_LATE, OrdStatus.FILLED)


def test_C3_an_order_is_not_filled_twice_around_cancel_and_replace(venue: Venue) -> None:
    """Found elsewhere: what a replaced or canceled order had left was filled once more."""
    rest(venue, 10)
    venue.sell("bob", 4, 10)
    venue.replace("alice", "one", client_order_id="two", qty=8, price=11)
    assert sum(e.last_qty for e in all_of(venue.sell("bob", 100, 10), OrderFilled)) == 4 * 2
    venue.cancel("alice", "two")
    filled = [e for e in all_of(venue.events, OrderFilled) if e.account == "alice"]
    assert sum(e.last_qty for e in filled) == 8
    assert filled[-1].cum == 8 and filled[-1].status is OrdStatus.FILLED


def queue(venue: Venue, account: str = "bob") -> list[str]:
    """Client order ids of the buys at 10, in the order in which they would trade."""
    fills = all_of(venue.sell(account, 1000, 10, tif=TimeInForce.IOC), OrderFilled)
    names = [e.order.client_order_id for e in fills if e.account != account]
    return list(dict.fromkeys(names))


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"qty": 9}, True),
        ({"qty": 10}, True),
        ({"tif": TimeInForce.GTD, "expire_at": START_US + 5}, True),
        ({"tif": TimeInForce.DAY}, True),
        ({"display_qty": 2}, True),
        ({"qty": 8, "display_qty": 3}, True),
        ({"qty": 11}, False),
        ({"display_qty": 5}, False),
        ({"display_qty": 0}, False),
        ({"qty": 9, "display_qty": 6}, False),
    ],
)
def test_C4_what_keeps_the_place_in_the_queue(
    venue: Venue, change: dict[str, Any], kept: bool
) -> None:
    rest(venue, 10, display_qty=4)
    venue.buy("carol", 1, 10, client_order_id="second")
    replaced = only(venue.replace("alice", "one", client_order_id="two", **change), OrderReplaced)
    assert replaced.priority_kept is kept
    assert queue(venue) == (["two", "second"] if kept else ["second", "two"])


def test_C4_a_changed_price_loses_the_place_even_when_it_changes_back(venue: Venue) -> None:
    rest(venue, 10)
    venue.buy("carol", 1, 10, client_order_id="second")
    venue.replace("alice", "one", client_order_id="two", price=9)
    replaced = only(venue.replace("alice", "two", client_order_id="three", price=10), OrderReplaced)
    assert not replaced.priority_kept
    assert queue(venue) == ["second", "three"]


def test_C4_a_replaced_order_may_trade_at_once(venue: Venue) -> None:
    rest(venue, 10, 9)
    venue.sell("bob", 4, 10)
    events = venue.replace("alice", "one", client_order_id="two", price=11)
    assert kinds(events) == ["OrderReplaced", "OrderFilled", "OrderFilled"]
    taker = all_of(events, OrderFilled)[0]
    assert (taker.account, taker.last_price, taker.leaves) == ("alice", 10, 6)
    assert taker.liquidity == 2


def test_C4_an_iceberg_shows_no_more_than_its_smaller_display(venue: Venue) -> None:
    rest(venue, 10, display_qty=4)
    assert only(venue.replace("alice", "one", display_qty=3), OrderReplaced).display == 3
    assert only(venue.replace("alice", "one", display_qty=2, qty=2), OrderReplaced).display == 2


def test_C5_halted(venue: Venue) -> None:
    rest(venue)
    venue.status(2)
    assert refusal(venue, qty=5).reason is REASON.INSTRUMENT_HALTED


def test_C5_new_client_order_id(venue: Venue) -> None:
    rest(venue)
    venue.buy("alice", 1, 5, client_order_id="two")
    venue.cancel("alice", "two")
    assert refusal(venue, client_order_id="a b", qty=5).reason is REASON.INVALID_CLIENT_ORDER_ID
    for known in ("two", "one"):
        reason = refusal(venue, client_order_id=known, qty=5).reason
        assert reason is REASON.DUPLICATE_CLIENT_ORDER_ID
    kept = only(venue.replace("alice", "one", client_order_id="", qty=5), OrderReplaced)
    assert kept.order.client_order_id == "one"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": 0}, REASON.UNSUPPORTED_COMBINATION),
        ({"stop_price": 5}, REASON.UNSUPPORTED_COMBINATION),
        ({"qty": -1}, REASON.INVALID_QUANTITY),
        ({"qty": 1_000_001}, REASON.QUANTITY_TOO_LARGE),
        ({"price": 1_000_001}, REASON.PRICE_TOO_LARGE),
        ({"price": -1}, REASON.INVALID_PRICE),
        ({"display_qty": 11}, REASON.INVALID_QUANTITY),
        ({"expire_at": START_US + 5}, REASON.INVALID_EXPIRY),
        ({"tif": TimeInForce.GTD}, REASON.INVALID_EXPIRY),
        ({"tif": TimeInForce.GTD, "expire_at": START_US}, REASON.INVALID_EXPIRY),
    ],
)
def test_C5_nothing_valid_results(
    venue: Venue, change: dict[str, Any], reason: RejectReason
) -> None:
    rest(venue)
    assert refusal(venue, **change).reason is reason


def test_C5_a_post_only_order_would_trade(venue: Venue) -> None:
    rest(venue, post_only=True)
    venue.sell("bob", 1, 12)
    assert refusal(venue, price=12).reason is REASON.POST_ONLY_WOULD_TRADE
    assert kinds(venue.replace("alice", "one", price=11)) == ["OrderReplaced"]


def test_C5_the_larger_hold_is_not_covered(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=100, maker=10_000)
    rest(venue, 9)
    assert refusal(venue, qty=10).reason is REASON.INSUFFICIENT_FUNDS
    assert refusal(venue, price=12).reason is REASON.INSUFFICIENT_FUNDS
    replaced = only(venue.replace("alice", "one", qty=3, price=33), OrderReplaced)
    assert replaced.hold_change == 9  # 99 and a fee of 1, before 90 and 1


def test_C6_a_replaced_stop_stays_a_stop(venue: Venue) -> None:
    venue.buy("alice", 5, 12, stop_price=11, client_order_id="one")
    venue.sell("bob", 3, 8)
    venue.buy("carol", 3, 8)
    events = venue.replace("alice", "one", client_order_id="two", price=20, stop_price=15)
    replaced = only(events, OrderReplaced)
    assert kinds(events) == ["OrderReplaced"]
    assert (replaced.order.ord_type, replaced.display) == (OrdType.STOP_LIMIT, 0)
    venue.sell("bob", 1, 15)
    assert "OrderTriggered" in kinds(venue.buy("carol", 1, 15))


def test_C6_a_replaced_stop_whose_price_was_reached_is_triggered(venue: Venue) -> None:
    venue.sell("bob", 3, 8)
    venue.buy("carol", 3, 8)
    venue.buy("alice", 5, 12, stop_price=11, client_order_id="one")
    events = venue.replace("alice", "one", stop_price=7)
    assert kinds(events) == ["OrderReplaced", "OrderTriggered"]


def test_C6_the_stop_price_of_a_triggered_order_cannot_change(venue: Venue) -> None:
    venue.buy("alice", 5, 9, stop_price=10, client_order_id="one")
    venue.sell("bob", 1, 10)
    assert "OrderTriggered" in kinds(venue.buy("carol", 1, 10))
    assert refusal(venue, stop_price=11).reason is REASON.TOO_LATE
    changed = only(venue.replace("alice", "one", stop_price=10, price=8), OrderReplaced)
    assert (changed.order.price, changed.display) == (8, 5)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [1, 2, 3, 5]),
        ({"side": Side.SELL}, [2]),
        ({"strategy": "mm"}, [2, 3]),
        ({"symbol": "BTC-USD", "side": Side.BUY}, [1, 3, 5]),
        ({"strategy": "none of them"}, []),
        ({"session": "fix:A"}, [3]),
        ({"firm_wide": True}, [1, 2, 3, 5, 4]),
        ({"firm_wide": True, "strategy": "mm"}, [2, 3, 4]),
    ],
)
def test_C7_mass_cancel(venue: Venue, filters: dict[str, Any], expected: list[int]) -> None:
    venue.buy("alice", 1, 10)
    venue.sell("alice", 1, 20, strategy="mm")
    venue.buy("alice", 1, 8, strategy="mm", origin=Origin("fix:A"))
    venue.buy("alice2", 1, 9, strategy="mm")
    venue.buy("alice", 1, 30, stop_price=25)
    venue.buy("bob", 1, 10, strategy="mm")
    events = venue.mass_cancel("alice", client_order_id="q", **filters)
    canceled = all_of(events, OrderCanceled)
    assert [e.order.order_id for e in canceled] == expected
    assert {e.reason for e in canceled} <= {CancelReason.MASS_CANCEL}
    assert {(e.client_order_id, e.requester) for e in canceled} <= {("q", "api:alice")}
    report = only(events, MassCanceled)
    assert events[-1] is report and report.reason is None
    assert [row[2] for row in report.affected] == expected
    assert report.affected == tuple(
        (e.account, e.order.client_order_id, e.order.order_id) for e in canceled
    )


def test_C7_a_mass_cancel_without_match_is_no_failure(venue: Venue) -> None:
    report = only(venue.mass_cancel("alice"), MassCanceled)
    assert (report.affected, report.reason, report.account) == ((), None, "alice")


def test_C7_a_mass_cancel_of_an_unknown_symbol_is_refused(venue: Venue) -> None:
    rest(venue)
    report = only(venue.mass_cancel("alice", symbol="XRP-USD"), MassCanceled)
    assert (report.reason, report.affected) == (REASON.UNKNOWN_SYMBOL, ())


def test_C7_a_mass_cancel_of_an_unknown_account_is_refused(venue: Venue) -> None:
    report = only(venue.mass_cancel("nobody"), MassCanceled)
    assert (report.reason, report.account_seq) == (REASON.UNKNOWN_ACCOUNT, 0)


def test_C8_cancels_are_accepted_while_halted(venue: Venue) -> None:
    rest(venue)
    venue.buy("alice", 1, 9)
    venue.status(2)
    assert kinds(venue.cancel("alice", "one")) == ["OrderCanceled"]
    assert kinds(venue.mass_cancel("alice")) == ["OrderCanceled", "MassCanceled"]


def test_replace_keeps_everything_that_is_not_named(venue: Venue) -> None:
    events = venue.buy("alice", 9, 10, client_order_id="one", strategy="mm", manual=True,
                       display_qty=4, post_only=True)  # fmt: skip
    before = only(events, OrderAccepted).order
    after = only(venue.replace("alice", "one", client_order_id="two", qty=8), OrderReplaced)
    assert after.order == before._replace(client_order_id="two", qty=8)
    assert (after.orig_client_order_id, after.requester) == ("one", "api:alice")


def shrink(venue: Venue) -> OrderTerms:
    """An iceberg of 10 showing 8 of which self-trade prevention takes 5."""
    venue.sell("alice", 10, 20, client_order_id="one", display_qty=8)
    events = venue.buy("alice", 5, 20, stp=SelfTrade.DECREMENT)
    return only(events, OrderRestated).order


@pytest.mark.parametrize(
    "changes",
    [{"price": 21}, {"price": 21, "qty": 5}, {"price": 21, "qty": 5, "display_qty": 5},
     {"tif": TimeInForce.DAY}, {"qty": 4}],
    ids=["price", "quantity restated", "all restated", "time in force", "smaller"],
)  # fmt: skip
def test_C9_an_order_that_the_venue_shrank_can_be_changed(
    venue: Venue, changes: dict[str, Any]
) -> None:
    shrunk = shrink(venue)
    assert (shrunk.qty, shrunk.display_qty) == (5, 5)
    after = only(venue.replace("alice", "one", **changes), OrderReplaced)
    qty = changes.get("qty", 5)
    assert (after.order.qty, after.order.display_qty, after.display) == (qty, qty, qty)


def test_C9_a_smaller_quantity_cuts_a_display_quantity_that_is_not_stated(venue: Venue) -> None:
    venue.sell("alice", 10, 20, client_order_id="one", display_qty=8)
    after = only(venue.replace("alice", "one", client_order_id="two", qty=3), OrderReplaced)
    assert (after.order.display_qty, after.display, after.priority_kept) == (3, 3, True)
    assert only(
        venue.replace("alice", "two", qty=2, display_qty=3), CancelRejected
    ).reason is REASON.INVALID_QUANTITY


def test_C9_new_bounds_of_an_instrument_bar_no_change_of_anything_else(venue: Venue) -> None:
    venue.sell("alice", 5, 900, client_order_id="small")
    venue.sell("alice", 500, 900, client_order_id="large")
    define = venue.definition(DefineInstrument)
    venue.do(define._replace(min_qty=10, max_qty=100, max_price=800))
    for name in ("small", "large"):
        changed = only(venue.replace("alice", name, client_order_id=f"{name}-2",
                                     tif=TimeInForce.DAY), OrderReplaced)  # fmt: skip
        assert changed.priority_kept
        assert only(venue.replace("alice", f"{name}-2", price=700), OrderReplaced)
    venue.sell("alice", 50, 700, client_order_id="within")
    for change, reason in (
        ({"qty": 9}, REASON.QUANTITY_TOO_SMALL),
        ({"qty": 101}, REASON.QUANTITY_TOO_LARGE),
        ({"price": 801}, REASON.PRICE_TOO_LARGE),
    ):
        assert only(venue.replace("alice", "within", **change), CancelRejected).reason is reason
