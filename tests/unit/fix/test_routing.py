"""Who is told: the rules of spec/FIX.md. FixDesk holds Router and messages() together."""

from __future__ import annotations

import pytest

from engine.core.commands import CancelOrder, NewOrder, RecordRefusal
from engine.core.types import (
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    Side,
    TimeInForce,
)
from tests.support.fix_desk import FixDesk, fields

ALL = ("ALICE", "ALICE2", "DESK", "DROP", "BOB")
BUY = "35=D|11=A1|55=BTC-USD|54=1|60=20260105-09:30:00|38=1|40=2|44=40000|59=1"


@pytest.fixture
def desk() -> FixDesk:
    return FixDesk(ALL)


def names(told: list[tuple[str, str]], msg_type: str = "8") -> list[str]:
    return sorted(name for name, text in told if fields(text)["35"] == msg_type)


def test_the_owner_is_told_and_who_watches_the_firm(desk: FixDesk) -> None:
    assert names(desk.send("ALICE", BUY)) == ["ALICE", "DESK", "DROP"]


def test_an_order_from_rest_reports_to_no_session_that_did_not_ask_for_it(desk: FixDesk) -> None:
    command = NewOrder(
        Origin("api:key"), "alice", "R1", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 100, 100,
    )  # fmt: skip
    assert names(desk.apply(command)) == ["DESK", "DROP"]


def test_a_cancel_from_rest_is_reported_to_the_owner_as_if_unasked(desk: FixDesk) -> None:
    desk.send("ALICE", BUY)
    told = desk.apply(CancelOrder(Origin("api:key"), "alice", "", "A1"))
    assert names(told) == ["ALICE", "DESK", "DROP"]
    report = fields(told[0][1])
    assert (report["11"], report.get("41"), report["150"]) == ("A1", None, "4")


def test_a_cancel_by_another_session_is_told_to_both(desk: FixDesk) -> None:
    desk.send("ALICE2", BUY)
    told = desk.send("ALICE", "35=F|11=X|37=1|55=BTC-USD|54=1|60=20260105-09:30:00")
    assert names(told) == ["ALICE", "ALICE2", "DESK", "DROP"]
    assert {fields(text)["41"] for _, text in told} == {"A1"}


def test_a_replace_by_another_session_leaves_the_order_with_its_owner(desk: FixDesk) -> None:
    desk.send("ALICE2", BUY)
    line = "35=G|11=X|41=A1|1=alice2|55=BTC-USD|54=1|60=20260105-09:30:00|40=2|38=2"
    assert names(desk.send("ALICE", line)) == ["ALICE", "ALICE2", "DESK", "DROP"]
    fill = desk.send("BOB", BUY.replace("54=1", "54=2"))
    assert names(fill) == ["ALICE2", "BOB", "BOB", "DESK", "DROP"]


def test_refusals_are_for_who_asked_and_drop_copy(desk: FixDesk) -> None:
    refused = desk.send("ALICE", "35=F|11=X|41=no|55=BTC-USD|54=1|60=20260105-09:30:00")
    assert names(refused, "9") == ["ALICE", "DROP"]
    bad_order = desk.send("ALICE", BUY.replace("38=1", "38=0"))
    assert names(bad_order) == ["ALICE", "DESK", "DROP"]
    mass = desk.send("ALICE", "35=q|11=Q|530=7|60=20260105-09:30:00")
    assert names(mass, "r") == ["ALICE", "DROP"]


def test_an_answer_to_a_possible_resend_is_for_who_asked_and_drop_copy(desk: FixDesk) -> None:
    desk.send("ALICE", BUY)
    assert names(desk.send("ALICE", BUY.replace("35=D", "35=D|97=Y"))) == ["ALICE", "DROP"]


def test_other_firms_are_told_nothing(desk: FixDesk) -> None:
    told = (
        desk.send("ALICE", BUY)
        + desk.send("ALICE", BUY)
        + desk.send("ALICE", "35=q|11=Q|530=7|60=20260105-09:30:00")
    )  # noqa: E501
    assert "BOB" not in [name for name, _ in told]


def test_a_mark_is_told_to_nobody(desk: FixDesk) -> None:
    mark = RecordRefusal(
        Origin("fix:ALICE", 1, 9), "alice", RequestKind.OTHER, RejectReason.INVALID_FIELD, "x",
        mark_only=True,
    )  # fmt: skip
    assert desk.apply(mark) == []


def test_a_message_is_business_rejected_to_who_sent_it(desk: FixDesk) -> None:
    ((name, text),) = desk.send("DROP", BUY)
    assert name == "DROP"
    report = fields(text)
    assert [report[tag] for tag in ("35", "45", "372", "379", "380", "20016")] == [
        "j", "1", "D", "A1", "6", "not_permitted",
    ]  # fmt: skip
