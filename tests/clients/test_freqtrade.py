"""freqtrade trades at a venue through ccxt, with the files of clients/ccxt/freqtrade. ``make
freqtrade`` installs it in an environment of its own and runs this."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed: make test does it")

from tests.clients.conftest import Settings  # noqa: E402
from tests.clients.suite import PACKAGE  # noqa: E402
from tests.support import pace  # noqa: E402
from tests.support.waiting import until  # noqa: E402

PYTHON = Path(sys.prefix, "freqtrade", "bin", "python")
"""Of the environment that ``make freqtrade`` makes."""
WITHOUT = "freqtrade is not installed: make freqtrade does it and runs this"
pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason=WITHOUT), pytest.mark.timeout(600),
]  # fmt: skip
PRICES = {"BTC/USD": ("59990", "60010", "1"), "ETH/USD": ("2999", "3001", "20")}


@pytest.fixture
def market(settings: Settings) -> Iterator[None]:
    """Offers on both sides, and a trade, without which there is no candle."""
    import tandem_ccxt

    firms = [tandem_ccxt.tandem(settings(f"{name}-trade")) for name in ("alice", "bob", "carol")]
    for firm in firms:
        firm.cancel_all_orders()
    _, bob, carol = firms
    for symbol, (bid, ask, amount) in PRICES.items():
        bob.create_order(symbol, "limit", "buy", amount, bid)
        bob.create_order(symbol, "limit", "sell", amount, ask)
        carol.create_order(symbol, "market", "buy", "0.01")
    yield
    bob.cancel_all_orders()


@pytest.fixture
def freqtrade(settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A live bot of alice's with the settings that are in clients/ccxt/freqtrade."""
    config: dict[str, Any] = json.loads((PACKAGE / "freqtrade" / "config.json").read_text())
    config["exchange"]["ccxt_config"]["urls"] = settings("alice-trade")["urls"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [
        PYTHON, "-m", "tandem_ccxt", "freqtrade", "trade",
        "--config", tmp_path / "config.json", "--userdir", tmp_path,
        "--strategy-path", PACKAGE / "freqtrade" / "strategies", "--strategy", "RoundTrips",
        "--db-url", "sqlite://",
    ]  # fmt: skip
    with (tmp_path / "told").open("wb") as told:
        bot = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(PACKAGE)}, cwd=tmp_path,
            stdout=told, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield bot
    finally:
        bot.kill()
        bot.wait()


def test_a_bot_of_freqtrade_buys_and_sells(
    settings: Settings, market: None, freqtrade: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    import tandem_ccxt

    alice = tandem_ccxt.tandem(settings("alice-trade"))
    before = {symbol: len(alice.fetch_my_trades(symbol)) for symbol in PRICES}
    log = tmp_path / "told"

    def closed() -> int:
        """How many of its trades the bot says are sold again: once it has stored that."""
        told = log.read_text()
        assert freqtrade.poll() is None and "Traceback" not in told and " ERROR " not in told, told
        return len(re.findall(r"'type':\s+exit_fill", told))

    until(closed, log.read_text, 120, enough=lambda count: count >= len(PRICES))
    freqtrade.send_signal(signal.SIGINT)
    assert freqtrade.wait(pace.seconds(30)) == 128 + signal.SIGINT, log.read_text()
    for symbol, (bid, ask, _) in PRICES.items():
        rows = alice.fetch_my_trades(symbol)[before[symbol] :][:2]
        assert [(row["side"], row["price"]) for row in rows] == [
            ("buy", float(ask)), ("sell", float(bid))
        ]  # fmt: skip
        assert rows[0]["amount"] == rows[1]["amount"]
        assert alice.fetch_open_orders(symbol) == []
