"""Latencies over time or load as SVG, without a library, on a logarithmic scale.

Lines and letters are of middle brightness on no background, so that the plot can be read on
a light page and on a dark one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

WIDTH: Final = 760
PANEL: Final = 150
LEFT: Final = 64
RIGHT: Final = 16
GAP: Final = 44
TOP: Final = 34
GREY: Final = "#808890"
COLOURS: Final = ("#2f9e63", "#d08a1d", "#d4504e")
"""Of the lines of a panel, in their order."""


class Panel(NamedTuple):
    """A title and lines of (seconds, milliseconds) points; every panel has the same names."""

    title: str
    lines: Sequence[Sequence[tuple[float, float]]]


def plot(
    panels: Sequence[Panel], names: Sequence[str], seconds: float, unit: str = "s"
) -> str:
    """Return the whole picture; the axis below ends at ``seconds``, or so many of ``unit``."""
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
        f'fill="{GREY}" role="img">',
        f"<title>{escape(', '.join(panel.title for panel in panels))}</title>",
    ]
    for number, name in enumerate(names):
        x = LEFT + 110 * number
        parts.append(f'<path d="M{x} 14h22" stroke="{COLOURS[number]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 28}" y="18">{escape(name)}</text>')
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL + GAP), seconds, unit)
    return "\n".join([*parts, "</svg>", ""])


class Curve(NamedTuple):
    """A named line of (load, milliseconds) points."""

    name: str
    points: Sequence[tuple[float, float]]


def curve(title: str, unit: str, lines: Sequence[Curve]) -> str:
    """Return a picture of latencies over a load, given in ``unit``."""
    panel = Panel(title, [line.points for line in lines])
    highest = max(load for line in lines for load, _ in line.points)
    return plot([panel], [line.name for line in lines], highest, unit)


def _panel(panel: Panel, top: float, seconds: float, unit: str) -> list[str]:
    """Return one set of axes with its lines."""
    values = [value for line in panel.lines for _, value in line if value > 0] or [1.0]
    low = math.floor(math.log10(min(values)))
    high = max(low + 1, math.ceil(math.log10(max(values))))
    upper = top + 20

    def x_of(second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / seconds

    def y_of(value: float) -> float:
        return upper + PANEL * (high - math.log10(max(value, 10**low))) / (high - low)

    parts = [f'<text x="{LEFT}" y="{top + 10}" font-weight="bold">{escape(panel.title)}</text>']
    for power in range(low, high + 1):
        y = y_of(10.0**power)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GREY}" stroke-opacity="0.35"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} ms</text>'
        )
    for step in range(7):
        second = seconds * step / 6
        parts.append(
            f'<text x="{x_of(second):.1f}" y="{upper + PANEL + 15:.1f}" text-anchor="middle">'
            f"{_tick(second)} {unit}</text>"
        )
    for number, line in enumerate(panel.lines):
        points = " ".join(f"{x_of(at):.1f},{y_of(value):.1f}" for at, value in line)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{COLOURS[number]}" '
            'stroke-width="1.6"/>'
        )
    return parts


def _tick(value: float) -> str:
    """Return a number of the axis below with three digits."""
    return f"{float(f'{value:.3g}'):,g}"
