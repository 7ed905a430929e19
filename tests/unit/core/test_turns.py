"""Work that is more than one command may do: turns, queues and pieces (rules M-10 and C-10)."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.events import (
    BatchDone,
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)
from engine.core.types import (
    BatchMode,
    CancelReason,
    Liquidity,
    OrdStatus,
    RejectReason,
    RestateReason,
    SelfTrade,
    Side,
    TimeInForce,
)
from tests.support.venue import START_US, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
WORK = 3


@pytest.fixture
def busy(make_venue: MakeVenue) -> Venue:
    """Ten sells of one lot at 10 of bob; three steps of work for each command."""
    venue = make_venue(work_max=WORK)
    for number in range(10):
        venue.sell("bob", 1, 10, client_order_id=f"s{number}")
    return venue


def trades(events: list[Any]) -> list[tuple[str, int]]:
    """(client order id of the maker, lots) of each trade."""
    return [
        (e.order.client_order_id, e.last_qty)
        for e in all_of(events, OrderFilled)
        if e.liquidity is Liquidity.MAKER
    ]


def canceled(events: list[Any]) -> list[tuple[str, CancelReason]]:
    return [(e.order.client_order_id, e.reason) for e in all_of(events, OrderCanceled)]


def test_M10_a_sweep_goes_on_with_ticks_and_ends_as_it_would_have_at_once(busy: Venue) -> None:
    pieces = [trades(busy.buy("alice", 10, 10, client_order_id="big"))]
    while (events := busy.tick()) != []:
        pieces.append(trades(events))
    assert [len(piece) for piece in pieces] == [3, 3, 3, 1]
    assert sum(pieces, []) == [(f"s{number}", 1) for number in range(10)]
    last = all_of(busy.events, OrderFilled)[-2]
    assert (last.order.client_order_id, last.status, last.cum) == ("big", OrdStatus.FILLED, 10)
    assert busy.held("alice", "USD") == 0


def test_M10_the_rest_of_a_sweep_comes_to_rest_and_its_last_fill_says_so(busy: Venue) -> None:
    busy.buy("alice", 12, 10, client_order_id="big")
    fill = all_of(busy.finish(), OrderFilled)[-2]
    assert (fill.leaves, fill.display) == (2, 2)
    assert busy.held("alice", "USD") == 20


def test_M10_who_arrives_later_waits_behind_and_nobody_overtakes(busy: Venue) -> None:
    busy.buy("alice", 10, 10, client_order_id="big")
    late = busy.buy("carol", 4, 0, client_order_id="late", tif=IOC)
    assert kinds(late) == ["OrderAccepted"], "accepted, and not traded before its turn"
    better = busy.sell("bob", 3, 9, client_order_id="better")
    assert (kinds(better), better[0].display) == (["OrderAccepted"], 0)
    rest = busy.finish()
    assert trades(rest)[:7] == [(f"s{number}", 1) for number in range(3, 10)]
    assert canceled(rest) == [("late", CancelReason.MARKET_REMAINDER)]
    restated = only(rest, OrderRestated)
    assert (restated.order.client_order_id, restated.reason) == ("better", RestateReason.RESTS)
    assert restated.display == 3, "what came last rests, since nobody was left to trade with"


def test_M10_an_order_that_waits_can_be_canceled(busy: Venue) -> None:
    busy.buy("alice", 10, 10, client_order_id="big")
    busy.buy("carol", 1, 10, client_order_id="behind")
    assert canceled(busy.cancel("carol", "behind"))[0][0] == "behind"
    gone = only(busy.cancel("alice", "big"), OrderCanceled)
    assert (gone.cum, gone.hold_change) == (3, -70)
    assert busy.finish() == []
    assert kinds(busy.buy("carol", 1, 9)) == ["OrderAccepted"]
    assert trades(busy.buy("carol", 1, 10)) == [("s3", 1)], "the instrument is at rest again"


def test_M10_a_halt_makes_it_wait(busy: Venue) -> None:
    busy.buy("alice", 10, 10)
    busy.status(2)
    assert busy.tick() == []
    assert only(busy.buy("carol", 1, 10), OrderRejected).reason is RejectReason.INSTRUMENT_HALTED
    busy.status(1)
    assert len(trades(busy.finish())) == 7


def test_M10_a_replace_keeps_its_place_or_takes_the_last(busy: Venue) -> None:
    busy.buy("alice", 10, 10, client_order_id="big")
    busy.buy("carol", 2, 10, client_order_id="c")
    smaller = only(busy.replace("alice", "big", qty=5, client_order_id="big2"), OrderReplaced)
    assert (smaller.priority_kept, smaller.leaves, smaller.display) == (True, 2, 0)
    moved = only(busy.replace("carol", "c", qty=3, client_order_id="c2"), OrderReplaced)
    assert (moved.priority_kept, moved.display) == (False, 0)
    busy.buy("bob", 1, 10, client_order_id="own", stp=SelfTrade.NONE)
    takers = [e for e in all_of(busy.finish(), OrderFilled) if e.liquidity is Liquidity.TAKER]
    assert [e.order.client_order_id for e in takers] == ["big2"] * 2 + ["c2"] * 3 + ["own"]


def test_M10_a_replace_of_a_resting_order_waits_behind_too(busy: Venue) -> None:
    busy.buy("carol", 1, 5, client_order_id="low")
    busy.buy("alice", 10, 10)
    events = busy.replace("carol", "low", price=10, client_order_id="high")
    assert kinds(events) == ["OrderReplaced"]
    assert events[0].display == 0
    assert only(busy.finish(), OrderRestated).order.client_order_id == "high"


def test_M10_an_order_that_waits_ends_at_its_time(busy: Venue) -> None:
    busy.buy("alice", 10, 10, client_order_id="big", tif=GTD, expire_at=START_US + 5)
    assert canceled(busy.tick(5)) == [("big", CancelReason.EXPIRED)]
    assert busy.finish() == []


def test_M10_R8_it_counts_as_open(make_venue: MakeVenue) -> None:
    venue = make_venue(work_max=1, open_orders_max=1)
    venue.sell("bob", 1, 10)
    venue.sell("carol", 1, 10)
    venue.buy("alice", 2, 10)
    refused = only(venue.buy("alice", 1, 10), OrderRejected)
    assert refused.reason is RejectReason.TOO_MANY_OPEN_ORDERS


def test_M10_post_only_is_judged_when_its_turn_comes(busy: Venue) -> None:
    busy.buy("alice", 11, 10)
    assert kinds(busy.sell("carol", 1, 10, client_order_id="po", post_only=True)) == [
        "OrderAccepted"
    ]
    assert canceled(busy.finish()) == [("po", CancelReason.POST_ONLY)]


def test_M10_fok_beyond_the_bound_is_canceled_untouched(busy: Venue) -> None:
    events = busy.buy("alice", 4, 10, tif=FOK)
    assert kinds(events) == ["OrderAccepted", "OrderCanceled"]
    assert events[1].reason is CancelReason.SWEEP_TOO_LARGE
    assert len(trades(busy.buy("alice", 3, 10, tif=FOK))) == 3
    events = busy.buy("alice", 7, 10, tif=IOC, min_qty=4)
    assert events[-1].reason is CancelReason.SWEEP_TOO_LARGE


def test_M10_min_qty_within_the_bound_begins_and_goes_on(busy: Venue) -> None:
    assert len(trades(busy.buy("alice", 7, 10, tif=IOC, min_qty=3))) == 3
    assert len(trades(busy.finish())) == 4


def test_M10_the_entries_of_a_batch_share_its_work(busy: Venue) -> None:
    new = busy.new_command
    events = busy.batch(
        "alice",
        new("alice", Side.BUY, 2, 10, client_order_id="first"),
        new("alice", Side.BUY, 2, 10, client_order_id="fok", tif=FOK),
        new("alice", Side.BUY, 1, 10, client_order_id="third"),
        new("alice", Side.BUY, 1, 4, client_order_id="low"),
        mode=BatchMode.INDEPENDENT,
    )
    assert trades(events) == [("s0", 1), ("s1", 1)], "one step is left, which is no whole FOK"
    assert [done for _, _, done in only(events, BatchDone).results] == [True] * 4
    rest = busy.finish()
    takers = [e for e in all_of(rest, OrderFilled) if e.liquidity is Liquidity.TAKER]
    assert [e.order.client_order_id for e in takers] == ["fok", "fok", "third"]
    assert only(rest, OrderRestated).order.client_order_id == "low"


def test_M10_an_order_by_money_is_whole_or_refused(busy: Venue) -> None:
    refused = only(busy.buy("alice", 0, cash_qty=40), OrderRejected)
    assert refused.reason is RejectReason.SWEEP_TOO_LARGE
    assert len(trades(busy.buy("alice", 0, cash_qty=25))) == 2
    busy.buy("alice", 8, 10)
    refused = only(busy.buy("carol", 0, cash_qty=10), OrderRejected)
    assert refused.reason is RejectReason.INSTRUMENT_BUSY


def test_M10_a_market_buy_holds_what_a_turn_costs_and_nothing_between(
    make_venue: MakeVenue,
) -> None:
    venue = make_venue(work_max=2, funds=50, taker=100_000)
    for account in ("bob", "carol"):
        for _ in range(3):
            venue.sell(account, 1, 10)
    accepted, *_ = venue.buy("alice", 6)
    assert (accepted.hold_change, venue.held("alice", "USD")) == (22, 0)
    assert len(trades(venue.tick())) == 2
    assert venue.available("alice", "USD") == 50 - 44
    assert canceled(venue.tick()) == [("id7", CancelReason.UNFUNDED)]
    assert (venue.held("alice", "USD"), venue.posted("alice", "BTC")) == (0, 54)


def test_M10_a_market_buy_that_waits_holds_nothing_until_its_turn(busy: Venue) -> None:
    busy.buy("alice", 8, 10)
    accepted = only(busy.buy("carol", 2, client_order_id="m"), OrderAccepted)
    assert (accepted.hold_change, busy.held("carol", "USD")) == (0, 0)
    assert trades(busy.finish())[-2:] == [("s8", 1), ("s9", 1)]
    assert busy.held("carol", "USD") == 0


def test_M10_T2_stops_come_after_the_one_that_set_them_off_and_before_who_waits(
    busy: Venue,
) -> None:
    busy.buy("carol", 1, 10, stop_price=10, client_order_id="stop")
    busy.buy("alice", 5, 10, client_order_id="big")
    busy.buy("alice2", 1, 10, client_order_id="behind")
    rest = busy.finish()
    assert only(rest, OrderTriggered).order.client_order_id == "stop"
    takers = [e for e in all_of(rest, OrderFilled) if e.liquidity is Liquidity.TAKER]
    assert [e.order.client_order_id for e in takers] == ["big", "big", "stop", "behind"]


def test_M10_own_orders_met_count_as_work(make_venue: MakeVenue) -> None:
    venue = make_venue(work_max=2, stp=SelfTrade.CANCEL_OLDEST)
    for number in range(5):
        venue.sell("alice2", 1, 10, client_order_id=f"own{number}")
    venue.sell("bob", 1, 10)
    assert len(canceled(venue.buy("alice", 1, 10))) == 2
    rest = venue.finish()
    assert (len(canceled(rest)), len(trades(rest))) == (3, 1)


def test_M10_instruments_take_turns(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(work_max=2)
    first = venue.commands[3][1]
    venue.do(first._replace(symbol="BTC-EUR"))  # type: ignore[attr-defined]
    for symbol in ("BTC-USD", "BTC-EUR"):
        for _ in range(9):
            venue.sell("bob", 1, 10, symbol=symbol)
    for symbol in ("BTC-USD", "BTC-EUR"):
        venue.buy("alice", 9, 10, symbol=symbol)
    order = [venue.tick()[0].order.symbol for _ in range(6)]
    assert order == ["BTC-USD", "BTC-EUR"] * 3


# C-10


@pytest.fixture
def resting(make_venue: MakeVenue) -> Venue:
    """Eight buys of alice at 10 (a0 to a7), one of bob behind them; two steps a command."""
    venue = make_venue(work_max=2)
    for number in range(8):
        tif = {"tif": GTD, "expire_at": START_US + 5} if number > 3 else {}
        venue.buy("alice", 1, 10, client_order_id=f"a{number}", **tif)
    venue.buy("bob", 1, 10, client_order_id="b")
    return venue


MASS = CancelReason.MASS_CANCEL


def test_C10_a_mass_cancel_in_pieces_says_when_it_is_complete(resting: Venue) -> None:
    events = resting.mass_cancel("alice", client_order_id="q")
    first = only(events, MassCanceled)
    assert (len(canceled(events)), first.total, first.complete) == (2, 2, False)
    assert all(only([e], OrderCanceled).client_order_id == "q" for e in events[:-1])
    rest = resting.finish()
    last = only(rest, MassCanceled)
    assert rest[-1] is last
    assert (last.total, last.complete, last.requester) == (8, True, "api:alice")
    assert [client_id for _, client_id, _ in last.affected] == [f"a{n}" for n in range(8)]


def test_C10_what_is_covered_does_not_trade(resting: Venue) -> None:
    resting.mass_cancel("alice", client_order_id="q")
    events = resting.sell("carol", 3, 10)
    assert trades(events) == [], "two steps, both used to cancel what stood in the way"
    rest = resting.finish()
    assert trades(rest) == [("b", 1)]
    assert sorted(canceled(resting.events)) == [(f"a{n}", MASS) for n in range(8)]
    assert only(rest, MassCanceled).total == 8


def test_C10_a_request_that_names_what_is_covered_is_too_late(resting: Venue) -> None:
    resting.mass_cancel("alice")
    for events in (resting.cancel("alice", "a6"), resting.replace("alice", "a7", price=11)):
        assert kinds(events) == ["OrderCanceled", "CancelRejected"]
        assert events[0].reason is MASS
        assert (events[1].reason, events[1].status) == (RejectReason.TOO_LATE, OrdStatus.CANCELED)


def test_C10_in_a_batch_the_entry_has_its_own_events(resting: Venue) -> None:
    resting.mass_cancel("alice")
    entry = resting.cancel_command("alice", "a6")
    events = resting.batch("alice", entry)
    ((first, count, done),) = only(events, BatchDone).results
    assert (kinds(events[first : first + count]), done) == (["CancelRejected"], False)


def test_C10_what_comes_later_is_not_covered(resting: Venue) -> None:
    resting.mass_cancel("alice")
    resting.buy("alice", 1, 10, client_order_id="new")
    rest = resting.finish()
    assert "new" not in [client_id for client_id, _ in canceled(rest)]
    assert trades(resting.sell("carol", 2, 10)) == [("b", 1), ("new", 1)]


def test_C10_expiries_are_done_in_pieces_and_nothing_late_trades(resting: Venue) -> None:
    resting.now += 5
    assert len(canceled(resting.tick())) == 2
    for number in range(4):
        resting.cancel("alice", f"a{number}")
    resting.sell("carol", 1, 10)
    rest = resting.finish()
    assert trades(rest) == [("b", 1)]
    expired = [c for c in canceled(resting.events) if c[1] is CancelReason.EXPIRED]
    assert expired == [(f"a{n}", CancelReason.EXPIRED) for n in range(4, 8)]


def test_C10_orders_looked_at_and_left_alone_count_too(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(work_max=1)
    for _ in range(40):
        venue.buy("alice", 1, 10, strategy="keep")
    venue.buy("alice", 1, 10, strategy="go")
    events = venue.mass_cancel("alice", strategy="go")
    assert not only(events, MassCanceled).complete
    assert venue.tick() == []
    assert only(venue.tick(), MassCanceled).total == 1
    assert venue.exchange.next_timer() == 0  # type: ignore[attr-defined]


def test_C10_mass_cancels_in_progress_are_bounded(make_venue: MakeVenue) -> None:
    venue = make_venue(work_max=1)
    for _ in range(20):
        venue.buy("alice", 1, 10)
    reports = [only(venue.mass_cancel("alice"), MassCanceled) for _ in range(9)]
    assert [r.reason for r in reports] == [None] * 8 + [RejectReason.THROTTLED]
    assert only(venue.mass_cancel("bob"), MassCanceled).complete
    venue.finish()
    assert only(venue.mass_cancel("alice"), MassCanceled).complete
