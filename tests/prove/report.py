"""What a proof gives back, and the table of all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Options:
    """How a proof is to be made. ``quick`` is the short form; ``say`` shows progress."""

    seed: int
    quick: bool
    soak_s: float
    say: Callable[[str], None]

    def size(self, long: int, short: int) -> int:
        """A number of things to try."""
        return short if self.quick else long


@dataclass(slots=True)
class Result:
    """What was tried and what was found. ``not_run`` says why there was nothing to try."""

    tried: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    not_run: str = ""
    name: str = ""
    seconds: float = 0.0


class Progress:
    """One line on standard error that is written over; lines, if nobody looks."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._said_at = 0.0
        self.name = ""

    def say(self, text: str) -> None:
        """Show how far it is; not more often than anybody can read."""
        now = time.monotonic()
        if now - self._said_at < (0.2 if self._tty else 15.0):
            return
        self._said_at = now
        if self._tty:
            print(f"\r\x1b[K{self.name}: {text}", end="", file=sys.stderr, flush=True)
        else:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def begin(self, name: str) -> None:
        """A proof begins."""
        self.name, self._said_at = name, 0.0
        self.say("begins")

    def done(self) -> None:
        """Clear the line."""
        if self._tty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def show(results: list[Result], seed: int, console: Console) -> None:
    """Print the table and every finding."""
    table = Table(title=f"make prove, seed {seed}", title_justify="left", show_lines=True)
    for column in ("proof", "tried", "found"):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for result in results:
        if result.not_run:
            found = f"[yellow]not run: {escape(result.not_run)}"
        elif result.findings:
            found = f"[red]{len(result.findings)}"
        else:
            found = "[green]nothing"
        tried = "\n".join(escape(line) for line in result.tried)
        table.add_row(result.name, tried, found, f"{result.seconds:.0f}")
    console.print(table)
    for result in results:
        for finding in result.findings[:SHOWN_MAX]:
            console.print(f"[red]{result.name}:[/] {escape(finding)}", soft_wrap=True)
    if any(result.findings for result in results):
        console.print(f"Seen again with: make prove SEED={seed}", markup=False)
