"""Rules P: price bands, on the exchange and on the oracle. The band is 10 percent."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineInstrument, SetReferencePrice
from engine.core.events import (
    CancelRejected,
    InstrumentDefined,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    ReferencePriceSet,
    Refused,
)
from engine.core.instruments import defined_instrument, make_instrument
from engine.core.types import CancelReason, RejectReason, Side, TimeInForce
from tests.support.venue import ENGINE, SYMBOL, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

OUTSIDE = RejectReason.PRICE_OUTSIDE_BAND


def band(venue: Venue, ppm: int = 100_000) -> Venue:
    venue.do(venue.definition(DefineInstrument)._replace(band_ppm=ppm))
    return venue


def reference(venue: Venue, price: int) -> list[Any]:
    return venue.do(SetReferencePrice(ENGINE, SYMBOL, price, "opening"))


@pytest.fixture
def market(venue: Venue) -> Venue:
    """A band around 105, which is 95 to 115."""
    band(venue)
    told = only(reference(venue, 105), ReferencePriceSet)
    assert (told.symbol, told.price, told.note) == (SYMBOL, 105, "opening")
    return venue


def test_P1_without_a_reference_or_a_trade_every_price_passes(venue: Venue) -> None:
    band(venue)
    venue.sell("alice", 1, 1_000)
    assert only(venue.buy("bob", 1, 1), OrderAccepted)
    assert len(all_of(venue.buy("bob", 1, 1_000), OrderFilled)) == 2
    assert only(venue.buy("bob", 1, 1_101), OrderRejected).reason is OUTSIDE


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_P3_a_price_outside_is_refused_on_both_sides(market: Venue, side: Side) -> None:
    for price in (95, 115):
        assert only(market.new("alice", side, 1, price), OrderAccepted)
        market.mass_cancel("alice")
    for price in (1, 94, 116, 1_000_000):
        refused = only(market.new("alice", side, 1, price), OrderRejected)
        assert refused.reason is OUTSIDE
        if not market.is_oracle:
            assert "outside the price band 95 to 115 of BTC-USD" in refused.text


def test_P2_the_band_follows_the_last_trade_and_an_operator(market: Venue) -> None:
    market.sell("alice", 1, 115)
    market.buy("bob", 1, 115)
    assert only(market.buy("bob", 1, 126), OrderAccepted)
    assert only(market.buy("bob", 1, 127), OrderRejected).reason is OUTSIDE
    reference(market, 200)
    assert only(market.sell("carol", 1, 126), OrderRejected).reason is OUTSIDE
    assert only(market.sell("carol", 1, 220), OrderAccepted)


def test_P2_a_reference_triggers_no_stop(market: Venue) -> None:
    market.buy("alice", 1, 0, stop_price=150)
    assert kinds(reference(market, 160)) == ["ReferencePriceSet"]


def test_P3_a_replace_is_judged_by_a_price_that_changes(market: Venue) -> None:
    market.sell("alice", 5, 115, client_order_id="one")
    assert only(market.replace("alice", "one", price=116), CancelRejected).reason is OUTSIDE
    reference(market, 300)
    kept = only(market.replace("alice", "one", client_order_id="two", qty=9), OrderReplaced)
    assert kept.order.price == 115, "it stays where it was, outside of the band by now"
    assert only(market.replace("alice", "two", price=120), CancelRejected).reason is OUTSIDE
    assert only(market.replace("alice", "two", price=300), OrderReplaced)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_P4_a_market_order_goes_to_the_end_of_the_band(market: Venue, side: Side) -> None:
    other = Side.SELL if side is Side.BUY else Side.BUY
    near, far = (115, 140) if side is Side.BUY else (95, 70)
    market.new("carol", other, 2, near)
    reference(market, far)
    market.new("carol", other, 9, far)
    reference(market, 105)
    events = market.new("alice", side, 5)
    assert sum(fill.last_qty for fill in all_of(events, OrderFilled)) == 4  # two sides of two lots
    ended = only(events, OrderCanceled)
    assert (ended.order.account, ended.cum, ended.reason) == ("alice", 2, CancelReason.PRICE_BAND)
    assert market.held("alice", "USD") == market.held("alice", "BTC") == 0
    empty = only(market.new("alice", other, 5), OrderCanceled)
    assert empty.reason is CancelReason.MARKET_REMAINDER, "there is nothing at all"


def test_P4_fok_and_money_count_what_is_inside(market: Venue) -> None:
    market.sell("carol", 2, 115)
    reference(market, 150)
    market.sell("carol", 9, 150)
    reference(market, 105)
    fok = market.buy("alice", 3, tif=TimeInForce.FOK)
    assert only(fok, OrderCanceled).reason is CancelReason.FOK_UNFILLABLE
    bought = market.buy("alice", 0, cash_qty=10_000)
    assert only(bought, OrderAccepted).order.qty == 2


def test_P4_money_that_finds_prices_beyond_the_band_only(market: Venue) -> None:
    reference(market, 150)
    market.sell("carol", 9, 150)
    reference(market, 105)
    refused = only(market.buy("alice", 0, cash_qty=10_000), OrderRejected)
    assert refused.reason is OUTSIDE


def test_P5_a_stop_is_judged_when_it_is_triggered(market: Venue) -> None:
    market.sell("alice", 1, 60, stop_price=96)
    market.sell("alice", 1, 0, stop_price=96)
    market.buy("carol", 1, 96)
    market.buy("carol", 5, 95)
    events = market.sell("bob", 1, 96)
    ended = [(e.order.order_id, e.reason) for e in all_of(events, OrderCanceled)]
    assert ended == [(1, CancelReason.PRICE_BAND)], "its limit of 60 is outside 87 to 105"
    assert [e.order.order_id for e in all_of(events, OrderFilled)][-2:] == [2, 4]


def test_P2_a_reference_has_bounds(core_venue: Venue) -> None:
    band(core_venue)
    for price in (0, -1, 1_000_001):
        refused = only(reference(core_venue, price), Refused)
        assert refused.reason is RejectReason.INVALID_PRICE
    unknown = core_venue.do(SetReferencePrice(ENGINE, "X-Y", 5))
    assert only(unknown, Refused).reason is RejectReason.UNKNOWN_SYMBOL


@pytest.mark.parametrize("ppm", [-1, 1_000_000])
def test_P1_a_band_is_a_share_of_the_price(make_core_venue: MakeVenue, ppm: int) -> None:
    venue = make_core_venue()
    define = venue.definition(DefineInstrument)._replace(band_ppm=ppm)
    assert only(venue.do(define), Refused).reason is RejectReason.INVALID_FIELD


def test_an_instrument_made_from_its_event_is_the_engines_own_band_included() -> None:
    """The gateway and the stream learn from the event what is defined while they run."""
    scales = {"BTC": 8, "USD": 8}
    made = make_instrument("BTC-USD", "BTC", 8, "USD", 8, "0.01", "0.0001", 1, 10**7, 10**8, 50_000)
    event = InstrumentDefined(
        "", 0, "BTC-USD", "BTC", "USD", "0.01", "0.0001", 1, 10**7, 10**8, 50_000
    )
    assert defined_instrument(event, scales) == made
    assert made.band_ppm == 50_000
