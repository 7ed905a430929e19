"""Encode and decode an exported state: msgpack with integers of any size.

Integers in msgpack have 64 bits. Totals over time (the fee weights of orders, the withdrawals of
a day, the venue's total of an asset) may be larger, and a venue whose state cannot be written
cannot be stopped. An integer that does not fit is written as extension type 1: its two's
complement in the fewest whole bytes, big-endian. All others are plain msgpack, so the encoding
of a state without large integers is unchanged.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

WIDE: Final = 1
"""The extension type of an integer beyond 64 bits."""

_encode: Final = msgspec.msgpack.Encoder().encode


def encode_state(exported: dict[str, Any]) -> bytes:
    """Encode an exported state; equal states give equal bytes. O(state)."""
    try:
        return _encode(exported)
    except OverflowError:
        return _encode({name: _part(part) for name, part in exported.items()})


def decode_state(data: bytes | memoryview | msgspec.Raw) -> dict[str, Any]:
    """Decode the result of ``encode_state``. Raises msgspec.MsgspecError or ValueError."""
    state: dict[str, Any] = msgspec.msgpack.decode(data, type=dict[str, Any], ext_hook=_integer)
    return state


def _part(part: Any) -> Any:
    """Encode a part row by row, so that only rows with a large integer are copied."""
    return [_row(row) for row in part] if isinstance(part, list) else _row(part)


def _row(row: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(_encode(row))
    except OverflowError:
        return msgspec.Raw(_encode(_plain(row)))


def _plain(value: Any) -> Any:
    """Return the same value with every integer that does not fit as an extension."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        return msgspec.msgpack.Ext(WIDE, value.to_bytes(size, "big", signed=True))
    return value


def _integer(code: int, data: memoryview) -> int:
    if code != WIDE:
        raise ValueError(f"a state has no extension of type {code}")
    return int.from_bytes(data, "big", signed=True)
