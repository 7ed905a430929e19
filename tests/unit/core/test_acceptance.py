"""Rules N and R: numbers, and the acceptance of orders."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineAccount, DefineInstrument
from engine.core.events import OrderAccepted, OrderFilled, OrderRejected, StatusReported
from engine.core.types import (
    OrdStatus,
    OrdType,
    Origin,
    RejectReason,
    SelfTrade,
    Side,
    TimeInForce,
)
from tests.support.venue import DAY_US, START_US, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

REASON = RejectReason
GTD, FOK, IOC, DAY, GTC = (
    TimeInForce.GTD, TimeInForce.FOK, TimeInForce.IOC, TimeInForce.DAY, TimeInForce.GTC,
)  # fmt: skip
MARKET, LIMIT, STOP, STOP_LIMIT = OrdType


def reason_of(venue: Venue, side: Side, qty: int, price: int = 0, **fields: Any) -> RejectReason:
    """Send an order of alice that is refused, see that nothing else happened; the reason."""
    account = fields.pop("account", "alice")
    money = {(a, s): venue.available(a, s) for a in ("alice", "bob") for s in ("BTC", "USD")}
    rejected = only(venue.new(account, side, qty, price, **fields), OrderRejected)
    assert money == {key: venue.available(*key) for key in money}
    assert rejected.status is OrdStatus.REJECTED and rejected.order_id == 0
    if not venue.is_oracle:
        assert rejected.text
    return rejected.reason


def test_N2_a_trade_moves_whole_atoms(venue: Venue) -> None:
    venue.sell("alice", 7, 30)
    taker, maker = all_of(venue.buy("bob", 7, 30), OrderFilled)
    assert (taker.base_amount, taker.cash) == (maker.base_amount, maker.cash) == (7, 210)
    assert venue.posted("bob", "USD") == venue.posted("carol", "USD") - 210
    assert venue.posted("bob", "BTC") == venue.posted("carol", "BTC") + 7


def test_N3_a_fee_is_rounded_up_once_per_order(make_venue: MakeVenue) -> None:
    venue = make_venue(taker=1_000, maker=500)
    venue.sell("alice", 100, 7)
    for _ in range(100):
        venue.buy("bob", 1, 7)  # each order pays its own rounding: 7 × 0.1 % is 1 atom
    assert venue.posted("bob", "USD") == venue.posted("carol", "USD") - 700 - 100
    fees = [e.fee for e in all_of(venue.events, OrderFilled) if e.account == "alice"]
    assert fees[0] == 1 and sum(fees) == 1  # ⌈700 × 0.05 %⌉, once for the whole order
    assert venue.posted("alice", "USD") == venue.posted("carol", "USD") + 700 - 1


def test_N3_a_fill_pays_what_the_sum_grew_by(make_venue: MakeVenue) -> None:
    venue = make_venue(taker=300_000)
    for qty in (1, 1, 1, 4):
        venue.sell("alice", qty, 3)
    fills = [e for e in all_of(venue.buy("bob", 7, 3), OrderFilled) if e.account == "bob"]
    # 0.3 of 3, 6, 9 and 21 is 0.9, 1.8, 2.7 and 6.3; rounded up 1, 2, 3, 7.
    assert [e.fee for e in fills] == [1, 1, 1, 4]
    assert [e.fees for e in fills] == [1, 2, 3, 7]


def test_N4_an_order_keeps_the_rates_of_its_acceptance(make_venue: MakeVenue) -> None:
    venue = make_venue(maker=10_000)
    venue.sell("alice", 10, 100)
    venue.do(venue.definition(DefineAccount, account="alice")._replace(maker_fee_ppm=0))
    fills = all_of(venue.buy("bob", 10, 100), OrderFilled)
    assert fills[1].fee == 10
    venue.sell("alice", 10, 100)
    assert all_of(venue.buy("bob", 10, 100), OrderFilled)[1].fee == 0


def test_R1_unknown_account(venue: Venue) -> None:
    events = venue.buy("nobody", 1, 10)
    rejected = only(events, OrderRejected)
    assert rejected.reason is REASON.UNKNOWN_ACCOUNT
    assert (rejected.account, rejected.account_seq) == ("nobody", 0)


def test_R1_I4_a_request_past_its_valid_until_is_refused(venue: Venue) -> None:
    late = Origin("api:alice", valid_until=START_US - 1)
    assert reason_of(venue, Side.BUY, 1, 10, origin=late) is REASON.REQUEST_EXPIRED
    just = Origin("api:alice", valid_until=START_US)
    assert kinds(venue.buy("alice", 1, 10, origin=just)) == ["OrderAccepted"]


@pytest.mark.parametrize("text", ["", "a b", "a\n", "é", "x" * 65, "\x7f", "a\x00"])
def test_R2_invalid_client_order_id(venue: Venue, text: str) -> None:
    reason = reason_of(venue, Side.BUY, 1, 10, client_order_id=text)
    assert reason is REASON.INVALID_CLIENT_ORDER_ID


@pytest.mark.parametrize("text", ["x", "x" * 64, "!~", "a|b=c"])
def test_R2_valid_client_order_id(venue: Venue, text: str) -> None:
    assert kinds(venue.buy("alice", 1, 10, client_order_id=text)) == ["OrderAccepted"]


@pytest.mark.parametrize("text", ["s" * 33, "a b", "ü"])
def test_R2_invalid_strategy(venue: Venue, text: str) -> None:
    assert reason_of(venue, Side.BUY, 1, 10, strategy=text) is REASON.INVALID_FIELD


def test_R3_a_client_order_id_is_used_once_also_after_the_close(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    first = only(venue.buy("alice", 1, 10, client_order_id="one"), OrderRejected)
    assert first.reason is REASON.DUPLICATE_CLIENT_ORDER_ID
    assert (first.status, first.order_id, first.qty, first.leaves) == (OrdStatus.NEW, 1, 5, 5)
    venue.sell("bob", 5, 10)
    again = only(venue.buy("alice", 1, 10, client_order_id="one"), OrderRejected)
    assert (again.status, again.cum, again.leaves) == (OrdStatus.FILLED, 5, 0)
    assert again.notional == 50
    # The namespace is the account's: another account of the firm may use it.
    assert kinds(venue.buy("alice2", 1, 10, client_order_id="one")) == ["OrderAccepted"]


def test_R3_an_id_of_a_replace_chain_is_known_too(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    venue.replace("alice", "one", client_order_id="two", qty=4)
    for text in ("one", "two"):
        rejected = only(venue.buy("alice", 1, 10, client_order_id=text), OrderRejected)
        assert rejected.reason is REASON.DUPLICATE_CLIENT_ORDER_ID
        assert (rejected.order_id, rejected.qty) == (1, 4)


def test_R3_poss_resend_reports_the_state_of_a_known_order(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    venue.sell("bob", 2, 10)
    events = venue.buy("alice", 5, 10, client_order_id="one", poss_resend=True)
    report = only(events, StatusReported)
    assert (report.status, report.leaves, report.cum) == (OrdStatus.PARTIALLY_FILLED, 3, 2)
    fresh = venue.buy("alice", 5, 10, client_order_id="two", poss_resend=True)
    assert kinds(fresh) == ["OrderAccepted"]


def test_R4_unknown_symbol_and_halted_instrument(venue: Venue) -> None:
    assert reason_of(venue, Side.BUY, 1, 10, symbol="XRP-USD") is REASON.UNKNOWN_SYMBOL
    venue.status(2)
    assert reason_of(venue, Side.BUY, 1, 10) is REASON.INSTRUMENT_HALTED
    venue.status(1)
    assert kinds(venue.buy("alice", 1, 10)) == ["OrderAccepted"]


@pytest.mark.parametrize(
    "fields",
    [
        {"ord_type": LIMIT, "price": 0},
        {"ord_type": STOP_LIMIT, "price": 0, "stop_price": 10},
        {"ord_type": MARKET, "price": 10},
        {"ord_type": STOP, "price": 10, "stop_price": 10},
        {"ord_type": STOP},
        {"ord_type": STOP_LIMIT, "price": 10},
        {"ord_type": MARKET, "stop_price": 10},
        {"ord_type": LIMIT, "price": 10, "stop_price": 10},
        {"ord_type": MARKET, "post_only": True},
        {"ord_type": LIMIT, "price": 10, "post_only": True, "tif": IOC},
        {"ord_type": LIMIT, "price": 10, "post_only": True, "tif": FOK},
        {"ord_type": STOP_LIMIT, "price": 10, "stop_price": 9, "post_only": True},
        {"ord_type": LIMIT, "price": 10, "display_qty": 1, "tif": IOC},
        {"ord_type": MARKET, "display_qty": 1},
        {"ord_type": LIMIT, "price": 10, "min_qty": 1},
        {"ord_type": LIMIT, "price": 10, "min_qty": 1, "tif": FOK},
        {"ord_type": STOP, "stop_price": 10, "tif": IOC},
        {"ord_type": STOP_LIMIT, "price": 10, "stop_price": 10, "tif": FOK},
        {"ord_type": LIMIT, "price": 10, "cash_qty": 50, "qty": 0},
        {"ord_type": MARKET, "cash_qty": 50},
        {"ord_type": MARKET, "cash_qty": 50, "qty": 0, "min_qty": 1, "tif": IOC},
        {"ord_type": MARKET, "cash_qty": 50, "qty": 0, "display_qty": 1},
    ],
)
def test_R5_fields_that_do_not_fit_together(venue: Venue, fields: dict[str, Any]) -> None:
    venue.sell("bob", 50, 12)
    fields = {"qty": 5, "price": 0} | fields
    reason = reason_of(venue, Side.BUY, fields.pop("qty"), fields.pop("price"), **fields)
    assert reason is REASON.UNSUPPORTED_COMBINATION


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"qty": 0}, REASON.INVALID_QUANTITY),
        ({"qty": -1}, REASON.INVALID_QUANTITY),
        ({"qty": 1_000_001}, REASON.QUANTITY_TOO_LARGE),
        ({"qty": 10**18}, REASON.QUANTITY_TOO_LARGE),
        ({"display_qty": 6}, REASON.INVALID_QUANTITY),
        ({"min_qty": 6, "tif": IOC}, REASON.INVALID_QUANTITY),
        ({"price": -1}, REASON.INVALID_PRICE),
        ({"price": 1_000_001}, REASON.PRICE_TOO_LARGE),
        ({"stop_price": -1, "ord_type": STOP_LIMIT}, REASON.INVALID_PRICE),
        ({"stop_price": 1_000_001, "ord_type": STOP_LIMIT}, REASON.PRICE_TOO_LARGE),
    ],
)
def test_R6_bounds(venue: Venue, fields: dict[str, Any], reason: RejectReason) -> None:
    fields = {"qty": 5, "price": 10, "ord_type": LIMIT} | fields
    given = reason_of(venue, Side.BUY, fields.pop("qty"), fields.pop("price"), **fields)
    assert given is reason


def test_R6_below_the_smallest_quantity(venue: Venue) -> None:
    venue.do(venue.definition(DefineInstrument)._replace(min_qty=3))
    assert reason_of(venue, Side.BUY, 2, 10) is REASON.QUANTITY_TOO_SMALL
    assert kinds(venue.buy("alice", 3, 10)) == ["OrderAccepted"]


def test_R6_money_of_an_order_by_money(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=10**13)
    venue.sell("bob", 50, 12)
    most = 1_000_000 * 1_000_000
    too_much = reason_of(venue, Side.BUY, 0, cash_qty=most + 1)
    assert too_much is REASON.QUANTITY_TOO_LARGE
    assert reason_of(venue, Side.BUY, 0, cash_qty=-1) is REASON.INVALID_QUANTITY
    assert only(venue.buy("alice", 0, cash_qty=most), OrderAccepted).leaves == 50


def test_R7_expiry(venue: Venue) -> None:
    for tif, at in ((GTD, 0), (GTD, START_US), (GTC, START_US + 1), (DAY, START_US + 1)):
        reason = reason_of(venue, Side.BUY, 1, 10, tif=tif, expire_at=at)
        assert reason is REASON.INVALID_EXPIRY, tif
    accepted = only(venue.buy("alice", 1, 10, tif=GTD, expire_at=START_US + 1), OrderAccepted)
    assert accepted.order.expire_at == START_US + 1


def test_R7_a_day_order_ends_at_the_next_roll(make_venue: MakeVenue) -> None:
    venue = make_venue(day_roll_us=3_600_000_000)
    accepted = only(venue.buy("alice", 1, 10, tif=DAY), OrderAccepted)
    roll = accepted.order.expire_at
    assert START_US < roll <= START_US + DAY_US and roll % DAY_US == 3_600_000_000
    venue.now = roll  # the roll itself belongs to the next day
    assert only(venue.buy("alice", 1, 10, tif=DAY), OrderAccepted).order.expire_at == roll + DAY_US


def test_R8_too_many_open_orders(make_venue: MakeVenue) -> None:
    venue = make_venue(open_orders_max=2)
    venue.buy("alice", 1, 10, client_order_id="one")
    venue.sell("alice", 1, 20, stop_price=5)
    assert reason_of(venue, Side.BUY, 1, 10, tif=IOC) is REASON.TOO_MANY_OPEN_ORDERS
    assert kinds(venue.buy("alice2", 1, 10)) == ["OrderAccepted"]
    venue.cancel("alice", "one")
    assert kinds(venue.buy("alice", 1, 10)) == ["OrderAccepted"]


def test_R9_post_only_is_refused_when_it_would_trade(venue: Venue) -> None:
    venue.sell("bob", 5, 20)
    venue.buy("bob", 5, 10)
    for side, price in ((Side.BUY, 20), (Side.BUY, 21), (Side.SELL, 10), (Side.SELL, 9)):
        reason = reason_of(venue, side, 1, price, post_only=True)
        assert reason is REASON.POST_ONLY_WOULD_TRADE
    assert kinds(venue.buy("alice", 1, 19, post_only=True)) == ["OrderAccepted"]
    assert kinds(venue.sell("alice", 1, 20, post_only=True)) == ["OrderAccepted"]


def test_R10_an_order_by_money_needs_one_lot(venue: Venue) -> None:
    assert reason_of(venue, Side.BUY, 0, cash_qty=100) is REASON.NO_LIQUIDITY
    venue.sell("bob", 5, 101)
    assert reason_of(venue, Side.BUY, 0, cash_qty=100) is REASON.NO_LIQUIDITY
    assert only(venue.buy("alice", 0, cash_qty=101), OrderAccepted).leaves == 1


def test_R11_the_hold_must_be_covered(make_venue: MakeVenue) -> None:
    venue = make_venue(funds=1_000, taker=1_000, maker=2_000)
    # 10 × 100 costs 1,000 and a fee of ⌈1,000 × 0.2 %⌉ = 2 on top.
    assert reason_of(venue, Side.BUY, 10, 100) is REASON.INSUFFICIENT_FUNDS
    assert reason_of(venue, Side.SELL, 1_001, 100) is REASON.INSUFFICIENT_FUNDS
    assert only(venue.buy("alice", 9, 100), OrderAccepted).hold_change == 900 + 2
    assert only(venue.sell("alice", 1_000, 200), OrderAccepted).hold_change == 1_000


def test_R11_a_market_buy_that_cannot_be_paid_is_refused(make_venue: MakeVenue) -> None:
    """Also FOK: a fault found elsewhere was a FOK market buy without a look at the money."""
    venue = make_venue(funds=1_000, taker=1_000)
    venue.sell("bob", 4, 200)
    venue.sell("bob", 4, 300)
    for tif in (IOC, FOK, GTC):
        assert reason_of(venue, Side.BUY, 5, tif=tif) is REASON.INSUFFICIENT_FUNDS
    events = venue.buy("alice", 4, tif=FOK)
    assert only(events, OrderAccepted).hold_change == 801
    assert venue.available("alice", "USD") == 1_000 - 801


def test_R_checks_are_made_in_order(venue: Venue) -> None:
    """Each refused order has every fault that comes later in the list as well."""
    venue.buy("alice", 1, 10, client_order_id="one")
    bad: dict[str, Any] = {
        "account": "nobody", "client_order_id": "a b", "strategy": "a b", "symbol": "XRP-USD",
        "ord_type": LIMIT, "stop_price": 5, "expire_at": 5,
    }  # fmt: skip
    expected = {
        "account": REASON.UNKNOWN_ACCOUNT, "client_order_id": REASON.INVALID_CLIENT_ORDER_ID,
        "strategy": REASON.INVALID_FIELD, "symbol": REASON.UNKNOWN_SYMBOL,
        "stop_price": REASON.UNSUPPORTED_COMBINATION,
    }  # fmt: skip
    for field, reason in expected.items():
        fields = {"account": "alice"} | bad
        events = venue.new(fields.pop("account"), Side.BUY, -1, 10**7, **fields)
        assert only(events, OrderRejected).reason is reason
        del bad[field]
    assert reason_of(venue, Side.BUY, -1, 10**7, **bad) is REASON.INVALID_QUANTITY
    assert reason_of(venue, Side.BUY, 1, 10**7, **bad) is REASON.PRICE_TOO_LARGE
    assert reason_of(venue, Side.BUY, 1, 10, **bad) is REASON.INVALID_EXPIRY


def test_an_order_carries_its_own_terms(make_venue: MakeVenue) -> None:
    venue = make_venue(stp=SelfTrade.CANCEL_OLDEST)
    events = venue.buy(
        "alice", 9, 10, client_order_id="one", strategy="mm", manual=True, display_qty=4
    )
    accepted = only(events, OrderAccepted)
    terms = accepted.order
    assert (terms.order_id, terms.client_order_id, terms.first_client_order_id) == (1, "one", "one")
    assert (terms.session, terms.created_at) == ("api:alice", START_US)
    assert (terms.strategy, terms.manual, terms.stp) == ("mm", True, SelfTrade.CANCEL_OLDEST)
    assert (accepted.leaves, accepted.display) == (9, 4)
    own = only(venue.buy("alice", 9, 10, stp=SelfTrade.NONE), OrderAccepted)
    assert own.order.stp is SelfTrade.NONE
