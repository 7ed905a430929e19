"""What clients were told, held to an exchange that replays the same transactions."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from engine.core import events as ev
from engine.core.exchange import Exchange
from engine.core.types import Liquidity
from engine.market_data.day import day_of
from engine.server.rows import book_orders
from engine.wire import Transaction
from fix_gateway.codec.message import FixMessage
from tests.support.market_reader import ReaderFault, RebuiltBook

FINDINGS_MAX: Final = 20
RECENT: Final = 50
WHOLE: Final = 100_000


@dataclass(slots=True)
class Asked:
    """A request that a client has sent."""

    request_id: str
    symbols: tuple[str, ...]
    kinds: str
    kind: str
    depth: int
    incremental: bool
    aggregated: bool
    ended: bool = False


@dataclass(slots=True)
class Told:
    """What one client was told of one instrument under one MDReqID."""

    client: str
    asked: Asked
    symbol: str
    messages: list[FixMessage] = field(default_factory=list)
    rebuilt: RebuiltBook = field(init=False)
    begun_at: int = -1
    first_trade: int = 0
    """Which of the instrument's trades was the oldest that the first W told."""
    trades_checked: int = 0

    def __post_init__(self) -> None:
        self.rebuilt = RebuiltBook(self.symbol, self.asked.depth)


@dataclass(slots=True)
class Checked:
    """What was compared, and what was wrong."""

    findings: list[str] = field(default_factory=list)
    messages: int = 0
    snapshots: int = 0
    books: int = 0
    empty: int = 0
    halted: int = 0
    queries: int = 0
    trades: int = 0
    checksums: int = 0
    transactions: int = 0

    def wrong(self, text: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text[:1_500])


def sort_out(client: str, texts: Iterable[str], asked: dict[str, Asked]) -> list[Told]:
    """W and X by MDReqID and instrument, in their order. Raises ReaderFault for others' X."""
    found: dict[tuple[str, str], Told] = {}
    for text in texts:
        message = FixMessage(text)
        if message.msg_type not in ("W", "X"):
            continue
        request_id = message.get("262")
        request = asked.get(request_id)
        if request is None:
            raise ReaderFault(f"{client} was told of {request_id}, which was never asked for")
        symbol = message.get("55")
        told = found.get((request_id, symbol))
        if told is None:
            if message.msg_type == "X" or symbol not in request.symbols:
                raise ReaderFault(f"{client} is told of {symbol} without a W: {text!r}")
            told = found[request_id, symbol] = Told(client, request, symbol)
        told.messages.append(message)
    return list(found.values())


@dataclass(slots=True)
class Sample:
    """A book that was asked for: of the engine or over REST, levels as text."""

    symbol: str
    seq: int
    bids: list[tuple[str, str, int]]
    asks: list[tuple[str, str, int]]
    depth: int
    source: str


class Replay:
    """An exchange that does every transaction again, and the trades and the day of it."""

    def __init__(self, day_roll_us: int) -> None:
        self.exchange = Exchange()
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self._day_roll_us = day_roll_us
        self._time_us = 0

    def apply(self, transaction: Transaction) -> None:
        """Do one transaction again."""
        self._time_us = transaction.time_us
        events = self.exchange.apply(transaction.seq, transaction.time_us, transaction.command)
        assert tuple(events) == tuple(transaction.events), f"{transaction.seq} differs"
        for event in events:
            if isinstance(event, ev.OrderFilled) and event.liquidity is Liquidity.TAKER:
                self.trades.setdefault(event.order.symbol, []).append({
                    "id": str(event.trade_id), "price": event.last_price, "qty": event.last_qty,
                    "seq": transaction.seq, "time_us": transaction.time_us,
                })  # fmt: skip

    def rows(self, symbol: str, side: str, depth: int) -> list[tuple[str, str, int]]:
        """The levels of a side as texts."""
        book = self.exchange.books[symbol]
        one, levels = book.instrument, book.bids if side == "0" else book.asks
        return [
            (one.price_text(level.price), one.quantity_text(level.qty), level.orders)
            for level in levels.depth(depth or WHOLE)
        ]

    def order_rows(self, symbol: str, side: str, depth: int) -> list[tuple[str, str]]:
        """The orders of a side by priority, as texts."""
        book = self.exchange.books[symbol]
        prices = {price for price, _, _ in self.rows(symbol, side, depth)}
        wanted = 1 if side == "0" else 2
        rows = (
            (book.instrument.price_text(order.price), book.instrument.quantity_text(order.qty))
            for order in book_orders(book).orders
            if int(order.side) == wanted
        )
        return [row for row in rows if row[0] in prices]

    def checksum(self, symbol: str) -> str:
        """CRC-32 of the best ten levels, by the words of the WebSocket's description."""
        sides = self.rows(symbol, "0", 10), self.rows(symbol, "1", 10)
        parts = [
            text
            for index in range(10)
            for side in sides
            if index < len(side)
            for text in side[index][:2]
        ]
        return str(zlib.crc32(":".join(parts).encode("ascii")))

    def statistics(self, symbol: str) -> dict[str, str]:
        """Opening, high, low and volume of the day of the newest transaction."""
        one = self.exchange.books[symbol].instrument
        today = day_of(self._time_us, self._day_roll_us)
        trades = [
            trade for trade in self.trades.get(symbol, ())
            if day_of(trade["time_us"], self._day_roll_us) == today
        ]  # fmt: skip
        if not trades:
            return {}
        prices = [trade["price"] for trade in trades]
        return {
            "4": one.price_text(prices[0]), "7": one.price_text(max(prices)),
            "8": one.price_text(min(prices)),
            "B": one.quantity_text(sum(trade["qty"] for trade in trades)),
        }  # fmt: skip


def check(
    transactions: list[Transaction], told: list[Told], samples: list[Sample], day_roll_us: int
) -> Checked:
    """Hold every message to the exchange at its EngineSeq(20001), and every sample to its own."""
    checked, replay = Checked(transactions=len(transactions)), Replay(day_roll_us)
    by_seq: dict[int, list[tuple[Told, FixMessage]]] = {}
    for one in told:
        for message in one.messages:
            by_seq.setdefault(int(message.get("20001")), []).append((one, message))
    samples_at: dict[int, list[Sample]] = {}
    for sample in samples:
        samples_at.setdefault(sample.seq, []).append(sample)
    for transaction in transactions:
        replay.apply(transaction)
        for one, message in by_seq.pop(transaction.seq, ()):
            _check_message(checked, replay, one, message)
        for sample in samples_at.pop(transaction.seq, ()):
            checked.queries += 1
            if (
                replay.rows(sample.symbol, "0", sample.depth) != sample.bids
                or replay.rows(sample.symbol, "1", sample.depth) != sample.asks
            ):
                checked.wrong(f"{sample.source} of {sample.symbol} differs at {sample.seq}")
    if by_seq or samples_at:
        checked.wrong(f"messages of sequences that are none: {sorted(by_seq)[:5]}")
    for one in told:
        if one.asked.kind == "1" and not one.asked.ended:
            _check_end(checked, replay, one)
    return checked


def _check_message(
    checked: Checked, replay: Replay, one: Told, message: FixMessage
) -> None:
    asked, rebuilt, symbol = one.asked, one.rebuilt, one.symbol
    where = f"{one.client} {asked.request_id} {symbol} at {message.get('20001')}"
    checked.messages += 1
    checked.snapshots += message.msg_type == "W"
    try:
        rebuilt.take(message)
    except (ReaderFault, KeyError, ValueError) as error:
        checked.wrong(f"{where}: {error!r} of {message.text!r}")
        return
    if one.begun_at < 0:
        one.begun_at = rebuilt.as_of_seq
        _check_past(checked, replay, one, where)
    if not asked.incremental and message.msg_type == "X":
        checked.wrong(f"{where}: an X where W was asked for each time")
    _check_book(checked, replay, one, where)
    expected = replay.checksum(symbol) if has_checksum(asked) else ""
    checked.checksums += bool(expected)
    if rebuilt.checksum != expected:
        checked.wrong(f"{where}: 20026 is {rebuilt.checksum!r}, right is {expected!r}")
    _check_trades(checked, replay, one, where)
    right = replay.statistics(symbol)
    for kind in "478B":
        if kind in asked.kinds and rebuilt.statistics.get(kind) != right.get(kind):
            checked.wrong(
                f"{where}: statistic {kind} is {rebuilt.statistics.get(kind)}, "
                f"right is {right.get(kind)}"
            )


def has_checksum(asked: Asked) -> bool:
    """Whether a subscription shows the best ten levels of both sides."""
    ten = not asked.depth or asked.depth >= 10
    return asked.aggregated and {"0", "1"} <= set(asked.kinds) and ten


def _check_book(checked: Checked, replay: Replay, one: Told, where: str) -> None:
    asked, rebuilt = one.asked, one.rebuilt
    checked.books += 1
    shows = False
    for side in "01":
        if side not in asked.kinds:
            if rebuilt.prices(side):
                checked.wrong(f"{where}: side {side} was not asked for")
            continue
        right: Any
        if asked.aggregated:
            right, found = replay.rows(one.symbol, side, asked.depth), rebuilt.level_rows(side)
        else:
            right = replay.order_rows(one.symbol, side, asked.depth)
            found = rebuilt.order_rows(side)  # type: ignore[assignment]
        shows = shows or bool(right)
        if found != right:
            checked.wrong(f"{where}: side {side} is {found[:4]}…, right is {right[:4]}…")
    checked.empty += not shows and bool(set(asked.kinds) & {"0", "1"})
    checked.halted += int(replay.exchange.books[one.symbol].status) == 2


def _check_past(checked: Checked, replay: Replay, one: Told, where: str) -> None:
    """A W begins with the last trades, where trades are asked for."""
    every = replay.trades.get(one.symbol, [])
    right = every[-RECENT:] if "2" in one.asked.kinds else []
    one.first_trade = max(0, len(every) - RECENT)
    if [trade["id"] for trade in one.rebuilt.trades] != [trade["id"] for trade in right]:
        checked.wrong(
            f"{where}: past trades {[t['id'] for t in one.rebuilt.trades][-5:]}, "
            f"right {[t['id'] for t in right][-5:]}"
        )


def _check_trades(checked: Checked, replay: Replay, one: Told, where: str) -> None:
    """Every trade since the beginning was told once, in order, with its terms."""
    if "2" not in one.asked.kinds:
        return
    instrument = replay.exchange.books[one.symbol].instrument
    right = replay.trades.get(one.symbol, [])
    wanted = [
        (trade["id"], instrument.price_text(trade["price"]), instrument.quantity_text(trade["qty"]))
        for trade in right[one.first_trade + one.trades_checked :]
    ]
    found = [
        (trade["id"], trade["270"], trade["271"])
        for trade in one.rebuilt.trades[one.trades_checked :]
    ]
    checked.trades += len(found)
    one.trades_checked = len(one.rebuilt.trades)
    if found != wanted:
        checked.wrong(f"{where}: new trades {found[:5]}, right {wanted[:5]}")


def _check_end(checked: Checked, replay: Replay, one: Told) -> None:
    """Nothing that was to be told is missing at the end."""
    _check_book(checked, replay, one, f"{one.client} {one.asked.request_id} at the end")
    _check_trades(checked, replay, one, f"{one.client} {one.asked.request_id} at the end")
