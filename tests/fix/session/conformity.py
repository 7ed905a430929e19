"""The table of spec/CONFORMITY.md, made from the headings of the scripts.

``python -m tests.fix.session.conformity`` writes it anew; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path

from tests.fix.session.script import Script, load

PAGE = Path(__file__).parent.parent.parent.parent / "spec" / "CONFORMITY.md"
BEGIN = "<!-- from here on made from the scripts -->\n"
CASES = (
    "1S a,1S b,1S c,1S d,2S,2a,2b,2c,2d,2e,2f,2g,2h,2i,2j,2k,2l,2m,2n,2o,2p,2q,2r,2s,2t,"
    "3a,3b,3c,3d,4a,4b,5,6,7,8,9,10a,10b,10c,10d,10e,11a,11b,11c,12,13a,13b,"
    "14a,14b,14c,14d,14e,14f,14g,14h,14i,14j,14k,14l,14m,14n,15,16,17a,17b,18b,19a,19b,20,21"
).split(",")
"""Every case that an acceptor can be put to; 21 is not in the list but usually tried with it."""


def by_case(scripts: list[Script]) -> list[Script]:
    """The scripts in the order of the list of cases."""
    return sorted(scripts, key=lambda script: (CASES.index(script.case), script.name))


def table(scripts: list[Script]) -> str:
    """Both tables: every script, and what differs and why."""
    rows = by_case(scripts)
    lines = ["| Case | Condition | Asks for | Result | Script |", "|---|---|---|---|---|"]
    for script in rows:
        words = script.heading
        lines.append(
            f"| {script.case} | {words['condition']} | {words['asks']} | {words['result']} | "
            f"[{script.name}](../tests/fix/session/scripts/{script.name}.txt) |"
        )
    differing = [script for script in rows if script.heading["result"] == "differs"]
    asked = len(rows) - len(differing)
    lines += ["", f"{len(rows)} scripts; {asked} as asked, {len(differing)} differ:", ""]
    lines += ["| Case | What we do | Why |", "|---|---|---|"]
    for script in differing:
        words = script.heading
        lines.append(f"| {script.case} | {words['does']} | {words['why']} |")
    return "\n".join(lines) + "\n"


def page(scripts: list[Script], text: str) -> str:
    """The page with its tables made anew."""
    return text.partition(BEGIN)[0] + BEGIN + "\n" + table(scripts)


if __name__ == "__main__":
    PAGE.write_text(page(load(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
