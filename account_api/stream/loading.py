"""The start of a private subscription: a replay from a sequence, or a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from account_api.errors import Problem
from account_api.schema.from_orders import order_view
from account_api.schema.from_rows import balance_view
from account_api.stream.hub import Hub
from account_api.stream.messages import envelope, text_of
from account_api.stream.peer import Peer
from account_api.stream.private_channels import BALANCES, ORDERS, PRIVATE_CHANNELS, TRANSFERS
from account_api.stream.subscription import PrivateSubscription, Rendered
from account_api.stream.transfer_events import deposit_data, withdrawal_data
from engine.client import AsyncEngineClient, EngineError, EngineRefused, GapTooOld, queries
from engine.core import events as ev
from engine.core.types import AccountSnapshot, Deposit

Loaded = list[tuple[str, str] | Rendered]
"""The start of a subscription: snapshots as (channel, text), or replayed events."""


class Loader:
    """Starts private subscriptions; a bounded number of replays at once."""

    def __init__(self, hub: Hub, client: AsyncEngineClient, events_max: int, at_once: int) -> None:
        self._hub = hub
        self._client = client
        self._events_max = events_max
        self._slots = asyncio.Semaphore(at_once)

    async def subscribe(
        self, peer: Peer, account: str, channels: frozenset[str], from_seq: int | None
    ) -> tuple[PrivateSubscription, dict[str, Any], Loaded]:
        """Prepare a subscription: returns it, the answer, and what to send before ``go_live``.

        When it is ready it takes over the channels of an earlier one. Raises Problem if the engine
        cannot be asked; then earlier subscriptions continue.
        """
        hub = self._hub
        state = hub.accounts.state(account)
        here, money = state.account_seq, dict(state.money)
        subscription = PrivateSubscription(peer, account, channels, hub.epoch, self._events_max)
        hub.add_private(subscription)
        try:
            reason = self._no_replay(from_seq, here)
            if reason is None and from_seq is not None:
                try:
                    past = await self._replay(account, from_seq, here)
                except GapTooOld:
                    reason = "gap_too_old"
                else:
                    subscription.start_after(from_seq - 1)
                    hub.take_over(subscription)
                    events = hub.accounts.replayed(past, money)
                    first: Loaded = [Rendered(event, hub.catalogue) for event in events]
                    return subscription, {"resumed": True, "from_seq": from_seq}, first
            snapshot, deposits = await self._snapshot(account)
            subscription.start_after(snapshot.account_seq)
            hub.take_over(subscription)
            return (
                subscription,
                {"resumed": False, "reason": reason, "seq": snapshot.account_seq},
                list(self.snapshot_messages(snapshot, deposits, channels)),
            )
        except BaseException as error:
            hub.drop_private(subscription)
            if not isinstance(error, EngineError):
                raise
            raise Problem(
                "engine_unavailable",
                "The engine does not respond; subscribe again.",
                outcome="not_applied",
            ) from error

    async def snapshot(self, account: str, channels: frozenset[str]) -> list[str]:
        """Return snapshots on demand, beside a running subscription. Raises Problem."""
        try:
            snapshot, deposits = await self._snapshot(account)
        except EngineError as error:
            raise Problem(
                "engine_unavailable", "The engine does not respond; try again.",
                outcome="not_applied",
            ) from error  # fmt: skip
        return [text for _, text in self.snapshot_messages(snapshot, deposits, channels)]

    def _no_replay(self, from_seq: int | None, here: int) -> str | None:
        """Return why events from ``from_seq`` cannot be sent; None if they can."""
        if from_seq is None:
            return "no_from_seq"
        if from_seq < 1 or from_seq > here + 1:
            return "unknown_seq"
        return "gap_too_old" if here - from_seq >= self._events_max else None

    async def _replay(
        self, account: str, from_seq: int, to_seq: int
    ) -> list[tuple[int, int, ev.Event]]:
        """Read the account's events ``from_seq`` to ``to_seq``. Raises GapTooOld."""
        found: list[tuple[int, int, ev.Event]] = []
        if from_seq > to_seq:
            return found
        async with self._slots:
            start = (await self._client.fetch(queries.Locate(account, from_seq))).value
            client = self._hub.make_client("stream-replay")
            try:
                async for batch in client.subscribe(start, (account,)):
                    for transaction in batch:
                        found += [
                            (transaction.seq, transaction.time_us, event)
                            for event in transaction.events
                            if event.account == account
                            and from_seq <= event.account_seq <= to_seq
                        ]
                    if found and found[-1][2].account_seq >= to_seq:
                        break
            finally:
                await client.close()
        return found

    async def _snapshot(self, account: str) -> tuple[AccountSnapshot, list[Deposit]]:
        snapshot = (await self._client.fetch(queries.AccountSnapshot(account))).value
        if snapshot is None:
            raise EngineRefused("unknown_account", f"there is no account {account!r}")
        deposits = (await self._client.fetch(queries.Deposits(account), snapshot.as_of_seq)).value
        return snapshot, [row for row in deposits if not row.credited]

    def snapshot_messages(
        self, snapshot: AccountSnapshot, deposits: list[Deposit], channels: frozenset[str]
    ) -> Iterable[tuple[str, str]]:
        """Yield (channel, snapshot message) for each channel; without a state it is empty."""
        hub = self._hub
        scales = hub.catalogue.scales
        for channel in PRIVATE_CHANNELS:
            if channel not in channels:
                continue
            data: Any = []
            if channel == ORDERS:
                data = [order_view(row, hub.catalogue) for row in snapshot.orders]
            elif channel == BALANCES:
                data = [balance_view(row, scales[row.asset]) for row in snapshot.balances]
            elif channel == TRANSFERS:
                data = [withdrawal_data(row, hub.catalogue) for row in snapshot.withdrawals]
                data += [deposit_data(row, hub.catalogue) for row in deposits]
            text = envelope(
                channel, hub.epoch, "snapshot", snapshot.account_seq, snapshot.account_seq,
                snapshot.as_of_seq, hub.time_us, text_of(data), snapshot.account,
            )  # fmt: skip
            yield channel, text


async def send_loaded(subscription: PrivateSubscription, first: Loaded) -> None:
    """Send the start of a subscription at the peer's pace, then go live.

    Channels that have been unsubscribed since are left out.
    """
    for item in first:
        if isinstance(item, Rendered):
            await subscription.send(item)
        elif item[0] in subscription.channels:
            await subscription.peer.send(item[1])
    await subscription.go_live()


