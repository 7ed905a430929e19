"""Figures as people read them, and whether they can: digits, steps, zones, colours and widths."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.page.browser import Browser
from tests.page.firm import Firm
from tests.page.reading import unreadable


def test_levels_are_shown_together_by_steps(page: Browser, bob: Firm) -> None:
    bob.order("sell", "1", "60000")
    bob.order("buy", "1", "59000")
    for price in ("60000.01", "60009.99", "60010.01"):
        bob.order("sell", "0.25", price)
    page.until(lambda: len(page.rows("#asks")) == 4)
    page.click("#book-group option[value='10']")
    # An ask is shown at the step above it, where all of it can be had.
    page.until(lambda: page.rows("#asks") == [
        ["60,020", "0.25000", "1.75000"], ["60,010", "0.50000", "1.50000"],
        ["60,000", "1.00000", "1.00000"],
    ])  # fmt: skip
    assert page.rows("#bids") == [["59,000", "1.00000", "1.00000"]]
    assert page.text("#spread") == "59,500.00 · spread 1,000.00 (1.69 %)"
    # The step stays with its instrument.
    page.click("#symbol option[value='ETH-USD']")
    page.until(lambda: page.text("#ticket-symbol") == "ETH-USD")
    page.until(lambda: page.one("#book-group").get_property("value") == "0.01")
    page.click("#symbol option[value='BTC-USD']")
    page.until(lambda: len(page.rows("#asks")) == 3)
    levels = [{"price": price, "quantity": "1"} for price in ("100.5", "100", "99.9", "99.5", "98")]
    script = "m.grouped(a[0], '1', a[1], 2).map(l => [l.price, l.quantity])"
    assert page.module("/web/js/view/book.js", script, levels, "buy") == [["100", "2"], ["99", "2"]]
    script = "m.grouped(a[0], '1', a[1], 9).map(l => [l.price, l.quantity])"
    assert page.module("/web/js/view/book.js", script, levels[::-1], "sell") == [
        ["98", "1"], ["100", "3"], ["101", "1"],
    ]  # fmt: skip


def test_the_zone_of_times_is_said_and_can_be_changed(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    page.chrome.execute_cdp_cmd(  # type: ignore[no-untyped-call]
        "Emulation.setTimezoneOverride", {"timezoneId": "America/St_Johns"}
    )
    try:
        page.run("localStorage.clear()")
        page.chrome.refresh()
        page.until(lambda: page.text("#zone") in ("UTC−3:30", "UTC−2:30"))
        bob.order("sell", "0.1", "59500")
        alice.order("buy", "0.2", "59500")
        page.sign_in("demo-alice-trade")
        page.until(lambda: page.text("#trades-zone") == page.text("#zone"))
        page.until(lambda: page.rows("#panel-orders tbody"))
        assert page.text("#panel-orders th:first-child") == f"Time ({page.text('#zone')})"
        local = page.rows("#panel-orders tbody")[0][0]
        page.click("#zone")
        page.until(lambda: page.text("#panel-orders th:first-child") == "Time (UTC)")
        page.until(lambda: page.rows("#panel-orders tbody")[0][0] != local)
        assert page.text("#zone") == page.text("#trades-zone") == "UTC"
        page.chrome.refresh()  # It is remembered.
        page.until(lambda: page.text("#zone") == "UTC")
        # With the date where that is not today, in the zone that is shown.
        script = """[m.clock(a[0], Date.parse(a[1])), m.moment(a[0]),
            m.fromField('2026-03-01T10:30')]"""
        times = ("2026-03-01T01:00:00.5Z", "2026-03-01T23:00:00Z")
        found = page.module("/web/js/lib/time.js", script, *times)
        assert found == ["01:00:00", "2026-03-01 01:00:00", "2026-03-01T10:30:00.000Z"]
        script = f"(m.setUtc(false), {script})"
        found = page.module("/web/js/lib/time.js", script, *times)
        day_before = "2026-02-28 21:30:00"
        assert found == [day_before, day_before, "2026-03-01T14:00:00.000Z"]
    finally:
        page.chrome.execute_cdp_cmd(  # type: ignore[no-untyped-call]
            "Emulation.setTimezoneOverride", {"timezoneId": ""}
        )
        page.run("localStorage.clear()")
        page.chrome.refresh()
        page.until(lambda: page.text("#status-text").startswith("Live"))
        page.sign_out()


def test_amounts_have_the_digits_of_their_currency(window: Browser, url: str) -> None:
    window.open(url)
    cases = [
        ("99304721.53753765", "USD", "down", "99,304,721.53"), ("0.09953322", "USD", "up", "0.10"),
        ("30", "USD", "even", "30.00"), ("0.004", "USD", "down", "< 0.01"),
        ("0", "USD", "up", "0.00"),
        ("1234.5", "JPY", "even", "1,235"), ("0.12345678", "BTC", "down", "0.12345678"),
        ("-2.675", "EUR", "even", "-2.68"), ("10", "ETH", "up", "10"),
    ]  # fmt: skip
    found = window.module(
        "/web/js/lib/amounts.js",
        "a[0].map(([value, asset, toward]) => m.amount(value, asset, toward))",
        cases,
    )
    assert found == [shown for *_, shown in cases]
    averages = window.module(
        "/web/js/lib/decimal.js",
        "[['59989.4963255072', 2], ['60000', 2], ['0.05', 5]].map(x => m.showAverage(...x))",
    )
    assert averages == ["59,989.4963", "60,000.00", "0.05000"]


def test_the_price_band_bounds_what_is_found_and_what_is_taken(window: Browser, url: str) -> None:
    """As rules P have it: both ends included, rounded inwards to whole ticks."""
    window.open(url)
    around = "m.bandAround({band: '0.1', tick: '0.01'}, '333.33')"
    band = window.module("/web/js/model/band.js", around)
    assert band == {"low": "300", "high": "366.66"}
    low, high = Decimal("333.33") * Decimal("0.9"), Decimal("333.33") * Decimal("1.1")
    assert low <= Decimal(band["low"]) < low + Decimal("0.01")
    assert high - Decimal("0.01") < Decimal(band["high"]) <= high
    draft = {
        "instrument": {"tick": "0.01", "lot": "0.1", "base": "X", "quote": "USD"},
        "symbol": "X-USD", "side": "buy", "last": "333.33", "band": band, "touch": "340",
        "number": "5", "tif": "ioc", "byMoney": False,
        "levels": [{"price": "340", "quantity": "1"}, {"price": "366.66", "quantity": "1"},
                   {"price": "366.67", "quantity": "9"}],
    }  # fmt: skip
    script = """(found => [found?.filled,
        m.warnings(a[0], found, []).map(w => w.text)])(m.find(a[0]))"""
    filled, said = window.module("/web/js/view/forecast.js", script, {**draft, "type": "market"})
    assert filled == "2" and "Only 2 X is on offer within the price band" in said[0]
    limit = {**draft, "type": "limit", "tif": "gtc", "price": "366.67"}
    _, said = window.module("/web/js/view/forecast.js", script, limit)
    assert "takes 300.00 to 366.66 at this moment: the venue refuses" in said[0]


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "dark"), (390, "light"), (1024, "dark"), (1440, "light")]
)
def test_orders_and_their_dialogs_fit_and_can_be_read(
    page: Browser, alice: Firm, bob: Firm, width: int, scheme: str
) -> None:
    bob.order("sell", "0.1", "59500")
    alice.order("buy", "0.4", "59500")
    page.screen(width, 844, scheme)
    page.sign_in("demo-alice-trade")
    if width < 760:
        page.click(".panes [data-pane=account]")
    else:
        assert page.one("#docs").is_displayed()
    page.until(lambda: page.rows("#panel-orders tbody")[0][8] == "Partially filled")
    page.click("#panel-orders tbody [data-verb=details]")
    page.until(lambda: page.rows("#order-detail tbody"))
    assert unreadable(page, "#order-detail") == []
    page.click("#order-detail form button")
    page.click("#panel-orders tbody [data-verb=edit]")
    page.until(lambda: page.one("#order-edit").is_displayed())
    assert unreadable(page, "#order-edit") == []
    page.click("#order-edit .answers button")
    assert unreadable(page, "#panel-orders") == []
    if width < 760:
        page.click(".panes [data-pane=trade]")
    page.click("#ticket [name=type] option[value=stop_limit]")
    page.click("#ticket [name=tif] option[value=gtd]")
    page.run("document.querySelector('#ticket-options').open = true")
    assert unreadable(page, "body") == []
    page.run("localStorage.clear()")
    page.sign_out()
