"""Idempotency-Key and request_id: the same request once, whatever else comes under the key."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from flask import Flask

from account_api.errors import Problem
from account_api.reply import REPLAYED, Reply
from account_api.security.idempotency import (
    BUSY_US,
    KEPT_US,
    PRUNE_EVERY,
    TOKEN_US,
    Idempotency,
    fingerprint,
)
from engine.client import EngineTimeout, EngineUnavailable, Outcome
from engine.core.commands import Command, Deposit
from engine.core.exchange import TOKEN_GRACE_US
from tests.api.client import Answer, Caller, CallerOf
from tests.api.inprocess import START_US, Clock, InProcessEngine
from tests.support import pace
from tests.support.waiting import until

QUOTE = {"asset": "BTC", "amount": "1"}
QUOTES = "/v1/withdrawals/quotes"


def order(name: str = "a1", **changes: Any) -> dict[str, Any]:
    return {
        "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "quantity": "1",
        "price": "10",
    } | changes  # fmt: skip


def test_a_request_without_an_id_of_its_own_needs_a_key(caller: CallerOf) -> None:
    problem = caller("alice-withdraw").post(QUOTES, QUOTE).problem(400, "idempotency_key_missing")
    assert problem["field"] == "Idempotency-Key" and problem["outcome"] == "not_applied"


def test_the_same_key_answers_the_original_long_after(caller: CallerOf, clock: Clock) -> None:
    alice = caller("alice-withdraw")
    first = alice.post(QUOTES, QUOTE, "k1").ok(201)
    clock.advance(3 * 86_400)
    again = alice.post(QUOTES, QUOTE, "k1")
    assert again.replayed and again.ok() == first
    assert alice.post(QUOTES, QUOTE, "k2").ok(201)["quote_id"] != first["quote_id"]


def test_a_key_with_other_contents_is_refused(caller: CallerOf) -> None:
    alice = caller("alice-withdraw")
    alice.post(QUOTES, QUOTE, "k1").ok(201)
    problem = alice.post(QUOTES, QUOTE | {"amount": "2"}, "k1").problem(
        422, "idempotency_key_reused"
    )
    assert problem["outcome"] == "not_applied"
    transfer = {"client_transfer_id": "t1", "to_account": "alice:desk", "asset": "USD",
                "amount": "1"}  # fmt: skip
    alice.post("/v1/transfers", transfer, "k1").problem(422, "idempotency_key_reused")


def test_keys_belong_to_their_account(caller: CallerOf) -> None:
    first = caller("alice-withdraw").post(QUOTES, QUOTE, "k1").ok(201)
    other = caller("bob-withdraw").post(QUOTES, QUOTE, "k1").ok(201)
    assert other["quote_id"] != first["quote_id"]


def test_a_refused_request_leaves_its_key_free(caller: CallerOf) -> None:
    alice = caller("alice-withdraw")
    alice.post(QUOTES, QUOTE | {"asset": "XYZ"}, "k1").problem(422, "unknown_asset")
    alice.post(QUOTES, QUOTE, "k1").ok(201)


def test_the_key_is_part_of_what_is_signed(alice: Caller) -> None:
    """A copy of a request with another key, or without, must not act again."""
    data = msgspec.json.encode(order())
    for sent, other in (("k1", "k2"), ("k1", ""), ("", "k1")):
        headers = alice.headers("POST", "/v1/orders", data, sent)
        headers.pop("Idempotency-Key", None)
        if other:
            headers["Idempotency-Key"] = other
        alice.send("POST", "/v1/orders", data, headers).problem(401, "unauthorized")
    alice.post("/v1/orders", order(), "k1").ok(201)


@pytest.mark.parametrize("key", ["a b", "x" * 65, "é"])
def test_a_key_has_a_form(caller: CallerOf, key: str) -> None:
    answer = caller("alice-trade").post("/v1/orders", order(), key)
    if key.isascii():
        assert answer.problem(400, "invalid_request")["field"] == "Idempotency-Key"
    else:
        assert answer.status in (400, 401)


def test_natural_ids_rule_over_keys(alice: Caller) -> None:
    first = alice.post("/v1/orders", order(), "k1").ok(201)
    again = alice.post("/v1/orders", order(), "k2")
    assert again.replayed and again.ok()["order_id"] == first["order_id"]


def test_an_unknown_outcome_is_found_out_by_the_same_key(
    alice: Caller, engine: InProcessEngine
) -> None:
    engine.lost = EngineTimeout("no answer")
    problem = alice.post("/v1/orders", order(), "k1").problem(503, "engine_unavailable")
    assert problem["outcome"] == "unknown"
    engine.lost = None
    alice.post("/v1/orders", order(price="11"), "k1").problem(422, "idempotency_key_reused")
    again = alice.post("/v1/orders", order(), "k1")
    assert again.replayed and again.ok()["client_order_id"] == "a1"
    assert len(alice.get("/v1/orders").ok()["orders"]) == 1


def test_nothing_was_done_while_the_engine_was_away(alice: Caller, engine: InProcessEngine) -> None:
    engine.failure = EngineUnavailable("away", "not_applied")
    alice.post("/v1/orders", order(), "k1").problem(503, "engine_unavailable")
    engine.failure = None
    alice.post("/v1/orders", order(price="11"), "k1").ok(201)


def test_a_memory_that_cannot_be_read_lets_nothing_through(
    alice: Caller, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(app.extensions["tandem"].idempotency, "_claim", broken)
    problem = alice.post("/v1/orders", order(), "k1").problem(503, "idempotency_unavailable")
    assert problem["outcome"] == "not_applied" and problem["retryable"]
    assert alice.get("/v1/orders").ok()["orders"] == []


# PATCH with a request_id.


def test_a_replace_with_a_request_id_answers_the_original(alice: Caller) -> None:
    alice.post("/v1/orders", order()).ok(201)
    change = {"quantity": "0.5", "request_id": "r1"}
    first = alice.patch("/v1/orders/client:a1", change)
    assert first.ok()["priority_kept"] is True and not first.replayed
    alice.patch("/v1/orders/client:a1", {"price": "9"}).ok()
    again = alice.patch("/v1/orders/client:a1", change)
    assert again.replayed and again.ok() == first.json
    assert alice.get("/v1/orders/client:a1").ok()["price"] == "9", "nothing was changed back"
    alice.patch("/v1/orders/client:a1", change | {"quantity": "0.6"}).problem(
        422, "idempotency_key_reused"
    )
    alice.delete("/v1/orders/client:a1").ok()
    assert alice.patch("/v1/orders/client:a1", change).ok() == first.json
    alice.patch("/v1/orders/client:a1", change | {"request_id": "r2"}).problem(409, "too_late")


def test_a_cancel_is_idempotent_by_nature(alice: Caller) -> None:
    alice.post("/v1/orders", order()).ok(201)
    first = alice.delete("/v1/orders/client:a1").ok()
    again = alice.delete("/v1/orders/client:a1").ok()
    assert (first["status"], again["status"]) == ("canceled", "canceled")
    assert again["order_id"] == first["order_id"]


# The memory itself.


class Body(msgspec.Struct):
    number: int


class Text(msgspec.Struct):
    text: str


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> Idempotency:
    return Idempotency(str(tmp_path / "data" / "answers.db"), clock)


SAME = fingerprint("POST", "/x", b"body")


def test_a_request_in_flight_is_not_done_twice(memory: Idempotency, clock: Clock) -> None:
    begun, go_on, replies = threading.Event(), threading.Event(), []

    def work(token: str) -> Reply:
        begun.set()
        assert go_on.wait(pace.seconds(10))
        return Reply(Body(1), 201)

    thread = threading.Thread(
        target=lambda: replies.append(memory.once("alice", "k", SAME, work))
    )
    thread.start()
    assert begun.wait(pace.seconds(10))
    with pytest.raises(Problem) as busy:
        memory.once("alice", "k", SAME, work)
    assert (busy.value.kind.code, busy.value.status) == ("idempotency_key_in_flight", 409)
    assert busy.value.outcome == "unknown" and busy.value.retryable
    go_on.set()
    thread.join()
    assert replies[0].status == 201
    again = memory.once("alice", "k", SAME, work)
    assert (again.status, again.headers) == (200, (REPLAYED,))
    assert msgspec.json.encode(again.body) == b'{"number":1}'


def test_what_a_stuck_thread_began_is_done_again(memory: Idempotency, clock: Clock) -> None:
    assert memory._claim("alice", "k", SAME, "first").token == "first"
    with pytest.raises(Problem):
        memory.once("alice", "k", SAME, lambda token: Reply(Body(1)))
    clock.now_us += BUSY_US
    seen: list[str] = []

    def work(token: str) -> Reply:
        seen.append(token)
        return Reply(Body(2))

    assert memory.once("alice", "k", SAME, work, "second").status == 200
    assert seen == ["first"], "the engine may know the request by its first token"


@pytest.mark.parametrize("outcome", ["done", "refused", "unknown"])
def test_what_a_full_disk_kept_from_being_written_is_written_when_there_is_room(
    memory: Idempotency, outcome: str
) -> None:
    """Nobody hears for longer than the disk is full that the request is being done."""
    problems = {
        "refused": Problem("unknown_asset", "There is no such asset."),
        "unknown": Problem("engine_unavailable", "It does not answer.", outcome="unknown"),
    }
    memory.once("alice", "before", SAME, lambda token: Reply(Body(0)))
    database = memory._database()

    def work(token: str) -> Reply:
        # Every write of this process fails, as on a full disk.
        for what in ("update", "delete"):
            database.execute(
                f"create temp trigger full_{what} before {what} on answers begin"
                " select raise(abort, 'database or disk is full'); end"
            )
        if outcome in problems:
            raise problems[outcome]
        return Reply(Body(1), 201)

    if outcome == "done":
        assert memory.once("alice", "k", SAME, work).status == 201
    else:
        with pytest.raises(Problem):
            memory.once("alice", "k", SAME, work)
    with pytest.raises(Problem) as busy:
        memory.once("alice", "k", SAME, lambda token: Reply(Body(9)))
    assert busy.value.kind.code == "idempotency_key_in_flight"
    with memory._lock:
        database.execute("drop trigger full_update")
        database.execute("drop trigger full_delete")
    until(lambda: not memory._unwritten, "the answer is not written", 5)
    again = memory.once("alice", "k", SAME, lambda token: Reply(Body(9)))
    assert again.headers == ((REPLAYED,) if outcome == "done" else ())
    assert msgspec.json.encode(again.body) == (
        b'{"number":1}' if outcome == "done" else b'{"number":9}'
    )


def test_who_took_over_a_stuck_request_is_the_one_who_answers_it(
    memory: Idempotency, tmp_path: Path, clock: Clock
) -> None:
    """What the stuck thread says at last is not written over what came in its place."""
    other = Idempotency(str(tmp_path / "data" / "answers.db"), clock)

    def late(token: str) -> Reply:
        clock.now_us += BUSY_US
        assert other.once("alice", "k", SAME, lambda token: Reply(Body(2))).status == 200
        raise Problem("unknown_asset", "There is no such asset.")

    with pytest.raises(Problem):
        memory.once("alice", "k", SAME, late)
    again = other.once("alice", "k", SAME, lambda token: Reply(Body(3)))
    assert msgspec.json.encode(again.body) == b'{"number":2}'


def test_who_holds_a_key_is_known_to_be_gone(memory: Idempotency, tmp_path: Path) -> None:
    """A process that is killed lets go of its lock; no clock has to move."""
    path = tmp_path / "data" / "answers.db"
    script = (
        "import sys, time\n"
        "from account_api.security.idempotency import Idempotency, fingerprint\n"
        "memory = Idempotency(sys.argv[1], lambda: int(sys.argv[2]))\n"
        "memory._claim('alice', 'k', fingerprint('POST', '/x', b'body'), 'first')\n"
        "print('claimed', flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path), str(START_US)], stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "claimed\n"
        with pytest.raises(Problem) as busy:
            memory.once("alice", "k", SAME, lambda token: Reply(Body(1)))
        assert busy.value.kind.code == "idempotency_key_in_flight"
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    assert memory.once("alice", "k", SAME, lambda token: Reply(Body(2))).status == 200


def test_answers_about_money_stay_and_others_go_after_a_day(
    memory: Idempotency, clock: Clock
) -> None:
    for number in range(PRUNE_EVERY * 3):
        memory.once("alice", f"t{number}", SAME, lambda token: Reply(Body(1)), money=False)
        memory.once("alice", f"m{number}", SAME, lambda token: Reply(Body(1)), money=True)
    assert len(kept(memory)) == PRUNE_EVERY * 6
    clock.now_us += KEPT_US + 1
    for number in range(PRUNE_EVERY * 2):
        memory.once("alice", f"n{number}", SAME, lambda token: Reply(Body(1)), money=False)
    names = kept(memory)
    assert not [name for name in names if name.startswith("t")]
    assert len([name for name in names if name.startswith("m")]) == PRUNE_EVERY * 3


def test_an_entry_whose_outcome_nobody_came_back_for_goes_after_a_day_too(
    memory: Idempotency, clock: Clock
) -> None:
    def lost(token: str) -> Reply:
        problem = Problem("engine_unavailable", "No answer.")
        problem.outcome = "unknown"
        raise problem

    for name, money in (("t", False), ("m", True)):
        with pytest.raises(Problem):
            memory.once("alice", name, SAME, lost, money=money)
    for passed, left in ((KEPT_US - 1, {"t", "m"}), (2, {"m"})):
        clock.now_us += passed
        for number in range(PRUNE_EVERY):
            key = f"n{passed}-{number}"
            memory.once("alice", key, SAME, lambda token: Reply(Body(1)), money=False)
        assert {name for name in kept(memory) if not name.startswith("n")} == left


def test_the_memory_of_what_is_not_money_has_a_bound(tmp_path: Path, clock: Clock) -> None:
    bound = 1 << 18
    memory = Idempotency(str(tmp_path / "small.db"), clock, bytes_max=bound)
    large = "".join(f"{os.urandom(64).hex()}" for _ in range(40))
    for number in range(PRUNE_EVERY * 8):
        clock.now_us += 1
        memory.once("a", f"t{number}", SAME, lambda token: Reply(Text(large)), money=False)
    memory.close()
    assert (tmp_path / "small.db").stat().st_size < bound + 2 * PRUNE_EVERY * len(large)


def test_a_file_from_before_is_read_on(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "old.db"
    database = sqlite3.connect(path)
    database.execute(
        "create table answers (owner text not null, key text not null, request blob not null,"
        " busy_until integer not null, status integer not null, body blob,"
        " primary key (owner, key)) without rowid"
    )
    row = ("alice", "k", SAME, 0, 200, b'{"number":7}')
    database.execute("insert into answers values (?, ?, ?, ?, ?, ?)", row)
    database.commit()
    database.close()
    memory = Idempotency(str(path), clock)
    again = memory.once("alice", "k", SAME, lambda token: Reply(Body(8)))
    assert msgspec.json.encode(again.body) == b'{"number":7}'


def kept(memory: Idempotency) -> list[str]:
    """The keys that the memory has."""
    return [row[0] for row in memory._database().execute("select key from answers")]


def test_the_memory_survives_a_restart_and_is_private(
    memory: Idempotency, tmp_path: Path, clock: Clock
) -> None:
    memory.once("alice", "k", SAME, lambda token: Reply(Body(1)))
    memory.close()
    path = tmp_path / "data" / "answers.db"
    assert path.stat().st_mode & 0o077 == 0
    other = Idempotency(str(path), clock)
    assert other.once("alice", "k", SAME, lambda token: Reply(Body(2))).headers == (REPLAYED,)


def test_a_fault_leaves_the_outcome_open(memory: Idempotency) -> None:
    def fail(token: str) -> Reply:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        memory.once("alice", "k", SAME, fail)
    with pytest.raises(Problem):
        memory.once("alice", "k", fingerprint("other"), fail)
    assert memory.once("alice", "k", SAME, lambda token: Reply(Body(2))).status == 200


def test_parts_do_not_run_together() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_a_replace_over_the_socket_is_remembered_too(
    app: Flask, engine: InProcessEngine, caller: CallerOf
) -> None:
    """The stream calls the same handlers, so a ``request_id`` is known at both doors."""
    from account_api.routes import ROUTES
    from account_api.stream.operations import Operations
    from account_api.stream.principal import StreamPrincipal

    services = app.extensions["tandem"]
    operations = Operations(ROUTES, services, workers=1)
    key = next(one for one in services.settings.keys if one.key == "demo-alice-trade")
    principal = StreamPrincipal(key, connection="1")
    caller("alice-trade").post("/v1/orders", order()).ok(201)
    params = {"order": "client:a1", "quantity": "0.5", "request_id": "r1"}
    run = [
        asyncio.run(operations.run("replace_order", params, principal, "x")) for _ in range(2)
    ]
    operations.close()
    assert [REPLAYED in one.headers for one in run] == [False, True]
    assert msgspec.json.encode(run[0].body) == msgspec.json.encode(run[1].body)
    body = {name: value for name, value in params.items() if name != "order"}
    assert caller("alice-trade").patch("/v1/orders/client:a1", body).replayed


def test_a_retry_signed_anew_is_the_first_request_for_the_engine(
    alice: Caller, engine: InProcessEngine
) -> None:
    """A portion of the faucet has no id of the client's; the key alone makes it one."""
    engine.lost = EngineTimeout("no answer came")
    problem = alice.post("/v1/faucet", {"asset": "BTC"}, idempotency_key="f-1")
    assert problem.problem(503, "engine_unavailable")["outcome"] == "unknown"
    engine.lost = None
    again = alice.post("/v1/faucet", {"asset": "BTC"}, idempotency_key="f-1")
    assert again.replayed and again.ok()["credited"]
    third = alice.post("/v1/faucet", {"asset": "BTC"}, idempotency_key="f-1")
    assert third.ok()["deposit_id"] == again.json["deposit_id"]
    deposits = [t for t in engine.transactions if type(t.command).__name__ == "Deposit"]
    faucet = [t for t in deposits if t.command.deposit_id.startswith("faucet:")]
    assert len(faucet) == 1


def portions(engine: InProcessEngine) -> int:
    """How many portions of the faucet were given."""
    deposits = [t.command for t in engine.transactions if isinstance(t.command, Deposit)]
    return sum(one.deposit_id.startswith("faucet:") for one in deposits)


def unknown_portion(alice: Caller, engine: InProcessEngine, key: str = "f-1") -> None:
    """Ask for a portion, which is given, and get no response."""
    engine.lost = EngineTimeout("no answer came")
    asked = alice.post("/v1/faucet", {"asset": "BTC"}, key)
    assert asked.problem(503, "engine_unavailable")["outcome"] == "unknown"
    engine.lost = None


def test_a_repeat_that_cannot_ask_the_engine_says_so_and_keeps_the_key(
    alice: Caller, engine: InProcessEngine
) -> None:
    """That nothing changed by the repeat says nothing about the first request."""
    unknown_portion(alice, engine)
    engine.failure = EngineUnavailable("away", "not_applied")
    again = alice.post("/v1/faucet", {"asset": "BTC"}, "f-1").problem(503, "engine_unavailable")
    assert again["outcome"] == "unknown" and "nothing was changed" not in again["detail"]
    engine.failure = None
    answer = alice.post("/v1/faucet", {"asset": "BTC"}, "f-1")
    assert answer.replayed and answer.ok()["credited"]
    assert portions(engine) == 1


def test_a_repeat_that_would_be_refused_now_says_that_the_request_was_done(
    alice: Caller, caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    operator, status = caller("operator"), "/v1/accounts/alice/status"
    unknown_portion(alice, engine)
    operator.put(status, {"status": "suspended", "note": "a test"}).ok()
    again = alice.post("/v1/faucet", {"asset": "BTC"}, "f-1").problem(409, "already_done")
    assert again["outcome"] == "applied" and "suspended" in again["detail"]
    # What is known to be done stays known when the engine has forgotten the first signature.
    clock.now_us += 10 * TOKEN_GRACE_US
    alice.post("/v1/faucet", {"asset": "BTC"}, "f-1").problem(409, "already_done")
    operator.put(status, {"status": "active", "note": "a test"}).ok()
    alice.post("/v1/faucet", {"asset": "BTC"}, "f-1").problem(409, "already_done")
    assert portions(engine) == 1


def test_a_first_request_that_was_not_done_is_a_new_one_and_can_be_done_no_more(
    alice: Caller, engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Command] = []

    def lost(command: Command, timeout_s: float | None = None) -> Outcome:
        late.append(command)
        raise EngineTimeout("it is on its way")

    with monkeypatch.context() as away:
        away.setattr(engine, "submit", lost)
        alice.post("/v1/faucet", {"asset": "BTC"}, "f-1").problem(503, "engine_unavailable")
    answer = alice.post("/v1/faucet", {"asset": "BTC"}, "f-1")
    assert not answer.replayed and answer.ok(201)["credited"]
    assert portions(engine) == 1
    # The first copy arrives after all, from a buffer somewhere.
    assert engine.submit(late[0]).duplicate
    assert portions(engine) == 1


def test_a_repeat_under_the_very_same_signature_finds_the_outcome_too(
    alice: Caller, engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"asset": "BTC"}'
    headers = alice.headers("POST", "/v1/faucet", body, "f-1")

    def sent() -> Answer:
        return alice.send("POST", "/v1/faucet", body, headers)

    with monkeypatch.context() as away:
        away.setattr(engine, "submit", Mock(side_effect=EngineTimeout("it is on its way")))
        sent().problem(503, "engine_unavailable")
    # It was not done, and the repeat finds the engine away: that frees nothing.
    engine.failure = EngineUnavailable("away", "not_applied")
    assert sent().problem(503, "engine_unavailable")["outcome"] == "unknown"
    engine.failure = None
    # Nor does it when it could ask the engine about the first one, and nothing more.
    with monkeypatch.context() as away:
        away.setattr(engine, "fetch", Mock(side_effect=EngineUnavailable("away", "not_applied")))
        sent().problem(503, "engine_unavailable")
    assert not (first := sent()).replayed and first.ok(201)["credited"]
    assert (again := sent()).replayed and again.ok()["deposit_id"] == first.json["deposit_id"]
    assert portions(engine) == 1


def test_what_may_have_been_done_long_ago_is_not_done_a_second_time(
    alice: Caller, engine: InProcessEngine, clock: Clock
) -> None:
    unknown_portion(alice, engine)
    clock.now_us += 10 * TOKEN_GRACE_US
    again = alice.post("/v1/faucet", {"asset": "BTC"}, "f-1")
    assert again.problem(409, "idempotency_outcome_unknown")["outcome"] == "unknown"
    assert portions(engine) == 1
    # A request with an id of its own is found by that.
    engine.lost = EngineTimeout("no answer came")
    alice.post("/v1/orders", order(), "k1").problem(503, "engine_unavailable")
    engine.lost = None
    clock.now_us += 10 * TOKEN_GRACE_US
    assert alice.post("/v1/orders", order(), "k1").replayed
    assert len(alice.get("/v1/orders").ok()["orders"]) == 1


def test_the_engine_remembers_a_token_longer_than_the_store_relies_on_it() -> None:
    assert TOKEN_US < TOKEN_GRACE_US
