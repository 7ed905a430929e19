"""Every command of the benchmarks in its shortest form: that it runs, and says what it must.

Those that start venue after venue are long, so ``make prove`` runs them.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import compiled, report
from benchmarks.apply import is_compiled
from benchmarks.book_flow import BookFlow
from benchmarks.book_own import BareBook
from benchmarks.plot import Panel, plot
from benchmarks.summary import summary
from tests.support import pace
from tests.support.etcd import needs_etcd

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.timeout(300)


def printed(module: str, *arguments: str) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=pace.seconds(240),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout


def figures(text: str, row: str) -> list[str]:
    """The cells behind the first one of a row, of the first table that has it."""
    found = next(line for line in text.splitlines() if line.startswith(f"| {row} "))
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_a_long_program_shows_that_it_runs_and_is_ended_at_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "TELL_S", 0.2)
    (tmp_path / "endless.py").write_text(
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        compiled.printed(tmp_path, sys.executable, "endless", timeout_s=3)
    assert "endless runs for 0 s now" in capsys.readouterr().err
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_every_part_of_the_report_is_a_program() -> None:
    for part in report.PARTS:
        assert callable(importlib.import_module(f"benchmarks.{part.module}").main), part.name


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("raise SystemExit('there is no such book')\n")
    with pytest.raises(RuntimeError, match="wrong failed:\nthere is no such book"):
        compiled.printed(tmp_path, sys.executable, "wrong")


@pytest.mark.skipif(is_compiled(), reason="it compares the plain build with the compiled one")
def test_the_book_alone_without_the_others() -> None:
    text = printed("book", "--quick", "--offline", "--plain")
    assert re.match(r"[\d,]{6,} \(", figures(text, "Tandem")[3])


def test_two_gateways_and_an_engine_without_them() -> None:
    growth, alone = printed("gateways", "--tiny").split("## The engine")
    cells = figures(growth, "2")
    assert float(cells[0].split()[0].replace(",", "")) > 0 and cells[1].startswith("1.00")
    assert float(cells[3]) >= float(cells[4]) > 0, "all of them, and the busiest"
    assert float(figures(alone, "2")[0].split()[0].replace(",", "")) > 0


def test_fix_pipelined_and_one_at_a_time() -> None:
    text = printed("fix", "--tiny")
    assert text.startswith("## ")
    assert figures(text, "2")[0] == "200"
    assert float(figures(text, "venue, order to report")[1]) > 0
    assert "µs above that of fdatasync" in text
    costs = text.partition("what an order costs")[2]
    assert [float(cell) >= 0 for cell in figures(costs, "2")] == [True] * 3


def test_the_link_beside_the_unix_socket() -> None:
    text = printed("link", "--tiny")
    assert figures(text, "Unix socket, 64 at a time")[1] == "1.00 (1.00 to 1.00)"
    assert float(figures(text, "link, 64 at a time")[2].replace(",", "")) > 0


@pytest.mark.long
def test_the_venue_beside_its_peers_without_the_order_matcher() -> None:
    text = printed("peers", "--tiny")
    for name in ("bare acceptor, file store", "bare acceptor, memory store"):
        assert all(float(cell.split(" ")[0]) > 0 for cell in figures(text, name)[1:])
    assert figures(text, "ordermatch (C++)")[1:] == ["not built"] * 4
    assert "resting 1.0, crossing 2.0" in text
    costs = text.partition("processor time per order")[2]
    assert all(
        len(figures(costs, part)) == 4 for part in ("engine", "gateway", "history", "stream")
    )


def test_market_data_by_fix_beside_the_websocket() -> None:
    text = printed("market_data", "--tiny")
    for readers in ("1", "3"):
        for cell in figures(text, readers)[1:4]:
            assert float(cell.split(" ")[0]) > 0
    alone, _, beside = text.partition("order entry beside readers")
    assert alone.count("| FIX ") == alone.count("| WebSocket ") == 2
    for row in ("3 by FIX", "3 by WebSocket"):
        _, ratio, messages, *_ = figures(beside, row)
        assert float(ratio.split(" ")[0]) > 0
        assert int(messages.split(" ")[0].replace(",", "")) > 0


@pytest.mark.long
def test_what_one_command_makes_others_wait() -> None:
    text = printed("turns", "--tiny")
    for what in ("a sweep through all of them", "a mass cancel of the firm", "a snapshot"):
        assert float(figures(text, what)[2].split(" ")[0]) > 0


@pytest.mark.long
def test_killed_processes_come_back() -> None:
    text = printed("restarts", "--quick")
    for part in ("engine", "fix", "api", "stream"):
        away, used = figures(text, part)
        assert float(away.split()[0]) > 0 and float(used.split()[0]) > 0
    assert figures(text, "a worker of api")[1] == "–"


@pytest.mark.long
def test_a_trading_day_of_two_seconds_is_drawn(tmp_path: Path) -> None:
    text = printed("day", "--seconds", "2", "--plot", str(tmp_path / "day.svg"))
    batches = int(figures(text, "6 quotes moved by one batch over FIX, until its summary")[0])
    assert 100 <= batches <= 200
    root = ElementTree.parse(tmp_path / "day.svg").getroot()
    assert root.tag.endswith("svg")
    assert "![Latencies over the day](day.svg)" in text


@pytest.mark.long
def test_the_whole_venue_under_a_steady_load_is_drawn(tmp_path: Path) -> None:
    text = printed("sustained", "--tiny", "--plot", str(tmp_path / "load.svg"))
    steps, _, rest = text.partition("a rate that is held for 2 s")
    assert [float(cell) > 0 for cell in figures(steps, "20")[2:5]] == [True] * 3
    assert "missed 0;" in steps
    held, _, costs = rest.partition("what an order costs")
    assert "In ten pieces of the time" in held
    assert all(float(figures(costs, part)[1]) > 0 for part in ("engine", "gateway", "stream"))
    drawn = (tmp_path / "load.svg").read_text(encoding="utf-8")
    assert drawn.count("<polyline") == 3 and "orders/s</text>" in drawn


@pytest.mark.long
def test_a_large_venue_and_a_long_journal() -> None:
    text = printed("growth", "--tiny")
    for venue in ("500 closed orders", "20 accounts with a FIX session each"):
        assert float(figures(text, venue)[1].split(" ")[0]) > 0
    longest, reckoned = figures(text, "4,000"), figures(text, "100,000,000, reckoned")
    assert reckoned[1] == longest[1]
    assert float(reckoned[0]) == pytest.approx(float(longest[1]) / 10, abs=0.5)


def test_the_flow_keeps_its_size_and_its_book_agrees() -> None:
    flow = BookFlow(seed=3)
    filling = [flow.new() for _ in range(500)]
    operations = [flow.next() for _ in range(3_000)]
    book = BareBook()
    book.run(filling + operations)
    assert book.outcome() == flow.book.outcome()
    assert set(book.orders) == set(flow.ids)
    assert sum(level.qty for level in book.bids.levels.values()) == sum(
        order.leaves for order in book.orders.values() if order.buy
    )


def test_the_bare_book_trades_by_price_and_time() -> None:
    book = BareBook()
    for order_id, price in ((1, 102), (2, 101), (3, 101)):
        book.limit(order_id, False, 10, price)
    book.limit(4, True, 25, 102)
    assert book.trades == [(2, 101, 10), (3, 101, 10), (1, 102, 5)]
    assert book.outcome() == (1, 0, 102)
    book.replace(1, 7, 90)
    assert book.immediate(True, 10, 95) == 3
    assert book.outcome() == (0, 0, 0)


def test_a_part_replaces_its_sections_on_the_page() -> None:
    page = report.page("- facts", {"apply": "## A\n\nold", "fix": "## F\n\nkept"})
    found = report.earlier(page)
    assert found == {"machine": "- facts", "apply": "## A\n\nold", "fix": "## F\n\nkept"}
    found["apply"] = "## A\n\nnew\n"
    again = report.page(found["machine"], found)
    assert "old" not in again
    assert report.earlier(again)["fix"] == "## F\n\nkept"


PEERS = """*Taken on a day: a machine; load 0.52 0.55 0.24*

## Peers: the venue's rate as a multiple of theirs

`python -m benchmarks.peers`

| server                    | durable | resting             | crossing            |
|---------------------------|---------|---------------------|---------------------|
| bare acceptor, file store | no      | 1.12 (1.00 to 1.20) | 0.91 (0.80 to 1.00) |
| ordermatch (C++)          | no      | not built           | not built           |

## Peers: orders per second

| server                    | durable | resting                | crossing               |
|---------------------------|---------|------------------------|------------------------|
| Tandem, the whole venue   | yes     | 2,240 (2,000 to 2,300) | 1,820 (1,600 to 1,900) |
| bare acceptor, file store | no      | 2,000 (2,000 to 2,000) | 2,000 (2,000 to 2,000) |
"""


def test_the_short_page_has_the_ratios_and_draws_the_rates(tmp_path: Path) -> None:
    text = summary({"peers": PEERS}, tmp_path)
    assert (
        "acceptor in Python | **0.91** (0.80 to 1.00) | `python -m benchmarks.peers` | 1 |" in text
    )
    assert "order matcher |" not in text, "what was not built has no ratio"
    assert "1. Taken on a day: a machine; load 0.52 0.55 0.24\n" in text
    other = summary({"peers": PEERS.replace("0.52", "9.30")}, tmp_path)
    assert "load 9.30 0.55 0.24. **The machine was busy" in other
    root = ElementTree.parse(tmp_path / "benchmarks-peers.svg").getroot()
    widths = [float(each.attrib["width"]) for each in root.iter() if each.tag.endswith("rect")]
    assert len(widths) == 4 and widths[2] == max(widths)
    assert widths[0] / widths[2] == pytest.approx(1_820 / 2_240, abs=0.01)


def test_the_day_runs_only_when_it_is_named() -> None:
    assert "day" not in [part.name for part in report.chosen(None)]
    assert [part.name for part in report.chosen(["day"])] == ["day"]
    assert [part.name for part in report.chosen(["apply"])] == ["apply", "apply-compiled"]
    assert [part.name for part in report.chosen(["stream"])] == ["stream"]
    assert [part.name for part in report.chosen(["stream-large"])] == ["stream-large"]


def test_a_plot_is_sound_even_with_next_to_nothing_in_it() -> None:
    text = plot([Panel("a & b", [[(1.0, 0.2), (2.0, 0.0)], []])], ("p50", "p99"), 2.0)
    assert ElementTree.fromstring(text) is not None


@needs_etcd
@pytest.mark.long
@pytest.mark.xdist_group("cluster")
def test_a_cluster_is_measured_beside_a_single_machine_and_bare_appends() -> None:
    text = printed("cluster", "--tiny")
    for row in ("single machine", "cluster, at the leader", "cluster, at a follower"):
        assert float(figures(text, row)[0].split(" / ")[0]) > 0
    assert figures(text, "leader lost")[0] == "1"
    assert 0 < float(figures(text, "planned switch")[1]) < 60
