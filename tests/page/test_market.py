"""The test-net's market: bots quote and trade over the public interfaces, and leave no trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from tandem.demo.venue import TemporaryVenue
from tests.page.firm import Firm
from tests.support import pace
from tests.support.waiting import until

SYMBOLS = ("BTC-USD", "ETH-USD", "ETH-BTC")
WAIT_S = 20.0


class Market:
    """``python -m bots.main`` beside a running venue, impatient; what it logs is kept."""

    def __init__(self, venue: TemporaryVenue, folder: Path) -> None:
        text = venue.settings.file.read_text(encoding="utf-8")
        hurried = "[bots]\nstep_ms = 100\norders_per_minute = 600\n"
        config = folder / "hurried.toml"
        config.write_text(text.replace("[bots]\n", hurried), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bots.main"], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TANDEM_CONFIG": str(config),
                 "TANDEM_DATA": str(venue.settings.data)},
        )  # fmt: skip
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self.changed:
                    self.lines.append(line)
                    self.changed.notify_all()

    def said(self, event: str) -> int:
        return sum(f'"event": "{event}"' in line for line in self.lines)

    def wait_said(self, event: str, times: int) -> None:
        with self.changed:
            happened = self.changed.wait_for(
                lambda: self.said(event) >= times, pace.seconds(WAIT_S)
            )
        assert happened, "".join(self.lines)

    def end(self) -> int:
        self.process.terminate()
        code = self.process.wait(pace.seconds(10))
        self.reader.join(pace.seconds(5))
        return code


@pytest.fixture
def market(venue: TemporaryVenue, tmp_path: Path) -> Iterator[Market]:
    one = Market(venue, tmp_path)
    yield one
    if one.process.poll() is None:
        one.end()


def get(url: str, target: str) -> Any:
    answer = requests.get(url + target, timeout=pace.seconds(10))
    answer.raise_for_status()
    return answer.json()


def books(url: str) -> list[Any]:
    return [get(url, f"/v1/books/{symbol}") for symbol in SYMBOLS]


def test_every_book_is_kept_through_deaths_and_empty_afterwards(
    market: Market, venue: TemporaryVenue, url: str, alice: Firm
) -> None:
    market.wait_said("quoting", 1)
    assert all(len(book[side]) >= 5 for book in books(url) for side in ("bids", "asks"))
    # Somebody who trades by hand finds a partner, whatever the bots do meanwhile.
    best = get(url, "/v1/books/ETH-USD?depth=1")["asks"][0]["price"]
    price = f"{Decimal(best) * Decimal('1.01'):.2f}"
    assert alice.order("buy", "0.5", price, "ETH-USD")["status"] == "filled"
    # Both takers trade: one over FIX, one over the stream; each order bears its bot's mark.
    taker = Firm(url, "taker")

    def marks(after: int = 0) -> set[str]:
        fills = taker.call("GET", f"/v1/fills?limit=1000&after_trade_id={after}")["fills"]
        return {fill["client_order_id"][:3] for fill in fills}

    until(lambda: marks() >= {"fx-", "ws-"}, "a taker does not trade", WAIT_S)
    # Prometheus sees them beside the others, as long as they are there.
    metrics = venue.settings.metrics

    def scraped() -> str:
        target = f"http://{metrics.host}:{metrics.port}"
        return requests.get(f"{target}/metrics", timeout=pace.seconds(10)).text

    found = scraped()
    assert 'tandem_up{process="bots"} 1.0' in found
    for bot in ("Maker", "FixTaker", "StreamTaker"):
        assert f'tandem_bots_active{{bot="{bot}",process="bots"}} 1.0' in found
        sent = re.search(rf'tandem_bots_orders_total{{bot="{bot}",process="bots"}} (\S+)', found)
        assert sent is not None and float(sent[1]) > 0
    quoted = market.said("quoting")
    for name in ("api", "fix", "stream"):
        os.kill(venue.pids[name], signal.SIGKILL)
    market.wait_said("quoting", quoted + 1)
    last = taker.call("GET", "/v1/fills?limit=1000")["fills"][-1]["trade_id"]
    until(lambda: marks(last) >= {"fx-", "ws-"}, "a taker did not come back", WAIT_S)
    assert market.end() == 0
    assert all(book["bids"] == book["asks"] == [] for book in books(url))
    assert 'process="bots"' not in scraped()
