"""Third-party routing: 115, 116, 128 and 129 are read, kept, and carried back reversed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import quickfix

from engine.core.commands import Batch, NewOrder, RecordRefusal, Tick
from engine.core.types import OrderRow, OrdStatus, Route
from fix_gateway.codec import responses
from fix_gateway.codec.message import SOH
from fix_gateway.codec.requests import InvalidRequest
from fix_gateway.codec.responses import Response, addressed
from fix_gateway.codec.third_party import (
    VALUE_LENGTH_MAX,
    answer_header,
    copied_header,
    order_header,
    read_route,
    reversed_header,
)
from fix_gateway.runtime.trade_capture import Capture, captured
from tests.support.fix_desk import ENGINE, START_US, FixDesk, fields, wire_text

ROUTE = "115=NORTH|116=trader 7|128=CRYPTO|129=SPOT"
BACK = {"115": "CRYPTO", "116": "SPOT", "128": "NORTH", "129": "trader 7"}
AS_SENT = {"115": "NORTH", "116": "trader 7", "128": "CRYPTO", "129": "SPOT"}
STOCK = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
TAGS = ("115", "116", "128", "129")
NAMES = {
    "115": "OnBehalfOfCompID(115)",
    "116": "OnBehalfOfSubID(116)",
    "128": "DeliverToCompID(128)",
    "129": "DeliverToSubID(129)",
}
TIME = "60=20260105-09:30:00"
ORDER = f"55=BTC-USD|54=1|{TIME}|38=1|40=2|44=40000|59=1"
ENTRY = "55=BTC-USD|54=1|38=1|40=2|44=40000|59=1"
LONG = "x" * (VALUE_LENGTH_MAX + 1)


def routed(line: str, route: str = ROUTE) -> str:
    """The line with a route behind its MsgType."""
    msg_type, _, rest = line.partition("|")
    return f"{msg_type}|{route}|{rest}"


def route_of(text: str) -> dict[str, str]:
    """What a message that a session is told has of a route."""
    return {tag: value for tag, value in fields(text).items() if tag in TAGS}


def told(desk: FixDesk, comp_id: str, line: str) -> list[tuple[str, str, dict[str, str]]]:
    """Send a line; who is told what type of message with which route."""
    return [
        (name, fields(text)["35"], route_of(text)) for name, text in desk.send(comp_id, line)
    ]


REQUESTS = {
    "a new order": (f"35=D|11=A1|{ORDER}", "8"),
    "an order that is refused": (f"35=D|11=A1|{ORDER}|111=5", "8"),
    "an order that has no form": (f"35=D|11=A1|55=NONE|54=1|{TIME}|38=1|40=2|44=1", "8"),
    "a repeated order": (f"35=D|97=Y|11=known|{ORDER}", "8"),
    "a cancel": (f"35=F|11=X|41=known|55=BTC-USD|54=1|{TIME}", "8"),
    "a cancel of nothing": (f"35=F|11=X|41=none|55=BTC-USD|54=1|{TIME}", "9"),
    "a replace": (f"35=G|11=X|41=known|55=BTC-USD|54=1|{TIME}|38=2|40=2", "8"),
    "a replace that is refused": (f"35=G|11=X|41=known|55=BTC-USD|54=1|{TIME}|44=0|40=2", "9"),
    "a mass cancel": (f"35=q|11=X|530=7|{TIME}", "r"),
    "a mass cancel that is refused": (f"35=q|11=X|530=5|{TIME}", "r"),
    "a list": ("35=E|66=L|394=3|68=1|73=1|11=A1|67=1|" + ENTRY, "N"),
    "a list that is refused": ("35=E|66=L|394=1|68=1|73=1|11=A1|67=1|55=BTC-USD|54=1", "N"),
    "a batch": (f"35=UB|66=L|{TIME}|20010=1|20011=D|11=A1|{ENTRY}", "UC"),
    "a batch that is refused": (
        f"35=UB|66=L|{TIME}|20009=1|20010=1|20011=D|11=A1|{ENTRY}|111=5", "UC",
    ),
    "a message that is too long": (f"35=D|11=A1|{ORDER}|58={'x' * 70_000}", "j"),
}  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_answer_carries_the_route_back_reversed(request_: str) -> None:
    line, answer = REQUESTS[request_]
    desk = FixDesk(["ALICE", "DROP"])
    desk.send("ALICE", f"35=D|11=known|{ORDER}")
    found = told(desk, "ALICE", routed(line))
    mine = [(msg_type, route) for name, msg_type, route in found if name == "ALICE"]
    assert mine[-1] == (answer, BACK)
    copies = [(msg_type, route) for name, msg_type, route in found if name == "DROP"]
    assert copies[-1] == (answer, AS_SENT), "a copy has it as it was sent"


@pytest.mark.parametrize("request_", REQUESTS)
def test_without_a_route_no_header_changes(request_: str) -> None:
    line, answer = REQUESTS[request_]
    desk = FixDesk(["ALICE", "DROP"])
    desk.send("ALICE", f"35=D|11=known|{ORDER}")
    found = told(desk, "ALICE", line)
    assert found and not any(route for _, _, route in found)


def test_a_drop_copy_that_wants_to_trade_is_answered_by_the_same_way() -> None:
    desk = FixDesk(["DROP"])
    assert told(desk, "DROP", routed(f"35=D|11=A1|{ORDER}")) == [("DROP", "j", BACK)]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("value", [LONG, "a\tb", "\x7f"], ids=["long", "tab", "delete"])
def test_a_value_that_cannot_be_kept_is_named_and_nothing_is_done(tag: str, value: str) -> None:
    desk = FixDesk(["ALICE"])
    other = "116=trader 7" if tag != "116" else "115=NORTH"
    ((_, text),) = desk.send("ALICE", routed(f"35=D|11=A1|{ORDER}", f"{tag}={value}|{other}"))
    answer = fields(text)
    assert (answer["150"], answer["103"], answer["20016"]) == ("8", "99", "invalid_field")
    assert answer["58"] == f"{NAMES[tag]} needs 1 to 32 printable ASCII characters"
    back = {"129": "trader 7"} if tag != "116" else {"128": "NORTH"}
    assert route_of(text) == back, "what can be kept routes the refusal"
    assert isinstance(desk.command, RecordRefusal)
    assert desk.exchange.export_state()["orders"] == []


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (f"35=F|11=X|41=none|55=BTC-USD|54=1|{TIME}", "9"),
        (f"35=q|11=X|530=7|{TIME}", "r"),
        (f"35=UB|66=L|{TIME}|20010=1|20011=D|11=A1|{ENTRY}", "UC"),
    ],
)
def test_the_answer_to_a_message_says_what_is_wrong_with_its_route(line: str, answer: str) -> None:
    desk = FixDesk(["ALICE"])
    ((_, text),) = desk.send("ALICE", routed(line, f"115={LONG}"))
    found = fields(text)
    assert (found["35"], found["58"].split()[0]) == (answer, NAMES["115"])


def test_the_longest_value_is_kept() -> None:
    desk = FixDesk(["ALICE"])
    value = "~" * VALUE_LENGTH_MAX
    desk.send("ALICE", routed(f"35=D|11=A1|{ORDER}", f"115={value}"))
    assert isinstance(desk.command, NewOrder)
    assert desk.command.origin.route == Route(value)


def test_a_batch_gives_its_route_to_all_of_its_orders() -> None:
    desk = FixDesk(["ALICE"])
    entries = f"20010=2|20011=D|11=A1|{ENTRY}|20011=D|11=A2|{ENTRY}"
    desk.send("ALICE", routed(f"35=UB|66=L|{TIME}|{entries}"))
    assert isinstance(desk.command, Batch)
    route = Route("NORTH", "trader 7", "CRYPTO", "SPOT")
    assert [entry.origin.route for entry in desk.command.entries] == [route, route]
    assert [event.order.route for event in desk.transactions[-1].events[:2]] == [route, route]  # type: ignore[union-attr]


QUERIES = {
    "H": "35=H|11=A1|55=BTC-USD|54=1",
    "AF": "35=AF|584=M|585=7",
    "x": "35=x|320=S|559=4",
    "AD": "35=AD|568=T|569=0",
    "BB": "35=BB|909=B",
    "UD": "35=UD|20017=R",
}


@pytest.mark.parametrize("msg_type", QUERIES)
def test_a_request_that_reads_keeps_its_route_for_the_answer(msg_type: str) -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", routed(QUERIES[msg_type]))
    assert desk.query is not None
    assert desk.query.route == Route("NORTH", "trader 7", "CRYPTO", "SPOT")
    answer = addressed(Response("8", ""), desk.query.route)
    assert route_of(f"35=8|{answer.header.replace(SOH, '|')}1=x") == BACK
    desk.send("ALICE", QUERIES[msg_type])
    assert desk.query.route is None
    assert addressed(Response("8", ""), None).header == ""


@pytest.mark.parametrize("msg_type", QUERIES)
def test_a_request_that_reads_is_refused_for_its_route_too(msg_type: str) -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", routed(QUERIES[msg_type], f"128={LONG}|115=NORTH"))
    assert isinstance(desk.query, InvalidRequest)
    assert (desk.query.text.split()[0], desk.query.reason) == (NAMES["128"], "5")
    assert desk.query.route == Route("NORTH"), "the refusal goes back by the rest"


def test_an_answer_to_a_bare_message_is_routed_by_its_fields() -> None:
    assert answer_header({"115": "NORTH", "129": "SPOT"}) == f"116=SPOT{SOH}128=NORTH{SOH}"
    assert answer_header({"35": "D"}) == reversed_header(None) == copied_header(None) == ""
    assert read_route({"35": "D"}) == (None, "")


def test_fills_expiry_and_triggers_go_to_whom_the_order_is_of() -> None:
    desk = FixDesk(["ALICE", "BOB", "DROP"])
    day = ORDER.replace("59=1", "59=0")
    desk.send("ALICE", routed(f"35=D|11=A1|{day}"))
    fill = f"35=D|11=B1|55=BTC-USD|54=2|{TIME}|38=0.25|40=2|44=40000|59=3"
    found = told(desk, "BOB", routed(fill, "115=EAST"))
    assert found == [
        ("BOB", "8", {"128": "EAST"}),
        ("BOB", "8", {"128": "EAST"}),
        ("ALICE", "8", BACK),
        ("DROP", "8", AS_SENT),
    ]
    expired = [(name, route_of(text)) for name, text in desk.advance(86_400)]
    assert expired == [("ALICE", BACK), ("DROP", AS_SENT)]


def test_a_replace_by_another_session_leaves_the_order_where_it_is() -> None:
    """The session that entered it is told by the order's route, which the other's would break."""
    desk = FixDesk(["ALICE", "ALICE2", "DROP"])
    desk.send("ALICE2", routed(f"35=D|11=C1|{ORDER}"))
    change = f"35=G|11=C2|37=1|1=alice2|55=BTC-USD|54=1|{TIME}|38=2|40=2"
    found = told(desk, "ALICE", routed(change, "115=WEST"))
    assert sorted(found) == [
        ("ALICE", "8", {"128": "WEST"}),
        ("ALICE2", "8", BACK),
        ("DROP", "8", {"115": "WEST"}),
    ]
    cancel = f"35=F|11=C3|41=C2|1=alice2|55=BTC-USD|54=1|{TIME}"
    assert sorted(told(desk, "ALICE", cancel)) == [
        ("ALICE", "8", {}), ("ALICE2", "8", BACK), ("DROP", "8", {}),
    ]  # fmt: skip


def test_a_replace_without_a_route_takes_it_away() -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", routed(f"35=D|11=A1|{ORDER}"))
    change = f"35=G|11=A2|41=A1|55=BTC-USD|54=1|{TIME}|38=2|40=2"
    assert told(desk, "ALICE", change) == [("ALICE", "8", {})]
    assert [route_of(text) for _, text in desk.advance(1)] == []
    cancel = f"35=F|11=A3|41=A2|55=BTC-USD|54=1|{TIME}"
    assert told(desk, "ALICE", routed(cancel)) == [("ALICE", "8", BACK)]


def test_a_mass_cancel_in_pieces_answers_by_its_route_to_the_end() -> None:
    """What comes of it in later commands too, also when another session's command causes it."""
    desk = FixDesk(["ALICE", "ALICE2", "BOB", "DROP"], work_max=2)
    for number in range(5):
        desk.send("ALICE2", routed(f"35=D|11=C{number}|{ORDER}", f"115=D{number}"))
    found = told(desk, "ALICE", routed(f"35=q|11=X|530=7|20008=1|{TIME}", "115=WEST"))
    meet = f"35=D|11=B1|55=BTC-USD|54=2|{TIME}|38=0.25|40=2|44=40000|59=3"
    found += [row for row in told(desk, "BOB", routed(meet, "115=EAST")) if row[0] != "BOB"]
    while desk.exchange.export_state()["purges"]:
        found += [(n, fields(t)["35"], route_of(t)) for n, t in desk.apply(Tick(ENGINE))]
    canceled = [row for row in found if row[1] == "8"]
    assert [route for name, _, route in canceled if name == "ALICE"] == [{"128": "WEST"}] * 5
    owners = [{"128": f"D{number}"} for number in range(5)]
    assert [route for name, _, route in canceled if name == "ALICE2"] == owners
    copies = [{"115": f"D{number}"} for number in range(5)]
    assert [route for name, _, route in canceled if name == "DROP"] == copies
    assert [(name, route) for name, kind, route in found if kind == "r"] == [
        ("ALICE", {"128": "WEST"}), ("DROP", {"115": "WEST"}),
    ]  # fmt: skip


def test_trade_capture_goes_to_who_subscribed() -> None:
    desk = FixDesk(["ALICE", "BOB"])
    desk.send("ALICE", routed("35=AD|568=T|569=0|263=1", "116=back office"))
    query: Any = desk.query
    desk.send("ALICE", routed(f"35=D|11=A1|{ORDER}"))
    desk.send("BOB", f"35=D|11=B1|55=BTC-USD|54=2|{TIME}|38=0.25|40=2|44=40000|59=3")
    capture = Capture(query, frozenset({"alice"}), 0)
    (report,) = captured(desk.transactions[-1], [capture], desk.instruments)
    assert (report.msg_type, report.header) == ("AE", f"129=back office{SOH}")


def test_the_snapshot_at_logon_has_the_routes_of_the_orders() -> None:
    desk = FixDesk(["ALICE"])
    desk.send("ALICE", routed(f"35=D|11=A1|{ORDER}"))
    desk.send("ALICE", f"35=D|11=A2|{ORDER}")
    rows = [
        OrderRow(t.events[0].order, OrdStatus.NEW, 1, 0, 0, 0, 0, "USD", 1, False, START_US)  # type: ignore[union-attr]
        for t in desk.transactions[-2:]
    ]
    mine = responses.open_order_snapshot(rows, desk.instruments, 9, START_US, "fix:ALICE")
    theirs = responses.open_order_snapshot(rows, desk.instruments, 9, START_US, "fix:DROP")
    route = rows[0].order.route
    assert [each.header for each in mine] == [reversed_header(route), "", ""]
    assert [each.header for each in theirs] == [copied_header(route), "", ""]
    assert order_header(rows[1].order, "fix:ALICE") == ""


def test_quickfixs_own_dictionary_takes_the_header_in_both_directions() -> None:
    stock = quickfix.DataDictionary(str(STOCK))
    head = "".join([f"{tag}={value}{SOH}" for tag, value in BACK.items()])
    order = f"11=A{SOH}{ORDER.replace('|', SOH)}{SOH}"
    report = f"37=1{SOH}17=1{SOH}150=0{SOH}39=0{SOH}55=X{SOH}54=1{SOH}151=0{SOH}14=0{SOH}6=0{SOH}"
    for msg_type, body in (("D", order), ("8", report)):
        text = wire_text(msg_type, body, "ALICE", "TANDEM", 2, head)
        message = quickfix.Message(text, stock, True)
        stock.validate(message)
        assert message.getHeader().getField(128) == "NORTH"
