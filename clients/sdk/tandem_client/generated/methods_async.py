# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""A method for each operation of the account API, for asyncio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, TypeVar

from tandem_client.document import Document
from tandem_client.generated.models import (
    AccountStatusView,
    AccountsView,
    AddressAnswer,
    AddressesView,
    AssetsView,
    BalancesView,
    BatchView,
    BookView,
    CancelAllView,
    CandlesView,
    DeadMansSwitchView,
    DeletedWebhookView,
    DeliveriesView,
    DeliveryView,
    DepositAddressAnswer,
    DepositAddressesView,
    DepositAnswer,
    DepositView,
    DepositsView,
    FeesView,
    FillView,
    FillsView,
    FixMessagesView,
    HealthView,
    HoldsView,
    InstrumentStatusView,
    InstrumentsView,
    KeyView,
    KeysView,
    LedgerEntryView,
    LedgerView,
    LimitsView,
    NetworksView,
    NewKeyView,
    OrderAnswer,
    OrderView,
    OrdersView,
    QuoteView,
    ReadyView,
    ReferencePriceView,
    RevokedKeyView,
    SessionsView,
    TickersView,
    TimeView,
    TradeView,
    TradesView,
    TransferAnswer,
    TransferView,
    TransfersView,
    WebhookErrandView,
    WebhookSecretView,
    WebhookView,
    WebhooksView,
    WithdrawalAnswer,
    WithdrawalView,
    WithdrawalsView,
)
from tandem_client.generated.requests import BatchCancel, BatchCreate, BatchReplace
from tandem_client.values import Amount, Instant, Side

D = TypeVar("D", bound=Document)
Members = Mapping[str, Any]


class AsyncOperations(ABC):
    """Every operation of the account API, for asyncio."""

    @abstractmethod
    async def _call(
        self, operation: str, answer: type[D], parts: Members, query: Members,
        body: Members | None, idempotency_key: str | None,
    ) -> D: ...

    @abstractmethod
    def _pages(
        self, operation: str, answer: type[D], rows: str, query: Members, following: str,
    ) -> AsyncIterator[Any]: ...

    async def get_time(self) -> TimeView:
        """Get the venue's clock, against which signatures are checked."""
        return await self._call(
            "get_time", TimeView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_assets(self) -> AssetsView:
        """List every asset."""
        return await self._call(
            "get_assets", AssetsView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_networks(self) -> NetworksView:
        """List every network of every asset, with fee, minimum, step and confirmations."""
        return await self._call(
            "get_networks", NetworksView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_instruments(self) -> InstrumentsView:
        """List every instrument: tick, lot, limits, status and last price."""
        return await self._call(
            "get_instruments", InstrumentsView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_book(
        self,
        symbol: str,
        *,
        depth: int | None = None,
    ) -> BookView:
        """Get the depth of one instrument, as of `as_of_seq`."""
        return await self._call(
            "get_book", BookView,
            parts={
                "symbol": symbol,
            },
            query={
                "depth": depth,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_trades(
        self,
        *,
        symbol: str,
        after_trade_id: int | None = None,
        limit: int | None = None,
    ) -> TradesView:
        """List public trades: the newest, or ascending after `after_trade_id` (exclusive)."""
        return await self._call(
            "get_trades", TradesView,
            parts={},
            query={
                "symbol": symbol,
                "after_trade_id": after_trade_id,
                "limit": limit,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_trades(
        self,
        *,
        symbol: str,
        after_trade_id: int = 0,
        limit: int = 1000,
    ) -> AsyncIterator[TradeView]:
        """Yield every row of `get_trades`, however many pages that takes, ``limit`` at a time."""
        return self._pages(
            "get_trades", TradesView, "trades",
            query={
                "symbol": symbol,
                "after_trade_id": after_trade_id,
                "limit": limit,
            },
            following="after_trade_id",
        )

    async def get_candles(
        self,
        *,
        symbol: str,
        interval: Literal["15m", "1d", "1h", "1m", "4h", "5m"] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        limit: int | None = None,
    ) -> CandlesView:
        """List candles: the newest, or ascending from `start`."""
        return await self._call(
            "get_candles", CandlesView,
            parts={},
            query={
                "symbol": symbol,
                "interval": interval,
                "start": start,
                "end": end,
                "limit": limit,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_tickers(
        self,
        *,
        symbol: str | None = None,
    ) -> TickersView:
        """Get price change, high, low and volume of the last 24 hours, of one or every
        instrument.
        """
        return await self._call(
            "get_tickers", TickersView,
            parts={},
            query={
                "symbol": symbol,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_accounts(self) -> AccountsView:
        """List the accounts that the key reaches: its own, those of its firm, or (operator)
        all.
        """
        return await self._call(
            "get_accounts", AccountsView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_balances(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        asset: str | None = None,
    ) -> BalancesView:
        """Get posted, held, available and pending money; `min_seq` waits, bounded, for a
        sequence.
        """
        return await self._call(
            "get_balances", BalancesView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
                "asset": asset,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_ledger(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        asset: str | None = None,
    ) -> LedgerView:
        """List every change of the account's money, ascending, with the balance after it."""
        return await self._call(
            "get_ledger", LedgerView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
                "cursor": cursor,
                "limit": limit,
                "asset": asset,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_ledger(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        limit: int = 1000,
        asset: str | None = None,
    ) -> AsyncIterator[LedgerEntryView]:
        """Yield every row of `get_ledger`, however many pages that takes, ``limit`` at a time."""
        return self._pages(
            "get_ledger", LedgerView, "entries",
            query={
                "account": account,
                "min_seq": min_seq,
                "limit": limit,
                "asset": asset,
            },
            following="cursor",
        )

    async def get_holds(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> HoldsView:
        """Get the money held for open orders and withdrawals, hold by hold."""
        return await self._call(
            "get_holds", HoldsView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_fees(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> FeesView:
        """Get trading fees as a fraction of the notional, and the networks' withdrawal fees."""
        return await self._call(
            "get_fees", FeesView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_limits(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> LimitsView:
        """Get the account's limits, and how much of each is used and left."""
        return await self._call(
            "get_limits", LimitsView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def create_order(
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
        idempotency_key: str | None = None,
    ) -> OrderAnswer:
        """Create an order. An identical repeat: 200, the original, and `Idempotent-Replayed`.

        An order to create.

        `time_in_force` defaults to gtc for orders with a price and to ioc for market orders.
        `expires_at` is the request's deadline: after it the order is refused with 408.
        """
        return await self._call(
            "create_order", OrderAnswer,
            parts={},
            query={},
            body={
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
            idempotency_key=idempotency_key,
        )

    async def cancel_all(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        side: Side | None = None,
        strategy: str | None = None,
        idempotency_key: str | None = None,
    ) -> CancelAllView:
        """Cancel every open order that matches all filters; it succeeds also if none does."""
        return await self._call(
            "cancel_all", CancelAllView,
            parts={},
            query={
                "account": account,
                "symbol": symbol,
                "side": side,
                "strategy": strategy,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def get_orders(
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
        return await self._call(
            "get_orders", OrdersView,
            parts={},
            query={
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
            body=None,
            idempotency_key=None,
        )

    def iter_orders(
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
        limit: int = 1000,
    ) -> AsyncIterator[OrderView]:
        """Yield every row of `get_orders`, however many pages that takes, ``limit`` at a time."""
        return self._pages(
            "get_orders", OrdersView, "orders",
            query={
                "account": account,
                "min_seq": min_seq,
                "status": status,
                "sort": sort,
                "symbol": symbol,
                "side": side,
                "strategy": strategy,
                "client_order_id": client_order_id,
                "limit": limit,
            },
            following="cursor",
        )

    async def replace_order(
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
        idempotency_key: str | None = None,
    ) -> OrderAnswer:
        """Change an order; `priority_kept` says whether it kept its place in the queue.

        Changes to an open order; what is absent stays. `quantity` includes what is executed.

        `client_order_id` gives the order a new client id; the old ones still find it. With a
        `request_id` an identical repeat is answered with the original response.
        """
        return await self._call(
            "replace_order", OrderAnswer,
            parts={
                "order": order,
            },
            query={},
            body={
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
            idempotency_key=idempotency_key,
        )

    async def cancel_order(
        self,
        order: str,
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> OrderAnswer:
        """Cancel an order; one that was canceled before is answered with its final state."""
        return await self._call(
            "cancel_order", OrderAnswer,
            parts={
                "order": order,
            },
            query={
                "account": account,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def get_order(
        self,
        order: str,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> OrderAnswer:
        """Get one order, open or closed, by its id or as `client:<client_order_id>`."""
        return await self._call(
            "get_order", OrderAnswer,
            parts={
                "order": order,
            },
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def set_dead_mans_switch(
        self,
        *,
        timeout_s: int,
        account: str | None = None,
        strategy: str | None = None,
        idempotency_key: str | None = None,
    ) -> DeadMansSwitchView:
        """Cancel all orders (of one strategy, if given) unless this is repeated in time.

        Cancel all orders (of one strategy, if given) unless this comes again in time.
        """
        return await self._call(
            "set_dead_mans_switch", DeadMansSwitchView,
            parts={},
            query={},
            body={
                "account": account,
                "timeout_s": timeout_s,
                "strategy": strategy,
            },
            idempotency_key=idempotency_key,
        )

    async def submit_batch(
        self,
        *,
        operations: list[BatchCreate | BatchReplace | BatchCancel],
        account: str | None = None,
        mode: Literal["independent", "validate_all"] | None = None,
        batch_id: str | None = None,
        expires_at: Instant | None = None,
        idempotency_key: str | None = None,
    ) -> BatchView:
        """Do up to 50 operations in order, with one result for each, at its index. An operation
        that is refused does not stop the others, unless `mode` is `validate_all`.

        Up to 50 operations over any symbols, done in order in one turn of the engine.
        """
        return await self._call(
            "submit_batch", BatchView,
            parts={},
            query={},
            body={
                "account": account,
                "operations": operations,
                "mode": mode,
                "batch_id": batch_id,
                "expires_at": expires_at,
            },
            idempotency_key=idempotency_key,
        )

    async def get_fills(
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
        return await self._call(
            "get_fills", FillsView,
            parts={},
            query={
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
            body=None,
            idempotency_key=None,
        )

    def iter_fills(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        client_order_id: str | None = None,
        order_id: str | None = None,
        after_trade_id: int | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[FillView]:
        """Yield every row of `get_fills`, however many pages that takes, ``limit`` at a time."""
        return self._pages(
            "get_fills", FillsView, "fills",
            query={
                "account": account,
                "min_seq": min_seq,
                "symbol": symbol,
                "strategy": strategy,
                "client_order_id": client_order_id,
                "order_id": order_id,
                "after_trade_id": after_trade_id,
                "limit": limit,
            },
            following="cursor",
        )

    async def get_deposits(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> DepositsView:
        """List the account's deposits and their confirmations, in the order of their first
        report.
        """
        return await self._call(
            "get_deposits", DepositsView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
                "cursor": cursor,
                "limit": limit,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_deposits(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[DepositView]:
        """Yield every row of `get_deposits`, however many pages that takes, ``limit`` at a
        time.
        """
        return self._pages(
            "get_deposits", DepositsView, "deposits",
            query={
                "account": account,
                "min_seq": min_seq,
                "limit": limit,
            },
            following="cursor",
        )

    async def report_deposit(
        self,
        *,
        deposit_id: str,
        account: str,
        asset: str,
        amount: Amount,
        network: str | None = None,
        address: str | None = None,
        txid: str | None = None,
        confirmations: int | None = None,
        confirmations_required: int | None = None,
        idempotency_key: str | None = None,
    ) -> DepositAnswer:
        """Report a deposit and its confirmations; a deposit id is credited once.

        A deposit that an operator reports; credited once, when it has its confirmations.

        Its `network` determines how many it needs, so `confirmations_required` may be left
        out; without a network the first report determines it.
        """
        return await self._call(
            "report_deposit", DepositAnswer,
            parts={},
            query={},
            body={
                "deposit_id": deposit_id,
                "account": account,
                "asset": asset,
                "amount": amount,
                "network": network,
                "address": address,
                "txid": txid,
                "confirmations": confirmations,
                "confirmations_required": confirmations_required,
            },
            idempotency_key=idempotency_key,
        )

    async def ask_faucet(
        self,
        *,
        asset: str,
        idempotency_key: str | None = None,
    ) -> DepositAnswer:
        """Credit the caller's account with one portion of test coins; not in production. The
        portions of a day are numbered, and their numbers are deposit ids, which the engine
        remembers permanently: so each is given once, however many requests arrive at the
        same time.

        Ask for one portion of an asset; portions per account and day (UTC) are limited.
        """
        return await self._call(
            "ask_faucet", DepositAnswer,
            parts={},
            query={},
            body={
                "asset": asset,
            },
            idempotency_key=idempotency_key,
        )

    async def get_addresses(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> AddressesView:
        """Get the account's address book, and from when withdrawals may use each entry."""
        return await self._call(
            "get_addresses", AddressesView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def add_address(
        self,
        *,
        asset: str,
        address: str,
        account: str | None = None,
        network: str | None = None,
        memo: str | None = None,
        label: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddressAnswer:
        """Add an address to the book; one that is already there is returned unchanged.

        An address for the account's book; usable once its cool-off has passed.
        """
        return await self._call(
            "add_address", AddressAnswer,
            parts={},
            query={},
            body={
                "account": account,
                "asset": asset,
                "address": address,
                "network": network,
                "memo": memo,
                "label": label,
            },
            idempotency_key=idempotency_key,
        )

    async def remove_address(
        self,
        address_id: str,
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> AddressAnswer:
        """Remove an address from the book; if it is added again, its cool-off starts again."""
        return await self._call(
            "remove_address", AddressAnswer,
            parts={
                "address_id": address_id,
            },
            query={
                "account": account,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def get_deposit_addresses(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> DepositAddressesView:
        """Get every deposit address of the account."""
        return await self._call(
            "get_deposit_addresses", DepositAddressesView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def assign_deposit_address(
        self,
        *,
        asset: str,
        account: str | None = None,
        network: str | None = None,
        idempotency_key: str | None = None,
    ) -> DepositAddressAnswer:
        """Get the account's deposit address for an asset on a network; it is always the same.

        Ask for the account's deposit address; it is always the same one.
        """
        return await self._call(
            "assign_deposit_address", DepositAddressAnswer,
            parts={},
            query={},
            body={
                "account": account,
                "asset": asset,
                "network": network,
            },
            idempotency_key=idempotency_key,
        )

    async def request_withdrawal(
        self,
        *,
        client_withdrawal_id: str,
        asset: str,
        address: str,
        amount: Amount,
        account: str | None = None,
        network: str | None = None,
        memo: str | None = None,
        quote_id: str | None = None,
        expires_at: Instant | None = None,
        idempotency_key: str | None = None,
    ) -> WithdrawalAnswer:
        """Request a withdrawal; amount and fee are held at once. The `client_withdrawal_id` is
        remembered permanently: an identical repeat, however late, is answered with the
        original and moves no more money.

        A withdrawal; `amount` is what arrives, and the network's fee is held in addition.

        `network` may be left out if the asset has only one. `client_withdrawal_id` is
        remembered permanently: an identical repeat returns the original.
        """
        return await self._call(
            "request_withdrawal", WithdrawalAnswer,
            parts={},
            query={},
            body={
                "account": account,
                "client_withdrawal_id": client_withdrawal_id,
                "asset": asset,
                "address": address,
                "amount": amount,
                "network": network,
                "memo": memo,
                "quote_id": quote_id,
                "expires_at": expires_at,
            },
            idempotency_key=idempotency_key,
        )

    async def get_withdrawals(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        status: Literal["all", "closed", "open"] | None = None,
    ) -> WithdrawalsView:
        """List withdrawals, ascending, each with its history."""
        return await self._call(
            "get_withdrawals", WithdrawalsView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
                "cursor": cursor,
                "limit": limit,
                "status": status,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_withdrawals(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        limit: int = 1000,
        status: Literal["all", "closed", "open"] | None = None,
    ) -> AsyncIterator[WithdrawalView]:
        """Yield every row of `get_withdrawals`, however many pages that takes, ``limit`` at a
        time.
        """
        return self._pages(
            "get_withdrawals", WithdrawalsView, "withdrawals",
            query={
                "account": account,
                "min_seq": min_seq,
                "limit": limit,
                "status": status,
            },
            following="cursor",
        )

    async def quote_withdrawal(
        self,
        *,
        asset: str,
        amount: Amount,
        account: str | None = None,
        network: str | None = None,
        idempotency_key: str | None = None,
    ) -> QuoteView:
        """Fix the present fee for one withdrawal of this amount, which then names the quote.

        Ask for a withdrawal's fee, fixed for a while; the quote is valid for one withdrawal.
        """
        return await self._call(
            "quote_withdrawal", QuoteView,
            parts={},
            query={},
            body={
                "account": account,
                "asset": asset,
                "amount": amount,
                "network": network,
            },
            idempotency_key=idempotency_key,
        )

    async def get_withdrawal(
        self,
        withdrawal: str,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> WithdrawalAnswer:
        """Get one withdrawal with its history, by its id or as `client:<client_withdrawal_id>`."""
        return await self._call(
            "get_withdrawal", WithdrawalAnswer,
            parts={
                "withdrawal": withdrawal,
            },
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def cancel_withdrawal(
        self,
        withdrawal: str,
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> WithdrawalAnswer:
        """Cancel a withdrawal that was not yet sent to the network; it stays `canceled`."""
        return await self._call(
            "cancel_withdrawal", WithdrawalAnswer,
            parts={
                "withdrawal": withdrawal,
            },
            query={
                "account": account,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def approve_withdrawal(
        self,
        withdrawal: str,
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> WithdrawalAnswer:
        """Approve a pending withdrawal; the user who requested it cannot."""
        return await self._call(
            "approve_withdrawal", WithdrawalAnswer,
            parts={
                "withdrawal": withdrawal,
            },
            query={
                "account": account,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def reject_withdrawal(
        self,
        withdrawal: str,
        *,
        account: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> WithdrawalAnswer:
        """Reject a pending withdrawal; what it held is available again.

        Why a withdrawal is refused.
        """
        return await self._call(
            "reject_withdrawal", WithdrawalAnswer,
            parts={
                "withdrawal": withdrawal,
            },
            query={},
            body={
                "account": account,
                "note": note,
            },
            idempotency_key=idempotency_key,
        )

    async def get_transfers(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        asset: str | None = None,
    ) -> TransfersView:
        """List the account's transfers, ascending."""
        return await self._call(
            "get_transfers", TransfersView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
                "cursor": cursor,
                "limit": limit,
                "asset": asset,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_transfers(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
        limit: int = 1000,
        asset: str | None = None,
    ) -> AsyncIterator[TransferView]:
        """Yield every row of `get_transfers`, however many pages that takes, ``limit`` at a
        time.
        """
        return self._pages(
            "get_transfers", TransfersView, "transfers",
            query={
                "account": account,
                "min_seq": min_seq,
                "limit": limit,
                "asset": asset,
            },
            following="cursor",
        )

    async def transfer(
        self,
        *,
        client_transfer_id: str,
        to_account: str,
        asset: str,
        amount: Amount,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> TransferAnswer:
        """Move available money at once; an identical repeat is answered with the original.

        Move available money to another account of the firm; the id is remembered
        permanently.
        """
        return await self._call(
            "transfer", TransferAnswer,
            parts={},
            query={},
            body={
                "account": account,
                "client_transfer_id": client_transfer_id,
                "to_account": to_account,
                "asset": asset,
                "amount": amount,
            },
            idempotency_key=idempotency_key,
        )

    async def set_account_status(
        self,
        account: str,
        *,
        status: Literal["active", "suspended"],
        note: str | None = None,
        keep_open: bool | None = None,
        idempotency_key: str | None = None,
    ) -> AccountStatusView:
        """Suspend an account, which then may only cancel and read, or let it act again.

        Suspend an account, or let it act again. `note` says why; its owner sees it too.

        A suspension cancels the account's open orders, and the withdrawals that were not yet
        sent to the network, unless `keep_open` is true.
        """
        return await self._call(
            "set_account_status", AccountStatusView,
            parts={
                "account": account,
            },
            query={},
            body={
                "status": status,
                "note": note,
                "keep_open": keep_open,
            },
            idempotency_key=idempotency_key,
        )

    async def set_instrument_status(
        self,
        symbol: str,
        *,
        status: Literal["halted", "open"],
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> InstrumentStatusView:
        """Halt an instrument, which then accepts cancels only, or reopen it; resting orders
        stay.

        Halt an instrument or let it trade again.
        """
        return await self._call(
            "set_instrument_status", InstrumentStatusView,
            parts={
                "symbol": symbol,
            },
            query={},
            body={
                "status": status,
                "note": note,
            },
            idempotency_key=idempotency_key,
        )

    async def set_reference_price(
        self,
        symbol: str,
        *,
        price: Amount,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> ReferencePriceView:
        """Center an instrument's price band on a price, until its next trade moves the band.

        Center an instrument's price band on a price until its next trade.
        """
        return await self._call(
            "set_reference_price", ReferencePriceView,
            parts={
                "symbol": symbol,
            },
            query={},
            body={
                "price": price,
                "note": note,
            },
            idempotency_key=idempotency_key,
        )

    async def get_sessions(
        self,
        *,
        account: str | None = None,
        min_seq: int | None = None,
    ) -> SessionsView:
        """List the account's sessions, or all sessions for an operator who names no account."""
        return await self._call(
            "get_sessions", SessionsView,
            parts={},
            query={
                "account": account,
                "min_seq": min_seq,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_fix_messages(
        self,
        session: str,
        *,
        type: str | None = None,
        direction: Literal["in", "out"] | None = None,
        client_order_id: str | None = None,
        text: str | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> FixMessagesView:
        """List the newest messages of one FIX session, or those behind `after`. What the client
        has sent is kept in memory, at most 2,000 messages of a session since the gateway's
        start; what the venue has sent, since the session's numbers began.
        """
        return await self._call(
            "get_fix_messages", FixMessagesView,
            parts={
                "session": session,
            },
            query={
                "type": type,
                "direction": direction,
                "client_order_id": client_order_id,
                "text": text,
                "start": start,
                "end": end,
                "after": after,
                "limit": limit,
            },
            body=None,
            idempotency_key=None,
        )

    async def get_keys(
        self,
        *,
        account: str | None = None,
    ) -> KeysView:
        """List every key of the account, revoked and pending ones included, without secrets."""
        return await self._call(
            "get_keys", KeysView,
            parts={},
            query={
                "account": account,
            },
            body=None,
            idempotency_key=None,
        )

    async def create_key(
        self,
        *,
        name: str,
        kind: Literal["bearer", "ed25519", "hmac"],
        scopes: list[Literal["address", "approve", "keys", "read", "trade", "withdraw"]],
        account: str | None = None,
        allow: list[str] | None = None,
        public_key: str | None = None,
        valid_until: Instant | None = None,
        idempotency_key: str | None = None,
    ) -> NewKeyView:
        """Create a key. If it could let money leave, it needs the approval of a second person.

        A key to create. Its scopes and networks cannot exceed those of the key that creates
        it.

        You choose `name`, which is unique within the account permanently. `public_key`
        (base64, 32 bytes) is for the kind ed25519 only. Without `allow` it has the networks
        of its creator, and without `valid_until`, an instant in the future, the end of its
        creator, if that has one.
        """
        return await self._call(
            "create_key", NewKeyView,
            parts={},
            query={},
            body={
                "account": account,
                "name": name,
                "kind": kind,
                "scopes": scopes,
                "allow": allow,
                "public_key": public_key,
                "valid_until": valid_until,
            },
            idempotency_key=idempotency_key,
        )

    async def revoke_key(
        self,
        key: str,
        *,
        descendants: bool | None = None,
        idempotency_key: str | None = None,
    ) -> RevokedKeyView:
        """Revoke a key permanently, one of the configuration too; no later request with it is
        served. With `descendants=true` the keys that it made are revoked too, and those that
        they made: use it for a key that leaked.
        """
        return await self._call(
            "revoke_key", RevokedKeyView,
            parts={
                "key": key,
            },
            query={
                "descendants": descendants,
            },
            body=None,
            idempotency_key=idempotency_key,
        )

    async def approve_key(
        self,
        key: str,
        *,
        idempotency_key: str | None = None,
    ) -> KeyView:
        """Activate a pending key; another user than its creator must do this."""
        return await self._call(
            "approve_key", KeyView,
            parts={
                "key": key,
            },
            query={},
            body=None,
            idempotency_key=idempotency_key,
        )

    async def get_webhooks(
        self,
        *,
        account: str | None = None,
    ) -> WebhooksView:
        """List the account's endpoints and how they do."""
        return await self._call(
            "get_webhooks", WebhooksView,
            parts={},
            query={
                "account": account,
            },
            body=None,
            idempotency_key=None,
        )

    async def create_webhook(
        self,
        *,
        name: str,
        url: str,
        events: list[Literal["*", "deposit.*", "fill.*", "withdrawal.*"] | Literal["deposit.confirming", "deposit.credited", "deposit.detected", "fill.created", "withdrawal.approved", "withdrawal.broadcasting", "withdrawal.canceled", "withdrawal.completed", "withdrawal.confirming", "withdrawal.expired", "withdrawal.failed", "withdrawal.pending_approval", "withdrawal.queued", "withdrawal.rejected", "withdrawal.requested"]],
        account: str | None = None,
        firm_wide: bool | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookSecretView:
        """Register an endpoint. It is told of what happens from now on; its secret is in the
        answer.

        An endpoint to register. You choose `name`, which is unique within the account.

        `firm_wide` includes every account of the firm; only its main account may ask for
        that.
        """
        return await self._call(
            "create_webhook", WebhookSecretView,
            parts={},
            query={},
            body={
                "account": account,
                "name": name,
                "url": url,
                "events": events,
                "firm_wide": firm_wide,
            },
            idempotency_key=idempotency_key,
        )

    async def get_webhook(
        self,
        webhook: str,
    ) -> WebhookView:
        """Get one endpoint and how it does."""
        return await self._call(
            "get_webhook", WebhookView,
            parts={
                "webhook": webhook,
            },
            query={},
            body=None,
            idempotency_key=None,
        )

    async def change_webhook(
        self,
        webhook: str,
        *,
        name: str | None = None,
        url: str | None = None,
        events: list[Literal["*", "deposit.*", "fill.*", "withdrawal.*"] | Literal["deposit.confirming", "deposit.credited", "deposit.detected", "fill.created", "withdrawal.approved", "withdrawal.broadcasting", "withdrawal.canceled", "withdrawal.completed", "withdrawal.confirming", "withdrawal.expired", "withdrawal.failed", "withdrawal.pending_approval", "withdrawal.queued", "withdrawal.rejected", "withdrawal.requested"]] | None = None,
        state: Literal["active", "disabled"] | None = None,
        skip_missed: bool | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookView:
        """Change an endpoint; what had failed is tried again at once.

        Changes to an endpoint; what is absent stays.

        `state` active ends a pause after failures and enables a disabled endpoint, which
        then gets what it missed, or with `skip_missed` only what happens from now on.
        """
        return await self._call(
            "change_webhook", WebhookView,
            parts={
                "webhook": webhook,
            },
            query={},
            body={
                "name": name,
                "url": url,
                "events": events,
                "state": state,
                "skip_missed": skip_missed,
            },
            idempotency_key=idempotency_key,
        )

    async def delete_webhook(
        self,
        webhook: str,
        *,
        idempotency_key: str | None = None,
    ) -> DeletedWebhookView:
        """Delete an endpoint with its log. Nothing more is sent to it."""
        return await self._call(
            "delete_webhook", DeletedWebhookView,
            parts={
                "webhook": webhook,
            },
            query={},
            body=None,
            idempotency_key=idempotency_key,
        )

    async def rotate_webhook_secret(
        self,
        webhook: str,
        *,
        old_valid_s: int | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookSecretView:
        """Make a new secret; for a time deliveries are signed with the old one too. While an
        old one is valid already, it stays, and only the newest secret is replaced.

        How long the old secret signs beside the new one.
        """
        return await self._call(
            "rotate_webhook_secret", WebhookSecretView,
            parts={
                "webhook": webhook,
            },
            query={},
            body={
                "old_valid_s": old_valid_s,
            },
            idempotency_key=idempotency_key,
        )

    async def ping_webhook(
        self,
        webhook: str,
        *,
        idempotency_key: str | None = None,
    ) -> WebhookErrandView:
        """Send a test, once. If it succeeds, deliveries that wait after a failure follow at
        once.
        """
        return await self._call(
            "ping_webhook", WebhookErrandView,
            parts={
                "webhook": webhook,
            },
            query={},
            body=None,
            idempotency_key=idempotency_key,
        )

    async def resend_webhook(
        self,
        webhook: str,
        *,
        event_id: str | None = None,
        from_seq: int | None = None,
        to_seq: int | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookErrandView:
        """Send events again, under their own ids. It ends at the first that fails. Only events
        of types that the endpoint has chosen are sent, also those from before it was made.

        What to send again: one event, or all with a sequence from `from_seq` to `to_seq`.
        """
        return await self._call(
            "resend_webhook", WebhookErrandView,
            parts={
                "webhook": webhook,
            },
            query={},
            body={
                "event_id": event_id,
                "from_seq": from_seq,
                "to_seq": to_seq,
            },
            idempotency_key=idempotency_key,
        )

    async def get_webhook_deliveries(
        self,
        webhook: str,
        *,
        event_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> DeliveriesView:
        """List attempts to deliver to an endpoint, newest first."""
        return await self._call(
            "get_webhook_deliveries", DeliveriesView,
            parts={
                "webhook": webhook,
            },
            query={
                "event_id": event_id,
                "cursor": cursor,
                "limit": limit,
            },
            body=None,
            idempotency_key=None,
        )

    def iter_webhook_deliveries(
        self,
        webhook: str,
        *,
        event_id: str | None = None,
        limit: int = 1000,
    ) -> AsyncIterator[DeliveryView]:
        """Yield every row of `get_webhook_deliveries`, however many pages that takes, ``limit``
        at a time.
        """
        return self._pages(
            "get_webhook_deliveries", DeliveriesView, "deliveries",
            query={
                "event_id": event_id,
                "limit": limit,
            },
            following="cursor",
        )

    async def get_health(self) -> HealthView:
        """Answer that the process is alive, and check nothing else."""
        return await self._call(
            "get_health", HealthView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )

    async def get_ready(self) -> ReadyView:
        """Get whether the account API can serve, and the state of each part of the venue. 503
        if the engine does not respond, the venue has no leader, the API keys or the history
        cannot be read, the history does not keep up, or the disk is full. `degraded`: it can
        serve, but another part does not work.
        """
        return await self._call(
            "get_ready", ReadyView,
            parts={},
            query={},
            body=None,
            idempotency_key=None,
        )
