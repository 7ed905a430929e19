"""Run every benchmark and write docs/benchmarks.md; ``python -m benchmarks.report``.

Takes about ten minutes; ``--quick`` takes one or two and writes nothing unless told where.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Final

from benchmarks import apply, fix, journal
from benchmarks.common import Section, machine

OUTPUT: Final = Path(__file__).parent.parent / "docs" / "benchmarks.md"
INTRO: Final = """# Benchmarks

Every figure comes from a command in `benchmarks/`; `python -m benchmarks.report` runs them all
and writes this page. A figure is a median with its spread (lowest to highest round) beside
it. On a shared machine absolute figures are noisy; ratios are taken between rounds that ran
one after the other.
"""


def page(found: list[Section]) -> str:
    """The whole page."""
    today = datetime.datetime.now(datetime.UTC).date()
    facts = "\n".join(f"- {line}" for line in [f"Taken on {today}", *machine()])
    return "\n".join([INTRO, "## Machine", "", facts, "", *(s.text() for s in found)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer commands and rounds")
    parser.add_argument("--output", type=Path, help=f"where to write, {OUTPUT} by default")
    options = parser.parse_args()
    found: list[Section] = []
    for part in (apply, fix, journal):
        for section in part.sections(options.quick):
            found.append(section)
            print(section.text(), flush=True)
    output = options.output or (None if options.quick else OUTPUT)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(found), encoding="utf-8")
        print(f"written to {output}")


if __name__ == "__main__":
    main()
