"""What the README says to type does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem.demo.venue import TemporaryVenue
from tandem.http_client import base_url
from tests.support import pace

pytestmark = pytest.mark.xdist_group("venues")
ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryVenue]:
    with TemporaryVenue(tmp_path_factory.mktemp("venue"), print) as one:
        yield one


def shell(venue: TemporaryVenue, block: str) -> str:
    """Run a block of the README against this venue."""
    text = block.replace("http://127.0.0.1:8080", base_url(venue.settings))
    text = text.replace(".venv/bin/tandem", f"{sys.executable} -m tandem")
    done = subprocess.run(
        ["bash", "-euc", text], capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TANDEM_CONFIG": str(venue.settings.file)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl"
)
def test_the_first_trade_by_curl(venue: TemporaryVenue) -> None:
    part = README.partition("**By curl.**")[2].partition("**By any FIX engine.**")[0]
    look, trade, plain = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    book, balances = (shell(venue, line) for line in look.splitlines())
    assert json.loads(book)["symbol"] == "BTC-USD"
    posted = {row["asset"]: row["posted"] for row in json.loads(balances)["balances"]}
    assert posted == {"BTC": "1000", "ETH": "10000", "USD": "100000000"}
    fills = json.loads(shell(venue, trade).rpartition("\n{")[2].join(("{", "")))["fills"]
    assert [(row["client_order_id"], row["quantity"], row["price"]) for row in fills] == [
        ("my-first-bid", "0.2", "60000")
    ]
    answer = json.loads(shell(venue, plain))
    assert (answer["client_withdrawal_id"], answer["amount"]) == ("payout-2", "0.5")


def test_the_files_and_targets_that_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z]+)`", README)):
        assert f"\n{target}:" in makefile, target
    named = re.findall(r"`((?:spec|config)/[A-Za-z0-9_./]+)`", README)
    assert len(named) >= 6
    for name in named:
        assert (ROOT / name).exists(), name
