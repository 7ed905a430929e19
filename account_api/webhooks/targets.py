"""Where deliveries may go: URLs when they are registered, addresses whenever one is sent.

The names in a URL belong to whoever registered it, so they could lead into the venue's own network.
Every address that a name has is judged at every delivery, and the connection is made to the judged
address and to no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

URL_LENGTH_MAX: Final = 500
_VISIBLE: Final = re.compile(r"[!-~]+\Z")
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
    r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?\Z"
)
_FORBIDDEN: Final = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's metadata and DNS, a public address
        "192.0.0.0/24",  # partly public to some versions of Python
        "192.88.99.0/24",  # relays from IPv4 to IPv6
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32",  # IPv4 within IPv6
        "fec0::/10",
    )
)  # fmt: skip
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class TargetRefused(ValueError):
    """Nothing may be delivered there; the message is the end of a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts; ``host`` is a name, or an address without brackets."""

    url: str
    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration allows: networks that are not public, and http to loopback."""

    allow: tuple[Network, ...] = ()
    https_only: bool = True

    def target(self, url: str) -> Target:
        """Read a URL. Raises TargetRefused."""
        if len(url) > URL_LENGTH_MAX or _VISIBLE.match(url) is None:
            raise TargetRefused(
                f"must be at most {URL_LENGTH_MAX} visible ASCII characters without spaces"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TargetRefused("is not a URL such as https://example.com/hook") from None
        if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
            raise TargetRefused("must be a URL such as https://example.com/hook")
        if "@" in parts.netloc:
            raise TargetRefused("must not hold a user or password; verify the signature instead")
        if "#" in url:
            raise TargetRefused("must not have a fragment")
        host, secure = parts.hostname, parts.scheme == "https"
        literal = _literal(host)
        if literal is None and _NAME.match(host) is None:
            raise TargetRefused("must name a host such as example.com, or an address")
        if not secure and (self.https_only or not _is_loopback(host, literal)):
            raise TargetRefused(
                "must begin with https://" if self.https_only
                else "must begin with https://; http:// is taken for localhost only"
            )  # fmt: skip
        if literal is not None:
            self.judge((literal,), host, secure)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(url, secure, host, port or (443 if secure else 80), path)

    def judge(self, addresses: Iterable[Address], host: str, secure: bool) -> Address:
        """Return the address to connect to, the first. Raises TargetRefused if any is refused."""
        found = tuple(addresses)
        if not found:
            raise TargetRefused(f"names {host}, which has no address")
        for address in found:
            if not is_public(address) and not any(address in one for one in self.allow):
                raise TargetRefused(
                    f"leads to {address}, which is not a public address; the venue delivers to "
                    "public addresses only"
                )
            if not secure and not address.is_loopback:
                raise TargetRefused(f"leads to {address}; only loopback is told without TLS")
        return found[0]


def is_public(address: Address) -> bool:
    """Return True for a unicast address of the internet, which is not known to be a cloud's own."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in _FORBIDDEN)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str, literal: Address | None) -> bool:
    return host == "localhost" if literal is None else literal.is_loopback
