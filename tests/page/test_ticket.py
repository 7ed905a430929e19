"""The ticket in a real browser: what is sent is what is seen, and what it will find is said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import ROUND_UP, Decimal, localcontext
from typing import Any

import pytest

from tests.page.browser import Browser
from tests.page.firm import Firm


@pytest.fixture
def desk(page: Browser, alice: Firm, bob: Firm) -> Iterator[Browser]:
    """alice at her ticket; bob offers 2.5 BTC and wants 2."""
    for quantity, price in (("1", "60000"), ("1", "60600"), ("0.5", "66000")):
        bob.order("sell", quantity, price)
    for quantity, price in (("1", "59000"), ("1", "57000")):
        bob.order("buy", quantity, price)
    page.sign_in("demo-alice-trade")
    page.until(lambda: page.text("#count-orders") == "" and len(page.rows("#asks")) == 3)
    page.until(lambda: page.text("#sum-available").endswith("USD"))
    yield page
    page.run("localStorage.clear()")
    page.sign_out()


def value(page: Browser, name: str) -> Any:
    return page.one(f"#ticket [name={name}]").get_property("value")


def choose(page: Browser, name: str, option: str) -> None:
    page.click(f"#ticket [name={name}] option[value={option}]")


def open_orders(firm: Firm) -> list[Any]:
    return list(firm.call("GET", "/v1/orders")["orders"])


# What is sent is what is seen.


def test_each_type_remembers_its_own_time_in_force(desk: Browser, alice: Firm) -> None:
    choose(desk, "type", "market")
    assert value(desk, "tif") == "ioc"
    choose(desk, "type", "limit")
    assert value(desk, "tif") == "gtc"
    desk.type("[name=price]", "58000")
    desk.type("[name=quantity]", "0.7")
    desk.click("#go")
    desk.until(lambda: "0.7 BTC waits in the book" in desk.text("#toasts"))
    (order,) = open_orders(alice)
    assert (order["time_in_force"], order["price"]) == ("gtc", "58000")
    # And the other way round: what the market type was left with stays with it.
    choose(desk, "type", "market")
    choose(desk, "tif", "fok")
    choose(desk, "type", "limit")
    choose(desk, "tif", "day")
    choose(desk, "type", "market")
    assert value(desk, "tif") == "fok"
    choose(desk, "type", "limit")
    assert value(desk, "tif") == "day"


def test_the_line_above_the_button_says_the_whole_order(desk: Browser) -> None:
    desk.type("[name=price]", "58000")
    desk.type("[name=quantity]", "0.7")
    desk.until(
        lambda: desk.text("#ticket-terms") == "Limit 58,000.00 USD · good until canceled (GTC)"
    )
    assert "unusual" not in desk.one("#ticket-terms").get_attribute("class")
    assert desk.one("[name=tif]").is_displayed() and desk.one("[name=post_only]").is_displayed()
    choose(desk, "tif", "ioc")
    desk.until(lambda: "at once, the rest is canceled (IOC)" in desk.text("#ticket-terms"))
    assert "unusual" in desk.one("#ticket-terms").get_attribute("class")
    choose(desk, "type", "market")
    desk.until(lambda: desk.text("#ticket-terms").startswith("Market order · at once"))
    assert "unusual" not in desk.one("#ticket-terms").get_attribute("class")


def test_post_only_is_never_dropped_in_silence(desk: Browser, alice: Firm) -> None:
    desk.click("[name=post_only]")
    choose(desk, "type", "market")
    assert not desk.one("[name=post_only]").is_displayed()
    choose(desk, "type", "limit")
    assert desk.one("[name=post_only]").is_selected()
    choose(desk, "tif", "ioc")
    desk.click("#ticket .sides label:last-child")
    desk.type("[name=price]", "59000")
    desk.type("[name=quantity]", "1")
    desk.until(lambda: "Choose one of the two" in desk.text("#post-error"))
    assert desk.one("[name=post_only]").is_selected()
    desk.click("#go")
    assert desk.run("return document.activeElement.name") == "post_only"
    choose(desk, "tif", "gtc")
    desk.until(lambda: desk.text("#post-error") == "")
    desk.until(lambda: desk.text("#ticket-terms").endswith("post-only"))
    desk.click("#go")
    # It would have traded: the venue refuses it, as was asked for.
    desk.until(lambda: desk.text("#ticket-error") != "")
    assert open_orders(alice) == []
    assert all("422" in line for line in desk.complaints())


def test_a_price_that_was_filled_in_stays_once_the_ticket_is_touched(
    desk: Browser, bob: Firm
) -> None:
    assert value(desk, "price") == "60000"
    bob.order("sell", "0.1", "59900")
    desk.until(lambda: value(desk, "price") == "59900")  # Nobody has touched it: it follows.
    desk.type("[name=quantity]", "0.05")
    bob.order("sell", "0.1", "59800")
    desk.until(lambda: desk.rows("#asks")[-1][0] == "59,800.00")
    assert value(desk, "price") == "59900"
    # Emptied by hand, it stays empty: nothing is put in its place.
    desk.type("[name=price]", "\ue017")
    bob.order("sell", "0.1", "59700")
    desk.until(lambda: desk.rows("#asks")[-1][0] == "59,700.00")
    desk.run("document.activeElement.blur()")
    assert value(desk, "price") == ""


def test_another_instrument_begins_with_empty_numbers(desk: Browser) -> None:
    desk.type("[name=price]", "58000")
    desk.type("[name=quantity]", "0.7")
    desk.click("#symbol option[value='ETH-USD']")
    desk.until(lambda: desk.text("#ticket-symbol") == "ETH-USD")
    assert (value(desk, "price"), value(desk, "quantity")) in {("", "")} | {
        (price, "") for price in [value(desk, "price")] if price != "58000"
    }
    # A reload leads to the same instrument.
    assert desk.chrome.current_url.endswith("#ETH-USD")
    desk.click("#symbol option[value='BTC-USD']")
    desk.until(lambda: desk.text("#ticket-symbol") == "BTC-USD")


def test_a_quantity_never_turns_into_an_amount_of_money(desk: Browser) -> None:
    choose(desk, "type", "market")
    desk.type("[name=quantity]", "0.5")
    desk.click("#units label:last-child")
    assert value(desk, "quantity") == ""
    desk.type("[name=quantity]", "3000")
    desk.until(lambda: desk.text("#go") == "Buy for 3,000 USD")
    choose(desk, "type", "limit")
    assert value(desk, "quantity") == ""
    desk.until(lambda: desk.text("#go") == "Buy BTC")


@pytest.mark.parametrize("size", [(1440, 900), (1440, 700), (390, 844), (320, 640)])
def test_the_button_is_in_sight_with_what_it_sends_and_nothing_lies_on_it(
    desk: Browser, size: tuple[int, int]
) -> None:
    desk.screen(*size)
    if size[0] < 760:
        desk.click(".panes [data-pane=trade]")
    desk.type("[name=price]", "90000")
    desk.type("[name=quantity]", "1")
    desk.until(lambda: "above the best offer" in desk.text("#ticket-warning"))
    desk.module("/web/js/view/toasts.js", "m.toast('Something that happened.', 'warn')")
    script = """const button = document.querySelector(arguments[0]);
        if (arguments[1]) button.scrollIntoView({block: 'nearest'});
        const box = button.getBoundingClientRect();
        const seen = document.elementFromPoint(box.left + box.width / 2, box.bottom - 3);
        return button.contains(seen);"""
    for selector in ("#ticket-warning", "#ticket-terms", "#go"):
        assert desk.run(script, selector, size[0] < 760 or size[1] < 800), selector


# What it will find, and what became of it.


def slippage(worth: str, ideal: str) -> str:
    off = abs(Decimal(worth) - Decimal(ideal)) * 100 / Decimal(ideal)
    text = f"{off.quantize(Decimal('0.01'), ROUND_UP).normalize():f}"
    return f"{text} %"


def test_a_market_order_is_estimated_by_walking_the_book(desk: Browser) -> None:
    choose(desk, "type", "market")
    desk.type("[name=quantity]", "1")
    desk.until(lambda: desk.text("#sum-value") == "about 60,000.00 USD")
    assert desk.text("#sum-slippage") == "0 %" and desk.text("#ticket-warning") == ""
    desk.type("[name=quantity]", "2.25")
    # 1 × 60,000 + 1 × 60,600 + 0.25 × 66,000
    desk.until(lambda: desk.text("#sum-value") == "about 137,100.00 USD")
    assert desk.text("#sum-average") == "about 60,933.33 USD"
    assert desk.text("#sum-slippage") == slippage("137100", "135000")
    desk.until(lambda: desk.text("#sum-fee") == "about 137.10 USD")
    assert "1.56 % worse than the best; the worst is 66,000.00 USD" in desk.text("#ticket-warning")
    desk.click("#ticket .sides label:last-child")
    desk.until(lambda: desk.text("#ticket-warning").startswith("Only 2 BTC is wanted"))
    assert desk.text("#sum-value") == "about 116,000.00 USD"


def test_a_market_order_larger_than_the_book_is_told_before_and_after(
    desk: Browser, alice: Firm
) -> None:
    choose(desk, "type", "market")
    desk.type("[name=quantity]", "500")
    desk.until(lambda: "Only 2.5 BTC is on offer: the rest would be canceled."
               in desk.text("#ticket-warning"))  # fmt: skip
    assert desk.text("#sum-value") == "about 153,600.00 USD"
    desk.click("#go")
    # Nothing is sent before the question is answered, and "go back" sends nothing at all.
    desk.until(lambda: desk.one("#confirm").is_displayed())
    assert "Only 2.5 BTC is on offer" in desk.text("#confirm-warnings")
    desk.click("#confirm-back")
    desk.until(lambda: not desk.one("#confirm").is_displayed())
    assert len(desk.rows("#asks")) == 3 and value(desk, "quantity") == "500"
    desk.click("#go")
    desk.confirm("500 BTC", "Market order")
    desk.until(lambda: "Bought 2.5 of 500 BTC at 61,440.00 USD; the rest, 497.5 BTC, is canceled"
               in desk.text("#toasts .warn"))  # fmt: skip
    assert open_orders(alice) == []


def test_an_amount_of_money_is_estimated_and_sent_as_such(desk: Browser, alice: Firm) -> None:
    choose(desk, "type", "market")
    desk.click("#units label:last-child")
    desk.type("[name=quantity]", "90300")
    # All of the first level and 0.5 at 60,600.
    desk.until(lambda: desk.text("#sum-value") == "about 90,300.00 USD")
    desk.click("#go")
    desk.until(lambda: "Bought 1.5 BTC at 60,200.00 USD" in desk.text("#toasts"))
    desk.type("[name=quantity]", "1000000")
    warning = "#ticket-warning"
    desk.until(lambda: "Only 1 BTC, worth 63,300.00 USD, is on offer" in desk.text(warning))
    desk.click("#ticket .sides label:last-child")
    desk.until(lambda: "Only 2 BTC, worth 116,000.00 USD, is wanted" in desk.text(warning))


def test_an_order_that_does_not_wait_says_how_much_is_there_at_its_price(desk: Browser) -> None:
    choose(desk, "tif", "ioc")
    desk.type("[name=price]", "60600")
    desk.type("[name=quantity]", "5")
    said = "Only 2 BTC is on offer at this price or better: the rest would be canceled."
    desk.until(lambda: desk.text("#ticket-warning") == said)
    choose(desk, "tif", "fok")
    desk.until(lambda: "canceled as a whole" in desk.text("#ticket-warning"))
    choose(desk, "tif", "gtc")
    desk.until(lambda: desk.text("#ticket-warning") == "")


def test_a_sale_that_brings_more_than_its_limit_has_its_fee_from_what_it_brings(
    desk: Browser,
) -> None:
    desk.click("#ticket .sides label:last-child")
    desk.type("[name=price]", "57000")
    desk.type("[name=quantity]", "2")
    desk.until(lambda: desk.text("#sum-value") == "114,000.00 USD")
    assert desk.text("#sum-value-title") == "Value, at least"
    desk.until(lambda: desk.text("#sum-fee") == "about 116.00 USD")


def test_all_that_is_available_buys_no_more_than_it_pays_for(desk: Browser, alice: Firm) -> None:
    """The parts walk the book too: at the best price the money would not be enough."""
    script = "m.affordable(a[0], a[1], a[2], a[3])"
    levels = [{"price": "60000", "quantity": "1"}, {"price": "66000", "quantity": "5"}]
    most = desk.module("/web/js/model/estimate.js", script, levels, "132132", "0.001", "0.00001")
    cost = Decimal(60000) + (Decimal(most) - 1) * 66000
    assert cost * Decimal("1.001") <= 132132
    assert (cost + Decimal("0.66")) * Decimal("1.001") > 132132


def walked(levels: list[dict[str, str]], wanted: str, lot: str, money: bool) -> tuple[Decimal, ...]:
    """Quantity and value by Python's decimals, one level after the other."""
    filled, worth, left = Decimal(0), Decimal(0), Decimal(wanted)
    for level in levels:
        price, there = Decimal(level["price"]), Decimal(level["quantity"])
        most = (left / price // Decimal(lot)) * Decimal(lot) if money else left
        taken = min(there, most)
        filled, worth = filled + taken, worth + taken * price
        left -= taken * price if money else taken
        if taken < there:
            break
    return filled, worth


def test_the_walk_is_exact_for_any_book(window: Browser, url: str) -> None:
    """By quantity and by money, against another implementation, where floats would be wrong."""
    window.open(url)
    draw = random.Random(26)
    cases = []
    for _ in range(200):
        start = draw.randrange(1_000, 100_000)
        levels = [
            {"price": f"{start + step}.{draw.randrange(100):02}",
             "quantity": f"{draw.randrange(5)}.{draw.randrange(1, 10**5):05}"}
            for step in range(draw.randrange(1, 9))
        ]  # fmt: skip
        cases.append((levels, f"{draw.randrange(30)}.{draw.randrange(1, 10**5):05}",
                      f"{draw.randrange(10**6)}.{draw.randrange(1, 100):02}"))  # fmt: skip
    found = window.module(
        "/web/js/model/estimate.js",
        "a[0].map(([levels, quantity, money]) => [m.walk(levels, quantity),"
        " m.walk(levels, null, {money, lot: '0.00001'})])",
        cases,
    )
    with localcontext(prec=80):
        for (levels, quantity, money), (one, other) in zip(cases, found, strict=True):
            on_offer = sum(Decimal(level["quantity"]) for level in levels)
            for got, wanted, by_money in ((one, quantity, False), (other, money, True)):
                expected = walked(levels, wanted, "0.00001", by_money)
                assert (Decimal(got["filled"]), Decimal(got["value"])) == expected
            assert one["whole"] == (on_offer >= Decimal(quantity))


# What cannot be taken back.


def test_a_price_far_from_the_market_is_asked_about(desk: Browser, alice: Firm) -> None:
    desk.type("[name=price]", "600000")
    desk.type("[name=quantity]", "0.1")
    desk.until(lambda: "900 % above the best offer, 60,000" in desk.text("#ticket-warning"))
    desk.click("#go")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    desk.click("#confirm-back")
    desk.until(lambda: not desk.one("#confirm").is_displayed())
    assert len(desk.rows("#asks")) == 3
    # The question can be switched off, and the help has it back.
    desk.click("#go")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    desk.click("#confirm-never")
    desk.confirm("900 % above the best offer")
    desk.until(lambda: "Bought 0.1 BTC" in desk.text("#toasts"))
    desk.type("[name=price]", "600000")
    desk.type("[name=quantity]", "0.2")
    desk.click("#go")
    desk.until(lambda: "Bought 0.2 BTC" in desk.text("#toasts"))
    desk.press("?")
    box = desk.one("#questions [value=order]")
    assert not box.is_selected()
    box.click()
    desk.one("#help .main").click()
    desk.type("[name=price]", "600000")
    desk.type("[name=quantity]", "0.3")
    desk.click("#go")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    desk.click("#confirm-back")


def test_every_order_can_be_asked_about(desk: Browser, alice: Firm) -> None:
    """Not unless it is wished for; then with all of its terms and what it costs."""
    desk.press("?")
    box = desk.one("#questions [value=each]")
    assert not box.is_selected()
    box.click()
    desk.one("#help .main").click()
    desk.type("[name=price]", "58000")
    desk.type("[name=quantity]", "0.2")
    desk.click("#go")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    assert open_orders(alice) == []
    desk.click("#confirm-never")
    desk.confirm("0.2 BTC", "Limit 58,000.00 USD", "11,600.00 USD", "11.60 USD")
    desk.until(lambda: "0.2 BTC waits in the book" in desk.text("#toasts"))
    desk.type("[name=price]", "57000")
    desk.type("[name=quantity]", "0.1")
    desk.click("#go")
    desk.until(lambda: "0.1 BTC waits in the book" in desk.text("#toasts"))


def test_cancel_all_says_what_goes(desk: Browser, alice: Firm) -> None:
    alice.order("buy", "1", "50000")
    alice.order("buy", "1", "51000")
    alice.order("buy", "1", "3000", "ETH-USD")
    desk.until(lambda: desk.text("#count-orders") == "3")
    desk.click("#cancel-all")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    desk.click("#confirm-back")
    desk.until(lambda: not desk.one("#confirm").is_displayed())
    assert len(open_orders(alice)) == 3
    desk.click("#cancel-all")
    desk.confirm("Cancel all 3 open orders?", "2 orders", "ETH-USD", "1 order")
    desk.until(lambda: "3 orders are canceled." in desk.text("#toasts"))
    assert open_orders(alice) == []


def test_a_stop_order_does_not_claim_to_be_in_the_book(desk: Browser, alice: Firm) -> None:
    alice.call("POST", "/v1/orders", {
        "client_order_id": "stop-seen", "symbol": "BTC-USD", "side": "buy", "type": "stop_limit",
        "quantity": "0.5", "stop_price": "61000", "price": "61500",
    })  # fmt: skip
    desk.until(lambda: desk.text("#count-orders") == "1")
    row = desk.until(lambda: desk.rows("#panel-orders tbody")[0])
    assert row[4] == "61,500.00\nstop 61,000.00"
    assert row[8] == "New, stop not triggered"
