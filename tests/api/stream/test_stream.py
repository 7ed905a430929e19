"""The WebSocket service against a real engine: channels, replay, orders, faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from account_api.configuration import api_settings
from account_api.security.keystore import KeyStore, StoredKey
from engine.client import queries
from engine.core.commands import (
    AddAddress,
    AssignDepositAddress,
    NewOrder,
    QuoteWithdrawal,
    RemoveAddress,
)
from engine.core.types import OrdType, Origin, Route, Side, TimeInForce
from tests.api.stream.harness import (
    BookCopy,
    Client,
    Stream,
    begin,
    deposit,
    running_stream,
    signed,
)
from tests.support import pace
from tests.support.processes import EngineProcess

PRIVATE = ["orders", "executions", "balances", "ledger", "transfers"]


@contextlib.asynccontextmanager
async def both(stream: Stream) -> AsyncIterator[tuple[Client, Client]]:
    """Alice and Bob, logged in to trade."""
    async with stream.client("demo-alice-trade") as alice:
        async with stream.client("demo-bob-trade") as bob:
            yield alice, bob


async def test_a_trade_reaches_every_channel_with_its_client_order_id(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine) as stream, both(stream) as (alice, bob):
        await begin(alice, *PRIVATE)
        assert {m["channel"] for m in await alice.until("balances", type="snapshot")}
        await begin(bob, "book", "trades", symbols=["BTC-USD"])
        await alice.create("a-1", "buy", quantity="2", strategy="mm")
        await bob.create("b-1", "sell", quantity="0.5")
        (fill,) = await alice.until("executions", type="update")
        data = fill["data"]
        assert (data["client_order_id"], data["strategy"]) == ("a-1", "mm")
        assert (data["quantity"], data["price"], data["fee"]) == ("0.5", "100", "0.025")
        assert (data["liquidity"], data["leaves_quantity"]) == ("maker", "1.5")
        states = await alice.until("orders", 2, type="update")
        assert [m["data"]["event"] for m in states] == ["accepted", "filled"]
        assert {m["data"]["client_order_id"] for m in states} == {"a-1"}
        assert {m["data"]["strategy"] for m in states} == {"mm"}
        assert states[1]["seq"] == fill["seq"] == states[0]["seq"] + 1
        assert fill["account"] == "alice"
        held, traded = await alice.until("balances", 2, type="update")
        assert held["data"][0]["held_change"] == "200.2"
        usd = next(row for row in traded["data"] if row["asset"] == "USD")
        assert (usd["available_change"], usd["held_change"]) == ("0.025", "-50.05")
        assert usd["posted"] == "99999949.975"
        entries = (await alice.until("ledger", 2, type="update"))[1]["data"]
        assert [entry["cause"] for entry in entries] == ["fill", "fill", "fee"]
        assert {entry["client_order_id"] for entry in entries} == {"a-1"}
        (trade,) = await bob.until("trades", type="update")
        assert trade["data"][0]["quantity"] == "0.5"
        assert trade["data"][0]["side"] == "sell"


async def test_book_snapshot_and_deltas_give_the_engines_book(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, both(stream) as (alice, bob):
        for number in range(12):
            await alice.create(f"a{number}", "buy", price=str(80 + number), quantity="3")
        ice = await alice.create("ice", "sell", price="110", quantity="9", display_quantity="2")
        await stream.caught_up(ice)
        async with stream.client() as public:
            await begin(public, "book", symbols=["BTC-USD", "ETH-USD"])
            book = BookCopy()
            (first,) = await public.until("book", symbol="BTC-USD", type="snapshot")
            book.apply(first)
            assert len(book.levels["bids"]) == 12
            assert book.side("asks") == [["110", "2", 1]]
            await bob.create("b1", "buy", price="110", quantity="3")
            await bob.create("b2", "sell", price="90", quantity="4")
            await bob.create("b3", "sell", price="120", quantity="1")
            await alice.ask("replace_order", order="client:a3", price="84.5")
            await alice.ask("replace_order", order="client:a4", quantity="1")
            answer = await alice.ask("cancel_order", order="client:a5")
            reached = 0
            while reached < answer["data"]["as_of_seq"]:
                # One update may stand for several transactions that came together.
                for message in await public.until("book", symbol="BTC-USD", type="update"):
                    book.apply(message)
                    reached = message["seq"]
            shown = await public.ask("get_book", symbol="BTC-USD")
            for name in ("bids", "asks"):
                expected = [
                    [row["price"], row["quantity"], row["orders"]]
                    for row in shown["data"][name]
                ]
                assert book.side(name) == expected
            await public.ask("snapshot", channels=["book"], symbols=["BTC-USD"])
            (again,) = await public.until("book", symbol="BTC-USD", type="snapshot")
            assert again["data"]["checksum"] == book.checksum()


async def test_halts_are_seen_on_the_book(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream:
        from engine.core.commands import SetInstrumentStatus
        from engine.core.types import Origin

        async with stream.client() as public:
            await begin(public, "book", symbols=["ETH-BTC"])
            client = engine.client()
            await asyncio.to_thread(
                client.submit, SetInstrumentStatus(Origin("operator:x"), "ETH-BTC", 2)
            )
            (message,) = await public.until("book", type="update")
            assert message["data"]["status"] == "halted"
            client.close()


@pytest.mark.parametrize("skipped", [0, 4, 13])
async def test_sequence_is_contiguous_and_resumes_from_any_place(
    engine: EngineProcess, skipped: int
) -> None:
    async with running_stream(engine) as stream:
        async with stream.client("demo-alice-trade") as alice:
            await begin(alice, *PRIVATE)
            start = (await alice.until("orders", type="snapshot"))[0]["seq"]
            for number in range(6):
                await alice.create(f"a{number}", "buy")
            await alice.ask("cancel_order", order="client:a2")
            await alice.ask("cancel_all")
            seen = await alice.until("orders", 13, type="update")
            balances = await alice.until("balances", 12, type="update")
            assert [m["seq"] for m in seen] == list(range(start + 1, start + 14))
        from_seq = start + 1 + skipped
        async with stream.client("demo-alice-trade") as again:
            answer = await begin(again, "orders", "balances", from_seq=from_seq)
            assert answer["data"]["private"]["resumed"] is True
            await again.create("live", "sell", price="999")
            replayed = await again.until("orders", 14 - skipped, type="update")
            assert replayed[0]["prev_seq"] == from_seq - 1
            assert replayed[:-1] == seen[skipped:]
            assert replayed[-1]["data"]["client_order_id"] == "live"
            money = await again.until("balances", 13 - min(skipped, 12), type="update")
            assert [m["data"] for m in money[:-1]] == [m["data"] for m in balances[skipped:]]


@pytest.mark.parametrize(("from_seq", "reason"), [(10**6, "unknown_seq"), (0, "unknown_seq")])
async def test_what_cannot_be_resumed_begins_with_a_snapshot(
    engine: EngineProcess, from_seq: int, reason: str
) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await alice.create("a-1", "buy", strategy="s")
        answer = await begin(alice, *PRIVATE, from_seq=from_seq)
        assert answer["data"]["private"]["resumed"] is False
        assert answer["data"]["private"]["reason"] == reason
        (orders,) = await alice.until("orders", type="snapshot")
        assert orders["data"][0]["client_order_id"] == "a-1"
        assert orders["data"][0]["strategy"] == "s"
        await alice.create("a-2", "buy")
        (update,) = await alice.until("orders", type="update")
        assert update["prev_seq"] == orders["seq"] == update["seq"] - 1


async def test_a_gap_that_is_too_old_is_said_and_begins_with_a_snapshot(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine, replay_events_max=5) as stream:
        async with stream.client("demo-alice-trade") as alice:
            for number in range(8):
                await alice.create(f"a{number}", "buy")
            answer = await begin(alice, "orders", from_seq=1)
            assert answer["data"]["private"]["reason"] == "gap_too_old"
            (orders,) = await alice.until("orders", type="snapshot")
            assert len(orders["data"]) == 8


async def test_nothing_is_lost_or_doubled_while_a_subscription_begins(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as trader:

        async def trade() -> None:
            for number in range(60):
                await trader.create(f"a{number}", "buy", quantity="0.01")

        trading = asyncio.create_task(trade())
        firsts = []
        for from_seq in (None, 1, 5, None, 1):
            async with stream.client("demo-alice-trade") as reader:
                params = {} if from_seq is None else {"from_seq": from_seq}
                await begin(reader, "orders", **params)
                # Every message's prev_seq is checked as it arrives.
                await reader.until("orders", 3)
                firsts.append(reader.last["orders", "", "alice"])
        await trading
        async with stream.client("demo-alice-trade") as reader:
            await begin(reader, "orders", "transfers", from_seq=1)
            found = await reader.until("orders", 61)
            assert [m["data"].get("client_order_id") for m in found[1:]] == [
                f"a{number}" for number in range(60)
            ]


async def test_the_orders_channel_shows_third_parties(engine: EngineProcess) -> None:
    route = Route("NORTH", "trader 7", "CRYPTO")
    command = NewOrder(
        Origin("fix:ALICE", route=route), "alice", "f1", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 1000, 10_000,
    )  # fmt: skip
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await begin(alice, "orders")
        with contextlib.closing(engine.client()) as client:
            client.submit(command)
        await alice.create("a-1", "buy")
        entered, own = await alice.until("orders", 2, type="update")
        assert entered["data"]["third_party"] == {
            "on_behalf_of_comp_id": "NORTH", "on_behalf_of_sub_id": "trader 7",
            "deliver_to_comp_id": "CRYPTO", "deliver_to_sub_id": None,
        }  # fmt: skip
        assert own["data"]["third_party"] is None
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await begin(alice, "orders")
        (snapshot,) = await alice.until("orders", type="snapshot")
        parties = [row["third_party"] for row in snapshot["data"]]
        assert parties == [entered["data"]["third_party"], None]


async def test_heartbeat_tells_where_everything_stands(engine: EngineProcess) -> None:
    async with running_stream(engine, heartbeat_s=0.1) as stream:
        async with stream.client("demo-alice-trade") as alice:
            await begin(alice, "orders", "book", symbols=["BTC-USD"])
            await alice.create("a-1", "buy")
            (update,) = await alice.until("orders", type="update")
            (book,) = await alice.until("book", type="update")
            while (beat := await alice.receive()).get("channel") != "heartbeat":
                pass
            assert beat["data"]["account_seq"] == update["seq"]
            assert beat["data"]["book"] == {"BTC-USD": book["seq"]}
            assert beat["as_of_seq"] >= update["as_of_seq"]
            assert beat["data"]["engine_connected"] is True


async def test_orders_over_the_socket_do_all_that_rest_does(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        created = await alice.create("a-1", "buy")
        assert created["status"] == 201
        assert created["data"]["entered_by"].startswith("ws:demo-alice-trade:")
        again = await alice.create("a-1", "buy")
        assert (again["status"], again["replayed"]) == (200, True)
        replaced = await alice.ask("replace_order", order="client:a-1", quantity="0.5")
        assert replaced["data"]["priority_kept"] is True
        batch = await alice.ask(
            "batch",
            operations=[
                {"op": "create", "client_order_id": "a-2", "symbol": "ETH-USD",
                 "side": "buy", "quantity": "1", "price": "10"},
                {"op": "cancel", "order": "client:a-1"},
            ],
        )  # fmt: skip
        assert batch["ok"], batch
        assert [row["accepted"] for row in batch["data"]["results"]] == [True, True]
        orders = await alice.ask("get_orders")
        assert [row["client_order_id"] for row in orders["data"]["orders"]] == ["a-2"]
        canceled = await alice.ask("cancel_all")
        assert [row["client_order_id"] for row in canceled["data"]["canceled"]] == ["a-2"]
        refused = await alice.ask("cancel_order", order="client:none")
        assert refused["ok"] is False
        assert refused["error"]["code"] == "unknown_order"
        assert refused["error"]["outcome"] == "not_applied"


async def test_requests_of_a_connection_are_done_in_order(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        order = {"symbol": "BTC-USD", "side": "buy", "price": "100", "quantity": "1"}
        for number in range(20):
            create = {"op": "create_order", "req_id": f"c{number}",
                      "params": {"client_order_id": f"x{number}", **order}}  # fmt: skip
            cancel = {"op": "cancel_order", "req_id": f"d{number}",
                      "params": {"order": f"client:x{number}"}}  # fmt: skip
            await alice.connection.send(json.dumps(create))
            await alice.connection.send(json.dumps(cancel))
        answers: list[dict[str, Any]] = []
        while len(answers) < 40:
            message = await alice.receive()
            if message.get("channel") != "heartbeat":
                answers.append(message)
        assert all(answer["ok"] for answer in answers)
        assert [a["req_id"] for a in answers[::2]] == [f"c{n}" for n in range(20)]


async def test_hundreds_of_requests_at_once_leave_others_their_turn(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream:
        # Known, for what a stranger sends waits in its own socket.
        async with stream.client("demo-alice-trade") as eager, stream.client() as patient:
            first, had = asyncio.Event(), 0

            async def read_all() -> None:
                nonlocal had
                while had < 500:
                    await eager.connection.recv()  # Everything that has arrived, in one go.
                    had += 1
                    first.set()

            reading = asyncio.create_task(read_all())
            for number in range(500):
                await eager.connection.send(json.dumps({"op": "ping", "req_id": number}))
            await first.wait()
            assert (await patient.ask("ping"))["ok"]
            assert had < 250, "the others had to wait until all of them were answered"
            await reading


async def test_wrong_requests_are_answered_and_change_nothing(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client() as stranger:
        for text, code in (
            ("nonsense", "invalid_json"),
            ("[1]", "invalid_json"),
            ('{"op":"ping","op":"ping"}', "invalid_json"),
            ('{"op":"ping","more":1}', "invalid_request"),
            ('{"op":7}', "invalid_request"),
            ('{"op":"nothing"}', "invalid_request"),
            ('{"op":"ping","req_id":{}}', "invalid_request"),
            ('{"op":"ping","params":[]}', "invalid_request"),
            ('{"op":"ping","params":{"a":1}}', "invalid_request"),
            ('{"op":"create_order","params":{}}', "unauthorized"),
            ('{"op":"withdraw","params":{}}', "invalid_request"),
            ('{"op":"subscribe","params":{"channels":["orders"]}}', "unauthorized"),
            ('{"op":"subscribe","params":{"channels":["book"]}}', "invalid_request"),
            ('{"op":"subscribe","params":{"channels":["none"]}}', "invalid_request"),
            ('{"op":"subscribe","params":{"channels":["book"],"symbols":["X-Y"]}}',
             "unknown_symbol"),
            ('{"op":"login","params":{"token":"wrong"}}', "unauthorized"),
            ('{"op":"cancel_on_disconnect","params":{"scope":"firm"}}', "unauthorized"),
        ):  # fmt: skip
            await stranger.connection.send(text)
            answer = await stranger.receive()
            assert answer["ok"] is False, text
            assert answer["error"]["code"] == code, (text, answer)
        assert (await stranger.ask("ping"))["ok"]


async def test_binary_and_oversized_messages(engine: EngineProcess) -> None:
    async with running_stream(engine, message_bytes_max=4096) as stream, stream.client() as client:
        await client.connection.send(b"\x00\xff")
        assert (await client.receive())["error"]["code"] == "invalid_json"
        await client.connection.send("x" * 5000)
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


async def test_login_is_signed_used_once_and_bounded_in_time(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client() as one, stream.client() as two:
        login = signed("demo-alice-trade")
        wrong = login | {"signature": "0" * 64}
        assert (await one.ask("login", **wrong))["error"]["code"] == "unauthorized"
        answer = await one.ask("login", **login)
        assert answer["data"]["account"] == "alice"
        assert (await one.ask("login", **login))["error"]["code"] == "invalid_request"
        assert (await two.ask("login", **login))["error"]["code"] == "unauthorized"
        old = signed("demo-alice-trade", int(login["timestamp"]) - 60_000)
        assert (await two.ask("login", **old))["error"]["code"] == "outside_window"


async def test_a_key_that_ends_ends_its_connections(engine: EngineProcess) -> None:
    async with running_stream(engine, heartbeat_s=0.2) as stream:
        api = api_settings(engine.settings)
        store = KeyStore(api.key_file, api.key_master)
        end_us = time.time_ns() // 1000 + int(pace.seconds(0.5) * 1_000_000)
        store.add(
            StoredKey(
                "tk-short", "short", "hmac", "alice", "alice", "u", ("read",), (), "active", 1,
                "test", secret=b"tk-short-secret", valid_until=end_us,
            )
        )  # fmt: skip
        async with stream.client("tk-short") as alice:
            with pytest.raises(ConnectionClosed) as closed:
                # Nobody asks here: a heartbeat finds the key at its end.
                while await alice.receive():
                    pass
            assert time.time_ns() // 1000 >= end_us
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
            assert closed.value.rcvd.reason == "the key has expired"
        store.close()


async def test_a_revoked_key_ends_its_connections_before_anything_more_is_told(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine) as stream:
        api = api_settings(engine.settings)
        store = KeyStore(api.key_file, api.key_master)
        async with both(stream) as (alice, bob):
            await begin(alice, *PRIVATE)
            async with stream.client("demo-alice-withdraw") as other:
                await begin(other, *PRIVATE)
                await alice.until("orders", type="snapshot")
                store.revoke("demo-alice-trade", "test", 1)
                # Nobody asks here: the next event of the account finds the key revoked.
                order = {"client_order_id": "x", "symbol": "BTC-USD", "side": "sell"}
                await bob.ask("create_order", quantity="1", price="99999", **order)
                await asyncio.to_thread(deposit, engine, "alice", "BTC")
                await other.until("transfers", type="update")
                with pytest.raises(ConnectionClosed) as closed:
                    while (await alice.receive())["type"] == "snapshot":
                        pass
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
                assert closed.value.rcvd.reason == "the key was revoked"
            # What asks is not answered any more.
            store.revoke("demo-bob-trade", "test", 1)
            with pytest.raises(ConnectionClosed):
                await bob.ask("cancel_all")
            assert len(await asyncio.to_thread(open_orders, engine, "bob")) == 1
        async with stream.client() as again:
            refused = await again.ask("login", **signed("demo-alice-trade"))
            assert refused["error"]["code"] == "unauthorized"
        store.close()


def open_orders(engine: EngineProcess, account: str) -> list[Any]:
    with contextlib.closing(engine.client()) as client:
        return list(client.fetch(queries.OpenOrders(account)).value)


async def test_a_read_token_sees_but_cannot_trade(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client() as reader:
        assert (await reader.ask("login", token="demo-alice-read"))["ok"]
        await begin(reader, *PRIVATE)
        refused = await reader.ask(
            "create_order", client_order_id="x", symbol="BTC-USD", side="buy",
            quantity="1", price="1",
        )  # fmt: skip
        assert refused["error"]["code"] == "insufficient_scope"
        refused = await reader.ask("cancel_on_disconnect", scope="firm")
        assert refused["error"]["code"] == "insufficient_scope"


async def test_addresses_and_quotes_are_told_on_transfers(engine: EngineProcess) -> None:
    origin, to = Origin("api:test"), "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

    def prepare() -> None:
        with contextlib.closing(engine.client()) as client:
            client.submit(AddAddress(origin, "alice", "BTC", "bitcoin", to, label="cold"))
            client.submit(QuoteWithdrawal(origin, "alice", "BTC", "bitcoin", 10**8))
            client.submit(AssignDepositAddress(origin, "alice", "BTC", "bitcoin", to))
            client.submit(RemoveAddress(origin, "alice", 1))

    entry = {"address_id": "1", "address": to, "memo": None, "label": "cold"}
    wanted = {
        "address_added": entry,
        "quote": {"amount": "1", "fee": "0.0002", "total": "1.0002"},
        "deposit_address": {"address": to, "memo": None},
        "address_removed": entry,
    }
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await begin(alice, *PRIVATE)
        await asyncio.to_thread(prepare)
        for event, fields in wanted.items():
            (told,) = await alice.until("transfers", event=event)
            assert told["account"] == "alice"
            expected = {"asset": "BTC", "network": "bitcoin", **fields}
            assert {name: told["data"][name] for name in expected} == expected


async def test_nobody_hears_of_another_account(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, both(stream) as (alice, bob):
        await begin(bob, *PRIVATE)
        await begin(alice, *PRIVATE)
        await alice.create("a-1", "buy")
        await alice.until("orders", type="update")
        await bob.ask("ping")
        assert {m["type"] for m in bob.received} == {"snapshot"}
        assert {m["account"] for m in bob.received} == {"bob"}


async def test_a_slow_consumer_is_closed_with_a_reason_and_others_are_not(
    engine: EngineProcess,
) -> None:
    async with running_stream(engine, buffer_bytes_max=20_000, close_s=0.3) as stream:
        async with stream.client("demo-alice-trade") as alice:
            await begin(alice, "orders")
            # The kernel's buffers would take megabytes before the service sees that nobody reads.
            stream.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.connect(("127.0.0.1", stream.port))
            async with stream.client("demo-alice-trade", max_queue=1, sock=small) as sleeper:
                await begin(sleeper, *PRIVATE)
                sleeper.connection.transport.pause_reading()
                peers = stream.server.hub.peers
                number = 0
                while not any(peer.close_reason.startswith("too slow") for peer in peers):
                    await alice.create(f"a{number}", "buy", quantity="0.01")
                    number += 1
                    assert number < 400
            assert (await alice.ask("ping"))["ok"]


async def test_another_path_and_too_many_connections_are_refused(engine: EngineProcess) -> None:
    async with running_stream(engine, connections_max=2) as stream:
        from websockets.asyncio.client import connect

        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{stream.port}/elsewhere"):
                pass
        assert refused.value.response.status_code == 404
        async with stream.client(), stream.client():
            with pytest.raises(InvalidStatus) as refused:
                async with stream.client():
                    pass
            assert refused.value.response.status_code == 503


async def test_the_engine_dies_and_returns_without_a_gap(engine: EngineProcess) -> None:
    async with running_stream(engine) as stream, stream.client("demo-alice-trade") as alice:
        await begin(alice, *PRIVATE)
        await begin(alice, "book", symbols=["BTC-USD"])
        await alice.ask("cancel_on_disconnect", scope="connection", grace_s=60)
        await alice.create("before", "buy")
        await alice.until("book", type="update")
        await asyncio.to_thread(engine.kill)
        refused = await alice.ask(
            "create_order", client_order_id="during", symbol="BTC-USD", side="buy",
            quantity="1", price="1",
        )  # fmt: skip
        assert refused["error"]["code"] == "engine_unavailable"
        await asyncio.to_thread(engine.start)
        for _ in range(100):
            answer = await alice.ask(
                "create_order", client_order_id="after", symbol="BTC-USD", side="buy",
                quantity="1", price="1",
            )  # fmt: skip
            if answer["ok"]:
                break
            await asyncio.sleep(0.05)
        # The order of every channel is checked by the client as messages arrive.
        await alice.until("orders", client_order_id="after")
        await alice.until("book", type="update")
        orders = await alice.ask("get_orders")
        assert [r["client_order_id"] for r in orders["data"]["orders"]] == ["before", "after"]
