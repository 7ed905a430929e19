"""The text whose hash is the state's: one form, whichever encoder writes it."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest

from engine.core.snapshot import _row_text


class Small(enum.IntEnum):
    """Stands for the enumerations of the state."""

    ONE = 1


ROWS: list[Any] = [
    [1, -5, True, False, None, "a", "", [], {}],
    ("a tuple", ["within"]),
    {"key": [-(1 << 63), (1 << 64) - 1]},
    [1 << 64, "beyond 64 bits"],
    [-(1 << 63) - 1, 1 << 200],
    ["\u00e9 \u2028 \U0001f600"],
    ["\x7f is escaped", "\x00\x01\x08\t\n\x0c\r\x1f"],
    ['quotes " and \\ and / and < > &'],
    ["a lone surrogate \udc80"],
    [Small.ONE],
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_the_fast_encoder_writes_what_the_standard_one_does(row: Any) -> None:
    assert _row_text(row) == json.dumps(row, separators=(",", ":")).encode()
