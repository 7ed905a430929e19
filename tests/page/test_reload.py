"""A reload, a link and the browser's way back lead to where somebody was, and keep no secret."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.firm import Firm


def address(page: Browser) -> str:
    return str(page.run("return location.hash"))


def reload(page: Browser) -> None:
    page.chrome.refresh()
    page.until(lambda: page.text("#status-text").startswith(("Live", "Halted")))


def test_the_instrument_is_in_the_address_and_the_way_back_works(page: Browser, url: str) -> None:
    page.until(lambda: address(page) == "#BTC-USD")
    page.run("""const list = document.querySelector('#symbol');
        list.value = 'ETH-BTC'; list.dispatchEvent(new Event('change'))""")
    page.until(lambda: address(page) == "#ETH-BTC")
    page.until(lambda: page.text("#ticket-symbol") == "ETH-BTC")
    page.chrome.back()
    page.until(lambda: page.text("#ticket-symbol") == "BTC-USD")
    page.chrome.forward()
    page.until(lambda: page.text("#ticket-symbol") == "ETH-BTC")
    # A tab is in the address too, and is no step of the way back.
    page.click("#tab-balances")
    assert address(page) == "#ETH-BTC/balances"
    reload(page)
    page.until(lambda: page.text("#ticket-symbol") == "ETH-BTC")
    assert page.one("#panel-balances").is_displayed()
    # What does not exist is replaced by what is shown.
    page.run("location.hash = '#NO-SUCH'")
    page.until(lambda: address(page) == "#ETH-BTC")
    page.chrome.get("about:blank")
    page.open(f"{url}/#ETH-USD")
    page.until(lambda: page.text("#ticket-symbol") == "ETH-USD")


def test_a_reload_signs_nobody_out_and_keeps_nothing_that_can_be_read(
    page: Browser, url: str, alice: Firm
) -> None:
    page.sign_in("demo-alice-trade")
    alice.order("buy", "1", "40500")
    page.until(lambda: "40,500.00" in page.text("#panel-orders tbody"))
    reload(page)
    page.until(lambda: page.text("#who") == "alice")
    page.until(lambda: "40,500.00" in page.text("#panel-orders tbody"))
    page.type("[name=price]", "40600")
    page.type("[name=quantity]", "0.1")
    page.until(lambda: page.text("#go") == "Buy 0.1 BTC")
    page.click("#go")
    page.until(lambda: "0.1 BTC waits in the book" in page.text("#toasts"))
    script = """const done = arguments[0];
        const open = indexedDB.open('tandem');
        open.onsuccess = () => {
            const all = open.result.transaction('tabs').objectStore('tabs').getAll();
            all.onsuccess = async () => {
                open.result.close();
                const texts = JSON.stringify([all.result, {...localStorage}, {...sessionStorage},
                    document.cookie, location.href]);
                const read = await Promise.all(all.result.map(one => crypto.subtle
                    .exportKey('raw', one.key).then(() => 'read', error => error.name)));
                done([texts, read]);
            };
        };"""
    texts, read = page.chrome.execute_async_script(script)  # type: ignore[no-untyped-call]
    assert "secret" not in texts and read == ["InvalidAccessError"]
    # Another tab of the same browser knows nothing of it.
    first = page.chrome.current_window_handle
    page.chrome.switch_to.new_window("tab")
    page.open(url)
    assert page.text("#sign") == "Sign in"
    page.chrome.close()
    page.chrome.switch_to.window(first)
    page.sign_out()
    script = script.replace("done([texts, read])", "done(all.result.length)")
    page.until(
        lambda: page.chrome.execute_async_script(script) == 0  # type: ignore[no-untyped-call]
    )
    reload(page)
    assert page.text("#sign") == "Sign in" and page.text("#who") == ""


def test_a_key_that_was_left_behind_is_deleted_and_signs_nobody_in(page: Browser) -> None:
    page.sign_in("demo-bob-trade")
    page.run("""window.wait = new Promise(done => {
        const open = indexedDB.open('tandem');
        open.onsuccess = () => {
            const store = open.result.transaction('tabs', 'readwrite').objectStore('tabs');
            const all = store.getAll();
            all.onsuccess = () => {
                const put = store.put({...all.result[0], seen: Date.now() - 16 * 60_000});
                put.onsuccess = () => { open.result.close(); done(true); };
            };
        };
    })""")
    assert page.chrome.execute_async_script("wait.then(arguments[0])")  # type: ignore[no-untyped-call]
    reload(page)
    assert page.text("#sign") == "Sign in"


def test_the_people_of_a_firm_are_named_by_what_they_do(page: Browser) -> None:
    page.click("#sign")
    firm = page.until(lambda: page.text(".firm[aria-label=alice]").splitlines())
    assert firm[0].lower() == "alice"
    assert {"Trader", "Treasurer", "Approver", "Administrator"} <= {*firm}
    page.click("#own-part summary")
    page.type("[name=key]", "demo-alice-withdraw")
    page.type("[name=secret]", "wrong")
    page.one("[name=secret]").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#signin-error")
               == "The key is not known here, or the secret is wrong.")  # fmt: skip
    page.type("[name=secret]", "demo-alice-withdraw-secret")
    page.one("[name=secret]").send_keys(Keys.ENTER)
    page.until(lambda: page.text("#who") == "alice, treasurer")
    page.sign_out()
