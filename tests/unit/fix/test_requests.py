"""Requests in, responses out: H, AF, x, AD, BB, UD; each response is validated by QuickFIX."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from engine.core.types import (
    Balance,
    InstrumentRow,
    InstrumentStatus,
    Liquidity,
    OrderRow,
    OrderTerms,
    OrdStatus,
    OrdType,
    SelfTrade,
    Side,
    TimeInForce,
)
from engine.history.rows import Fill
from fix_gateway.codec import responses, trade_reports
from fix_gateway.codec.requests import (
    BalancesQuery,
    InvalidRequest,
    MassStatusQuery,
    OrderStatusQuery,
    ReplayQuery,
    SecurityListQuery,
    TradesQuery,
)
from fix_gateway.codec.responses import Response
from tests.support.fix_desk import (
    START_US,
    FixDesk,
    fields,
    instruments,
    shown,
    validated,
    wire_text,
)

INSTRUMENTS = instruments()
TERMS = OrderTerms(
    12, "alice", "A2", "A1", "BTC-USD", Side.BUY, OrdType.LIMIT, TimeInForce.GTC, 150_000,
    4_000_025, 0, 0, 0, 0, 0, False, SelfTrade.NONE, "m1", False, "fix:ALICE", START_US,
)  # fmt: skip
ROW = OrderRow(
    TERMS, OrdStatus.PARTIALLY_FILLED, 100_000, 50_000, 50_000 * 4_000_025, 0, 0, "USD",
    100_000, False, START_US,
)  # fmt: skip


def seen(answer: Response) -> dict[str, str]:
    """An answer's fields, after QuickFIX has found nothing wrong with it."""
    validated(wire_text(answer.msg_type, answer.body, "TANDEM", "ALICE", 3))
    assert "\x0120002=" not in answer.body
    assert "\x0120007=" not in answer.body
    return fields(shown(answer.msg_type, answer.body))


def asked(line: str, comp_id: str = "ALICE") -> Any:
    desk = FixDesk([comp_id])
    assert desk.send(comp_id, line) == []
    return desk.query


def test_an_order_status_request_is_read() -> None:
    found = asked("35=H|11=A1|790=R|55=BTC-USD|54=1")
    assert found == OrderStatusQuery(1, "", "A1", 0, "R", "BTC-USD", "1")
    assert asked("35=H|37=5|1=alice2|55=BTC-USD|54=1").order_id == 5


def test_row_G_1_c_the_status_of_a_known_order() -> None:
    query = OrderStatusQuery(1, "", "A1", 0, "R", "BTC-USD", "1")
    report = seen(responses.answer_order_status(query, ROW, INSTRUMENTS, 99, START_US))
    expected = {
        "35": "8", "37": "12", "11": "A2", "17": "0", "150": "I", "39": "1", "38": "1.5",
        "14": "0.5", "151": "1", "6": "40000.25", "790": "R", "20001": "99", "526": "m1",
    }  # fmt: skip
    assert {tag: report[tag] for tag in expected} == expected


@pytest.mark.parametrize(
    ("row", "symbol", "side"),
    [(None, "BTC-USD", "1"), (ROW, "ETH-USD", "1"), (ROW, "BTC-USD", "2")],
)
def test_row_G_1_a_the_status_of_an_unknown_order(
    row: OrderRow | None, symbol: str, side: str
) -> None:
    query = OrderStatusQuery(1, "", "A9", 0, "", symbol, side)
    report = seen(responses.answer_order_status(query, row, INSTRUMENTS, 99, START_US))
    expected = {
        "37": "NONE", "11": "A9", "17": "0", "150": "I", "39": "8", "103": "5", "151": "0",
        "14": "0", "6": "0", "55": symbol, "54": side,
    }  # fmt: skip
    assert {tag: report[tag] for tag in expected} == expected


def test_a_mass_status_request_is_read() -> None:
    assert asked("35=AF|584=M|585=7") == MassStatusQuery(1, "M", "", "", None, "")
    found = asked("35=AF|584=M|585=1|55=BTC-USD|54=2|1=alice2|526=m1")
    assert found == MassStatusQuery(1, "M", "alice2", "BTC-USD", Side.SELL, "m1")


def test_mass_status_reports_are_counted_and_the_last_is_marked() -> None:
    query = MassStatusQuery(1, "M", "", "", None, "")
    found = responses.answer_mass_status(query, [ROW, ROW, ROW], INSTRUMENTS, 99, START_US)
    marks = [(r["584"], r["911"], r["912"], r["150"], r["17"]) for r in map(seen, found)]
    assert marks == [("M", "3", last, "I", "0") for last in ("N", "N", "Y")]


def test_an_empty_mass_status_is_answered() -> None:
    query = MassStatusQuery(1, "M", "", "", None, "")
    (only,) = map(seen, responses.answer_mass_status(query, [], INSTRUMENTS, 99, START_US))
    expected = {"584": "M", "911": "0", "912": "Y", "37": "NONE", "39": "8", "55": "[N/A]"}
    assert {tag: only[tag] for tag in expected} == expected


def test_the_snapshot_at_logon_ends_with_news() -> None:
    snapshot = partial(
        responses.open_order_snapshot,
        instruments=INSTRUMENTS, as_of_seq=99, now_us=START_US, source="fix:ALICE",
    )  # fmt: skip
    found = [seen(a) for a in snapshot([ROW, ROW])]
    assert [report["35"] for report in found] == ["8", "8", "B"]
    assert found[-1]["148"] == "Open order snapshot complete"
    assert (found[-1]["20018"], found[-1]["20001"]) == ("2", "99")
    (alone,) = map(seen, snapshot([]))
    assert (alone["35"], alone["20018"]) == ("B", "0")


def test_the_security_list_has_grid_and_bounds() -> None:
    assert asked("35=x|320=S|559=4") == SecurityListQuery(1, "S", "")
    assert asked("35=x|320=S|559=0|55=BTC-USD") == SecurityListQuery(1, "S", "BTC-USD")
    states = {"BTC-USD": InstrumentRow("BTC-USD", InstrumentStatus.HALTED, 0)}
    query = SecurityListQuery(1, "S", "BTC-USD")
    (one,) = map(seen, responses.answer_security_list(query, INSTRUMENTS, states, 99))
    expected = {
        "35": "y", "320": "S", "560": "0", "393": "1", "893": "Y", "146": "1", "55": "BTC-USD",
        "15": "USD", "561": "0.00001", "562": "0.00001", "326": "2", "969": "0.01",
        "1140": "1000", "1149": "1000000", "20021": "BTC", "20001": "99",
    }  # fmt: skip
    assert {tag: one[tag] for tag in expected} == expected
    assert "1148" not in one and "1150" not in one
    row = states["BTC-USD"]._replace(reference=100, band_low=90, band_high=110)
    banded = {"BTC-USD": row}
    (one,) = map(seen, responses.answer_security_list(query, INSTRUMENTS, banded, 99))
    assert (one["1148"], one["1149"], one["1150"]) == ("0.9", "1.1", "1")
    (every,) = responses.answer_security_list(SecurityListQuery(1, "S", ""), INSTRUMENTS, {}, 99)
    assert [part for part in every.body.split("\x01") if part.startswith("55=")] == [
        "55=BTC-USD", "55=ETH-BTC", "55=ETH-USD",
    ]  # fmt: skip
    (none,) = responses.answer_security_list(SecurityListQuery(1, "S", "X"), INSTRUMENTS, {}, 99)
    assert seen(none)["560"] == "2"


def test_a_long_security_list_comes_in_parts() -> None:
    many = {f"S{n:03d}": INSTRUMENTS["BTC-USD"]._replace(symbol=f"S{n:03d}") for n in range(201)}
    found = responses.answer_security_list(SecurityListQuery(1, "S", ""), many, {}, 99)
    assert [(r["393"], r["893"], r["146"]) for r in map(seen, found)] == [
        ("201", "N", "200"), ("201", "Y", "1"),
    ]  # fmt: skip


def test_balances_are_told_as_collateral() -> None:
    assert asked("35=BB|909=C") == BalancesQuery(1, "C", "", "")
    query = asked("35=BB|909=C|1=alice2|15=USD")
    assert query == BalancesQuery(1, "C", "alice2", "USD")
    rows = [
        Balance("alice2", "BTC", 1, 0, 1, 0),
        Balance("alice2", "USD", 300_000_000, 120_000_000, 180_000_000, 0),
    ]
    scales = {"BTC": 8, "USD": 8}
    (one,) = map(seen, responses.answer_balances(query, rows, scales, 99, START_US))
    expected = {
        "35": "BA", "909": "C", "1": "alice2", "15": "USD", "900": "3", "901": "1.2",
        "899": "1.8", "911": "1", "912": "Y", "20001": "99",
    }  # fmt: skip
    assert {tag: one[tag] for tag in expected} == expected
    (none,) = responses.answer_balances(query, rows[:1], scales, 99, START_US)
    assert (seen(none)["35"], seen(none)["911"]) == ("BG", "0")


FILL = Fill(
    7, 12, "alice", "A2", "A1", "m1", "BTC-USD", Side.BUY, 50_000, 4_000_025, Liquidity.MAKER,
    2_000_012_500_000, 1_000_006_250, "USD", START_US, 41, 2, 17,
)  # fmt: skip


def test_trade_reports_come_from_the_fills() -> None:
    query = asked("35=AD|568=T|569=1|55=BTC-USD|54=1|1=alice|37=12|880=7|526=m1|11=A2")
    assert query == TradesQuery(1, "T", "1", "alice", "BTC-USD", Side.BUY, "m1", 12, "A2", 7, 0, 0)
    found = [seen(a) for a in trade_reports.answer_trades(query, [FILL, FILL], INSTRUMENTS, 99)]
    assert [(r["748"], r["912"]) for r in found] == [("2", "N"), ("2", "Y")]
    expected = {
        "35": "AE", "568": "T", "571": "41-2", "17": "41-2", "880": "7", "32": "0.5",
        "31": "40000.25", "75": "20260105", "552": "1", "54": "1", "37": "12", "11": "A2",
        "526": "m1", "1": "alice", "12": "10.0000625", "381": "20000.125", "851": "1",
    }  # fmt: skip
    assert {tag: found[0][tag] for tag in expected} == expected
    (none,) = trade_reports.answer_trades(query, [], INSTRUMENTS, 99)
    assert (seen(none)["35"], seen(none)["748"], seen(none)["750"]) == ("AQ", "0", "1")
    assert seen(responses.trades_ack(query, "99", "2", "no history"))["750"] == "2"


@pytest.mark.parametrize(
    ("dates", "bounds"),
    [
        ("", (0, 0)),
        ("|580=1|60=20260105-10:00:00", (1_767_607_200_000_000, 0)),
        (
            "|580=2|60=20260105-10:00:00|60=20260105-10:00:01",
            (1_767_607_200_000_000, 1_767_607_201_000_000),
        ),
        ("|580=2|75=20260105|75=20260105", (1_767_571_200_000_000, 1_767_657_600_000_000)),
    ],
)
def test_the_period_of_a_trade_request(dates: str, bounds: tuple[int, int]) -> None:
    query = asked(f"35=AD|568=T|569=1{dates}")
    assert (query.from_us, query.until_us) == bounds


def test_a_replay_request_names_the_last_execution() -> None:
    assert asked("35=UD|20017=R|17=41-2") == ReplayQuery(1, "R", 41, 2, "41-2")
    assert asked("35=UD|20017=R") == ReplayQuery(1, "R", 0, -1)
    query = ReplayQuery(1, "R", 41, 2)
    end = seen(responses.replay_end(query, 5, "50-0", 99))
    assert (end["35"], end["20018"], end["20019"], end["17"]) == ("UE", "5", "0", "50-0")
    more = seen(responses.replay_end(query, 5, "50-0", 99, complete=False))
    assert more["20019"] == "2"
    gone = seen(responses.replay_refused(query, "too far back", 99))
    assert (gone["20019"], gone["58"]) == ("1", "Too far back")


@pytest.mark.parametrize(
    "exec_id", ["x", "0", "-", "1-", "0-0", "01-0", "1-00", "1-99999999999", f"{2**63}-0", "1-0-0"]
)
def test_what_is_no_exec_id_names_no_place(exec_id: str) -> None:
    assert asked(f"35=UD|20017=R|17={exec_id}") == ReplayQuery(1, "R", -1, -1, exec_id)


@pytest.mark.parametrize(
    ("line", "reason", "text"),
    [
        ("35=H|55=BTC-USD|54=1", "5", "ClOrdID(11) or OrderID(37) is needed"),
        ("35=H|37=x|55=BTC-USD|54=1", "1", "OrderID(37) x is not an order of your firm"),
        ("35=H|11=a|1=bob|55=BTC-USD|54=1", "6", "Account(1) bob is not an account"),
        ("35=AF|584=M|585=3", "0", "MassStatusReqType(585) 3 is not supported"),
        ("35=AF|584=M|585=1", "5", "Symbol(55) is needed with MassStatusReqType(585)=1"),
        ("35=AF|584=M|585=7|55=BTC-USD", "5", "Symbol(55) is needed with"),
        ("35=AF|584=M|585=7|54=5", "0", "Side(54) 5 is not supported"),
        ("35=x|320=S|559=1", "0", "SecurityListRequestType(559) 1 is not supported"),
        ("35=x|320=S|559=0", "5", "Symbol(55) is needed"),
        ("35=x|320=S|559=4|263=1", "0", "SubscriptionRequestType(263) must be 0"),
        ("35=BB|909=C|1=bob", "6", "Account(1) bob is not an account"),
    ],
)
def test_a_request_that_cannot_be_read(line: str, reason: str, text: str) -> None:
    query = asked(line)
    assert isinstance(query, InvalidRequest)
    reject = seen(responses.answer_invalid_request(query))
    assert (reject["35"], reject["45"], reject["380"]) == ("j", "1", reason)
    assert reject["372"] == line.split("|")[0].removeprefix("35=")
    assert text in reject["58"]


def test_a_drop_copy_session_may_ask() -> None:
    assert asked("35=AF|584=M|585=7", comp_id="DROP") == MassStatusQuery(1, "M", "", "", None, "")


def test_a_request_can_be_refused_for_now() -> None:
    for line in ("35=H|11=a|55=BTC-USD|54=1", "35=UD|20017=R", "35=AF|584=M|585=3"):
        reject = seen(responses.reject_query(asked(line), "4", "not now"))
        assert reject["372"] == line.split("|")[0].removeprefix("35=")


@pytest.mark.parametrize(
    ("line", "result", "text"),
    [
        ("35=AD|568=T|569=2", "8", "TradeRequestType(569) 2 is not supported"),
        ("35=AD|568=T|569=0|880=x", "99", "TrdMatchID(880) x is not a trade id"),
        ("35=AD|568=T|569=0|580=1|75=20260231", "99", "NoDates(580) holds a TradeDate"),
        ("35=AD|568=T|569=0|1=bob", "9", "Account(1) bob is not an account of your firm"),
        ("35=AD|568=T|569=0|263=1|880=7", "8", "TrdMatchID(880) names one trade that was"),
    ],
)
def test_what_cannot_be_served_of_a_trade_capture_request_is_said_by_its_ack(
    line: str, result: str, text: str
) -> None:
    """FIX has an answer of its own for it; a client of trade capture does not look for j."""
    query = asked(line)
    assert isinstance(query, InvalidRequest)
    ack = seen(responses.answer_invalid_request(query))
    assert [ack[tag] for tag in ("35", "568", "749", "750")] == ["AQ", "T", result, "2"]
    assert ack["569"] == line[line.index("569=") + 4]
    assert text in ack["58"]


def test_a_trade_capture_request_that_finds_no_place_is_refused_by_its_ack() -> None:
    query = asked("35=AD|568=T|569=1|263=1|55=BTC-USD")
    ack = seen(responses.reject_query(query, "4", "too many requests wait"))
    assert [ack[tag] for tag in ("35", "749", "750", "55")] == ["AQ", "99", "2", "BTC-USD"]
