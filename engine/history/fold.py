"""From transactions to rows: the arithmetic of the read model, without any SQL.

A ``Fold`` holds the state on which rows depend (running balances, the current candles) and
collects the rows of transactions until ``take`` hands them over to be written. Events are
complete in themselves, so nothing else is needed: of an order that was stored before, only what
accumulates (fees, held money) is handed over as a change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from engine.core import events as ev
from engine.core.types import Deposit, Liquidity, OrdStatus, Side, Withdrawal
from engine.history.candles import CANDLE_INTERVALS_US, Minute, add_minute, new_candle
from engine.history.collected import Rows, SqlRow, States, terms_row
from engine.history.decoding import STRUCTS, Happened
from engine.history.postings import FEES_ACCOUNT, Pair, postings

_OPEN: Final = frozenset((OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED))
_NEW: Final = int(OrdStatus.NEW)
_BUY: Final = Side.BUY
_TAKER: Final = Liquidity.TAKER
_TRIGGERED, _FEES, _HELD = 9, 10, 11
"""Where these are among ``collected.STATE``."""
_json: Final = msgspec.json.Encoder()


class HistoryFault(AssertionError):
    """A transaction is inconsistent with earlier rows: an internal fault; the projector stops."""


class Fold:
    """The state on which rows depend, and the rows not yet written."""

    def __init__(self) -> None:
        self.pairs: dict[str, Pair] = {}
        self.balances: dict[tuple[str, str], list[int]] = {}
        """Available and held, by account and asset."""
        self.candles: dict[tuple[str, int], SqlRow] = {}
        """The newest candle of each symbol and interval; time never goes back."""
        self.rows = Rows()
        self._minutes: dict[str, Minute] = {}
        """What was traded of each symbol and is not in its candles yet."""

    def take(self) -> Rows:
        """Return the collected rows and start a new collection."""
        for symbol, minute in self._minutes.items():
            self._add_minute(symbol, minute)
        self._minutes.clear()
        rows, self.rows = self.rows, Rows()
        return rows

    def apply(self, transaction: Happened) -> None:
        """Collect the rows of a transaction. Raises HistoryFault."""
        seq, time_us = transaction.seq, transaction.time_us
        for index, event in enumerate(transaction.events):
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                handler(self, event, seq, index, time_us)

    # Orders

    def accepted(self, event: ev.OrderAccepted, seq: int, index: int, time_us: int) -> None:
        terms, hold_change = event.order, event.hold_change
        rows, order_id = self.rows, terms.order_id
        asset = self._hold_asset(terms.symbol, terms.side)
        rows.orders[order_id] = (*terms_row(terms), asset, seq)
        rows.states[order_id] = [
            _NEW, event.leaves, 0, 0, event.display, time_us, True, 0, seq, False, 0, hold_change
        ]  # fmt: skip
        rows.client_ids[terms.account, terms.client_order_id] = order_id
        if hold_change:
            self._held(event, asset, "order_hold", seq, index, time_us)

    def filled(self, event: ev.OrderFilled, seq: int, index: int, time_us: int) -> None:
        terms, hold_change = event.order, event.hold_change
        status, qty, price, cash = event.status, event.last_qty, event.last_price, event.cash
        fee, trade_id, account_seq = event.fee, event.trade_id, event.account_seq
        order_id, account, symbol, side = terms.order_id, terms.account, terms.symbol, terms.side
        client_order_id, strategy = terms.client_order_id, terms.strategy
        state = self._state(order_id)
        state[:9] = (
            int(status), event.leaves, event.cum, event.notional, event.display, time_us,
            status in _OPEN, 0, seq,
        )  # fmt: skip
        state[_FEES] += fee
        state[_HELD] += hold_change
        base, quote = self._pair(symbol)
        self.rows.fills.append(
            (
                trade_id, order_id, account, client_order_id, terms.first_client_order_id,
                strategy, symbol, int(side), qty, price, int(event.liquidity), cash, fee, quote,
                time_us, seq, index, account_seq,
            )
        )  # fmt: skip
        if side == _BUY:
            paid, cost, got, gain = quote, cash, base, event.base_amount
        else:
            paid, cost, got, gain = base, event.base_amount, quote, cash
        reference = f"trade:{trade_id}"
        line = 0
        for owner, asset, change, held, cause in (
            (account, paid, -cost - hold_change, hold_change, "fill"),
            (account, got, gain, 0, "fill"),
            (account, quote, -fee, 0, "fee"),
            (FEES_ACCOUNT, quote, fee, 0, "fee"),
        ):
            if change or held:
                available, holds = self._balance(owner, asset, change, held)
                self.rows.ledger.append(
                    (
                        seq, index, line, owner, asset, change, held, available, holds, cause,
                        reference, order_id, trade_id, client_order_id, strategy,
                        account_seq if owner is account else 0, time_us,
                    )
                )  # fmt: skip
                line += 1
        if event.liquidity == _TAKER:
            self.rows.trades.append(
                (trade_id, symbol, price, qty, cash, int(side), time_us, seq)
            )
            minute = self._minutes.get(symbol)
            if minute is None or time_us >= minute.end_us:
                if minute is not None:
                    self._add_minute(symbol, minute)
                minute = self._minutes[symbol] = Minute(time_us, price)
            minute.add(price, qty, cash)

    def canceled(self, event: ev.OrderCanceled, seq: int, index: int, time_us: int) -> None:
        terms, hold_change = event.order, event.hold_change
        state = self._state(terms.order_id)
        state[:9] = (
            int(event.status), 0, event.cum, event.notional, 0, time_us, event.status in _OPEN,
            int(event.reason), seq,
        )  # fmt: skip
        if hold_change:
            state[_HELD] += hold_change
            asset = self._hold_asset(terms.symbol, terms.side)
            self._held(event, asset, "order_release", seq, index, time_us)

    def replaced(self, event: ev.OrderReplaced, seq: int, index: int, time_us: int) -> None:
        terms = event.order
        self.rows.client_ids[terms.account, terms.client_order_id] = terms.order_id
        self.amended(event, seq, index, time_us)

    def amended(
        self, event: ev.OrderReplaced | ev.OrderRestated, seq: int, index: int, time_us: int
    ) -> None:
        terms, hold_change = event.order, event.hold_change
        rows, order_id = self.rows, terms.order_id
        state = self._state(order_id)
        state[:9] = (
            int(event.status), event.leaves, event.cum, event.notional, event.display, time_us,
            event.status in _OPEN, 0, seq,
        )  # fmt: skip
        new = rows.orders.get(order_id)
        if new is None:
            rows.amended[order_id] = terms_row(terms)
        else:
            rows.orders[order_id] = (*terms_row(terms), *new[-2:])
        if hold_change:
            state[_HELD] += hold_change
            asset = self._hold_asset(terms.symbol, terms.side)
            self._held(event, asset, "order_change", seq, index, time_us)

    def triggered(self, event: ev.OrderTriggered, seq: int, index: int, time_us: int) -> None:
        terms, hold_change = event.order, event.hold_change
        state = self._state(terms.order_id)
        # A stop waits outside the book: it is new until now.
        state[:9] = (_NEW, event.leaves, 0, 0, event.display, time_us, True, 0, seq)
        state[_TRIGGERED] = True
        if hold_change:
            state[_HELD] += hold_change
            asset = self._hold_asset(terms.symbol, terms.side)
            self._held(event, asset, "order_hold", seq, index, time_us)

    # Money

    def deposit_updated(self, event: ev.DepositUpdated, seq: int, index: int, time_us: int) -> None:
        row = event.deposit._asdict()
        row |= {"first_seq": seq, "first_index": index, "last_seq": seq}
        earlier = self.rows.deposits.get(event.deposit.deposit_id)
        if earlier is not None:
            row["first_seq"] = earlier["first_seq"]
            row["first_index"] = earlier["first_index"]
        self.rows.deposits[event.deposit.deposit_id] = row
        self._money_event(event, event.deposit, seq, index, time_us)
        self._post(event, seq, index, time_us)

    def withdrawal_updated(
        self, event: ev.WithdrawalUpdated, seq: int, index: int, time_us: int
    ) -> None:
        about = event.withdrawal
        row = about._asdict()
        row["state"] = int(about.state)
        row["history"] = _json.encode(about.history).decode()
        row["last_seq"] = seq
        self.rows.withdrawals[about.withdrawal_id] = row
        self._money_event(event, about, seq, index, time_us)
        self._post(event, seq, index, time_us)

    def transferred(self, event: ev.Transferred, seq: int, index: int, time_us: int) -> None:
        row = event._asdict() | {"time_us": time_us, "seq": seq}
        self.rows.transfers.append(row)
        self._post(event, seq, index, time_us)

    # Definitions

    def asset_defined(self, event: ev.AssetDefined, seq: int, index: int, time_us: int) -> None:
        self.rows.assets[event.asset] = {"asset": event.asset, "scale": event.scale}

    def instrument_defined(
        self, event: ev.InstrumentDefined, seq: int, index: int, time_us: int
    ) -> None:
        self.pairs[event.symbol] = Pair(event.base, event.quote)
        row = event._asdict()
        del row["account"], row["account_seq"], row["band_ppm"]  # The engine has the current value.
        self.rows.instruments[event.symbol] = row

    def account_defined(self, event: ev.AccountDefined, seq: int, index: int, time_us: int) -> None:
        self.rows.accounts[event.account] = {"account": event.account, "firm": event.firm}

    # Parts

    def _state(self, order_id: int) -> States:
        """Return the state of an order, or what changes of it, to be written."""
        state = self.rows.states.get(order_id)
        if state is None:
            state = self.rows.states[order_id] = [0, 0, 0, 0, 0, 0, True, 0, 0, False, 0, 0]
        return state

    def _pair(self, symbol: str) -> Pair:
        pair = self.pairs.get(symbol)
        if pair is None:
            raise HistoryFault(f"an event names the instrument {symbol}, which was never defined")
        return pair

    def _hold_asset(self, symbol: str, side: Side) -> str:
        base, quote = self._pair(symbol)
        return quote if side == _BUY else base

    def _balance(self, account: str, asset: str, change: int, held: int) -> list[int]:
        """Change a balance; return it as it is then."""
        key = (account, asset)
        balance = self.balances.get(key)
        if balance is None:
            balance = self.balances[key] = [0, 0]
        balance[0] += change
        balance[1] += held
        self.rows.balances[key] = balance
        return balance

    def _held(
        self, event: Any, asset: str, cause: str, seq: int, index: int, time_us: int
    ) -> None:
        """Add the ledger line of an order's hold, which is the only one of its event."""
        terms, change = event.order, event.hold_change
        account, order_id = terms.account, terms.order_id
        available, holds = self._balance(account, asset, -change, change)
        self.rows.ledger.append(
            (
                seq, index, 0, account, asset, -change, change, available, holds, cause,
                f"order:{order_id}", order_id, 0, terms.client_order_id, terms.strategy,
                event.account_seq, time_us,
            )
        )  # fmt: skip

    def _post(self, event: ev.Event, seq: int, index: int, time_us: int) -> None:
        """Add the ledger lines of an event that concerns no order."""
        for line, posting in enumerate(postings(event, self.pairs)):
            account, asset, change, held, cause, reference, *about = posting
            available, holds = self._balance(account, asset, change, held)
            self.rows.ledger.append(
                (
                    seq, index, line, account, asset, change, held, available, holds, cause,
                    reference, *about, 0 if account[0] == "@" else event.account_seq, time_us,
                )
            )  # fmt: skip

    def _money_event(
        self, event: ev.Event, about: Deposit | Withdrawal, seq: int, index: int, time_us: int
    ) -> None:
        self.rows.money_events.append(
            {
                "seq": seq,
                "event_index": index,
                "account": about.account,
                "time_us": time_us,
                "kind": ev.EVENT_KINDS[type(event)],
                "body": _json.encode(about).decode(),
            }
        )

    def _add_minute(self, symbol: str, minute: Minute) -> None:
        """Add what was traded to the candles of a symbol."""
        start_us = minute.start_us
        for interval_us in CANDLE_INTERVALS_US.values():
            candle = self.candles.get((symbol, interval_us))
            if candle is None or candle["start_us"] != start_us - start_us % interval_us:
                candle = new_candle(symbol, interval_us, minute)
                self.candles[symbol, interval_us] = candle
            add_minute(candle, minute)
            self.rows.candles[symbol, interval_us, candle["start_us"]] = candle


_EVENTS: Final[dict[type, Callable[[Fold, Any, int, int, int], None]]] = {
    ev.OrderAccepted: Fold.accepted,
    ev.OrderFilled: Fold.filled,
    ev.OrderCanceled: Fold.canceled,
    ev.OrderReplaced: Fold.replaced,
    ev.OrderRestated: Fold.amended,
    ev.OrderTriggered: Fold.triggered,
    ev.DepositUpdated: Fold.deposit_updated,
    ev.WithdrawalUpdated: Fold.withdrawal_updated,
    ev.Transferred: Fold.transferred,
    ev.AssetDefined: Fold.asset_defined,
    ev.InstrumentDefined: Fold.instrument_defined,
    ev.AccountDefined: Fold.account_defined,
}
_HANDLERS: Final = _EVENTS | {
    struct: _EVENTS[event] for event, struct in STRUCTS.items()
}
"""Of each event, and of its struct."""
