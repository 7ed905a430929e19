"""A hundred sessions at once, each trading; every report of every order is accounted for."""

from __future__ import annotations

import os
import resource
import selectors
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import argon2
import pytest

from engine.client import queries
from tests.fix.processes import Venue
from tests.fix.rawfix import Message, RawFix, encode, first_whole
from tests.support import pace

pytestmark = pytest.mark.timeout(120)

SESSIONS = 100
ORDERS_EACH = 50
QUANTITY = Decimal("0.03")
BOUND_S = 60.0


def configuration(sessions: int = SESSIONS) -> str:
    """Accounts and sessions M001 and so on, all with one cheap password hash."""
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("many")
    tables = []
    for number in range(1, sessions + 1):
        name = f"m{number:03d}"
        tables.append(
            f'[[accounts]]\naccount = "{name}"\nfirm = "{name}"\nmaker_fee_ppm = 500\n'
            'taker_fee_ppm = 1000\ngrants = { BTC = "10", USD = "100000" }\n'
            f'[[sessions]]\ncomp_id = "{name.upper()}"\naccount = "{name}"\n'
            f'username = "{name}"\npassword_hash = "{hashed}"\n'
        )
    return "\n" + "\n".join(tables)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    with Venue(tmp_path, extra=configuration()) as running:
        yield running.start()


def test_as_many_files_are_asked_for_as_the_sessions_need(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 400
    venue = Venue(tmp_path, extra=configuration(count))
    venue.start_engine()
    try:
        # As most systems have it; what this process itself has open is no part of the test.
        own = max(map(int, os.listdir("/proc/self/fd")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(1024, own + 64), hard))
        try:
            venue.start_gateway()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with RawFix(venue.address, f"M{count}") as last:
            last.send("A", f"98=0|108=30|553=m{count}|554=many|")
            assert last.expect("A")["34"] == "1"
    finally:
        venue.stop()


class Crowd:
    """All clients on one thread; every message is kept, and its number checked."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.clients = [
            RawFix(venue.address, f"M{number:03d}") for number in range(1, SESSIONS + 1)
        ]
        self.next = dict.fromkeys((client.comp_id for client in self.clients), 1)
        self.reports: dict[str, list[Message]] = defaultdict(list)
        self.logons = 0
        self.logouts = 0
        self.ended = 0
        self._selector = selectors.DefaultSelector()
        for client in self.clients:
            client.socket.setblocking(False)
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def until(self, met: Callable[[], bool], timeout: float = BOUND_S) -> None:
        """Read on all connections until something holds."""
        deadline = time.monotonic() + pace.seconds(timeout)
        while not met():
            assert time.monotonic() < deadline, (
                f"{self.logons} Logons, {self.heard()} reports, {self.logouts} Logouts, "
                f"{self.ended} connections ended; the gateway says {self.said()}"
            )
            for key, _ in self._selector.select(0.5):
                self._read(key.data)

    def _read(self, client: RawFix) -> None:
        data = client.socket.recv(1 << 18)
        if not data:
            self._selector.unregister(client.socket)
            self.ended += 1
            return
        client.buffer += data
        while True:
            raw, client.buffer = first_whole(client.buffer)
            if not raw:
                return
            message = Message(raw)
            assert int(message["34"]) == self.next[client.comp_id], f"{client.comp_id} {message!r}"
            self.next[client.comp_id] += 1
            self._take(client, message)

    def _take(self, client: RawFix, message: Message) -> None:
        kind = message["35"]
        if kind == "A":
            self.logons += 1
        elif kind == "5":
            self.logouts += 1
        elif kind == "1":
            client.send("0", f"112={message['112']}|")
        elif kind != "0":
            assert kind == "8" and "43" not in message, f"{client.comp_id} {message!r}"
            self.reports[client.comp_id].append(message)

    def said(self) -> list[dict[str, Any]]:
        assert self._venue.gateway is not None
        return self._venue.gateway.lines[-20:]

    def heard(self) -> int:
        return sum(map(len, self.reports.values()))

    def send(self, client: RawFix, data: bytes) -> None:
        client.socket.setblocking(True)
        client.socket.sendall(data)
        client.socket.setblocking(False)


def test_a_hundred_sessions_trade_at_once(venue: Venue) -> None:
    begin = time.monotonic()
    crowd = Crowd(venue)
    for client in crowd.clients:
        fields = f"98=0|108=30|553={client.comp_id.lower()}|554=many|"
        crowd.send(client, encode(client.header("A") + fields))
    crowd.until(lambda: crowd.logons == SESSIONS)
    # Odd sessions buy what even ones sell; in the end everything has met.
    for place, client in enumerate(crowd.clients):
        orders = b"".join(
            encode(
                client.header("D")
                + client.order_fields(
                    f"{client.comp_id}-{number}", 1 + place % 2, str(QUANTITY), "100"
                )
            )
            for number in range(ORDERS_EACH)
        )
        crowd.send(client, orders)
    total = SESSIONS * ORDERS_EACH
    filled: Counter[str] = Counter()
    counted = dict.fromkeys(crowd.next, 0)

    def all_filled() -> bool:
        for name, reports in crowd.reports.items():
            for report in reports[counted[name] :]:
                filled["done"] += report["39"] == "2"
            counted[name] = len(reports)
        return filled["done"] == total

    crowd.until(all_filled)
    for client in crowd.clients:
        crowd.send(client, encode(client.header("5")))
    crowd.until(lambda: crowd.logouts == SESSIONS)
    assert time.monotonic() - begin < pace.seconds(BOUND_S)
    account_for(crowd)
    assert venue.client().fetch(queries.Check()).value == []
    assert not venue.client().fetch(queries.OpenOrders("m001", firm_wide=True)).value


def account_for(crowd: Crowd) -> None:
    """Each order: one acknowledgement, then fills that add up; each trade: two sides."""
    exec_ids: Counter[str] = Counter()
    trades: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    assert len(crowd.reports) == SESSIONS
    for name, reports in crowd.reports.items():
        by_order: dict[str, list[Message]] = defaultdict(list)
        for report in reports:
            exec_ids[report["17"]] += 1
            by_order[report["11"]].append(report)
            if report["150"] == "F":
                trades[report["880"]].append((report["54"], report["32"], report["31"]))
        assert set(by_order) == {f"{name}-{number}" for number in range(ORDERS_EACH)}
        for life in by_order.values():
            assert [report["150"] for report in life] == ["0"] + ["F"] * (len(life) - 1)
            done = Decimal(0)
            for report in life[1:]:
                done += Decimal(report["32"])
                assert Decimal(report["14"]) == done
                assert Decimal(report["151"]) == QUANTITY - done
            assert done == QUANTITY
    assert set(exec_ids.values()) == {1}, "an ExecID was used twice"
    for sides in trades.values():
        assert sorted(side for side, _, _ in sides) == ["1", "2"]
        assert len({(qty, price) for _, qty, price in sides}) == 1
