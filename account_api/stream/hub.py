"""Follows the engine and distributes its events to connections: one per process.

It starts from an atomic snapshot of every account (orders, balances, position in the account's
sequence) and then applies every transaction from the oldest of them on, skipping what a snapshot
already contains. From then on it has every book and every balance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

import structlog

from account_api.stream.accounts import Accounts
from account_api.stream.catalogue import LiveCatalogue
from account_api.stream.messages import envelope, text_of
from account_api.stream.peer import CLOSE_RESTART, CLOSE_SLOW, Peer, write_to_all
from account_api.stream.public_channels import (
    book_snapshot,
    book_update,
    trades_data,
)
from account_api.stream.subscription import PrivateSubscription, Rendered
from engine.client import (
    AsyncEngineClient,
    EngineError,
    EngineRefused,
    GapTooOld,
    Transaction,
    queries,
)
from engine.market_data.market import RECENT_TRADES, Feed, Market

RETRY_S: Final = 0.5
_log: Final = structlog.get_logger("account_api.stream")
ClientMaker = Callable[[str], AsyncEngineClient]
Kind = Literal["snapshot", "update"]


class Hub:
    """The state of the venue as far as streams need it, and its subscribers."""

    def __init__(self, make_client: ClientMaker) -> None:
        self.make_client = make_client
        self.peers: set[Peer] = set()
        self.ready = asyncio.Event()
        self.before_publishing: Callable[[], None] = lambda: None
        """Called before a batch of transactions is published."""
        self._client: AsyncEngineClient | None = None
        self.epoch = ""
        self.peers_ever = 0
        self.closed_slow = 0
        self.as_of_seq = 0
        self.time_us = 0
        self.catalogue = LiveCatalogue((), ())
        self.accounts = Accounts(self.catalogue)
        self.market = Market()
        self._told: dict[str, tuple[int, int]] = {}
        """Per symbol the sequences of book and trades that all subscribers were told of."""
        self._public: dict[tuple[str, str], set[Peer]] = {}
        self._private: dict[str, set[PrivateSubscription]] = {}

    async def run(self) -> None:
        """Follow the engine permanently, through its restarts; start again where it must."""
        while True:
            client = self.make_client("stream")
            try:
                self._client = client
                await self._follow(client, await self._seed(client))
            except EngineRefused as error:
                _log.warning("following_anew", reason=str(error))
                self._close_all("the service must reload the venue's state; connect again")
            except EngineError as error:
                _log.warning("engine_unavailable", reason=str(error))
            finally:
                self._client = None
                self.ready.clear()
                await client.close()
            await asyncio.sleep(RETRY_S)

    @property
    def connected(self) -> bool:
        """True while the engine is connected."""
        return self._client is not None and self._client.connected

    # Subscriptions

    def add_public(self, channel: str, symbol: str, peer: Peer) -> str:
        """Subscribe a peer to a public channel; returns the snapshot to send first."""
        self._public.setdefault((channel, symbol), set()).add(peer)
        peer.symbols[channel].add(symbol)
        return self.public_snapshot(channel, symbol)

    def public_snapshot(self, channel: str, symbol: str) -> str:
        """Return the present snapshot of a public channel."""
        feed = self.market.feed(symbol)
        instruments = self.catalogue.instruments
        data: Any
        if channel == "book":
            seq, data = feed.book_seq, book_snapshot(feed, instruments[symbol])
        else:
            seq = feed.trades_seq
            data = trades_data(feed.last_trades(RECENT_TRADES), instruments)
        return envelope(
            channel, self.epoch, "snapshot", seq, seq, self.as_of_seq, self.time_us, text_of(data)
        )

    def remove_public(self, channel: str, symbol: str, peer: Peer) -> None:
        """End a public subscription."""
        peer.symbols[channel].discard(symbol)
        peers = self._public.get((channel, symbol))
        if peers is not None:
            peers.discard(peer)
            if not peers:
                del self._public[channel, symbol]

    def add_private(self, subscription: PrivateSubscription) -> None:
        """Begin to push the account's events, beside an earlier subscription of the peer."""
        self._private.setdefault(subscription.account, set()).add(subscription)
        subscription.peer.accounts.add(subscription.account)

    def take_over(self, subscription: PrivateSubscription) -> None:
        """End the channels of a subscription in the peer's earlier ones."""
        self.remove_private(
            subscription.peer, subscription.account, subscription.channels, subscription
        )

    def drop_private(self, subscription: PrivateSubscription) -> None:
        """End one subscription; others of the peer continue."""
        peer, account = subscription.peer, subscription.account
        subscriptions = self._private.get(account, set())
        subscriptions.discard(subscription)
        if not any(each.peer is peer for each in subscriptions):
            peer.accounts.discard(account)
        if not subscriptions:
            self._private.pop(account, None)

    def remove_private(
        self,
        peer: Peer,
        account: str,
        channels: frozenset[str],
        spared: PrivateSubscription | None = None,
    ) -> None:
        """End channels of an account for a peer, except in the subscription ``spared``."""
        subscriptions = self._private.get(account, set())
        for known in [each for each in subscriptions if each.peer is peer and each is not spared]:
            known.channels -= channels
            if not known.channels:
                self.drop_private(known)

    def private_channels(self, peer: Peer) -> int:
        """Count the private channels of a peer, of all accounts together."""
        return sum(
            len(each.channels)
            for account in peer.accounts
            for each in self._private[account]
            if each.peer is peer
        )

    def add_peer(self, peer: Peer) -> None:
        """Register a new connection."""
        self.peers_ever += 1
        self.peers.add(peer)

    def remove_peer(self, peer: Peer) -> None:
        """Remove a connection that has ended."""
        self.closed_slow += peer.close_code == CLOSE_SLOW
        self.peers.discard(peer)
        for channel, symbols in peer.symbols.items():
            for symbol in list(symbols):
                self.remove_public(channel, symbol, peer)
        for account in list(peer.accounts):
            known = {each for each in self._private[account] if each.peer is peer}
            for subscription in known:
                self.remove_private(peer, account, subscription.channels)

    # The engine

    async def _seed(self, client: AsyncEngineClient) -> int:
        """Read the state of the venue; returns the newest sequence of any part of it."""
        await client.connect()
        assets = await client.fetch(queries.Assets())
        instruments = await client.fetch(queries.Instruments())
        self.catalogue = LiveCatalogue(assets.value, instruments.value)
        self.accounts = Accounts(self.catalogue)
        self.market = Market(self.catalogue.instruments)
        self._told = {}
        status = (await client.fetch(queries.Status())).value
        as_of_seq = newest = status.seq
        for row in (await client.fetch(queries.Accounts())).value:
            snapshot = (await client.fetch(queries.AccountSnapshot(row.account))).value
            if snapshot is not None:
                self.accounts.seed(snapshot)
                newest = max(newest, snapshot.as_of_seq)
        for symbol in self.catalogue.instruments:
            book = await client.fetch(queries.BookOrders(symbol))
            if book.value is not None:
                self.market.seed(book.value, book.as_of_seq)
                newest = max(newest, book.as_of_seq)
        self.as_of_seq, self.time_us = as_of_seq, status.time_us
        self.epoch = await _epoch(client)
        return newest

    async def _follow(self, client: AsyncEngineClient, newest: int) -> None:
        """Apply every transaction; the state is complete when ``newest`` has been reached."""
        if self.as_of_seq >= newest:
            self.ready.set()
        async for batch in client.subscribe(self.as_of_seq + 1):
            self.before_publishing()
            for transaction in batch:
                self._apply(transaction)
            self._publish()
            if self.as_of_seq >= newest:
                self.ready.set()

    def _apply(self, transaction: Transaction) -> None:
        seq, time_us = transaction.seq, transaction.time_us
        self.as_of_seq, self.time_us = seq, time_us
        for event in transaction.events:
            self.market.apply(event, seq, time_us)
            if not event.account_seq:
                self.catalogue.apply(event)
                continue
            account_event = self.accounts.apply(event, seq, time_us)
            if account_event is None:
                continue  # The account's snapshot contains it.
            subscriptions = self._private.get(event.account)
            if subscriptions:
                rendered = Rendered(account_event, self.catalogue)
                for subscription in list(subscriptions):
                    subscription.push(rendered)

    def _publish(self) -> None:
        """Write the public changes of a batch of transactions, one message for all subscribers."""
        for feed in self.market.take_changed():
            book_told, trades_told = self._told.get(
                feed.symbol, (feed.seeded_seq, feed.trades_seeded_seq)
            )
            if feed.book_seq > book_told:
                self._publish_book(feed, book_told)
            if feed.trades_seq > trades_told:
                self._publish_trades(feed, trades_told)
            self._told[feed.symbol] = feed.book_seq, feed.trades_seq

    def _publish_book(self, feed: Feed, told: int) -> None:
        peers = self._public.get(("book", feed.symbol))
        if not peers:
            return
        instrument = self.catalogue.instruments[feed.symbol]
        data = book_update(feed, instrument, told)
        kind: Kind = "update" if data is not None else "snapshot"
        prev_seq = told if data is not None else feed.book_seq
        if data is None:
            data = book_snapshot(feed, instrument)
        write_to_all(list(peers), self._maker("book", kind, feed.book_seq, prev_seq, data))

    def _publish_trades(self, feed: Feed, told: int) -> None:
        peers = self._public.get(("trades", feed.symbol))
        if not peers:
            return
        trades = feed.trades_since(told)
        kind: Kind = "update" if trades is not None else "snapshot"
        prev_seq = told if trades is not None else feed.trades_seq
        if trades is None:
            trades = feed.last_trades(RECENT_TRADES)
        data = trades_data(trades, self.catalogue.instruments)
        write_to_all(list(peers), self._maker("trades", kind, feed.trades_seq, prev_seq, data))

    def _maker(
        self, channel: str, kind: Kind, seq: int, prev_seq: int, data: Any
    ) -> Callable[[], str]:
        return lambda: envelope(
            channel, self.epoch, kind, seq, prev_seq, self.as_of_seq, self.time_us,
            text_of(data),
        )  # fmt: skip

    def _close_all(self, reason: str) -> None:
        for peer in list(self.peers):
            peer.fail(CLOSE_RESTART, reason)


async def _epoch(client: AsyncEngineClient) -> str:
    """Name this journal by the time of its first transaction, while that is kept."""
    try:
        first = (await client.fetch(queries.Transaction(1))).value
    except GapTooOld:
        return "archived"
    except EngineRefused:
        return "empty"
    return f"{first.time_us:x}"
