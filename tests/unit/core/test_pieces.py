"""Pieces of bounded work on what the naive exchange does not know: sessions, switches,
withdrawals, ids that retire, and stops by the thousand (rules C-10, A-3, S, I-3, T)."""

from __future__ import annotations

from typing import Any

from engine.core.commands import (
    AdvanceWithdrawal,
    CloseSession,
    DefineNetwork,
    OpenSession,
    RequestWithdrawal,
    SetAccountStatus,
    SetDeadMansSwitch,
    Tick,
)
from engine.core.events import (
    ClientIdsRetired,
    DeadMansSwitchSet,
    OrderCanceled,
    OrderFilled,
    Refused,
    WithdrawalUpdated,
)
from engine.core.exchange import RETIRED_IDS_MAX
from engine.core.types import CancelReason, CancelScope, Origin, RejectReason, WithdrawalState
from tests.support.venue import ENGINE, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

S = WithdrawalState


def reasons(events: list[Any]) -> list[CancelReason]:
    return [event.reason for event in all_of(events, OrderCanceled)]


def rest(venue: Venue, count: int, **fields: Any) -> None:
    for _ in range(count):
        venue.buy("alice", 1, 10, **fields)


def test_C10_a_session_ends_in_pieces_and_its_orders_trade_no_more(
    make_core_venue: MakeVenue,
) -> None:
    venue = make_core_venue(work_max=2)
    session = Origin("fix:ALICE", 0)
    venue.do(OpenSession(session, "alice", CancelScope.SESSION, 0))
    rest(venue, 5, origin=session)
    rest(venue, 1)
    assert reasons(venue.do(CloseSession(session))) == [CancelReason.DISCONNECT] * 2
    venue.sell("bob", 1, 10)
    events = venue.finish()
    assert len(reasons(venue.events)) == 5
    assert len(all_of(events, OrderFilled)) == 2, "the order of another session trades"


def test_C10_a_switch_is_off_when_the_last_order_is_gone(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(work_max=2)
    rest(venue, 5)
    venue.do(SetDeadMansSwitch(Origin("api:alice"), "alice", 1_000))
    first = venue.tick(1_000)
    assert kinds(first) == ["OrderCanceled"]  # The timer itself is a step.
    events = venue.finish()
    assert only(events, DeadMansSwitchSet).fires_at == 0
    assert kinds(events)[-1] == "DeadMansSwitchSet"
    assert len(reasons(venue.events)) == 5


def bank(venue: Venue, count: int) -> None:
    venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 0, 1, 1, 1))
    for number in range(count):
        venue.do(
            RequestWithdrawal(
                Origin("api:alice", user="ann"), "alice", f"w{number}", "BTC", "bitcoin",
                "somewhere", 100,
            )  # fmt: skip
        )


def suspend(venue: Venue) -> list[Any]:
    return venue.do(SetAccountStatus(Origin("operator:key"), "alice", True, "why"))


def test_C10_A3_a_suspension_in_pieces_holds_back_every_withdrawal_at_once(
    make_core_venue: MakeVenue,
) -> None:
    venue = make_core_venue(work_max=2)
    rest(venue, 3)
    bank(venue, 5)
    suspend(venue)
    worker = Origin("worker:settlement")
    events = venue.do(AdvanceWithdrawal(worker, 4, S.BROADCASTING))
    assert only(events, WithdrawalUpdated).withdrawal.state is S.CANCELED
    assert only(events, Refused).reason is RejectReason.WITHDRAWAL_STATE
    venue.finish()
    ended = [e.withdrawal for e in all_of(venue.events, WithdrawalUpdated)]
    assert sorted(w.withdrawal_id for w in ended if w.state is S.CANCELED) == [1, 2, 3, 4, 5]
    assert venue.held("alice", "BTC") == 0


def test_C10_a_withdrawal_asked_for_after_a_suspension_was_lifted_is_not_covered(
    make_core_venue: MakeVenue,
) -> None:
    venue = make_core_venue(work_max=1)
    bank(venue, 3)
    suspend(venue)
    venue.do(SetAccountStatus(Origin("operator:key"), "alice", False))
    bank(venue, 4)  # The first three are known already.
    venue.finish()
    states = [venue.exchange.withdrawals[n].row.state for n in range(1, 5)]  # type: ignore[attr-defined]
    assert states == [S.CANCELED] * 3 + [S.QUEUED]


def test_T1_one_trade_reaches_any_number_of_stops_without_touching_them(
    make_core_venue: MakeVenue,
) -> None:
    venue = make_core_venue(work_max=5, open_orders_max=10_000)
    exchange: Any = venue.exchange
    for number in range(300):
        venue.buy("alice", 1, 10, stop_price=10 + number % 3)
    venue.sell("carol", 1, 12)
    venue.buy("bob", 1, 12)  # Reaches them all; four act with it, for the trade is a step too.
    stops = exchange.books["BTC-USD"].stops
    assert len(stops.buys) == 296
    assert not stops.reached_buys, "which ones were reached is known without looking at each"
    venue.sell("carol", 1, 9)
    late = venue.buy("bob", 1, 12, stop_price=11)
    assert exchange.orders[late[0].order.order_id].armed, "it was not there when 12 was traded"
    restored = type(exchange).restore(exchange.export_state())
    for _ in range(3):
        venue.tick()
        again = restored.apply(venue.seq, venue.now, Tick(ENGINE))
        assert again == venue.events[-len(again) :]
    assert restored.state_hash() == exchange.state_hash()
    venue.finish()
    assert sum(kind == "OrderTriggered" for kind in kinds(venue.events)) == 300
    assert exchange.orders[late[0].order.order_id].armed


def test_I3_one_command_hands_over_a_bounded_number_of_ids(make_core_venue: MakeVenue) -> None:
    names = {f"m{number}": f"m{number}" for number in range(12)} | {"taker": "taker"}
    venue = make_core_venue(work_max=500, closed_orders_kept=1, accounts=names)
    for name in names:
        for _ in range(256):
            number = venue.buy(name, 1, 1)[0].order.order_id
            venue.cancel(name, order_id=number)
        if name != "taker":
            venue.buy(name, 1, 10)
    before = len(venue.events)
    venue.sell("taker", 12, 10)
    retired = [e.ids for e in all_of(venue.events[before:], ClientIdsRetired)]
    assert RETIRED_IDS_MAX <= sum(map(len, retired)) <= RETIRED_IDS_MAX + 256
    for name in names:
        number = venue.buy(name, 1, 1)[0].order.order_id
        venue.cancel(name, order_id=number)
    assert all(
        len(account.closed) < 300
        for account in venue.exchange.accounts.values()  # type: ignore[attr-defined]
    )
