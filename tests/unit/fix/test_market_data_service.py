"""The market data service on its own thread, with sessions that are only written down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from engine.core.events import InstrumentStatusChanged
from engine.core.types import InstrumentStatus
from engine.market_data.market import Market
from fix_gateway.codec.market_data_requests import Bounds
from fix_gateway.codec.responses import Response
from fix_gateway.market_data.desk import DeskBounds
from fix_gateway.market_data.seeding import Seed
from fix_gateway.market_data.service import (
    FLOOD_TEXT,
    REQUESTS_MAX,
    MarketDataService,
    ServiceBounds,
)
from tests.support import pace
from tests.support.fix_desk import instruments

SLOW = 1_000


class Reader:
    """A session that writes down what it is told."""

    name = "X"

    def __init__(self, conflation_ms: int = 0) -> None:
        self.conflation_ms = conflation_ms
        self.told: list[Response] = []
        self.left = 0
        self.ended = ""
        self.news = threading.Condition()

    def send(self, response: Response) -> bool:
        with self.news:
            self.told.append(response)
            self.news.notify_all()
        return True

    def unread(self) -> int:
        return self.left

    def end(self, reason: str) -> None:
        with self.news:
            self.ended = reason
            self.news.notify_all()

    def until(self, holds: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(holds, pace.seconds(10)), (self.told, self.ended)

    def types(self) -> str:
        return "".join(one.msg_type for one in self.told)


class Clock:
    def __init__(self) -> None:
        self.offset_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.offset_us


def a_seed(whole_at: int = 10) -> Seed:
    known = dict(instruments())
    return Seed(Market(known, 0, time.time_ns() // 1000), known, 11, whole_at)


def halt(seq: int, status: InstrumentStatus = InstrumentStatus.HALTED) -> Any:
    event = InstrumentStatusChanged("", 0, "BTC-USD", status, "")
    return SimpleNamespace(seq=seq, time_us=time.time_ns() // 1000, events=(event,))


def request(msg_type: str, body: str) -> str:
    return f"8=FIX.4.4|9=1|35={msg_type}|34=5|{body}10=000|".replace("|", "\x01")


BOOK = "262=r|263=1|264=0|265=0|267=1|269=0|146=1|55=BTC-USD|"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> Iterator[MarketDataService]:
    made = MarketDataService(
        ServiceBounds(SLOW, 0.2), DeskBounds(), Bounds(64, 1_000), clock, 0
    )
    made.start()
    yield made
    made.stop()


def test_a_request_waits_until_the_market_is_whole(service: MarketDataService) -> None:
    reader = Reader()
    service.expect()
    service.request(reader, request("V", BOOK))
    service.begin(a_seed(whole_at=12))
    service.take([halt(11)])
    assert not service.available and not reader.told
    service.take([halt(12)])
    reader.until(lambda: reader.types() == "W")
    assert "\x0120001=12\x01" in reader.told[0].body


def test_a_lost_engine_ends_what_is_subscribed_and_a_new_market_serves_again(
    service: MarketDataService,
) -> None:
    reader = Reader()
    service.begin(a_seed())
    service.request(reader, request("V", BOOK))
    service.request(reader, request("e", "324=s|263=1|55=BTC-USD|"))
    service.lose()
    service.request(reader, request("V", BOOK))
    reader.until(lambda: reader.types() == "WfYjY")
    service.begin(a_seed())
    service.request(reader, request("V", BOOK))
    reader.until(lambda: reader.types() == "WfYjYW")


def test_each_halt_is_told_though_both_came_at_once(service: MarketDataService) -> None:
    reader = Reader()
    service.begin(a_seed())
    service.request(reader, request("e", "324=s|263=1|55=BTC-USD|"))
    service.take([halt(11), halt(12, InstrumentStatus.OPEN)])
    reader.until(lambda: reader.types() == "fff")
    assert ["326=2\x01" in one.body for one in reader.told] == [False, True, False]


def test_the_next_day_is_told_once(service: MarketDataService, clock: Clock) -> None:
    reader = Reader()
    service.begin(a_seed())
    service.request(reader, request("g", "335=d|263=1|"))
    reader.until(lambda: reader.types() == "h")
    clock.offset_us = 86_400_000_000
    service.take([halt(11)])
    reader.until(lambda: reader.types() == "hh")
    assert "\x01325=Y\x01" in reader.told[1].body


def test_every_message_of_a_subscription_has_the_third_parties_of_its_request_reversed(
    service: MarketDataService, clock: Clock
) -> None:
    reader = Reader()
    service.begin(a_seed())
    route = "115=NORTH|129=SPOT|"
    service.request(reader, request("V", f"{route}{BOOK}"))
    service.request(reader, request("V", f"{route}{BOOK}"))  # Refused: subscribed already.
    for msg_type, body in (("e", "324=s|263=1|55=BTC-USD|"), ("g", "335=d|263=1|")):
        service.request(reader, request(msg_type, f"{route}{body}"))
        service.request(reader, request(msg_type, f"{route}{body}"))
    reader.until(lambda: reader.types() == "WYfjhj")
    service.take([halt(11)])
    reader.until(lambda: reader.types() == "WYfjhjf")
    clock.offset_us = 86_400_000_000
    service.take([halt(12)])
    reader.until(lambda: sorted(reader.types()[7:]) == ["f", "h"])
    service.lose()
    reader.until(lambda: reader.types()[9:] == "Yjj")
    assert {one.header for one in reader.told} == {"116=SPOT\x01128=NORTH\x01"}


def test_a_subscription_whose_third_parties_cannot_be_taken_is_refused(
    service: MarketDataService,
) -> None:
    reader = Reader()
    service.begin(a_seed())
    for msg_type, body in (("V", BOOK), ("e", "324=s|263=1|55=BTC-USD|"), ("g", "335=d|263=1|")):
        service.request(reader, request(msg_type, f"115={'x' * 33}|116=desk|{body}"))
    reader.until(lambda: reader.types() == "Yjj")
    assert all("OnBehalfOfCompID(115) needs" in one.body for one in reader.told)
    assert {one.header for one in reader.told} == {"129=desk\x01"}


def test_a_flood_of_requests_ends_the_session(service: MarketDataService) -> None:
    reader = Reader()
    service.expect()
    for _ in range(REQUESTS_MAX + 1):
        service.request(reader, request("V", BOOK))
    reader.until(lambda: reader.ended == FLOOD_TEXT)
    assert not reader.told
