"""Framing of HTTP/1.1 requests: where a request ends. Pure.

It parses no more than it must to find the end; whether the request is valid is for the server to
judge. If the end cannot be known the request is ``UNCLEAR``: it is handed over as it is, and its
connection is closed after the response.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

HEAD_BYTES_MAX: Final = 65_536
EMPTY_BYTES_MAX: Final = 8
"""Old clients send an empty line or two before a request; more are an attack."""
_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?=\r\n)", re.I)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.I)
_EXPECT: Final = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.I)
_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})(?:[ \t]*;[^\r\n]{0,64})?\r\n")
_SIZE_BEGUN: Final = re.compile(rb"(?:[0-9a-fA-F]{1,8}(?:[ \t]*;[^\r\n]{0,64}|[ \t]{0,8})\r?)?\Z")
_TRAILER: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)*\Z")
_CRLF: Final = b"\r\n"


class Reading(Enum):
    """What the bytes received so far are."""

    PARTIAL = 1
    """More must arrive."""
    WAITS = 2
    """More must arrive, and the client waits for 100 Continue before it sends the body."""
    WHOLE = 3
    UNCLEAR = 4
    """To be handed over as it is: malformed, or with a body too long to wait for."""
    TOO_LONG = 5
    """The head is longer than any that is served."""


def read(data: bytes, body_bytes_max: int) -> Reading:
    """Judge how much of a request has arrived; empty lines before it are skipped."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    if start > EMPTY_BYTES_MAX:
        return Reading.TOO_LONG
    end = data.find(_END, start)
    if end < 0:
        return Reading.TOO_LONG if len(data) - start > HEAD_BYTES_MAX else Reading.PARTIAL
    if end - start > HEAD_BYTES_MAX:
        return Reading.TOO_LONG
    head = data[start : end + 2]
    body = end + len(_END)
    if _CHUNKED.search(head):
        return _chunked(data, body, body_bytes_max)
    lengths = set(_LENGTH.findall(head))
    if len(lengths) > 1 or (not lengths and b"content-length" in head.lower()):
        return Reading.UNCLEAR
    length = int(lengths.pop()) if lengths else 0
    if length > body_bytes_max:
        return Reading.UNCLEAR
    if len(data) - body >= length:
        return Reading.WHOLE
    return Reading.WAITS if _EXPECT.search(head) else Reading.PARTIAL


def without_expectation(data: bytes) -> bytes:
    """Remove ``Expect: 100-continue``, which has been answered, from a request."""
    end = data.find(_END)
    return _EXPECT.sub(b"", data[: end + 2], count=1) + data[end + 2 :]


def _chunked(data: bytes, place: int, body_bytes_max: int) -> Reading:
    """Follow the chunks from ``place`` to the last one and its trailer."""
    total, first = 0, place
    if len(data) - first > 2 * body_bytes_max + HEAD_BYTES_MAX:
        return Reading.UNCLEAR  # Chunks of a byte or two, which cost more than they carry.
    while True:
        size = _SIZE.match(data, place)
        if size is None:
            # The chunk size is incomplete or malformed.
            begun = len(data) - place < 80 and _SIZE_BEGUN.match(data, place) is not None
            return Reading.PARTIAL if begun else Reading.UNCLEAR
        length = int(size[1], 16)
        total += length
        if total > body_bytes_max:
            return Reading.UNCLEAR
        if length == 0:
            # The last chunk's line end begins the empty line, unless a trailer follows.
            end = data.find(_END, size.end() - 2)
            if end < 0:
                return _bounded(data, place)
            trailer = data[size.end() : end + 2]
            return Reading.WHOLE if _TRAILER.match(trailer) is not None else Reading.UNCLEAR
        end = size.end() + length
        if not _CRLF.startswith(data[end : end + 2]):
            return Reading.UNCLEAR  # The next chunk begins nowhere.
        place = end + 2
        if place > len(data):
            return Reading.PARTIAL


def _bounded(data: bytes, place: int) -> Reading:
    return Reading.UNCLEAR if len(data) - place > HEAD_BYTES_MAX else Reading.PARTIAL
