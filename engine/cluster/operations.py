"""What can be asked of etcd, and its form in the JSON of the gateway: bytes are base64 there, and
integers of 64 bits are text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec


class KeyValue(msgspec.Struct, frozen=True):
    """A key as it is stored; ``lease`` is 0 when it has none."""

    key: bytes
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class Put(NamedTuple):
    """Write a key."""

    key: bytes
    value: bytes
    lease: int = 0


class Get(NamedTuple):
    """Read one key, or those from ``key`` to before ``end``, the first ``limit`` if it is not 0.

    They come ordered by key. There is no other order: for it etcd would read the whole range.
    """

    key: bytes
    end: bytes = b""
    limit: int = 0
    keys_only: bool = False


class Delete(NamedTuple):
    """Delete one key, or those from ``key`` to before ``end``."""

    key: bytes
    end: bytes = b""


class ValueIs(NamedTuple):
    """Compare: the key has this value."""

    key: bytes
    value: bytes


class LeaseIs(NamedTuple):
    """Compare: the key is attached to this lease."""

    key: bytes
    lease: int


class Missing(NamedTuple):
    """Compare: there is no such key."""

    key: bytes


Operation = Put | Get | Delete
Compare = ValueIs | LeaseIs | Missing


class Done(NamedTuple):
    """The result of a transaction: ``found`` has what each Get of the branch that ran found."""

    succeeded: bool
    revision: int
    found: list[list[KeyValue]]


class _Header(msgspec.Struct):
    revision: int = 0


class _Found(msgspec.Struct):
    kvs: list[KeyValue] = []


class _Response(msgspec.Struct):
    response_range: _Found | None = None


class _Done(msgspec.Struct):
    header: _Header
    succeeded: bool = False
    responses: list[_Response] = []


def prefix_end(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that begin with ``prefix``."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def txn_body(
    compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> dict[str, object]:
    """Return a transaction."""
    return {
        "compare": [_compare(one) for one in compare],
        "success": [_operation(one) for one in success],
        "failure": [_operation(one) for one in failure],
    }


def range_body(what: Get) -> dict[str, object]:
    """Return a read."""
    body: dict[str, object] = {"key": what.key}
    if what.end:
        body["range_end"] = what.end
    if what.limit:
        body["limit"] = what.limit
    if what.keys_only:
        body["keys_only"] = True
    return body


def _operation(one: Operation) -> dict[str, object]:
    if isinstance(one, Get):
        return {"request_range": range_body(one)}
    if isinstance(one, Delete):
        return {"request_delete_range": {"key": one.key, "range_end": one.end}}
    return {"request_put": {"key": one.key, "value": one.value, "lease": one.lease}}


def _compare(one: Compare) -> dict[str, object]:
    if isinstance(one, ValueIs):
        return {"target": "VALUE", "result": "EQUAL", "key": one.key, "value": one.value}
    if isinstance(one, LeaseIs):
        return {"target": "LEASE", "result": "EQUAL", "key": one.key, "lease": one.lease}
    return {"target": "VERSION", "result": "EQUAL", "key": one.key, "version": 0}


_DONE: Final = msgspec.json.Decoder(_Done, strict=False)
_FOUND: Final = msgspec.json.Decoder(_Found, strict=False)


def done(answer: bytes) -> Done:
    """Read what a transaction did. Raises msgspec.MsgspecError."""
    read = _DONE.decode(answer)
    ranges = [one.response_range.kvs for one in read.responses if one.response_range]
    return Done(read.succeeded, read.header.revision, ranges)


def found(answer: bytes) -> list[KeyValue]:
    """Read what a range has. Raises msgspec.MsgspecError."""
    return _FOUND.decode(answer).kvs
