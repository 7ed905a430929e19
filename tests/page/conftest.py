"""One venue and one browser for all tests of the page; they run one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tandem.demo.venue import TemporaryVenue
from tandem.http_client import base_url
from tests.page.browser import Browser, installed
from tests.page.firm import Firm

NO_BROWSER = (
    "the web page is not tested: there is no chromium with its driver "
    "(Debian: apt-get install chromium chromium-driver)"
)


@pytest.fixture(scope="package")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryVenue]:
    with TemporaryVenue(tmp_path_factory.mktemp("venue"), lambda *_: None) as one:
        yield one


@pytest.fixture(scope="package")
def url(venue: TemporaryVenue) -> str:
    return base_url(venue.settings)


@pytest.fixture(scope="package")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if installed() is None:
        pytest.skip(NO_BROWSER)
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def alice(url: str) -> Iterator[Firm]:
    firm = Firm(url, "alice")
    yield firm
    firm.cancel_all()


@pytest.fixture
def bob(url: str) -> Iterator[Firm]:
    firm = Firm(url, "bob")
    yield firm
    firm.cancel_all()


@pytest.fixture
def page(window: Browser, url: str) -> Iterator[Browser]:
    """The page, freshly opened by nobody; the browser must have nothing to complain about."""
    window.screen(1440, 900)
    window.chrome.delete_all_cookies()
    window.forget()
    window.open(url)
    window.complaints()
    yield window
    assert window.complaints() == []
