"""From transactions to rows: the arithmetic of the read model, without any SQL.

A ``Fold`` holds the state on which rows depend (running balances, order rows, the current
candles) and collects the rows of transactions until ``take`` hands them over to be written.
Events are complete in themselves, so nothing else is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from engine.core import events as ev
from engine.core.types import (
    Deposit,
    Liquidity,
    OrderTerms,
    OrdStatus,
    Route,
    Side,
    Withdrawal,
)
from engine.history.candles import CANDLE_INTERVALS_US, add_trade, new_candle
from engine.history.postings import Pair, Posting, postings
from engine.wire import Transaction

SqlRow = dict[str, Any]

_OPEN: Final = frozenset((OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED))
_NO_ROUTE: Final = Route()
_json: Final = msgspec.json.Encoder()


class HistoryFault(AssertionError):
    """A transaction is inconsistent with earlier rows: an internal fault; the projector stops."""


@dataclass(slots=True)
class Rows:
    """Rows to write. Lists are inserted, dictionaries (by primary key) inserted or updated."""

    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    """In the order of ``LedgerEntry``."""
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    """In the order of ``Fill``."""
    trades: list[SqlRow] = field(default_factory=list)
    transfers: list[SqlRow] = field(default_factory=list)
    money_events: list[SqlRow] = field(default_factory=list)
    assets: dict[str, SqlRow] = field(default_factory=dict)
    instruments: dict[str, SqlRow] = field(default_factory=dict)
    accounts: dict[str, SqlRow] = field(default_factory=dict)
    balances: dict[tuple[str, str], SqlRow] = field(default_factory=dict)
    orders: dict[int, SqlRow] = field(default_factory=dict)
    client_ids: dict[tuple[str, str], SqlRow] = field(default_factory=dict)
    candles: dict[tuple[str, int, int], SqlRow] = field(default_factory=dict)
    deposits: dict[str, SqlRow] = field(default_factory=dict)
    withdrawals: dict[int, SqlRow] = field(default_factory=dict)


class Place(NamedTuple):
    """The position of an event, for its rows."""

    seq: int
    event_index: int
    account_seq: int
    time_us: int


class Fold:
    """The state on which rows depend, and the rows not yet written."""

    def __init__(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.balances: dict[tuple[str, str], SqlRow] = {}
        self.candles: dict[tuple[str, int], SqlRow] = {}
        """The newest candle of each symbol and interval; time never goes back."""
        self.rows = Rows()

    def take(self) -> Rows:
        """Return the collected rows and start a new collection."""
        rows, self.rows = self.rows, Rows()
        return rows

    def apply(self, transaction: Transaction) -> None:
        """Collect the rows of a transaction. Raises HistoryFault."""
        seq, time_us, _, happened = transaction
        for index, event in enumerate(happened):
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                place = Place(seq, index, event.account_seq, time_us)
                handler(self, event, place)
                for line, posting in enumerate(self._postings(event)):
                    self._post(posting, line, place)

    # Orders

    def accepted(self, event: ev.OrderAccepted, place: Place) -> None:
        terms = event.order
        row = self._terms(terms)
        row |= {
            "status": int(OrdStatus.NEW),
            "leaves": event.leaves,
            "cum": 0,
            "notional": 0,
            "fees": 0,
            "held": event.hold_change,
            "hold_asset": self._hold_asset(terms),
            "display": event.display,
            "triggered": False,
            "updated_at": place.time_us,
            "open": True,
            "cancel_reason": 0,
            "first_seq": place.seq,
            "last_seq": place.seq,
        }
        self.rows.orders[terms.order_id] = row
        self._name(terms)

    def filled(self, event: ev.OrderFilled, place: Place) -> None:
        terms = event.order
        row = self._changed(terms, event.status, event.leaves, event.cum, event.notional, place)
        row["display"] = event.display
        row["fees"] = event.fees
        row["held"] += event.hold_change
        pair = self._pair(terms.symbol)
        self.rows.fills.append(
            (
                event.trade_id, terms.order_id, terms.account, terms.client_order_id,
                terms.first_client_order_id, terms.strategy, terms.symbol, int(terms.side),
                event.last_qty, event.last_price, int(event.liquidity), event.cash, event.fee,
                pair.quote, place.time_us, place.seq, place.event_index, place.account_seq,
            )
        )  # fmt: skip
        if event.liquidity is Liquidity.TAKER:
            self._traded(event, place)

    def canceled(self, event: ev.OrderCanceled, place: Place) -> None:
        terms = event.order
        row = self._changed(terms, event.status, 0, event.cum, event.notional, place)
        row["display"] = 0
        row["cancel_reason"] = int(event.reason)
        row["held"] += event.hold_change

    def replaced(self, event: ev.OrderReplaced, place: Place) -> None:
        self._name(event.order)
        self._amended(event, place)

    def restated(self, event: ev.OrderRestated, place: Place) -> None:
        self._amended(event, place)

    def triggered(self, event: ev.OrderTriggered, place: Place) -> None:
        row = self._order(event.order)
        row["triggered"] = True
        row["leaves"] = event.leaves
        row["display"] = event.display
        row["updated_at"] = place.time_us
        row["last_seq"] = place.seq
        row["held"] += event.hold_change

    # Money

    def deposit_updated(self, event: ev.DepositUpdated, place: Place) -> None:
        row = event.deposit._asdict()
        row |= {"first_seq": place.seq, "first_index": place.event_index, "last_seq": place.seq}
        earlier = self.rows.deposits.get(event.deposit.deposit_id)
        if earlier is not None:
            row["first_seq"] = earlier["first_seq"]
            row["first_index"] = earlier["first_index"]
        self.rows.deposits[event.deposit.deposit_id] = row
        self._money_event(event, event.deposit, place)

    def withdrawal_updated(self, event: ev.WithdrawalUpdated, place: Place) -> None:
        about = event.withdrawal
        row = about._asdict()
        row["state"] = int(about.state)
        row["history"] = _json.encode(about.history).decode()
        row["last_seq"] = place.seq
        self.rows.withdrawals[about.withdrawal_id] = row
        self._money_event(event, about, place)

    def transferred(self, event: ev.Transferred, place: Place) -> None:
        self.rows.transfers.append(
            {
                "transfer_id": event.transfer_id,
                "account": event.account,
                "client_transfer_id": event.client_transfer_id,
                "other_account": event.other_account,
                "asset": event.asset,
                "change": event.change,
                "time_us": place.time_us,
                "seq": place.seq,
                "account_seq": place.account_seq,
            }
        )

    # Definitions

    def asset_defined(self, event: ev.AssetDefined, place: Place) -> None:
        self.rows.assets[event.asset] = {"asset": event.asset, "scale": event.scale}

    def instrument_defined(self, event: ev.InstrumentDefined, place: Place) -> None:
        self.pairs[event.symbol] = Pair(event.base, event.quote)
        row = event._asdict()
        del row["account"], row["account_seq"], row["band_ppm"]  # The engine has the current value.
        self.rows.instruments[event.symbol] = row

    def account_defined(self, event: ev.AccountDefined, place: Place) -> None:
        self.rows.accounts[event.account] = {"account": event.account, "firm": event.firm}

    # Parts

    def _money_event(
        self, event: ev.Event, about: Deposit | Withdrawal, place: Place
    ) -> None:
        self.rows.money_events.append(
            {
                "seq": place.seq,
                "event_index": place.event_index,
                "account": about.account,
                "time_us": place.time_us,
                "kind": ev.EVENT_KINDS[type(event)],
                "body": _json.encode(about).decode(),
            }
        )

    def _terms(self, terms: OrderTerms) -> SqlRow:
        row = terms._asdict()
        row |= (row.pop("route") or _NO_ROUTE)._asdict()
        row["side"] = int(terms.side)
        row["ord_type"] = int(terms.ord_type)
        row["tif"] = int(terms.tif)
        row["stp"] = int(terms.stp)
        return row

    def _name(self, terms: OrderTerms) -> None:
        """Index the order by its current client order id."""
        self.rows.client_ids[terms.account, terms.client_order_id] = {
            "account": terms.account,
            "client_order_id": terms.client_order_id,
            "order_id": terms.order_id,
        }

    def _pair(self, symbol: str) -> Pair:
        pair = self.pairs.get(symbol)
        if pair is None:
            raise HistoryFault(f"an event names the instrument {symbol}, which was never defined")
        return pair

    def _hold_asset(self, terms: OrderTerms) -> str:
        pair = self._pair(terms.symbol)
        return pair.quote if terms.side is Side.BUY else pair.base

    def _order(self, terms: OrderTerms) -> SqlRow:
        row = self.rows.orders.get(terms.order_id)
        if row is None:
            raise HistoryFault(f"an event names the order {terms.order_id}, never accepted")
        return row

    def _changed(
        self,
        terms: OrderTerms,
        status: OrdStatus,
        leaves: int,
        cum: int,
        notional: int,
        place: Place,
    ) -> SqlRow:
        row = self._order(terms)
        row["status"] = int(status)
        row["open"] = status in _OPEN
        row["leaves"] = leaves
        row["cum"] = cum
        row["notional"] = notional
        row["updated_at"] = place.time_us
        row["last_seq"] = place.seq
        return row

    def _amended(self, event: ev.OrderReplaced | ev.OrderRestated, place: Place) -> None:
        terms = event.order
        row = self._changed(terms, event.status, event.leaves, event.cum, event.notional, place)
        row |= self._terms(terms)
        row["display"] = event.display
        row["held"] += event.hold_change

    def _postings(self, event: ev.Event) -> list[Posting]:
        try:
            return postings(event, self.pairs)
        except KeyError as error:
            raise HistoryFault(f"an event names the instrument {error}, never defined") from None

    def _post(self, posting: Posting, line: int, place: Place) -> None:
        """Add one ledger line with the running balance after it."""
        account, asset = posting.account, posting.asset
        balance = self.balances.get((account, asset))
        if balance is None:
            balance = {"account": account, "asset": asset, "available": 0, "held": 0}
            self.balances[account, asset] = balance
        balance["available"] += posting.available_change
        balance["held"] += posting.held_change
        self.rows.balances[account, asset] = balance
        self.rows.ledger.append(
            (
                place.seq, place.event_index, line, account, asset,
                posting.available_change, posting.held_change,
                balance["available"], balance["held"], posting.cause, posting.reference,
                posting.order_id, posting.trade_id, posting.client_order_id, posting.strategy,
                0 if account[0] == "@" else place.account_seq, place.time_us,
            )
        )  # fmt: skip

    def _traded(self, event: ev.OrderFilled, place: Place) -> None:
        terms = event.order
        self.rows.trades.append(
            {
                "trade_id": event.trade_id,
                "symbol": terms.symbol,
                "price": event.last_price,
                "qty": event.last_qty,
                "cash": event.cash,
                "taker_side": int(terms.side),
                "time_us": place.time_us,
                "seq": place.seq,
            }
        )
        symbol, price = terms.symbol, event.last_price
        for interval_us in CANDLE_INTERVALS_US.values():
            start_us = place.time_us - place.time_us % interval_us
            candle = self.candles.get((symbol, interval_us))
            if candle is None or candle["start_us"] != start_us:
                candle = new_candle(symbol, interval_us, start_us, price)
                self.candles[symbol, interval_us] = candle
            add_trade(candle, price, event.last_qty, event.cash)
            self.rows.candles[symbol, interval_us, start_us] = candle


def orders_needed(transactions: Iterable[Transaction]) -> set[int]:
    """Return the orders whose stored rows the transactions need."""
    needed: set[int] = set()
    made: set[int] = set()
    for transaction in transactions:
        for event in transaction.events:
            if isinstance(event, ev.OrderAccepted):
                made.add(event.order.order_id)
            elif isinstance(event, _ORDER_CHANGES):
                needed.add(event.order.order_id)
    return needed - made


_ORDER_CHANGES: Final = (
    ev.OrderFilled,
    ev.OrderCanceled,
    ev.OrderReplaced,
    ev.OrderRestated,
    ev.OrderTriggered,
)

_HANDLERS: Final[dict[type, Callable[[Fold, Any, Place], None]]] = {
    ev.OrderAccepted: Fold.accepted,
    ev.OrderFilled: Fold.filled,
    ev.OrderCanceled: Fold.canceled,
    ev.OrderReplaced: Fold.replaced,
    ev.OrderRestated: Fold.restated,
    ev.OrderTriggered: Fold.triggered,
    ev.DepositUpdated: Fold.deposit_updated,
    ev.WithdrawalUpdated: Fold.withdrawal_updated,
    ev.Transferred: Fold.transferred,
    ev.AssetDefined: Fold.asset_defined,
    ev.InstrumentDefined: Fold.instrument_defined,
    ev.AccountDefined: Fold.account_defined,
}
