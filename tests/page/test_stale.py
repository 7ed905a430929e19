"""A page that is cut off says so at once, sells nothing, and finds out what became of an order."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tandem.demo.venue import TemporaryVenue
from tests.page.browser import Browser
from tests.page.firm import Firm
from tests.support import pace

HEARTBEATS_S = 10.0
"""Two of them: within this time silence is noticed, wherever it begins."""
SLACK_S = 2.0


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """A process that neither answers nor ends, like one behind a black hole."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def stale(page: Browser) -> bool:
    return bool(page.run("return document.body.dataset.stale === 'yes'"))


@pytest.fixture
def desk(page: Browser, alice: Firm, bob: Firm) -> Iterator[Browser]:
    bob.order("sell", "1", "60000")
    bob.order("buy", "1", "59000")
    page.sign_in("demo-alice-trade")
    page.until(lambda: page.rows("#asks") and page.rows("#bids"))
    page.until(lambda: page.text("#sum-available").endswith("USD"))
    assert not stale(page)
    yield page
    page.until(lambda: page.text("#status-text").startswith("Live"))
    page.sign_out()
    # The browser tells of the connections that it could not make, and of nothing else.
    assert all("WebSocket connection to" in line for line in page.complaints())


def looks_dead(page: Browser) -> None:
    """Book dimmed, prices struck, ticket locked, and why."""
    assert not page.text("#status-text").startswith("Live")
    style = page.run("""return [getComputedStyle(document.querySelector('.ladder')).opacity,
        getComputedStyle(document.querySelector('#asks button')).textDecorationLine,
        getComputedStyle(document.querySelector('#chart')).opacity]""")
    assert float(style[0]) < 0.7 and style[1] == "line-through" and float(style[2]) < 0.7
    assert page.one("#go").get_property("disabled")
    page.until(lambda: page.text("#book-note") == "not live")  # Drawn with the next frame.
    assert "as they were before" in page.text("#ticket-hint")


def test_a_stream_that_is_silent_is_called_so_within_two_heartbeats(
    desk: Browser, venue: TemporaryVenue, bob: Firm
) -> None:
    with standing_still(venue.pids["stream"]):
        began = time.monotonic()
        desk.until(lambda: stale(desk))
        assert time.monotonic() - began < HEARTBEATS_S + pace.seconds(SLACK_S)
        looks_dead(desk)
        # It has let go of the connection, and tries another at once.
        desk.until(lambda: desk.text("#status-text").startswith(("Connection lost", "Connecting")))
        # A click on a price that is not so takes nothing over.
        before = desk.one("[name=price]").get_property("value")
        desk.run("document.querySelector('#bids button').click()")
        assert desk.one("[name=price]").get_property("value") == before
        bob.order("sell", "0.5", "59900")
    desk.until(lambda: desk.text("#status-text").startswith("Live"))
    # What happened meanwhile is there as soon as it is called live again.
    assert desk.rows("#asks")[-1] == ["59,900.00", "0.50000", "0.50000"]
    assert not desk.one("#go").get_property("disabled") and desk.text("#go") == "Buy BTC"


def test_a_stream_that_is_killed_is_called_so_at_once(
    desk: Browser, venue: TemporaryVenue
) -> None:
    os.kill(venue.pids["stream"], signal.SIGKILL)
    desk.until(lambda: stale(desk))
    looks_dead(desk)
    desk.until(lambda: desk.text("#status-text").startswith("Live"))
    assert not stale(desk)


def test_an_engine_that_stands_still_behind_a_living_stream_is_noticed(
    desk: Browser, venue: TemporaryVenue
) -> None:
    with standing_still(venue.pids["engine"]):
        desk.until(lambda: stale(desk))
        looks_dead(desk)
        assert "engine does not answer" in desk.text("#ticket-hint")
    desk.until(lambda: not stale(desk))
    desk.complaints()


def send(desk: Browser, price: str, quantity: str) -> None:
    desk.type("[name=price]", price)
    desk.type("[name=quantity]", quantity)
    desk.click("#go")


def listen(desk: Browser) -> None:
    """Keep all that the button says: a text that is there for a second is missed by looking."""
    desk.run("""const button = document.querySelector('#go');
        window.said = [];
        new MutationObserver(() => window.said.push(button.textContent))
            .observe(button, {childList: true, characterData: true, subtree: true})""")


def said(desk: Browser, pattern: str) -> bool:
    return any(re.fullmatch(pattern, text) for text in desk.run("return window.said"))


def test_an_order_whose_answer_is_lost_is_asked_for_by_its_id(
    desk: Browser, venue: TemporaryVenue, alice: Firm
) -> None:
    """The stream takes the order, and is gone before the page has the answer."""
    engine, stream = venue.pids["engine"], venue.pids["stream"]
    listen(desk)
    with standing_still(engine):
        send(desk, "58000", "0.4")
        desk.until(lambda: said(desk, "Sending …"))
        assert desk.one("#go").get_attribute("aria-busy") == "true"
        desk.until(lambda: said(desk, r"Sending … \d+ s"))  # It shows that it is under way.
        os.kill(stream, signal.SIGKILL)
        desk.until(lambda: desk.text("#go").startswith("Asking what became of it"))
        assert "asked for the order by its id" in desk.text("#ticket-hint")
    desk.until(lambda: "BTC waits in the book (the answer was lost, the order was found)"
               in desk.text("#toasts") or desk.text("#ticket-error"))  # fmt: skip
    found = alice.call("GET", "/v1/orders")["orders"]
    if desk.text("#ticket-error"):
        # The engine came back only when the order was too old: then it must not be there.
        assert "nothing was done" in desk.text("#ticket-error") and found == []
    else:
        assert [order["price"] for order in found] == ["58000"]
    desk.complaints()


def test_an_order_that_never_arrived_is_told_as_not_done_and_cannot_arrive_later(
    desk: Browser, venue: TemporaryVenue, alice: Firm
) -> None:
    """It lies in the socket of a stream that stands still, which reads it when it goes on."""
    with standing_still(venue.pids["stream"]):
        send(desk, "57500", "0.3")
        deadline = time.monotonic() + pace.seconds(40)
        while "nothing was done" not in desk.text("#ticket-error"):
            assert time.monotonic() < deadline, desk.text("#ticket")
            threading.Event().wait(0.2)
        looks_dead(desk)
    desk.until(lambda: desk.text("#status-text").startswith("Live"))
    orders: list[Any] = alice.call("GET", "/v1/orders?status=all&limit=1000")["orders"]
    assert all(order["price"] != "57500" for order in orders)
    # What was typed is still there to be sent again.
    assert desk.one("[name=quantity]").get_property("value") == "0.3"
    desk.complaints()
