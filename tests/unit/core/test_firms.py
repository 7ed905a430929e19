"""Rules A-4 and W-13: what bounds money belongs to the firm. On the real exchange, and for
suspensions on the oracle too. ``alice`` is the main account of the firm alice, ``alice2`` a
sub-account of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import (
    AddAddress,
    ApproveWithdrawal,
    CancelWithdrawal,
    DefineAccount,
    DefineNetwork,
    RequestWithdrawal,
    SetAccountStatus,
    Transfer,
)
from engine.core.events import (
    AccountStatusChanged,
    AddressChanged,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    Refused,
    Transferred,
    WithdrawalUpdated,
)
from engine.core.exchange import Exchange
from engine.core.firms import limits
from engine.core.snapshot import export_state
from engine.core.types import CancelReason, Origin, RejectReason, WithdrawalLimit, WithdrawalState
from tests.support.venue import DAY_US, ENGINE, Venue, all_of, kinds, only
from tests.unit.core.conftest import MakeVenue

OPERATOR = Origin("operator:tandem", user="operator")
REASON = RejectReason
S = WithdrawalState
COOL_US = 3_600_000_000


@pytest.fixture
def bank(make_core_venue: MakeVenue) -> Venue:
    """A BTC network without fee; each account has 10,000."""
    venue = make_core_venue(funds=10_000)
    venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 0, 1, 1, 3))
    return venue


def define(bank: Venue, account: str, **settings: Any) -> None:
    bank.do(bank.definition(DefineAccount, account=account)._replace(**settings))


def withdraw(bank: Venue, account: str, amount: int, address: str = "address") -> Any:
    """The last event of a request."""
    command = RequestWithdrawal(bank.origin(account, user="ann"), account, bank.next_id(), "BTC",
                                "bitcoin", address, amount)  # fmt: skip
    return bank.do(command)[-1]


def state(event: Any) -> WithdrawalState:
    assert isinstance(event, WithdrawalUpdated), event
    return event.withdrawal.state


def transfer(bank: Venue, frm: str, to: str, amount: int) -> None:
    command = Transfer(bank.origin(frm), frm, to, "BTC", amount, bank.next_id())
    assert len(all_of(bank.do(command), Transferred)) == 2


def shown(bank: Venue, account: str) -> WithdrawalLimit:
    """What queries tell of BTC."""
    exchange: Any = bank.exchange
    rows = limits(exchange, exchange.accounts[account], bank.now // DAY_US)
    return next(row for row in rows if row.asset == "BTC")


def test_W13_a_transfer_to_a_sub_account_evades_neither_approval_nor_daily_limit(
    bank: Venue,
) -> None:
    """The firm has an approval amount of 100 and 500 a day; its sub-account has no bound."""
    define(bank, "alice", approval_above=(("BTC", 100),), daily_limits=(("BTC", 500),))
    transfer(bank, "alice", "alice2", 9_000)
    assert state(withdraw(bank, "alice2", 101)) is S.PENDING_APPROVAL
    refused = withdraw(bank, "alice2", 8_990)
    assert (refused.reason, refused.detail) == (REASON.WITHDRAWAL_LIMIT, 399)
    assert "the firm's withdrawal limit" in refused.text
    assert state(withdraw(bank, "alice2", 99)) is S.QUEUED
    assert withdraw(bank, "alice", 301).detail == 300, "counted over the whole firm"
    assert state(withdraw(bank, "alice", 300)) is S.PENDING_APPROVAL
    assert withdraw(bank, "alice2", 1).detail == 0
    assert shown(bank, "alice2") == shown(bank, "alice") == ("BTC", 500, 500, 0, True, 100)
    assert state(withdraw(bank, "bob", 5_000)) is S.QUEUED, "another firm is not concerned"
    bank.now += DAY_US
    assert state(withdraw(bank, "alice2", 100)) is S.QUEUED


def test_W13_what_ends_without_leaving_does_not_count_towards_the_firm_either(
    bank: Venue,
) -> None:
    define(bank, "alice", daily_limits=(("BTC", 500),))
    withdraw(bank, "alice2", 400)
    assert shown(bank, "alice").daily_remaining == 100
    bank.do(CancelWithdrawal(bank.origin("alice2"), "alice2", 1))
    assert state(withdraw(bank, "alice", 500)) is S.QUEUED


def test_W13_tighter_settings_of_a_sub_account_hold_for_it(bank: Venue) -> None:
    define(bank, "alice", approval_above=(("BTC", 100),), daily_limits=(("BTC", 500),))
    define(bank, "alice2", approval_above=(("BTC", 10),), daily_limits=(("BTC", 50),))
    assert shown(bank, "alice2") == ("BTC", 50, 0, 50, False, 10)
    assert state(withdraw(bank, "alice2", 11)) is S.PENDING_APPROVAL
    assert "the account's withdrawal limit" in withdraw(bank, "alice2", 40).text
    assert state(withdraw(bank, "alice", 100)) is S.QUEUED
    assert shown(bank, "alice") == ("BTC", 500, 111, 389, True, 100)


def test_W13_looser_settings_of_a_sub_account_mean_nothing(bank: Venue) -> None:
    define(bank, "alice", approval_above=(("BTC", 100),), daily_limits=(("BTC", 500),))
    define(bank, "alice2", approval_above=(("BTC", 900),), daily_limits=(("BTC", 5_000),))
    assert shown(bank, "alice2") == ("BTC", 500, 0, 500, True, 100)


@pytest.mark.parametrize("who", ["alice", "alice2"])
def test_W13_the_firm_says_where_money_may_go(bank: Venue, who: str) -> None:
    define(bank, "alice", require_known_address=True, address_cooloff_us=COOL_US)

    def add(account: str, address: str) -> AddressChanged:
        command = AddAddress(bank.origin(account), account, "BTC", "bitcoin", address)
        return only(bank.do(command), AddressChanged)

    entry = add("alice2", "of the sub-account").address
    assert entry.available_at - entry.created_at == COOL_US, "the firm's cool-off"
    add("alice", "of the firm")
    cooling = withdraw(bank, who, 10, "of the firm")
    assert (cooling.reason, cooling.detail) == (REASON.ADDRESS_COOLING, bank.now + COOL_US)
    bank.now += COOL_US
    assert withdraw(bank, who, 10, "elsewhere").reason is REASON.ADDRESS_NOT_ALLOWED
    refused = withdraw(bank, who, 10, "of the sub-account")
    assert refused.reason is REASON.ADDRESS_NOT_ALLOWED and "account alice" in refused.text
    assert state(withdraw(bank, who, 10, "of the firm")) is S.QUEUED


def test_W13_a_sub_account_with_a_book_of_its_own_needs_both(bank: Venue) -> None:
    define(bank, "alice", require_known_address=True)
    define(bank, "alice2", require_known_address=True, address_cooloff_us=COOL_US)
    bank.do(AddAddress(bank.origin("alice"), "alice", "BTC", "bitcoin", "address"))
    assert withdraw(bank, "alice2", 10).reason is REASON.ADDRESS_NOT_ALLOWED
    bank.do(AddAddress(bank.origin("alice2"), "alice2", "BTC", "bitcoin", "address"))
    assert withdraw(bank, "alice2", 10).reason is REASON.ADDRESS_COOLING
    assert state(withdraw(bank, "alice", 10)) is S.QUEUED
    bank.now += COOL_US
    assert state(withdraw(bank, "alice2", 10)) is S.QUEUED


def test_W13_a_firm_without_a_main_account_has_no_rules_of_its_own(
    make_core_venue: MakeVenue,
) -> None:
    bank = make_core_venue(funds=10_000, accounts={"one": "F", "two": "F"})
    bank.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 0, 1, 1, 3))
    define(bank, "one", daily_limits=(("BTC", 5),))
    assert withdraw(bank, "one", 6).reason is REASON.WITHDRAWAL_LIMIT
    assert state(withdraw(bank, "two", 6)) is S.QUEUED


def suspend(venue: Venue, account: str, keep_open: bool = False) -> list[Any]:
    return venue.do(SetAccountStatus(OPERATOR, account, True, "why", keep_open))


def resume(venue: Venue, account: str) -> list[Any]:
    return venue.do(SetAccountStatus(OPERATOR, account, False, "mended"))


def test_A4_a_firm_is_suspended_with_its_main_account(venue: Venue) -> None:
    venue.buy("alice", 1, 10)
    venue.buy("alice2", 1, 10)
    venue.buy("bob", 1, 9)
    events = suspend(venue, "alice")
    changed = [(e.account, e.suspended, e.note) for e in all_of(events, AccountStatusChanged)]
    assert changed == [("alice", True, "why"), ("alice2", True, "why")]
    ended = [(e.account, e.reason) for e in all_of(events, OrderCanceled)]
    assert ended == [("alice", CancelReason.OPERATOR), ("alice2", CancelReason.OPERATOR)]
    for account in ("alice", "alice2"):
        assert only(venue.buy(account, 1, 10), OrderRejected).reason is REASON.ACCOUNT_SUSPENDED
    assert only(venue.buy("bob", 1, 10), OrderAccepted)
    assert [e.account for e in all_of(resume(venue, "alice"), AccountStatusChanged)] == [
        "alice", "alice2",
    ]  # fmt: skip
    assert only(venue.buy("alice2", 1, 9), OrderAccepted)


def test_A4_a_sub_account_is_suspended_alone_and_stays_so(venue: Venue) -> None:
    assert [e.account for e in all_of(suspend(venue, "alice2"), AccountStatusChanged)] == ["alice2"]
    assert only(venue.buy("alice", 1, 10), OrderAccepted)
    assert [e.account for e in all_of(suspend(venue, "alice"), AccountStatusChanged)] == ["alice"]
    assert resume(venue, "alice2") == [], "its firm is suspended"
    suspend(venue, "alice2", keep_open=True)
    assert [e.account for e in all_of(resume(venue, "alice"), AccountStatusChanged)] == ["alice"]
    rejected = only(venue.buy("alice2", 1, 10), OrderRejected)
    assert rejected.reason is REASON.ACCOUNT_SUSPENDED
    assert only(resume(venue, "alice2"), AccountStatusChanged).suspended is False


def test_A4_withdrawals_of_the_whole_firm_end_with_it(bank: Venue) -> None:
    define(bank, "alice", approval_above=(("BTC", 100),))
    for account in ("alice", "alice2", "bob"):
        withdraw(bank, account, 200)
    ended = all_of(suspend(bank, "alice"), WithdrawalUpdated)
    assert [(e.account, e.withdrawal.state) for e in ended] == [
        ("alice", S.CANCELED), ("alice2", S.CANCELED),
    ]  # fmt: skip
    assert withdraw(bank, "alice2", 1).reason is REASON.ACCOUNT_SUSPENDED
    refused = bank.do(ApproveWithdrawal(bank.origin("alice2", user="ben"), "alice2", 2))
    assert only(refused, Refused).reason is REASON.WITHDRAWAL_STATE


def test_A4_a_suspended_firm_outlives_a_restart_and_new_accounts_join_it(
    core_venue: Venue,
) -> None:
    suspend(core_venue, "alice")
    before: Any = core_venue.exchange
    core_venue.exchange = after = Exchange.restore(export_state(before))
    assert after.state_hash() == before.state_hash()
    new = core_venue.definition(DefineAccount, account="alice2")._replace(account="alice3")
    core_venue.do(new)
    for account in ("alice2", "alice3"):
        assert kinds(core_venue.buy(account, 1, 10)) == ["OrderRejected"]
    resume(core_venue, "alice")
    assert kinds(core_venue.buy("alice2", 1, 10)) == ["OrderAccepted"]
