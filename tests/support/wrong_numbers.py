"""Numbers that no order can have, and why: the same for every door (FIX, REST, WebSocket).

Fields are named as in REST; ``FIX_TAGS`` has their tags. Each row begins with an order or a
change that is good but for this one number. Grid of the demo: tick 0.01, lot 0.00001.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

FIX_TAGS: Final = {
    "quantity": "38", "price": "44", "stop_price": "99", "cash_quantity": "152",
    "min_quantity": "110", "display_quantity": "111",
}  # fmt: skip
TOO_LARGE: Final = ("999999999999999999", "9" * 25, "9" * 200, "1" + "0" * 30 + ".5")
OFF_GRID: Final = ("1.000000001", "0." + "0" * 30 + "1")
ZERO: Final = ("0", "0.00", "000")
MALFORMED: Final = ("-1", "-0.5", "-999999999999999999")
"""What FIX's own types let pass; the rest of what is no number never leaves the session layer."""
NO_NUMBER: Final = ("", "1e3", "abc", "+1", "1.2.3", "0x10", "NaN", "1,5")
_ORDERS: Final[dict[str, dict[str, Any]]] = {
    "quantity": {"type": "limit", "price": "100"},
    "price": {"type": "limit", "quantity": "1"},
    "stop_price": {"type": "stop", "quantity": "1", "time_in_force": "gtc"},
    "cash_quantity": {"type": "market"},
    "min_quantity": {"type": "limit", "quantity": "1", "price": "100", "time_in_force": "ioc"},
    "display_quantity": {"type": "limit", "quantity": "1", "price": "100"},
}
_CHANGED: Final = ("quantity", "price", "display_quantity")


class Wrong(NamedTuple):
    """``field`` is ``text``, everything else is good: the code that every door gives."""

    what: str
    field: str
    text: str
    code: str

    @property
    def terms(self) -> dict[str, Any]:
        """The terms of the order, or of the change."""
        good = {} if self.what == "replace" else _ORDERS[self.field]
        return {**good, self.field: self.text}

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 20 else f"{self.text[:8]}...{len(self.text)}"
        return f"{self.what}-{self.field}-{shown}"


def rows() -> list[Wrong]:
    """Every field with every kind of wrong number."""
    found = []
    for what, names in (("create", tuple(_ORDERS)), ("replace", _CHANGED)):
        for name in names:
            kind = "price" if "price" in name else "quantity"
            for texts, code in (
                (TOO_LARGE, f"{kind}_too_large"), (OFF_GRID, f"invalid_{kind}"),
                (ZERO, f"invalid_{kind}"), (MALFORMED, f"invalid_{kind}"),
                (NO_NUMBER, f"invalid_{kind}"),
            ):  # fmt: skip
                found += [Wrong(what, name, text, code) for text in texts]
    return found
