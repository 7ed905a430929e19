"""The price chart and the depth chart: zoomed, moved and read, by mouse and by keyboard."""

from __future__ import annotations

import time
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.firm import Firm


def pixels(page: Browser, selector: str) -> set[str]:
    """The colours that are drawn on the canvases within an element."""
    script = """const found = new Set();
        for (const canvas of document.querySelectorAll(arguments[0])) {
            const {width, height} = canvas;
            if (!width || !height) continue;
            const copy = Object.assign(document.createElement('canvas'), {width, height});
            const context = copy.getContext('2d', {willReadFrequently: true});
            context.drawImage(canvas, 0, 0);
            const {data} = context.getImageData(0, 0, width, height);
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] === 255) found.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
        }
        return [...found]"""
    return set(page.run(script, selector))


def colour(page: Browser, name: str) -> str:
    script = """const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = `var(--${arguments[0]})`;
        const found = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).join();
        probe.remove();
        return found"""
    return str(page.run(script, name))


def test_candles_are_drawn_live_in_both_themes_and_on_a_phone(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    bob.order("sell", "2", "61000")
    alice.order("buy", "0.25", "61000")
    page.until(lambda: "last price 61000" in page.one("#chart").get_attribute("aria-label"))
    for scheme, width in (("light", 1440), ("dark", 1440), ("light", 390)):
        page.screen(width, 900, scheme)
        if width < 760:
            page.click(".panes [data-pane=chart]")
        wanted = {colour(page, "accent"), colour(page, "muted")}
        page.until(lambda wanted=wanted: wanted <= pixels(page, "#chart canvas"))  # type: ignore[misc]
        assert not page.one("#chart-empty").is_displayed()
    # The attribution that the library asks for, and the zone of the times.
    assert page.text(".credit a") == "Charts by TradingView"
    page.until(lambda: page.text("#chart-zone").startswith("UTC"))
    page.screen(1440, 900)
    page.one("#chart").send_keys(Keys.ARROW_LEFT)
    page.until(lambda: " C 61,000.00  V " in page.text("#chart-read"))
    for _ in range(3):  # What is read out is live too; a trade of the next minute has its own.
        before, minute = page.text("#chart-read"), time.time() // 60
        alice.order("buy", "0.2", "61000")
        page.until(  # type: ignore[misc]
            lambda before=before, minute=minute: page.text("#chart-read") != before
            or time.time() // 60 > minute
        )
        if page.text("#chart-read") != before:
            break
        page.one("#chart").send_keys(Keys.ARROW_RIGHT)
    else:
        pytest.fail("what is read out does not change with a trade")
    page.one("#chart").send_keys(Keys.HOME, "+", "+", "-")
    page.click("#intervals label:nth-child(6)")
    page.until(lambda: "candles of 1d" in page.one("#chart").get_attribute("aria-label"))
    page.until(lambda: page.text("#chart-zone") == "days in UTC")
    page.one("#chart").send_keys(Keys.ARROW_LEFT)
    page.until(lambda: page.text("#chart-read")[10:].startswith("  O "))
    page.click("#intervals label:nth-child(1)")


def test_older_candles_come_when_the_view_comes_near_them(page: Browser) -> None:
    """The view asks the model; the model asks for what ends where the oldest begins."""
    model: Any = page.module(
        "/web/js/model/candles.js",
        """(() => {
            const one = new m.Candles("1m");
            const row = (minute) => ({start: `2030-01-01T00:${minute}:00Z`, open: "1", high: "1",
                low: "1", close: "1", volume: "1", quote_volume: "1", trades: 1});
            one.load([row("30"), row("31")], 7);
            one.prepend([row("10"), row("29")]);
            one.trade({seq: 8, trade_id: 1, time: "2030-01-01T00:31:09Z", price: "2",
                quantity: "3"});
            return one.list.map(candle => [new Date(candle.time).getUTCMinutes(), candle.high,
                candle.volume]);
        })()""",
    )
    assert model == [[10, "1", "1"], [29, "1", "1"], [30, "1", "1"], [31, "2", "4"]]


def test_the_depth_chart_is_zoomed_and_read_by_keys(page: Browser, alice: Firm, bob: Firm) -> None:
    for step in range(8):
        alice.order("buy", "1", str(59990 - 10 * step))
        bob.order("sell", "2", str(60010 + 10 * step))
    alice.order("buy", "2", "100")
    page.until(lambda: "10 wanted" in page.one("#depth").get_attribute("aria-label")
               or "8 wanted" in page.one("#depth").get_attribute("aria-label"))  # fmt: skip
    page.until(lambda: "16 offered" in page.one("#depth").get_attribute("aria-label"))
    page.one("#depth").send_keys(*[Keys.ARROW_RIGHT] * 8)
    page.until(lambda: "BTC offered up to 60," in page.text("#depth-read"))
    for _ in range(4):
        page.click("#depth-in")
    page.until(lambda: "16 offered" not in page.one("#depth").get_attribute("aria-label"))
    page.one("#depth").send_keys(Keys.HOME)
    page.until(lambda: "16 offered" in page.one("#depth").get_attribute("aria-label"))
    # Out again, the far order can be seen.
    for _ in range(16):
        page.click("#depth-out")
    page.until(lambda: "10 wanted" in page.one("#depth").get_attribute("aria-label"))
    assert page.module("/web/js/view/canvas.js", "m.ticks(0.05, 0.0501, 4)") == [
        pytest.approx(0.05), pytest.approx(0.05005), pytest.approx(0.0501),
    ]  # fmt: skip
