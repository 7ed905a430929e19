"""A real Chromium, without a screen, as somebody who looks at the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import (
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support import pace

T = TypeVar("T")
WAIT_S = 15.0
POLL_S = 0.03
_NOT_YET = (
    ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException,
    IndexError,
)  # fmt: skip
"""What the page does not have at this moment; IndexError is a row or a cell."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1440,900",
)  # fmt: skip


def installed() -> tuple[str, str] | None:
    """Chromium and its driver, where both are installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window. What is looked for is waited for, a bounded time."""

    def __init__(self, profile: Path) -> None:
        found = installed()
        assert found is not None
        options = ChromeOptions()
        options.binary_location, driver = found
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.chrome = Chrome(options=options, service=Service(driver))
        self.chrome.set_script_timeout(pace.seconds(WAIT_S))

    def close(self) -> None:
        self.chrome.quit()

    def open(self, url: str) -> None:
        """Open the page and wait until it is live."""
        self.chrome.get(url)
        self.until(lambda: self.text("#status-text").startswith(("Live", "Halted")))
        self.until(lambda: self.text("#symbol"))

    def until(self, condition: Callable[[], T]) -> T:
        """What the condition gives when it is true; elements may come and go meanwhile."""
        wait = WebDriverWait(self.chrome, pace.seconds(WAIT_S), POLL_S, _NOT_YET)
        return wait.until(lambda _: condition())

    def one(self, selector: str) -> WebElement:
        return self.until(lambda: self.chrome.find_element(By.CSS_SELECTOR, selector))

    def text(self, selector: str) -> str:
        """The text of all elements, also of those that are not in sight."""
        script = """return [...document.querySelectorAll(arguments[0])]
            .map(element => element.innerText).join('\\n')"""
        return str(self.chrome.execute_script(script, selector)).strip()  # type: ignore[no-untyped-call]

    def rows(self, selector: str) -> list[list[str]]:
        """The cells of the rows of a table body."""
        script = """return [...document.querySelectorAll(arguments[0] + ' tr')]
            .map(row => [...row.children].map(cell => cell.innerText.trim()))"""
        return list(self.chrome.execute_script(script, selector))  # type: ignore[no-untyped-call]

    def run(self, script: str, *arguments: Any) -> Any:
        return self.chrome.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def module(self, path: str, expression: str, *arguments: Any) -> Any:
        """The value of an expression over a module ``m`` of the page and arguments ``a``."""
        script = f"""const done = arguments[arguments.length - 1], a = [...arguments];
            import({json.dumps(path)}).then(m => {expression}).then(
                value => done({{value}}), error => done({{error: String(error)}}))"""
        answer = self.chrome.execute_async_script(script, *arguments)  # type: ignore[no-untyped-call]
        assert "error" not in answer, answer
        return answer["value"]

    def click(self, selector: str) -> None:
        def act() -> bool:
            self.chrome.find_element(By.CSS_SELECTOR, selector).click()
            return True

        self.until(act)

    def type(self, selector: str, text: str) -> None:
        """Replace what a field holds, as a person does who selects all of it first."""

        def act() -> bool:
            field = self.chrome.find_element(By.CSS_SELECTOR, selector)
            field.send_keys(Keys.CONTROL, "a", Keys.NULL, text)
            return True

        self.until(act)

    def press(self, *keys: str) -> None:
        """Keys without a field to go to."""
        self.run("document.activeElement?.blur()")
        self.one("body").send_keys(*keys)

    def confirm(self, *words: str) -> str:
        """Say yes to the question that is asked; gives what it said, with ``words`` among it."""
        self.until(lambda: self.one("#confirm").is_displayed())
        asked = self.text("#confirm")
        assert all(word in asked for word in words), asked
        self.click("#confirm-go")
        self.until(lambda: not self.one("#confirm").is_displayed())
        return asked

    def sign_in(self, key: str) -> None:
        """With a public key of the demo."""
        self.click("#sign")
        self.click(f"[data-key='{key}']")
        self.until(lambda: self.text("#sign") == "Sign out")
        self.until(lambda: not self.one("#signin").is_displayed())

    def forget(self) -> None:
        """Let the page that is left remember nobody; a window that is new has no storage yet."""
        self.chrome.execute_async_script("""const done = arguments[0];
            try {
                sessionStorage.clear();
                const request = indexedDB.deleteDatabase('tandem');
                for (const end of ['success', 'error', 'blocked'])
                    request.addEventListener(end, () => done());
            } catch {
                done();
            }""")  # type: ignore[no-untyped-call]

    def sign_out(self) -> None:
        if self.text("#sign") == "Sign out":
            self.click("#sign")
            self.until(lambda: self.text("#sign") == "Sign in")
            self.until(lambda: self.text("#status-text").startswith(("Live", "Halted")))

    def screen(self, width: int, height: int, scheme: str = "light") -> None:
        """Another size of the window and another taste of its owner."""
        self.chrome.execute_cdp_cmd(  # type: ignore[no-untyped-call]
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.chrome.execute_cdp_cmd(  # type: ignore[no-untyped-call]
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    def complaints(self) -> list[str]:
        """What the browser wrote to its console."""
        return [str(entry["message"]) for entry in self.chrome.get_log("browser")]  # type: ignore[no-untyped-call]
