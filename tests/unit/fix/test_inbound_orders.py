"""NewOrderSingle to commands, and every reason for which one is refused at the edge."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.commands import CancelOrder, MassCancel, NewOrder, RecordRefusal, ReplaceOrder
from engine.core.types import (
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    SelfTrade,
    Side,
    TimeInForce,
)
from fix_gateway.codec.decode import translate
from fix_gateway.codec.message import SOH, parse_time
from tests.support.fix_desk import START_US, instruments, sessions

R = RejectReason
INSTRUMENTS = instruments()
LIMIT = "11=A1|55=BTC-USD|54=1|60=20260105-09:30:00|38=1.5|40=2|44=40000.25"


def read(line: str, comp_id: str = "ALICE", now_us: int = START_US) -> Any:
    """Translate a message without going through QuickFIX: any text at all."""
    text = f"8=FIX.4.4|9=1|{line}|34=7|10=000|".replace("|", SOH)
    return translate(text, sessions()[comp_id], 3, INSTRUMENTS, now_us)


def order(line: str, **more: Any) -> NewOrder:
    command = read(f"35=D|{line}", **more)
    assert isinstance(command, NewOrder), command
    return command


def refusal(line: str, **more: Any) -> RecordRefusal:
    command = read(line, **more)
    assert isinstance(command, RecordRefusal), command
    return command


def test_a_limit_order_with_nothing_but_the_required_tags() -> None:
    assert order(LIMIT) == NewOrder(
        Origin("fix:ALICE", 3, 7), "alice", "A1", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.DAY, 150_000, 4_000_025,
    )  # fmt: skip


def test_an_order_with_every_optional_tag() -> None:
    line = f"{LIMIT}|1=alice2|59=6|126=20260106-00:00:00.5|111=0.5|18=6|20005=3|526=m1|1028=Y|21=2"
    found = order(line.replace("00.5", "00.500"))
    assert found == order(LIMIT)._replace(
        account="alice2",
        tif=TimeInForce.GTD,
        expire_at=parse_time("20260106-00:00:00.500"),
        display_qty=50_000,
        post_only=True,
        stp=SelfTrade.CANCEL_BOTH,
        strategy="m1",
        manual=True,
    )


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("38=1|40=1", {"ord_type": OrdType.MARKET, "qty": 100_000}),
        ("152=4000.5|40=1", {"ord_type": OrdType.MARKET, "cash_qty": 400_050_000_000}),
        ("38=1|40=3|99=39999", {"ord_type": OrdType.STOP, "qty": 100_000, "stop_price": 3_999_900}),
        (
            "38=1|40=4|99=1|44=2",
            {"ord_type": OrdType.STOP_LIMIT, "qty": 100_000, "stop_price": 100, "price": 200},
        ),
        (
            "38=1|40=2|44=2|59=3|110=.5",
            {"qty": 100_000, "price": 200, "tif": TimeInForce.IOC, "min_qty": 50_000},
        ),
        ("38=1|40=2|44=2.|59=4", {"qty": 100_000, "price": 200, "tif": TimeInForce.FOK}),
    ],
)
def test_order_types_and_times_in_force(line: str, changes: dict[str, Any]) -> None:
    found = order(f"11=A1|55=BTC-USD|54=1|60=20260105-09:30:00|{line}")
    assert found == order(LIMIT)._replace(qty=0, price=0)._replace(**changes)


def test_poss_resend_is_carried_to_the_engine_row_F_1_b() -> None:
    assert order(f"97=Y|{LIMIT}").poss_resend
    assert not order(f"97=N|{LIMIT}").poss_resend


D = "35=D|11=A1|60=20260105-09:30:00|"
OK = "55=BTC-USD|54=1|38=1|"
UNSUPPORTED = R.UNSUPPORTED_COMBINATION


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        ("55=X|54=1|38=1|40=2|44=1", R.UNKNOWN_SYMBOL, "Symbol(55) X is not traded here"),
        ("54=1|38=1|40=2|44=1", R.UNKNOWN_SYMBOL, "Symbol(55)  is not traded here"),
        ("55=BTC-USD|54=5|38=1|40=1", UNSUPPORTED, "Side(54) 5 is not supported"),
        ("55=BTC-USD|38=1|40=1", UNSUPPORTED, "Side(54)  is not supported"),
        (f"55=BTC-USD|54={'5' * 50}|38=1|40=1", UNSUPPORTED, f"Side(54) {'5' * 40}... is not"),
        (f"{OK}40=P", UNSUPPORTED, "OrdType(40) P is not supported"),
        (OK[:-1], UNSUPPORTED, "OrdType(40)  is not supported"),
        (f"{OK}40=2|44=1|59=2", UNSUPPORTED, "TimeInForce(59) 2 is not supported"),
        (f"{OK}40=2|44=1|18=6 M", UNSUPPORTED, "ExecInst(18) 6 M is not supported"),
        (f"{OK}40=2|44=1|18=G", UNSUPPORTED, "ExecInst(18) G is not supported"),
        (f"{OK}40=2|44=1|21=3", UNSUPPORTED, "HandlInst(21) 3 (manual) is not supported"),
        (f"{OK}40=2|44=1|20005=9", R.INVALID_FIELD, "SelfTradePrevention(20005) 9 is not one of"),
        (f"{OK}40=2", UNSUPPORTED, "Price(44) is needed for a limit order"),
        (f"{OK}40=1|44=1", UNSUPPORTED, "Price(44) does not go with a market order"),
        (f"{OK}40=4|44=1", UNSUPPORTED, "StopPx(99) is needed for a stop-limit order"),
        (f"{OK}40=2|44=1|99=1", UNSUPPORTED, "StopPx(99) does not go with a limit order"),
        (f"{OK}40=2|44=0", R.INVALID_PRICE, "Price(44) must be greater than zero"),
        (f"{OK}40=2|44=-1", R.INVALID_PRICE, "Price(44) '-1' is not a plain decimal number"),
        (f"{OK}40=2|44=1.001", R.INVALID_PRICE, "Price(44) 1.001 is not a multiple of the tick"),
        (f"{OK}40=2|44=1000000.01", R.PRICE_TOO_LARGE, "is above the maximum 1000000 of BTC-USD"),
        (f"{OK}40=2|44={'9' * 30}", R.PRICE_TOO_LARGE, "is above the maximum 1000000"),
        ("55=BTC-USD|54=1|40=1", R.INVALID_QUANTITY, "OrderQty(38) is needed"),
        ("55=BTC-USD|54=1|40=1|38=0", R.INVALID_QUANTITY, "OrderQty(38) must be greater than"),
        ("55=BTC-USD|54=1|40=1|38=1e5", R.INVALID_QUANTITY, "is not a plain decimal number"),
        ("55=BTC-USD|54=1|40=1|38=0.000001", R.INVALID_QUANTITY, "not a multiple of the lot"),
        ("55=BTC-USD|54=1|40=1|38=1000.00001", R.QUANTITY_TOO_LARGE, "above the maximum 1000"),
        (f"{OK}40=1|152=5", UNSUPPORTED, "CashOrderQty(152) goes only with a market order"),
        ("55=BTC-USD|54=1|152=5|40=2|44=1", UNSUPPORTED, "CashOrderQty(152) goes only with"),
        ("55=BTC-USD|54=1|152=0|40=1", R.INVALID_QUANTITY, "must be greater than zero"),
        ("55=BTC-USD|54=1|152=x|40=1", R.INVALID_QUANTITY, "is not a plain decimal number"),
        (f"{OK}40=2|44=1|59=3|110=0", R.INVALID_QUANTITY, "MinQty(110) must be greater than zero"),
        (f"{OK}40=2|44=1|111=x", R.INVALID_QUANTITY, "MaxFloor(111) 'x' is not a plain"),
        (f"{OK}40=2|44=1|59=6", R.INVALID_EXPIRY, "ExpireTime(126) is needed with"),
        (f"{OK}40=2|44=1|126=20260105-10:00:00", R.INVALID_EXPIRY, "ExpireTime(126) goes only"),
        (f"{OK}40=2|44=1|59=6|126=soon", R.INVALID_EXPIRY, "ExpireTime(126) soon is not a UTC"),
        (f"1=bob|{OK}40=2|44=1", R.UNKNOWN_ACCOUNT, "Account(1) bob is not an account of your"),
    ],
)
def test_what_has_no_form_as_a_command_is_refused(
    line: str, reason: RejectReason, text: str
) -> None:
    found = refusal(f"{D}{line}")
    assert found.reason is reason
    assert text in found.text
    assert (found.request, found.client_order_id) == (RequestKind.NEW, "A1")
    assert found.origin == Origin("fix:ALICE", 3, 7)
    assert found.account == "alice"


def test_a_refusal_keeps_what_its_report_repeats() -> None:
    found = refusal("35=D|11=A1|55=X|54=2|60=20260105-09:30:00|38=1|40=2|44=1.5|59=1|526=m1")
    assert (found.symbol, found.side, found.ord_type) == ("X", Side.SELL, OrdType.LIMIT)
    assert (found.qty_text, found.price_text, found.strategy) == ("1", "1.5", "m1")
    assert found.echo == "1=alice|55=X|54=2|38=1|40=2|59=1|44=1.5|".replace("|", SOH)


def test_a_small_quantity_is_told_from_a_wrong_one() -> None:
    made = dict(INSTRUMENTS)
    made["BTC-USD"] = made["BTC-USD"]._replace(min_qty=10)
    text = f"8=FIX.4.4|35=D|{LIMIT.replace('38=1.5', '38=0.00001')}|34=7|10=000|"
    found = translate(text.replace("|", SOH), sessions()["ALICE"], 3, made, START_US)
    assert isinstance(found, RecordRefusal)
    assert found.reason is R.QUANTITY_TOO_SMALL


@pytest.mark.parametrize("msg_type", ["D", "G"])
def test_an_old_copy_does_not_go_live_by_surprise(msg_type: str) -> None:
    line = f"35={msg_type}|43=Y|122=20260105-09:29:54.999|{LIMIT}|41=A0"
    found = refusal(line)
    assert found.reason is R.STALE_RESEND
    assert "more than 5 s old" in found.text
    fresh = read(line.replace("09:29:54.999", "09:29:55"))
    assert isinstance(fresh, NewOrder | ReplaceOrder)


def test_a_copy_without_a_readable_time_counts_as_old() -> None:
    assert refusal(f"35=D|43=Y|122=never|{LIMIT}").reason is R.STALE_RESEND


def test_cancels_are_done_however_old_they_are() -> None:
    old = "43=Y|122=20250101-00:00:00|11=A2|60=20260105-09:30:00"
    assert isinstance(read(f"35=F|{old}|41=A1|55=BTC-USD|54=1"), CancelOrder)
    assert isinstance(read(f"35=q|{old}|530=7"), MassCancel)


def test_text_that_is_not_ascii_is_refused_and_not_kept() -> None:
    found = refusal(f"35=D|{LIMIT}|58=\N{EURO SIGN}|526=\N{EURO SIGN}")
    assert found.reason is R.INVALID_FIELD
    assert found.strategy == "?"
    assert all(value.isascii() for value in found if isinstance(value, str))


def test_a_message_that_is_too_long_is_refused_without_keeping_it() -> None:
    found = refusal(f"35=D|{LIMIT}|58={'x' * 70_000}".replace("11=A1", f"11={'A' * 100}"))
    assert (found.reason, found.request) == (R.MESSAGE_TOO_BIG, RequestKind.OTHER)
    assert len(found.client_order_id) < 50


def test_a_drop_copy_session_changes_nothing() -> None:
    for line in (f"35=D|{LIMIT}", "35=q|11=A1|530=7", "35=UB|66=x"):
        found = refusal(line, comp_id="DROP")
        assert (found.reason, found.request) == (R.NOT_PERMITTED, RequestKind.OTHER)


def test_a_message_type_that_is_not_supported_has_no_meaning() -> None:
    assert read("35=R|131=x") is None
    assert read("35=8|37=x") is None
