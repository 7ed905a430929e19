"""The data dictionary as QuickFIX reads it: what it takes, what it turns away, and why."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import quickfix

from fix_gateway.codec.decode import SUPPORTED
from fix_gateway.codec.message import SOH
from tests.support.fix_desk import DICTIONARY, dictionary, validated, wire_text

D = "11=a|55=BTC-USD|54=1|60=20260105-09:30:00.123456|38=1|40=2|44=1"


def parsed(msg_type: str, line: str) -> str:
    body = line.replace("|", SOH) + SOH if line else ""
    return validated(wire_text(msg_type, body, "ALICE", "TANDEM", 2))


def tree() -> ElementTree.Element:
    return ElementTree.parse(DICTIONARY).getroot()


def quickfix_tree() -> ElementTree.Element:
    """QuickFIX's own dictionary, which is installed with it."""
    return ElementTree.parse(Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml").getroot()


def test_every_message_that_is_translated_is_in_the_dictionary() -> None:
    types = {message.get("msgtype") for message in tree().iterfind("messages/message")}
    assert types >= SUPPORTED | {"8", "9", "r", "N", "UC", "j", "B", "f", "y", "AE", "AQ", "UE"}
    assert types >= {"0", "1", "2", "3", "4", "5", "A", "BA", "BG"}


def names_used(root: ElementTree.Element, *parts: str) -> set[str | None]:
    """The fields and groups that these parts of a dictionary hold."""
    return {
        node.get("name")
        for part in parts
        for node in root.iterfind(f"{part}//*")
        if node.tag in ("field", "group")
    }


def test_field_numbers_are_unique_and_every_field_is_of_fix_44_or_used() -> None:
    root, standard = tree(), quickfix_tree()
    defined = [(field.get("number"), field.get("name")) for field in root.iterfind("fields/field")]
    assert len({number for number, _ in defined}) == len(defined)
    assert len({name for _, name in defined}) == len(defined)
    used = names_used(root, "header", "trailer", "messages")
    names = {name for _, name in defined}
    assert used <= names
    assert names - used <= {field.get("name") for field in standard.iterfind("fields/field")}


def test_every_field_of_fix_44_is_known_but_for_what_its_header_has_and_we_do_not_take() -> None:
    """So a field that is not for a message is 373=2, not 373=0. QuickFIX takes any field of the
    standard's header that the dictionary defines; one that we ignore must not be defined."""
    root, standard = tree(), quickfix_tree()
    known = {field.get("name") for field in root.iterfind("fields/field")}
    missing = {field.get("name") for field in standard.iterfind("fields/field")} - known
    around = names_used(standard, "header", "trailer")
    assert missing == around - names_used(root, "header", "trailer", "messages")


def test_fields_messages_and_values_are_called_as_quickfix_calls_them() -> None:
    """Engines find messages, fields and values by the names in the dictionary."""
    root, standard = tree(), quickfix_tree()
    fields = {field.get("number"): field for field in root.iterfind("fields/field")}
    for theirs in standard.iterfind("fields/field"):
        ours = fields.get(theirs.get("number"))
        if ours is None:
            continue
        assert (ours.get("name"), ours.get("type")) == (theirs.get("name"), theirs.get("type"))
        values = {value.get("enum"): value.get("description") for value in ours}
        for value in theirs:
            assert values[value.get("enum")] == value.get("description"), ours.get("name")
    messages = {m.get("msgtype"): dict(m.attrib) for m in standard.iterfind("messages/message")}
    for message in root.iterfind("messages/message"):
        msg_type = message.get("msgtype", "")
        if not msg_type.startswith("U"):
            assert message.attrib == messages[msg_type]


def test_every_message_is_a_value_of_msgtype() -> None:
    """An engine that knows messages by the values of MsgType(35) alone knows all of them."""
    (field,) = tree().iterfind("fields/field[@number='35']")
    values = {value.get("enum"): value.get("description") for value in field}
    assert len(values) == 93 + 4
    for message in tree().iterfind("messages/message"):
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", message.get("name", "")).upper()
        assert values[message.get("msgtype")].replace("_", "") == name.replace("_", "")


def test_only_a_list_has_one_field_both_outside_and_inside_its_group() -> None:
    """A body field after a group that knows the same tag would be read as the group's."""
    for message in tree().iterfind("messages/message"):
        own = {field.get("name") for field in message.iterfind("field")}
        inside = {field.get("name") for field in message.iterfind("group//field")}
        allowed = {"Text"} if message.get("msgtype") == "E" else set()
        assert own & inside <= allowed, message.get("name")


@pytest.mark.parametrize(
    ("msg_type", "line", "error"),
    [
        ("D", f"{D}|20099=1", quickfix.InvalidTagNumber),
        ("D", f"{D}|20003=1", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|41=x", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|447=D", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|22=1", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|63=0", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|207=XNYS", quickfix.TagNotDefinedForMessage),
        ("D", f"{D}|93=1|89=x", quickfix.InvalidTagNumber),
        ("D", f"{D}|9999=x", quickfix.InvalidTagNumber),
        ("D", D.replace("11=a|", ""), quickfix.RequiredTagMissing),
        ("D", D.replace("38=1", "38=1e5"), quickfix.IncorrectDataFormat),
        ("D", D.replace("40=2", "40=Q"), quickfix.IncorrectTagValue),
        ("D", D.replace("11=a", "11="), quickfix.NoTagValue),
        ("D", f"{D}|44=2", quickfix.RepeatedTag),
        ("D", D.replace("60=20260105-09:30:00.123456", "60=now"), quickfix.IncorrectDataFormat),
        ("UB", "66=b|60=20260105-09:30:00|20010=2|20011=D|11=a|55=X|54=1",
         quickfix.RepeatingGroupCountMismatch),
        ("q", "11=a|530=9|60=20260105-09:30:00", quickfix.IncorrectTagValue),
        ("ZZ", "58=x", quickfix.InvalidMessageType),
    ],
)  # fmt: skip
def test_what_the_session_layer_rejects(msg_type: str, line: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parsed(msg_type, line)


@pytest.mark.parametrize(
    ("msg_type", "line"),
    [
        ("R", "131=1|146=1|55=BTC-USD"),
        ("K", "66=1|60=20260105-09:30:00"),
        ("BE", "923=1|924=1|553=alice"),
        ("8", "37=1|17=1|150=0|39=0|55=X|54=1|151=0|14=0|6=0"),
    ],
)
def test_case_2r_types_that_are_known_but_not_served_reach_the_application(
    msg_type: str, line: str
) -> None:
    assert re.search(f"\x0135={msg_type}\x01", parsed(msg_type, line))
    assert msg_type not in SUPPORTED


@pytest.mark.parametrize("field", ["144=LONDON", "145=LONDON", "627=1|628=HUB", "90=1|91=x"])
def test_what_the_venue_does_not_take_of_a_header_is_not_swallowed(field: str) -> None:
    """QuickFIX knows the fields of the header by itself and takes whichever is defined."""
    head = field.replace("|", SOH) + SOH
    text = wire_text("D", D.replace("|", SOH) + SOH, "ALICE", "TANDEM", 2, head)
    with pytest.raises(quickfix.InvalidTagNumber):
        validated(text)


def test_third_party_routing_is_taken() -> None:
    line = "115=BROKER|116=trader 7|128=VENUE|129=SPOT|"
    head = line.replace("|", SOH)
    text = validated(wire_text("D", D.replace("|", SOH) + SOH, "ALICE", "TANDEM", 2, head))
    assert line in text.replace(SOH, "|")


def test_user_defined_fields_are_checked_by_default() -> None:
    assert "20005=3" in parsed("D", f"{D}|20005=3")
    with pytest.raises(quickfix.IncorrectTagValue):
        parsed("D", f"{D}|20005=7")


def test_timestamps_may_have_microseconds() -> None:
    for time in ("09:30:00", "09:30:00.123", "09:30:00.123456", "09:30:00.123456789"):
        assert f"60=20260105-{time}" in parsed("D", D.replace("09:30:00.123456", time))


def test_groups_keep_their_order_without_validation_too() -> None:
    text = wire_text(
        "r",
        "37=1|530=7|531=7|533=2|534=2|41=a|535=1|41=b|535=2|".replace("|", SOH),
        "TANDEM", "ALICE", 2,
    )  # fmt: skip
    message = quickfix.Message(text, dictionary(), False)
    assert "534=2|41=a|535=1|41=b|535=2|" in message.toString().replace(SOH, "|")


def test_the_dictionary_names_where_it_comes_from() -> None:
    head = DICTIONARY.read_text(encoding="ascii")[:4_000]
    assert "quickfixengine.org" in head
    assert "Copyright" in head
