"""What readers with the same state share, and when the kernel is asked what they have not read."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import quickfix

from engine.core.types import Side
from engine.market_data.market import Market
from fix_gateway.codec.formatting import texts_of
from fix_gateway.codec.market_data_requests import MarketDataQuery
from fix_gateway.codec.message import FixMessage
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.market_data.prepared import prepared
from fix_gateway.market_data.session import HEADER_BYTES, MarketConnection
from fix_gateway.market_data.views import Shared, Subscription, View
from fix_gateway.session.life import Phase
from tests.support.strategies import Flow
from tests.unit.market_data.test_market import play

OWN = quickfix.DataDictionary(str(Path(__file__).parents[3] / "spec" / "FIX44.xml"))
SYMBOL = "BTC-USD"


def test_readers_with_the_same_state_share_a_message_in_which_each_has_its_own_id() -> None:
    for exchange, _, _, _ in play(Flow(1), 40):
        books = exchange.books
    texts = texts_of(SYMBOL, {SYMBOL: books[SYMBOL].instrument})
    assert texts is not None
    feed = Market([SYMBOL]).feed(SYMBOL)
    view = View(MarketDataQuery(1, "r", "1", 0, True, True, ("0", "1"), (SYMBOL,)))
    early, *others = [Subscription(name, SYMBOL, view) for name in ("early", "a", "b", "a")]
    for one in (early, *others):
        one.snapshot(Shared(feed, texts, 0))
    feed.book.show(1, Side.BUY, 100, 1, 5)
    feed.book_seq = 1
    assert early.update(Shared(feed, texts, 1)) is not None
    feed.book.show(2, Side.BUY, 90, 2, 5)
    feed.book_seq = 2
    work = Shared(feed, texts, 2)
    found = [one.update(work) for one in (early, *others)]
    assert all(isinstance(one, SharedResponse) for one in found)
    assert len({id(one.shared) for one in found if isinstance(one, SharedResponse)}) == 2
    for response, name in zip(found, ("early", "a", "b", "a"), strict=True):
        assert response is not None
        read = FixMessage(prepared(response, OWN).toString())
        alone = Response(response.msg_type, response.body)
        assert read.fields == FixMessage(prepared(alone, OWN).toString()).fields
        assert read.get("262") == name
        assert read.get("20025") == ("1" if name == "early" else "0")
        assert read.get("268") == ("1" if name == "early" else "2")


def test_a_reader_with_third_parties_does_not_lend_them_to_who_stands_where_it_does() -> None:
    for exchange, _, _, _ in play(Flow(1), 40):
        books = exchange.books
    texts = texts_of(SYMBOL, {SYMBOL: books[SYMBOL].instrument})
    assert texts is not None
    feed = Market([SYMBOL]).feed(SYMBOL)
    view = View(MarketDataQuery(1, "r", "1", 0, True, True, ("0", "1"), (SYMBOL,)))
    headers = ("", "128=NORTH\x01", "", "128=SOUTH\x01")
    readers = [Subscription("r", SYMBOL, view, header) for header in headers]
    for one in readers:
        one.snapshot(Shared(feed, texts, 0))
    feed.book.show(1, Side.BUY, 100, 1, 5)
    feed.book_seq = 1
    work = Shared(feed, texts, 1)
    for one in readers:
        response = one.update(work)
        assert response is not None
        text = prepared(response, OWN).toString()
        assert FixMessage(text).get("128") == one.header[4:-1]
        assert FixMessage(text).get("268") == "1"


def test_the_kernel_is_asked_what_is_unread_before_more_than_the_bound_can_be() -> None:
    ours, client = socket.socketpair()
    sent: list[Any] = []
    session: Any = SimpleNamespace(
        gate=threading.RLock(), life=SimpleNamespace(connection=None, phase=Phase.LIVE),
        qf=SimpleNamespace(send=lambda message: sent.append(message) or True),
    )  # fmt: skip
    bound = 4096
    connection = MarketConnection(session, ours, "", OWN, bound)
    session.life.connection = connection
    asked: list[int] = []
    unread = 0

    class Kernel:
        def bytes_unread(self) -> int:
            asked.append(unread)
            return unread

    connection.link = Kernel()  # type: ignore[assignment]
    response = Response("B", f"148={'x' * 500}\x0133=1\x0158=x\x01")
    while not asked:
        assert connection.send(response)
        unread += len(response.body) + HEADER_BYTES
        assert connection.unread() >= min(unread, bound + 1)
    assert len(sent) <= bound // len(response.body)
    assert connection.unread() > bound, "it is asked again as long as too much is unread"
    unread = 0
    assert connection.unread() == 0
    count = len(asked)
    assert connection.send(response)
    assert connection.unread() and len(asked) == count
    ours.close()
    client.close()
