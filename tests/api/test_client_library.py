"""The client library against a venue: trades, lost answers, streams through lost connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import re
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tandem_client import (
    AsyncClient,
    AsyncStream,
    BalancesMessage,
    BearerToken,
    Client,
    ClockSkew,
    Conflict,
    Disconnected,
    Ed25519Key,
    ExecutionsMessage,
    Forbidden,
    Gap,
    LedgerMessage,
    NotFound,
    OrdersMessage,
    Reconnect,
    Reconnected,
    Retry,
    Stream,
    StreamItem,
    StreamSettings,
    TransfersMessage,
    Unauthorized,
)
from tests.api.processes import Venue
from tests.support import pace
from tests.support.cutting_proxy import CuttingProxy
from tests.support.processes import Process

README = Path(__file__).parent.parent.parent / "clients" / "sdk" / "README.md"
WAIT_S = 20.0
SETTINGS = StreamSettings(timeout_s=30, reconnect=Reconnect(0.01, 0.1))
EVENTS = (OrdersMessage, ExecutionsMessage, BalancesMessage, LedgerMessage, TransfersMessage)


class Place:
    """A running venue: where HTTP and the stream are."""

    def __init__(self, url: str, stream: str) -> None:
        self.url, self.stream = url, stream

    def client(self, name: str, url: str = "", **options: Any) -> Client:
        key = f"demo-{name}"
        return Client(url or self.url, key, f"{key}-secret", timeout_s=30.0, **options)


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    changes = (("port = 8081", "port = 0"),)
    with Venue(tmp_path_factory.mktemp("venue"), changes) as processes:
        processes.start("engine", "history", "http")
        with Process("account_api.stream", processes.environment) as stream:
            yield Place(processes.url, stream.wait_for("ready")["url"])


@contextlib.contextmanager
def proxy(url: str) -> Iterator[tuple[CuttingProxy, str]]:
    """A proxy before an address, and the address through it."""
    parts = urlsplit(url)
    with CuttingProxy(parts.hostname or "", parts.port or 0) as one:
        yield one, f"{parts.scheme}://127.0.0.1:{one.port}"


def test_the_readme_gets_to_a_trade_in_ten_lines(venue: Place) -> None:
    trade, stream = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert len([line for line in trade.splitlines() if line.strip()]) <= 10
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for text in (trade, stream):
            text = text.replace("http://127.0.0.1:8080", venue.url)
            exec(text.replace("ws://127.0.0.1:8081", venue.stream), {})
    first, second = said.getvalue().splitlines()
    assert first == "0.2 at 60000"
    assert second.startswith("0.1 at 60000 seq ")


def test_orders_fills_and_refusals(venue: Place) -> None:
    with venue.client("alice-trade") as alice, venue.client("bob-trade") as bob:
        for number in range(3):
            alice.create_order(client_order_id=f"t-{number}", symbol="ETH-USD", side="buy",
                               quantity="1", price=Decimal("2000"))  # fmt: skip
        sold = bob.create_order(client_order_id="t", symbol="ETH-USD", side="sell",
                                quantity=Decimal(3), type="market")  # fmt: skip
        assert (sold.status, sold.filled_quantity) == ("filled", Decimal(3))
        fills = list(alice.iter_fills(symbol="ETH-USD", limit=1, min_seq=sold.as_of_seq))
        assert [fill.client_order_id for fill in fills] == ["t-0", "t-1", "t-2"]
        assert len(list(alice.iter_trades(symbol="ETH-USD", limit=2))) == 3
        changed = alice.submit_batch(operations=[
            {"op": "create", "client_order_id": "t-b", "symbol": "ETH-USD", "side": "buy",
             "quantity": Decimal("1"), "price": "1900"},
            {"op": "replace", "order": "client:t-b", "quantity": Decimal("0.5")},
            {"op": "cancel", "order": "client:t-b/%?"},
        ])  # fmt: skip
        assert [one.accepted for one in changed.results] == [True, True, False]
        assert alice.get_order("client:t-b").quantity == Decimal("0.5")
        with pytest.raises(NotFound, match="unknown_order"):
            alice.get_order("client:t-b/%?")
        with pytest.raises(Conflict) as taken:
            alice.create_order(client_order_id="t-b", symbol="ETH-USD", side="buy", quantity=9)
        assert taken.value.code == "duplicate_client_order_id" and taken.value.members["order_id"]
        assert alice.cancel_all(symbol="ETH-USD").total == 1


def test_every_kind_of_credentials_and_a_wrong_clock(venue: Place) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    with venue.client("alice-keys") as keys:
        made = keys.create_key(name="sdk", kind="ed25519", scopes=["read", "trade"],
                               public_key=base64.b64encode(public).decode())  # fmt: skip
    with Client(venue.url, credentials=Ed25519Key(made.key, pem)) as signed:
        assert signed.get_balances().account == "alice"
    with Client(venue.url, credentials=BearerToken("demo-alice-read")) as reader:
        assert reader.get_balances().account == "alice"
        with pytest.raises((Forbidden, Unauthorized)):
            reader.cancel_all()
    with Client(venue.url) as nobody:
        assert nobody.get_instruments().instruments
        with pytest.raises(Unauthorized):
            nobody.get_balances()
        assert abs(nobody.clock_skew_ms()) < pace.seconds(1) * 1000
    with venue.client("alice-trade", clock_offset_ms=-60_000) as late:
        with pytest.raises(ClockSkew, match="clock is 60.. s behind") as raised:
            late.get_balances()
        assert raised.value.code == "outside_window"


def test_an_order_and_a_withdrawal_whose_answers_are_lost_are_done_once(venue: Place) -> None:
    with proxy(venue.url) as (cutter, url):
        cutter.lose_answers(2)
        with venue.client("alice-trade", url) as alice:
            order = alice.create_order(client_order_id="lost-1", symbol="BTC-USD", side="buy",
                                       quantity="0.1", price="100")  # fmt: skip
            assert order.replayed and order.status == "new"
            assert len(alice.get_orders(client_order_id="lost-1").orders) == 1
        with venue.client("alice-withdraw", url) as treasury:
            cutter.lose_answers(1)
            quote = treasury.quote_withdrawal(asset="ETH", amount=2)
            assert quote.replayed
            cutter.lose_answers(1)
            terms: dict[str, Any] = {
                "asset": "ETH", "amount": Decimal(2), "client_withdrawal_id": "sdk-w",
                "address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                "quote_id": quote.quote_id,
            }  # fmt: skip
            done = treasury.request_withdrawal(**terms)
            assert done.replayed and done.fee == quote.fee
            assert len(list(treasury.iter_withdrawals())) == 1


async def test_asyncio_sends_many_orders_at_once(venue: Place) -> None:
    key = "demo-bob-trade"
    async with AsyncClient(venue.url, key, f"{key}-secret", retry=Retry(total_s=60)) as bob:
        orders = await asyncio.gather(*(
            bob.create_order(client_order_id=f"many-{number}", symbol="BTC-USD", side="buy",
                             quantity="0.01", price=number + 1) for number in range(20)
        ))  # fmt: skip
        assert {order.status for order in orders} == {"new"}
        found = [
            order async for order in bob.iter_orders(symbol="BTC-USD", limit=7)
            if order.client_order_id.startswith("many-")
        ]  # fmt: skip
        assert [order.order_id for order in found] == sorted(
            (order.order_id for order in orders), key=int
        )
        await bob.cancel_all(symbol="BTC-USD")


# The stream.


class Reading:
    """What a stream yielded of one account: each event of each channel once, and in order."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = {}
        self.events: list[tuple[str, int, Any]] = []
        self.notices: list[StreamItem] = []

    def take(self, item: StreamItem) -> None:
        if isinstance(item, EVENTS) and not item.snapshot:
            name = type(item).__name__
            self.seen.setdefault(name, []).append(item.seq)
            self.events.append((name, item.seq, item.data))
        elif isinstance(item, Disconnected | Reconnected | Gap):
            self.notices.append(item)

    def has(self, client_order_id: str) -> bool:
        """Whether the end of an order was seen."""
        return any(
            getattr(data, "client_order_id", "") == client_order_id
            and getattr(data, "event", "") == "canceled" for _, _, data in self.events
        )  # fmt: skip


def trade_and_cut(venue: Place, cutter: CuttingProxy, name: str, turns: int = 12) -> None:
    """Orders, fills and cancels of carol, with a cut now and then; ``name-end`` is the last."""
    with venue.client("carol-trade") as carol, venue.client("bob-trade") as bob:
        for number in range(turns):
            carol.create_order(client_order_id=f"{name}-{number}", symbol="ETH-BTC", side="buy",
                               quantity="0.01", price="0.05")  # fmt: skip
            bob.create_order(client_order_id=f"{name}-b{number}", symbol="ETH-BTC", side="sell",
                             quantity="0.01", price="0.05")  # fmt: skip
            if number % 3 == 1:
                cutter.cut()
        carol.create_order(client_order_id=f"{name}-end", symbol="ETH-BTC", side="buy",
                           quantity="0.01", price="0.01")  # fmt: skip
        carol.cancel_order(f"client:{name}-end")


def hold(reading: Reading, venue: Place, first: int) -> None:
    """Every event from ``first`` on is there once, as an undisturbed stream has it."""
    assert sum(isinstance(one, Disconnected) for one in reading.notices) >= 2
    assert not [one for one in reading.notices if isinstance(one, Gap)]
    whole = Reading()
    key = "demo-carol-trade"
    with Stream(venue.stream, key, f"{key}-secret", settings=SETTINGS) as calm:
        calm.subscribe("orders", "executions", "balances", "ledger", "transfers", from_seq=first)
        while len(whole.events) < len(reading.events):
            item = calm.receive(pace.seconds(WAIT_S))
            assert item is not None
            whole.take(item)
    assert whole.events == reading.events
    every = sorted(set().union(*(set(seqs) for seqs in reading.seen.values())))
    assert every == list(range(first, every[-1] + 1))


def test_a_stream_has_no_gap_and_no_double_however_often_its_connection_is_cut(
    venue: Place,
) -> None:
    key, reading = "demo-carol-trade", Reading()
    with proxy(venue.stream) as (cutter, url):
        with Stream(url, key, f"{key}-secret", settings=SETTINGS) as stream:
            stream.subscribe("orders", "executions", "balances", "ledger", "transfers")
            begun = stream.receive(pace.seconds(WAIT_S))
            assert isinstance(begun, EVENTS) and begun.snapshot
            cutting = threading.Thread(target=trade_and_cut, args=(venue, cutter, "sync"))
            cutting.start()
            deadline = time.monotonic() + pace.seconds(WAIT_S)
            while not reading.has("sync-end") and time.monotonic() < deadline:
                item = stream.receive(1.0)
                if item is not None:
                    reading.take(item)
            # Its money is told after the order, with the same number.
            for _ in range(10):
                item = stream.receive(0.05)
                if item is not None:
                    reading.take(item)
            cutting.join()
            assert reading.has("sync-end")
    hold(reading, venue, begun.seq + 1)


async def test_the_same_for_asyncio(venue: Place) -> None:
    key, reading = "demo-carol-trade", Reading()
    with proxy(venue.stream) as (cutter, url):
        async with AsyncStream(url, key, f"{key}-secret", settings=SETTINGS) as stream:
            await stream.subscribe("orders", "executions", "balances", "ledger", "transfers")
            begun = await stream.receive()
            assert isinstance(begun, EVENTS) and begun.snapshot
            cutting = asyncio.create_task(
                asyncio.to_thread(trade_and_cut, venue, cutter, "async")
            )
            async with asyncio.timeout(pace.seconds(WAIT_S)):
                while not reading.has("async-end"):
                    reading.take(await stream.receive())
            await cutting
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        reading.take(await stream.receive())
    await asyncio.to_thread(hold, reading, venue, begun.seq + 1)


async def test_orders_on_the_stream_survive_a_cut_and_its_book_is_that_of_rest(
    venue: Place,
) -> None:
    key = "demo-bob-trade"
    with proxy(venue.stream) as (cutter, url):
        async with AsyncStream(url, key, f"{key}-secret", settings=SETTINGS) as stream:
            await stream.subscribe("book", "trades", symbols=["BTC-USD"])
            armed = await stream.cancel_on_disconnect("account", grace_s=60)
            assert (armed.scope, armed.grace_s) == ("account", 60)
            cutter.lose_answers(1)
            order = await stream.create_order(
                client_order_id="cut-1", symbol="BTC-USD", side="buy", quantity="0.25", price=50,
            )  # fmt: skip
            assert order.replayed and order.quantity == Decimal("0.25")
            last = await stream.create_order(
                client_order_id="cut-2", symbol="BTC-USD", side="buy", quantity="1", price="49.5",
            )  # fmt: skip
            book = stream.book("BTC-USD")
            async with asyncio.timeout(pace.seconds(WAIT_S)):
                while book.stale or book.seq < last.as_of_seq:
                    await stream.receive()
            there = await stream.get_book("BTC-USD")
            assert [tuple(level) for level in book.bids] == [
                (level.price, level.quantity, level.orders) for level in there.bids
            ]
            with pytest.raises(TypeError, match="price is the float"):
                await stream.create_order(client_order_id="cut-3", symbol="BTC-USD", side="buy",
                                          quantity=1, price=0.5)  # type: ignore[arg-type]  # fmt: skip
            await stream.cancel_all()
            await stream.logout()
    with pytest.raises(Unauthorized, match="signature"):
        await AsyncStream(venue.stream, key, "wrong").open()
