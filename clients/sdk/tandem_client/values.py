"""What requests take as amounts and times, and how it is written for the venue.

An amount is a Decimal, an int, or decimal text, and never a float: a float is not the number that
was written, and money must not depend on how it is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

Amount: TypeAlias = Decimal | int | str
"""A price, quantity or amount: ``Decimal("0.5")``, ``2`` or ``"0.5"``."""
Instant: TypeAlias = datetime | int | str
"""A time: a datetime with a time zone, milliseconds since 1970, or text in UTC."""
Side: TypeAlias = Literal["buy", "sell"]

AMOUNTS: Final = frozenset((
    "amount", "cash_quantity", "display_quantity", "min_quantity", "price", "quantity",
    "stop_price",
))  # fmt: skip
"""Members of requests that the venue takes as decimal text."""


def amount_text(value: object, name: str = "amount") -> str:
    """Return an amount as the venue's decimal text, without an exponent.

    Raises TypeError for a float, and ValueError for what is not a finite number.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{name} is {value}; an amount is a finite number.")
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        raise TypeError(
            f"{name} is the float {value!r}; give Decimal(\"{value!r}\") or the text "
            f'"{value!r}": a float is not exactly the number that was written.'
        )
    raise TypeError(f"{name} is of type {type(value).__name__}; an amount is a Decimal or text.")


def instant_text(value: datetime, name: str = "time") -> str:
    """Return a time in UTC with microseconds. Raises ValueError if it has no time zone."""
    if value.tzinfo is None:
        raise ValueError(f"{name} has no time zone; give datetime(…, tzinfo=UTC).")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wire(value: Any, name: str = "") -> Any:
    """Return a value of a request as JSON has it; members that are None are left out."""
    if name in AMOUNTS:
        return amount_text(value, name)
    if isinstance(value, float):
        raise TypeError(f"{name or 'the value'} is the float {value!r}; the venue takes none.")
    if isinstance(value, Decimal):
        return amount_text(value, name)
    if isinstance(value, datetime):
        return instant_text(value, name)
    if isinstance(value, Mapping):
        return {key: wire(one, key) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [wire(one, name) for one in value]
    return value


def query_text(value: Any, name: str) -> str:
    """Return a value as the text of a query parameter."""
    found = wire(value, name)
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)
