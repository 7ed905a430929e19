"""Generate the tables of spec/CONFORMITY.md from the headings of the scripts.

``python -m tests.fix.session.conformity`` writes them; a test checks that they are current.
"""

from __future__ import annotations

from pathlib import Path

from tests.fix.session import definitions
from tests.fix.session.script import Script, load

PAGE = Path(__file__).parent.parent.parent.parent / "spec" / "CONFORMITY.md"
BEGIN = "<!-- generated from the scripts from here on -->\n"
CASES = (
    "1S a,1S b,1S c,1S d,2S,2a,2b,2c,2d,2e,2f,2g,2h,2i,2j,2k,2l,2m,2n,2o,2p,2q,2r,2s,2t,"
    "3a,3b,3c,3d,4a,4b,5,6,7,8,9,10a,10b,10c,10d,10e,11a,11b,11c,12,13a,13b,"
    "14a,14b,14c,14d,14e,14f,14g,14h,14i,14j,14k,14l,14m,14n,15,16,17a,17b,18a,18b,19a,19b,20,21"
).split(",")
"""Every case that applies to an acceptor; 21 is not in the list but is usually tested with it."""


def by_case(scripts: list[Script]) -> list[Script]:
    """Return the scripts in the order of the list of cases."""
    return sorted(scripts, key=lambda script: (CASES.index(script.case), script.name))


def table(scripts: list[Script]) -> str:
    """Return both tables: every script, and each difference with its reason."""
    rows = by_case(scripts)
    lines = ["| Case | Condition | Expected | Result | Script |", "|---|---|---|---|---|"]
    for script in rows:
        words = script.heading
        lines.append(
            f"| {script.case} | {words['condition']} | {words['expected']} | {words['result']} | "
            f"[{script.name}](../tests/fix/session/scripts/{script.name}.txt) |"
        )
    differing = [script for script in rows if script.heading["result"] == "differs"]
    conforming = len(rows) - len(differing)
    lines += ["", f"{len(rows)} scripts; {conforming} conform, {len(differing)} differ:", ""]
    lines += ["| Case | What the gateway does | Why |", "|---|---|---|"]
    for script in differing:
        words = script.heading
        lines.append(f"| {script.case} | {words['does']} | {words['why']} |")
    return "\n".join(lines) + "\n"


def page(scripts: list[Script], text: str) -> str:
    """Return the page with new tables, those of QuickFIX's definitions behind them."""
    return text.partition(BEGIN)[0] + BEGIN + "\n" + table(scripts) + "\n" + definitions.table()


if __name__ == "__main__":
    PAGE.write_text(page(load(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
