"""What axe-core finds against WCAG A and AA, in the states of the page that a person comes through.

axe-core (MPL-2.0) is a tool of the tests alone: ``.ci/run`` installs it by npm.
"""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.firm import Firm
from tests.support.processes import ROOT

AXE = ROOT / "build" / "node" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
pytestmark = pytest.mark.skipif(
    not AXE.exists(),
    reason="axe-core is not installed (npm install --prefix build/node axe-core@4)",
)
PANELS = (
    "orders", "fills", "balances", "transfers", "deposits", "internal", "addresses", "keys",
    "sessions", "fix",
)  # fmt: skip


def violations(page: Browser, part: str = "html", only: str = "") -> list[Any]:
    """Rule, element and what is wrong of everything that axe finds in a part as it is now."""
    page.run("if (!window.axe) { " + AXE.read_text(encoding="utf-8") + " }")
    found = page.chrome.execute_async_script(  # type: ignore[no-untyped-call]
        """const done = arguments[arguments.length - 1];
        const options = {runOnly: arguments[1] || arguments[2], resultTypes: ['violations']};
        axe.run(arguments[0], options).then(
            result => done({rules: result.passes.length, wrong: result.violations.flatMap(
                one => one.nodes.map(node => [one.id, node.html.slice(0, 160),
                    node.failureSummary]))}),
            error => done({error: String(error)}))""",
        part, only, TAGS,
    )  # fmt: skip
    assert "error" not in found, found
    # Had it looked at nothing, it would have found nothing.
    assert found["rules"] > (0 if only else 5), found
    return list(found["wrong"])


def test_every_part_of_the_page(page: Browser, alice: Firm, bob: Firm) -> None:
    for side, price in (("buy", "59000"), ("buy", "59100"), ("sell", "60000")):
        alice.order(side, "0.5", price)
    bob.order("buy", "0.1", "60000")
    assert violations(page) == []
    page.click("#sign")
    page.until(lambda: page.one("#signin").is_displayed())
    assert violations(page, "#signin") == []
    page.click("[data-key='demo-alice-keys']")
    page.until(lambda: page.text("#sign") == "Sign out")
    page.until(lambda: not page.one("#signin").is_displayed())
    page.until(lambda: page.rows("#panel-orders tbody"))
    for panel in PANELS:
        page.click(f"#tab-{panel}")
        page.until(lambda panel=panel: page.one(f"#panel-{panel}").is_displayed())  # type: ignore[misc]
        assert violations(page, f"#panel-{panel}") == [], panel
    page.screen(1440, 900, "dark")
    assert violations(page, only="color-contrast") == []
    page.screen(390, 844)
    for pane in ("chart", "book", "trade", "account"):
        page.click(f".panes [data-pane={pane}]")
        assert violations(page, "main") == [], pane
    page.press("?")
    page.until(lambda: page.one("#help").is_displayed())
    assert violations(page, "#help") == []
    page.one("body").send_keys(Keys.ESCAPE)
    page.sign_out()


@pytest.mark.parametrize("path", ["/nothing", "/docs/files"])
def test_pages_without_a_venue_behind_them(window: Browser, url: str, path: str) -> None:
    window.screen(1440, 900)
    window.chrome.get(f"{url}{path}")
    assert violations(window) == []
    window.complaints()
