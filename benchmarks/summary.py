"""docs/benchmarks.md from the figures: one table of ratios, one picture a question."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.bars import Bar, bars

OURS: Final = frozenset({"Tandem, the whole venue", "engine", "gateway", "history", "stream"})
LOAD_MAX: Final = 3.0
FIGURES: Final = "benchmarks-figures.md"
INTRO: Final = f"""# Benchmarks

How quick the venue is beside other programs that do the same work, in the same run on the same
machine. A ratio above 1 means that Tandem is quicker; in brackets the lowest and the highest
round. Every figure comes from a command in `benchmarks/`, and
[all figures]({FIGURES}) has the tables behind this page, with rates, notes and limits.
`make bench` takes most of them again in a quarter of an hour, `make compare` those of the peers,
`make day` the trading day, `make sustained` those of a steady load, `make growth` those of a large
venue.
"""


class Ratio(NamedTuple):
    """A line of the table: where its figure stands among the figures."""

    question: str
    part: str
    section: str
    row: str
    column: str


RATIOS: Final = (
    *(
        Ratio(f"{flow} by FIX, the whole venue beside {who}", "peers", "Peers: the venue's rate",
              row, column)
        for flow, column in (
            ("Orders that trade", "crossing"), ("Orders that rest", "resting"),
            ("The mix of new, cancel, replace and IOC", "mix"), ("Lists of ten orders", "batches"),
        )
        for who, row in (
            ("QuickFIX's C++ order matcher", "ordermatch (C++)"),
            ("a bare QuickFIX acceptor in Python", "bare acceptor, file store"),
        )
    ),
    Ratio("Orders that rest by FIX, engine and gateway alone beside the bare acceptor", "fix",
          "FIX: order to durable", "1", "ratio"),
    Ratio("The book alone beside limit-order-book (C++)", "book", "The book alone",
          "limit-order-book", "ratio"),
    Ratio("The same, Tandem's book compiled", "book", "The book alone", "limit-order-book",
          "ratio, compiled"),
    Ratio("Balances by REST beside a Flask route that does nothing", "rest", "Account API",
          "GET /v1/balances", "ratio"),
)  # fmt: skip


def cell(text: str, section: str, row: str, column: str) -> str:
    """Return a cell of a section's table, "" if there is none."""
    _, found, rest = text.partition(f"## {section}")
    if not found:
        return ""
    table = [line for line in rest.split("\n## ")[0].splitlines() if line.startswith("|")]
    cells = [[each.strip() for each in line.strip("|").split("|")] for line in table]
    if not cells or column not in cells[0]:
        return ""
    place = cells[0].index(column)
    return next((line[place] for line in cells[2:] if line[0].startswith(row)), "")


def number(words: str) -> float | None:
    """Return the figure that a cell begins with."""
    found = re.match(r"[\d,]+(?:\.\d+)?", words)
    return float(found[0].replace(",", "")) if found else None


def taken(text: str) -> str:
    """Return when and where a part was taken."""
    found = re.search(r"^\*Taken on (.*)\*$", text, re.MULTILINE)
    return found[1] if found else ""


def command(text: str) -> str:
    found = re.search(r"^`(python -m [^`]*)`$", text, re.MULTILINE)
    return found[1] if found else ""


def busy(where: str) -> str:
    """Return a warning if other programs had the processors during a run, "" otherwise."""
    load = re.search(r"load (\d+\.\d+)", where)
    if load is None or float(load[1]) <= LOAD_MAX:
        return ""
    return (
        ". **The machine was busy with other work**: the venue's four processes wait for a "
        "processor more often than a peer's single one. These ratios are not those of a quiet "
        "machine; compare processor time per order instead."
    )


def table(parts: dict[str, str]) -> str:
    """Return the ratios; machines are numbered and told below."""
    lines = ["| what | ratio | command | machine |", "|---|---|---|---|"]
    machines: list[str] = []
    for ratio in RATIOS:
        text = parts.get(ratio.part, "")
        words = cell(text, ratio.section, ratio.row, ratio.column)
        if number(words) is None:
            continue
        where = taken(text)
        if where not in machines:
            machines.append(where)
        lines.append(
            f"| {ratio.question} | **{words.split(' ')[0]}** {words.partition(' ')[2]} "
            f"| `{command(text)}` | {machines.index(where) + 1} |"
        )
    told = [f"{place}. Taken on {where}{busy(where)}" for place, where in enumerate(machines, 1)]
    return "\n".join([*lines, "", "Machines:", "", *told, ""])


def pictures(parts: dict[str, str], folder: Path) -> str:
    """Draw what there are figures for, and return the passages that show it."""
    shown = []
    peers = parts.get("peers", "")
    rates = picked(peers, "Peers: orders per second", (
        "Tandem, the whole venue", "bare acceptor, file store", "bare acceptor, memory store",
        "ordermatch (C++)",
    ))  # fmt: skip
    if rates:
        draw = bars("Orders per second, all in one run", rates)
        (folder / "benchmarks-peers.svg").write_text(draw, encoding="utf-8")
        shown.append(
            "## How quick is it beside its peers?\n\nOnly the venue flushes before it reports. The "
            "whole venue is engine, gateway, history and stream; a missing bar means that a peer "
            "does not take that flow.\n\n![Orders per second](benchmarks-peers.svg)\n"
        )
    costs = picked(peers, "Peers: processor time per order", (
        "engine", "gateway", "history", "stream", "bare acceptor, file store", "ordermatch (C++)",
    ))  # fmt: skip
    if costs:
        draw = bars("Processor time per order, µs", costs)
        (folder / "benchmarks-costs.svg").write_text(draw, encoding="utf-8")
        shown.append(
            "## What does an order cost?\n\nProcessor time of each process in the same rounds: "
            "what a slower machine makes of it can be reckoned from these.\n\n"
            "![Processor time per order](benchmarks-costs.svg)\n"
        )
    if "day" in parts:
        shown.append(
            "## How long does a request take over a trading day?\n\n"
            "![Latencies over the day](trading-day.svg)\n"
        )
    if "sustained" in parts:
        shown.append(
            "## How long does an order take as the load grows?\n\n"
            "![An order's time over the load](benchmarks-load.svg)\n\n"
            + tables(section(parts["sustained"], "The whole venue: a rate that is held"))
        )
    if "growth" in parts:
        shown.append("## What does a large and old venue cost?\n\n" + tables(parts["growth"]))
    if "cluster" in parts:
        shown.append("## What does a cluster cost?\n\n" + tables(parts["cluster"]))
    return "\n".join(shown)


def picked(text: str, section: str, names: tuple[str, ...]) -> list[tuple[str, list[Bar]]]:
    """Return the bars of a section, a group for each flow."""
    groups = []
    for flow in ("crossing", "resting", "mix", "batches"):
        words = {name: cell(text, section, name, flow) for name in names}
        values = {name: number(each) for name, each in words.items()}
        group = [
            Bar(name, value, words[name], name in OURS) for name, value in values.items() if value
        ]
        if group:
            groups.append((flow, group))
    return groups


def section(text: str, title: str) -> str:
    """Return the section of a part whose title begins so, with the part's own first line."""
    found = next((each for each in text.split("\n## ") if each.startswith(title)), "")
    return f"{text.partition('## ')[0]}## {found}"


def tables(text: str) -> str:
    """Return the tables of a part with the command, without notes."""
    lines = [line for line in text.splitlines() if line.startswith(("|", "## ", "- "))]
    made = "\n".join(lines).replace("\n|", "\n\n|", 1)
    made = re.sub(r"^## ", "### ", made, flags=re.MULTILINE)
    made = re.sub(r"(^### .*$)\n+", r"\1\n\n", made, flags=re.MULTILINE)
    made = re.sub(r"(^\|.*$)\n(?=[-#])", r"\1\n\n", made, flags=re.MULTILINE)
    made = re.sub(r"(^- .*$)\n(?=#)", r"\1\n\n", made, flags=re.MULTILINE)
    return f"`{command(text)}`, taken on {taken(text)}.\n\n{made}\n"


def summary(parts: dict[str, str], folder: Path) -> str:
    """Return the page, whose pictures are drawn into the folder."""
    return "\n".join([INTRO, table(parts), pictures(parts, folder)]).rstrip() + "\n"
