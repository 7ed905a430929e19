"""How types of the specification are written in Python, for ``tools.client_code``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

DECIMALS: Final = frozenset(
    """
    amount approval_above available available_change average_price band band_high band_low
    cash_quantity change change_percent close daily_limit daily_remaining daily_used
    display_quantity fee fees filled_quantity held held_change high last_price leaves_quantity lot
    low maker max_price max_quantity min_quantity net notional open pending posted price quantity
    quote_volume reference_price stop_price taker tick total volume withdrawal_fee withdrawal_min
    withdrawal_step
    """.split()
)
"""Members of responses that are decimal text."""
INSTANTS: Final = frozenset(("start", "time"))
INSTANT_ENDS: Final = ("_at", "_since", "_until")
"""Members of responses that are times, by their whole name or its end."""
DECIMAL_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?$"
SIDE: Final = ["buy", "sell"]

Kind = Mapping[str, Any]


def response_type(name: str, kind: Kind) -> str:
    """Return the type of a member of a response.

    Names of states and the like are ``str``, whatever the document lists: a venue that learns a
    new one must not stop a client that has not.
    """
    if "anyOf" in kind:
        inner = [one for one in kind["anyOf"] if one.get("type") != "null"]
        return f"{response_type(name, inner[0])} | None"
    if "$ref" in kind:
        return str(kind["$ref"].rpartition("/")[2])
    if sorted(kind.get("enum", ())) == SIDE:
        return "Side"
    match kind.get("type", "string"):
        case "array":
            return f"list[{response_type('', kind['items'])}]"
        case "integer":
            return "int"
        case "boolean":
            return "bool"
    if name in DECIMALS:
        return "Decimal"
    return "datetime" if name in INSTANTS or name.endswith(INSTANT_ENDS) else "str"


def request_type(kind: Kind, required: bool) -> tuple[str, str]:
    """Return the type of a parameter, and its default; "" if it has none.

    A parameter that is None is left out of the request, so that the venue's default applies.
    """
    text = _request(kind)
    return (text, "") if required else (f"{text} | None", "None")


def _request(kind: Kind) -> str:
    if "anyOf" in kind:
        inner = [one for one in kind["anyOf"] if one.get("type") != "null"]
        # A time is text or milliseconds.
        if len(inner) == 2 and inner[1].get("type") == "integer":
            return "Instant"
        return " | ".join(_request(one) for one in inner)
    if "$ref" in kind:
        return str(kind["$ref"].rpartition("/")[2])
    if sorted(kind.get("enum", ())) == SIDE:
        return "Side"
    if "enum" in kind:
        return f"Literal[{', '.join(f'{chr(34)}{one}{chr(34)}' for one in kind['enum'])}]"
    match kind.get("type"):
        case "array":
            return f"list[{_request(kind['items'])}]"
        case "integer":
            return "int"
        case "boolean":
            return "bool"
    return "Amount" if kind.get("pattern") == DECIMAL_PATTERN else "str"


def docstring(text: str, indent: str) -> list[str]:
    """Return the lines of a docstring."""
    paragraphs = [" ".join(part.split()) for part in text.strip().split("\n\n")]
    lines: list[str] = []
    for paragraph in paragraphs:
        if lines:
            lines.append("")
        lines += textwrap.wrap(paragraph, 93 - len(indent), break_on_hyphens=False)
    lines[0] = f'"""{lines[0]}'
    if len(lines) == 1:
        return [f'{indent}{lines[0]}"""']
    return [f"{indent}{line}".rstrip() for line in lines] + [f'{indent}"""']
