"""Whole venues on three machines: what a client is told while nobody leads, and afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tandem import cluster_state
from tandem.demo.cluster_play import PRICE, Desk
from tandem.demo.machines import Machine, Machines
from tandem_client import Client
from tandem_client.exchange import Response
from tests.fix.rawfix import Closed, RawFix
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


def got(machine: Machine, path: str) -> tuple[int, dict[str, Any], str]:
    """Read as alice; return status, body and Retry-After."""
    response = requests.get(
        machine.url + path, headers={"Authorization": "Bearer demo-alice-read"},
        timeout=pace.seconds(20),
    )  # fmt: skip
    return response.status_code, response.json(), response.headers.get("Retry-After", "")


def asked(peer: ClientConnection, op: str, **params: Any) -> dict[str, Any]:
    """Send a request over the stream, and return its answer."""
    peer.send(json.dumps({"op": op, "req_id": op, "params": params}))
    while True:
        message: dict[str, Any] = json.loads(peer.recv(pace.seconds(10)))
        if message.get("req_id") == op:
            return message


def no_leader(document: dict[str, Any], outcome: str = "not_applied") -> bool:
    """Whether a problem says in one sentence that nobody leads, and what became of it."""
    return (
        document.get("code") == "no_leader"
        and document["outcome"] == outcome
        and document["retryable"] is True
        and document["detail"].startswith("The venue has no leader at this moment")
        and document["detail"].count(".") == 1
    )


def streamed(machine: Machine) -> AbstractContextManager[ClientConnection]:
    """Connect to the stream of a machine."""
    stream = machine.settings.stream
    url = f"ws://{stream.host}:{stream.port}/v1/stream"
    return connect(url, proxy=None, open_timeout=pace.seconds(10))


def logged_on(machine: Machine, comp_id: str, num: int = 1) -> RawFix:
    """Connect to the gateway of a machine; the Logon is not sent yet."""
    fix = machine.settings.fix
    return RawFix((fix.host, fix.port), comp_id, num=num)


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


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as every:
        yield every


@pytest.mark.timeout(300)
def test_while_nobody_leads_every_machine_says_so_in_time_and_goes_on_by_itself(
    machines: Machines, stack: ExitStack
) -> None:
    desk = Desk(machines)
    for one in machines.every:
        desk.order(one, "alice", "sell", PRICE)
    leader = machines.leader()
    here = next(one for one in machines.every if one is not leader)
    fix = logged_on(here, "ALICE")
    fix.logon(heartbeat=60)
    streams = {key: stack.enter_context(streamed(here)) for key in ("demo-alice-read", "")}
    assert asked(streams["demo-alice-read"], "login", token="demo-alice-read")["ok"] is True
    for one in machines.every:
        if one is not leader:
            one.kill_etcd()

    # Reads: as long as the keys are known to be the newest, and then no longer.
    for one in machines.every:
        until(
            lambda one=one: got(one, "/v1/balances"), "it reads on", 30,  # type: ignore[misc]
            enough=lambda answer: answer[0] == 503 and no_leader(answer[1]),
        )  # fmt: skip
        status, document, retry_after = got(one, "/v1/balances")
        assert (status, no_leader(document), int(retry_after) >= 1) == (503, True, True)
        status, book, _ = got(one, "/v1/books/BTC-USD")
        assert (status, book["as_of_seq"] > 0) == (200, True)
        status, ready, _ = got(one, "/readyz")
        assert (status, ready["code"]) == (503, "no_leader")
        assert ("cluster", "away") in {(part["part"], part["status"]) for part in ready["parts"]}
        assert got(one, "/healthz")[0] == 200

    # The stream: who is logged in is told and leaves; the market goes on for who is not.
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            streams["demo-alice-read"].recv(pace.seconds(20))
    assert closed.value.rcvd is not None and closed.value.rcvd.reason.startswith("no_leader: ")
    assert asked(streams[""], "subscribe", channels=["book"], symbols=["BTC-USD"])["ok"]
    refused = asked(streams[""], "login", token="demo-alice-read")
    assert no_leader(refused["error"]), refused

    # FIX: who is logged on is told once and stays; its order waits; a Logon is told, too.
    assert fix.expect("B", timeout=20)["148"].endswith("(no_leader)")
    fix.order("fix-nobody", price="10")
    fix.send("5")
    fix.expect("5")
    fix.close()
    again = logged_on(here, "ALICE", fix.num)
    again.send("A", again.logon_fields())
    assert "no_leader" in again.expect("5", timeout=20)["58"]
    again.close()

    # An operator.
    run = subprocess.run(
        [sys.executable, "-m", "tandem", "status", "--config", str(here.config), "--data",
         str(here.data)], capture_output=True, text=True, timeout=pace.seconds(60), check=False,
    )  # fmt: skip
    assert "no_leader: the venue has no leader" in " ".join(run.stdout.split()), run

    for one in machines.every:
        began = time.monotonic()
        response = ordered(one, f"nobody-{one.name}")
        took = time.monotonic() - began
        assert response.status == 503, response
        assert took < pace.seconds(WAIT_S)
        assert int(response.headers["retry-after"]) >= 1
        problem = json.loads(response.content)
        assert problem["retryable"] is True
        assert no_leader(problem), problem
    for one in machines.every:
        if one is not leader:
            one.start_etcd()
    for one in machines.every:
        # The identical request, until it is done: whatever became of the first.
        until(
            lambda one=one: ordered(one, f"nobody-{one.name}").status,  # type: ignore[misc]
            "nobody leads", 60, enough=lambda status: status < 300,
        )  # fmt: skip
    # The FIX order that waited is reported to its client, done or refused.
    wanted = f"789={int(again.received[-1]['34']) + 1}|"

    def back() -> bool:
        with logged_on(here, "ALICE", again.num) as client:
            client.send("A", client.logon_fields(extra=wanted))
            try:
                while (report := client.receive(5)).get("11") != "fix-nobody":
                    if report["35"] == "5":
                        assert "no_leader" in report["58"], report
                        raise Closed(report["58"])
            except (Closed, TimeoutError):
                again.num = client.num
                return False
            assert report["39"] in ("0", "8"), report
            return True

    until(back, "the order of FIX is not reported", 60)
    seq = max(told.seq for told in desk.done)
    for one in machines.every:
        known = desk.orders(one, "alice", seq)
        assert {f"nobody-{each.name}" for each in machines.every} <= known.keys()
        assert {told.client_order_id for told in desk.done} <= known.keys()
    desk.close()
