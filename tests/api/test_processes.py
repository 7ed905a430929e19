"""The whole path with real processes: gunicorn, engine, projector, settlement worker."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import load
from engine.client import EngineClient, queries
from tests.api.client import limit
from tests.api.processes import HttpCaller, Venue, children
from tests.support import pace
from tests.support.waiting import until

BTC_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
pytestmark = [pytest.mark.serial, pytest.mark.timeout(120)]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    with Venue(tmp_path) as one:
        one.start("engine", "history", "http")
        yield one


def test_trade_and_withdraw_end_to_end(venue: Venue) -> None:
    alice, bob = HttpCaller(venue, "alice-trade"), HttpCaller(venue, "bob-trade")
    reader = HttpCaller(venue, "alice-read")
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    row = bob.post("/v1/orders", limit("b1", "sell", "0.4", "100")).ok(201)
    assert (row["status"], row["fees"]) == ("filled", "0.04")
    # Read your writes: the fill is there at once, without a min_seq and with it.
    assert [f["quantity"] for f in reader.get("/v1/fills").ok()["fills"]] == ["0.4"]
    assert reader.get("/v1/balances", min_seq=row["as_of_seq"]).ok()["balances"][0][
        "available"
    ] == "1000.4"
    assert alice.delete("/v1/orders").ok()["canceled"][0]["client_order_id"] == "a1"
    reader.get("/v1/balances", min_seq=row["as_of_seq"] + 10**6).problem(409, "not_caught_up")

    in_one_commit(venue, bob)
    venue.start("settlement")
    treasurer, approver = HttpCaller(venue, "alice-withdraw"), HttpCaller(venue, "alice-approve")
    body = {"client_withdrawal_id": "w1", "asset": "BTC", "address": BTC_ADDRESS, "amount": "20"}
    number = treasurer.post("/v1/withdrawals", body).ok(201)["withdrawal_id"]
    assert reader.get(f"/v1/withdrawals/{number}").ok()["state"] == "pending_approval"
    approver.post(f"/v1/withdrawals/{number}/approve").ok()
    done = until(
        lambda: reader.get(f"/v1/withdrawals/{number}").ok(),
        enough=lambda row: row["state"] == "completed",
    )
    assert done["confirmations"] == 2
    assert treasurer.post("/v1/withdrawals", body).replayed
    processes = list(venue.processes.values())
    codes = venue.stop()
    assert set(codes.values()) == {0}
    for process in processes:
        text = "".join(process.raw)
        assert text and "-secret" not in text and "Traceback" not in text


def in_one_commit(venue: Venue, caller: HttpCaller) -> None:
    """A batch of 50 is one transaction of the engine, made durable by one commit."""
    socket_path = load(venue.config, venue.environment).engine.socket
    client = EngineClient(str(socket_path), "test", timeout_s=pace.seconds(5))
    try:
        before = client.fetch(queries.Metrics()).value
        operations = [
            {"op": "create", **limit(f"batch-{number}", "buy", "0.001", "1")}
            for number in range(50)
        ]
        done = caller.post("/v1/orders/batch", {"operations": operations}).ok()
        after = client.fetch(queries.Metrics()).value
    finally:
        client.close()
    assert (done["accepted"], done["refused"]) == (50, 0)
    assert (after.transactions - before.transactions, after.batches - before.batches) == (1, 1)
    caller.delete("/v1/orders").ok()


def test_a_signed_request_acts_once_across_kill_9_of_everything(venue: Venue) -> None:
    alice = HttpCaller(venue, "alice-trade")
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    headers = alice.headers("DELETE", "/v1/orders", b"")
    first = alice.send("DELETE", "/v1/orders", headers=headers)
    assert len(first.ok()["canceled"]) == 1
    for name in ("http", "history", "engine"):
        venue.kill(name)
    venue.start("engine", "history", "http")
    alice = HttpCaller(venue, "alice-trade")
    body = limit("a2", "buy", "1", "100")
    alice.post("/v1/orders", body).ok(201)
    again = alice.send("DELETE", "/v1/orders", headers=headers)
    if again.status == 401:
        # The restart took longer than the window; then the edge refuses it for that.
        again.problem(401, "outside_window")
    else:
        assert again.replayed and again.ok() == first.json
    assert alice.post("/v1/orders", body).replayed
    rows = alice.get("/v1/orders").ok()["orders"]
    assert [row["client_order_id"] for row in rows] == ["a2"]


def test_the_api_survives_the_engines_death(venue: Venue) -> None:
    alice = HttpCaller(venue, "alice-trade")
    alice.post("/v1/orders", limit("a1", "buy", "1", "100")).ok(201)
    venue.kill("engine")
    problem = alice.post("/v1/orders", limit("a2", "buy", "1", "100")).problem(
        503, "engine_unavailable"
    )
    assert problem["outcome"] in ("not_applied", "unknown")
    alice.get("/readyz").problem(503, "engine_unavailable")
    alice.get("/healthz").ok()
    # What only the history tells is still told.
    assert alice.get("/v1/fills").status in (200, 503)
    venue.start("engine")
    until(lambda: alice.get("/readyz").status == 200, "not ready")
    rows = alice.get("/v1/orders").ok()["orders"]
    assert [row["client_order_id"] for row in rows] == ["a1"]
    alice.post("/v1/orders", limit("a2", "buy", "1", "100")).ok(201)


def test_gunicorn_replaces_a_worker_that_dies(venue: Venue) -> None:
    import os
    import signal

    reader = HttpCaller(venue, "alice-read")
    reader.get("/v1/balances").ok()
    master = venue.processes["http"].popen.pid
    before = children(master)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    until(lambda: children(master), enough=lambda now: now and not set(now) & set(before))
    assert HttpCaller(venue, "alice-read").get("/v1/balances").ok()["account"] == "alice"


def test_a_key_is_good_and_revoked_in_every_worker_at_once(tmp_path: Path) -> None:
    with Venue(tmp_path, (("[http]\n", "[http]\nworkers = 2\n"),)) as venue:
        venue.start("engine", "history", "http")
        manager = HttpCaller(venue, "alice-keys")
        until(lambda: len(children(venue.processes["http"].popen.pid)) == 2, "no second worker")
        for number in range(10):
            body = {"name": f"k{number}", "kind": "bearer", "scopes": ["read"]}
            view = manager.post("/v1/api-keys", body).ok(201)
            headers = {"Authorization": f"Bearer {view['secret']}"}
            # A connection each, which the kernel gives to either worker.
            assert statuses(venue, headers) == {200}
            manager.delete(f"/v1/api-keys/{view['key']}").ok()
            assert statuses(venue, headers) == {401}
        processes = list(venue.processes.values())
    for process in processes:
        assert process.raw and view["secret"] not in "".join(process.raw)


def statuses(venue: Venue, headers: dict[str, str]) -> set[int]:
    callers = [HttpCaller(venue, "") for _ in range(4)]
    return {one.send("GET", "/v1/balances", headers=headers).status for one in callers}


def test_the_shell_examples_of_the_guide_work(venue: Venue, root: Path) -> None:
    """Every line of every sh block of spec/REST.md, in order, in one shell."""
    guide = (root / "spec" / "REST.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"```sh\n(.*?)```", guide, re.DOTALL))
    script = script.replace("api=http://127.0.0.1:8080", f"api={venue.url}")
    lines = [
        f"{line}; echo" if line.startswith(("call ", "curl ")) else line
        for line in script.splitlines()
    ]
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join(lines)], capture_output=True, text=True,
        timeout=pace.seconds(60),
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    assert len(answers) == sum(line.startswith(("call ", "curl ")) for line in lines)
    for answer in answers:
        assert "code" not in answer, answer
    batch = next(answer for answer in answers if "batch_id" in answer)
    assert batch["accepted"] == 2


_CHUNKED = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
UNREAD = {
    "a body above the limit": (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
        b"413",
    ),
    "a body above the limit that nobody sends": (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413",
    ),
    "chunks above the limit": (
        _CHUNKED + b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n", b"413",
    ),
    "a path that is not there, and a body above the limit": (
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n", b"404",
    ),
    "a method that is not there, and a body above the limit": (
        b"PUT /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n", b"405",
    ),
    "a space behind the size of a chunk": (_CHUNKED + b"3 \r\n{}x\r\n0\r\n\r\n", b"400"),
    "no line behind a chunk": (_CHUNKED + b"2\r\n{}0\r\n\r\n", b"400"),
    "a size that is none": (_CHUNKED + b"zz\r\n", b"400"),
    "a trailer that is none": (_CHUNKED + b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n", b"400"),
    "two lengths": (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        b"400",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(UNREAD))
def test_an_answer_that_leaves_a_body_unread_says_that_the_connection_ends(
    venue: Venue, kind: str
) -> None:
    """Else the client's next request, perhaps an order, would die unanswered."""
    request, status = UNREAD[kind]
    host, port = venue.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=pace.seconds(10)) as peer:
        peer.sendall(request)
        answer = b""
        while chunk := peer.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head[9:12] == status, answer
    assert b"connection: close" in head.lower(), head
    assert json.loads(body)["outcome"] == "not_applied"


def test_the_connection_goes_on_where_the_body_was_read(venue: Venue) -> None:
    """Refused for what it says, not for how it came: nothing is lost by going on."""
    host, port = venue.url.removeprefix("http://").split(":")
    refused = (
        b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"PUT /v1/time HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    )
    with socket.create_connection((host, int(port)), timeout=pace.seconds(10)) as peer:
        for request in refused:
            peer.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(65536)
            assert b"connection: close" not in head.lower(), head
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            body = head.partition(b"\r\n\r\n")[2]
            while len(body) < length:
                body += peer.recv(65536)


RAW = [
    b"get /v1/time HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    b"GET /v1/time HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 70 + b"\r\n",
    b"GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://elsewhere/v1/balances HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/../v1/time HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/orders/client:%E4%80 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-alice-read\r\n\r\n",  # noqa: E501
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",  # noqa: E501
    b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",  # noqa: E501
    b"GET /v1/time HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/time HTTP/1.1\r\nHost: x\r\nX-A: " + b"b" * 9000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n\r\n\r\n",
]


def test_raw_bytes_never_bring_a_500(venue: Venue) -> None:
    host, port = venue.url.removeprefix("http://").split(":")
    for request in RAW:
        with socket.create_connection((host, int(port)), timeout=pace.seconds(10)) as peer:
            peer.sendall(request)
            peer.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := peer.recv(65536):
                answer += chunk
        status = answer[9:12]
        assert not status.startswith(b"5") or status == b"505", (request[:60], answer[:200])
        head, _, body = answer.partition(b"\r\n\r\n")
        if body and not status.startswith(b"2"):
            assert b"application/problem+json" in head, (request[:60], answer[:200])
            problem = json.loads(body)
            assert (problem["status"], problem["outcome"]) == (int(status), "not_applied")
            assert problem["request_id"].encode() in head
    HttpCaller(venue, "alice-read").get("/v1/balances").ok()
