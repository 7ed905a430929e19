"""Ids in requests and sentences in responses: each is read and written only here."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem

CLIENT_PREFIX: Final = "client:"
"""The prefix of a client-chosen id in a path."""
_ID_DIGITS_MAX: Final = 18
"""No id is longer, and every number of so many digits fits a signed 64-bit integer."""


def is_id(text: str) -> bool:
    """Return True if the text is written as the venue writes its ids: a whole number."""
    return text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS_MAX


def is_reference(text: str) -> bool:
    """Return True if a text names an object, known or not."""
    return text.startswith(CLIENT_PREFIX) or is_id(text)


def reference(text: str) -> tuple[int, str] | None:
    """Read ``123`` as (123, "") and ``client:<id>`` as (0, "<id>"); None where it is neither."""
    if text.startswith(CLIENT_PREFIX):
        return 0, text[len(CLIENT_PREFIX) :]
    return (int(text), "") if is_id(text) else None


def order_reference(text: str, field: str = "order") -> tuple[int, str]:
    """Read ``123`` as (order id, "") and ``client:<id>`` as (0, client order id).

    Raises Problem ``unknown_order`` if it is neither.
    """
    found = reference(text)
    if found is None:
        raise Problem(
            "unknown_order",
            f"There is no order {text[:80]!r}; name it by its number or by "
            "client:<client_order_id>.",
            field=field,
        )
    return found


def cursor_id(cursor: str | None, listed: str) -> int:
    """Read the cursor of a list that is ordered by an id; 0 for none.

    ``listed`` names what is listed, in the plural. Raises Problem ``invalid_request``.
    """
    if cursor is None:
        return 0
    if not is_id(cursor):
        raise Problem(
            "invalid_request",
            f"The cursor was not returned by the list of {listed}.",
            field="cursor",
        )
    return int(cursor)


def sentence(text: str) -> str:
    """Write a text of the engine as a sentence: a capital first, one full stop last."""
    if not text:
        return text
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
