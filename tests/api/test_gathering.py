"""When a request is whole: at every byte of it, and for what never will be."""

from __future__ import annotations

import pytest

from account_api.http.request_framing import HEAD_BYTES_MAX, Reading, read, without_expectation

BODY_MAX = 1_000
PLAIN = b"GET /v1/time HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
)
TRAILER = CHUNKED[:-2] + b"X-After: 1\r\n\r\n"


@pytest.mark.parametrize("request_", [PLAIN, LENGTH, CHUNKED, TRAILER, b"\r\n\r\n" + LENGTH])
def test_a_request_is_whole_with_its_last_byte_and_not_before(request_: bytes) -> None:
    for size in range(len(request_)):
        assert read(request_[:size], BODY_MAX) is Reading.PARTIAL, request_[:size]
    assert read(request_, BODY_MAX) is Reading.WHOLE
    assert read(request_ + PLAIN, BODY_MAX) is Reading.WHOLE


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"z" * 100,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nhel\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelX",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\nX",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    ],
)
def test_nobody_waits_for_what_is_too_long_or_has_no_clear_end(request_: bytes) -> None:
    assert read(request_, BODY_MAX) is Reading.UNCLEAR


def test_a_head_has_a_bound() -> None:
    assert read(b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX, BODY_MAX) is Reading.TOO_LONG
    assert read(b"\r\n" * 2 + PLAIN, BODY_MAX) is Reading.WHOLE
    assert read(b"\r\n" * 5, BODY_MAX) is Reading.TOO_LONG


def test_who_expects_to_be_told_is_told_once() -> None:
    request = LENGTH.replace(b"Host: x", b"Expect: 100-Continue")
    head = request[:-5]
    assert read(head, BODY_MAX) is Reading.WAITS
    assert read(without_expectation(head), BODY_MAX) is Reading.PARTIAL
    assert without_expectation(head) == LENGTH[:-5].replace(b"Host: x\r\n", b"")
    assert read(request, BODY_MAX) is Reading.WHOLE
