"""A history in PostgreSQL whose server is down for a while under a whole venue."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from engine.client import queries
from engine.core.commands import Deposit
from engine.core.types import Origin
from engine.history import queries as history
from engine.history import schema
from tests.api.processes import HttpCaller
from tests.fix.rawfix import RawFix
from tests.prove.venue import Venue
from tests.support import pace
from tests.support.postgresql import NoServer, Server, new_database, server

pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]
NAMES = ("engine", "history", "fix", "api")
NEEDS_HISTORY = ("/v1/fills", "/v1/orders?status=closed", "/v1/ledger",
                 "/v1/trades?symbol=BTC-USD", "/v1/candles?symbol=BTC-USD&interval=1m")  # fmt: skip


@pytest.fixture
def postgresql() -> Iterator[Server]:
    try:
        with server() as running:
            yield running
    except NoServer as error:
        pytest.skip(f"PostgreSQL is not tested: {error}")


@pytest.fixture
def url(postgresql: Server) -> str:
    return new_database(str(postgresql.folder))


@pytest.fixture
def venue(tmp_path: Path, url: str) -> Iterator[Venue]:
    running = Venue(tmp_path, {"\n[settlement]": f'\n[history]\nurl = "{url}"\n\n[settlement]'})
    try:
        running.start_all(*NAMES)
        yield running
    finally:
        running.kill_all()


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something is so; gives what it is."""
    deadline = time.monotonic() + pace.seconds(30)
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


_numbers = itertools.count(1)


def trade(alice: HttpCaller, bob: HttpCaller) -> str:
    """Alice buys of Bob; the id of her order, which is closed by it."""
    name = f"t{next(_numbers)}"
    terms = {"client_order_id": name, "symbol": "BTC-USD", "quantity": "0.01", "price": "100"}
    alice.post("/v1/orders", terms | {"side": "buy"}).ok(201)
    assert bob.post("/v1/orders", terms | {"side": "sell"}).ok(201)["filled_quantity"] == "0.01"
    return name


def part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in answer["parts"] if one["part"] == name)


def test_a_database_that_is_down_stops_what_reads_the_past_and_nothing_else(
    venue: Venue, postgresql: Server, url: str
) -> None:
    alice, bob, nobody = (HttpCaller(venue, who) for who in ("alice-trade", "bob-trade", ""))
    before = trade(alice, bob)
    until(lambda: len(alice.get("/v1/fills").ok()["fills"]) == 1, "the first fill is told")
    fix = RawFix(venue.fix, "CAROL")
    fix.logon(reset=True)

    postgresql.stop()
    # What needs the history says so at once, and when to ask again.
    for target in NEEDS_HISTORY:
        began = time.monotonic()
        answer = alice.get(target)
        problem = answer.problem(503, "history_unavailable")
        assert problem["retryable"] and problem["outcome"] == "not_applied", target
        assert "history" in problem["detail"] and "ask again" in problem["detail"]
        assert answer.headers["Retry-After"] == "1", target
        assert time.monotonic() - began < pace.seconds(5), target
    fix.send("AD", "568=T1|569=0|263=0|")
    refused = fix.expect("AQ")
    assert "history cannot be read" in refused["58"]
    # The rest goes on: orders by both doors, queries of the present, money.
    during = [trade(alice, bob) for _ in range(5)]
    fix.order("c-1", 1, "0.01", price="50")
    assert fix.expect("8")["150"] == "0"
    assert alice.get("/v1/orders?status=open").ok()["orders"] == []
    resting = alice.post("/v1/orders", {
        "client_order_id": "rests", "symbol": "BTC-USD", "side": "buy", "quantity": "0.01",
        "price": "10",
    }).ok(201)  # fmt: skip
    assert alice.get(f"/v1/orders/{resting['order_id']}").ok()["status"] == "new"
    assert alice.delete("/v1/orders/client:rests").ok()["status"] == "canceled"
    assert alice.get("/v1/balances").ok()["balances"]
    assert alice.get("/v1/books/BTC-USD").ok()["bids"]
    with contextlib.closing(venue.client()) as engine:
        engine.submit(Deposit(Origin("operator:test"), "d-1", "alice", "USD", 10**10))
    # Whoever watches is told: 503, with the part by name; the others are well.
    problem = nobody.get("/readyz").problem(503, "history_unavailable")
    assert part(problem, "history")["status"] == "away" and part(problem, "history")["required"]
    assert {part(problem, name)["status"] for name in ("engine", "fix", "disk")} == {"ok"}
    assert nobody.get("/healthz").ok()["status"] == "ok"
    until(lambda: '"interrupted"' in venue.log_of("history"), "the projector says why it waits")
    assert venue.children["history"].code is None, "it waits, and does not end"

    postgresql.start()
    with contextlib.closing(venue.client()) as engine:
        seq = engine.fetch(queries.Status()).value.seq
    until(lambda: nobody.get("/readyz").status == 200, "the venue is ready again")
    until(
        lambda: alice.get("/v1/fills").ok()["as_of_seq"] >= seq, "the projector catches up"
    )  # fmt: skip
    fills = [row["client_order_id"] for row in alice.get("/v1/fills").ok()["fills"]]
    assert sorted(fills) == sorted([before, *during]), "none is lost and none comes twice"
    for name in during:
        assert alice.get(f"/v1/orders/client:{name}").ok()["status"] == "filled"
    entries = alice.get("/v1/ledger?asset=USD&limit=1000").ok()["entries"]
    (deposit,) = (row for row in entries if row["reference"] == "deposit:d-1")
    assert (deposit["cause"], deposit["available_change"]) == ("deposit", "100")
    fix.send("AD", "568=T2|569=0|263=0|")
    assert fix.expect("AQ", "AE")["35"] in ("AQ", "AE")
    fix.close()
    assert {child.code for child in venue.children.values()} == {None}, "nobody had to end"
    engine_url = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
    reader = history.open_reader(engine_url)
    with reader.connect() as connection:
        assert history.last_seq(connection) >= seq
        count = connection.execute(
            sqlalchemy.select(sqlalchemy.func.count()).select_from(schema.fills)
        ).scalar_one()
    assert count == 2 * (1 + len(during)), "a fill for each side"
    reader.dispose()


def test_a_venue_that_starts_while_its_database_is_down_waits_for_it(
    venue: Venue, postgresql: Server
) -> None:
    """A projector that starts without a database ends with 4, to be tried again, and says why."""
    alice, bob = HttpCaller(venue, "alice-trade"), HttpCaller(venue, "bob-trade")
    postgresql.stop("fast")
    for name in ("history", "api"):
        venue.children[name].kill()
        venue.children[name].popen.wait()
    api, projector = venue.start("api"), venue.start("history")
    assert api.await_ready(), "the account API does what needs no history"
    name = trade(alice, bob)
    assert projector.await_ready() is False
    assert projector.code == 4
    assert "the history cannot be opened" in venue.log_of("history")
    alice.get("/v1/fills").problem(503, "history_unavailable")
    postgresql.start()
    assert venue.start("history").await_ready()
    until(
        lambda: [row["client_order_id"] for row in alice.get("/v1/fills").ok()["fills"]] == [name],
        "what was traded meanwhile is there",
    )
