"""Cutting streams into FIX messages, also garbled ones, and making messages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certification.fix.wire import (
    BYTES_MAX,
    Framer,
    Message,
    changed,
    encode,
    in_order,
    parse_time,
    tag_name,
    type_name,
)

GOOD = encode([(35, "D"), (34, "7"), (49, "A"), (52, "20300101-00:00:00"), (56, "B"), (11, "x")])


def frames(data: bytes, step: int) -> list[tuple[bytes, bool]]:
    """Feed data in pieces of ``step`` bytes."""
    framer = Framer()
    found = []
    for at in range(0, len(data), step):
        found += [(frame.raw, frame.good) for frame in framer.feed(data[at : at + step])]
    return found


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_messages_come_out_whole_whatever_the_pieces(step: int) -> None:
    assert frames(GOOD * 3, step) == [(GOOD, True)] * 3


@pytest.mark.parametrize("step", [1, 13, 1000])
def test_a_wrong_checksum_is_garbled_and_the_next_message_is_not(step: int) -> None:
    bad = GOOD[:-4] + b"999\x01"
    assert frames(bad + GOOD, step) == [(bad, False), (GOOD, True)]


@pytest.mark.parametrize(
    "bad",
    [b"hello", GOOD.replace(b"\x019=", b"\x0199=", 1), GOOD.replace(b"\x019=", b"\x019=1", 1)[:-9],
     b"8=FIX.4.4\x019=abc\x01", b"8=FIX.4.4\x019=%d\x01" % (BYTES_MAX + 1), b"8=FIX.4.4" * 3],
)  # fmt: skip
def test_what_is_no_message_does_not_swallow_the_next(bad: bytes) -> None:
    found = frames(bad + b"\x01" + GOOD + GOOD, 1000)
    assert found[-1] == (GOOD, True)
    assert b"".join(raw for raw, _ in found) == bad + b"\x01" + GOOD + GOOD


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_byte_is_lost_or_made_up(data: bytes, step: int) -> None:
    framer = Framer()
    out = b""
    for at in range(0, len(data), step):
        out += b"".join(frame.raw for frame in framer.feed(data[at : at + step]))
    assert out + framer.rest() == data


def test_fields_keep_their_order_and_secrets_are_not_shown() -> None:
    message = Message(encode([(35, "A"), (554, "hunter2"), (96, "raw"), (58, "a"), (58, "b")]))
    assert "hunter2" not in message.shown() and "raw" not in repr(message)
    assert message.get(58) == "a"
    assert [value for tag, value in message.pairs if tag == 58] == ["a", "b"]
    assert (message.look_up("1"), message.get(1, "x")) == (None, "x")


def test_a_changed_message_is_whole_again() -> None:
    other = changed(Message(GOOD), {34: "8", 11: None, 43: "Y"})
    message = Message(other)
    assert frames(other, 1000) == [(other, True)]
    assert (message.num, message.possdup, 11 in message) == (8, True, False)
    assert [tag for tag, _ in message.pairs][:8] == [8, 9, 35, 34, 49, 52, 56, 43]


def test_groups_are_found_by_their_first_tag() -> None:
    pairs = [(35, "r"), (534, "2"), (41, "a"), (535, "1"), (41, "b"), (535, "2")]
    assert Message(encode(pairs)).entries(534, 41) == [
        {41: "a", 535: "1"}, {41: "b", 535: "2"},
    ]  # fmt: skip


def test_header_fields_come_first() -> None:
    fields = {11: "x", 43: "Y", 35: "D", 122: "t", 34: "1", 56: "B", 49: "A", 52: "t"}
    assert [tag for tag, _ in in_order(fields)] == [35, 34, 49, 52, 56, 43, 122, 11]


def test_times() -> None:
    noon = datetime(2030, 1, 31, 12, 0, 0, 0, UTC)
    assert parse_time("20300131-12:00:00") == noon
    assert parse_time("20300131-12:00:00.250") == noon.replace(microsecond=250_000)
    assert parse_time("20300131-12:00:00.123456789") == noon.replace(microsecond=123_456)
    for text in ("", "2030-01-31T12:00:00Z", "20300131", "20300131-12:00:00.x"):
        assert parse_time(text) is None


def test_names_come_from_our_dictionary() -> None:
    assert tag_name(151) == "LeavesQty(151)"
    assert tag_name(20001) == "EngineSeq(20001)"
    assert tag_name(9999) == "tag 9999"
    assert type_name("UD") == "ReplayRequest(UD)"
