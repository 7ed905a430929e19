"""Print rows as a table for people, or as JSON for programs.

No cell is cut off or broken. A table that is wider than the terminal becomes a record for each
row; what goes to a file or a pipe is as wide as it needs to be.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_MAX: Final = 10_000


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], as_json: bool) -> None:
    """Print rows of text; as JSON each is an object with the columns as its keys."""
    if as_json:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps(named, indent=2, ensure_ascii=False))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*row)
    print_table(Console(highlight=False, markup=False), table)


def print_table(console: Console, table: Table) -> None:
    """Print a table whole: as records where the terminal is too narrow for it."""
    wide = console.options.update(width=_WIDTH_MAX)
    needed = console.measure(table, options=wide).maximum
    if console.is_terminal and needed > console.width:
        console.print(_records(table))
        return
    width, console.width = console.width, max(needed, console.width)
    console.print(table)
    console.width = width


def _records(table: Table) -> Text:
    """Return the rows one below the other, each value on a line with the name of its column."""
    names = [str(column.header) for column in table.columns]
    margin = max(map(len, names), default=0)
    blocks = [] if table.title is None else [f"{table.title}"]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        told = [
            f"  {name:<{margin}}  {cell}" for name, cell in zip(names, row, strict=True) if cell
        ]  # An empty cell says nothing.
        blocks.append("\n".join(told))
    return Text("\n\n".join(blocks) + "\n", overflow="fold")


def moment(time_us: int) -> str:
    """Return a time in UTC, to the second; "" for none."""
    if not time_us:
        return ""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
