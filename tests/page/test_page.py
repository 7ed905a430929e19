"""The page at / in a real browser: whoever looks at it sees the venue, and can trade."""

from __future__ import annotations

import os
import random
import signal
from decimal import Decimal, localcontext

import pytest
from selenium.webdriver.common.keys import Keys

from tandem.demo.venue import TemporaryVenue
from tests.page.browser import Browser
from tests.page.firm import Firm


def first_row(page: Browser, panel: str) -> list[str]:
    rows = page.rows(f"#panel-{panel} tbody")
    return rows[0] if rows else []


def test_whoever_never_read_the_docs_can_trade_and_find_it(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    bob.order("sell", "2", "60000")
    before = Decimal(alice.balance("BTC"))
    page.until(lambda: "60,000.00" in page.text("#asks"))
    # The one large button says what to do; the price is filled in already.
    page.click("#go")
    page.click("[data-key='demo-alice-trade']")
    page.until(lambda: page.text("#who") == "alice")
    assert page.one("[name=price]").get_property("value") == "60000"
    page.type("[name=quantity]", "0.5")
    page.until(lambda: page.text("#go") == "Buy 0.5 BTC")
    page.until(lambda: page.text("#sum-value") == "30,000.00 USD")
    page.until(lambda: page.text("#sum-fee") == "30.00 USD")
    page.click("#go")
    page.until(lambda: "Bought 0.5 BTC at 60,000.00 USD" in page.text("#toasts"))
    # Fills of other tests may be there before this one.
    page.until(lambda: first_row(page, "fills")[1:8] == [
        "BTC-USD", "Buy", "0.50000", "60,000.00", "30,000.00 USD", "30.00 USD", "taker",
    ])  # fmt: skip
    row = first_row(page, "fills")
    assert page.one("#panel-fills").is_displayed()
    page.until(lambda: ["60,000.00", "0.50000"] in [
        [cells[0].lstrip("▲▼ "), cells[1]] for cells in page.rows("#trades")
    ])  # fmt: skip
    order = alice.call("GET", f"/v1/orders/client:{row[8]}")
    assert order["manual"] and order["status"] == "filled"
    assert Decimal(alice.balance("BTC")) - before == Decimal("0.5")
    page.sign_out()


def test_book_orders_and_balances_change_without_being_asked(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    page.sign_in("demo-alice-trade")
    page.until(lambda: page.text("#panel-orders .empty").startswith("No open orders") or
               first_row(page, "orders"))  # fmt: skip
    automated = alice.order("buy", "1.5", "50000.5")
    row = page.until(lambda: [r for r in page.rows("#panel-orders tbody") if r[4] == "50,000.50"])
    assert row[0][2:9] == [
        "Buy", "Limit, GTC", "50,000.50", "1.50000", "0.00000", "–", "New",
    ]  # fmt: skip
    page.until(lambda: page.rows("#bids")[:1] == [["50,000.50", "1.50000", "1.50000"]])
    assert page.run("return document.querySelector('#bids tr').classList.contains('own')")
    page.click("#tab-balances")
    held = {cells[0]: cells[2] for cells in page.rows("#panel-balances tbody")}
    assert held["USD"] == "75,075.75075"
    bob.order("sell", "0.5", "50000.5")
    page.until(lambda: page.text("#count-fills"))
    page.click("#tab-fills")
    page.until(lambda: first_row(page, "fills")[3:8:4] == ["0.50000", "maker"])
    assert first_row(page, "fills")[4] == "50,000.50"
    page.until(lambda: page.rows("#bids")[:1] == [["50,000.50", "1.00000", "1.00000"]])
    page.click("#tab-orders")
    page.until(lambda: first_row(page, "orders")[6:9] == [
        "0.50000", "50,000.50", "Partially filled",
    ])
    alice.call("DELETE", f"/v1/orders/{automated['order_id']}")
    page.until(lambda: page.rows("#bids") == [])
    page.until(lambda: first_row(page, "orders")[8] == "Canceled: on request")
    page.sign_out()


def test_a_withdrawal_is_followed_until_it_is_done(page: Browser, alice: Firm) -> None:
    page.sign_in("demo-alice-trade")
    page.click("#tab-transfers")
    alice.call("POST", "/v1/withdrawals", {
        "client_withdrawal_id": "seen-on-the-page", "asset": "BTC", "network": "bitcoin",
        "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "amount": "0.25",
    }, purpose="withdraw")  # fmt: skip
    page.until(lambda: first_row(page, "transfers")[1:4] == [
        "withdrawal", "0.25 BTC", "0.0002 BTC",
    ])  # fmt: skip
    page.until(lambda: first_row(page, "transfers")[4] == "completed")
    page.click("#tab-balances")
    before = alice.balance("ETH")
    page.click("[data-asset='ETH']")
    page.until(lambda: "10 ETH are yours." in page.text("#toasts"))
    page.until(lambda: ["ETH", f"{Decimal(before) + 10:,}"] in [
        cells[:2] for cells in page.rows("#panel-balances tbody")
    ])  # fmt: skip
    page.sign_out()


def test_a_withdrawal_is_asked_for_by_one_and_approved_by_another(
    page: Browser, alice: Firm
) -> None:
    page.sign_in("demo-alice-withdraw")
    page.click("#tab-transfers")
    page.until(lambda: "BTC over bitcoin" in page.text("#withdraw select"))
    assert "At least" in page.text("#withdraw-hint")
    page.type("[name=address]", "nowhere")
    page.type("[name=amount]", "20")
    page.click("#withdraw-go")
    page.confirm("nowhere")
    page.until(lambda: "address" in page.text("#withdraw-error").lower())
    assert all("422" in line for line in page.complaints())
    page.type("[name=address]", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
    page.click("#withdraw-go")
    page.confirm("Withdraw 20 BTC?", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "20.0002 BTC")
    page.until(lambda: "20 BTC waits for somebody else's approval." in page.text("#toasts"))
    page.until(lambda: first_row(page, "transfers")[2:5:2] == ["20 BTC", "pending approval"])
    # Who asked may take it back, and not approve it.
    assert first_row(page, "transfers")[6] == "Cancel"
    page.type("[name=amount]", "21")
    page.click("#withdraw-go")
    page.confirm()
    page.until(lambda: first_row(page, "transfers")[2] == "21 BTC")
    page.click("#panel-transfers tbody tr [data-verb=cancel]")
    page.confirm("Cancel the withdrawal of 21 BTC?")
    page.until(lambda: first_row(page, "transfers")[4] == "canceled")
    page.sign_out()
    page.sign_in("demo-alice-approve")
    page.click("#tab-transfers")
    assert not page.one("#withdraw").is_displayed()
    page.until(lambda: page.rows("#panel-transfers tbody")[1][6] == "ApproveReject")
    page.click("#panel-transfers tbody [data-verb=approve]")
    page.confirm("Approve the withdrawal of 20 BTC?", "Once it is approved the venue sends it.")
    page.until(lambda: "The withdrawal of 20 BTC is approved." in page.text("#toasts"))
    page.until(lambda: page.rows("#panel-transfers tbody")[1][4] == "completed")
    assert page.rows("#panel-transfers tbody")[1][6] == ""
    page.sign_out()


def test_rates_and_latencies_of_the_engine_are_shown(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    page.click("#tab-sessions")
    page.until(lambda: page.text("#venue-open") == "0")

    def busy() -> bool:
        bob.order("sell", "0.1", "95000")
        alice.order("buy", "0.1", "95000")
        return page.text("#venue-trades") not in ("–", "0.0/s")

    page.until(busy)
    assert page.text("#venue-orders").endswith("/s") and page.text("#venue-orders") != "0.0/s"
    page.until(lambda: "ms, 99 % within" in page.text("#venue-commit"))
    page.until(lambda: page.text("#venue-trip").endswith(" ms"))
    assert page.text("#venue-transactions") != "0.0/s"
    sums = page.module("/web/js/model/figures.js", "m.figuresOf(a[0])", [
        {"at_ms": 1000, "transactions": 10, "orders": 4, "trades": 1, "commits": 10,
         "commit_us": 9000, "commit_buckets": [[500, 2], [1000, 8], [5000, 0]],
         "open_orders": 1, "seq": 10},
        {"at_ms": 3000, "transactions": 50, "orders": 8, "trades": 1, "commits": 30,
         "commit_us": 29000, "commit_buckets": [[500, 12], [1000, 17], [5000, 1]],
         "open_orders": 3, "seq": 50},
    ])  # fmt: skip
    assert (sums["transactions"], sums["orders"], sums["trades"]) == (20, 2, 0)
    assert (sums["commitMs"], sums["commit99Ms"], sums["openOrders"]) == (1, 5, 3)


def test_everything_works_with_the_keyboard(page: Browser, alice: Firm) -> None:
    page.press("?")
    assert page.one("#help").is_displayed()
    page.one("#help").send_keys(Keys.ESCAPE)
    page.press("i")
    page.until(lambda: page.one("#signin").is_displayed())
    page.one("[data-key='demo-alice-trade']").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#who") == "alice")
    page.press("s")
    assert page.run("return document.activeElement.name") in ("price", "quantity")
    page.type("[name=price]", "700000")
    page.type("[name=quantity]", "0.1")
    page.one("[name=quantity]").send_keys(Keys.ENTER)
    page.until(lambda: "0.1 BTC waits in the book" in page.text("#toasts"))
    assert alice.call("GET", "/v1/orders")["orders"][0]["side"] == "sell"
    page.type("[name=price]", "710000")
    page.type("[name=quantity]", "0.2X")
    page.one("[name=quantity]").send_keys(Keys.ENTER)
    # A letter in a field is a letter, and no key.
    assert len(alice.call("GET", "/v1/orders")["orders"]) == 1
    page.press("X")
    # The question begins at its harmless answer.
    page.until(lambda: page.run("return document.activeElement.id") == "confirm-back")
    assert "Cancel your open order?" in page.text("#confirm")
    page.one("#confirm-back").send_keys(Keys.TAB, Keys.ENTER)
    page.until(lambda: "1 order is canceled." in page.text("#toasts"))
    assert alice.call("GET", "/v1/orders")["orders"] == []
    page.press("3")
    assert page.one("#panel-balances").is_displayed()
    page.one("#tab-balances").send_keys(Keys.ARROW_RIGHT)
    assert page.one("#panel-transfers").is_displayed()
    page.sign_out()


def test_one_order_is_canceled_by_its_button_and_a_price_taken_from_the_book(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    page.sign_in("demo-alice-trade")
    bob.order("buy", "1", "49000")
    alice.order("sell", "1", "52000")
    page.until(lambda: first_row(page, "orders")[4:5] == ["52,000.00"])
    page.click("#panel-orders tbody [data-verb=cancel]")
    page.until(lambda: first_row(page, "orders")[8] == "Canceled: on request")
    page.until(lambda: page.rows("#asks") == [])
    page.click("#bids tr button")
    assert page.run("return document.querySelector('#ticket').elements.side.value") == "sell"
    assert page.one("[name=price]").get_property("value") == "49000"
    page.click("[data-part='1']")
    share = Decimal(alice.balance("BTC")) / 100
    assert Decimal(page.one("[name=quantity]").get_property("value")) <= share
    page.sign_out()


@pytest.mark.parametrize(
    ("price", "quantity", "where", "said"),
    [
        ("60000", "", "quantity", "Enter a quantity."),
        ("60000", "0.000001", "quantity", "multiple of 0.00001"),
        ("60000", "1e3", "quantity", "in digits with at most one point"),
        ("60000", "10000.00001", "quantity", "at most 10,000"),
        ("60000.005", "1", "price", "multiple of 0.01"),
        ("60,000", "1", "price", "in digits with at most one point"),
        ("0", "1", "price", "more than zero"),
        ("60000", "9000", "ticket", "available"),
    ],
)
def test_what_cannot_be_sent_is_said_where_it_is_wrong(
    window: Browser, url: str, price: str, quantity: str, where: str, said: str
) -> None:
    """The last one is the venue's own sentence."""
    if not window.chrome.current_url.startswith(f"{url}/") or window.text("#who") != "alice":
        window.open(url)
        window.sign_in("demo-alice-trade")
    window.type("[name=price]", price)
    window.type("[name=quantity]", quantity or Keys.DELETE)
    window.click("#go")
    window.until(lambda: said in window.text(f"#{where}-error"))
    if where != "ticket":
        assert window.one(f"[name={where}]").get_attribute("aria-invalid") == "true"
        assert window.run("return document.activeElement.name") == where


def test_a_lost_stream_comes_back_signed_in_and_misses_nothing(
    page: Browser, venue: TemporaryVenue, alice: Firm, bob: Firm
) -> None:
    page.sign_in("demo-alice-trade")
    alice.order("buy", "1", "41000")
    page.until(lambda: first_row(page, "orders")[4:5] == ["41,000.00"])
    os.kill(venue.pids["stream"], signal.SIGKILL)
    page.until(lambda: page.text("#status-text").startswith("Connection lost"))
    alice.order("buy", "1", "42000")
    bob.order("sell", "0.25", "42000")
    page.until(lambda: page.text("#status-text").startswith("Live"))
    page.until(lambda: first_row(page, "orders")[4:9] == [
        "42,000.00", "1.00000", "0.25000", "42,000.00", "Partially filled",
    ])  # fmt: skip
    page.until(lambda: page.rows("#bids") == [
        ["42,000.00", "0.75000", "0.75000"], ["41,000.00", "1.00000", "1.75000"],
    ])  # fmt: skip
    assert page.text("#who") == "alice"
    page.until(lambda: ["0.25000", "42,000.00"] in [
        cells[3:5] for cells in page.rows("#panel-fills tbody")
    ])  # fmt: skip
    page.sign_out()
    # The browser tells of the connections that it could not make, and of nothing else.
    assert all("WebSocket connection to" in line for line in page.complaints())


def test_a_wrong_secret_is_refused_and_nothing_is_kept(page: Browser) -> None:
    page.click("#sign")
    page.click("#own-part summary")
    page.type("[name=key]", "demo-alice-trade")
    page.type("[name=secret]", "not-the-secret")
    page.one("[name=secret]").send_keys(Keys.ENTER)
    page.until(lambda: "the secret is wrong" in page.text("#signin-error"))
    page.type("[name=secret]", "demo-alice-trade-secret")
    page.one("[name=secret]").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#who") == "alice")
    kept = page.run(
        "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert "secret" not in kept and "alice" not in kept
    assert page.run("return document.querySelector('[name=secret]').value") == ""
    page.sign_out()
    assert page.text("#panel-balances .empty") == "Sign in to see your balances."
    page.click("#sign")
    page.type("[name=key]", Keys.DELETE)
    page.type("[name=secret]", "demo-alice-read")
    page.one("[name=secret]").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#go") == "This key may not trade")
    page.until(lambda: page.rows("#panel-balances tbody"))
    page.sign_out()


def test_an_operator_sees_sessions_and_halts_trading(page: Browser, alice: Firm) -> None:
    page.sign_in("demo-operator")
    page.until(lambda: "BTC-USD is trading" in page.text("#panel-sessions .operator"))
    rows = page.until(lambda: page.rows("#panel-sessions tbody"))
    assert {row[0] for row in rows} >= {"fix:ALICE", "fix:BOB"}
    assert rows[0][2] == "not connected"
    page.click("#panel-sessions .operator button")
    page.confirm("Halt BTC-USD?", "For everybody, at once")
    page.until(lambda: page.text("#status-text").startswith("Halted"))
    assert page.text("#book-note") == "halted: cancels only"
    page.click("#panel-sessions .operator button")
    page.confirm("Resume BTC-USD?")
    page.until(lambda: page.text("#status-text").startswith("Live"))
    page.sign_out()


def test_every_part_fits_every_screen(page: Browser) -> None:
    script = """const wide = document.documentElement.scrollWidth - innerWidth;
        return [wide, [...document.querySelectorAll('.desk > .card')]
            .filter(card => card.offsetParent && card.clientHeight > 100
                && card.getBoundingClientRect().right <= innerWidth + 1)
            .map(card => card.className.split(' ')[1])]"""
    for width in (320, 390, 768, 1000, 1280, 1920):
        page.screen(width, 800)
        seen = set()
        for pane in ["chart", "book", "trade", "account"] if width < 760 else [""]:
            if pane:
                page.click(f".panes [data-pane='{pane}']")
            too_wide, cards = page.run(script)
            assert too_wide <= 0, (width, pane, too_wide)
            seen.update(cards)
        assert seen == {"chart", "depth", "book", "trades", "ticket", "account"}, width


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_can_be_read(page: Browser, scheme: str, bob: Firm) -> None:
    """Contrast of at least 4.5 to 1, as WCAG AA asks, for what carries meaning."""
    page.screen(1440, 900, scheme)
    bob.order("buy", "1", "30000")
    bob.order("sell", "1", "90000")
    page.until(lambda: page.rows("#bids") and page.rows("#asks"))
    script = """const shown = element => {
        const text = getComputedStyle(element).color;
        while (element && getComputedStyle(element).backgroundColor === 'rgba(0, 0, 0, 0)')
            element = element.parentElement;
        return [text, getComputedStyle(element).backgroundColor];
    };
    return arguments[0].map(selector => [selector, ...shown(document.querySelector(selector))])"""
    selectors = [
        "#bids button", "#asks button", "#spread", "#go", ".sides input:checked + span", "#sign",
        ".field", "#status", ".tabs [aria-selected=true]", ".tabs [aria-selected=false]",
        ".empty", "th",
    ]  # fmt: skip
    for selector, text, ground in page.run(script, selectors):
        one, other = sorted((luminance(text), luminance(ground)))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (selector, text, ground)
    dark = luminance(page.run("return getComputedStyle(document.body).backgroundColor")) < 0.2
    assert dark == (scheme == "dark")
    page.press("t")
    turned = luminance(page.run("return getComputedStyle(document.body).backgroundColor")) < 0.2
    assert turned != dark
    page.run("localStorage.clear()")


def test_every_element_that_can_be_used_has_a_name(page: Browser) -> None:
    script = """return [...document.querySelectorAll('button, input, select, [role=img], dialog')]
        .filter(e => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
            || e.innerText?.trim() || e.labels?.length || e.title || e.textContent.trim()))
        .map(e => e.outerHTML)"""
    assert page.run(script) == []
    assert page.run("return new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
                    " === document.querySelectorAll('[id]').length")  # fmt: skip


def test_it_loads_nothing_from_elsewhere_and_runs_no_script_of_others(
    window: Browser, url: str
) -> None:
    window.open(url)
    window.complaints()
    loaded = window.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert len(loaded) > 15 and all(name.startswith(f"{url}/") for name in loaded)
    window.run("""const script = document.createElement('script');
        script.textContent = 'window.stranger = true';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<i style="color:red" id="styled">x</i>');""")
    assert window.run("return window.stranger") is None
    styled = "return getComputedStyle(document.querySelector('#styled')).color"
    assert window.run(styled) != "rgb(255, 0, 0)"
    assert any("Content Security Policy" in line for line in window.complaints())


def test_an_order_far_away_does_not_flatten_the_depth_chart(window: Browser, url: str) -> None:
    window.open(url)

    def reach(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> float:
        book = {side: {"levels": [{"price": price, "quantity": quantity}
                                  for price, quantity in levels]}
                for side, levels in (("bids", bids), ("asks", asks))}  # fmt: skip
        return float(window.module("/web/js/view/depth.js", "m.span(a[0], 60000)", book))

    bids = [(str(59990 - 10 * n), "1") for n in range(20)]
    asks = [(str(60010 + 10 * n), "1") for n in range(20)]
    usual = reach(bids, asks)
    assert 150 <= usual <= 200
    assert reach([*bids, ("100", "2")], asks) <= 3 * usual
    assert reach([("100", "2")], asks) <= 3 * usual
    assert reach(bids, []) == usual and reach([], []) == 0


def test_money_is_computed_exactly(window: Browser, url: str) -> None:
    """The page's decimals against Python's, where floats would be wrong."""
    window.open(url)
    draw = random.Random(8)

    def number() -> str:
        digits = str(draw.randrange(10 ** draw.randint(1, 18)))
        places = draw.randint(0, 8)
        return f"{digits}.{draw.randrange(10**places):0{places}}" if places else digits

    pairs = [(number(), number()) for _ in range(300)]
    pairs += [("0.1", "0.2"), ("100000000", "0.00000001")]
    found = window.module(
        "/web/js/lib/decimal.js",
        "a[0].map(([x, y]) => [m.add(x, y), m.subtract(x, y), m.multiply(x, y), m.compare(x, y),"
        " m.show(x), m.round(x, 2, 'up'), m.isMultiple(x, '0.01')])",
        pairs,
    )
    with localcontext(prec=80):
        for (one, other), (total, rest, product, order, shown, up, whole) in zip(
            pairs, found, strict=True
        ):
            x, y = Decimal(one), Decimal(other)
            assert [Decimal(total), Decimal(rest)] == [x + y, x - y]
            assert Decimal(product) == x * y
            assert order == (x > y) - (x < y)
            assert shown.replace(",", "") == one and ",," not in shown
            assert x <= Decimal(up) < x + Decimal("0.01") and Decimal(up).as_tuple().exponent >= -8
            assert whole == (x % Decimal("0.01") == 0)
