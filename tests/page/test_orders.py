"""Orders in a real browser: each is sent as it is filled in, shown as it is, and changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.firm import Firm


@pytest.fixture
def desk(page: Browser, alice: Firm, bob: Firm) -> Iterator[Browser]:
    """alice at her desk; bob offers at 60,000 and wants at 59,000; the last trade is between."""
    bob.order("sell", "0.1", "59500")
    alice.order("buy", "0.1", "59500")
    bob.order("sell", "1", "60000")
    bob.order("buy", "1", "59000")
    page.sign_in("demo-alice-trade")
    page.until(lambda: page.text("#last") == "59,500.00" and len(page.rows("#asks")) == 1)
    page.until(lambda: page.text("#sum-available").endswith("USD"))
    yield page
    page.run("localStorage.clear()")
    page.sign_out()


def choose(page: Browser, name: str, option: str) -> None:
    page.click(f"#ticket [name={name}] option[value='{option}']")


def fill(page: Browser, **fields: str) -> None:
    for name, text in fields.items():
        page.type(f"#ticket [name={name}]", text)


def newest(firm: Firm) -> dict[str, Any]:
    """The newest open order."""
    return dict(firm.call("GET", "/v1/orders?sort=newest&limit=1")["orders"][0])


def top(page: Browser) -> list[str]:
    """The first row of the orders."""
    return (page.rows("#panel-orders tbody") or [[""] * 10])[0]


def send(page: Browser, said: str) -> None:
    """Send the order and see what came of it."""
    page.click("#go")
    page.until(lambda: said in page.text("#toasts"))
    page.run("document.querySelector('#toasts').replaceChildren()")


def test_every_type_of_order_is_sent_as_it_is_filled_in(
    desk: Browser, alice: Firm, bob: Firm
) -> None:
    # A stop: no price of its own, and no time in force that cannot wait.
    choose(desk, "type", "stop")
    assert not desk.one("#price-field").is_displayed()
    offered = "return [...document.querySelector('[name=tif]').options]" \
        ".filter(o => !o.disabled).map(o => o.value)"  # fmt: skip
    assert desk.run(offered) == ["gtc", "day", "gtd"]
    desk.click("#go")
    desk.until(lambda: desk.text("#stop_price-error") == "Enter a stop price.")
    assert desk.run("return document.activeElement.name") == "stop_price"
    fill(desk, stop_price="61000", quantity="0.4")
    desk.until(lambda: desk.text("#sum-value") == "about 24,400.00 USD")
    desk.until(lambda: desk.text("#ticket-terms") ==
               "Stop 61,000.00 USD, then market order · good until canceled (GTC)")  # fmt: skip
    send(desk, "0.4 BTC waits for a trade at 61,000.00 USD")
    order = newest(alice)
    assert (order["type"], order["stop_price"], order["price"]) == ("stop", "61000", None)
    assert order["manual"] and order["time_in_force"] == "gtc"
    desk.until(lambda: top(desk)[3:9] == [
        "Stop, GTC", "market\nstop 61,000.00", "0.40000", "0.00000", "–", "New, stop not triggered",
    ])  # fmt: skip

    # A stop limit until a date, in the zone that is chosen.
    choose(desk, "type", "stop_limit")
    assert desk.one("[name=price]").get_property("value") == ""  # A stop's limit is not guessed.
    choose(desk, "tif", "gtd")
    end = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=3)
    desk.run("""const field = document.querySelector('[name=expire_at]');
        field.value = arguments[0];
        field.dispatchEvent(new Event('change', {bubbles: true}))""", f"{end:%Y-%m-%dT%H:%M}")
    fill(desk, stop_price="61000", price="61200", quantity="0.3")
    desk.until(lambda: f"until {end:%Y-%m-%d %H:%M}:00 UTC (GTD)" in desk.text("#ticket-terms"))
    send(desk, "0.3 BTC waits for a trade at 61,000.00 USD")
    order = newest(alice)
    assert (order["type"], order["time_in_force"], order["price"]) == ("stop_limit", "gtd", "61200")
    assert order["expire_at"] == f"{end:%Y-%m-%dT%H:%M:%S}.000000Z"

    # A stop that is reached, and a limit far behind its stop, are asked about.
    fill(desk, stop_price="59000", price="70000", quantity="0.3")
    desk.until(lambda: "59,500.00, has reached this stop price" in desk.text("#ticket-warning"))
    assert "18.65 % above the stop price" in desk.text("#ticket-warning")
    desk.click("#go")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    desk.click("#confirm-back")

    # Arrow keys move a price by a tick, with Shift by ten.
    price = desk.one("#ticket [name=price]")
    price.send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.SHIFT, Keys.ARROW_DOWN)
    assert price.get_property("value") == "69999.92"

    # An iceberg, with its own choice of self-trade prevention; nothing of it is out of sight.
    choose(desk, "type", "limit")
    assert desk.one("[name=tif]").get_property("value") == "gtc"
    desk.click("#ticket-options summary")
    fill(desk, price="58000", quantity="0.5", display_quantity="0.6")
    desk.click("#go")
    desk.until(lambda: "No more can be shown" in desk.text("#display_quantity-error"))
    fill(desk, display_quantity="0.1")
    choose(desk, "stp", "cancel_oldest")
    desk.click("#ticket-options summary")
    desk.until(lambda: desk.text("#ticket-terms").endswith(
        "shows 0.1 BTC at a time · self-trade prevention: cancel oldest"))  # fmt: skip
    assert "unusual" in desk.one("#ticket-terms").get_attribute("class")
    send(desk, "0.5 BTC waits in the book")
    order = newest(alice)
    assert order["display_quantity"] == "0.1"
    assert order["self_trade_prevention"] == "cancel_oldest"
    desk.until(lambda: top(desk)[5] == "0.50000\n0.10000 shown")
    desk.until(lambda: ["58,000.00", "0.10000", "1.10000"] in desk.rows("#bids"))
    # The next order shows all of itself again, and IOC has nothing to hide.
    assert desk.one("[name=display_quantity]").get_property("value") == ""
    choose(desk, "tif", "ioc")
    assert not desk.one("#display_quantity-field").is_displayed()

    # What was entered by hand and waits is told of when it trades; what a program sent is not.
    bob.cancel_all()
    bob.order("sell", "0.05", "58000")
    desk.until(lambda: "Bought 0.05 BTC at 58,000.00 USD; 0.45 BTC left." in desk.text("#toasts"))
    bob.order("sell", "0.1", "61000")
    bob.order("sell", "0.9", "61100")
    alice.order("buy", "0.1", "61000")
    desk.until(lambda: all(f"Bought {quantity} BTC at 61,100.00 USD." in desk.text("#toasts")
                           for quantity in ("0.4", "0.3")))  # fmt: skip
    assert "Bought 0.1 BTC" not in desk.text("#toasts")


def test_an_order_is_changed_from_its_row(desk: Browser, alice: Firm, bob: Firm) -> None:
    alice.order("buy", "1", "59100")
    desk.until(lambda: top(desk)[4:6] == ["59,100.00", "1.00000"])

    def edit(**fields: str) -> None:
        if not desk.run("return Boolean(document.querySelector('#order-edit'))"):
            desk.click("#panel-orders tbody [data-verb=edit]")
        for name, text in fields.items():
            desk.type(f"#order-edit [name={name}]", text)

    def change(said: str) -> None:
        desk.click("#order-edit [type=submit]")
        desk.until(lambda: said in desk.text("#toasts"))
        desk.until(lambda: not desk.run("return Boolean(document.querySelector('#order-edit'))"))

    edit()
    desk.click("#order-edit [type=submit]")
    desk.until(lambda: "Nothing is different" in desk.text("#order-edit"))
    edit(price="59100.001", quantity="0")
    desk.click("#order-edit [type=submit]")
    desk.until(lambda: "multiple of 0.01" in desk.text("#edit-price-error"))
    assert "more than zero" in desk.text("#edit-quantity-error")
    edit(price="59100.00", quantity="0.8")
    desk.until(lambda: "It keeps its place in the queue." in desk.text("#order-edit"))
    change("It kept its place in the queue.")
    edit(price="59200")
    desk.until(lambda: "It loses its place in the queue" in desk.text("#order-edit"))
    change("It has a new place in the queue.")
    order = newest(alice)
    assert (order["price"], order["quantity"]) == ("59200", "0.8")
    desk.until(lambda: top(desk)[4:6] == ["59,200.00", "0.80000"])

    # What happens to it meanwhile is told; a price far away is asked about.
    edit(price="90000")
    bob.order("sell", "0.3", "59200")
    desk.until(lambda: "0.30000 filled" in desk.text("#order-edit"))
    desk.click("#order-edit [type=submit]")
    desk.until(lambda: desk.one("#confirm").is_displayed())
    assert "50 % above the best offer, 60,000.00" in desk.text("#confirm")
    desk.click("#confirm-back")
    desk.until(lambda: not desk.one("#confirm").is_displayed())
    assert newest(alice)["price"] == "59200"
    edit(price="60000")
    change("The order is changed. Bought 0.8 BTC at 59,700.00 USD.")
    # The order that is closed has nothing to change any more, not even in a dialog that is open.
    late = alice.order("buy", "1", "57000")
    desk.until(lambda: top(desk)[4] == "57,000.00")
    edit(price="57100")
    alice.call("DELETE", f"/v1/orders/{late['order_id']}")
    desk.until(lambda: "closed now" in desk.text("#order-edit"))
    assert desk.one("#order-edit [type=submit]").get_property("disabled")
    desk.click("#order-edit .answers button")


def test_the_history_has_every_order_with_its_state_and_its_fills(
    desk: Browser, alice: Firm, bob: Firm
) -> None:
    def order(name: str, **more: Any) -> Any:
        return alice.call("POST", "/v1/orders", {
            "client_order_id": name, "symbol": "BTC-USD", "side": "buy", "quantity": "0.5",
            "price": "58000", **more,
        })  # fmt: skip

    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    filled = order("history-filled", price="60000", quantity="1")
    order("history-ioc", time_in_force="ioc")
    order("history-fok", time_in_force="fok")
    order("history-gtd", time_in_force="gtd", manual=True,
          expire_at=f"{soon:%Y-%m-%dT%H:%M:%S.%f}Z")  # fmt: skip
    order("history-open", symbol="ETH-USD", price="3000")
    with pytest.raises(AssertionError, match="post_only_would_trade"):
        bob.order("sell", "1", "60000")
        order("history-rejected", price="60000", post_only=True)
    desk.until(lambda: desk.text("#panel-orders tbody").count("Expired") == 1)
    desk.until(lambda: "Buy 0.5 BTC at 58,000.00: Expired." in desk.text("#toasts .warn"))
    states = {row[8] for row in desk.rows("#panel-orders tbody")}
    rejected = "Rejected: the order is post-only and would trade on arrival"
    assert states >= {
        "New", "Filled", "Expired", "Canceled: IOC remainder", "Canceled: FOK not fillable whole",
        rejected,
    }, states  # fmt: skip

    # Whoever comes later finds all of it, and what has an order of its own; the newest first.
    desk.sign_out()
    desk.sign_in("demo-alice-trade")
    desk.click("[name=orders-shown][value=all] + span")
    desk.until(lambda: {row[8] for row in desk.rows("#panel-orders tbody")} >= states - {rejected})
    rows = desk.rows("#panel-orders tbody")
    assert rows[0][1:3] == ["ETH-USD", "Buy"] and rows[0][9].split("\n")[0].startswith("Details")
    desk.click("#orders-only")
    desk.until(lambda: {row[1] for row in desk.rows("#panel-orders tbody")} == {"BTC-USD"})
    desk.click(f"#panel-orders tbody [data-verb=details][data-order='{filled['order_id']}']")
    desk.until(lambda: "history-filled" in desk.text("#order-detail .facts"))
    assert "Filled" in desk.text("#order-detail .facts")
    fills = desk.rows("#order-detail tbody")
    assert [row[3:8] for row in fills] == [
        ["1.00000", "60,000.00", "60,000.00 USD", "60.00 USD", "taker"],
    ]  # fmt: skip
    desk.click("#order-detail form button")
    # A fill leads to its order.
    desk.click("#tab-fills")
    desk.click("#panel-fills tbody [data-order]")
    desk.until(lambda: "history-filled" in desk.text("#order-detail .facts"))
    desk.click("#order-detail form button")
    desk.click("#tab-orders")
    # What is canceled is what the list is narrowed to; the key cancels all.
    order("history-more")
    desk.until(lambda: desk.text("#count-orders") == "2")
    assert desk.text("#cancel-all") == "Cancel all BTC-USD"
    desk.click("#cancel-all")
    assert "ETH-USD" not in desk.confirm("Cancel your open order?", "BTC-USD")
    desk.until(lambda: desk.text("#count-orders") == "1")
    assert newest(alice)["symbol"] == "ETH-USD"
    desk.press("X")
    desk.confirm("ETH-USD")
    desk.until(lambda: desk.text("#count-orders") == "")


def test_older_orders_are_asked_for_page_by_page(window: Browser, url: str) -> None:
    window.open(url)
    pages = [{"orders": [{"order_id": str(n), "created_at": f"{n:03}", "updated_at": f"{n:03}",
                          "status": "filled"} for n in numbers], "next_cursor": cursor}
             for numbers, cursor in (([9, 8], "a"), ([10, 9], "b"), ([7, 6], None))]  # fmt: skip
    found = window.module("/web/js/model/orders.js", """(async () => {
        const asked = [];
        const pages = [...a[0]];
        const history = new m.OrderHistory(async (what) => {
            asked.push(what);
            return pages.shift();
        });
        const orders = new m.Orders();
        orders.put({order_id: '9', status: 'new', event: 'accepted'}, '000');
        orders.put({order_id: '11', status: 'canceled', event: 'canceled'}, '011');
        await history.refresh();
        await history.refresh();
        await history.older();
        await history.older();
        return [history.list(orders).map(o => [o.order_id, o.status]), history.more,
                asked.map(what => [what.sort, what.cursor ?? null])];
    })()""", pages)
    listed, more, asked = found
    assert [number for number, _ in listed] == ["11", "10", "9", "8", "7", "6"]
    assert dict(listed)["9"] == "filled"  # What is newer holds, wherever it comes from.
    assert not more and asked == [["newest", None], ["newest", None], ["newest", "a"]]
