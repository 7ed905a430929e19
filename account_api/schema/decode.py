"""Strict reading of what clients send: JSON bodies and query strings into typed structs.

JSON libraries accept too much where money is concerned: the last of two equal keys wins, ``NaN``
is a number, and a pattern that ends in ``$`` accepts a newline. Here all of that is refused, and
the problem names the field.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from account_api.errors import Problem
from account_api.schema.requests import FORMS
from config import mismatch
from config.mismatch import Mismatch, MismatchKind
from config.suggestion import meant

T = TypeVar("T")
_EMPTY: Final[dict[type, Any]] = {}
"""The value of an empty query, for each type that allows one."""
_WORDS: Final = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}\.0{1,18}\Z")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class _DuplicateKey(ValueError):
    """An object has the same key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(key)
            seen.add(key)
    return result


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> int | float:
    """Read a number with a decimal point; 5.0 is the whole number 5."""
    return int(text.partition(".")[0]) if _WHOLE.match(text) is not None else float(text)


def _shown(text: str, limit: int = 60) -> str:
    """Shorten and escape a client's text for use in a sentence."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return cut.encode("unicode_escape").decode("ascii")


def parse_json(body: bytes) -> Any:
    """Read one JSON value. Raises Problem ``invalid_json``."""
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number
        )
        if _SURROGATE_ESCAPE.search(text) is not None:
            # A lone surrogate passes the parser but can be written nowhere.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except _DuplicateKey as error:
        field = str(error)
        raise Problem(
            "invalid_json", f"The body has the key {_shown(field)!r} twice.", field=field
        ) from None
    except UnicodeError:
        raise Problem("invalid_json", "The body is not valid UTF-8 text.") from None
    except RecursionError:
        raise Problem("invalid_json", "The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise Problem(
            "invalid_json", f"The body is not valid JSON: {error.msg} at byte {error.pos}."
        ) from None
    except ValueError:
        raise Problem(
            "invalid_json", "The body holds a number that JSON does not have."
        ) from None


def body_of(body: bytes, shape: type[T]) -> T:
    """Read a JSON body as ``shape``. Raises Problem."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise Problem("invalid_json", "The body must be one JSON object.")
    try:
        return msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "body", shape) from None
    except RecursionError:
        raise Problem("invalid_json", "The body is nested too deeply.") from None


def query_of(pairs: list[tuple[str, str]], shape: type[T]) -> T:
    """Read a query string as ``shape``; unknown and repeated parameters are refused."""
    if not pairs and shape in _EMPTY:
        nothing: T = _EMPTY[shape]
        return nothing
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise Problem(
                "invalid_request",
                f"The query parameter {_shown(name)} is given twice.",
                field=name,
            )
        values[name] = value
    try:
        result = msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "query", shape) from None
    if not pairs:
        _EMPTY[shape] = result
    for name in values:
        # "null" is read as nothing, and a filter that says nothing would widen a cancel-all.
        if getattr(result, name) is None:
            raise Problem(
                "invalid_request",
                f"The query parameter {_shown(name)} must have a value or be left out.",
                field=name,
            )
    return result


def _invalid(message: str, where: str, shape: type[Any]) -> Problem:
    """Turn msgspec's sentence into a problem that names the field."""
    wrong = mismatch.read(message)
    field = wrong.field or where
    return Problem(
        "invalid_request",
        f"The field {_shown(field)} {_in_words(wrong, where, shape)}.",
        field=_shown(field, 200),
    )


def _in_words(wrong: Mismatch, where: str, shape: type[Any]) -> str:
    """Say what is wrong with a field, to end a sentence with."""
    if wrong.kind is MismatchKind.UNKNOWN_FIELD:
        nearest = meant(wrong.found, mismatch.names(shape, wrong.path))
        return f"is not known here; the nearest is {nearest}" if nearest else "is not known here"
    if wrong.kind is MismatchKind.MISSING_FIELD:
        return "is missing"
    if wrong.kind is MismatchKind.CHOICE:
        values = [str(value) for value in mismatch.choices(shape, wrong.path)]
        if values:
            one_of = ", ".join(values[:-1]) + f" or {values[-1]}" if values[1:] else values[0]
            return f"must be {one_of}, not {_shown(wrong.found)}"
    if wrong.kind is MismatchKind.PATTERN:
        # The message shows the pattern as Python would write it.
        for pattern, words in FORMS.items():
            if repr(pattern) == wrong.wanted:
                return words
    if wrong.kind is MismatchKind.TYPE:
        wanted, got = _named(wrong.wanted), _named(wrong.found)
        # All of a query is text, so that it is text says nothing.
        return f"must be {wanted}" if where == "query" else f"must be {wanted}, not {got}"
    reason = wrong.text[:1].lower() + wrong.text[1:]
    return f"cannot be used: {_shown(reason, 300)}"


def _named(kinds: str) -> str:
    """Translate the decoder's type names into the words of JSON."""
    names = [_WORDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|")]
    return " or ".join(dict.fromkeys(names))
