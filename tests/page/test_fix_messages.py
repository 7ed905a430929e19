"""The messages of a firm's FIX session, on the page."""

from __future__ import annotations

from tandem.demo.venue import TemporaryVenue
from tests.fix.rawfix import RawFix
from tests.page.browser import Browser
from tests.page.firm import Firm


def test_messages_are_shown_decoded_filtered_and_followed(
    page: Browser, venue: TemporaryVenue, alice: Firm
) -> None:
    client = RawFix((venue.settings.fix.host, venue.settings.fix.port), "ALICE")
    client.logon(reset=True)
    client.order("page-1", price="10")
    assert client.expect("8")["150"] == "0"
    page.sign_in("demo-alice-trade")
    page.click("#tab-fix")
    page.until(lambda: "NewOrderSingle(D) page-1 buy" in page.text("#panel-fix .messages"))
    assert "ExecutionReport(8) page-1 new buy" in page.text("#panel-fix .messages")
    page.click("#panel-fix details summary")
    assert "ClOrdID(11)" in page.text("#panel-fix details[open]")
    page.type("#fix-messages [name=type]", "D")
    page.click("#fix-messages [type=submit]")
    page.until(lambda: "ExecutionReport" not in page.text("#panel-fix .messages"))
    page.click("#fix-messages [name=follow]")
    client.order("page-2", price="10")
    page.until(lambda: "page-2" in page.text("#panel-fix .messages"))
    text = page.text("#panel-fix")
    assert "alice-demo" not in text
    assert client.expect("8")["11"] == "page-2"
    client.logout()
    page.sign_out()
    page.until(lambda: page.text("#panel-fix .messages") == "")
