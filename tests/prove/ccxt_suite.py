"""ccxt's own suite on a venue whose bots trade: every method of REST, and the watch methods, each
of which waits for updates for a quarter of a minute."""

from __future__ import annotations

import importlib
import tempfile
import threading
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Final

from tandem.demo.venue import TemporaryVenue
from tests.prove.report import Options, Result
from tests.support import pace
from tests.support.waiting import until

WATCHED: Final = {
    "watchOHLCV", "watchOrderBook", "watchOrderBookForSymbols", "watchTicker", "watchTrades",
    "watchTradesForSymbols",
}  # fmt: skip


def run(options: Options) -> Result:
    """Run the suite over REST and, unless it is to be quick, over the stream."""
    settings_of = importlib.import_module("tests.clients.conftest").settings_of
    try:
        suite = importlib.import_module("tests.clients.suite")
        ccxt = importlib.import_module("ccxt")
    except ModuleNotFoundError:
        return Result(not_run="ccxt is not installed: make test does it")
    result = Result()
    with tempfile.TemporaryDirectory(prefix="tandem-") as name:
        folder, said = Path(name), threading.Event()
        (folder / "venue").mkdir()
        with TemporaryVenue(folder / "venue", lambda *words: said.set(), market=True) as venue:
            http = f"http://127.0.0.1:{venue.settings.http.port}"
            stream = f"ws://127.0.0.1:{venue.settings.stream.port}/v1/stream"
            settings = settings_of(http, stream, "alice-trade")
            exchange = importlib.import_module("tandem_ccxt").tandem(settings)
            until(lambda: exchange.fetch_trades("BTC/USD"), "a trade of the bots", 60)
            for what in (["--private", "--sync"], ["--private"], ["--ws"])[: options.size(3, 1)]:
                options.say(f"ccxt {' '.join(what)}")
                try:
                    tested, told = suite.run_suite(
                        folder / "suite", settings, *what, limit_s=pace.seconds(150)
                    )
                except (AssertionError, TimeoutExpired) as error:
                    result.findings.append(f"ccxt {' '.join(what)}: {str(error)[-3000:]}")
                    continue
                if "--ws" in what and not WATCHED <= set(tested):
                    result.findings.append(f"ccxt --ws did not try {WATCHED - set(tested)}")
                result.tried.append(f"{len(tested)} methods by {' '.join(what)}")
        result.tried.append(f"ccxt {ccxt.__version__}")
    return result
