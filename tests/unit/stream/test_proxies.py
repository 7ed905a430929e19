"""Whose address counts behind reverse proxies."""

from __future__ import annotations

from typing import Any

import pytest

from account_api.http.forwarded import behind_proxies, forwarded_for

PROXIES = frozenset({"127.0.0.1", "10.0.0.9"})


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", [""], ""),
    ],
)
def test_the_nearest_address_that_is_no_proxy(
    peer: str, headers: list[str], address: str
) -> None:
    assert forwarded_for(peer, headers, PROXIES) == address


def test_without_proxies_the_application_is_left_as_it_is() -> None:
    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        return [environ["REMOTE_ADDR"].encode()]

    assert behind_proxies(application, ()) is application
    wrapped = behind_proxies(application, ("127.0.0.1",))
    claims = {"HTTP_X_FORWARDED_FOR": "198.51.100.1"}
    assert list(wrapped({"REMOTE_ADDR": "127.0.0.1", **claims}, None)) == [b"198.51.100.1"]
    assert list(wrapped({"REMOTE_ADDR": "203.0.113.5", **claims}, None)) == [b"203.0.113.5"]
