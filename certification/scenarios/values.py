"""Values in scenarios: what a field must be when received, and what it is when sent.

A value is written as text:

====================  ====================================================================
``2``                 this value; numbers are compared as numbers
``*``                 any value, but there must be one
``-``                 the field must be absent
``!X``                a value other than X (or absent)
``>X >=X <X <=X``     a number in this relation to X
``A|B``               one of these; when sending the first
``-|A``               absent or A; when sending it is left out
``^X``                a value that begins with X
``@order.38``         what field 38 of the message called ``order`` was
``@order.38 - 50``    arithmetic (``+ - *``, from left to right, spaces around the operator)
``$price``            a parameter of the run, also within a text: ``A07-$run``
====================  ====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

_REFERENCE: Final = re.compile(r"@([a-z][a-z0-9_]*)\.([A-Za-z0-9_.]+)\Z")
_PARAMETER: Final = re.compile(r"\$([a-z_]+)")
_RELATION: Final = re.compile(r"(>=|<=|>|<)(.+)\Z", re.DOTALL)
_SIGNS: Final = frozenset({"+", "-", "*"})


class ValueFault(ValueError):
    """A scenario refers to a name, field or verb that does not exist."""


class Lookup(Protocol):
    """A message or document that a scenario has named."""

    def look_up(self, key: str) -> str | None:
        """Return the value of a field, None if there is none."""


@dataclass(frozen=True, slots=True)
class Document:
    """A named JSON document; keys are paths such as ``balances.0.posted``."""

    body: Any

    def look_up(self, key: str) -> str | None:
        """Return the value at a path, as text."""
        value = at_path(self.body, key)
        return None if value is None else as_text(value)


def at_path(body: Any, path: str) -> Any:
    """Return the value at a path of a JSON document, None if there is none.

    ``fills[side=buy].price`` takes the first element of the list whose ``side`` is ``buy``,
    ``fills.last.price`` the last element.
    """
    value = body
    for name in path.split("."):
        name, _, condition = name.partition("[")
        if isinstance(value, list) and name == "last":
            value = value[-1] if value else None
        elif isinstance(value, list) and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(name)
        else:
            return None
        if condition:
            key, _, wanted = condition.rstrip("]").partition("=")
            rows = value if isinstance(value, list) else []
            value = next((r for r in rows if isinstance(r, dict) and r.get(key) == wanted), None)
    return value


def as_text(value: Any) -> str:
    """Return a JSON value as text, in the form used in scenarios."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass(slots=True)
class Memory:
    """The messages and documents of a case by name, and the parameters of the run."""

    parameters: Mapping[str, str]
    named: dict[str, Lookup] = field(default_factory=dict)

    def value(self, text: str) -> str:
        """Return an expression's value. Raises ValueFault."""
        words = text.split(" ")
        if len(words) < 3 or words[1] not in _SIGNS:
            return self._operand(text)
        result = self._number(words[0])
        for sign, word in zip(words[1::2], words[2::2], strict=False):
            number = self._number(word)
            result = {"+": result + number, "-": result - number, "*": result * number}[sign]
        return plain(result)

    def _operand(self, word: str) -> str:
        if "$" in word:
            return _PARAMETER.sub(self._parameter, word)
        found = _REFERENCE.match(word)
        if found is None:
            return word
        thing = self.named.get(found[1])
        if thing is None:
            raise ValueFault(f"{word}: nothing is called {found[1]}")
        value = thing.look_up(found[2])
        if value is None:
            raise ValueFault(f"{word}: {found[1]} has no {found[2]}")
        return value

    def _parameter(self, found: re.Match[str]) -> str:
        try:
            return self.parameters[found[1]]
        except KeyError:
            raise ValueFault(f"there is no parameter ${found[1]}") from None

    def _number(self, word: str) -> Decimal:
        number = as_number(self._operand(word))
        if number is None:
            raise ValueFault(f"{word} is not a number")
        return number

    # Checking and making.

    def wanted(self, pattern: str, value: str | None) -> str:
        """Return "" if the value matches the pattern, else a description of what was expected."""
        if pattern == "*":
            return "" if value else "any value"
        if pattern == "-":
            return "nothing" if value is not None else ""
        if pattern.startswith("!"):
            unwanted = self.value(pattern[1:])
            return f"anything but {unwanted}" if value is not None and same(value, unwanted) else ""
        if "|" in pattern:
            wants = [self.wanted(choice, value) for choice in pattern.split("|")]
            return "" if "" in wants else " or ".join(wants)
        if pattern.startswith("^"):
            prefix = self.value(pattern[1:])
            good = value is not None and value.startswith(prefix)
            return "" if good else f"something that begins with {prefix}"
        relation = _RELATION.match(pattern)
        if relation:
            bound = self.value(relation[2])
            good = value is not None and related(relation[1], value, bound)
            return "" if good else f"{_WORDS[relation[1]]} {bound}"
        exact = self.value(pattern)
        return "" if value is not None and same(value, exact) else exact

    def made(self, pattern: str) -> str | None:
        """Return the value to send for a pattern, None to omit the field. Raises ValueFault."""
        first = pattern.split("|")[0]
        if first == "-":
            return None
        if first == "*" or first[:1] in ("!", ">", "<", "^"):
            raise ValueFault(f"{pattern} says what to accept, not what to send")
        return self.value(first)


_WORDS: Final = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}


def as_number(text: str) -> Decimal | None:
    """Parse a plain decimal number; return None if the text is not one."""
    if not re.fullmatch(r"-?[0-9]*\.?[0-9]*", text) or not any(c.isdigit() for c in text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def plain(number: Decimal) -> str:
    """Return decimal text without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value: str | None) -> str:
    """Return a value as shown in messages for people."""
    return "absent" if value is None else value if value.strip() else repr(value)


def same(one: str, other: str) -> bool:
    """Return whether two values are equal; numbers are compared by value."""
    if one == other:
        return True
    numbers = as_number(one), as_number(other)
    return numbers[0] is not None and numbers[0] == numbers[1]


def related(relation: str, value: str, bound: str) -> bool:
    """Return whether two numbers are in this relation; False if one is not a number."""
    left, right = as_number(value), as_number(bound)
    if left is None or right is None:
        return False
    return {
        ">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right,
    }[relation]  # fmt: skip
