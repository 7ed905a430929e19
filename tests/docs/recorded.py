"""What is recorded from a venue is the same at every recording."""

from __future__ import annotations

import re
from collections.abc import Iterable


def in_order(text: str, forms: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """Replace what each pattern finds by its form, with a number in the order of appearance."""
    for pattern, form in forms:
        seen: dict[str, str] = {}

        def number(match: re.Match[str], seen: dict[str, str] = seen, form: str = form) -> str:
            return seen.setdefault(match[0], form.format(len(seen) + 1))

        text = pattern.sub(number, text)
    return text
