"""Rules I and S: what is done once, sessions and timers. On the real exchange alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import (
    CloseSession,
    DefineAccount,
    DefineVenue,
    OpenSession,
    SetDeadMansSwitch,
    StartEpoch,
    Tick,
)
from engine.core.events import (
    CancelRejected,
    ClientIdsRetired,
    DeadMansSwitchSet,
    Event,
    OrderCanceled,
    OrderRejected,
    Refused,
    SessionChanged,
)
from engine.core.exchange import TOKENS_FORGOTTEN
from engine.core.types import (
    CancelReason,
    CancelScope,
    OrdStatus,
    Origin,
    RejectReason,
    RetiredId,
    Side,
    TimeInForce,
)
from tests.support.venue import DAY_US, ENGINE, START_US, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

REASON = RejectReason
SECOND = 1_000_000


def fix(number: int = 0, epoch: int = 1, session: str = "fix:ALICE") -> Origin:
    return Origin(session, epoch, number)


def known(venue: Venue, origin: Origin) -> int | None:
    """What the exchange says of a repeat of a create with this origin."""
    command = venue.new_command("alice", Side.BUY, 1, 10, origin=origin)
    found: int | None = venue.exchange.find_duplicate(command)  # type: ignore[attr-defined]
    return found


def open_session(
    venue: Venue, scope: CancelScope = CancelScope.SESSION, grace: int = 0, number: int = 0
) -> list[Event]:
    return venue.do(OpenSession(fix(number), "alice", scope, grace))


def test_I1_a_fix_message_is_done_once(core_venue: Venue) -> None:
    core_venue.do(StartEpoch(fix(), "alice", (0, 0, 0), "first logon"))
    assert known(core_venue, fix(5)) is None
    core_venue.buy("alice", 1, 10, origin=fix(5))
    assert known(core_venue, fix(5)) is not None
    assert known(core_venue, fix(4)) is not None
    assert known(core_venue, fix(6)) is None
    assert known(core_venue, fix(5, session="fix:BOB")) is None


def test_I1_a_refused_message_is_done_too(core_venue: Venue) -> None:
    core_venue.do(StartEpoch(fix(), "alice", (0, 0, 0), "first logon"))
    assert kinds(core_venue.buy("alice", 0, 10, origin=fix(5))) == ["OrderRejected"]
    assert known(core_venue, fix(5)) is not None


def test_I1_another_epoch_is_refused(core_venue: Venue) -> None:
    core_venue.do(StartEpoch(fix(), "alice", (0, 0, 0), "first logon"))
    core_venue.do(StartEpoch(fix(epoch=2), "alice", (7, 0, 0), "reset"))
    rejected = only(core_venue.buy("alice", 1, 10, origin=fix(1, epoch=1)), OrderRejected)
    assert rejected.reason is REASON.STALE_EPOCH
    assert kinds(core_venue.buy("alice", 1, 10, origin=fix(1, epoch=2))) == ["OrderAccepted"]


def test_I1_epochs_follow_one_another(core_venue: Venue) -> None:
    started = only(core_venue.do(StartEpoch(fix(), "alice", (0, 0, 0), "a")), SessionChanged)
    assert (started.what, started.epoch, started.mark) == ("epoch", 1, 0)
    for wrong in (1, 3):
        refused = core_venue.do(StartEpoch(fix(epoch=wrong), "alice", (0, 0, 0), "b"))
        assert only(refused, Refused).reason is REASON.STALE_EPOCH
    core_venue.buy("alice", 1, 10, origin=fix(9))
    again = only(
        core_venue.do(StartEpoch(fix(epoch=2), "alice", (3, 1, 0), "b")), SessionChanged
    )
    assert (again.epoch, again.mark, again.cursor) == (2, 0, (3, 1, 0))


def test_I2_a_signed_request_is_done_once(core_venue: Venue) -> None:
    until = START_US + 10 * SECOND
    signed = Origin("api:alice", token="ab" * 32, valid_until=until)
    assert known(core_venue, signed) is None
    core_venue.buy("alice", 1, 10, origin=signed)
    seq = core_venue.seq
    assert known(core_venue, signed) == seq
    core_venue.now = until + 60 * SECOND
    core_venue.tick()
    assert known(core_venue, signed) == seq
    core_venue.tick(1)
    assert known(core_venue, signed) is None


def test_I2_tokens_are_forgotten_when_they_cannot_be_used_any_more(core_venue: Venue) -> None:
    until = START_US + SECOND
    for index in range(50):
        origin = Origin("api:alice", token=f"{index:064}", valid_until=until)
        core_venue.buy("alice", 1, 10, origin=origin)
    core_venue.now = until + 61 * SECOND
    late = Origin("api:alice", token="f" * 64, valid_until=core_venue.now)
    core_venue.buy("alice", 1, 10, origin=late)
    left = len(core_venue.exchange.tokens)  # type: ignore[attr-defined]
    assert left == 50 + 1 - TOKENS_FORGOTTEN, "one command forgets a few, not all there are"
    for index in range(50, 60):
        origin = Origin("api:alice", token=f"{index:064}", valid_until=core_venue.now)
        core_venue.buy("alice", 1, 10, origin=origin)
    assert len(core_venue.exchange.tokens) == 11  # type: ignore[attr-defined]


def test_I3_closed_ids_leave_memory_for_the_durable_index(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(closed_orders_kept=10, client_id_window_us=30 * DAY_US)
    for index in range(600):
        venue.buy("alice", 2, 10, client_order_id=f"c{index}")
        venue.cancel("alice", f"c{index}")
    retired = [row for e in all_of(venue.events, ClientIdsRetired) for row in e.ids]
    assert [row.client_order_id for row in retired] == [f"c{i}" for i in range(len(retired))]
    # The ten newest stay, in groups, so that not every close costs an event.
    assert len(all_of(venue.events, ClientIdsRetired)[0].ids) == 256
    assert 600 - 10 - 256 <= len(retired) <= 600 - 10
    assert retired[0] == RetiredId("alice", "c0", 1, OrdStatus.CANCELED, 2, 0, 0)
    known_order = only(venue.buy("alice", 1, 10, client_order_id="c599"), OrderRejected)
    assert known_order.reason is REASON.DUPLICATE_CLIENT_ORDER_ID


def test_I3_the_answer_of_the_durable_index_comes_with_the_command(core_venue: Venue) -> None:
    prior = RetiredId("alice", "old", 77, OrdStatus.FILLED, 5, 5, 50)
    events = core_venue.buy("alice", 1, 10, client_order_id="old", prior=prior)
    rejected = only(events, OrderRejected)
    assert rejected.reason is REASON.DUPLICATE_CLIENT_ORDER_ID
    assert (rejected.order_id, rejected.status, rejected.cum) == (77, OrdStatus.FILLED, 5)


def test_I3_ids_older_than_the_window_are_retired(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue(closed_orders_kept=100_000, client_id_window_us=DAY_US)
    for index in range(300):
        venue.buy("alice", 1, 10, client_order_id=f"c{index}", tif=TimeInForce.IOC)
    assert all_of(venue.events, ClientIdsRetired) == []
    venue.now += 2 * DAY_US
    for index in range(300, 600):
        venue.buy("alice", 1, 10, client_order_id=f"c{index}", tif=TimeInForce.IOC)
    retired = [row.client_order_id for e in all_of(venue.events, ClientIdsRetired) for row in e.ids]
    assert set(retired) == {f"c{index}" for index in range(300)}


def orders_by_session(venue: Venue) -> None:
    venue.buy("alice", 1, 10, client_order_id="fix", origin=fix())
    venue.buy("alice", 1, 10, client_order_id="api")
    venue.buy("alice2", 1, 10, client_order_id="other")
    venue.buy("bob", 1, 10, client_order_id="bob")


def gone(events: list[Event], reason: CancelReason) -> list[str]:
    canceled = all_of(events, OrderCanceled)
    assert {e.reason for e in canceled} <= {reason}
    return [e.order.client_order_id for e in canceled]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (CancelScope.NONE, []),
        (CancelScope.SESSION, ["fix", "sub"]),
        (CancelScope.FIRM, ["fix", "api", "other", "sub"]),
        (CancelScope.ACCOUNT, ["fix", "api"]),
    ],
)
def test_S1_S2_closing_cancels_what_is_in_scope(
    core_venue: Venue, scope: CancelScope, expected: list[str]
) -> None:
    open_session(core_venue, scope)
    orders_by_session(core_venue)
    core_venue.buy("alice2", 1, 10, client_order_id="sub", origin=fix())
    events = core_venue.do(CloseSession(fix()))
    assert gone(events, CancelReason.DISCONNECT) == expected


def test_S1_a_grace_period_runs_before_the_cancel(core_venue: Venue) -> None:
    open_session(core_venue, grace=5 * SECOND)
    orders_by_session(core_venue)
    assert gone(core_venue.do(CloseSession(fix())), CancelReason.DISCONNECT) == []
    assert core_venue.exchange.next_timer() == core_venue.now + 5 * SECOND  # type: ignore[attr-defined]
    assert gone(core_venue.tick(5 * SECOND - 1), CancelReason.DISCONNECT) == []
    assert gone(core_venue.tick(1), CancelReason.DISCONNECT) == ["fix"]
    assert gone(core_venue.tick(5 * SECOND), CancelReason.DISCONNECT) == []


def test_S1_opening_stops_a_grace_period(core_venue: Venue) -> None:
    open_session(core_venue, grace=5 * SECOND)
    orders_by_session(core_venue)
    core_venue.do(CloseSession(fix()))
    core_venue.tick(4 * SECOND)
    open_session(core_venue, grace=5 * SECOND)
    assert gone(core_venue.tick(9 * SECOND), CancelReason.DISCONNECT) == []


def test_S1_closing_an_unknown_or_closed_session_does_nothing(core_venue: Venue) -> None:
    orders_by_session(core_venue)
    assert gone(core_venue.do(CloseSession(fix())), CancelReason.DISCONNECT) == []
    open_session(core_venue)
    core_venue.do(CloseSession(fix()))
    core_venue.buy("alice", 1, 10, origin=fix())
    assert core_venue.do(CloseSession(fix())) == []


def test_S1_a_session_without_numbers_is_forgotten_when_it_has_ended(core_venue: Venue) -> None:
    exchange: Any = core_venue.exchange
    socket = Origin("ws:key#1")
    core_venue.do(OpenSession(socket, "alice", CancelScope.SESSION, 0))
    core_venue.buy("alice", 1, 10, client_order_id="ws", origin=socket)
    core_venue.do(StartEpoch(fix(), "alice", (0, 0, 0), "first logon"))
    open_session(core_venue, number=1)
    assert set(exchange.sessions) == {"ws:key#1", "fix:ALICE"}
    assert gone(core_venue.do(CloseSession(socket)), CancelReason.DISCONNECT) == ["ws"]
    core_venue.do(CloseSession(fix(2)))
    assert set(exchange.sessions) == {"fix:ALICE"}
    assert known(core_venue, fix(2)) is not None


def switch(venue: Venue, timeout: int, **fields: Any) -> list[Event]:
    return venue.do(SetDeadMansSwitch(venue.origin("alice"), "alice", timeout, **fields))


def test_S3_a_dead_mans_switch_fires_once(core_venue: Venue) -> None:
    orders_by_session(core_venue)
    armed = only(switch(core_venue, 5 * SECOND), DeadMansSwitchSet)
    assert armed.fires_at == core_venue.now + 5 * SECOND
    core_venue.tick(4 * SECOND)
    switch(core_venue, 5 * SECOND)  # repeated in time
    assert gone(core_venue.tick(4 * SECOND), CancelReason.DEAD_MAN_SWITCH) == []
    fired = core_venue.tick(SECOND)
    assert gone(fired, CancelReason.DEAD_MAN_SWITCH) == ["fix", "api"]
    core_venue.buy("alice", 1, 10)
    assert gone(core_venue.tick(50 * SECOND), CancelReason.DEAD_MAN_SWITCH) == []


def test_S3_a_switch_can_be_off_and_for_one_strategy(core_venue: Venue) -> None:
    core_venue.buy("alice", 1, 10, client_order_id="mm", strategy="mm")
    core_venue.buy("alice", 1, 10, client_order_id="none")
    switch(core_venue, 5 * SECOND)
    assert only(switch(core_venue, 0), DeadMansSwitchSet).fires_at == 0
    switch(core_venue, 5 * SECOND, strategy="mm")
    assert gone(core_venue.tick(9 * SECOND), CancelReason.DEAD_MAN_SWITCH) == ["mm"]


def test_S4_orders_end_at_their_time(core_venue: Venue) -> None:
    roll = START_US - START_US % DAY_US + DAY_US
    core_venue.buy("alice", 1, 10, client_order_id="day", tif=TimeInForce.DAY)
    gtd = TimeInForce.GTD
    core_venue.buy("alice", 1, 10, client_order_id="b", tif=gtd, expire_at=START_US + 2)
    core_venue.buy("alice", 1, 10, client_order_id="a", tif=gtd, expire_at=START_US + 1)
    core_venue.buy("alice", 1, 10, client_order_id="gtc")
    core_venue.sell("alice", 1, 10, stop_price=5, client_order_id="stop", tif=TimeInForce.DAY)
    assert core_venue.exchange.next_timer() == START_US + 1  # type: ignore[attr-defined]
    assert core_venue.tick() == []
    events = core_venue.tick(2)
    assert gone(events, CancelReason.EXPIRED) == ["a", "b"]
    assert {e.status for e in all_of(events, OrderCanceled)} == {OrdStatus.EXPIRED}
    assert core_venue.exchange.next_timer() == roll  # type: ignore[attr-defined]
    core_venue.now = roll
    assert gone(core_venue.tick(), CancelReason.EXPIRED) == ["day", "stop"]
    assert core_venue.exchange.next_timer() == 0  # type: ignore[attr-defined]


def test_S4_a_replaced_expiry_counts(core_venue: Venue) -> None:
    gtd = TimeInForce.GTD
    core_venue.buy("alice", 1, 10, client_order_id="a", tif=gtd, expire_at=START_US + 1)
    core_venue.replace("alice", "a", client_order_id="b", expire_at=START_US + 9)
    assert core_venue.tick(8) == []
    assert gone(core_venue.tick(1), CancelReason.EXPIRED) == ["b"]


def test_S4_timers_fire_in_order_of_their_time(core_venue: Venue) -> None:
    core_venue.buy("alice", 1, 10, client_order_id="gtd", tif=TimeInForce.GTD,
                   expire_at=START_US + 3)  # fmt: skip
    core_venue.buy("alice", 1, 10, client_order_id="other")
    switch(core_venue, 2)
    events = core_venue.tick(5)
    reasons = [e.reason for e in all_of(events, OrderCanceled)]
    assert reasons == [CancelReason.DEAD_MAN_SWITCH, CancelReason.DEAD_MAN_SWITCH]


def test_events_of_an_account_are_numbered_without_gaps(core_venue: Venue) -> None:
    orders_by_session(core_venue)
    core_venue.sell("carol", 9, 1)
    core_venue.mass_cancel("alice", firm_wide=True)
    for account in ("alice", "alice2", "bob", "carol"):
        numbers = [e.account_seq for e in core_venue.events if e.account == account]
        assert numbers == list(range(1, len(numbers) + 1))
    assert ENGINE.source == "engine"


def test_S4_a_tick_is_bounded_and_the_rest_follows(make_core_venue: MakeVenue) -> None:
    venue = make_core_venue()
    gtd = TimeInForce.GTD
    entries = [
        venue.new_command("alice", Side.BUY, 1, 10, tif=gtd, expire_at=START_US + 1)
        for _ in range(1_010)
    ]
    define = venue.definition(DefineAccount, account="alice")
    venue.do(define._replace(open_orders_max=2_000))
    for start in range(0, len(entries), 50):
        venue.batch("alice", *entries[start : start + 50])
    venue.do(venue.definition(DefineVenue)._replace(work_max=1_000))
    first = gone(venue.tick(5), CancelReason.EXPIRED)
    assert len(first) == 1_000
    assert venue.exchange.next_timer() == START_US + 1  # type: ignore[attr-defined]
    exchange: Any = venue.exchange
    restored = type(exchange).restore(exchange.export_state())
    again = restored.apply(venue.seq + 1, venue.now, Tick(ENGINE))
    second = gone(venue.tick(), CancelReason.EXPIRED)
    assert gone(again, CancelReason.EXPIRED) == second
    assert first + second == [entry.client_order_id for entry in entries]
    assert venue.exchange.next_timer() == 0  # type: ignore[attr-defined]


def test_C1_a_very_long_replace_chain_forgets_ids_from_its_middle(core_venue: Venue) -> None:
    core_venue.buy("alice", 2_000, 10, client_order_id="first")
    current = "first"
    for index in range(1_300):
        new_id = f"r{index}"
        core_venue.replace("alice", current, client_order_id=new_id, qty=1_999 - index)
        current = new_id
    retired = [row.client_order_id for e in all_of(core_venue.events, ClientIdsRetired)
               for row in e.ids]  # fmt: skip
    assert retired == [f"r{index}" for index in range(len(retired))] and 300 <= len(retired) <= 900
    # The first, the last and every id that was not retired still find the order.
    for client_id in ("first", current, f"r{len(retired)}"):
        found = core_venue.cancel("alice", client_id, side=Side.SELL)
        assert only(found, CancelRejected).reason is REASON.MISMATCH
    known = RetiredId("alice", "r0", 1, OrdStatus.NEW, 1_999, 0, 0)
    again = core_venue.buy("alice", 1, 10, client_order_id="r0", prior=known)
    assert only(again, OrderRejected).reason is REASON.DUPLICATE_CLIENT_ORDER_ID
