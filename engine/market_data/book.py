"""A public book: its levels and orders, the changes since a sequence number, and its checksum.

A reader keeps one number, the sequence up to which it has the book. The log of changes gives the
difference between that state and the current one, conflated; all readers share the log, so that a
slow reader costs nothing.
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import Final, NamedTuple

from sortedcontainers import SortedDict

from engine.core.instruments import Instrument
from engine.core.types import PriceLevel, Side

CHECKSUM_LEVELS: Final = 10
LOG_MAX: Final = 100_000
"""Changes kept in the log of a book; a reader behind the oldest one needs a full refresh."""
SIDES: Final = (Side.BUY, Side.SELL)


class DepthFault(AssertionError):
    """Events contradict the book that was built from them: a defect of the venue."""


class LevelChange(NamedTuple):
    """A changed level: quantity in lots and number of orders, before and now; 0 if it is absent."""

    side: Side
    price: int
    qty_before: int
    orders_before: int
    qty: int
    orders: int


class OrderEntry(NamedTuple):
    """An order as the public book shows it; ``entry_id`` is not its order id."""

    entry_id: int
    side: Side
    price: int
    qty: int


class OrderChange(NamedTuple):
    """An order whose entry is new (``qty_before`` 0), reduced, or deleted (``qty`` 0)."""

    entry_id: int
    side: Side
    price: int
    qty_before: int
    qty: int


class _LevelLog(NamedTuple):
    seq: int
    side: Side
    key: int
    qty: int
    orders: int


class _OrderLog(NamedTuple):
    seq: int
    side: Side
    key: int
    entry_id: int
    qty: int


class DepthBook:
    """Levels and orders of one instrument, in ticks and lots.

    ``log_max`` bounds the number of changes that are kept for readers that are behind.
    """

    def __init__(self, log_max: int = LOG_MAX) -> None:
        # Keys are negated prices for bids, so that the best level of a side comes first.
        self._sides: dict[Side, SortedDict] = {Side.BUY: SortedDict(), Side.SELL: SortedDict()}
        self._queues: dict[Side, dict[int, dict[int, int]]] = {Side.BUY: {}, Side.SELL: {}}
        self._levels_log: deque[_LevelLog] = deque(maxlen=log_max)
        self._orders_log: deque[_OrderLog] = deque(maxlen=log_max)
        self._levels_floor = self._orders_floor = 0
        self._found: dict[tuple[int, int], tuple[list[LevelChange], list[LevelChange]]] = {}

    # Changes, each of transaction ``seq``.

    def show(self, seq: int, side: Side, price: int, entry_id: int, qty: int) -> None:
        """Add an entry of ``qty`` lots at the end of its level's queue; O(log levels)."""
        key = -price if side is Side.BUY else price
        self._log_order(seq, side, key, entry_id, 0)
        self._queues[side].setdefault(key, {})[entry_id] = qty
        self._change(seq, side, key, qty, 1)

    def resize(self, seq: int, side: Side, price: int, entry_id: int, qty: int) -> None:
        """Change the displayed quantity of an entry, which keeps its priority; O(log levels)."""
        key = -price if side is Side.BUY else price
        queue = self._queues[side][key]
        before = queue[entry_id]
        self._log_order(seq, side, key, entry_id, before)
        queue[entry_id] = qty
        self._change(seq, side, key, qty - before, 0)

    def hide(self, seq: int, side: Side, price: int, entry_id: int) -> None:
        """Delete an entry; O(log levels)."""
        key = -price if side is Side.BUY else price
        queue = self._queues[side][key]
        before = queue.pop(entry_id)
        if not queue:
            del self._queues[side][key]
        self._log_order(seq, side, key, entry_id, before)
        self._change(seq, side, key, -before, -1)

    def forget(self, seq: int) -> None:
        """Discard the logged changes: the book is now the initial state, as of ``seq``."""
        self._levels_log.clear()
        self._orders_log.clear()
        self._levels_floor = self._orders_floor = seq
        self._found.clear()

    def _change(self, seq: int, side: Side, key: int, qty: int, orders: int) -> None:
        levels = self._sides[side]
        old_qty, old_orders = levels.get(key, (0, 0))
        level = (old_qty + qty, old_orders + orders)
        if level[0] < 0 or level[1] < 0 or (level[0] == 0) != (level[1] == 0):
            raise DepthFault(f"level {abs(key)} would hold {level[0]} lots of {level[1]} orders")
        log = self._levels_log
        if len(log) == log.maxlen:
            self._levels_floor = log[0].seq
        log.append(_LevelLog(seq, side, key, old_qty, old_orders))
        if self._found:
            self._found.clear()
        if level[0]:
            levels[key] = level
        else:
            del levels[key]

    def _log_order(self, seq: int, side: Side, key: int, entry_id: int, qty: int) -> None:
        log = self._orders_log
        if len(log) == log.maxlen:
            self._orders_floor = log[0].seq
        log.append(_OrderLog(seq, side, key, entry_id, qty))

    # The current state.

    def levels(self, side: Side, depth: int = 0) -> list[PriceLevel]:
        """Return the best ``depth`` levels of a side, best first; 0 is all. O(levels returned)."""
        items = self._sides[side].items()
        shown = items[: depth or None]
        return [PriceLevel(abs(key), qty, orders) for key, (qty, orders) in shown]

    def orders(self, side: Side, depth: int = 0) -> list[OrderEntry]:
        """Return the orders at the best ``depth`` levels in priority order; 0 is all levels."""
        queues = self._queues[side]
        return [
            OrderEntry(entry_id, side, abs(key), qty)
            for key in self._sides[side].keys()[: depth or None]
            for entry_id, qty in queues[key].items()
        ]

    def checksum(self, instrument: Instrument) -> int:
        """Return the CRC-32 of the best ten levels of both sides as decimal text.

        The text is ``price:quantity`` of the best bid, the best ask, the second bid and so on,
        joined by colons; levels that a side does not have are skipped.
        """
        bids = self.levels(Side.BUY, CHECKSUM_LEVELS)
        asks = self.levels(Side.SELL, CHECKSUM_LEVELS)
        parts: list[str] = []
        for index in range(CHECKSUM_LEVELS):
            for side in (bids, asks):
                if index < len(side):
                    level = side[index]
                    parts.append(instrument.price_text(level.price))
                    parts.append(instrument.quantity_text(level.qty))
        return zlib.crc32(":".join(parts).encode("ascii"))

    # Changes since a sequence number.

    def levels_since(
        self, seq: int, depth: int = 0
    ) -> tuple[list[LevelChange], list[LevelChange]] | None:
        """Return the changes of the best ``depth`` bid and offer levels after ``seq``; 0 is all.

        Return None if the log does not reach back that far: the reader needs a full refresh. The
        changes of a side are its deletions, then the others from the best price on, so that a
        reader that applies them in order never has more levels than ``depth``. O(depth + changes).
        """
        if seq < self._levels_floor:
            return None
        found = self._found.get((seq, depth))
        if found is None:
            before = self._levels_before(seq)
            found = (
                self._levels_changed(Side.BUY, before[Side.BUY], depth),
                self._levels_changed(Side.SELL, before[Side.SELL], depth),
            )
            self._found[seq, depth] = found
        return found

    def _levels_before(self, seq: int) -> dict[Side, dict[int, tuple[int, int]]]:
        """Return quantity and number of orders at ``seq`` of each level that has changed since."""
        before: dict[Side, dict[int, tuple[int, int]]] = {Side.BUY: {}, Side.SELL: {}}
        for change in reversed(self._levels_log):
            if change.seq <= seq:
                break
            before[change.side][change.key] = (change.qty, change.orders)
        return before

    def _levels_changed(
        self, side: Side, before: dict[int, tuple[int, int]], depth: int
    ) -> list[LevelChange]:
        """Return the changes of the best ``depth`` levels; ``before`` has the old state of each."""
        if not before:
            return []
        levels = self._sides[side]
        if depth:
            old, new = self._views(side, before, depth)
            keys = sorted(old.keys() | new.keys())
        else:
            keys = sorted(before)
            old = before
            new = {key: levels[key] for key in keys if key in levels}
        gone: list[LevelChange] = []
        rest: list[LevelChange] = []
        nothing = (0, 0)
        for key in keys:
            was, now = old.get(key, nothing), new.get(key, nothing)
            if was != now:
                change = LevelChange(side, abs(key), was[0], was[1], now[0], now[1])
                (rest if now[0] else gone).append(change)
        return gone + rest

    def _views(
        self, side: Side, before: dict[int, tuple[int, int]], depth: int
    ) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]:
        """Return the best ``depth`` levels before the changes and now.

        A level that was among the best ``depth`` is now at most as many places behind as levels
        have changed, so no more of the book needs to be looked at.
        """
        items = self._sides[side].items()[: depth + len(before)]
        known = {key: level for key, level in items if key not in before}
        known.update((key, level) for key, level in before.items() if level[0])
        old = {key: known[key] for key in sorted(known)[:depth]}
        return old, dict(items[:depth])

    def orders_since(
        self, seq: int, depth: int = 0
    ) -> tuple[list[OrderChange], list[OrderChange]] | None:
        """Return the changes of orders after ``seq``: deletions first, then reduced and new ones.

        An order that loses its priority is deleted and is new under another id. Return None if
        the log does not reach back that far.
        """
        if seq < max(self._orders_floor, self._levels_floor if depth else 0):
            return None
        before: dict[Side, dict[int, tuple[int, int]]] = {Side.BUY: {}, Side.SELL: {}}
        for change in reversed(self._orders_log):
            if change.seq <= seq:
                break
            before[change.side][change.entry_id] = (change.key, change.qty)
        levels = self._levels_before(seq) if depth else {Side.BUY: {}, Side.SELL: {}}
        return (
            self._orders_changed(Side.BUY, before[Side.BUY], levels[Side.BUY], depth),
            self._orders_changed(Side.SELL, before[Side.SELL], levels[Side.SELL], depth),
        )

    def _orders_changed(
        self,
        side: Side,
        before: dict[int, tuple[int, int]],
        levels: dict[int, tuple[int, int]],
        depth: int,
    ) -> list[OrderChange]:
        if not before:
            return []
        queues = self._queues[side]
        if depth:
            old_keys, new_keys = self._views(side, levels, depth)
            keys = old_keys.keys() | new_keys.keys()
        else:
            keys = {key for key, _ in before.values()}
            old_keys = new_keys = dict.fromkeys(keys, (0, 0))
        old: dict[int, tuple[int, int]] = {}
        new: dict[int, tuple[int, int]] = {}
        for key in sorted(keys):
            for entry_id, qty in queues.get(key, {}).items():
                if key in new_keys:
                    new[entry_id] = (key, qty)
                if key in old_keys and entry_id not in before:
                    old[entry_id] = (key, qty)
        for entry_id, (key, qty) in before.items():
            if qty and key in old_keys:
                old[entry_id] = (key, qty)
        gone = [
            OrderChange(entry_id, side, abs(key), qty, 0)
            for entry_id, (key, qty) in sorted(old.items(), key=lambda item: item[1][0])
            if entry_id not in new
        ]
        rest = []
        for entry_id, (key, qty) in new.items():
            was = old.get(entry_id, (key, 0))[1]
            if was != qty:
                rest.append(OrderChange(entry_id, side, abs(key), was, qty))
        return gone + rest
