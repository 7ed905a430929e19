"""The PROXY protocol, versions 1 and 2: who is behind the TLS terminator in front. Pure.

Version 2 also tells of TLS, in fields of type, length and value (TLVs): whether the client has
shown a certificate on this connection, whether the proxy has verified it, and whose it is. A
header whose TLVs are not what they should be is refused as a whole.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, NamedTuple

SIGNATURE_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_BYTES_MAX: Final = 107
V2_BYTES_MAX: Final = 16 + 4096
"""With room for what a terminator tells of TLS and of the client's certificate."""
_HEAD_V2: Final = struct.Struct("!BBH")
_HEAD_TLV: Final = struct.Struct("!BH")
_HEAD_SSL: Final = struct.Struct("!BI")
_UNIQUE_ID: Final = 0x05
"""PP2_TYPE_UNIQUE_ID: whatever the proxy wants; ours sends the certificate's SHA-256 in it."""
_SSL: Final = 0x20
_SSL_COMMON_NAME: Final = 0x22
_ENCRYPTED: Final = 0x01
_CERTIFICATE_SHOWN: Final = 0x02
"""PP2_CLIENT_SSL and PP2_CLIENT_CERT_CONN: on this very connection. A session that is resumed
(PP2_CLIENT_CERT_SESS alone) is not enough: nobody has looked at its certificate again."""
_FINGERPRINT: Final = re.compile(rb"sha256:[0-9a-f]{64}")


class ProxyError(ValueError):
    """These bytes are no PROXY header; the message says why."""


class ClientCertificate(NamedTuple):
    """The certificate that a client has shown to the proxy, and proved to have the key of.

    ``verify`` is 0 where its chain and its dates are right, else OpenSSL's number of the fault.
    ``common_name`` is the CN of its subject, ``fingerprint`` "sha256:" and the hash of its DER;
    "" is what the proxy does not tell.
    """

    verify: int
    common_name: str
    fingerprint: str

    def is_named(self, name: str) -> bool:
        """Return True if a session's setting ``client_certificate`` means this one."""
        return self.verify == 0 and name != "" and name in (self.common_name, self.fingerprint)


class ProxyHeader(NamedTuple):
    """``length`` bytes to take off the stream; ``address`` "" keeps the socket's own."""

    length: int
    address: str
    certificate: ClientCertificate | None = None


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
    tlvs = _tlvs(data[16 + 2 * size + 4 : 16 + length])
    address = str(ip_address(data[16 : 16 + size]))
    return ProxyHeader(16 + length, address, _certificate(tlvs))


def _certificate(tlvs: dict[int, bytes]) -> ClientCertificate | None:
    """Return the certificate that was shown on this connection. Raises ProxyError."""
    ssl = tlvs.get(_SSL)
    if ssl is None:
        return None
    if len(ssl) < _HEAD_SSL.size:
        raise ProxyError("what the PROXY header tells of TLS is too short")
    flags, verify = _HEAD_SSL.unpack_from(ssl)
    inner = _tlvs(ssl[_HEAD_SSL.size :])
    if flags & (_ENCRYPTED | _CERTIFICATE_SHOWN) != _ENCRYPTED | _CERTIFICATE_SHOWN:
        return None
    unique = tlvs.get(_UNIQUE_ID, b"")
    fingerprint = unique.decode("ascii") if _FINGERPRINT.fullmatch(unique) else ""
    try:
        name = inner.get(_SSL_COMMON_NAME, b"").decode("utf-8")
    except UnicodeDecodeError:
        name = ""  # No name that a configuration could hold.
    return ClientCertificate(verify, "" if name.startswith("sha256:") else name, fingerprint)


def _tlvs(data: bytes) -> dict[int, bytes]:
    """Return the fields of a header by their types. Raises ProxyError.

    None may stand there twice: which of the two would hold?
    """
    found: dict[int, bytes] = {}
    for kind, value in _each_tlv(data):
        if kind in found:
            raise ProxyError(f"the PROXY header has its TLV {kind:#04x} twice")
        found[kind] = value
    return found


def _each_tlv(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        if place + _HEAD_TLV.size > len(data):
            raise ProxyError("the PROXY header ends within a TLV")
        kind, length = _HEAD_TLV.unpack_from(data, place)
        place += _HEAD_TLV.size
        if place + length > len(data):
            raise ProxyError(f"the TLV {kind:#04x} of the PROXY header is longer than the header")
        yield kind, data[place : place + length]
        place += length
