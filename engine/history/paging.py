"""Pages: bounds, time ranges and opaque cursors over keysets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Table,
    and_,
    or_,
    select,
    union_all,
)

from engine.core.types import INT64_MAX

LIMIT_MAX: Final = 1000
_PARTS_MAX: Final = 400
"""Queries in one statement; SQLite takes 500."""


class CursorError(ValueError):
    """A cursor was not issued by this list."""


def check_limit(limit: int) -> None:
    """Raise ValueError unless the limit is from 1 to LIMIT_MAX."""
    if not 1 <= limit <= LIMIT_MAX:
        raise ValueError(f"limit {limit} must be from 1 to {LIMIT_MAX}")


def of_accounts(
    table: Table, row: type[NamedTuple], accounts: Sequence[str]
) -> Select[Any]:
    """Select the fields of a row's type from the rows that these accounts may see."""
    return select(*(table.c[name] for name in row._fields)).where(table.c.account.in_(accounts))


def narrowed(query: Select[Any], *wanted: tuple[ColumnElement[Any], Any]) -> Select[Any]:
    """Keep the rows whose columns have the values wanted; an empty value or None says nothing."""
    for column, value in wanted:
        if value:
            query = query.where(column == value)
    return query


def between(
    query: Select[Any], column: ColumnElement[int], from_us: int, to_us: int
) -> Select[Any]:
    """Restrict to [from_us, to_us), µs; 0 means no bound."""
    if from_us:
        query = query.where(column >= from_us)
    if to_us:
        query = query.where(column < to_us)
    return query


def keyset_page(
    connection: Connection,
    query: Select[Any] | Sequence[Select[Any]],
    name: str,
    key: tuple[ColumnElement[Any], ...],
    cursor: str,
    limit: int,
    *,
    newest: bool = False,
) -> tuple[list[Any], str | None]:
    """Run a query by keyset: return one page of rows beyond the cursor, in order of the key.

    Several queries of the same columns are read as one list; each has an index in the order of
    the key, so a page reads little more than its rows. With ``newest`` the order is reversed, and
    so is what the cursor means: its name tells.
    """
    name = f"{name}, newest first" if newest else name
    parts = [query] if isinstance(query, Select) else list(query)
    if cursor:
        beyond = _beyond(key, _open_cursor(name, cursor, key), newest)
        parts = [part.where(beyond) for part in parts]
    rows: list[Any] = []
    for start in range(0, len(parts), _PARTS_MAX):
        rows += connection.execute(_joined(parts[start : start + _PARTS_MAX], key, limit, newest))
    if len(parts) > _PARTS_MAX:
        rows.sort(key=attrgetter(*(str(column.key) for column in key)), reverse=newest)
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]._mapping
    return rows[:limit], _make_cursor(name, [last[column.key] for column in key])


def _joined(
    parts: Sequence[Select[Any]], key: tuple[ColumnElement[Any], ...], limit: int, newest: bool
) -> Select[Any] | CompoundSelect[Any]:
    """Return one statement for the first rows of all parts, one more than the limit."""
    query = parts[0] if len(parts) == 1 else union_all(*parts)
    order: list[ColumnElement[Any]] = [query.selected_columns[str(column.key)] for column in key]
    if newest:
        order = [column.desc() for column in order]
    return query.order_by(*order).limit(limit + 1)


def _beyond(
    key: tuple[ColumnElement[Any], ...], values: list[Any], below: bool
) -> ColumnElement[bool]:
    """(a, b) > (x, y), or <, written out because not every index is used for row values."""
    alternatives = []
    for index, column in enumerate(key):
        equal = [key[i] == values[i] for i in range(index)]
        past = column < values[index] if below else column > values[index]
        alternatives.append(and_(*equal, past))
    first = key[0] <= values[0] if below else key[0] >= values[0]
    return and_(first, or_(*alternatives))


def _make_cursor(name: str, values: list[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([name, *values])).decode().rstrip("=")


def _open_cursor(name: str, cursor: str, key: tuple[ColumnElement[Any], ...]) -> list[Any]:
    wrong = f"cursor {cursor[:64]!r} was not given out by the list of {name}"
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        content = msgspec.json.decode(base64.urlsafe_b64decode(padded.encode()), type=list[Any])
    except (binascii.Error, UnicodeEncodeError, msgspec.MsgspecError, ValueError):
        raise CursorError(wrong) from None
    values = content[1:]
    if content[:1] != [name] or len(values) != len(key):
        raise CursorError(wrong)
    for value, column in zip(values, key, strict=True):
        if type(value) is not column.type.python_type:
            raise CursorError(wrong)
        if isinstance(value, int) and not 0 <= value <= INT64_MAX:
            raise CursorError(wrong)
        if isinstance(value, str) and "\0" in value:
            raise CursorError(wrong)
    return values
