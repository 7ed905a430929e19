"""Transactions as the projector reads them: events only, with enums as their numbers.

The history needs no commands, and its columns hold numbers. So commands stay raw, events that
make no rows are not decoded, and those of orders become structs that are derived from
``engine.core.events``: the same names and defaults, integers in place of enums.
"""

from __future__ import annotations

import types
from enum import IntEnum
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple, Protocol, Union, get_args, get_origin, get_type_hints

import msgspec

from engine.core import events as ev
from engine.wire import WireError


class Happened(Protocol):
    """What the projector needs of a transaction: a ``Record``, or an ``engine.wire.Transaction``.

    ``events`` are those of ``engine.core.events``, the structs derived from them, or None for
    one that makes no rows.
    """

    @property
    def seq(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    @property
    def events(self) -> tuple[Any, ...]: ...


class Record(NamedTuple):
    """A transaction without its command."""

    seq: int
    time_us: int
    events: tuple[Any, ...]


class _Raw(NamedTuple):
    seq: int
    time_us: int
    kind: int
    command: msgspec.Raw
    events: tuple[tuple[int, msgspec.Raw], ...]


OF_ORDERS: Final = (
    ev.OrderAccepted,
    ev.OrderFilled,
    ev.OrderCanceled,
    ev.OrderReplaced,
    ev.OrderRestated,
    ev.OrderTriggered,
)
OTHERS: Final = (
    ev.DepositUpdated,
    ev.WithdrawalUpdated,
    ev.Transferred,
    ev.AssetDefined,
    ev.InstrumentDefined,
    ev.AccountDefined,
)
"""Rare ones that make rows too; they are decoded as they are."""

_structs: Final[dict[type, Any]] = {}


def _plain(kind: Any) -> Any:
    """Return the type to decode in place of a type of the core."""
    if get_origin(kind) in (Union, types.UnionType):
        return reduce(or_, map(_plain, get_args(kind)))
    if issubclass(kind, IntEnum):
        return int
    if not hasattr(kind, "_fields"):
        return kind
    if kind not in _structs:
        hints, defaults = get_type_hints(kind), kind._field_defaults
        _structs[kind] = msgspec.defstruct(
            kind.__name__,
            [(name, _plain(hints[name]), *([defaults[name]] if name in defaults else []))
             for name in kind._fields],
            array_like=True, gc=False,
        )  # fmt: skip
    return _structs[kind]


STRUCTS: Final[dict[type, type]] = {kind: _plain(kind) for kind in OF_ORDERS}
"""The struct of each event of an order."""
_raw: Final = msgspec.msgpack.Decoder(_Raw)
_decoders: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    ev.EVENT_KINDS[kind]: msgspec.msgpack.Decoder(STRUCTS.get(kind, kind))
    for kind in (*OF_ORDERS, *OTHERS)
}


def decode(raw: msgspec.Raw | bytes) -> Record:
    """Decode an encoded transaction. Raises WireError."""
    try:
        seq, time_us, _, _, happened = _raw.decode(raw)
        events = [
            _decoders[kind].decode(body) if kind in _decoders else None for kind, body in happened
        ]
    except msgspec.MsgspecError as error:
        raise WireError(f"a transaction is malformed: {error}") from None
    return Record(seq, time_us, tuple(events))
