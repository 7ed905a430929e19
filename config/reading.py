"""From the tables of the file to the settings, collecting every problem on the way.

Each table is converted by itself, so that one wrong value hides no other; a problem names
its key as it stands in the file (``instruments[2].tick``) and what was expected there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from config import mismatch, model
from config.mismatch import MismatchKind
from config.suggestion import hint, meant
from engine.core.instruments import (
    Instrument,
    NumberError,
    make_instrument,
    parse_scaled,
)
from engine.core.types import INT64_MAX

Found = TypeVar("Found")
Table = TypeVar("Table", bound=Struct)

_WORDS: Final = {
    "str": "text", "int": "a whole number", "float": "a decimal number", "bool": "true or false",
    "array": "a list", "object": "a table",
}  # fmt: skip
_NAMES: Final = ("symbol", "comp_id", "key", "network", "asset", "account")
"""Keys by which an entry of a list is known to people, who do not count tables."""
_ROLL: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")


class InstrumentTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instrument as the file has it. What the program has is the engine's own ``Instrument``,
    in ticks and lots with the scales of its assets: another type, and not this one twice."""

    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_qty: str
    max_qty: str
    max_price: str
    band_ppm: Annotated[int, Meta(ge=0, le=999_999)] = 0


class Problems:
    """The list of what is wrong with a file, in the order of finding."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, key: str, sentence: str) -> None:
        """Note that the value at ``key`` is not usable, and what would be."""
        self.lines.append(f"{key}: {sentence}")


class Reader:
    """Reads the tables of one document; every method notes its problems and goes on."""

    def __init__(self, document: dict[str, Any], problems: Problems) -> None:
        self._document = document
        self._problems = problems

    def table(self, name: str, kind: type[Table]) -> Table | None:
        """Read the table ``[name]``; all defaults where it is absent."""
        return self._convert(name, self._document.get(name, {}), kind)

    def tables(
        self, name: str, kind: type[Table], defaults: Mapping[str, Any] = MappingProxyType({})
    ) -> list[tuple[str, Table]]:
        """Return the entries of ``[[name]]`` that are usable, each with its key in the file.

        ``defaults`` are those that other tables of the file set.
        """
        entries = self._document.get(name, [])
        if not isinstance(entries, list):
            self._problems.add(name, f"expected a list of tables, written [[{name}]]")
            return []
        found = []
        for index, entry in enumerate(entries):
            where = f"{name}[{index}]"
            known = {**defaults, **entry} if isinstance(entry, dict) else entry
            table = self._convert(where, known, kind)
            if table is not None:
                found.append((where, table))
        return found

    def declared(self, name: str, field: str) -> list[str]:
        """Return the names that the entries of ``[[name]]`` have in a field, usable or not.

        What refers to an entry that is there and wrong is not wrong itself.
        """
        entries = self._document.get(name, [])
        rows = entries if isinstance(entries, list) else []
        return [str(row.get(field)) for row in rows if isinstance(row, dict) and field in row]

    def amount(self, key: str, text: str, scale: int) -> int:
        """Convert decimal text to atoms; note a problem and return 0 for anything else."""
        try:
            return parse_scaled(text, scale, "the value")
        except NumberError as error:
            self._problems.add(key, f"{error}")
            return 0

    def _convert(self, where: str, entry: Any, kind: type[Table]) -> Table | None:
        try:
            return msgspec.convert(entry, kind, dec_hook=_path)
        except msgspec.ValidationError as error:
            self._problems.add(*_explain(where, str(error), kind, entry))
            return None


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _explain(where: str, message: str, kind: type[Struct], entry: Any) -> tuple[str, str]:
    """Return msgspec's message as (key in the file, what was expected there)."""
    wrong = mismatch.read(message)
    key = f"{where}.{wrong.field}" if wrong.field else where
    text = wrong.text.replace("`", "")
    if wrong.kind is MismatchKind.UNKNOWN_FIELD:
        known = ", ".join(sorted(f.name for f in msgspec.structs.fields(kind)))
        found = meant(wrong.found, [field.name for field in msgspec.structs.fields(kind)])
        nearest = f"; the nearest is {found}" if found else ""
        text = f"is not a known key{nearest}; known here are {known}"
    elif wrong.kind is MismatchKind.MISSING_FIELD:
        text = "is missing and has no default"
    elif wrong.kind is MismatchKind.CHOICE:
        choices = mismatch.choices(kind, wrong.path)
        if choices:
            text = f"expected one of {', '.join(map(repr, choices))}, got {wrong.found}"
    elif wrong.kind is MismatchKind.TYPE:
        text = f"expected {_named(wrong.wanted)}, got {_named(wrong.found)}"
        # The value itself is not shown: it may be a secret.
        if wrong.wanted == "str" and wrong.found in ("int", "float"):
            text += '; write it in quotes, as in "0.01"'
        elif wrong.wanted == "int" and wrong.found == "str":
            text += "; write it without quotes"
    return key, text[:1].lower() + text[1:] + _owner(entry)


def _named(kinds: str) -> str:
    """Return msgspec's names of types in the words of TOML."""
    return " or ".join([_WORDS.get(kind.strip(), kind.strip()) for kind in kinds.split("|")])


def _owner(entry: Any) -> str:
    """Return whose table it is, by the first key that names one; "" where none does."""
    if isinstance(entry, dict):
        for name in _NAMES:
            if isinstance(entry.get(name), str):
                return f" (in the table of {entry[name]})"
    return ""


def collect(make: Callable[[str, Table], Found | None],
            tables: Iterable[tuple[str, Table]]) -> tuple[Found, ...]:  # fmt: skip
    """Make settings of the tables, leaving out those that turned out unusable."""
    made = (make(where, table) for where, table in tables)
    return tuple(one for one in made if one is not None)


def check_day_roll(venue: model.Venue, problems: Problems) -> None:
    """Check the time of day when the day rolls, HH:MM in UTC."""
    if not _ROLL.match(venue.day_roll):
        problems.add("venue.day_roll", f"expected a time of day HH:MM, got {venue.day_roll!r}")


def instrument(
    where: str, table: InstrumentTable, scales: dict[str, int], declared: Sequence[str],
    problems: Problems,
) -> Instrument | None:
    """Convert an instrument whose grid gives whole atoms; its bounds become lots and ticks.

    ``declared`` are all assets of the file, those that are wrong themselves too.
    """
    for field, asset in (("base", table.base), ("quote", table.quote)):
        if asset not in scales:
            if asset not in declared:
                problems.add(
                    f"{where}.{field}",
                    f"expected one of the assets, got {asset!r}{hint(asset, scales)}",
                )
            return None
    if table.base == table.quote:
        problems.add(f"{where}.quote", "expected another asset than the base")
        return None

    def build(min_qty: int, max_qty: int, max_price: int) -> Instrument:
        return make_instrument(
            table.symbol, table.base, scales[table.base], table.quote, scales[table.quote],
            table.tick, table.lot, min_qty, max_qty, max_price, table.band_ppm,
        )  # fmt: skip

    try:
        # A probe with the tightest bounds checks the grid; with the widest it reads the texts.
        probe = build(1, 1, 1)._replace(max_qty=INT64_MAX, max_price=INT64_MAX)
        return build(
            probe.quantity(table.min_qty, "min_qty"),
            probe.quantity(table.max_qty, "max_qty"),
            probe.price(table.max_price, "max_price"),
        )
    except NumberError as error:
        problems.add(where, str(error))
        return None
