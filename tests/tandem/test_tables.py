"""Tables of the command line: nothing is cut off or broken, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from tandem.tables import print_table, show

ROW = ("demo-alice-trade", "alice", "orders, cancels, market data", "2026-01-01 00:00:00Z")


def printed(width: int, *, terminal: bool) -> str:
    table = Table(title="Keys", title_justify="left")
    for column in ("key", "account", "permissions", "expires at"):
        table.add_column(column)
    table.add_row(*ROW)
    table.add_row("ops", "", "everything", "")
    out = io.StringIO()
    print_table(Console(file=out, force_terminal=terminal, width=width, no_color=True), table)
    return out.getvalue()


def test_a_table_that_fits_is_a_table() -> None:
    lines = printed(100, terminal=True).splitlines()
    assert any(all(cell in line for cell in ROW) for line in lines)


def test_on_a_narrow_terminal_each_row_is_a_record() -> None:
    told = printed(50, terminal=True)
    assert "\u2026" not in told
    assert max(map(len, told.splitlines())) <= 50
    for name, cell in zip(("key", "account", "permissions", "expires at"), ROW, strict=True):
        assert f"  {name:<11}  {cell}\n" in told
    assert told.endswith("  key          ops\n  permissions  everything\n\n")


@pytest.mark.parametrize("width", [20, 80])
def test_a_pipe_has_no_width(width: int) -> None:
    lines = printed(width, terminal=False).splitlines()
    assert any(all(cell in line for cell in ROW) for line in lines)


def test_what_is_not_from_us_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show("Keys", ["key", "valid_until"], [["[bold]a[/bold]", "x" * 200]], False)
    told = capsys.readouterr().out
    assert "[bold]a[/bold]" in told and "x" * 200 in told and "valid until" in told
