"""msgspec's sentences are what config.mismatch takes them for, in the version that is installed."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from config.mismatch import MismatchKind, choices, names, read


class Number(IntEnum):
    ONE = 1


class Inner(Struct, forbid_unknown_fields=True, tag="inner", tag_field="op"):
    side: Literal["buy", "sell"]
    price: Annotated[str, Meta(pattern=r"^[0-9]+\Z")] = "1"


class Outer(Struct, forbid_unknown_fields=True):
    items: list[Inner] = []
    scopes: tuple[Literal["read", "trade"], ...] = ()
    reset: Literal[0, 1, 2] | None = None
    count: Annotated[int, Meta(ge=1)] | None = None
    number: Number = Number.ONE


@pytest.mark.parametrize(
    ("value", "kind", "field", "found", "wanted"),
    [
        ({"other": 1}, MismatchKind.UNKNOWN_FIELD, "other", "other", ""),
        ({"items": [{"op": "inner"}]}, MismatchKind.MISSING_FIELD, "items[0].side", "side", ""),
        ({"items": [{"op": "inner", "side": "hold"}]}, MismatchKind.CHOICE, "items[0].side",
         "'hold'", ""),
        ({"items": [{"op": "outer", "side": "buy"}]}, MismatchKind.CHOICE, "items[0].op",
         "'outer'", ""),
        ({"items": [{"op": "inner", "side": "buy", "price": "x"}]}, MismatchKind.PATTERN,
         "items[0].price", "", repr(r"^[0-9]+\Z")),
        ({"scopes": ["write"]}, MismatchKind.CHOICE, "scopes[0]", "'write'", ""),
        ({"reset": 7}, MismatchKind.CHOICE, "reset", "7", ""),
        ({"count": "7"}, MismatchKind.TYPE, "count", "str", "int | null"),
        ({"count": 0}, MismatchKind.OTHER, "count", "", ""),
        ([], MismatchKind.TYPE, "", "array", "object"),
    ],
)  # fmt: skip
def test_each_sentence_is_taken_apart(
    value: Any, kind: MismatchKind, field: str, found: str, wanted: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, Outer)
    wrong = read(str(refused.value))
    assert (wrong.kind, wrong.field, wrong.found, wrong.wanted) == (kind, field, found, wanted)
    assert "`$" not in wrong.text


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("items[0].side", ["buy", "sell"]),
        ("items[...].op", ["inner"]),
        ("scopes[1]", ["read", "trade"]),
        ("reset", [0, 1, 2]),
        ("count", []),
        ("nothing.here", []),
    ],
)
def test_the_values_that_a_field_may_have(path: str, wanted: list[Any]) -> None:
    assert choices(Outer, path) == wanted


def test_the_fields_of_the_object_at_a_path_are_known() -> None:
    assert names(Outer, "") == ["items", "scopes", "reset", "count", "number"]
    assert names(Outer, "items[0]") == ["side", "price"]
    assert names(Outer, "count") == [] == names(Outer, "nothing.here")
