"""The little language of values in scenarios."""

from __future__ import annotations

import pytest

from certification.fix.wire import Message, encode
from certification.scenarios.values import Document, Memory, ValueFault, at_path

ORDER = Message(encode([(35, "D"), (11, "A07-1"), (38, "207"), (44, "100.10")]))
MEMORY = Memory(
    {"price": "100", "run": "r1", "case": "A07"},
    {"order": ORDER, "rest": Document({"fills": [{"side": "buy", "qty": "5"}], "done": True})},
)


@pytest.mark.parametrize(
    ("pattern", "value", "wanted"),
    [
        ("2", "2", ""), ("2", "2.00", ""), ("2", "3", "2"), ("2", None, "2"), ("x", "X", "x"),
        ("*", "a", ""), ("*", "", "any value"), ("*", None, "any value"),
        ("-", None, ""), ("-", "a", "nothing"), ("-|N", None, ""), ("-|N", "N", ""),
        ("-|N", "Y", "nothing or N"),
        ("!@order.11", "A07-2", ""), ("!@order.11", "A07-1", "anything but A07-1"),
        ("!2", None, ""), (">2", "3", ""), (">2", "2", "more than 2"), (">2", "x", "more than 2"),
        ("<=@order.44", "100.1", ""), ("<=@order.44", "100.11", "at most 100.10"),
        (">=2", None, "at least 2"), ("<2", "1.999", ""), ("4|C", "C", ""), ("4|C", "0", "4 or C"),
        ("^A07-", "A07-9", ""), ("^A07-", "A08", "something that begins with A07-"),
        ("@order.38 - 50", "157", ""), ("@order.38 + 10 - 7", "210.0", ""),
        ("@order.38 * 2", "414", ""), ("$price", "100.00", ""), ("$case-$run", "A07-r1", ""),
        ("@rest.fills.0.qty", "5", ""), ("@rest.done", "true", ""),
        ("Open order snapshot complete", "Open order snapshot complete", ""),
    ],
)  # fmt: skip
def test_what_is_wanted(pattern: str, value: str | None, wanted: str) -> None:
    assert MEMORY.wanted(pattern, value) == wanted


@pytest.mark.parametrize(
    ("pattern", "made"),
    [("2", "2"), ("-|N", None), ("1|0", "1"), ("@order.38 - 50", "157"), ("$case-$run", "A07-r1"),
     ("@order.44 - 1", "99.1")],
)  # fmt: skip
def test_what_is_sent(pattern: str, made: str | None) -> None:
    assert MEMORY.made(pattern) == made


@pytest.mark.parametrize("pattern", ["*", "!x", ">2", "^A", "@nobody.11", "@order.999", "$what",
                                     "@order.11 + 1"])  # fmt: skip
def test_what_cannot_be_sent_is_the_scenarios_fault(pattern: str) -> None:
    with pytest.raises(ValueFault):
        MEMORY.made(pattern)


def test_paths_in_documents() -> None:
    body = {"rows": [{"k": "a", "v": 1}, {"k": "b", "v": 2}], "n": None}
    assert at_path(body, "rows[k=b].v") == 2
    assert at_path(body, "rows.1.k") == "b"
    for path in ("rows[k=c].v", "rows.7.k", "n.x", "rows.k", "none"):
        assert at_path(body, path) is None
