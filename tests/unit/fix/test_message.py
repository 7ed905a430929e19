"""FIX text: fields, groups, timestamps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_gateway.codec import message as codec_message
from fix_gateway.codec.message import SOH, FixMessage, parse_time, time_text


def message(line: str) -> FixMessage:
    return FixMessage(line.replace("|", SOH) + SOH)


def test_fields_are_found_by_tag_and_values_may_hold_an_equals_sign() -> None:
    found = message("8=FIX.4.4|35=D|11=a=b|58=x")
    assert (found.msg_type, found.get("11"), found.get("99", "none")) == ("D", "a=b", "none")


def test_a_fragment_without_equals_sign_is_left_out() -> None:
    assert message("35=D|oops|11=a").fields == {"35": "D", "11": "a"}


def test_a_group_keeps_its_order_and_ends_at_the_first_foreign_tag() -> None:
    found = message("35=E|73=2|11=a|67=1|38=5|11=b|67=2|394=3|38=9")
    entries = found.group("73", "11", frozenset({"11", "67", "38"}))
    assert entries == [{"11": "a", "67": "1", "38": "5"}, {"11": "b", "67": "2"}]


def test_a_group_that_is_not_there_is_empty() -> None:
    assert message("35=E|66=x").group("73", "11", frozenset({"11"})) == []


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("19700101-00:00:00", 0),
        ("19700101-00:00:01.5", None),
        ("19700101-00:00:01.500", 1_500_000),
        ("19700101-00:00:01.000001", 1_000_001),
        ("19700101-00:00:01.000001999", 1_000_001),
        ("20240229-23:59:59.999999", 1_709_251_199_999_999),
        ("20230229-00:00:00", None),
        ("20240101-24:00:00", None),
        ("20240101-00:00", None),
        ("20240101 00:00:00", None),
        ("2024010a-00:00:00", None),
        ("20240101-00:00:00.", None),
        ("", None),
    ],
)
def test_timestamps_are_read_to_the_microsecond(text: str, micros: int | None) -> None:
    if micros is None:
        with pytest.raises(ValueError):
            parse_time(text)
    else:
        assert parse_time(text) == micros


@given(st.integers(0, 4_102_444_799_999_999))
def test_a_time_survives_the_round_trip(time_us: int) -> None:
    assert parse_time(time_text(time_us)) == time_us


@pytest.mark.parametrize("said", ["8=FIX.4.4", "20002="])
def test_envelope_and_cursor_are_written_in_one_place(said: str) -> None:
    gateway = Path(codec_message.__file__).parent.parent
    places = [
        line
        for path in sorted(gateway.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if said in line and "re.compile" not in line
    ]
    assert len(places) == 1, places
