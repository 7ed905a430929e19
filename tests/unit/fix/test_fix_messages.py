"""FIX messages decoded for people: names, meanings, filters."""

from __future__ import annotations

import pytest

from account_api.schema.fix_messages import Answer, Dictionary, Wanted, decode, iso, iso_of, lines
from tests.support.processes import ROOT

DICTIONARY = Dictionary(ROOT / "spec" / "FIX44.xml")
ORDER = "8=FIX.4.4|9=1|35=D|34=2|49=ALICE|56=TANDEM|11=a-1|55=BTC-USD|54=1|40=2|18=6 x|10=1|"
REPORT = (
    "8=FIX.4.4|9=1|35=8|34=2|52=20261130-20:30:14.050000|37=7|11=a-1|150=0|39=0|54=1|58=a|b|10=1|"
)
ANSWER = Answer([(1, "20261130-20:30:14.039973000", ORDER)], [(2, REPORT)], "1.1.2")


def test_tags_have_their_names_and_values_their_meanings() -> None:
    order, report = decode(DICTIONARY, ANSWER, Wanted())
    assert (order.direction, order.name, order.number) == ("in", "NewOrderSingle", 2)
    assert order.time == "2026-11-30T20:30:14.039973Z" < report.time
    fields = {field.tag: field for field in order.fields}
    assert (fields[54].name, fields[54].value, fields[54].meaning) == ("Side", "1", "BUY")
    assert fields[40].meaning == "LIMIT" and fields[11].meaning == ""
    assert {field.tag: field.value for field in report.fields}[58] == "a|b"
    text = "\n".join(lines([order, report]))
    assert "NewOrderSingle(D)  MsgSeqNum 2" in text and "Side(54) = 1  BUY" in text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(type="D"), "D"), (Wanted(type="ExecutionReport"), "8"),
        (Wanted(direction="out"), "8"), (Wanted(client_order_id="a-1"), "D8"),
        (Wanted(client_order_id="7"), "8"), (Wanted(client_order_id="a"), ""),
        (Wanted(text="btc-usd"), "D"), (Wanted(start="2026-11-30T20:30:14.040000Z"), "8"),
        (Wanted(end="2026-11-30T20:30:14.040000Z"), "D"),
        (Wanted(type="D", direction="out"), ""),
    ],
)  # fmt: skip
def test_filters(wanted: Wanted, found: str) -> None:
    assert "".join(message.type for message in decode(DICTIONARY, ANSWER, wanted)) == found


def test_times() -> None:
    assert iso("20261130-20:30:14") == "2026-11-30T20:30:14.000000Z"
    assert iso("yesterday") == ""
    assert iso_of(1_796_070_614_039_973) == "2026-11-30T20:30:14.039973Z"
