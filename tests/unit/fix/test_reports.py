"""Reports against FIX 4.4 Volume 4; a row of its Appendix D is cited where there is one."""

from __future__ import annotations

import pytest

from engine.core.commands import CancelOrder, CloseSession, OpenSession, Tick
from engine.core.types import CancelScope, InstrumentStatus, Origin
from fix_gateway.codec.routing import messages
from tests.support.fix_desk import ENGINE, FixDesk, fields, sessions

TIME = "60=20260105-09:30:00"


@pytest.fixture
def desk() -> FixDesk:
    return FixDesk(["ALICE", "ALICE2", "BOB"])


def buy(own_id: str, qty: str = "1", price: str = "40000", more: str = "59=1") -> str:
    return f"35=D|11={own_id}|55=BTC-USD|54=1|{TIME}|38={qty}|40=2|44={price}|{more}"


def sell(own_id: str, qty: str = "1", price: str = "40000", more: str = "59=1") -> str:
    return buy(own_id, qty, price, more).replace("54=1", "54=2")


def cancel(own_id: str, orig: str, more: str = "") -> str:
    return f"35=F|11={own_id}|41={orig}|55=BTC-USD|54=1|{TIME}{more}"


def replace(own_id: str, orig: str, more: str) -> str:
    return f"35=G|11={own_id}|41={orig}|55=BTC-USD|54=1|{TIME}|40=2|{more}"


def told(desk: FixDesk, comp_id: str, line: str, sender: str | None = None) -> list[dict[str, str]]:
    return [fields(text) for name, text in desk.send(sender or comp_id, line) if name == comp_id]


def picked(report: dict[str, str], tags: str) -> dict[str, str]:
    return {tag: report[tag] for tag in tags.split() if tag in report}


def says(report: dict[str, str], wanted: str) -> None:
    """The report has these fields with these values, written as in a message."""
    expected = fields(wanted)
    assert {tag: report.get(tag) for tag in expected} == expected


def test_row_A_1_a_new_order_filled_in_parts(desk: FixDesk) -> None:
    new = desk.report("ALICE", buy("A1", "10"))
    says(new, "150=0|39=0|38=10|14=0|151=10|6=0")
    (part,) = told(desk, "ALICE", sell("B1", "2"), "BOB")
    says(part, "150=F|39=1|38=10|14=2|151=8|6=40000|32=2|31=40000")
    (rest,) = told(desk, "ALICE", sell("B2", "8"), "BOB")
    says(rest, "150=F|39=2|38=10|14=10|151=0|6=40000")


def test_row_B_1_a_cancel_of_an_untouched_order(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    report = desk.report("ALICE", cancel("A2", "A1"))
    says(report, "150=4|39=4|38=1|14=0|151=0|6=0|11=A2|41=A1")


def test_row_B_1_b_cancel_after_a_partial_fill_keeps_what_was_executed(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    desk.send("BOB", sell("B1", "0.3"))
    report = desk.report("ALICE", cancel("A2", "A1"))
    says(report, "150=4|39=4|38=1|14=0.3|151=0|6=40000")


def test_rows_B_1_c_and_C_2_a_the_fill_was_first(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    (fill,) = told(desk, "ALICE", sell("B1"), "BOB")
    says(fill, "150=F|39=2|11=A1")
    late = desk.report("ALICE", cancel("A2", "A1"))
    says(late, "35=9|37=1|11=A2|41=A1|39=2|434=1|102=0")
    late = desk.report("ALICE", replace("A3", "A1", "38=2|44=1"))
    says(late, "35=9|39=2|434=2|102=0")


def test_row_B_1_d_too_late_after_a_cancel(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    desk.send("ALICE", cancel("A2", "A1"))
    again = desk.report("ALICE", cancel("A3", "A1"))
    says(again, "35=9|39=4|102=0|41=A1")


def test_row_B_1_e_order_and_cancel_sent_before_either_was_answered(desk: FixDesk) -> None:
    """Nothing is ever pending: the order is acknowledged, then its cancel, in sequence."""
    lines = desk.send("ALICE", buy("A1")), desk.send("ALICE", cancel("A2", "A1"))
    found = [fields(line) for each in lines for who, line in each if who == "ALICE"]
    assert [picked(report, "150 39 11") for report in found] == [
        {"150": "0", "39": "0", "11": "A1"}, {"150": "4", "39": "4", "11": "A2"},
    ]  # fmt: skip


@pytest.mark.parametrize("line", [cancel("A1", "ghost"), replace("A1", "ghost", "38=1|44=1")])
def test_row_B_1_f_an_unknown_order(desk: FixDesk, line: str) -> None:
    report = desk.report("ALICE", line)
    says(report, "35=9|37=NONE|39=8|102=1|41=ghost|11=A1")


def test_an_order_of_another_firm_is_unknown(desk: FixDesk) -> None:
    desk.send("BOB", buy("B1"))
    report = desk.report("ALICE", f"35=F|11=A1|37=1|55=BTC-USD|54=1|{TIME}")
    says(report, "35=9|37=NONE|39=8|102=1|41=NONE")


def test_rows_C_1_a_and_b_replace_up_and_down_with_fills_between(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "10"))
    up = desk.report("ALICE", replace("A2", "A1", "38=12|44=40000"))
    says(up, "150=5|39=0|38=12|14=0|151=12|6=0|37=1|11=A2|41=A1|20022=N")
    (fill,) = told(desk, "ALICE", sell("B1", "2"), "BOB")
    assert fill["11"] == "A2"
    down = desk.report("ALICE", replace("A3", "A2", "38=8|44=40000"))
    says(down, "150=5|39=1|38=8|14=2|151=6|6=40000|20022=Y")


def test_row_C_3_a_a_fill_on_its_way_and_a_quantity_above_it(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "10"))
    (fill,) = told(desk, "ALICE", sell("B1", "3"), "BOB")
    says(fill, "11=A1|150=F|39=1|38=10|14=3|151=7|6=40000")
    replaced = desk.report("ALICE", replace("A2", "A1", "38=8|44=40000"))
    says(replaced, "150=5|39=1|38=8|14=3|151=5|6=40000")
    (last,) = told(desk, "ALICE", sell("B2", "5"), "BOB")
    says(last, "11=A2|150=F|39=2|38=8|14=8|151=0|6=40000")


@pytest.mark.parametrize("qty", ["2", "1"])
def test_rows_C_3_b_and_c_quantity_at_or_below_what_is_executed(desk: FixDesk, qty: str) -> None:
    desk.send("ALICE", buy("A1", "10"))
    desk.send("BOB", sell("B1", "2"))
    report = desk.report("ALICE", replace("A2", "A1", f"38={qty}|44=40000"))
    says(report, "150=5|39=2|38=2|14=2|151=0|6=40000")


def test_rows_D_1_a_to_c_a_chain_of_replaces_is_found_by_every_id(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    desk.send("ALICE", replace("A2", "A1", "38=2|44=40000"))
    third = desk.report("ALICE", replace("A3", "A1", "38=3|44=40000"))
    says(third, "150=5|11=A3|41=A2|38=3")
    last = desk.report("ALICE", cancel("A4", "A2"))
    says(last, "150=4|11=A4|41=A3")


def test_row_D_2_c_a_reject_names_the_last_accepted_id(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    desk.send("ALICE", replace("A2", "A1", "38=2|44=40000"))
    refused = desk.report("ALICE", replace("A3", "A1", "38=2|44=40000.001"))
    says(refused, "35=9|11=A3|41=A2|39=0|434=2")


@pytest.mark.parametrize("change", ["54=2", "55=ETH-USD", "40=3"])
def test_symbol_side_and_type_cannot_change(desk: FixDesk, change: str) -> None:
    desk.send("ALICE", buy("A1"))
    tag = change.split("=")[0]
    line = "|".join(
        change if part.startswith(f"{tag}=") else part
        for part in replace("A2", "A1", "38=2").split("|")
    )
    report = desk.report("ALICE", line)
    says(report, "35=9|39=0|102=2")


def test_row_D_2_a_replace_to_a_known_id_is_refused(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    desk.send("ALICE", buy("A2"))
    report = desk.report("ALICE", replace("A2", "A1", "38=2|44=40000"))
    says(report, "35=9|102=6|41=A1")


def test_row_E_1_b_cancel_on_disconnect_is_unsolicited(desk: FixDesk) -> None:
    origin = Origin("fix:ALICE")
    desk.apply(OpenSession(origin, "alice", CancelScope.SESSION, 0))
    desk.send("ALICE", buy("A1"))
    ((_, text),) = desk.apply(CloseSession(origin))
    report = fields(text)
    assert picked(report, "150 39 11 41 151 58") == {
        "150": "4", "39": "4", "11": "A1", "151": "0", "58": "Canceled on disconnect",
    }  # fmt: skip


def test_row_E_1_d_self_trade_decrement_restates_the_order(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "5"))
    (restated,) = told(desk, "ALICE", sell("X1", "2", more="59=1|20005=4"), "ALICE2")
    says(restated, "150=D|39=0|38=3|14=0|151=3|6=0|378=5|11=A1")


def test_row_F_1_a_a_duplicate_describes_the_original(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "5"))
    desk.send("BOB", sell("B1", "2", "39000"))
    report = desk.report("ALICE", buy("A1", "1", "1"))
    says(report, "150=8|39=1|38=5|14=2|151=3|6=40000|37=1|11=A1|103=6")


def test_row_F_1_b_a_possible_resend_asks_for_the_state(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "5"))
    report = desk.report("ALICE", buy("A1", "5").replace("35=D", "35=D|97=Y"))
    says(report, "150=I|39=0|38=5|14=0|151=5|6=0|17=0")
    unseen = desk.report("ALICE", buy("A2", "5").replace("35=D", "35=D|97=Y"))
    says(unseen, "150=0|11=A2")


def test_rows_I_1_a_and_b_immediate_or_cancel(desk: FixDesk) -> None:
    first, second = told(desk, "ALICE", buy("A1", more="59=3"))
    assert (first["150"], second["150"], second["39"], second["151"]) == ("0", "4", "4", "0")
    desk.send("BOB", sell("B1", "0.4"))
    new, fill, gone = told(desk, "ALICE", buy("A2", more="59=3"))
    assert [new["150"], fill["150"], gone["150"]] == ["0", "F", "4"]
    says(gone, "150=4|39=4|38=1|14=0.4|151=0|6=40000")


def test_row_K_1_b_a_halt_refuses_orders_and_takes_cancels(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1"))
    status = [fields(text) for _, text in desk.halt("BTC-USD", InstrumentStatus.HALTED, "Audit")]
    assert [picked(one, "35 55 325 326 58") for one in status] == [
        {"35": "f", "55": "BTC-USD", "325": "Y", "326": "2", "58": "Audit"}
    ] * 3
    refused = desk.report("ALICE", buy("A2"))
    says(refused, "150=8|39=8|103=2|20016=instrument_halted")
    assert desk.report("ALICE", cancel("A3", "A1"))["150"] == "4"
    resumed = desk.halt("BTC-USD", InstrumentStatus.OPEN)
    assert fields(resumed[0][1])["326"] == "3"


def test_row_L_1_b_an_order_by_money(desk: FixDesk) -> None:
    desk.send("BOB", sell("B1", "5"))
    new, fill = told(desk, "ALICE", f"35=D|11=A1|55=BTC-USD|54=1|{TIME}|152=100000|40=1")
    says(new, "150=0|38=2.5|152=100000|151=2.5")
    says(fill, "150=F|39=2|14=2.5|381=100000")


def test_order_quantity_is_always_executed_plus_left_while_an_order_is_open(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "10"))
    desk.send("BOB", sell("B1", "2.5"))
    desk.send("ALICE", replace("A2", "A1", "38=7|44=40000"))
    desk.send("BOB", sell("B2", "1"))
    seen = 0
    for transaction in desk.transactions:
        for event in transaction.events:
            order = getattr(event, "order", None)
            if order is not None and getattr(event, "leaves", 0):
                assert order.qty == event.leaves + getattr(event, "cum", 0)
                seen += 1
    assert seen >= 6


def test_money_of_a_fill_is_told_twice_and_the_same(desk: FixDesk) -> None:
    desk.send("BOB", sell("B1", "0.00001", "0.01"))
    _, fill = told(desk, "ALICE", buy("A1", "0.00001", "0.01", "59=3"))
    # 0.00001 at 0.01 is 0.0000001; a thousandth of it is less than an atom, rounded up.
    says(fill, "381=0.0000001|12=0.00000001|13=3|479=USD|136=1|137=0.00000001|138=USD|139=4|891=0")


def test_both_sides_of_a_trade_share_its_id_and_differ_in_liquidity(desk: FixDesk) -> None:
    desk.send("ALICE", buy("A1", "1", more="59=1|526=alpha"))
    told_all = [(name, fields(text)) for name, text in desk.send("BOB", sell("B1", "1"))]
    fills = {name: report for name, report in told_all if report["150"] == "F"}
    assert fills["ALICE"]["880"] == fills["BOB"]["880"]
    assert (fills["ALICE"]["851"], fills["BOB"]["851"]) == ("1", "2")
    assert (fills["ALICE"].get("526"), fills["BOB"].get("526")) == ("alpha", None)


def test_execution_ids_are_unique_and_name_sequence_and_event(desk: FixDesk) -> None:
    seen: list[str] = []
    for line in (buy("A1"), buy("A2"), cancel("A3", "A1"), buy("A1")):
        for _, text in desk.send("ALICE", line):
            report = fields(text)
            assert report["17"] == f"{report['20001']}-{report['20002']}"
            seen.append(report["17"])
    assert len(seen) == len(set(seen)) == 4


def test_average_price_is_exact_or_rounded_half_up(desk: FixDesk) -> None:
    desk.send("BOB", sell("B1", "1", "1"))
    desk.send("BOB", sell("B2", "2", "2"))
    reports = told(desk, "ALICE", buy("A1", "3", "2"))
    assert [report["6"] for report in reports] == ["0", "1", "1.6666666667"]


def test_values_from_outside_cannot_break_out_of_a_field(desk: FixDesk) -> None:
    evil = CancelOrder(Origin("api:key"), "alice", "x\x0139=2", "ghost\n\N{EURO SIGN}")
    desk.apply(evil)
    (report,) = messages(desk.transactions[-1], sessions()["DROP"], desk.instruments)
    assert "\x0111=x?39=2\x0141=ghost??\x0139=8\x01" in report.body


def test_a_mass_cancel_of_many_orders_comes_in_parts() -> None:
    desk = FixDesk(["ALICE"], open_orders_max=2_000, work_max=2_000)
    for start in range(0, 1_001, 50):
        rows = "|".join(
            f"11=a{start + n}|67={n + 1}|55=BTC-USD|54=1|38=0.001|40=2|44=1" for n in range(50)
        )
        desk.send("ALICE", f"35=E|66=L{start}|394=3|68=50|73=50|{rows}")
    reports = told(desk, "ALICE", f"35=q|11=Q|530=7|{TIME}")
    parts = [report for report in reports if report["35"] == "r"]
    assert len(reports) == 1_050 + 2, "the first 1,000 are named, all are counted"
    assert [(p["534"], p["533"], p["20007"], p["20020"]) for p in parts] == [
        ("500", "1050", "0", "2"), ("500", "1050", "1", "2"),
    ]  # fmt: skip
    assert {p["37"] for p in parts} == {reports[0]["20001"] + "-1050"}


def test_C10_a_mass_cancel_in_pieces_is_reported_once_and_when_it_is_true() -> None:
    """Each order has its report as it goes; the summary comes with the last, from a Tick."""
    desk = FixDesk(["ALICE"], work_max=2)
    for number in range(5):
        desk.send("ALICE", buy(f"A{number}", "1", str(100 + number)))
    first = told(desk, "ALICE", f"35=q|11=Q|530=7|{TIME}")
    assert [(report["35"], report["150"]) for report in first] == [("8", "4")] * 2
    rest: list[dict[str, str]] = []
    while desk.exchange.purges:
        rest += [fields(text) for name, text in desk.apply(Tick(ENGINE)) if name == "ALICE"]
    assert [report["35"] for report in rest] == ["8", "8", "8", "r"]
    says(rest[-1], "11=Q|531=7|533=5|534=5")
    alone = messages(desk.transactions[-1], sessions()["ALICE"], desk.instruments)
    assert [message.msg_type for message in alone][-1] == "r"


def test_M10_an_order_that_rests_late_is_restated_by_market_option() -> None:
    desk = FixDesk(["ALICE", "BOB"], work_max=2)
    for number in range(3):
        desk.send("BOB", sell(f"B{number}", "1", "100"))
    desk.send("ALICE", buy("A1", "3", "100"))
    (new,) = told(desk, "ALICE", buy("A2", "1", "99"))
    says(new, "150=0|39=0|38=1|14=0|151=1|6=0")
    late: dict[str, str] = {}
    while desk.exchange.busy:
        for name, text in desk.apply(Tick(ENGINE)):
            late = fields(text) if name == "ALICE" else late
    says(late, "11=A2|150=D|378=8|151=1")
