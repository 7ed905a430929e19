"""Rule W-8: a deposit is credited once, on the venue's own terms. On the real exchange alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import DefineNetwork, Deposit
from engine.core.events import DepositUpdated, Refused
from engine.core.types import RejectReason
from tests.support.venue import ENGINE, Venue, only
from tests.unit.core.conftest import MakeVenue

REPORT = Deposit(ENGINE, "d1", "bob", "BTC", 70, "bitcoin", "bc1q", "ab12", 0)


@pytest.fixture
def bank(make_core_venue: MakeVenue) -> Venue:
    venue = make_core_venue(funds=0)
    venue.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 5, 10, 1, 2))
    return venue


def report(bank: Venue, **changes: Any) -> Any:
    return bank.do(REPORT._replace(**changes))[0]


def test_W8_the_network_says_how_many_confirmations_a_deposit_needs(bank: Venue) -> None:
    first = report(bank)
    assert isinstance(first, DepositUpdated)
    assert (first.deposit.confirmations_required, first.deposit.credited) == (2, False)
    for _ in range(2):  # A report that asks for none is no reason to credit at once.
        again = report(bank, confirmations=1, confirmations_required=0)
        assert (again.deposit.confirmations_required, again.credited_now) == (2, 0)
    assert report(bank, confirmations=2).credited_now == 70
    assert report(bank, confirmations=9).credited_now == 0
    assert bank.posted("bob", "BTC") == 70


def test_W8_a_report_cannot_ask_for_less_than_its_network(bank: Venue) -> None:
    refused = report(bank, confirmations_required=1)
    assert isinstance(refused, Refused) and refused.reason is RejectReason.INVALID_FIELD
    assert "2 confirmations" in refused.text
    assert isinstance(report(bank, confirmations_required=2), DepositUpdated)


def test_W8_what_a_deposit_needs_stays_as_it_was_at_its_first_report(bank: Venue) -> None:
    report(bank)
    bank.do(DefineNetwork(ENGINE, "BTC", "bitcoin", 5, 10, 1, 1))
    assert report(bank, confirmations=1).credited_now == 0
    assert report(bank, confirmations=2).credited_now == 70


def test_W8_without_a_network_the_first_report_says_what_is_needed(bank: Venue) -> None:
    loose = {"network": "", "address": "", "txid": ""}
    assert report(bank, confirmations_required=3, **loose).credited_now == 0
    assert report(bank, confirmations_required=0, **loose).credited_now == 0
    assert report(bank, confirmations=3, **loose).credited_now == 70


def test_W8_a_network_that_does_not_carry_the_asset_is_refused(bank: Venue) -> None:
    refused = report(bank, network="ethereum")
    assert isinstance(refused, Refused) and refused.reason is RejectReason.UNKNOWN_NETWORK
    assert refused.text == "BTC is not available on ethereum; its networks are: bitcoin"


@pytest.mark.parametrize("credited", [False, True], ids=["waiting", "credited"])
@pytest.mark.parametrize(
    "change",
    [{"account": "carol"}, {"amount": 71}, {"network": "other"}, {"address": "bc1p"},
     {"txid": "cd34"}, {"confirmations_required": 1}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_W8_a_report_that_contradicts_an_earlier_one_is_refused(
    bank: Venue, change: dict[str, Any], credited: bool
) -> None:
    bank.do(DefineNetwork(ENGINE, "BTC", "other", 5, 10, 1, 2))
    before = report(bank, confirmations=2 if credited else 0).deposit
    refused = report(bank, **change)
    assert isinstance(refused, Refused) and refused.reason is RejectReason.DUPLICATE_DEPOSIT
    after = report(bank)
    assert isinstance(after, DepositUpdated)
    assert after.deposit._replace(updated_at=0) == before._replace(updated_at=0)


def test_W8_what_a_later_report_leaves_out_stays_known(bank: Venue) -> None:
    report(bank, txid="")
    assert report(bank).deposit.txid == "ab12"
    last = report(bank, network="", address="", txid="", confirmations=2).deposit
    assert (last.network, last.address, last.txid) == ("bitcoin", "bc1q", "ab12")
    assert only(bank.do(REPORT), DepositUpdated).deposit.credited
