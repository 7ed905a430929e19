"""Rules A: accounts that the venue suspends."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import (
    AddAddress,
    AdvanceWithdrawal,
    ApproveWithdrawal,
    CancelWithdrawal,
    DefineAccount,
    DefineNetwork,
    Deposit,
    QuoteWithdrawal,
    RejectWithdrawal,
    RequestWithdrawal,
    SetAccountStatus,
    SetDeadMansSwitch,
    Tick,
    Transfer,
)
from engine.core.events import (
    AccountStatusChanged,
    AddressChanged,
    BatchDone,
    CancelRejected,
    DeadMansSwitchSet,
    OrderCanceled,
    OrderRejected,
    Refused,
    WithdrawalQuoted,
    WithdrawalUpdated,
)
from engine.core.exchange import Exchange
from engine.core.snapshot import export_state
from engine.core.types import BatchMode, CancelReason, Origin, RejectReason, Side, WithdrawalState
from tests.support.venue import ENGINE, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

OPERATOR = Origin("operator:tandem", user="operator")
ALONE = {"alice": "A", "alice2": "A", "bob": "B", "carol": "C"}
"""Firms without a main account: each account stands for itself (rules A-4: test_firms.py)."""
S = WithdrawalState
SUSPENDED = RejectReason.ACCOUNT_SUSPENDED


@pytest.fixture
def venue(make_venue: MakeVenue) -> Venue:
    return make_venue(accounts=ALONE)


@pytest.fixture
def core_venue(make_core_venue: MakeVenue) -> Venue:
    return make_core_venue(accounts=ALONE)


def suspend(venue: Venue, account: str = "alice", keep_open: bool = False) -> list[Any]:
    return venue.do(SetAccountStatus(OPERATOR, account, True, "a runaway", keep_open))


def resume(venue: Venue, account: str = "alice") -> list[Any]:
    return venue.do(SetAccountStatus(OPERATOR, account, False, "mended"))


def test_A1_an_account_is_suspended_and_acts_again(venue: Venue) -> None:
    changed = only(suspend(venue), AccountStatusChanged)
    assert (changed.account, changed.suspended, changed.note) == ("alice", True, "a runaway")
    assert suspend(venue) == [], "a repeat changes nothing"
    assert only(venue.buy("alice", 1, 10), OrderRejected).reason is SUSPENDED
    assert kinds(venue.buy("alice2", 1, 10)) == ["OrderAccepted"], "of the same firm, not meant"
    changed = only(resume(venue), AccountStatusChanged)
    assert (changed.suspended, changed.note) == (False, "mended")
    assert resume(venue) == []
    assert kinds(venue.buy("alice", 1, 10)) == ["OrderAccepted"]


def test_A1_an_account_that_is_not_there(core_venue: Venue) -> None:
    refused = only(suspend(core_venue, "nobody"), Refused)
    assert refused.reason is RejectReason.UNKNOWN_ACCOUNT
    assert "nobody" in refused.text


def test_A1_a_suspension_outlives_a_restart(core_venue: Venue) -> None:
    core_venue.buy("alice", 5, 10)
    suspend(core_venue, keep_open=True)
    before = core_venue.exchange
    assert isinstance(before, Exchange)
    core_venue.exchange = after = Exchange.restore(export_state(before))
    assert after.state_hash() == before.state_hash()
    assert only(core_venue.buy("alice", 1, 10), OrderRejected).reason is SUSPENDED
    resume(core_venue)
    assert kinds(core_venue.buy("alice", 1, 10)) == ["OrderAccepted"]


def test_A2_replaces_are_refused_and_cancels_are_done(venue: Venue) -> None:
    for name in ("one", "two", "three"):
        venue.buy("alice", 5, 10, client_order_id=name)
    suspend(venue, keep_open=True)
    for fields in ({"qty": 4}, {"price": 9}, {"qty": 4, "display_qty": 1}):
        refused = only(venue.replace("alice", "one", **fields), CancelRejected)
        assert refused.reason is SUSPENDED
    assert only(venue.cancel("alice", "one"), OrderCanceled).reason is CancelReason.REQUESTED
    assert len(all_of(venue.mass_cancel("alice"), OrderCanceled)) == 2
    assert venue.held("alice", "USD") == 0


def test_A2_after_identity_and_before_the_halt(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    suspend(venue, keep_open=True)
    venue.status(2)
    again = only(venue.buy("alice", 5, 10, client_order_id="one"), OrderRejected)
    assert again.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
    unknown = only(venue.buy("alice", 5, 10, symbol="XRP-USD"), OrderRejected)
    assert unknown.reason is RejectReason.UNKNOWN_SYMBOL
    assert only(venue.buy("alice", 5, 10), OrderRejected).reason is SUSPENDED
    assert only(venue.replace("alice", "one", qty=4), CancelRejected).reason is SUSPENDED
    no_order = only(venue.replace("alice", "none", qty=4), CancelRejected)
    assert no_order.reason is RejectReason.UNKNOWN_ORDER


@pytest.mark.parametrize("mode", list(BatchMode))
def test_A2_in_a_batch(venue: Venue, mode: BatchMode) -> None:
    venue.buy("alice", 5, 10, client_order_id="one")
    suspend(venue, keep_open=True)
    entries = (venue.cancel_command("alice", "one"), venue.new_command("alice", Side.BUY, 1, 10))
    events = venue.batch("alice", *entries, mode=mode)
    assert only(events, OrderRejected).reason is SUSPENDED
    done = only(events, BatchDone)
    alone = mode is BatchMode.INDEPENDENT
    assert [entry[2] for entry in done.results] == [alone, False]
    assert bool(all_of(events, OrderCanceled)) is alone


def test_A3_a_suspension_cancels_what_is_open_in_order_of_id(venue: Venue) -> None:
    venue.buy("alice", 5, 10, client_order_id="resting")
    venue.buy("bob", 5, 9)
    venue.buy("alice", 5, 0, stop_price=20, client_order_id="stop")
    venue.sell("alice", 5, 30, client_order_id="other-side")
    events = suspend(venue)
    assert kinds(events) == ["AccountStatusChanged", *["OrderCanceled"] * 3]
    canceled = all_of(events, OrderCanceled)
    assert [one.order.client_order_id for one in canceled] == ["resting", "stop", "other-side"]
    assert {(one.reason, one.requester) for one in canceled} == {
        (CancelReason.OPERATOR, "operator:tandem")
    }
    assert venue.held("alice", "USD") == venue.held("alice", "BTC") == 0
    assert venue.held("bob", "USD") == 45


def test_A3_what_is_kept_goes_on_until_a_suspension_that_keeps_nothing(venue: Venue) -> None:
    venue.buy("alice", 5, 10)
    venue.sell("alice", 1, 0, stop_price=10)
    assert kinds(suspend(venue, keep_open=True)) == ["AccountStatusChanged"]
    assert kinds(venue.sell("bob", 1, 10)) == [
        "OrderAccepted", "OrderFilled", "OrderFilled", "OrderTriggered", "OrderFilled",
        "OrderFilled",
    ]  # fmt: skip
    assert suspend(venue, keep_open=True) == []
    assert kinds(suspend(venue)) == ["OrderCanceled"]
    assert venue.held("alice", "USD") == 0


@pytest.fixture
def bank(core_venue: Venue) -> Venue:
    """Withdrawals of BTC; alice's above 500 need a second person. No. 1 waits for that."""
    core_venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 5, 100, 10, 3))
    define = core_venue.definition(DefineAccount, account="alice")
    core_venue.do(define._replace(approval_above=(("BTC", 500),)))
    withdraw(core_venue, 600)
    return core_venue


def withdraw(venue: Venue, amount: int, account: str = "alice") -> list[Any]:
    origin = venue.origin(account, user="ann")
    command = RequestWithdrawal(
        origin, account, venue.next_id(), "BTC", "bitcoin", "address", amount
    )
    return venue.do(command)


def approve(venue: Venue, number: int = 1) -> list[Any]:
    return venue.do(ApproveWithdrawal(venue.origin("alice", user="ben"), "alice", number))


def test_A2_money_stays_and_may_come(bank: Venue) -> None:
    suspend(bank, keep_open=True)
    origin = bank.origin("alice", user="ann")
    refused = [
        *withdraw(bank, 200),
        *approve(bank),
        *bank.do(Transfer(origin, "alice", "alice2", "BTC", 1, "t1")),
        *bank.do(AddAddress(origin, "alice", "BTC", "bitcoin", "new")),
    ]
    assert [(type(e), e.reason) for e in refused] == [(Refused, SUSPENDED)] * 4
    assert bank.held("alice", "BTC") == 605
    back = bank.origin("alice2")
    assert kinds(bank.do(Transfer(back, "alice2", "alice", "BTC", 1, "t2"))) == ["Transferred"] * 2
    assert kinds(bank.do(Deposit(ENGINE, "d", "alice", "BTC", 5))) == ["DepositUpdated"]
    # What is refused for its own sake is told so, and what was done before is found.
    assert only(approve(bank, 9), Refused).reason is RejectReason.UNKNOWN_WITHDRAWAL
    rejected = bank.do(RejectWithdrawal(bank.origin("alice", user="ben"), "alice", 1, ""))
    assert only(rejected, WithdrawalUpdated).withdrawal.state is S.REJECTED
    resume(bank)
    withdraw(bank, 200)
    added = only(bank.do(AddAddress(origin, "alice", "BTC", "bitcoin", "new")), AddressChanged)
    suspend(bank, keep_open=True)
    again = only(bank.do(AddAddress(origin, "alice", "BTC", "bitcoin", "new")), AddressChanged)
    assert again.address == added.address
    canceled = bank.do(CancelWithdrawal(origin, "alice", 2))
    assert only(canceled, WithdrawalUpdated).withdrawal.state is S.CANCELED


def test_A3_withdrawals_that_no_network_has_are_canceled(bank: Venue) -> None:
    withdraw(bank, 200)
    withdraw(bank, 300)
    withdraw(bank, 400, "bob")
    worker = Origin("worker:settlement")
    bank.do(AdvanceWithdrawal(worker, 2, S.BROADCASTING))
    events = suspend(bank)
    ended = [event.withdrawal for event in all_of(events, WithdrawalUpdated)]
    assert [(row.withdrawal_id, row.state) for row in ended] == [(1, S.CANCELED), (3, S.CANCELED)]
    assert {(row.history[-1].actor, row.history[-1].note) for row in ended} == {
        ("operator", "a runaway")
    }
    assert bank.held("alice", "BTC") == 205
    # What the network has goes on, what was canceled does not.
    bank.do(AdvanceWithdrawal(worker, 2, S.CONFIRMING, txid="tx"))
    assert bank.held("alice", "BTC") == 0
    late = bank.do(AdvanceWithdrawal(worker, 3, S.BROADCASTING))
    assert only(late, Refused).reason is RejectReason.WITHDRAWAL_STATE


def test_A2_no_fee_is_pinned_while_an_account_is_suspended(core_venue: Venue) -> None:
    venue = core_venue
    venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 10, 10, 1, 1))
    quote = QuoteWithdrawal(Origin("api:k", user="ann"), "alice", "BTC", "bitcoin", 100)
    suspend(venue)
    assert only(venue.do(quote), Refused).reason is SUSPENDED
    resume(venue)
    assert only(venue.do(quote), WithdrawalQuoted).quote.account == "alice"


def test_A2_a_switch_is_neither_renewed_nor_turned_off_and_fires(core_venue: Venue) -> None:
    venue = core_venue
    venue.buy("alice", 5, 10)

    def switch(timeout_us: int) -> list[Any]:
        return venue.do(SetDeadMansSwitch(Origin("api:k"), "alice", timeout_us))

    fires_at = only(switch(5_000_000), DeadMansSwitchSet).fires_at
    suspend(venue, keep_open=True)
    for timeout_us in (0, 300_000_000):
        assert only(switch(timeout_us), Refused).reason is SUSPENDED
    venue.now = fires_at
    canceled = only(venue.do(Tick(ENGINE)), OrderCanceled)
    assert canceled.reason is CancelReason.DEAD_MAN_SWITCH
