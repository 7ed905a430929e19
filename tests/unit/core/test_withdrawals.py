"""Rules W: withdrawals, deposits, transfers. On the real exchange alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import (
    AddAddress,
    AdvanceWithdrawal,
    ApproveWithdrawal,
    AssignDepositAddress,
    CancelWithdrawal,
    DefineAccount,
    DefineNetwork,
    Deposit,
    QuoteWithdrawal,
    RejectWithdrawal,
    RemoveAddress,
    RequestWithdrawal,
    Transfer,
)
from engine.core.events import (
    AddressChanged,
    DepositAddressAssigned,
    DepositUpdated,
    Event,
    Refused,
    Transferred,
    WithdrawalQuoted,
    WithdrawalUpdated,
)
from engine.core.types import Origin, RejectReason, WithdrawalState
from tests.support.venue import DAY_US, ENGINE, Venue, all_of, only
from tests.unit.core.conftest import MakeVenue

S = WithdrawalState
REASON = RejectReason
ALL_STATES = tuple(WithdrawalState)
FINAL = {S.COMPLETED, S.REJECTED, S.CANCELED, S.FAILED, S.EXPIRED}
FUNDS = 10_000
MOVES = {
    S.REQUESTED: {S.PENDING_APPROVAL, S.APPROVED},
    S.PENDING_APPROVAL: {S.APPROVED, S.REJECTED, S.CANCELED, S.EXPIRED},
    S.APPROVED: {S.QUEUED, S.CANCELED},
    S.QUEUED: {S.BROADCASTING, S.CANCELED, S.FAILED},
    S.BROADCASTING: {S.CONFIRMING, S.FAILED},
    S.CONFIRMING: {S.COMPLETED, S.BROADCASTING},
}
PATHS = {
    S.PENDING_APPROVAL: (),
    S.QUEUED: (),
    S.BROADCASTING: (S.BROADCASTING,),
    S.CONFIRMING: (S.BROADCASTING, S.CONFIRMING),
    S.COMPLETED: (S.BROADCASTING, S.CONFIRMING, S.COMPLETED),
    S.FAILED: (S.FAILED,),
}
"""How the worker brings a withdrawal to a state; what is approved is queued at once."""


@pytest.fixture
def bank(make_core_venue: MakeVenue) -> Venue:
    """A venue with a BTC network: fee 5, minimum 100, step 10; approval of alice above 500."""
    venue = make_core_venue(funds=FUNDS)
    venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 5, 100, 10, 3))
    venue.do(DefineNetwork(ENGINE, "BTC", "ripple", 0, 1, 1, 1, memo_required=True))
    venue.do(DefineNetwork(ENGINE, "BTC", "closed", 0, 1, 1, 1, suspended=True))
    define = venue.definition(DefineAccount, account="alice")
    limits = {"approval_above": (("BTC", 500),), "daily_limits": (("BTC", 2_000),)}
    venue.do(define._replace(**limits))
    return venue


def request(venue: Venue, amount: int = 200, **fields: Any) -> list[Event]:
    fields.setdefault("client_withdrawal_id", venue.next_id())
    user = fields.pop("user", "ann")
    command = RequestWithdrawal(
        venue.origin("alice", user=user), fields.pop("account", "alice"),
        fields.pop("client_withdrawal_id"), fields.pop("asset", "BTC"),
        fields.pop("network", "bitcoin"), fields.pop("address", "address"), amount, **fields,
    )  # fmt: skip
    return venue.do(command)


def advance(venue: Venue, state: WithdrawalState, number: int = 1, **fields: Any) -> list[Event]:
    return venue.do(AdvanceWithdrawal(Origin("worker:settlement"), number, state, **fields))


def bring_to(venue: Venue, state: WithdrawalState) -> None:
    """Make withdrawal 1 and bring it to a state."""
    request(venue, 600 if state is S.PENDING_APPROVAL else 200)
    for step in PATHS[state]:
        advance(venue, step, txid="tx")
    assert last_state(venue) is state


def last_state(venue: Venue, number: int = 1) -> WithdrawalState:
    rows = [e.withdrawal for e in all_of(venue.events, WithdrawalUpdated)]
    return [row.state for row in rows if row.withdrawal_id == number][-1]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"asset": "XRP"}, REASON.UNKNOWN_ASSET),
        ({"network": "lightning"}, REASON.UNKNOWN_NETWORK),
        ({"network": "closed"}, REASON.NETWORK_SUSPENDED),
        ({"amount": 90}, REASON.AMOUNT_TOO_SMALL),
        ({"amount": 0}, REASON.AMOUNT_TOO_SMALL),
        ({"amount": -100}, REASON.AMOUNT_TOO_SMALL),
        ({"network": "ripple"}, REASON.MEMO_REQUIRED),
        ({"amount": 2_010}, REASON.WITHDRAWAL_LIMIT),
        ({"account": "bob", "amount": FUNDS}, REASON.INSUFFICIENT_FUNDS),
        ({"account": "nobody"}, REASON.UNKNOWN_ACCOUNT),
    ],
)
def test_W1_refusals(bank: Venue, fields: dict[str, Any], reason: RejectReason) -> None:
    refused = only(request(bank, **fields), Refused)
    assert refused.reason is reason and refused.text
    assert bank.held("alice", "BTC") == 0


@pytest.mark.parametrize(
    ("named", "text"),
    [("lightning", "is not available on lightning"), ("", "needs a network to be named")],
)
def test_W1_a_refused_network_is_told_which_there_are(bank: Venue, named: str, text: str) -> None:
    refused = only(request(bank, network=named), Refused)
    assert refused.text == f"BTC {text}; its networks are: bitcoin, closed, ripple"


def test_W1_an_amount_off_the_step_is_refused(bank: Venue) -> None:
    refused = only(request(bank, 205), Refused)
    assert refused.text.endswith(" of BTC on bitcoin")
    assert "is not a multiple of the withdrawal step" in refused.text
    assert last_of(request(bank, 210)).withdrawal.amount == 210


def last_of(events: list[Event]) -> WithdrawalUpdated:
    return all_of(events, WithdrawalUpdated)[-1]


def test_W1_a_client_withdrawal_id_is_known_for_ever(bank: Venue) -> None:
    request(bank, client_withdrawal_id="one")
    bank.now += 400 * DAY_US
    refused = only(request(bank, client_withdrawal_id="one"), Refused)
    assert (refused.reason, refused.detail) == (REASON.DUPLICATE_CLIENT_WITHDRAWAL_ID, 1)
    assert bank.held("alice", "BTC") == 205


def test_W1_the_daily_limit_counts_what_was_asked_for_today(bank: Venue) -> None:
    for _ in range(4):
        request(bank, 500)
    refused = only(request(bank, 100), Refused)
    assert (refused.reason, refused.detail) == (REASON.WITHDRAWAL_LIMIT, 0)
    bank.now += DAY_US
    assert last_of(request(bank, 100)).withdrawal.amount == 100


def test_W1_a_refusal_says_what_the_daily_limit_leaves(bank: Venue) -> None:
    request(bank, 500)
    refused = only(request(bank, 1_600), Refused)
    assert (refused.reason, refused.detail) == (REASON.WITHDRAWAL_LIMIT, 1_500)


def test_W2_amount_and_fee_are_held_from_the_request_on(bank: Venue) -> None:
    updates = all_of(request(bank, 200), WithdrawalUpdated)
    assert sum(e.hold_change for e in updates) == 205
    assert bank.available("alice", "BTC") == FUNDS - 205
    assert bank.posted("alice", "BTC") == FUNDS
    assert (updates[-1].withdrawal.amount, updates[-1].withdrawal.fee) == (200, 5)


@pytest.mark.parametrize("start", list(PATHS))
@pytest.mark.parametrize("target", ALL_STATES)
def test_W3_only_the_moves_of_the_table(
    bank: Venue, start: WithdrawalState, target: WithdrawalState
) -> None:
    """By every way there is: the worker's report, approval, rejection, cancel, time."""
    bring_to(bank, start)
    advance(bank, target, txid="tx2", confirmations=1)
    after = last_state(bank)
    assert after is start or after in MOVES.get(start, set())
    if start in FINAL:
        assert after is start


def test_W3_the_whole_way(bank: Venue) -> None:
    bring_to(bank, S.COMPLETED)
    row = last_of(bank.events).withdrawal
    states = [step.state for step in row.history]
    assert states == [
        S.REQUESTED, S.APPROVED, S.QUEUED, S.BROADCASTING, S.CONFIRMING, S.COMPLETED,
    ]  # fmt: skip
    assert row.txid == "tx" and row.requested_by == "ann"
    actors = [step.actor for step in row.history]
    assert actors == ["ann", "venue", "venue"] + ["worker:settlement"] * 3


def test_W3_confirmations_begin_again_when_the_network_lost_it(bank: Venue) -> None:
    bring_to(bank, S.BROADCASTING)
    advance(bank, S.CONFIRMING, txid="tx", confirmations=2)
    assert last_of(bank.events).withdrawal.confirmations == 2
    advance(bank, S.BROADCASTING)
    assert last_of(bank.events).withdrawal.confirmations == 0
    advance(bank, S.CONFIRMING, txid="tx2", confirmations=1)
    advance(bank, S.COMPLETED)
    row = last_of(bank.events).withdrawal
    assert (row.confirmations, row.txid) == (1, "tx2")


def test_W4_above_the_limit_a_second_person_approves(bank: Venue) -> None:
    assert last_of(request(bank, 500)).withdrawal.state is S.QUEUED
    assert last_of(request(bank, 510)).withdrawal.state is S.PENDING_APPROVAL
    own = only(
        bank.do(ApproveWithdrawal(bank.origin("alice", user="ann"), "alice", 2)), Refused
    )
    assert own.reason is REASON.SELF_APPROVAL
    assert last_state(bank, 2) is S.PENDING_APPROVAL
    events = bank.do(ApproveWithdrawal(bank.origin("alice", user="ben"), "alice", 2))
    row = last_of(events).withdrawal
    assert (row.state, row.approved_by) == (S.QUEUED, "ben")


def test_W4_who_approves_and_rejects_is_in_the_history(bank: Venue) -> None:
    for number in (1, 2):
        request(bank, 600)
        decide = ApproveWithdrawal if number == 1 else RejectWithdrawal
        bank.do(decide(bank.origin("alice", user="ben"), "alice", number))
    for number, state in ((1, S.APPROVED), (2, S.REJECTED)):
        rows = [e.withdrawal for e in all_of(bank.events, WithdrawalUpdated)]
        row = [row for row in rows if row.withdrawal_id == number][-1]
        assert [step.actor for step in row.history if step.state is state] == ["ben"]


def test_W4_the_requester_may_reject_what_waits(bank: Venue) -> None:
    request(bank, 510)
    assert last_state(bank, 1) is S.PENDING_APPROVAL
    bank.do(RejectWithdrawal(bank.origin("alice", user="ann"), "alice", 1))
    assert last_state(bank, 1) is S.REJECTED and bank.held("alice", "BTC") == 0


def test_W4_an_approval_from_another_account_is_refused(bank: Venue) -> None:
    bring_to(bank, S.PENDING_APPROVAL)
    refused = only(bank.do(ApproveWithdrawal(bank.origin("bob", user="bob"), "bob", 1)), Refused)
    assert refused.reason is REASON.UNKNOWN_WITHDRAWAL
    assert last_state(bank) is S.PENDING_APPROVAL


@pytest.mark.parametrize("state", list(PATHS))
def test_W5_what_can_be_canceled(bank: Venue, state: WithdrawalState) -> None:
    bring_to(bank, state)
    posted = bank.posted("alice", "BTC")
    events = bank.do(CancelWithdrawal(bank.origin("alice"), "alice", 1))
    if state in (S.PENDING_APPROVAL, S.QUEUED):
        assert last_of(events).withdrawal.state is S.CANCELED
        assert bank.held("alice", "BTC") == 0
    else:
        assert only(events, Refused).reason is REASON.WITHDRAWAL_STATE
        assert last_state(bank) is state
    assert bank.posted("alice", "BTC") == posted


def test_W6_the_hold_is_posted_once_when_the_coin_is_sent(bank: Venue) -> None:
    bring_to(bank, S.BROADCASTING)
    assert (bank.posted("alice", "BTC"), bank.held("alice", "BTC")) == (FUNDS, 205)
    update = last_of(advance(bank, S.CONFIRMING, txid="tx"))
    assert (update.posted, update.hold_change) == (205, -205)
    # The network lost it and it was sent again: it is not paid twice.
    advance(bank, S.BROADCASTING)
    advance(bank, S.CONFIRMING, txid="tx2")
    advance(bank, S.COMPLETED)
    assert (bank.posted("alice", "BTC"), bank.held("alice", "BTC")) == (FUNDS - 205, 0)


def test_W6_rejected_canceled_and_failed_release_the_hold_once(bank: Venue) -> None:
    request(bank, 600)
    bank.do(RejectWithdrawal(bank.origin("alice", user="ben"), "alice", 1, "no"))
    request(bank, 200)
    bank.do(CancelWithdrawal(bank.origin("alice"), "alice", 2))
    request(bank, 200)
    advance(bank, S.FAILED, 3)
    assert [last_state(bank, n) for n in (1, 2, 3)] == [S.REJECTED, S.CANCELED, S.FAILED]
    assert bank.available("alice", "BTC") == bank.posted("alice", "BTC") == FUNDS
    for number in (1, 2, 3):
        bank.do(CancelWithdrawal(bank.origin("alice"), "alice", number))
    assert bank.available("alice", "BTC") == FUNDS


def test_W6_a_withdrawal_that_fails_after_it_was_posted_is_paid_back(bank: Venue) -> None:
    bring_to(bank, S.CONFIRMING)
    assert bank.posted("alice", "BTC") == FUNDS - 205
    advance(bank, S.BROADCASTING)
    update = last_of(advance(bank, S.FAILED))
    assert update.withdrawal.state is S.FAILED and update.posted == -205
    assert bank.available("alice", "BTC") == FUNDS


def test_W7_a_report_of_what_is_known_changes_nothing(bank: Venue) -> None:
    bring_to(bank, S.CONFIRMING)
    first = advance(bank, S.CONFIRMING, txid="tx", confirmations=1)
    before = (bank.posted("alice", "BTC"), bank.held("alice", "BTC"))
    again = advance(bank, S.CONFIRMING, txid="tx", confirmations=1)
    assert all_of(first, WithdrawalUpdated)[-1].withdrawal.confirmations == 1
    assert all_of(again, WithdrawalUpdated) == []
    assert (bank.posted("alice", "BTC"), bank.held("alice", "BTC")) == before


def deposit(venue: Venue, number: str, confirmations: int, **fields: Any) -> list[Event]:
    fields = dict[str, Any](account="bob", asset="BTC", amount=70) | fields
    return venue.do(
        Deposit(ENGINE, number, confirmations=confirmations, confirmations_required=3, **fields)
    )


def test_W8_a_deposit_is_credited_once(bank: Venue) -> None:
    credited = []
    for confirmations in (0, 1, 2, 3, 4, 3, 9):
        events = all_of(deposit(bank, "d1", confirmations), DepositUpdated)
        credited += [e.credited_now for e in events]
    assert [amount for amount in credited if amount] == [70]
    assert bank.posted("bob", "BTC") == FUNDS + 70


@pytest.mark.parametrize("change", [{"account": "carol"}, {"asset": "USD"}, {"amount": 71}])
def test_W8_a_report_that_contradicts_an_earlier_one_is_refused(
    bank: Venue, change: dict[str, Any]
) -> None:
    deposit(bank, "d1", 1)
    refused = only(deposit(bank, "d1", 3, **change), Refused)
    assert refused.reason is REASON.DUPLICATE_DEPOSIT
    assert bank.posted("carol", "BTC") == FUNDS


def transfer(venue: Venue, **fields: Any) -> list[Event]:
    defaults: dict[str, Any] = {
        "account": "alice", "to_account": "alice2", "asset": "USD", "amount": 30,
        "client_transfer_id": "t1",
    }  # fmt: skip
    fields = defaults | fields
    return venue.do(Transfer(venue.origin("alice"), **fields))


def test_W9_a_transfer_moves_available_money_within_a_firm(bank: Venue) -> None:
    sides = all_of(transfer(bank), Transferred)
    assert [(e.account, e.change) for e in sides] == [("alice", -30), ("alice2", 30)]
    assert bank.available("alice", "USD") == FUNDS - 30
    assert bank.available("alice2", "USD") == FUNDS + 30


def test_W9_a_transfer_id_is_known_for_ever(bank: Venue) -> None:
    transfer(bank)
    bank.now += 400 * DAY_US
    assert only(transfer(bank), Refused).reason is REASON.DUPLICATE_CLIENT_TRANSFER_ID
    assert bank.available("alice", "USD") == FUNDS - 30


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": FUNDS + 1}, {"amount": 0}, {"amount": -5}, {"to_account": "bob"},
        {"to_account": "nobody"}, {"to_account": "alice"}, {"asset": "XRP"},
    ],
)  # fmt: skip
def test_W9_transfers_that_are_refused(bank: Venue, fields: dict[str, Any]) -> None:
    events = transfer(bank, **fields)
    assert isinstance(events[0], Refused) and len(events) == 1
    assert bank.available("alice", "USD") == bank.available("alice2", "USD") == FUNDS


def test_W9_held_money_cannot_be_transferred(bank: Venue) -> None:
    bank.buy("alice", FUNDS - 10, 1)
    assert only(transfer(bank), Refused).reason is REASON.INSUFFICIENT_FUNDS


def add_address(venue: Venue, address: str = "address", **fields: Any) -> list[Event]:
    return venue.do(
        AddAddress(venue.origin("alice"), "alice", "BTC", "bitcoin", address, **fields)
    )


COOLOFF = 3_600_000_000


@pytest.fixture
def strict(bank: Venue) -> Venue:
    """Money of alice leaves only to addresses of her book, an hour after they were added."""
    define = bank.definition(DefineAccount, account="alice")
    bank.do(define._replace(require_known_address=True, address_cooloff_us=COOLOFF))
    return bank


def test_W10_money_leaves_only_to_known_addresses(strict: Venue) -> None:
    assert only(request(strict), Refused).reason is REASON.ADDRESS_NOT_ALLOWED
    added = only(add_address(strict), AddressChanged)
    assert added.address.available_at == strict.now + COOLOFF
    cooling = only(request(strict), Refused)
    assert (cooling.reason, cooling.detail) == (REASON.ADDRESS_COOLING, strict.now + COOLOFF)
    strict.now += COOLOFF - 1
    assert only(request(strict), Refused).reason is REASON.ADDRESS_COOLING
    strict.now += 1
    assert last_of(request(strict)).withdrawal.state is S.QUEUED
    assert only(request(strict, address="other"), Refused).reason is REASON.ADDRESS_NOT_ALLOWED
    assert only(request(strict, memo="memo"), Refused).reason is REASON.ADDRESS_NOT_ALLOWED


def test_W10_adding_an_address_again_finds_it_and_does_not_cool_off_anew(strict: Venue) -> None:
    first = only(add_address(strict), AddressChanged).address
    strict.now += COOLOFF
    assert only(add_address(strict), AddressChanged).address == first
    assert last_of(request(strict)).withdrawal.state is S.QUEUED


def test_W10_a_removed_address_cools_off_anew(strict: Venue) -> None:
    first = only(add_address(strict), AddressChanged).address
    strict.now += COOLOFF
    removed = strict.do(RemoveAddress(strict.origin("alice"), "alice", first.address_id))
    assert only(removed, AddressChanged).removed
    assert only(request(strict), Refused).reason is REASON.ADDRESS_NOT_ALLOWED
    again = only(add_address(strict), AddressChanged).address
    assert again.address_id != first.address_id
    assert only(request(strict), Refused).reason is REASON.ADDRESS_COOLING


def test_W10_an_address_of_another_account_cannot_be_removed(strict: Venue) -> None:
    first = only(add_address(strict), AddressChanged).address
    refused = strict.do(RemoveAddress(strict.origin("bob"), "bob", first.address_id))
    assert only(refused, Refused).reason is REASON.UNKNOWN_ADDRESS


def quote(venue: Venue, amount: int = 200) -> str:
    events = venue.do(QuoteWithdrawal(venue.origin("alice"), "alice", "BTC", "bitcoin", amount))
    return only(events, WithdrawalQuoted).quote.quote_id


def dearer(venue: Venue) -> None:
    """The network's fee goes from 5 to 50."""
    network = venue.definition(DefineNetwork, network="bitcoin")
    venue.do(network._replace(withdrawal_fee=50))


def test_W11_a_quote_pins_the_fee_of_one_withdrawal(bank: Venue) -> None:
    quote_id = quote(bank)
    dearer(bank)
    assert last_of(request(bank, quote_id=quote_id)).withdrawal.fee == 5
    assert only(request(bank, quote_id=quote_id), Refused).reason is REASON.UNKNOWN_QUOTE
    assert last_of(request(bank)).withdrawal.fee == 50


def test_W11_a_quote_is_for_its_own_amount_account_and_time(bank: Venue) -> None:
    quote_id = quote(bank)
    assert only(request(bank, 210, quote_id=quote_id), Refused).reason is REASON.MISMATCH
    other = request(bank, 200, account="bob", quote_id=quote_id)
    assert only(other, Refused).reason is REASON.UNKNOWN_QUOTE
    bank.now += 60_000_001
    assert only(request(bank, quote_id=quote_id), Refused).reason is REASON.QUOTE_EXPIRED


def test_W11_a_refused_withdrawal_does_not_use_its_quote_up(bank: Venue) -> None:
    quote_id = quote(bank)
    bank.sell("alice", FUNDS, 1, client_order_id="all")
    refused = request(bank, quote_id=quote_id)
    assert only(refused, Refused).reason is REASON.INSUFFICIENT_FUNDS
    bank.cancel("alice", "all")
    assert last_of(request(bank, quote_id=quote_id)).withdrawal.fee == 5


def test_W12_one_deposit_address_per_asset_and_network(bank: Venue) -> None:
    found = []
    for address in ("first", "second"):
        command = AssignDepositAddress(ENGINE, "alice", "BTC", "bitcoin", address)
        found.append(only(bank.do(command), DepositAddressAssigned).deposit_address.address)
    assert found == ["first", "first"]
    other = AssignDepositAddress(ENGINE, "alice", "BTC", "ripple", "third", "memo")
    made = only(bank.do(other), DepositAddressAssigned).deposit_address
    assert (made.address, made.memo) == ("third", "memo")


def test_S5_a_withdrawal_that_nobody_approves_expires_after_a_day(bank: Venue) -> None:
    request(bank, 600)
    assert bank.exchange.next_timer() == bank.now + DAY_US  # type: ignore[attr-defined]
    assert all_of(bank.tick(DAY_US - 1), WithdrawalUpdated) == []
    update = last_of(bank.tick(1))
    assert (update.withdrawal.state, update.hold_change) == (S.EXPIRED, -605)
    late = bank.do(ApproveWithdrawal(bank.origin("alice", user="ben"), "alice", 1))
    assert only(late, Refused).reason is REASON.WITHDRAWAL_STATE


def test_S5_an_approved_withdrawal_does_not_expire(bank: Venue) -> None:
    request(bank, 600)
    bank.do(ApproveWithdrawal(bank.origin("alice", user="ben"), "alice", 1))
    assert bank.tick(3 * DAY_US) == []
    assert last_state(bank) is S.QUEUED


@pytest.mark.parametrize("change", [{"amount": 0}, {"amount": -5}, {"deposit_id": ""}])
def test_W8_a_deposit_has_an_id_and_a_positive_amount(bank: Venue, change: dict[str, Any]) -> None:
    command = Deposit(ENGINE, "d1", "bob", "BTC", 70)._replace(**change)
    assert isinstance(only(bank.do(command), Refused), Refused)
    assert bank.posted("bob", "BTC") == FUNDS


@pytest.mark.parametrize("change", [{"confirmations": -1}, {"confirmations_required": -1}])
def test_W8_confirmations_are_not_negative(bank: Venue, change: dict[str, Any]) -> None:
    command = Deposit(ENGINE, "d1", "bob", "BTC", 70)._replace(**change)
    assert isinstance(only(bank.do(command), Refused), Refused)


def test_W9_everything_available_can_be_transferred(bank: Venue) -> None:
    assert len(all_of(transfer(bank, amount=FUNDS), Transferred)) == 2
    assert bank.available("alice", "USD") == 0


def test_W11_a_quote_holds_until_its_time_has_passed(bank: Venue) -> None:
    quote_id = quote(bank)
    bank.now += 60_000_000
    assert last_of(request(bank, quote_id=quote_id)).withdrawal.fee == 5


def test_W11_quotes_have_ids_of_their_own(bank: Venue) -> None:
    found = [quote(bank, 200 + 10 * number) for number in range(5)]
    assert len(set(found)) == 5
    for number, quote_id in enumerate(found[:2]):
        assert last_of(request(bank, 200 + 10 * number, quote_id=quote_id)).withdrawal.fee == 5


@pytest.mark.parametrize("address", ["", "x" * 201])
def test_W10_W12_an_address_has_a_sensible_length(strict: Venue, address: str) -> None:
    assert only(add_address(strict, address), Refused).reason is REASON.INVALID_FIELD
    command = AssignDepositAddress(ENGINE, "alice", "BTC", "bitcoin", address)
    assert only(strict.do(command), Refused).reason is REASON.INVALID_FIELD
