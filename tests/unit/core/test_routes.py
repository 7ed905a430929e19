"""Rule C-11: third parties of an order, from the message that entered it to every later event."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import NewOrder
from engine.core.events import (
    MassCanceled,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderReplaced,
    OrderRestated,
    OrderTriggered,
)
from engine.core.exchange import Exchange
from engine.core.types import OrdType, Origin, Route, SelfTrade, Side
from engine.journal.statecodec import decode_state, encode_state
from engine.wire import decode_transaction, encode_transaction
from tests.support.venue import Venue, all_of, only
from tests.unit.core.conftest import MakeVenue

NORTH = Route("NORTH", "trader 7", "CRYPTO", "SPOT")
SOUTH = Route("SOUTH")


def hub(route: Route | None = None) -> Origin:
    """A message of a session that sends for others."""
    return Origin("fix:HUB", route=route)


def enter(venue: Venue, route: Route | None = NORTH, **fields: Any) -> OrderAccepted:
    """Buy 10 at 10 for alice, by the hub."""
    made = venue.buy("alice", 10, 10, client_order_id="one", origin=hub(route), **fields)
    return only(made, OrderAccepted)


def test_C11_the_route_of_a_create_is_in_every_event_of_the_order(venue: Venue) -> None:
    assert enter(venue).order.route == NORTH
    fills = all_of(venue.sell("bob", 4, 10), OrderFilled)
    assert {fill.account: fill.order.route for fill in fills} == {"alice": NORTH, "bob": None}
    canceled = only(venue.cancel("alice", "one", origin=hub(SOUTH)), OrderCanceled)
    assert (canceled.order.route, canceled.route) == (NORTH, SOUTH)


def test_C11_without_one_there_is_none(venue: Venue) -> None:
    assert enter(venue, None).order.route is None
    assert only(venue.cancel("alice", "one"), OrderCanceled).route is None


@pytest.mark.parametrize("fields", [{"qty": 9}, {"price": 9}, {"qty": 9, "display_qty": 1}])
def test_C11_a_replace_by_its_session_gives_the_order_its_own(
    venue: Venue, fields: dict[str, int]
) -> None:
    """On the fast path for plain changes and on the general one."""
    enter(venue)
    replaced = only(venue.replace("alice", "one", origin=hub(SOUTH), **fields), OrderReplaced)
    assert replaced.order.route == SOUTH
    later = only(venue.replace("alice", "one", origin=hub(), qty=8), OrderReplaced)
    assert later.order.route is None, "the session speaks for itself now"


@pytest.mark.parametrize("source", ["fix:OTHER", "api:alice"])
def test_C11_a_replace_by_another_session_leaves_it(venue: Venue, source: str) -> None:
    enter(venue)
    replaced = venue.replace("alice", "one", origin=Origin(source, route=SOUTH), qty=9)
    assert only(replaced, OrderReplaced).order.route == NORTH


def test_C11_a_refused_replace_changes_nothing(venue: Venue) -> None:
    enter(venue)
    venue.replace("alice", "one", origin=hub(SOUTH), qty=10**9, price=9)
    fills = all_of(venue.sell("bob", 4, 10), OrderFilled)
    assert [fill.order.route for fill in fills if fill.account == "alice"] == [NORTH]
    assert only(venue.cancel("alice", "one"), OrderCanceled).order.route == NORTH


def test_C11_what_the_venue_changes_keeps_it(venue: Venue) -> None:
    enter(venue, stp=SelfTrade.DECREMENT)
    events = venue.sell("alice", 4, 10, client_order_id="two", stp=SelfTrade.DECREMENT)
    restated = only(events, OrderRestated)
    assert (restated.order.client_order_id, restated.order.route) == ("one", NORTH)


def test_C11_a_triggered_stop_keeps_it(venue: Venue) -> None:
    venue.buy(
        "alice", 1, 20, stop_price=15, ord_type=OrdType.STOP_LIMIT, client_order_id="stop",
        origin=hub(NORTH),
    )  # fmt: skip
    venue.sell("bob", 1, 15)
    events = venue.buy("carol", 1, 15)
    assert only(events, OrderTriggered).order.route == NORTH


def test_C11_a_mass_cancel_keeps_its_own_in_all_of_its_pieces(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(work_max=2)
    for number in range(5):
        venue.buy("alice", 1, 10, client_order_id=f"o{number}", origin=hub(NORTH))
    events = venue.mass_cancel("alice", origin=Origin("fix:DESK", route=SOUTH))
    venue.exchange = restored(venue.exchange)
    for _ in range(5):
        events += venue.tick()
    assert [(e.order.route, e.route) for e in all_of(events, OrderCanceled)] == [(NORTH, SOUTH)] * 5
    assert [e.route for e in all_of(events, MassCanceled)] == [SOUTH, SOUTH]


def restored(exchange: Any) -> Exchange:
    """The exchange as its snapshot gives it back."""
    state = encode_state(exchange.export_state())
    again = Exchange.restore(decode_state(state))
    assert encode_state(again.export_state()) == state
    assert again.state_hash() == exchange.state_hash()
    return again


def test_C11_a_snapshot_has_the_routes(core_venue: Venue) -> None:
    venue = core_venue
    enter(venue)
    venue.buy("bob", 1, 9)
    venue.exchange = restored(venue.exchange)
    fills = all_of(venue.sell("carol", 11, 9), OrderFilled)
    assert [(f.account, f.order.route) for f in fills if f.account != "carol"] == [
        ("alice", NORTH), ("bob", None),
    ]  # fmt: skip


def test_C11_records_have_the_routes(venue: Venue) -> None:
    command = venue.new_command("alice", Side.BUY, 10, 10, origin=hub(NORTH))
    assert isinstance(command, NewOrder)
    events = tuple(venue.do(command))
    assert only(events, OrderAccepted).order.route == NORTH
    raw = encode_transaction(7, 1, command, events)
    again = decode_transaction(raw)
    assert (again.command, again.events) == (command, events)
    assert encode_transaction(*again) == raw
