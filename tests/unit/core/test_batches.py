"""Rules B: several creates, replaces and cancels in one turn."""

from __future__ import annotations

from engine.core.commands import RecordRefusal
from engine.core.events import BatchDone, CancelRejected, OrderRejected, StatusReported
from engine.core.types import BatchMode, OrdType, RejectReason, RequestKind, Side
from tests.support.venue import Venue, all_of, kinds, only

ALL = BatchMode.VALIDATE_ALL
REASON = RejectReason
BUY, SELL = Side.BUY, Side.SELL


def test_B1_one_to_fifty_entries(venue: Venue) -> None:
    for count, reason in ((0, REASON.INVALID_BATCH), (51, REASON.INVALID_BATCH), (50, None)):
        entries = [venue.new_command("alice", BUY, 1, 10) for _ in range(count)]
        events = venue.batch("alice", *entries)
        done = only(events, BatchDone)
        assert done.reason is reason
        assert len(done.results) == (0 if reason else 50) == len(events) - 1


def test_B1_entries_are_done_in_order(venue: Venue) -> None:
    venue.sell("bob", 3, 20, client_order_id="bob")
    events = venue.batch(
        "alice",
        venue.new_command("alice", BUY, 5, 10, client_order_id="one"),
        venue.replace_command("alice", "one", client_order_id="two", qty=4),
        venue.cancel_command("alice", "two"),
        venue.new_command("alice", BUY, 1, 20),
    )
    assert kinds(events) == [
        "OrderAccepted", "OrderReplaced", "OrderCanceled", "OrderAccepted", "OrderFilled",
        "OrderFilled", "BatchDone",
    ]  # fmt: skip


def test_B2_independent_entries_stand_alone(venue: Venue) -> None:
    events = venue.batch(
        "alice",
        venue.new_command("alice", BUY, 1, 10),
        venue.new_command("alice", BUY, 0, 10),
        venue.cancel_command("alice", "unknown"),
        venue.new_command("alice", SELL, 1, 30),
    )
    assert kinds(events) == [
        "OrderAccepted", "OrderRejected", "CancelRejected", "OrderAccepted", "BatchDone",
    ]  # fmt: skip
    done = only(events, BatchDone)
    assert [row[2] for row in done.results] == [True, False, False, True]
    assert done.reason is None


def test_B3_validate_all_refuses_everything_for_one_bad_entry(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    events = venue.batch(
        "alice",
        venue.new_command("alice", BUY, 1, 10),
        venue.new_command("alice", BUY, 0, 10),
        venue.cancel_command("alice", "one"),
        venue.replace_command("alice", "one", price=-1),
        mode=ALL,
    )
    assert [e.reason for e in events] == [
        REASON.BATCH_REFUSED, REASON.INVALID_QUANTITY, REASON.BATCH_REFUSED,
        REASON.INVALID_PRICE, REASON.BATCH_REFUSED,
    ]  # fmt: skip
    assert only(events, BatchDone).results == tuple((i, 1, False) for i in range(4))
    refused = all_of(events, CancelRejected)[0]
    assert (refused.order_id, refused.current_client_order_id) == (1, "one")
    assert kinds(venue.cancel("alice", "one")) == ["OrderCanceled"]


def test_B3_validate_all_looks_at_the_state_before_the_batch(venue: Venue) -> None:
    first = venue.new_command("alice", BUY, 1, 10, client_order_id="one")
    events = venue.batch("alice", first, venue.cancel_command("alice", "one"), mode=ALL)
    assert [e.reason for e in events] == [
        REASON.BATCH_REFUSED, REASON.UNKNOWN_ORDER, REASON.BATCH_REFUSED,
    ]  # fmt: skip


def test_B3_funds_and_post_only_are_not_validated_before(venue: Venue) -> None:
    venue.sell("bob", 1, 20)
    events = venue.batch(
        "alice",
        venue.new_command("alice", BUY, 1, 20, post_only=True),
        venue.new_command("alice", BUY, 1_000_000, 1_000_000),
        venue.new_command("alice", BUY, 1, 10),
        mode=ALL,
    )
    assert [getattr(e, "reason", None) for e in events] == [
        REASON.POST_ONLY_WOULD_TRADE, REASON.INSUFFICIENT_FUNDS, None, None,
    ]  # fmt: skip


def test_B3_a_client_order_id_that_is_twice_in_a_batch(venue: Venue) -> None:
    twice = [venue.new_command("alice", BUY, 1, 10, client_order_id="one") for _ in range(2)]
    events = venue.batch("alice", *twice, mode=ALL)
    assert [e.reason for e in events] == [
        REASON.BATCH_REFUSED, REASON.DUPLICATE_CLIENT_ORDER_ID, REASON.BATCH_REFUSED,
    ]  # fmt: skip
    events = venue.batch("alice", *twice)
    assert kinds(events) == ["OrderAccepted", "OrderRejected", "BatchDone"]


def test_B3_R3_a_repeat_with_poss_resend_is_no_fault(venue: Venue) -> None:
    venue.buy("alice", 1, 10, client_order_id="one")
    again = venue.new_command("alice", BUY, 1, 10, client_order_id="one", poss_resend=True)
    events = venue.batch("alice", again, mode=ALL)
    assert only(events, StatusReported).order.order_id == 1
    assert only(events, BatchDone).reason is None


def test_B4_the_summary_says_where_the_events_of_each_entry_are(venue: Venue) -> None:
    venue.sell("bob", 2, 10)
    events = venue.batch(
        "alice",
        venue.new_command("alice", BUY, 2, 10),
        venue.new_command("alice", BUY, 0, 10),
        venue.new_command("alice", SELL, 1, 30),
    )
    done = only(events, BatchDone)
    assert done.results == ((0, 3, True), (3, 1, False), (4, 1, True))
    assert events[-1] is done and done.batch_id


def test_B4_stops_follow_the_summary(venue: Venue) -> None:
    venue.sell("bob", 2, 10)
    venue.buy("carol", 1, stop_price=10)
    events = venue.batch("alice", venue.new_command("alice", BUY, 1, 10))
    assert kinds(events)[3:5] == ["BatchDone", "OrderTriggered"]


def refusal(venue: Venue, kind: RequestKind = RequestKind.NEW) -> RecordRefusal:
    return RecordRefusal(
        venue.origin("alice"), "alice", kind, REASON.INVALID_PRICE,
        "price 1.5 is not a multiple of the tick 1 of BTC-USD", "bad",
        symbol="BTC-USD", side=BUY, ord_type=OrdType.LIMIT, qty_text="1", price_text="1.5",
    )  # fmt: skip


def test_B5_a_refusal_of_the_edge_takes_its_place_in_the_batch(venue: Venue) -> None:
    events = venue.batch("alice", refusal(venue), venue.new_command("alice", BUY, 1, 10))
    assert kinds(events) == ["OrderRejected", "OrderAccepted", "BatchDone"]
    rejected = only(events, OrderRejected)
    assert (rejected.reason, rejected.price_text) == (REASON.INVALID_PRICE, "1.5")
    assert only(events, BatchDone).results == ((0, 1, False), (1, 1, True))


def test_B5_a_refusal_of_the_edge_fails_a_batch_that_is_validated(venue: Venue) -> None:
    entries = (venue.new_command("alice", BUY, 1, 10), refusal(venue))
    events = venue.batch("alice", *entries, mode=ALL)
    assert [e.reason for e in events] == [
        REASON.BATCH_REFUSED, REASON.INVALID_PRICE, REASON.BATCH_REFUSED,
    ]  # fmt: skip


def test_a_batch_is_for_accounts_of_one_firm(venue: Venue) -> None:
    events = venue.batch("alice", venue.new_command("bob", BUY, 1, 10))
    assert only(events, BatchDone).reason is REASON.INVALID_BATCH
    events = venue.batch("alice", venue.new_command("alice2", BUY, 1, 10))
    assert [e.account for e in events] == ["alice2", "alice"]


def test_a_recorded_refusal_is_an_event_of_the_account(venue: Venue) -> None:
    rejected = only(venue.do(refusal(venue)), OrderRejected)
    assert (rejected.account, rejected.client_order_id) == ("alice", "bad")
    assert rejected.text.startswith("price 1.5")
    # The id was never an order's, so it can be used.
    assert kinds(venue.buy("alice", 1, 10, client_order_id="bad")) == ["OrderAccepted"]
