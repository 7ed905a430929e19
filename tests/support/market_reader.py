"""What a client of market data keeps: the book of one subscription, rebuilt from W and X alone.

It is strict where a client of a firm might be lenient: an entry that changes what is not there, a
level too many, a gap in the chain, are faults.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from fix_gateway.codec.message import FixMessage

GROUP: Final = frozenset(
    ("269", "270", "271", "272", "273", "278", "37", "279", "346", "55")
)
STATISTICS: Final = frozenset("45789B")


class ReaderFault(AssertionError):
    """A message that does not fit what was told before."""


class RebuiltBook:
    """One instrument as one subscription shows it. ``depth`` 0 is the whole book.

    ``levels`` has quantity and number of orders by side and price, ``orders`` side, price and
    quantity by public id, in the priority within a level. All are the texts of the messages.
    """

    def __init__(self, symbol: str, depth: int = 0) -> None:
        self.symbol = symbol
        self.depth = depth
        self.levels: dict[tuple[str, str], tuple[str, str]] = {}
        self.orders: dict[str, tuple[str, str, str]] = {}
        self.trades: list[dict[str, str]] = []
        """Every trade told, oldest first; each has its id in "id"."""
        self.statistics: dict[str, str] = {}
        self.as_of_seq = self.book_seq = -1
        self.checksum: str = ""
        self.snapshots = self.changes = 0

    def take(self, message: FixMessage) -> None:
        """Take in a W or an X. Raises ReaderFault."""
        whole = message.msg_type == "W"
        entries = message.group("268", "269" if whole else "279", GROUP)
        if len(entries) != int(message.get("268")):
            raise ReaderFault(f"268 is {message.get('268')}, there are {len(entries)} entries")
        seq, previous = int(message.get("20024")), int(message.get("20025"))
        if whole:
            self._begin(message, seq, previous)
        elif previous != self.book_seq:
            raise ReaderFault(f"the chain is broken: {previous} after {self.book_seq}")
        else:
            self.changes += 1
        if seq < self.book_seq or int(message.get("20001")) < max(seq, self.as_of_seq):
            raise ReaderFault(f"back in time: {message.text!r} after {self.book_seq}")
        self.book_seq, self.as_of_seq = seq, int(message.get("20001"))
        self.checksum = message.get("20026")
        past: list[dict[str, str]] = []
        for entry in entries:
            if not whole and entry["55"] != self.symbol:
                raise ReaderFault(f"an entry of {entry['55']}")
            if entry["269"] == "2" and whole:
                past.insert(0, self._trade(entry))
            else:
                self._take_entry(entry, whole)
        if past:
            known = {trade["id"] for trade in self.trades}
            self.trades += [trade for trade in past if trade["id"] not in known]

    def prices(self, side: str) -> list[str]:
        """The prices of a side, 0 for bids and 1 for offers, best first."""
        found = {price for kind, price in self.levels if kind == side}
        found |= {price for kind, price, _ in self.orders.values() if kind == side}
        return sorted(found, key=Decimal, reverse=side == "0")

    def level_rows(self, side: str) -> list[tuple[str, str, int]]:
        """Price, quantity and number of orders of each level of a side, best first."""
        rows = ((price, *self.levels[side, price]) for price in self.prices(side))
        return [(price, qty, int(count)) for price, qty, count in rows]

    def order_rows(self, side: str) -> list[tuple[str, str]]:
        """Price and quantity of each order of a side, by priority."""
        by_price: dict[str, list[tuple[str, str]]] = {}
        for kind, price, qty in self.orders.values():
            if kind == side:
                by_price.setdefault(price, []).append((price, qty))
        return [row for price in self.prices(side) for row in by_price[price]]

    def _begin(self, message: FixMessage, seq: int, previous: int) -> None:
        if seq != previous or message.get("55") != self.symbol:
            raise ReaderFault(f"a W that is of another book or no beginning: {message.text!r}")
        self.snapshots += 1
        self.levels.clear()
        self.orders.clear()
        self.statistics.clear()

    def _take_entry(self, entry: dict[str, str], whole: bool) -> None:
        kind, action = entry["269"], entry.get("279", "0")
        if kind in STATISTICS:
            value = entry.get("270") or entry.get("271") or ""
            self._put(self.statistics, kind, value, action)
        elif kind == "2":
            if action != "0":
                raise ReaderFault("a trade that is not new")
            self.trades.append(self._trade(entry))
        elif name := entry.get("37" if whole else "278"):
            row = (kind, entry["270"], entry.get("271", ""))
            before = self.orders.get(name)
            if before is not None and before[:2] != row[:2]:
                raise ReaderFault(f"order {name} has moved: {before} to {row}")
            self._put(self.orders, name, row, action)
        else:
            level = (entry.get("271", ""), entry.get("346", ""))
            self._put(self.levels, (kind, entry["270"]), level, action)
            if self.depth and sum(side == kind for side, _ in self.levels) > self.depth:
                raise ReaderFault(f"more than {self.depth} levels of {kind}")

    @staticmethod
    def _put(rows: dict, name: object, value: object, action: str) -> None:  # type: ignore[type-arg]
        if (name in rows) != (action != "0"):
            raise ReaderFault(f"279={action} of {name}, which is {rows.get(name, 'not there')}")
        if action == "2":
            del rows[name]
        else:
            rows[name] = value

    @staticmethod
    def _trade(entry: dict[str, str]) -> dict[str, str]:
        return entry | {"id": entry.get("278") or entry["37"]}
