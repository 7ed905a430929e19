"""Bars as SVG, without a library, in the colours of ``benchmarks.plot``; one picture a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from benchmarks.plot import COLOURS, GREY, RIGHT, WIDTH

LABEL: Final = 250
FIGURE: Final = 150
ROW: Final = 24
HEAD: Final = 34
GROUP: Final = 30


class Bar(NamedTuple):
    """A figure, its name, and the words behind the bar."""

    name: str
    value: float
    words: str
    ours: bool
    """Of this venue; the others have another colour."""


def bars(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], one: float | None = None) -> str:
    """Return the picture; ``one`` is where a line is drawn, as that of a ratio of 1."""
    every = [bar.value for _, group in groups for bar in group]
    most = max([*every, one or 0.0]) or 1.0
    room = WIDTH - LABEL - FIGURE - RIGHT
    height = HEAD + sum(GROUP + ROW * len(group) for _, group in groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
        f'fill="{GREY}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="8" y="18" font-weight="bold" font-size="14">{escape(title)}</text>',
    ]
    y = HEAD
    for name, group in groups:
        parts.append(f'<text x="8" y="{y + 16}" font-weight="bold">{escape(name)}</text>')
        y += GROUP - 6
        for bar in group:
            length = room * bar.value / most
            colour = COLOURS[0 if bar.ours else 1]
            parts.append(
                f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(bar.name)}</text>'
                f'<rect x="{LABEL}" y="{y + 3}" width="{length:.1f}" height="{ROW - 8}" '
                f'fill="{colour}"/>'
                f'<text x="{LABEL + length + 8:.1f}" y="{y + 14}">{escape(bar.words)}</text>'
            )
            y += ROW
        y += 6
    if one is not None:
        x = LABEL + room * one / most
        parts.append(f'<path d="M{x:.1f} {HEAD}V{height - 6}" stroke="{GREY}" stroke-width="1"/>')
    return "\n".join([*parts, "</svg>", ""])
