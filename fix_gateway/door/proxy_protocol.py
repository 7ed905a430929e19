"""The PROXY protocol, versions 1 and 2: who is behind the TLS terminator in front. Pure."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final, NamedTuple

SIGNATURE_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_BYTES_MAX: Final = 107
V2_BYTES_MAX: Final = 16 + 4096
"""With room for what a terminator tells of TLS and of the client's certificate."""
_HEAD_V2: Final = struct.Struct("!BBH")


class ProxyError(ValueError):
    """These bytes are no PROXY header; the message says why."""


class ProxyHeader(NamedTuple):
    """``length`` bytes to take off the stream; ``address`` "" keeps the socket's own."""

    length: int
    address: str


def read(data: bytes) -> ProxyHeader | None:
    """Return the header at the start of a stream, or None while it may become one.

    Raises ProxyError.
    """
    if data.startswith(SIGNATURE_V2[: len(data)]) and data[:1] == b"\r":
        return _read_v2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _read_v1(data)
    raise ProxyError("the connection does not begin with a PROXY header")


def _read_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, V1_BYTES_MAX)
    if end < 0:
        if len(data) >= V1_BYTES_MAX:
            raise ProxyError("the PROXY header is too long")
        return None
    words = data[:end].decode("latin-1").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return ProxyHeader(end + 2, "")
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("the PROXY header is malformed")
    try:
        address = ip_address(words[2])
    except ValueError:
        raise ProxyError("the PROXY header has no valid source address") from None
    return ProxyHeader(end + 2, str(address))


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version_command, family, length = _HEAD_V2.unpack_from(data, 12)
    if version_command >> 4 != 2 or 16 + length > V2_BYTES_MAX:
        raise ProxyError("the PROXY header is of an unknown version or too long")
    if len(data) < 16 + length:
        return None
    if version_command & 15 == 0:
        return ProxyHeader(16 + length, "")
    if version_command & 15 != 1:
        raise ProxyError("the PROXY header has an unknown command")
    size = {0x11: 4, 0x21: 16}.get(family)
    if size is None:
        return ProxyHeader(16 + length, "")
    if length < 2 * size + 4:
        raise ProxyError("the PROXY header is too short for its addresses")
    return ProxyHeader(16 + length, str(ip_address(data[16 : 16 + size])))
