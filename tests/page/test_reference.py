"""The API reference at /docs/api: it loads nothing from elsewhere, and its requests are signed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import account_api
from tests.page.browser import Browser
from tests.page.firm import Firm

FILES = Path(account_api.__file__).parent / "reference"
FORM = "document.querySelector('#explorer').shadowRoot?.querySelector('api-request')"


@pytest.fixture
def reference(window: Browser, url: str) -> Iterator[Browser]:
    window.screen(1440, 900)
    window.chrome.get(f"{url}/docs/api")
    window.complaints()
    window.until(lambda: "Create an order" in navigation(window))
    yield window
    assert window.complaints() == []


def navigation(window: Browser) -> str:
    script = "return document.querySelector('#explorer').shadowRoot?.textContent ?? ''"
    return str(window.run(script))


def choose(window: Browser, key: str) -> None:
    window.run(
        """const select = document.querySelector('#key'); select.value = arguments[0];
        select.dispatchEvent(new Event('change', {bubbles: true}))""", key,
    )  # fmt: skip
    window.until(lambda: window.text("#state") == "Requests are signed.")


def send(window: Browser, route: str, body: dict[str, Any] | None = None) -> tuple[str, Any]:
    """Open an operation, fill its body, and execute it; returns status line and body."""
    window.run("location.hash = '?route=' + arguments[0]", route)
    method, path = route.split("-", 1)
    window.until(lambda: window.run(
        f"return {FORM}?.method === arguments[0] && {FORM}?.path === arguments[1] "
        f"&& !!{FORM}.querySelector('.btn-execute')", method, path,
    ))  # fmt: skip
    if body is not None:
        window.run(
            f"""const area = {FORM}.querySelector('textarea');
            area.value = arguments[0]; area.dispatchEvent(new Event('input', {{bubbles: true}}))""",
            json.dumps(body),
        )
    window.run(f"{FORM}.querySelector('.btn-execute').click()")
    status = window.until(lambda: window.run(f"return {FORM}.responseMessage"))
    return str(status), json.loads(window.until(lambda: window.run(f"return {FORM}.responseText")))


def test_a_public_request_needs_no_key(reference: Browser) -> None:
    status, body = send(reference, "get-/v1/instruments")
    assert "200" in status
    assert "BTC-USD" in [row["symbol"] for row in body["instruments"]]


def test_an_order_is_signed_in_the_browser_and_executed(reference: Browser, alice: Firm) -> None:
    choose(reference, "demo-alice-trade")
    body = {"client_order_id": "try-1", "symbol": "BTC-USD", "side": "buy", "quantity": "0.1",
            "price": "100"}  # fmt: skip
    status, answer = send(reference, "post-/v1/orders", body)
    assert "201" in status and answer["client_order_id"] == "try-1"
    status, listed = send(reference, "get-/v1/orders")
    assert "try-1" in [row["client_order_id"] for row in listed["orders"]]


def test_the_vendored_file_is_the_one_that_its_table_names() -> None:
    table = (FILES / "vendor" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+\.js)` \|.*`([0-9a-f]{64})` \|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in FILES.glob("vendor/*.js")}
    for name, digest in rows:
        assert hashlib.sha256((FILES / "vendor" / name).read_bytes()).hexdigest() == digest
    assert (FILES / "vendor" / "LICENSE.txt").is_file()


def test_its_own_files_name_no_other_host() -> None:
    for path in FILES.glob("*.*"):
        assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path.name
