"""A whole venue under ``tandem up`` whose disk becomes full and gets room again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from engine.journal.verify import verify
from tests.api.processes import HttpCaller
from tests.fix.rawfix import RawFix
from tests.support import pace
from tests.support.disks import SmallDisk, small_disk
from tests.tandem.test_up import Up, starting

pytestmark = [pytest.mark.serial, pytest.mark.timeout(300)]
SIZE = "48m"
"""Room for a venue that has just begun, which a test can fill in a moment."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "data", SIZE) as mounted:
        yield mounted


@pytest.fixture
def up(tmp_path: Path, disk: SmallDisk) -> Iterator[Callable[[], Up]]:
    with starting(tmp_path) as start:
        yield start


class Trader:
    """Enters orders by REST and remembers what it was told of each."""

    def __init__(self, one: Up) -> None:
        self.venue = type("Where", (), {"url": one.http})
        self.http = HttpCaller(self.venue, "alice-trade")  # type: ignore[arg-type]
        self.told: dict[str, str] = {}
        """Order ids, by client order id, of orders that were acknowledged."""
        self.untold: list[str] = []
        """What was sent and not answered by an order: it was done, or it was not."""
        self._count = 0

    def enter(self) -> str:
        """Enter an order; "" when it is acknowledged, else the code of the answer."""
        self._count += 1
        return self.send(f"d-{self._count}")

    def send(self, name: str) -> str:
        """Send the order of this name, or send it again."""
        terms = {"client_order_id": name, "symbol": "BTC-USD", "side": "buy",
                 "quantity": "0.001", "price": "10"}  # fmt: skip
        try:
            answer = self.http.post("/v1/orders", terms)
        except requests.RequestException as error:
            self.untold.append(name)
            return type(error).__name__
        if answer.status in (200, 201):
            self.told[name] = answer.json["order_id"]
            return ""
        problem = answer.problem(503, answer.json["code"])
        assert problem["retryable"] and answer.headers["Retry-After"], problem
        self.untold.append(name)
        return str(problem["code"])


def ready(one: Up) -> tuple[int, dict[str, Any]]:
    """What /readyz answers; status 0 when nobody does."""
    try:
        answer = requests.get(f"{one.http}/readyz", timeout=pace.seconds(10))
    except requests.RequestException:
        return 0, {}
    return answer.status_code, answer.json()


def fix_address(one: Up) -> tuple[str, int]:
    text = one.config.read_text()
    return "127.0.0.1", int(text.split("[fix]")[1].split("port = ")[1].split()[0])


def test_a_venue_whose_disk_is_full_loses_nothing_and_goes_on_by_itself(
    up: Callable[[], Up], disk: SmallDisk, tmp_path: Path
) -> None:
    one = up()
    trader = Trader(one)
    for _ in range(20):
        assert trader.enter() == ""
    with RawFix(fix_address(one), "CAROL") as carol:
        carol.logon(reset=True)
        carol.order("c-1", 1, "0.001", price="10")
        assert carol.expect("8")["150"] == "0"

    # Nothing is written any more; whoever asks is told, and nobody waits.
    began = time.monotonic()
    while trader.enter() == "":
        disk.fill()
        assert time.monotonic() - began < pace.seconds(60), "orders are taken on a full disk"
    one.wait_for(lambda: one.said("the disk is full") > 0, "it does not say what is wrong")
    for _ in range(5):
        disk.fill()
        assert trader.enter() != ""
    status, told = ready(one)
    assert status in (0, 503), told
    if status:
        parts = {part["part"]: part["status"] for part in told["parts"]}
        assert parts["disk"] == "full" and parts["engine"] == "away", parts
    assert one.process.poll() is None, "the supervisor tries again"
    assert trader.untold

    disk.free()
    one.wait_for(lambda: ready(one)[0] == 200, "it is not ready though there is room")
    # What was acknowledged is there under its number; what was not can be sent again, once each.
    again, trader.untold = list(trader.untold), []
    for name in again:
        one.wait_for(lambda name=name: trader.send(name) == "", "it takes no orders")  # type: ignore[misc]
    listed = trader.http.get("/v1/orders?status=open&limit=1000").ok()["orders"]
    assert {row["client_order_id"]: row["order_id"] for row in listed} == trader.told
    assert len(listed) == len(trader.told), "an order is there twice"
    with RawFix(fix_address(one), "CAROL") as carol:
        carol.logon(reset=True)
        carol.order("c-2", 1, "0.001", price="10")
        assert carol.expect("8")["150"] == "0"
    fills_at = trader.http.get("/v1/fills").ok()["as_of_seq"]
    assert fills_at > 0, "the history follows again"
    assert one.end(signal.SIGTERM) == 0
    report = verify(one.data / "journal", one.data / "journal" / "snapshots")
    assert report.findings == []

    # Started without room it says so; with room it has all that was acknowledged.
    disk.fill()
    two = Up(tmp_path)
    code = two.process.wait(pace.seconds(120))
    two.reader.join(pace.seconds(10))
    assert code != 0
    assert any("full" in line for line in two.lines), two.lines
    disk.free()
    three = up()
    assert set(trader.told.values()) <= {
        row["order_id"] for row in Trader(three).http.get("/v1/orders?limit=1000").ok()["orders"]
    }
