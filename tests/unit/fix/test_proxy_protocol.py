"""What a PROXY header of version 2 tells of TLS: read to the byte, or refused as a whole."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fix_gateway.door import proxy_protocol
from fix_gateway.door.proxy_protocol import ClientCertificate, ProxyError

HASH = "ab" * 32
FINGERPRINT = f"sha256:{HASH}"
SHOWN = 0x01 | 0x02 | 0x04


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def ssl_tlv(flags: int = SHOWN, verify: int = 0, inner: bytes = tlv(0x22, b"ALICE")) -> bytes:
    return tlv(0x20, struct.pack("!BI", flags, verify) + tlv(0x21, b"TLSv1.3") + inner)


def header(extra: bytes, address: str = "192.0.2.1", command: int = 1) -> bytes:
    source = ip_address(address).packed
    body = source * 2 + struct.pack("!HH", 1, 2) + extra
    family = 0x11 if len(source) == 4 else 0x21
    head = struct.pack("!BBH", 0x20 | command, family, len(body))
    return proxy_protocol.SIGNATURE_V2 + head + body


def certificate_of(extra: bytes, address: str = "192.0.2.1") -> ClientCertificate | None:
    found = proxy_protocol.read(header(extra, address))
    assert found is not None and found.address == address
    return found.certificate


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_the_certificate_is_read_among_other_tlvs_in_any_order(address: str) -> None:
    whole = ClientCertificate(0, "ALICE", FINGERPRINT)
    unique = tlv(0x05, FINGERPRINT.encode())
    others = tlv(0x04, b"\0" * 9) + tlv(0xEE, b"") + tlv(0x02, b"fix.venue.test")
    for extra in (unique + ssl_tlv() + others, others + ssl_tlv() + unique):
        assert certificate_of(extra, address) == whole
    more = tlv(0x25, b"EC256") + tlv(0x22, b"ALICE") + tlv(0x23, b"TLS_AES_128_GCM_SHA256")
    assert certificate_of(ssl_tlv(inner=more), address) == ClientCertificate(0, "ALICE", "")


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (b"", None),
        (tlv(0x05, FINGERPRINT.encode()), None),
        (ssl_tlv(flags=0x01), None),
        (ssl_tlv(flags=0x01 | 0x04), None),
        (ssl_tlv(flags=0x02 | 0x04), None),
        (ssl_tlv(flags=0), None),
        (ssl_tlv(verify=10), ClientCertificate(10, "ALICE", "")),
        (ssl_tlv(inner=b""), ClientCertificate(0, "", "")),
        (ssl_tlv(inner=tlv(0x22, b"\xff\xfe")), ClientCertificate(0, "", "")),
        (ssl_tlv(inner=tlv(0x22, FINGERPRINT.encode())), ClientCertificate(0, "", "")),
        (ssl_tlv() + tlv(0x05, b"sha256:"), ClientCertificate(0, "ALICE", "")),
        (ssl_tlv() + tlv(0x05, HASH.encode()), ClientCertificate(0, "ALICE", "")),
        (ssl_tlv() + tlv(0x05, FINGERPRINT.encode() + b"\n"), ClientCertificate(0, "ALICE", "")),
    ],
)  # fmt: skip
def test_no_certificate_is_made_of_less_than_one(
    extra: bytes, found: ClientCertificate | None
) -> None:
    assert certificate_of(extra) == found


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (b"\x20", "ends within a TLV"),
        (b"\x20\x00", "ends within a TLV"),
        (ssl_tlv()[:-1], "longer than the header"),
        (b"\x20\xff\xff" + b"\0" * 20, "longer than the header"),
        (tlv(0x20, b""), "too short"),
        (tlv(0x20, b"\x07\0\0\0"), "too short"),
        (tlv(0x20, b"\x07\0\0\0\0\x22\x00"), "ends within a TLV"),
        (tlv(0x20, b"\x07\0\0\0\0\x22\x00\x06ALICE"), "longer than the header"),
        (ssl_tlv() + ssl_tlv(), "0x20 twice"),
        (ssl_tlv(inner=tlv(0x22, b"ALICE") + tlv(0x22, b"BOB")), "0x22 twice"),
        (ssl_tlv() + tlv(0x05, b"a") + tlv(0x05, FINGERPRINT.encode()), "0x05 twice"),
        (ssl_tlv(flags=0x01, inner=b"\x22"), "ends within a TLV"),
    ],
)  # fmt: skip
def test_a_header_with_a_malformed_tlv_is_refused_as_a_whole(extra: bytes, why: str) -> None:
    with pytest.raises(ProxyError, match=why):
        proxy_protocol.read(header(extra))


def test_a_check_of_the_proxys_own_tells_of_nobody() -> None:
    found = proxy_protocol.read(header(ssl_tlv(), command=0))
    assert found is not None and (found.address, found.certificate) == ("", None)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_random_and_truncated_tlvs_give_a_header_or_a_proxy_error(noise: bytes, cut: int) -> None:
    good = ssl_tlv() + tlv(0x05, FINGERPRINT.encode())
    for extra in (noise, good[:cut] + noise, noise + good):
        data = header(extra)
        for rest in (b"", b"8=FIX.4.4"):
            try:
                found = proxy_protocol.read(data + rest)
            except ProxyError:
                continue
            assert found is not None and found.length == len(data)
        assert proxy_protocol.read(data[:-1]) is None


@given(
    st.integers(0, 255), st.integers(0, 2**32 - 1),
    st.dictionaries(st.integers(0, 255), st.binary(max_size=40), max_size=5),
    st.dictionaries(st.integers(0, 255), st.binary(max_size=80), max_size=4),
)  # fmt: skip
def test_what_a_header_tells_is_what_was_written(
    flags: int, verify: int, inner: dict[int, bytes], outer: dict[int, bytes]
) -> None:
    told = struct.pack("!BI", flags, verify) + b"".join(tlv(*pair) for pair in inner.items())
    outer[0x20] = told
    found = certificate_of(b"".join(tlv(*pair) for pair in outer.items()))
    if flags & 3 != 3:
        assert found is None
        return
    assert found is not None and found.verify == verify
    name = inner.get(0x22, b"")
    assert found.common_name.encode() in (name, b"")
    assert found.fingerprint.encode() in (outer.get(0x05), b"")


@pytest.mark.parametrize(
    ("bound", "certificate", "admitted"),
    [
        ("ALICE", ClientCertificate(0, "ALICE", FINGERPRINT), True),
        (FINGERPRINT, ClientCertificate(0, "whoever", FINGERPRINT), True),
        ("ALICE", ClientCertificate(0, "BOB", FINGERPRINT), False),
        ("ALICE", ClientCertificate(0, "alice", FINGERPRINT), False),
        ("ALICE", ClientCertificate(0, "ALICE\0", FINGERPRINT), False),
        ("ALICE", ClientCertificate(0, "", ""), False),
        ("ALICE", ClientCertificate(10, "ALICE", FINGERPRINT), False),
        (FINGERPRINT, ClientCertificate(18, "ALICE", FINGERPRINT), False),
        (FINGERPRINT, ClientCertificate(0, "ALICE", ""), False),
        ("", ClientCertificate(0, "", ""), False),
    ],
)  # fmt: skip
def test_a_certificate_is_the_bound_one_or_it_is_not(
    bound: str, certificate: ClientCertificate, admitted: bool
) -> None:
    assert certificate.is_named(bound) is admitted

