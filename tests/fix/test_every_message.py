"""Every message of spec/FIX.md over the real gateway, with a client that is not QuickFIX."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from engine.client import queries
from tests.fix.conftest import Connect
from tests.fix.processes import Process, Venue
from tests.fix.rawfix import RawFix, now_text
from tests.support import pace

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def alice(connect: Connect) -> Iterator[RawFix]:
    """ALICE, logged on with numbers from 1 and without open orders."""
    client = connect("ALICE")
    client.logon(reset=True)
    client.send("q", f"11={unique('clean')}|530=7|20008=1|60={now_text()}|")
    while client.receive()["35"] != "r":
        pass
    yield client


_numbers = count(1)


def unique(name: str) -> str:
    """An id that no test has used before."""
    return f"{name}-{next(_numbers)}"


def order(own_id: str, more: str = "38=0.01|40=2|44=100|59=1|") -> str:
    return f"11={own_id}|55=BTC-USD|54=1|60={now_text()}|{more}"


def change(own_id: str, orig: str, more: str = "") -> str:
    return f"11={own_id}|41={orig}|55=BTC-USD|54=1|60={now_text()}|{more}"


def test_an_order_is_entered_replaced_asked_about_and_canceled(alice: RawFix) -> None:
    first, second, third = unique("a"), unique("b"), unique("c")
    alice.send("D", order(first, "38=0.01|40=2|44=100|59=1|526=m1|"))
    new = alice.expect("8")
    assert (new["150"], new["11"], new["151"], new["526"]) == ("0", first, "0.01", "m1")
    alice.send("G", change(second, first, "40=2|38=0.02|"))
    replaced = alice.expect("8")
    assert (replaced["150"], replaced["11"], replaced["41"], replaced["38"]) == (
        "5", second, first, "0.02",
    )  # fmt: skip
    alice.send("H", f"11={first}|790=Q|55=BTC-USD|54=1|")
    status = alice.expect("8")
    assert [status[tag] for tag in ("150", "17", "11", "39", "38", "790", "37")] == [
        "I", "0", second, "0", "0.02", "Q", new["37"],
    ]  # fmt: skip
    assert int(status["20001"]) >= int(replaced["20001"])
    alice.send("F", change(third, second))
    canceled = alice.expect("8")
    assert (canceled["150"], canceled["11"], canceled["41"], canceled["151"]) == (
        "4", third, second, "0",
    )  # fmt: skip
    alice.send("F", change(unique("d"), second))
    late = alice.expect("9")
    assert (late["39"], late["102"], late["37"]) == ("4", "0", new["37"])


def test_the_money_of_a_canceled_order_is_free_when_its_cancel_is_told(alice: RawFix) -> None:
    everything = "38=1000|40=2|44=1|59=1|"
    sell = order(unique("s"), everything).replace("54=1|", "54=2|")
    alice.send("D", sell)
    assert alice.expect("8")["150"] == "0"
    for _ in range(3):
        orig = sell.split("|")[0].removeprefix("11=")
        alice.send("F", change(unique("f"), orig).replace("54=1|", "54=2|"))
        sell = order(unique("s"), everything).replace("54=1|", "54=2|")
        alice.send("D", sell)
        assert [alice.expect("8")["150"] for _ in range(2)] == ["4", "0"]


def test_a_list_a_batch_and_a_mass_cancel(alice: RawFix) -> None:
    run = unique("r")
    rows = "".join(
        f"11={run}{n}|67={n}|55=BTC-USD|54=1|38=0.01|40=2|44=10{n}|59=1|" for n in range(1, 51)
    )
    alice.send("E", f"66=L{run}|394=3|68=50|73=50|{rows}")
    assert {report["150"] for report in alice.collect(50)} == {"0"}
    status = alice.expect("N")
    assert (status["66"], status["431"], status["68"], status["73"]) == (f"L{run}", "3", "50", "50")
    alice.send(
        "UB",
        f"66=B{run}|60={now_text()}|20010=3|"
        f"20011=F|11={run}x|41={run}1|55=BTC-USD|54=1|"
        f"20011=G|11={run}y|41={run}2|55=BTC-USD|54=1|38=0.02|"
        f"20011=D|11={run}z|55=ETH-USD|54=1|38=1|40=2|44=5.001|59=1|",
    )
    assert [report["150"] for report in alice.collect(3)] == ["4", "5", "8"]
    summary = alice.expect("UC")
    assert (summary["20014"], summary["20015"], summary["20010"]) == ("0", "2", "3")
    alice.send("q", f"11=Q{run}|530=1|55=BTC-USD|60={now_text()}|")
    assert {report["150"] for report in alice.collect(49)} == {"4"}
    report = alice.expect("r")
    assert (report["531"], report["533"], report["534"]) == ("1", "49", "49")
    assert report.text.count("\x01535=") == 49


def test_requests_are_answered(alice: RawFix) -> None:
    ids = [unique("a"), unique("b")]
    for own_id in ids:
        alice.send("D", order(own_id))
        alice.expect("8")
    alice.send("AF", "584=M1|585=7|")
    reports = alice.collect(2)
    assert [report["11"] for report in reports] == ids
    assert [(r["584"], r["911"], r["912"]) for r in reports] == [("M1", "2", "N"), ("M1", "2", "Y")]
    alice.send("AF", "584=M2|585=1|55=ETH-USD|")
    empty = alice.expect("8")
    assert (empty["911"], empty["912"], empty["37"], empty["39"]) == ("0", "Y", "NONE", "8")
    alice.send("H", "11=nobody|55=BTC-USD|54=1|")
    unknown = alice.expect("8")
    assert (unknown["150"], unknown["39"], unknown["103"]) == ("I", "8", "5")
    alice.send("x", "320=S|559=4|")
    securities = alice.expect("y")
    assert (securities["560"], securities["146"]) == ("0", "3")
    alice.send("BB", "909=C|15=USD|")
    balance = alice.expect("BA")
    assert balance["1"] == "alice"
    assert float(balance["900"]) == float(balance["901"]) + float(balance["899"])
    assert float(balance["901"]) > 0
    alice.send("AF", "584=M3|585=3|")
    assert alice.expect("j")["372"] == "AF"


def test_reports_are_replayed_after_an_execution_id(alice: RawFix) -> None:
    reports = []
    for _ in range(4):
        alice.send("D", order(unique("a")))
        reports.append(alice.expect("8"))
    alice.send("UD", f"20017=R|17={reports[0]['17']}|")
    again = alice.collect(3)
    assert [report["17"] for report in again] == [report["17"] for report in reports[1:]]
    assert {report["97"] for report in again} == {"Y"}
    assert all(report.cursor is None for report in again)
    end = alice.expect("UE")
    assert (end["20017"], end["20018"], end["20019"], end["17"]) == (
        "R", "3", "0", reports[-1]["17"],
    )  # fmt: skip


def test_a_replay_from_an_unknown_execution_is_refused(alice: RawFix, connect: Connect) -> None:
    """One ahead of the venue, one that was another firm's or nobody's, one that is none at all."""
    own = unique("own")
    alice.send("D", order(own))
    report = alice.expect("8")
    bob = connect("BOB")
    bob.logon(reset=True)
    bob.send("D", order(unique("bob")))
    other = bob.expect("8")["17"]
    bob.send("q", f"11={unique('gone')}|530=7|60={now_text()}|")
    bob.collect(1, "r")
    ahead = f"{int(other.partition('-')[0]) + 1_000_000}-0"
    never = f"{report['20001']}-9"
    for exec_id in (ahead, never, other, "x", "0", "1-99999999999999999999"):
        alice.send("UD", f"20017=R|17={exec_id}|")
        end = alice.expect("UE")
        assert (end["20017"], end["20018"], end["20019"]) == ("R", "0", "1"), exec_id
        assert end["58"] == (
            f"ExecID(17) {exec_id} is unknown: no ExecutionReport for this session has it; "
            "leave it out to have all"
        )
        assert int(end["20001"]) < 1_000_000, "the venue's own sequence, not the client's"
    alice.send("UD", f"20017=R|17={report['17']}|")
    end = alice.expect("UE")
    assert (end["20018"], end["20019"]) == ("0", "0"), "the newest report is known"
    bob.logout()


def test_trades_come_from_the_history(alice: RawFix, connect: Connect, venue: Venue) -> None:
    bob = connect("BOB")
    bob.logon(reset=True)
    run = unique("t")
    alice.send("D", order(f"{run}a", "38=0.03|40=2|44=100|59=1|526=m1|"))
    alice.expect("8")
    bob.send("D", order(f"{run}b", "38=0.02|40=2|44=100|59=3|").replace("54=1|", "54=2|"))
    fill = alice.expect("8")
    history = Process("engine.history.main", venue.environment)
    try:
        history.wait_for("ready")
        deadline = time.monotonic() + pace.seconds(20)
        while True:
            alice.send("AD", f"568=T|569=1|55=BTC-USD|11={run}a|")
            answer = alice.receive()
            if answer["35"] == "AE" or time.monotonic() > deadline:
                break
            assert answer["35"] in ("AQ", "j"), answer
        assert [answer[tag] for tag in ("17", "880", "32", "31", "526", "12", "748", "912")] == [
            fill["17"], fill["880"], "0.02", "100", "m1", fill["12"], "1", "Y",
        ]  # fmt: skip
    finally:
        history.stop()


@pytest.mark.parametrize(
    ("msg_type", "fields", "reason"),
    [
        ("D", "11=a|55=BTC-USD|54=1|60={now}|38=1|40=2|44=1|20099=1|", "0"),
        ("D", "55=BTC-USD|54=1|60={now}|38=1|40=2|44=1|", "1"),
        ("D", "11=a|55=BTC-USD|54=1|60={now}|38=1|40=2|44=1|41=b|", "2"),
        ("D", "11=|55=BTC-USD|54=1|60={now}|38=1|40=2|44=1|", "4"),
        ("D", "11=a|55=BTC-USD|54=Q|60={now}|38=1|40=2|44=1|", "5"),
        ("D", "11=a|55=BTC-USD|54=1|60={now}|38=x|40=2|44=1|", "6"),
        ("ZZ", "58=x|", "11"),
        ("D", "11=a|55=BTC-USD|54=1|60={now}|38=1|40=2|44=1|44=1|", "13"),
        ("UB", "66=a|60={now}|20010=2|20011=F|11=a|41=b|55=BTC-USD|54=1|", "16"),
    ],
)
def test_session_level_rejects(alice: RawFix, msg_type: str, fields: str, reason: str) -> None:
    num = alice.num
    alice.send(msg_type, fields.replace("{now}", now_text()))
    reject = alice.expect("3")
    assert (reject["373"], reject["45"]) == (reason, str(num))
    alice.send("D", order(unique("after")))
    assert alice.expect("8")["150"] == "0"


@pytest.mark.parametrize("fields", ["c|320=1|321=0|", "M|66=1|"])
def test_case_2r_a_type_that_is_not_served(alice: RawFix, fields: str) -> None:
    msg_type, _, body = fields.partition("|")
    alice.send(msg_type, body)
    reject = alice.expect("j")
    assert (reject["372"], reject["380"]) == (msg_type, "3")


def test_cases_19a_and_b_possible_resends(alice: RawFix) -> None:
    own_id = unique("a")
    alice.send("D", order(own_id), extra="97=Y|")
    assert alice.expect("8")["150"] == "0"
    alice.send("D", order(own_id), extra="97=Y|")
    again = alice.expect("8")
    assert (again["150"], again["17"], again["39"]) == ("I", "0", "0")
    alice.send("D", order(own_id))
    twice = alice.expect("8")
    assert (twice["150"], twice["103"], twice["39"]) == ("8", "6", "0")


def test_refused_forms_and_values(alice: RawFix, venue: Venue) -> None:
    alice.send("D", order(unique("a"), "38=0.01|40=2|44=100.001|59=1|"))
    refused = alice.expect("8")
    assert (refused["150"], refused["103"], refused["20016"]) == ("8", "99", "invalid_price")
    assert (refused["44"], refused["38"], refused["59"]) == ("100.001", "0.01", "1")
    alice.send("E", "66=L|394=1|68=1|73=1|11=a|67=1|55=BTC-USD|54=1|38=1|40=1|")
    status = alice.expect("N")
    assert (status["431"], status["20016"]) == ("7", "invalid_batch")
    alice.send("q", f"11=q|530=2|60={now_text()}|")
    mass = alice.expect("r")
    assert (mass["531"], mass["532"], mass["530"]) == ("0", "0", "2")
    assert venue.client().fetch(queries.Check()).value == []


def test_a_snapshot_of_the_open_orders_follows_the_logon(alice: RawFix, connect: Connect) -> None:
    ids = [unique("a"), unique("b")]
    for own_id in ids:
        alice.send("D", order(own_id))
        alice.expect("8")
    alice.logout()
    back = connect("ALICE", num=alice.num)
    back.logon(extra="20006=Y|")
    reports = back.collect(2)
    assert [(r["11"], r["150"], r["17"], r["911"], r["912"]) for r in reports] == [
        (ids[0], "I", "0", "2", "N"), (ids[1], "I", "0", "2", "Y"),
    ]  # fmt: skip
    end = back.expect("B")
    assert (end["148"], end["20018"]) == ("Open order snapshot complete", "2")
    assert int(end["20001"]) >= 1
