"""Where deliveries may go: never into the venue's own network, whatever a name or a URL says."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from account_api.webhooks.targets import Policy, TargetRefused, is_public

PRODUCTION = Policy()
DEMO = Policy((ip_network("127.0.0.0/8"), ip_network("::1/128")), https_only=False)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "must begin with https://"),
        ("ftp://example.com/", "must be a URL"),
        ("https:///path", "must be a URL"),
        ("example.com/hook", "must be a URL"),
        ("https://user:pass@example.com/", "user or password"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com:99999/", "is not a URL"),
        ("https://example.com:0/", "must be a URL"),
        ("https://exa mple.com/", "visible ASCII"),
        ("https://example.com/\r\nX: y", "visible ASCII"),
        ("https://bücher.example/", "visible ASCII"),
        ("https://[::1/", "is not a URL"),
        ("https://2130706433/", "must name a host"),
        ("https://0x7f.1/", "must name a host"),
        ("https://127.1/", "must name a host"),
        ("https://a..example.com/", "must name a host"),
        ("https://127.0.0.1/", "127.0.0.1, which is not a public address"),
        ("https://[::1]:8443/", "::1, which is not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://10.0.0.5/", "not a public address"),
        ("https://example.com/" + "a" * 500, "at most 500"),
    ],
)
def test_a_url_that_is_refused_says_why(url: str, why: str) -> None:
    with pytest.raises(TargetRefused, match=why.replace("(", r"\(")):
        PRODUCTION.target(url)


def test_a_url_is_taken_apart_as_it_is_sent() -> None:
    target = PRODUCTION.target("https://Hooks.example.com/a/b?c=d")
    assert (target.host, target.port, target.path) == ("hooks.example.com", 443, "/a/b?c=d")
    assert target.authority == "hooks.example.com"
    assert PRODUCTION.target("https://example.com:8443").authority == "example.com:8443"
    assert PRODUCTION.target("https://[2606:4700::1111]").authority == "[2606:4700::1111]"


def test_http_is_for_loopback_and_not_in_production() -> None:
    for url in ("http://localhost:9000/x", "http://127.0.0.1:9000/x", "http://[::1]:9000/x"):
        assert not DEMO.target(url).secure
        with pytest.raises(TargetRefused, match="https://"):
            PRODUCTION.target(url)
    with pytest.raises(TargetRefused, match="localhost only"):
        DEMO.target("http://example.com/")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "100.64.0.1", "100.100.100.200", "169.254.169.254", "192.0.0.192", "192.0.2.1",
        "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "fe80::1", "fe80::1%2", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001::1",
        "fec0::1",
    ],
)  # fmt: skip
def test_no_address_of_a_private_network_or_a_cloud_is_public(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(TargetRefused, match="not a public address"):
        PRODUCTION.judge([ip_address(address)], "hook.example", secure=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    found = ip_address(address)
    assert is_public(found)
    assert PRODUCTION.judge([found], "hook.example", secure=True) == found


def test_one_wrong_address_among_right_ones_refuses_the_name() -> None:
    """A name that answers both is one that turns from the one into the other."""
    both = [ip_address("93.184.216.34"), ip_address("10.0.0.1")]
    with pytest.raises(TargetRefused, match=r"10\.0\.0\.1"):
        PRODUCTION.judge(both, "hook.example", secure=True)
    with pytest.raises(TargetRefused, match="has no address"):
        PRODUCTION.judge([], "hook.example", secure=True)


def test_the_configuration_allows_networks_and_http_stays_on_loopback() -> None:
    inside = Policy((ip_network("10.1.0.0/16"),))
    assert inside.judge([ip_address("10.1.2.3")], "hook", secure=True)
    with pytest.raises(TargetRefused, match="not a public address"):
        inside.judge([ip_address("10.2.0.1")], "hook", secure=True)
    with pytest.raises(TargetRefused, match="without TLS"):
        DEMO.judge([ip_address("93.184.216.34")], "localhost", secure=False)
