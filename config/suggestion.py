"""What somebody may have meant who gave a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

LISTED_MAX: Final = 8
"""So many names are listed when none is like the one that was given."""
_COMPARED_MAX: Final = 1_000
_LENGTH_MAX: Final = 64
_SHORT: Final = {"qty": "quantity", "px": "price", "tif": "time_in_force", "stp":
                 "self_trade_prevention", "clordid": "client_order_id", "amt": "amount",
                 "ccy": "asset", "currency": "asset", "coin": "asset", "instrument": "symbol",
                 "market": "symbol", "pair": "symbol", "size": "quantity", "post": "post_only",
                 "orderqty": "quantity", "ordtype": "type", "ordertype": "type",
                 "clientorderid": "client_order_id", "timeinforce": "time_in_force"}  # fmt: skip
"""Usual names of fields elsewhere, and ours."""


def _plain(name: str) -> str:
    return "".join([letter for letter in name.casefold() if letter.isalnum()])


def meant(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like this one, "" if none is.

    Looks at no more than the first thousand names, and at none for a name of over 64 characters.
    """
    if len(name) > _LENGTH_MAX:
        return ""
    plain = {_plain(one): one for one in list(known)[:_COMPARED_MAX]}
    wanted = _plain(name)
    short = _plain(_SHORT.get(wanted, ""))
    if wanted in plain or short in plain:
        return plain.get(wanted) or plain[short]
    close = difflib.get_close_matches(wanted, plain, 1, 0.65)
    return plain[close[0]] if close else ""


def hint(name: str, known: Iterable[str]) -> str:
    """Return how a sentence goes on about a name that is not known: which is meant, or may be.

    "" where nothing is like it and there are too many to list.
    """
    names = list(known)
    found = meant(name, names)
    if found:
        return f"; the nearest is {found}"
    if 0 < len(names) <= LISTED_MAX:
        listed = ", ".join(sorted(names))
        return f"; there {'is' if len(names) == 1 else 'are'} {listed}"
    return ""
