"""spec/FIX.md says what the code does: its tables and examples are checked."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from engine.core.types import RejectReason
from fix_gateway.codec.decode import SUPPORTED
from fix_gateway.codec.reject_codes import (
    CXL_REJ_OTHER,
    CXL_REJ_REASON,
    MASS_CANCEL_REJECT_REASON,
    ORD_REJ_OTHER,
    ORD_REJ_REASON,
)
from tests.support.fix_desk import DICTIONARY, play

SPEC = (Path(__file__).parents[3] / "spec" / "FIX.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```text\n(sessions .*?)```", SPEC, flags=re.DOTALL)
ROOT = ElementTree.parse(DICTIONARY).getroot()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_what_the_venue_does(number: int) -> None:
    assert play(EXAMPLES[number]) == EXAMPLES[number]


def test_the_table_of_reasons_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", SPEC, flags=re.MULTILINE)
    assert len(rows) >= 25
    for code, order_reason, cancel_reason in rows:
        reason = RejectReason[code.upper()]
        assert ORD_REJ_REASON.get(reason, ORD_REJ_OTHER) == order_reason, code
        assert CXL_REJ_REASON.get(reason, CXL_REJ_OTHER) == cancel_reason, code
    named = {RejectReason[code.upper()] for code, _, _ in rows}
    with_numbers = {*ORD_REJ_REASON, *CXL_REJ_REASON, *MASS_CANCEL_REJECT_REASON}
    assert with_numbers - named == {RejectReason.REQUEST_EXPIRED}


def test_the_table_of_tags_is_that_of_the_dictionary() -> None:
    table = re.findall(r"^\| (200\d\d) \| (\w+) \| ([A-Z]+) \| (.*?) \|$", SPEC, flags=re.MULTILINE)
    defined = {
        (field.get("number"), field.get("name"), field.get("type"))
        for field in ROOT.iterfind("fields/field")
        if int(field.get("number", "0")) > 20_000
    }
    assert {row[:3] for row in table} == defined


@pytest.mark.parametrize("heading", ["D", "F", "G", "q", "E", "UB", "8", "9"])
def test_every_field_of_a_message_is_in_its_chapter(heading: str) -> None:
    """Numbers of the fields that the dictionary allows stand somewhere in the chapter."""
    (chapter,) = re.findall(
        rf"^## [^\n]*\({heading}\)[^\n]*\n(.*?)^## ", SPEC + "\n## ", re.M | re.S
    )
    numbers = {field.get("name"): field.get("number") for field in ROOT.iterfind("fields/field")}
    (message,) = ROOT.iterfind(f"messages/message[@msgtype='{heading}']")
    allowed = {numbers[node.get("name")] for node in message.iter() if node.tag != "message"}
    known = set(re.findall(r"\d+", chapter))
    inherited = {"E": "D", "UB": "D G F"}.get(heading, "").split()
    for other in inherited:
        (text,) = re.findall(rf"^## [^\n]*\({other}\)[^\n]*\n(.*?)^## ", SPEC, re.M | re.S)
        known |= set(re.findall(r"\d+", text))
    assert allowed - known == set()


def test_every_message_that_is_served_is_named() -> None:
    for msg_type in SUPPORTED:
        assert re.search(rf"\({msg_type}\)|\({msg_type}[,)]|`{msg_type}`", SPEC), msg_type
