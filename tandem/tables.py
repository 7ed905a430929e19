"""Print rows as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], as_json: bool) -> None:
    """Print rows of text; as JSON each is an object with the columns as its keys."""
    if as_json:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        print(json.dumps(named, indent=2, ensure_ascii=False))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def moment(time_us: int) -> str:
    """Return a time in UTC, to the second; "" for none."""
    if not time_us:
        return ""
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
