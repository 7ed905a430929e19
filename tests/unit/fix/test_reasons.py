"""Every reason of refusal as a client sees it: MsgType, FIX's number for it, and our code."""

from __future__ import annotations

import pytest

from engine.core.commands import StartEpoch
from engine.core.types import InstrumentStatus, Origin, RejectReason
from fix_gateway.codec.reject_codes import CXL_REJ_REASON, ORD_REJ_REASON
from tests.support.fix_desk import FixDesk, fields

TIME = "60=20260105-09:30:00"
BTC = f"55=BTC-USD|54=1|{TIME}"
REST = f"35=D|11=A1|{BTC}|38=1|40=2|44=40000|59=1"


def order(more: str, own_id: str = "X") -> str:
    return f"35=D|11={own_id}|{BTC}|{more}"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (order("1=bob|38=1|40=1"), "8 15 unknown_account"),
        (order("38=1|40=1").replace("BTC-USD", "X-USD"), "8 1 unknown_symbol"),
        (order("38=1|40=2|44=1", "A1"), "8 6 duplicate_client_order_id"),
        (order("38=1|40=2|44=1", "x" * 65), "8 99 invalid_client_order_id"),
        (order("38=1|40=2|44=1", "a b"), "8 99 invalid_client_order_id"),
        (order("38=0|40=2|44=1"), "8 13 invalid_quantity"),
        (order("38=1|40=2|44=1|111=2"), "8 13 invalid_quantity"),
        (order("38=1|40=2|44=1|59=3|110=2"), "8 13 invalid_quantity"),
        (order("38=1000.00001|40=2|44=1"), "8 3 quantity_too_large"),
        (order("38=1|40=2|44=0.001"), "8 99 invalid_price"),
        (order("38=1|40=2|44=1000000.01"), "8 3 price_too_large"),
        (order("38=1|40=1|18=6"), "8 11 unsupported_combination"),
        (order("38=1|40=2|44=1|59=1|110=1"), "8 11 unsupported_combination"),
        (order("38=1|40=3|99=1|59=4"), "8 11 unsupported_combination"),
        (order("38=1|40=2|44=1|59=6|126=20200101-00:00:00"), "8 99 invalid_expiry"),
        (order("38=1000|40=2|44=900000"), "8 3 insufficient_funds"),
        (order("38=1|40=2|44=30000|59=1|18=6").replace("54=1", "54=2"),
         "8 99 post_only_would_trade"),
        (order("152=100|40=1"), "8 99 no_liquidity"),
        (order("38=1|40=2|44=1|526=" + "x" * 33), "8 99 invalid_field"),
        (order("38=1|40=2|44=1").replace("|11=X", "|43=Y|122=20250101-00:00:00|11=X"),
         "8 4 stale_resend"),
        (f"35=F|11=X|41=A1|1=bob|{BTC}", "9 99 unknown_account"),
        (f"35=F|11=X|41=no|{BTC}", "9 1 unknown_order"),
        (f"35=F|11=X|37=99|{BTC}", "9 1 unknown_order"),
        (f"35=F|11=X|41=A1|37=99|{BTC}", "9 1 unknown_order"),
        (f"35=F|11=X|{BTC}", "9 99 invalid_field"),
        (f"35=F|11=X|41=A1|{BTC}".replace("54=1", "54=2"), "9 2 mismatch"),
        (f"35=F|11=a b|41=A1|{BTC}", "9 99 invalid_client_order_id"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|38=0", "9 99 invalid_quantity"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|44=0.001", "9 99 invalid_price"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|44=1000001", "9 99 price_too_large"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|38=1000|44=900000", "9 99 insufficient_funds"),
        (f"35=G|11=A1|41=A1|{BTC}|40=2|38=2", "9 6 duplicate_client_order_id"),
        (f"35=G|11=X|41=A1|{BTC}|40=3|38=2", "9 2 mismatch"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|59=3", "9 99 unsupported_combination"),
        (f"35=G|11=X|41=A1|{BTC}|40=2|59=6|126=20200101-00:00:00", "9 99 invalid_expiry"),
        (f"35=G|11=X|41=A1|{BTC}|40=2".replace("BTC-USD", "X-USD"), "9 2 unknown_symbol"),
    ],
)  # fmt: skip
def test_the_reason_of_a_refusal(line: str, answer: str) -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", REST)
    report = desk.report("ALICE", line)
    number = report["103"] if report["35"] == "8" else report["102"]
    assert f"{report['35']} {number} {report['20016']}" == answer
    assert report["58"]
    assert report["58"][0].isupper()


def test_two_ids_that_name_two_orders_name_none() -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", REST)
    desk.send("ALICE", order("38=1|40=2|44=1", "A2"))
    report = desk.report("ALICE", f"35=F|11=X|41=A2|37=1|{BTC}")
    assert [report[tag] for tag in ("37", "39", "102", "20016")] == ["NONE", "8", "1", "mismatch"]


def test_an_account_can_be_full() -> None:
    desk = FixDesk(["ALICE"], open_orders_max=1)
    desk.send("ALICE", REST)
    report = desk.report("ALICE", order("38=1|40=2|44=1"))
    assert (report["103"], report["20016"]) == ("3", "too_many_open_orders")


def test_a_halted_instrument_takes_no_replace() -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", REST)
    desk.halt("BTC-USD", InstrumentStatus.HALTED)
    report = desk.report("ALICE", f"35=G|11=X|41=A1|{BTC}|40=2|38=2")
    assert (report["102"], report["20016"]) == ("99", "instrument_halted")


def test_a_session_of_the_past_is_refused() -> None:
    desk = FixDesk(["ALICE"])
    desk.apply(StartEpoch(Origin("fix:ALICE", 2), "alice", (0, 0, 0), "141=Y"))
    report = desk.report("ALICE", REST)
    assert (report["35"], report["103"], report["20016"]) == ("8", "99", "stale_epoch")


@pytest.mark.parametrize(
    ("line", "number", "code"),
    [
        ("530=5", "0", "unsupported_combination"),
        ("530=1|55=X-USD", "1", "unknown_symbol"),
        ("530=7|20008=0|1=bob", "99", "unknown_account"),
        ("530=7|55=BTC-USD", "99", "invalid_field"),
    ],
)
def test_the_reason_of_a_refused_mass_cancel(line: str, number: str, code: str) -> None:
    report = FixDesk(["ALICE"]).report("ALICE", f"35=q|11=X|{line}|{TIME}")
    assert (report["35"], report["531"]) == ("r", "0")
    assert (report["532"], report["20016"], report["530"]) == (number, code, line[4])


def test_a_message_that_is_too_long_is_business_rejected() -> None:
    report = FixDesk(["ALICE"]).report("ALICE", order("38=1|40=1|58=" + "x" * 70_000))
    assert [report[tag] for tag in ("35", "372", "379", "380", "20016")] == [
        "j", "D", "X", "0", "message_too_big",
    ]  # fmt: skip


def test_the_tables_hold_only_reasons_with_a_number_of_their_own() -> None:
    assert "99" not in ORD_REJ_REASON.values()
    assert "99" not in CXL_REJ_REASON.values()
    assert all(isinstance(reason, RejectReason) for reason in ORD_REJ_REASON)


def test_one_refused_entry_leaves_the_others_alone() -> None:
    desk = FixDesk(["ALICE"])
    rows = f"11=A|67=1|{BTC}|38=1|40=2|44=0.001|11=B|67=2|{BTC}|38=1|40=2|44=1"
    told = [fields(text) for _, text in desk.send("ALICE", f"35=E|66=L|394=3|68=2|73=2|{rows}")]
    assert [(report["35"], report.get("150")) for report in told] == [
        ("8", "8"), ("8", "0"), ("N", None),
    ]  # fmt: skip
