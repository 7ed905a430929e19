"""What the benchmarks share: rounds, medians with their spread, progress, the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from engine.core import exchange

PACKAGES: Final = ("quickfix", "msgspec", "sortedcontainers")


class Section(NamedTuple):
    """A table of measurements and its notes."""

    title: str
    command: str
    intro: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the section as Markdown, which is readable on a terminal too."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        title = f"{self.title}, compiled build" if build() == "compiled" else self.title
        lines = [f"## {title}", "", f"`{self.command}`", "", self.intro, ""]
        lines.append(_row(self.header, widths))
        lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        lines += [_row(row, widths) for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def build() -> str:
    """Return which build of the core this process uses: "plain" or "compiled"."""
    return "plain" if str(exchange.__file__).endswith(".py") else "compiled"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"


def progress(text: str) -> None:
    """Say on standard error what is being done, on one line that is written over."""
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r\x1b[K{text}" if end == "" else text, end=end, file=sys.stderr, flush=True)


def done() -> None:
    """End the line of progress."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def rate(values: Sequence[float], digits: int = 0) -> str:
    """Return the median and the spread of some values: ``12,345 (12,001 to 12,810)``."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def ratios(values: Sequence[float], others: Sequence[float]) -> str:
    """Return median and spread of the ratios of values that were measured one after the other."""
    return rate([a / b for a, b in zip(values, others, strict=True)], 2)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def half_and_99(took: Sequence[float]) -> str:
    """Return p50 and p99 as text: ``p50 / p99``."""
    return f"{percentile(took, 0.5):.2f} / {percentile(took, 0.99):.2f}"


def machine() -> list[str]:
    """Return the machine and the versions, one fact a line."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"CPU: {cpu}, {os.cpu_count()} cores; memory {memory:.0f} GiB",
        f"System: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"Libraries: {libraries}, SQLite {sqlite3.sqlite_version}",
        f"Load before the run (1, 5, 15 min): {' '.join(f'{x:.2f}' for x in os.getloadavg())}",
    ]
