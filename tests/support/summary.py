"""What is the end of what pytest prints: the names of what went wrong, each with its cause.

Who sees the last lines alone, because the rest is long or was cut off, shall still read which
tests failed and which were tried again. So they come after everything else, a line each, and
neither a line nor the list is ever long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from _pytest.reports import BaseReport

CHARACTERS_MAX: Final = 200
END: Final = 60
LINES_MAX: Final = 32
"""With the title and the line of totals below it that fits well into the last 40."""
KINDS: Final = {"rerun": "RERUN", "error": "ERROR", "failed": "FAILED"}
"""Category of a report → the word for it; failures come last."""
GROUP: Final = re.compile(r"@(?:[a-z]+|tests/[\w/]+\.py)\]?$")
"""What pytest-xdist appends to the name of a test that belongs to a group."""


def one_line(text: str) -> str:
    """Return a text in one line that is not too long: of a long one its beginning and its end,
    for what a process has said before it ended badly ends with why."""
    line = " ".join(text.split())
    if len(line) <= CHARACTERS_MAX:
        return line
    return f"{line[: CHARACTERS_MAX - END - 3]} … {line[-END:]}"


def cause(report: BaseReport) -> str:
    """Return where and why it went wrong, in the words of the exception."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return (report.longreprtext.strip().splitlines() or [""])[-1]
    return f"{crash.path.rpartition('/')[2]}:{crash.lineno}: {crash.message}"


def line_of(word: str, report: BaseReport) -> str:
    """Return the line of one report: what it was, which test, when, and why."""
    when = "" if report.when in (None, "call") else f" ({report.when})"
    return one_line(f"{word} {GROUP.sub('', report.nodeid)}{when} - {cause(report)}")


def last_lines(stats: Mapping[str, Iterable[object]]) -> list[str]:
    """Return the lines for all that went wrong, of each test one of a kind.

    Where there are more than ``LINES_MAX``, each kind gives up as little as possible.
    """
    kinds = []
    for category, word in KINDS.items():
        reports = [one for one in stats.get(category, ()) if isinstance(one, BaseReport)]
        first = {one.nodeid: one for one in reversed(reports)}
        kinds.append([line_of(word, one) for one in reversed(first.values())])
    room = LINES_MAX
    shown: list[list[str]] = [[] for _ in kinds]
    # The shortest list first: what it does not need is left to the others.
    for number, index in enumerate(sorted(range(len(kinds)), key=lambda i: len(kinds[i]))):
        share = room // (len(kinds) - number)
        lines = kinds[index]
        more = f"… and {len(lines) - share + 1} more like this, further up"
        shown[index] = lines if len(lines) <= share else [*lines[: share - 1], more]
        room -= len(shown[index])
    return [line for lines in shown for line in lines]
