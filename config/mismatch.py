"""What msgspec says of a value that does not fit its type, read once for all who tell a user.

Its errors carry a sentence and nothing else, so this is the one place that knows these sentences;
``tests/unit/config/test_mismatch.py`` holds that they still read so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from msgspec import inspect

_PATH: Final = re.compile(r" - at `(?:key in )?\$?\.?(.*)`\Z", re.DOTALL)
_PART: Final = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


class MismatchKind(Enum):
    """What is wrong; says what ``found`` and ``wanted`` of a Mismatch are."""

    UNKNOWN_FIELD = auto()
    """``found`` is a field that the object does not have."""
    MISSING_FIELD = auto()
    """``found`` is a field that is not there."""
    CHOICE = auto()
    """``found`` is a value, as JSON or Python writes it, that is not one of a few."""
    PATTERN = auto()
    """``wanted`` is the regular expression, as Python writes it."""
    TYPE = auto()
    """``wanted`` and ``found`` are types such as ``int | null``."""
    OTHER = auto()
    """A bound, for instance; ``text`` says it."""


_SENTENCES: Final = (
    (MismatchKind.UNKNOWN_FIELD, re.compile(r"Object contains unknown field `(?P<found>.*)`\Z",
                                            re.DOTALL)),
    (MismatchKind.MISSING_FIELD, re.compile(r"Object missing required field `(?P<found>.*)`\Z",
                                            re.DOTALL)),
    (MismatchKind.CHOICE, re.compile(r"Invalid (?:enum )?value (?P<found>.*)\Z", re.DOTALL)),
    (MismatchKind.PATTERN, re.compile(r"Expected `str` matching regex (?P<wanted>.*)\Z",
                                      re.DOTALL)),
    (MismatchKind.TYPE, re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`\Z")),
)  # fmt: skip


class Mismatch(NamedTuple):
    """Why a value was refused. ``path`` is where, such as ``operations[0].price``; "": all of it.

    ``text`` is msgspec's sentence without the place.
    """

    kind: MismatchKind
    path: str
    text: str
    found: str = ""
    wanted: str = ""

    @property
    def field(self) -> str:
        """The place, of a field that is unknown or missing its own."""
        if self.kind not in (MismatchKind.UNKNOWN_FIELD, MismatchKind.MISSING_FIELD):
            return self.path
        return f"{self.path}.{self.found}" if self.path else self.found


def read(message: str) -> Mismatch:
    """Take the message of a ``msgspec.ValidationError`` apart."""
    place = _PATH.search(message)
    path, text = (place.group(1), message[: place.start()]) if place else ("", message)
    for kind, form in _SENTENCES:
        match = form.match(text)
        if match is not None:
            return Mismatch(kind, path, text, **match.groupdict())
    return Mismatch(MismatchKind.OTHER, path, text)


def names(shape: type[Any], path: str) -> list[str]:
    """The fields of the object at a path, as JSON has them; of all that it may be."""
    objects = [kind for kind in _at(shape, path) if isinstance(kind, inspect.StructType)]
    return list(dict.fromkeys([field.encode_name for kind in objects for field in kind.fields]))


def choices(shape: type[Any], path: str) -> list[Any]:
    """The values that the field at a path may have, where they are few and fixed, each once."""
    found: list[Any] = []
    for kind in _at(shape, path):
        if isinstance(kind, inspect.EnumType):
            found += [one.value for one in kind.cls]
        elif isinstance(kind, inspect.LiteralType):
            found += kind.values
    return list(dict.fromkeys(found))


def _at(shape: type[Any], path: str) -> Iterator[inspect.Type]:
    """Yield what may stand at a path, the members of a union apart."""
    return _below(inspect.type_info(shape), _PART.findall(path))


def _below(kind: inspect.Type, path: list[str]) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield from _below(kind.type, path)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _below(one, path)
    elif not path:
        yield kind
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield from _below(kind.item_type, path[1:])
    elif isinstance(kind, inspect.StructType):
        if path == [kind.tag_field]:
            yield inspect.LiteralType((kind.tag,))
        for field in kind.fields:
            if field.encode_name == path[0]:
                yield from _below(field.type, path[1:])
