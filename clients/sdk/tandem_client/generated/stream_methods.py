# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""A method for each operation of the stream, for threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from tandem_client.document import Document
from tandem_client.generated.models import (
    AccountsView,
    AssetsView,
    BalancesView,
    BatchView,
    BookView,
    CancelAllView,
    CandlesView,
    DeadMansSwitchView,
    FeesView,
    FillsView,
    HoldsView,
    InstrumentsView,
    LedgerView,
    LimitsView,
    OrderAnswer,
    OrdersView,
    TickersView,
    TradesView,
)
from tandem_client.generated.requests import BatchCancel, BatchCreate, BatchReplace
from tandem_client.values import Amount, Instant, Side

D = TypeVar("D", bound=Document)
Members = Mapping[str, Any]


class StreamOperations(ABC):
    """The operations of the account API that the stream has too, for threads."""

    @abstractmethod
    def _operate(
        self, op: str, operation: str, answer: type[D], params: Members
    ) -> D: ...

    def create_order(
        self,
        *,
        client_order_id: str,
        symbol: str,
        side: Side,
        account: str | None = None,
        type: Literal["limit", "market", "stop", "stop_limit"] | None = None,
        quantity: Amount | None = None,
        cash_quantity: Amount | None = None,
        price: Amount | None = None,
        stop_price: Amount | None = None,
        min_quantity: Amount | None = None,
        display_quantity: Amount | None = None,
        time_in_force: Literal["day", "fok", "gtc", "gtd", "ioc"] | None = None,
        expire_at: Instant | None = None,
        post_only: bool | None = None,
        self_trade_prevention: Literal["cancel_both", "cancel_newest", "cancel_oldest", "decrement", "none"] | None = None,
        strategy: str | None = None,
        manual: bool | None = None,
        expires_at: Instant | None = None,
    ) -> OrderAnswer:
        """Create an order. An identical repeat: 200, the original, and `Idempotent-Replayed`.

        An order to create.

        `time_in_force` defaults to gtc for orders with a price and to ioc for market orders.
        `expires_at` is the request's deadline: after it the order is refused with 408.
        """
        return self._operate(
            "create_order", "create_order", OrderAnswer,
            params={
                "account": account,
                "client_order_id": client_order_id,
                "symbol": symbol,
                "side": side,
                "type": type,
                "quantity": quantity,
                "cash_quantity": cash_quantity,
                "price": price,
                "stop_price": stop_price,
                "min_quantity": min_quantity,
                "display_quantity": display_quantity,
                "time_in_force": time_in_force,
                "expire_at": expire_at,
                "post_only": post_only,
                "self_trade_prevention": self_trade_prevention,
                "strategy": strategy,
                "manual": manual,
                "expires_at": expires_at,
            },
        )

    def replace_order(
        self,
        order: str,
        *,
        account: str | None = None,
        request_id: str | None = None,
        client_order_id: str | None = None,
        quantity: Amount | None = None,
        price: Amount | None = None,
        stop_price: Amount | None = None,
        display_quantity: Amount | None = None,
        time_in_force: Literal["day", "fok", "gtc", "gtd", "ioc"] | None = None,
        expire_at: Instant | None = None,
        expires_at: Instant | None = None,
    ) -> OrderAnswer:
        """Change an order; `priority_kept` says whether it kept its place in the queue.

        Changes to an open order; what is absent stays. `quantity` includes what is executed.

        `client_order_id` gives the order a new client id; the old ones still find it. With a
        `request_id` an identical repeat is answered with the original response.
        """
        return self._operate(
            "replace_order", "replace_order", OrderAnswer,
            params={
                "order": order,
                "account": account,
                "request_id": request_id,
                "client_order_id": client_order_id,
                "quantity": quantity,
                "price": price,
                "stop_price": stop_price,
                "display_quantity": display_quantity,
                "time_in_force": time_in_force,
                "expire_at": expire_at,
                "expires_at": expires_at,
            },
        )

    def cancel_order(
        self,
        order: str,
        *,
        account: str | None = None,
    ) -> OrderAnswer:
        """Cancel an order; one that was canceled before is answered with its final state."""
        return self._operate(
            "cancel_order", "cancel_order", OrderAnswer,
            params={
                "order": order,
                "account": account,
            },
        )

    def cancel_all(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        strategy: str | None = None,
    ) -> CancelAllView:
        """Cancel every open order that matches all filters; it succeeds also if none does."""
        return self._operate(
            "cancel_all", "cancel_all", CancelAllView,
            params={
                "account": account,
                "symbol": symbol,
                "side": side,
                "strategy": strategy,
            },
        )

    def submit_batch(
        self,
        *,
        operations: list[BatchCreate | BatchReplace | BatchCancel],
        account: str | None = None,
        mode: Literal["independent", "validate_all"] | None = None,
        batch_id: str | None = None,
        expires_at: Instant | None = None,
    ) -> BatchView:
        """Do up to 50 operations in order, with one result for each, at its index. An operation
        that is refused does not stop the others, unless `mode` is `validate_all`.

        Up to 50 operations over any symbols, done in order in one turn of the engine.
        """
        return self._operate(
            "batch", "submit_batch", BatchView,
            params={
                "account": account,
                "operations": operations,
                "mode": mode,
                "batch_id": batch_id,
                "expires_at": expires_at,
            },
        )

    def set_dead_mans_switch(
        self,
        *,
        timeout_s: int,
        account: str | None = None,
        strategy: str | None = None,
    ) -> DeadMansSwitchView:
        """Cancel all orders (of one strategy, if given) unless this is repeated in time.

        Cancel all orders (of one strategy, if given) unless this comes again in time.
        """
        return self._operate(
            "set_dead_mans_switch", "set_dead_mans_switch", DeadMansSwitchView,
            params={
                "account": account,
                "timeout_s": timeout_s,
                "strategy": strategy,
            },
        )

    def get_order(
        self,
        order: str,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> OrderAnswer:
        """Get one order, open or closed, by its id or as `client:<client_order_id>`."""
        return self._operate(
            "get_order", "get_order", OrderAnswer,
            params={
                "order": order,
                "account": account,
                "min_seq": min_seq,
            },
        )

    def get_orders(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        status: Literal["all", "closed", "open"] | None = None,
        sort: Literal["newest", "oldest"] | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        strategy: str | None = None,
        client_order_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> OrdersView:
        """List orders by status, symbol, side, strategy or client order id; the oldest come
        first.
        """
        return self._operate(
            "get_orders", "get_orders", OrdersView,
            params={
                "account": account,
                "min_seq": min_seq,
                "status": status,
                "sort": sort,
                "symbol": symbol,
                "side": side,
                "strategy": strategy,
                "client_order_id": client_order_id,
                "cursor": cursor,
                "limit": limit,
            },
        )

    def get_fills(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        client_order_id: str | None = None,
        order_id: str | None = None,
        after_trade_id: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> FillsView:
        """List fills, ascending by trade id; a symbol and the last trade id are enough to sync."""
        return self._operate(
            "get_fills", "get_fills", FillsView,
            params={
                "account": account,
                "min_seq": min_seq,
                "symbol": symbol,
                "strategy": strategy,
                "client_order_id": client_order_id,
                "order_id": order_id,
                "after_trade_id": after_trade_id,
                "cursor": cursor,
                "limit": limit,
            },
        )

    def get_balances(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        asset: str | None = None,
    ) -> BalancesView:
        """Get posted, held, available and pending money; `min_seq` waits, bounded, for a
        sequence.
        """
        return self._operate(
            "get_balances", "get_balances", BalancesView,
            params={
                "account": account,
                "min_seq": min_seq,
                "asset": asset,
            },
        )

    def get_holds(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> HoldsView:
        """Get the money held for open orders and withdrawals, hold by hold."""
        return self._operate(
            "get_holds", "get_holds", HoldsView,
            params={
                "account": account,
                "min_seq": min_seq,
            },
        )

    def get_ledger(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        asset: str | None = None,
    ) -> LedgerView:
        """List every change of the account's money, ascending, with the balance after it."""
        return self._operate(
            "get_ledger", "get_ledger", LedgerView,
            params={
                "account": account,
                "min_seq": min_seq,
                "cursor": cursor,
                "limit": limit,
                "asset": asset,
            },
        )

    def get_fees(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> FeesView:
        """Get trading fees as a fraction of the notional, and the networks' withdrawal fees."""
        return self._operate(
            "get_fees", "get_fees", FeesView,
            params={
                "account": account,
                "min_seq": min_seq,
            },
        )

    def get_limits(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> LimitsView:
        """Get the account's limits, and how much of each is used and left."""
        return self._operate(
            "get_limits", "get_limits", LimitsView,
            params={
                "account": account,
                "min_seq": min_seq,
            },
        )

    def get_instruments(self) -> InstrumentsView:
        """List every instrument: tick, lot, limits, status and last price."""
        return self._operate(
            "get_instruments", "get_instruments", InstrumentsView,
            params={},
        )

    def get_assets(self) -> AssetsView:
        """List every asset."""
        return self._operate(
            "get_assets", "get_assets", AssetsView,
            params={},
        )

    def get_book(
        self,
        symbol: str,
        *,
        depth: int | None = None,
    ) -> BookView:
        """Get the depth of one instrument, as of `as_of_seq`."""
        return self._operate(
            "get_book", "get_book", BookView,
            params={
                "symbol": symbol,
                "depth": depth,
            },
        )

    def get_trades(
        self,
        *,
        symbol: str,
        after_trade_id: int | None = None,
        limit: int | None = None,
    ) -> TradesView:
        """List public trades: the newest, or ascending after `after_trade_id` (exclusive)."""
        return self._operate(
            "get_trades", "get_trades", TradesView,
            params={
                "symbol": symbol,
                "after_trade_id": after_trade_id,
                "limit": limit,
            },
        )

    def get_candles(
        self,
        *,
        symbol: str,
        interval: Literal["15m", "1d", "1h", "1m", "4h", "5m"] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        limit: int | None = None,
    ) -> CandlesView:
        """List candles: the newest, or ascending from `start`."""
        return self._operate(
            "get_candles", "get_candles", CandlesView,
            params={
                "symbol": symbol,
                "interval": interval,
                "start": start,
                "end": end,
                "limit": limit,
            },
        )

    def get_tickers(
        self,
        *,
        symbol: str | None = None,
    ) -> TickersView:
        """Get price change, high, low and volume of the last 24 hours, of one or every
        instrument.
        """
        return self._operate(
            "get_tickers", "get_tickers", TickersView,
            params={
                "symbol": symbol,
            },
        )

    def get_accounts(self) -> AccountsView:
        """List the accounts that the key reaches: its own, those of its firm, or (operator)
        all.
        """
        return self._operate(
            "get_accounts", "get_accounts", AccountsView,
            params={},
        )
