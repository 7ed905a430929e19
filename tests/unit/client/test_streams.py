"""A stream's session frame by frame, and a stream whose venue falls silent; without a venue."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tandem_client import (
    ApiError,
    AsyncStream,
    Book,
    BookMessage,
    ConnectionFailed,
    Disconnected,
    Gap,
    HmacKey,
    NoAnswer,
    OrdersMessage,
    Reconnect,
    Reconnected,
    StreamEnded,
    StreamItem,
    StreamSettings,
    TradesMessage,
)
from tandem_client.exchange import Clock
from tandem_client.session import Session
from tests.support import pace

TS = "2030-01-31T12:00:00.000000Z"
CANCEL: dict[str, Any] = {
    "event": "cancel_rejected", "client_order_id": "a", "request_client_order_id": None,
    "orig_client_order_id": None, "order_id": None, "status": "new", "reason": "r", "text": "",
}  # fmt: skip
BALANCE: dict[str, Any] = {
    "asset": "USD", "posted": "1", "held": "0", "available": "1", "available_change": "1",
    "held_change": "0",
}  # fmt: skip


class Wire:
    """A session with what it has sent, and messages as the venue writes them."""

    def __init__(self) -> None:
        self.session = Session(HmacKey("k", "s"), Clock())
        self.sent: list[dict[str, Any]] = []
        self.connect()

    def connect(self) -> list[dict[str, Any]]:
        self.session.opening()
        return self.take()

    def take(self) -> list[dict[str, Any]]:
        """What was sent since; in every way of a request."""
        found = [json.loads(text) for text in self.session.outgoing]
        self.session.outgoing.clear()
        self.sent += found
        return found

    def say(self, **frame: Any) -> list[StreamItem]:
        return self.session.received(json.dumps(frame))

    def accept(self, request: dict[str, Any], data: Any) -> list[StreamItem]:
        return self.say(op=request["op"], req_id=request["req_id"], ok=True, data=data)

    def begin(self, *channels: str, from_seq: int | None = None) -> None:
        """Subscribe to private channels of alice and have it accepted."""
        self.session.subscribe(channels, (), None, from_seq)
        (request,) = self.take()
        self.begun(request)

    def begun(self, request: dict[str, Any], reason: str = "no_from_seq") -> list[StreamItem]:
        params = request["params"]
        about: dict[str, Any] = {"resumed": True, "from_seq": params.get("from_seq")}
        if "from_seq" not in params or reason != "no_from_seq":
            about = {"resumed": False, "reason": reason, "seq": 5}
        data = {"private": {"account": "alice", "channels": params["channels"], **about}}
        return self.accept(request, data)

    def event(
        self, channel: str, seq: int, prev_seq: int, epoch: str = "e", kind: str = "update"
    ) -> list[int]:
        """One event of the account; returns the sequences of what is yielded, 0 for notices."""
        data = [BALANCE] if channel == "balances" else CANCEL
        found = self.say(
            channel=channel, epoch=epoch, type=kind, account="alice", seq=seq, prev_seq=prev_seq,
            as_of_seq=9, ts=TS, data=[] if kind == "snapshot" else data,
        )  # fmt: skip
        return [0 if isinstance(one, Gap) else one.seq for one in found]  # type: ignore[union-attr]

    def book(self, seq: int, prev_seq: int, bids: list[Any], **more: Any) -> list[StreamItem]:
        copy = Book("BTC-USD")
        with contextlib.suppress(KeyError):
            copy.change("open", self.session.book("BTC-USD").bids, (), 1)
        levels = [(Decimal(price), Decimal(quantity), 1) for price, quantity in bids]
        copy.change("open", [_level(*one) for one in levels], (), seq)
        data = {"symbol": "BTC-USD", "status": "open", "asks": [], "checksum": copy.checksum(),
                "bids": [[price, quantity, 1] for price, quantity in bids]} | more  # fmt: skip
        return self.say(
            channel="book", epoch="e", type="update" if prev_seq < seq else "snapshot", seq=seq,
            prev_seq=prev_seq, as_of_seq=9, ts=TS, data=data,
        )  # fmt: skip

    def beat(self, **data: Any) -> list[StreamItem]:
        full = {"engine_connected": True, "book": {}, "trades": {}, "accounts": {}} | data
        return self.say(
            channel="heartbeat", epoch="e", type="update", as_of_seq=9, ts=TS, data=full
        )


def _level(price: Decimal, quantity: Decimal, orders: int) -> Any:
    from tandem_client import Level

    return Level(price, quantity, orders)


@pytest.fixture
def wire() -> Iterator[Wire]:
    one = Wire()
    assert [request["op"] for request in one.sent] == ["login"]
    yield one
    assert one.session.fatal is None


def test_a_connection_cut_within_an_event_is_resumed_from_it_without_doubles(wire: Wire) -> None:
    wire.begin("orders", "balances", from_seq=6)
    assert wire.event("orders", 6, 5) == [6]
    assert wire.event("balances", 6, 5) == [6]
    assert wire.event("orders", 7, 6) == [7]  # The balances of 7 are lost with the connection.
    wire.session.lost()
    login, again = wire.connect()
    assert login["op"] == "login"
    assert again["params"] == {"channels": ["balances", "orders"], "from_seq": 7}
    assert wire.event("orders", 7, 6) == [], "nothing counts before the answer"
    wire.begun(again)
    assert wire.event("orders", 7, 6) == [], "it was yielded before"
    assert wire.event("balances", 7, 6) == [7]
    assert wire.event("orders", 8, 7) == [8]


def test_channels_without_their_snapshot_begin_anew_and_others_go_on(wire: Wire) -> None:
    wire.begin("orders", "balances")
    assert wire.event("orders", 5, 5, kind="snapshot") == [5]
    wire.session.lost()
    _, first, second = wire.connect()
    assert first["params"] == {"channels": ["orders"], "from_seq": 5}
    assert second["params"] == {"channels": ["balances"]}


def test_a_lost_message_is_asked_for_again(wire: Wire) -> None:
    wire.begin("orders", from_seq=1)
    assert wire.event("orders", 1, 0) == [1]
    assert wire.event("orders", 3, 2) == []
    (request,) = wire.take()
    assert request["params"] == {"channels": ["orders"], "from_seq": 1}
    assert wire.event("orders", 4, 3) == []
    wire.begun(request)
    found = [wire.event("orders", seq, seq - 1) for seq in (1, 2, 3, 4)]
    assert found == [[], [2], [3], [4]]


def test_two_heartbeats_that_are_ahead_show_a_loss(wire: Wire) -> None:
    wire.begin("orders", "transfers", from_seq=1)
    assert wire.event("orders", 1, 0) == [1]
    wire.beat(accounts={"alice": 2})
    assert wire.take() == [], "the message may be on its way"
    wire.beat(accounts={"alice": 2})
    (request,) = wire.take()
    assert request["params"]["from_seq"] == 1


def test_what_cannot_be_resumed_is_a_gap_and_a_snapshot(wire: Wire) -> None:
    wire.begin("orders", from_seq=1)
    assert wire.event("orders", 1, 0) == [1]
    wire.session.lost()
    _, again = wire.connect()
    assert wire.begun(again, "gap_too_old") == [Gap(("orders",), "alice", "", "gap_too_old")]
    assert wire.event("orders", 90, 89) == []
    assert wire.event("orders", 90, 90, kind="snapshot") == [90]
    assert wire.event("orders", 91, 90) == [91]


def test_another_journal_begins_sequences_anew(wire: Wire) -> None:
    wire.begin("orders", from_seq=1)
    assert wire.event("orders", 1, 0) == [1]
    wire.session.lost()
    _, again = wire.connect()
    wire.begun(again)
    assert wire.event("orders", 2, 0, epoch="other") == [0]
    (request,) = wire.take()
    assert request["params"] == {"channels": ["orders"]}
    wire.begun(request)
    assert wire.event("orders", 5, 5, epoch="other", kind="snapshot") == [5]


def test_a_book_follows_its_changes_and_is_stale_where_it_cannot(wire: Wire) -> None:
    wire.session.subscribe(["book"], ["BTC-USD"], None, None)
    book = wire.session.book("BTC-USD")
    wire.take()
    assert book.stale
    assert wire.book(4, 4, [["100", "1"], ["99.5", "2"]])
    assert wire.book(6, 4, [["100", "0"], ["99", "3"]])
    assert not book.stale and book.asks == [] and book.best_ask is None
    assert [(level.price, level.quantity) for level in book.bids] == [
        (Decimal("99.5"), Decimal(2)), (Decimal(99), Decimal(3)),
    ]  # fmt: skip
    assert book.cost("sell", Decimal(6)) == (Decimal("496"), Decimal(5))
    assert wire.book(9, 8, [["98", "1"]]) == [Gap(("book",), "", "BTC-USD", "lost")]
    (request,) = wire.take()
    assert request["op"] == "snapshot" and book.stale
    assert wire.book(10, 9, [["98", "1"]]) == []
    assert wire.book(10, 10, [["98", "1"]], checksum=1) == [
        Gap(("book",), "", "BTC-USD", "checksum")
    ]
    assert book.stale


def test_the_checksum_of_a_book_is_the_one_that_is_specified() -> None:
    book = Book("BTC-USD")
    assert book.checksum() == 0
    book.replace("open", [_level(Decimal("60000"), Decimal("0.3"), 1),
                          _level(Decimal("100"), Decimal("0.5"), 1)], [], 39)  # fmt: skip
    assert book.checksum() == 258905268


def test_trades_are_yielded_once_across_connections(wire: Wire) -> None:
    def trades(*ids: int, prev: int) -> list[StreamItem]:
        kind = "snapshot" if prev == ids[-1] else "update"
        data = [
            {"trade_id": one, "symbol": "BTC-USD", "price": "1", "quantity": "1", "side": "buy",
             "time": TS, "seq": one} for one in ids
        ]  # fmt: skip
        return wire.say(channel="trades", epoch="e", type=kind, seq=ids[-1], prev_seq=prev,
                        as_of_seq=9, ts=TS, data=data)  # fmt: skip

    def ids(found: list[StreamItem]) -> list[int]:
        return [
            trade.trade_id for one in found if isinstance(one, TradesMessage)
            for trade in one.trades
        ]  # fmt: skip

    wire.session.subscribe(["trades"], ["BTC-USD"], None, None)
    assert ids(trades(1, 2, prev=2)) == [1, 2]
    assert ids(trades(3, prev=2)) == [3]
    wire.session.lost()
    wire.connect()
    assert ids(trades(2, 3, 4, prev=4)) == [4]
    assert trades(6, prev=5) == []
    wire.session.lost()
    wire.connect()
    gap, _ = trades(7, 8, prev=8)
    assert gap == Gap(("trades",), "", "BTC-USD", "lost")


def test_requests_without_an_answer_are_sent_again_only_where_that_is_harmless(
    wire: Wire,
) -> None:
    order = wire.session.ask("create_order", {"client_order_id": "a"}, True, "a")
    everything = wire.session.ask("cancel_all", {}, False)
    wire.session.lost()
    error = wire.session.results.pop(everything)
    assert isinstance(error, NoAnswer) and "may have been executed" in str(error)
    _, again = wire.connect()
    assert (again["op"], again["req_id"]) == ("create_order", order)
    late = wire.session.ask("ping", {}, True)
    assert [request["req_id"] for request in wire.take()] == [late]


def test_a_refused_subscription_is_not_wanted_on_the_next_connection(wire: Wire) -> None:
    wire.session.subscribe(["book"], ["NOPE"], None, None)
    (request,) = wire.take()
    refusal = {"status": 422, "code": "unknown_symbol", "detail": "No.", "outcome": "not_applied"}
    wire.say(op="subscribe", req_id=request["req_id"], ok=False, error=refusal)
    assert isinstance(wire.session.results[request["req_id"]], ApiError)
    wire.session.lost()
    assert [one["op"] for one in wire.connect()] == ["login"]
    with pytest.raises(ValueError, match="no channel 'fills'; there are balances, book"):
        wire.session.subscribe(["fills"], (), None, None)
    with pytest.raises(ValueError, match="need symbols"):
        wire.session.subscribe(["book"], (), None, None)


# Connections.


@contextlib.asynccontextmanager
async def venue(*, silent: bool = False, code: int = 0) -> AsyncIterator[tuple[str, list[int]]]:
    """Answers the first pings; then it says nothing any more, or closes with a code."""
    connections: list[int] = []

    async def answer(connection: ServerConnection) -> None:
        connections.append(1)
        async for text in connection:
            request = json.loads(text)
            data = {"time_ms": 1} if request["op"] == "ping" else {"session": "s"}
            frame = {"op": request["op"], "req_id": request["req_id"], "ok": True, "data": data}
            await connection.send(json.dumps(frame))
            if code and request["op"] == "ping":
                await connection.close(code, "so it is")

    async with serve(answer, "127.0.0.1", 0, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}", connections


QUICK = StreamSettings(timeout_s=5, stale_after_s=0.5, reconnect=Reconnect(0.01, 0.01, 0.05))


async def test_a_venue_that_is_silent_is_lost_within_the_limit_and_connected_anew() -> None:
    async with venue() as (url, connections), AsyncStream(url, "k", "s", settings=QUICK) as one:
        assert not one.stale
        assert await one.receive() == Disconnected("nothing was heard for 0.5 s")
        assert await one.receive() == Reconnected(1)
        assert sum(connections) == 2


async def test_a_key_that_was_revoked_ends_the_stream() -> None:
    async with venue(code=4001) as (url, _), AsyncStream(url, "k", "s", settings=QUICK) as one:
        with pytest.raises(StreamEnded, match="the key was revoked") as raised:
            await asyncio.wait_for(one.receive(), pace.seconds(5))
        assert raised.value.code == 4001


async def test_a_venue_that_is_gone_is_given_up_in_the_end() -> None:
    async with venue() as (url, _):
        one = await AsyncStream(url, settings=QUICK).open()
    try:
        assert isinstance(await one.receive(), Disconnected)
        with pytest.raises(StreamEnded, match="no connection to .* Connect"):
            await asyncio.wait_for(one.receive(), pace.seconds(5))
    finally:
        await one.aclose()
    with pytest.raises(ConnectionFailed, match="no connection to ws://.*refused|failed"):
        await AsyncStream(url, settings=QUICK).open()


def test_messages_have_their_types() -> None:
    one = Wire()
    one.begin("orders", from_seq=1)
    (message,) = one.say(
        channel="orders", epoch="e", type="update", account="alice", seq=1, prev_seq=0,
        as_of_seq=9, ts=TS, data={"event": "a_new_event", "x": 1},
    )  # fmt: skip
    assert isinstance(message, OrdersMessage) and "a_new_event" in str(message.data)
    one.session.subscribe(["book"], ["BTC-USD"], None, None)
    (update,) = one.book(4, 4, [["100", "1"]])
    assert isinstance(update, BookMessage) and update.bids[0].price == Decimal(100)
