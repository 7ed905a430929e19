"""Whole venues on three machines: what a client is told while nobody leads, and afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tandem import cluster_state
from tandem.demo.cluster_play import PRICE, Desk
from tandem.demo.machines import Machine, Machines
from tandem_client import Client
from tandem_client.exchange import Response
from tests.support import pace
from tests.support.etcd import needs_etcd
from tests.support.waiting import until

pytestmark = [needs_etcd, pytest.mark.xdist_group("cluster")]
WAIT_S = 12.0
"""No door keeps a client longer without an answer: a command waits 5 s for a leader."""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """All three start at once, on a log that has just begun."""
    with Machines(tmp_path_factory.mktemp("venues")) as every:
        every.start_etcd()
        cluster_state.init(every.every[0].settings)
        every.start_venues()
        yield every
        for one in every.every:
            one.kill()


def ordered(machine: Machine, name: str) -> Response:
    """Send an order once, and return what the account API says."""
    key = "demo-alice-trade"
    body: dict[str, Any] = {
        "client_order_id": name, "symbol": "BTC-USD", "side": "sell", "type": "limit",
        "quantity": "0.001", "price": str(PRICE),
    }  # fmt: skip
    wait_s = pace.seconds(30)
    with Client(machine.url, key, f"{key}-secret", timeout_s=wait_s, trust_env=False) as client:
        return client.request("POST", "/v1/orders", json.dumps(body).encode())


@pytest.mark.timeout(300)
def test_while_nobody_leads_every_machine_says_so_in_time_and_goes_on_by_itself(
    machines: Machines,
) -> None:
    desk = Desk(machines)
    for one in machines.every:
        desk.order(one, "alice", "sell", PRICE)
    leader = machines.leader()
    for one in machines.every:
        if one is not leader:
            one.kill_etcd()
    for one in machines.every:
        began = time.monotonic()
        response = ordered(one, f"nobody-{one.name}")
        took = time.monotonic() - began
        assert response.status == 503, response
        assert took < pace.seconds(WAIT_S)
        assert int(response.headers["retry-after"]) >= 1
        problem = json.loads(response.content)
        assert problem["retryable"] is True
        assert problem["detail"].endswith(".")
    for one in machines.every:
        if one is not leader:
            one.start_etcd()
    for one in machines.every:
        # The identical request, until it is done: whatever became of the first.
        until(
            lambda one=one: ordered(one, f"nobody-{one.name}").status,  # type: ignore[misc]
            "nobody leads", 60, enough=lambda status: status < 300,
        )  # fmt: skip
    seq = max(told.seq for told in desk.done)
    for one in machines.every:
        known = desk.orders(one, "alice", seq)
        assert {f"nobody-{each.name}" for each in machines.every} <= known.keys()
        assert {told.client_order_id for told in desk.done} <= known.keys()
    desk.close()
