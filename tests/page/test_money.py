"""The account as a treasurer sees it: addresses, withdrawals, transfers, keys, values, files."""

from __future__ import annotations

import re
import time
from decimal import ROUND_DOWN, Decimal

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.firm import Firm
from tests.page.pictures import scanned
from tests.support import pace
from tests.support.signing import signed_headers

ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
DESK = "alice:desk"


def rows(page: Browser, panel: str) -> list[list[str]]:
    return page.rows(f"#panel-{panel} tbody")


def value(page: Browser, selector: str) -> str:
    return str(page.one(selector).get_property("value"))


def test_addresses_and_a_withdrawal_of_all_there_is(page: Browser, alice: Firm) -> None:
    page.sign_in("demo-alice-keys")
    page.click("#tab-deposits")
    page.until(lambda: page.text("#deposit select").startswith("BTC over bitcoin"))
    page.click("#deposit [type=submit]")
    card = page.until(lambda: page.text("#deposit-addresses .address"))
    given = alice.call("GET", "/v1/deposit-addresses", purpose="address")["deposit_addresses"]
    assert given[0]["address"] in card and "Credited after 2 confirmations." in card
    assert page.one("#deposit-addresses button").get_attribute("aria-label") == (
        "Copy the address for BTC"
    )
    assert page.one("#deposit-addresses .qr").get_attribute("aria-label") == (
        "QR code of the address for BTC"
    )
    for scheme in ("light", "dark"):
        page.screen(1440, 900, scheme)
        page.run("document.querySelector('#deposit-addresses .qr').scrollIntoView()")
        assert scanned(page.one("#deposit-addresses .qr")) == [given[0]["address"]]
    page.screen(1440, 900)
    page.click("#tab-addresses")
    page.click("#address-part summary")
    page.type("#address [name=address]", ADDRESS)
    page.type("#address [name=label]", "cold store")
    page.click("#address [type=submit]")
    page.confirm("Add an address for BTC?", ADDRESS)
    page.until(lambda: [row[:3] for row in rows(page, "addresses")] == [
        ["cold store", "BTC over bitcoin", ADDRESS],
    ])  # fmt: skip
    page.click("#tab-transfers")
    # The book is offered, the balance stands beside the amount, and Max leaves room for the fee.
    page.until(lambda: value(page, "#withdraw-book option") == ADDRESS)
    available = Decimal(alice.balance("BTC"))
    page.until(lambda: page.text("#withdraw-available") == f"of {available:,}")
    page.click("#withdraw-max")
    most = Decimal(value(page, "#withdraw [name=amount]"))
    assert most == available - Decimal("0.0002")
    page.type("#withdraw [name=address]", ADDRESS)
    page.type("#withdraw [name=amount]", str(available))
    page.click("#withdraw-go")
    page.until(lambda: "With the fee it would take" in page.text("#withdraw-error"))
    page.click("#withdraw-max")
    page.click("#withdraw-go")
    asked = page.until(lambda: page.text("#confirm") if page.one("#confirm").is_displayed() else "")
    assert "cold store" in asked and f"{available:,} BTC" in asked
    page.click("#confirm-back")
    page.click("#tab-addresses")
    page.click("#panel-addresses tbody button")
    page.confirm("Remove cold store from the book?")
    page.until(lambda: rows(page, "addresses") == [])
    page.sign_out()


def test_a_transfer_and_another_account_of_the_firm(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    page.sign_in("demo-alice-keys")
    page.click("#tab-internal")
    page.until(lambda: page.text("#transfer [name=to]") == DESK)
    page.run("document.querySelector('#transfer [name=asset]').value = 'USD'")
    page.type("#transfer [name=amount]", "1000")
    page.click("#transfer [type=submit]")
    page.confirm("Transfer 1,000 USD?", DESK)
    page.until(lambda: [row[1:3] for row in rows(page, "internal")][:1] == [
        ["\u22121,000 USD", f"to {DESK}"],
    ])  # fmt: skip
    page.run("""const list = document.querySelector('#account');
        list.value = arguments[0]; list.dispatchEvent(new Event('change'))""", DESK)
    page.until(lambda: page.text("#who").startswith(DESK))
    page.until(lambda: [row[1:3] for row in rows(page, "internal")][:1] == [
        ["1,000 USD", "from alice"],
    ])  # fmt: skip
    page.type("[name=price]", "20000")
    page.type("[name=quantity]", "0.01")
    page.until(lambda: page.text("#sum-available").replace(".00", "") == "1,000 USD")
    page.click("#go")
    page.until(lambda: "0.01 BTC waits in the book" in page.text("#toasts"))
    found = alice.call("GET", f"/v1/orders?account={DESK}")["orders"]
    assert [row["price"] for row in found] == ["20000"]
    assert alice.call("GET", "/v1/orders")["orders"] == []
    # A reload stays with the account, and its order is canceled there.
    page.chrome.refresh()
    page.until(lambda: page.text("#who").startswith(DESK))
    page.click("#tab-orders")
    page.until(lambda: "20,000.00" in page.text("#panel-orders tbody"))
    alice.call("DELETE", f"/v1/orders?account={DESK}")
    page.until(lambda: "canceled" in page.text("#panel-orders tbody").lower())
    page.run("""const list = document.querySelector('#account');
        list.value = 'alice'; list.dispatchEvent(new Event('change'))""")
    page.until(lambda: page.text("#who") == "alice, administrator")
    page.until(lambda: "20,000.00" not in page.text("#panel-orders tbody"))
    page.sign_out()


def call(url: str, key: str, secret: str) -> int:
    """What the venue answers somebody with this key."""
    target = "/v1/balances"
    now = time.time_ns() // 1_000_000
    headers = signed_headers(key, now, "GET", target, secret=secret.encode())
    return requests.get(url + target, headers=headers, timeout=pace.seconds(10)).status_code


def test_a_key_is_made_approved_used_and_revoked(page: Browser, url: str) -> None:
    page.sign_in("demo-alice-trade")
    page.click("#tab-keys")
    page.until(lambda: "Sign in as alice's administrator to make or revoke keys."
               in page.text("#keys-needs"))  # fmt: skip
    page.click("#tab-transfers")
    page.until(lambda: "Sign in as alice's treasurer to withdraw." in page.text("#withdraw-needs"))
    page.sign_out()
    page.sign_in("demo-alice-keys")
    page.click("#tab-keys")
    page.click("#new-key-part summary")
    page.type("#new-key [name=name]", "payer")
    page.until(lambda: page.one("#new-key [value=withdraw]").is_enabled())
    assert not page.one("#new-key [value=approve]").is_enabled()  # Its maker does not have it.
    page.click("#new-key [value=withdraw]")
    page.run("document.querySelector('#new-key [type=datetime-local]').value = '2020-01-01T00:00'")
    page.click("#new-key [type=submit]")
    page.until(lambda: page.text("#new-key-error") == "The key must end in the future.")
    page.run("document.querySelector('#new-key [type=datetime-local]').value = '2099-12-31T12:00'")
    page.until(lambda: "another person has to approve" in page.text("#new-key"))
    page.click("#new-key [type=submit]")
    secret = page.until(lambda: page.text("#secret-text"))
    key = re.search(r"tk-\w+", page.text("#new-secret"))
    assert key is not None and call(url, key[0], secret) in (401, 403)
    page.one("#new-secret").send_keys(Keys.ESCAPE)
    assert page.text("#secret-text") == secret  # It is not lost by accident.
    page.click("#new-secret .main")
    page.until(lambda: not page.run("return document.querySelector('#new-secret')"))
    assert secret not in page.run("return document.documentElement.outerHTML")
    row = f"#panel-keys tr[data-key='key {key[0]}']"
    page.until(lambda: "waits for approval" in page.text(row))
    assert "2099-12-31 12:00:00" in page.text(row)
    page.sign_out()
    page.sign_in("demo-alice-approve")
    page.click("#tab-keys")
    page.click(f"{row} [data-verb=approve]")
    page.confirm("Approve the key payer?", "read, withdraw")
    page.until(lambda: "active" in page.text(row))
    assert call(url, key[0], secret) == 200
    page.sign_out()
    page.sign_in("demo-alice-keys")
    page.click("#tab-keys")
    page.click(f"{row} [data-verb=revoke]")
    page.confirm("Revoke the key payer?", "For good and at once")
    page.until(lambda: "revoked" in page.text(row))
    assert call(url, key[0], secret) == 401
    page.sign_out()


def test_balances_have_a_value_and_lists_are_files(page: Browser, alice: Firm, bob: Firm) -> None:
    bob.order("sell", "1", "50000")
    alice.order("buy", "1", "50000")
    page.chrome.execute_cdp_cmd(  # type: ignore[no-untyped-call]
        "Browser.setDownloadBehavior", {"behavior": "deny"}
    )
    page.run("""window.files = [];
        const make = URL.createObjectURL;
        URL.createObjectURL = blob => { window.files.push(blob.text()); return make(blob); }""")
    page.sign_in("demo-alice-trade")
    page.click("#tab-balances")
    worth = Decimal(alice.balance("BTC")) * 50_000
    page.until(lambda: rows(page, "balances")[0][4:6] == [
        f"{worth:,.2f} USD", "50,000.00 (BTC-USD)",
    ])  # fmt: skip
    assert page.text("#worth-total").startswith("about ")
    page.run("""const list = document.querySelector('#worth-unit');
        list.value = 'BTC'; list.dispatchEvent(new Event('change'))""")
    usd = Decimal(alice.balance("USD")) / 50_000
    cut = usd.quantize(Decimal("0.00000001"), ROUND_DOWN).normalize()
    page.until(lambda: rows(page, "balances")[2][4] == f"{cut:,f} BTC")
    for panel, what, wanted in (
        ("balances", "postings", "seq,account_seq,time,asset,available_change"),
        ("fills", "fills", "trade_id,order_id,client_order_id,symbol,side,quantity,price"),
        ("orders", "orders", "order_id,client_order_id,account,symbol,side,type"),
    ):
        page.click(f"#tab-{panel}")
        page.run("window.files.length = 0")
        page.click(f"#csv-{what}")
        page.until(lambda: page.run("return window.files.length"))
        text = page.chrome.execute_async_script(  # type: ignore[no-untyped-call]
            "window.files[0].then(arguments[0])"
        )
        assert text.startswith(wanted) and len(text.splitlines()) > 1, what
    page.run("localStorage.removeItem('tandem-unit')")
    page.sign_out()
    exact = page.module(
        "/web/js/model/worth.js",
        """(() => {
            const list = ["A", "C"].map(base => ({symbol: `${base}-B`, base, quote: "B"}));
            const last = symbol => ({"A-B": "3", "C-B": "0.7"})[symbol];
            const steps = m.path("A", "C", list, last);
            return [m.worth("1", steps, 8), m.worth("1", m.path("B", "A", list, last), 8),
                m.worth("0.1", m.path("A", "B", list, last), 8), m.path("A", "D", list, last)];
        })()""",
    )
    assert exact == ["4.28571428", "0.33333333", "0.3", None]
    cells = page.module(
        "/web/js/view/download.js",
        "[`=1+1`, `-5`, `-a`, `a,b`, `say \"x\"`, null, 0].map(m.cell)",
    )
    assert cells == ["'=1+1", "-5", "'-a", '"a,b"', '"say ""x"""', "", "0"]


def test_instruments_are_searched_with_their_last_day(
    page: Browser, alice: Firm, bob: Firm
) -> None:
    bob.order("sell", "1", "0.05", "ETH-BTC")
    alice.order("buy", "1", "0.05", "ETH-BTC")
    page.press("/")
    page.until(lambda: page.one("#markets").is_displayed())
    page.until(lambda: len(page.rows("#markets tbody")) >= 3)
    page.until(lambda: any(row[:2] == ["ETH-BTC", "0.05000"] and row[5].endswith("ETH")
                           for row in page.rows("#markets tbody")))  # fmt: skip
    page.type("#markets input", "eth b")
    page.until(lambda: [row[0] for row in page.rows("#markets tbody")] == ["ETH-BTC"])
    page.type("#markets input", "xyz")
    page.until(lambda: "No instrument has “xyz” in its name." in page.text("#markets"))
    page.type("#markets input", "eth-btc")
    page.one("#markets input").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#ticket-symbol") == "ETH-BTC")
    assert not page.one("#markets").is_displayed()


BROKEN = """return [...document.querySelectorAll('.panel:not([hidden]) td.n, .sums dd')]
    .filter(cell => cell.offsetParent && cell.textContent.trim()).filter(cell => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1;
    }).map(cell => cell.textContent)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_no_number_is_broken_and_nothing_is_too_wide(
    page: Browser, scheme: str
) -> None:
    page.sign_in("demo-alice-keys")
    page.screen(390, 844, scheme)
    page.click(".panes [data-pane=account]")
    tabs = ("balances", "transfers", "deposits", "internal", "addresses", "keys", "fills", "orders")
    for tab in tabs:
        page.click(f"#tab-{tab}")
        page.until(lambda tab=tab: page.one(f"#panel-{tab}").is_displayed())  # type: ignore[misc]
        assert page.run(BROKEN) == []
        wide = page.run("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, tab
    page.screen(1440, 900, scheme)
    page.click("#enlarge")
    assert page.one("#panel-orders").is_displayed() and not page.one("#ticket").is_displayed()
    page.click("#enlarge")
    assert page.one("#ticket").is_displayed()
    page.sign_out()


def test_the_newest_fills_are_found_however_many_there_were(page: Browser) -> None:
    """Pages ascend: the page looks near the newest trade first, and further back as it must."""
    script = """(() => {
        const asked = [], trades = a[0];
        const request = async (op, params) => {
            if (op === "get_tickers") return {tickers: [{last_trade_id: 50000},
                {last_trade_id: null}]};
            if (op !== "get_fills") return null;
            asked.push(params.after_trade_id);
            const after = trades.filter(id => id > params.after_trade_id);
            const fills = after.slice(0, 1000).map(trade_id => ({trade_id}));
            return {fills, next_cursor: after.length > 1000 ? "more" : null};
        };
        const account = {named: {}, all: async () => []};
        return m.past(account, {request}).then(({fills}) =>
            [fills.length, fills.at(-1)?.trade_id, asked]);
    })()"""
    busy = list(range(1, 50_001))
    found = page.module("/web/js/model/past.js", script, busy)
    assert found == [300, 50_000, [49_000]]
    quiet = [5, 41_000, 49_500]
    assert page.module("/web/js/model/past.js", script, quiet) == [3, 49_500, [49_000, 40_000, 0]]
