"""A worker that is killed while a request with an Idempotency-Key is under way."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from account_api.security.idempotency import BUSY_US
from tests.api.processes import HttpCaller, Venue, children
from tests.support import pace
from tests.support.signing import signed_headers
from tests.support.waiting import until

TARGET = "/v1/faucet"
BODY = json.dumps({"asset": "BTC"}).encode()
KEY = "demo-alice-trade"


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    with Venue(tmp_path) as venue:
        venue.start("engine", "history", "http")
        yield venue


def signed() -> dict[str, str]:
    headers = signed_headers(KEY, time.time_ns() // 1_000_000, "POST", TARGET, BODY, "k-1")
    return headers | {"Content-Type": "application/json"}


def begin(venue: Venue) -> socket.socket:
    """Send the request and wait for nothing."""
    host, port = venue.url.removeprefix("http://").split(":")
    peer = socket.create_connection((host, int(port)), timeout=pace.seconds(10))
    fields = "".join(f"{name}: {value}\r\n" for name, value in signed().items())
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(BODY)}\r\n\r\n"
    peer.sendall(head.encode() + BODY)
    return peer


def test_the_retry_goes_ahead_at_once_and_nothing_is_doubled(venue: Venue) -> None:
    """A portion of the faucet has no id that the client gave: only its key makes it one."""
    reader = HttpCaller(venue, "alice-read")
    before = reader.get("/v1/balances", asset="BTC").ok()["balances"][0]["posted"]
    engine = venue.processes["engine"].popen.pid
    os.kill(engine, signal.SIGSTOP)
    try:
        peer = begin(venue)
        workers = children(venue.processes["http"].popen.pid)
        _await_claim(venue)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
    finally:
        os.kill(engine, signal.SIGCONT)
    peer.close()
    began = time.monotonic()
    caller = HttpCaller(venue, "alice-trade")
    while True:
        answer = None
        try:
            response = caller.session.post(
                venue.url + TARGET, data=BODY, headers=signed(), timeout=pace.seconds(20)
            )
            answer = response.json()
        except OSError:
            time.sleep(0.05)  # gunicorn makes new workers; nobody accepts meanwhile
        if answer is not None:
            assert answer.get("code") != "idempotency_key_in_flight", answer
            if response.status_code in (200, 201):
                break
            assert response.status_code == 503, answer
        assert time.monotonic() - began < BUSY_US / 1e6, "only the time-out let it go ahead"
    again = caller.session.post(
        venue.url + TARGET, data=BODY, headers=signed(), timeout=pace.seconds(20)
    )
    assert again.status_code == 200 and again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["deposit_id"] == answer["deposit_id"]
    after = reader.get("/v1/balances", asset="BTC", min_seq=answer["as_of_seq"])
    posted = after.ok()["balances"][0]["posted"]
    assert float(posted) - float(before) == float(answer["amount"]), "one portion, not two"


def _await_claim(venue: Venue) -> None:
    """Wait until the worker has taken the key, which it does before it asks the engine."""
    path = venue.folder / "data" / "answers.db"

    def taken() -> bool:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                return bool(database.execute("select count(*) from answers").fetchone()[0])
        except sqlite3.Error:
            return False  # The worker is about to make it.

    until(taken, "nobody took the key")
