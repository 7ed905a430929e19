"""Random orders: what FIX text says and what the reports say are the same numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.commands import NewOrder
from engine.core.events import OrderAccepted
from engine.core.types import (
    OrderTerms,
    OrdType,
    SelfTrade,
    TimeInForce,
)
from engine.wire import Transaction
from fix_gateway.codec.decode import translate
from fix_gateway.codec.message import SOH, FixMessage, time_text
from fix_gateway.codec.requests import Query
from fix_gateway.codec.routing import messages
from tests.support.fix_desk import (
    START_US,
    dictionary,
    instruments,
    sessions,
    validated,
    wire_text,
)

INSTRUMENTS = instruments()
ALICE = sessions()["ALICE"]
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32)
AMOUNT = st.integers(1, 100_000_000)


@st.composite
def new_order_lines(draw: st.DrawFn) -> dict[str, str]:
    """The fields of a valid NewOrderSingle."""
    symbol = draw(st.sampled_from(sorted(INSTRUMENTS)))
    instrument = INSTRUMENTS[symbol]
    ord_type = draw(st.sampled_from("1234"))
    tif = draw(st.sampled_from("01346"))
    fields = {
        "11": draw(TEXT), "55": symbol, "54": draw(st.sampled_from("12")),
        "60": time_text(START_US), "40": ord_type, "59": tif,
    }  # fmt: skip
    if ord_type == "1" and draw(st.booleans()):
        fields["152"] = instrument.price_text(draw(AMOUNT))
    else:
        fields["38"] = instrument.quantity_text(draw(AMOUNT))
    if ord_type in "24":
        fields["44"] = instrument.price_text(draw(AMOUNT))
    if ord_type in "34":
        fields["99"] = instrument.price_text(draw(AMOUNT))
    if tif == "6":
        fields["126"] = time_text(draw(st.integers(START_US, START_US + 10**15)))
    optional = {
        "110": st.builds(instrument.quantity_text, AMOUNT),
        "111": st.builds(instrument.quantity_text, AMOUNT),
        "18": st.just("6"), "526": TEXT, "1": st.sampled_from(["alice", "alice2"]),
        "1028": st.just("Y"), "20005": st.sampled_from("1234"),
    }  # fmt: skip
    for tag, values in optional.items():
        if draw(st.booleans()):
            fields[tag] = draw(values)
    return fields


def accepted(command: NewOrder) -> Transaction:
    """The transaction in which the order was taken as it is."""
    terms = OrderTerms(
        1, command.account, command.client_order_id, command.client_order_id, command.symbol,
        command.side, command.ord_type, command.tif, command.qty, command.price,
        command.stop_price, command.cash_qty, command.min_qty, command.display_qty,
        command.expire_at, command.post_only, command.stp or SelfTrade.NONE, command.strategy,
        command.manual, command.origin.source, START_US,
    )  # fmt: skip
    event = OrderAccepted(command.account, 1, terms, command.qty, 0, command.qty)
    return Transaction(5, START_US, command, (event,))


@given(new_order_lines())
def test_a_translated_order_is_reported_with_the_same_numbers(fields: dict[str, str]) -> None:
    body = "".join([f"{tag}={value}{SOH}" for tag, value in fields.items()])
    text = validated(wire_text("D", body, "ALICE", "TANDEM", 2))
    command = translate(text, ALICE, 1, INSTRUMENTS, START_US)
    assert isinstance(command, NewOrder)
    (report,) = messages(accepted(command), ALICE, INSTRUMENTS)
    validated(wire_text("8", report.body, "TANDEM", "ALICE", 2))
    told = FixMessage(report.body).fields
    kept = {tag: value for tag, value in fields.items() if tag != "60"}
    if "152" in kept:
        assert told.pop("38") == "0"
    assert {tag: told.get(tag) for tag in kept} == kept


@settings(max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from(
            "1 11 18 21 37 38 40 41 44 54 55 59 66 68 73 97 99 110 111 122 126 152 394 526 530 "
            "567 584 585 1028 20005 20008 20009 20010 20011 43 58 880 580 75 17 20017".split()
        ),
        st.text(st.characters(blacklist_characters=SOH, blacklist_categories=("Cs",)), max_size=30),
    ),
    st.sampled_from("D F G q E UB H AF x AD BB UD V 8".split()),
)
def test_no_text_whatever_breaks_the_translation(values: dict[str, str], msg_type: str) -> None:
    body = "".join([f"{tag}={value}{SOH}" for tag, value in values.items()])
    text = f"8=FIX.4.4{SOH}9=1{SOH}35={msg_type}{SOH}34=2{SOH}{body}10=000{SOH}"
    meant: object = translate(text, ALICE, 1, INSTRUMENTS, START_US)
    if meant is not None and not isinstance(meant, Query):
        assert meant.origin.num == 2  # type: ignore[attr-defined]


def test_types_of_the_strategy_are_those_of_the_venue() -> None:
    assert {int(kind) for kind in OrdType} == {1, 2, 3, 4}
    assert {int(kind) for kind in TimeInForce} == {0, 1, 3, 4, 6}
    assert dictionary() is dictionary()
