"""Addresses, quotes and transfers: what else a treasury needs besides withdrawals."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from account_api.crypto_addresses import address_fault
from account_api.crypto_encodings import Witness, eip55, witness_encode
from engine.core.addresses import ADDRESSES_MAX
from engine.core.commands import DefineAccount, DefineNetwork
from engine.core.types import Origin, SelfTrade
from tests.api.client import Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine
from tests.support.venue import violations

ENGINE = Origin("engine")
P2WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
P2WSH = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
P2PKH = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
P2SH = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"
EIP55 = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize("address", [P2WPKH, P2WPKH.upper(), P2WSH, TAPROOT, P2PKH, P2SH])
def test_bitcoin_addresses_that_can_be_right(address: str) -> None:
    assert address_fault("bitcoin", address) == ""


@pytest.mark.parametrize(
    "address",
    [
        P2WPKH[:-1] + "5",
        TAPROOT[:-1] + "q",
        "Bc1" + P2WPKH[3:],
        P2PKH[:-1] + "3",
        P2SH[:-1] + "z",
        # Version 0 with the checksum of Taproot, Taproot with that of version 0.
        "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq54well",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "bc1pw5dgrnzv", "bc1", "1", "3", "", "0", EIP55,
        "bc1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
    ],
)  # fmt: skip
def test_bitcoin_addresses_that_cannot_be_right(address: str) -> None:
    assert "checksum" in address_fault("bitcoin", address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "test network"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "test network"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "test network"),
        ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", "test network"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "begins with ltc1"),
        # A private key; two burnt addresses; a Taproot output that is no point.
        ("5Kd3NBUAdUnhyzenEwVLy9pBKxSwXvE9FMPyR4UKZvpe6E3AgLr", "and it is one"),
        ("1111111111111111111114oLvT2", "nobody"),
        (witness_encode(Witness("bc", 0, bytes(20))), "nobody"),
        (witness_encode(Witness("bc", 1, b"\xff" * 32)), "nobody"),
        ("BC1SW50QGDZ25J", "witness version 16"),
        ("bc1pfeessrawgf", "witness version 1 with 2 bytes"),
    ],
)
def test_a_bitcoin_address_is_told_what_it_is_instead(address: str, why: str) -> None:
    assert why in address_fault("bitcoin", address)
    assert "checksum" not in address_fault("bitcoin", address)


@pytest.mark.parametrize("number", [0, 1, 9, 0xDEAD, 0xFFFF])
def test_nothing_goes_to_the_zero_address_of_ethereum_nor_to_its_neighbours(number: int) -> None:
    assert "nobody" in address_fault("ethereum", f"0x{eip55(f'{number:040x}')}")
    assert address_fault("ethereum", f"0x{eip55(f'{1 << 16:040x}')}") == ""


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        (EIP55, True),
        ("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", True),
        ("0x52908400098527886E0F7030069857D2E4169EE7", True),
        ("0x8617E340B3D01FA5F11F306F4090FD50E238070D", True),
        ("0xde709f2102306220921060314715629080e2fb77", True),
        (EIP55.lower(), False),
        (EIP55[:-1] + "D", False),
        (EIP55[2:], False),
        (EIP55[:-1], False),
        (EIP55 + "\n", False),
        (P2WPKH, False),
    ],
)
def test_ethereum_addresses_carry_their_checksum_in_their_case(address: str, fine: bool) -> None:
    assert (address_fault("ethereum", address) == "") is fine


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.text(alphabet=string.printable, max_size=70)
    | st.builds(str.__add__, st.sampled_from(["bc1", "BC1q", "1", "3", "0x"]), st.text(max_size=64))
)
def test_no_text_breaks_the_check_of_an_address(text: str) -> None:
    address_fault("bitcoin", text)
    address_fault("ethereum", text)


def bind(engine: InProcessEngine, cool_off_s: int = 3600) -> None:
    """Let alice send to known addresses only."""
    engine.apply(
        DefineAccount(
            ENGINE, "alice", "alice", 500, 1000, SelfTrade.NONE, 10_000,
            require_known_address=True, address_cooloff_us=cool_off_s * 1_000_000,
        )
    )  # fmt: skip


def payout(name: str, address: str = P2WPKH, **more: Any) -> dict[str, Any]:
    return {
        "client_withdrawal_id": name, "asset": "BTC", "address": address, "amount": "1", **more,
    }  # fmt: skip


def test_W10_an_address_cools_off_before_money_goes_there(
    caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    bind(engine)
    treasurer, keeper = caller("alice-withdraw"), caller("alice-address")
    treasurer.post("/v1/withdrawals", payout("w1")).problem(403, "address_not_allowed")
    entry = keeper.post("/v1/addresses", {"asset": "BTC", "address": P2WPKH, "label": "cold"})
    row = entry.ok(201)
    assert (row["network"], row["label"], row["available"]) == ("bitcoin", "cold", False)
    problem = treasurer.post("/v1/withdrawals", payout("w1")).problem(403, "address_cooling")
    assert problem["available_at"] == row["available_at"]
    again = keeper.post("/v1/addresses", {"asset": "BTC", "address": P2WPKH})
    assert again.replayed and again.ok(200)["address_id"] == row["address_id"]
    clock.advance(3600)
    treasurer.post("/v1/withdrawals", payout("w1")).ok(201)
    book = keeper.get("/v1/addresses").ok()
    assert (book["required"], book["cool_off_s"]) == (True, 3600)
    assert [one["available"] for one in book["addresses"]] == [True]
    gone = keeper.delete(f"/v1/addresses/{row['address_id']}").ok()
    assert gone["removed"]
    keeper.delete(f"/v1/addresses/{row['address_id']}").problem(404, "unknown_address")
    keeper.delete("/v1/addresses/x").problem(404, "unknown_address")
    treasurer.post("/v1/withdrawals", payout("w2")).problem(403, "address_not_allowed")
    # The original is still answered, whatever has become of the address.
    assert treasurer.post("/v1/withdrawals", payout("w1")).replayed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"asset": "BTC", "address": P2WPKH[:-1] + "5"}, "invalid_address"),
        ({"asset": "ETH", "address": EIP55.lower()}, "invalid_address"),
        ({"asset": "ETH", "address": P2WPKH}, "invalid_address"),
        ({"asset": "ETH", "address": f"0x{'0' * 40}"}, "invalid_address"),
        ({"asset": "BTC", "network": "ethereum", "address": EIP55}, "unknown_network"),
        ({"asset": "XXX", "address": "x"}, "unknown_asset"),
    ],
)
def test_a_wrong_address_is_not_taken(caller: CallerOf, body: dict[str, Any], code: str) -> None:
    keeper = caller("alice-address")
    keeper.post("/v1/addresses", body).problem(422, code)
    assert keeper.get("/v1/addresses").ok()["addresses"] == []


def test_networks_may_need_a_memo_or_be_suspended(
    caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    engine.apply(DefineNetwork(ENGINE, "BTC", "bitcoin", 20_000, 1, 1, 2, memo_required=True))
    clock.advance(10)
    treasurer = caller("alice-withdraw")
    treasurer.post("/v1/withdrawals", payout("w1")).problem(422, "memo_required")
    body = {"asset": "BTC", "address": P2WPKH}
    caller("alice-address").post("/v1/addresses", body).problem(422, "memo_required")
    assert treasurer.post("/v1/withdrawals", payout("w1", memo="7")).ok(201)["memo"] == "7"
    engine.apply(DefineNetwork(ENGINE, "BTC", "bitcoin", 20_000, 1, 1, 2, suspended=True))
    problem = treasurer.post("/v1/withdrawals", payout("w2")).problem(409, "network_suspended")
    assert problem["retryable"]


def test_the_address_book_is_bounded(caller: CallerOf, engine: InProcessEngine) -> None:
    keeper = caller("alice-address")
    keeper.post("/v1/addresses", {"asset": "BTC", "address": P2WPKH}).ok(201)
    book = engine.exchange.accounts["alice"].addresses
    (first,) = book.values()
    book.update({-n: first._replace(address_id=-n) for n in range(1, ADDRESSES_MAX)})
    body = {"asset": "BTC", "address": TAPROOT}
    keeper.post("/v1/addresses", body).problem(409, "too_many_addresses")


def test_accounts_do_not_share_address_books(caller: CallerOf) -> None:
    row = caller("alice-address").post("/v1/addresses", {"asset": "BTC", "address": P2WPKH})
    number = row.ok(201)["address_id"]
    bob = caller("bob-address")
    assert bob.get("/v1/addresses").ok()["addresses"] == []
    bob.delete(f"/v1/addresses/{number}").problem(404, "unknown_address")
    caller("alice-read").get("/v1/addresses").problem(403, "insufficient_scope")


def test_W12_an_account_has_one_deposit_address_per_network(caller: CallerOf) -> None:
    keeper = caller("alice-address")
    made = {}
    for asset in ("BTC", "ETH", "USD"):
        row = keeper.post("/v1/deposit-addresses", {"asset": asset}).ok(201)
        again = keeper.post("/v1/deposit-addresses", {"asset": asset})
        assert again.replayed and again.ok(200)["address"] == row["address"]
        made[asset] = row
    assert address_fault("bitcoin", made["BTC"]["address"]) == ""
    assert address_fault("ethereum", made["ETH"]["address"]) == ""
    assert made["ETH"]["confirmations_required"] == 12
    rows = caller("alice-read").get("/v1/deposit-addresses").ok()["deposit_addresses"]
    assert [row["address"] for row in rows] == [row["address"] for row in made.values()]
    other = caller("bob-address").post("/v1/deposit-addresses", {"asset": "BTC"}).ok(201)
    assert other["address"] != made["BTC"]["address"]


def test_W11_a_quote_pins_the_fee_of_one_withdrawal(
    caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    treasurer = caller("alice-withdraw")
    quote = treasurer.post("/v1/withdrawals/quotes", {"asset": "BTC", "amount": "1"}, "q1").ok(201)
    assert (quote["fee"], quote["net"], quote["total"]) == ("0.0002", "1", "1.0002")
    engine.apply(DefineNetwork(ENGINE, "BTC", "bitcoin", 90_000, 1, 1, 2))
    body = payout("w1", quote_id=quote["quote_id"])
    assert treasurer.post("/v1/withdrawals", body).ok(201)["fee"] == "0.0002"
    assert treasurer.post("/v1/withdrawals", body).replayed
    used = payout("w2", quote_id=quote["quote_id"])
    treasurer.post("/v1/withdrawals", used).problem(422, "unknown_quote")
    assert treasurer.post("/v1/withdrawals", payout("w3")).ok(201)["fee"] == "0.0009"
    quote = treasurer.post("/v1/withdrawals/quotes", {"asset": "BTC", "amount": "2"}, "q2").ok(201)
    other = payout("w4", quote_id=quote["quote_id"])
    treasurer.post("/v1/withdrawals", other).problem(409, "mismatch")
    clock.advance(61)
    late = payout("w5", quote_id=quote["quote_id"]) | {"amount": "2"}
    treasurer.post("/v1/withdrawals", late).problem(409, "quote_expired")
    foreign = payout("w6", quote_id=quote["quote_id"])
    caller("bob-withdraw").post("/v1/withdrawals", foreign).problem(422, "unknown_quote")


def test_W9_transfers_move_money_within_the_firm_once(
    caller: CallerOf, engine: InProcessEngine
) -> None:
    treasurer, reader = caller("alice-withdraw"), caller("alice-read")
    body = {"client_transfer_id": "t1", "to_account": "alice:desk", "asset": "USD",
            "amount": "1000"}  # fmt: skip
    row = treasurer.post("/v1/transfers", body).ok(201)
    assert (row["change"], row["other_account"]) == ("-1000", "alice:desk")
    again = treasurer.post("/v1/transfers", body)
    assert again.replayed and again.ok(200)["transfer_id"] == row["transfer_id"]
    problem = treasurer.post("/v1/transfers", body | {"amount": "1"}).problem(
        409, "duplicate_client_transfer_id"
    )
    assert problem["transfer_id"] == row["transfer_id"]
    # The main account's key may look at the firm's other accounts; nobody else may.
    desk = reader.get("/v1/balances", account="alice:desk", asset="USD").ok()["balances"][0]
    assert desk["available"] == "1000"
    caller("bob-read").get("/v1/balances", account="alice:desk").problem(404, "not_found")
    rows = reader.get("/v1/transfers").ok()["transfers"]
    assert [one["client_transfer_id"] for one in rows] == ["t1"]
    treasurer.post("/v1/transfers", body | {"client_transfer_id": "t2", "to_account": "bob"}
                   ).problem(422, "unknown_account")  # fmt: skip
    treasurer.post("/v1/transfers", body | {"client_transfer_id": "t3", "amount": "1e9"}
                   ).problem(400, "invalid_request")  # fmt: skip
    treasurer.post("/v1/transfers", body | {"client_transfer_id": "t4", "amount": "999999999"}
                   ).problem(422, "insufficient_funds")  # fmt: skip
    assert violations(engine.exchange) == []


def test_limits_tell_what_is_used_and_left(
    caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    engine.apply(
        DefineAccount(
            ENGINE, "alice", "alice", 500, 1000, SelfTrade.NONE, 10_000,
            daily_limits=(("BTC", 5 * 10**8),),
        )
    )  # fmt: skip

    def btc() -> dict[str, Any]:
        rows = caller("alice-read").get("/v1/limits").ok()["withdrawals"]
        return next(row for row in rows if row["asset"] == "BTC")

    caller("alice-withdraw").post("/v1/withdrawals", payout("w1")).ok(201)
    row = btc()
    assert (row["daily_limit"], row["daily_used"], row["daily_remaining"]) == ("5", "1", "4")
    clock.advance(86_400)
    assert (btc()["daily_used"], btc()["daily_remaining"]) == ("0", "5")


def test_the_number_of_open_orders_is_bounded(
    alice: Caller, caller: CallerOf, engine: InProcessEngine
) -> None:
    engine.apply(DefineAccount(ENGINE, "alice", "alice", 500, 1000, SelfTrade.NONE, 1))
    body = {"client_order_id": "a1", "symbol": "BTC-USD", "side": "buy", "quantity": "1",
            "price": "1"}  # fmt: skip
    alice.post("/v1/orders", body).ok(201)
    again = body | {"client_order_id": "a2"}
    alice.post("/v1/orders", again).problem(422, "too_many_open_orders")
    assert caller("alice-read").get("/v1/limits").ok()["open_orders_remaining"] == 0
