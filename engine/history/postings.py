"""The double-entry ledger lines of an event (rule L-1).

Within a transaction the lines of each asset sum to zero, the house accounts included.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.core import events as ev
from engine.core.types import OrderTerms, Side

FEES_ACCOUNT: Final = "@fees"
"""House account to which fees are posted."""

SETTLEMENT_ACCOUNT: Final = "@settlement"
"""House account that is the counterpart of the outside world; deposits make it negative."""


class Pair(NamedTuple):
    """The two assets of an instrument."""

    base: str
    quote: str


class Posting(NamedTuple):
    """One line: how much an account's available and held money in an asset change, in atoms.

    ``cause`` and ``reference`` are those of ``rows.LedgerEntry``.
    """

    account: str
    asset: str
    available_change: int
    held_change: int
    cause: str
    reference: str
    order_id: int = 0
    trade_id: int = 0
    client_order_id: str = ""
    strategy: str = ""


def postings(event: ev.Event, pairs: dict[str, Pair]) -> list[Posting]:
    """Return the lines of an event that change anything; ``pairs``: the assets of each symbol."""
    if isinstance(event, ev.OrderFilled):
        lines = _fill(event, pairs[event.order.symbol])
    elif isinstance(event, (ev.OrderAccepted, ev.OrderTriggered)):
        lines = [_hold(event.order, event.hold_change, "order_hold", pairs)]
    elif isinstance(event, ev.OrderCanceled):
        lines = [_hold(event.order, event.hold_change, "order_release", pairs)]
    elif isinstance(event, (ev.OrderReplaced, ev.OrderRestated)):
        lines = [_hold(event.order, event.hold_change, "order_change", pairs)]
    elif isinstance(event, ev.DepositUpdated):
        lines = _deposit(event)
    elif isinstance(event, ev.WithdrawalUpdated):
        lines = _withdrawal(event)
    elif isinstance(event, ev.Transferred):
        reference = f"transfer:{event.transfer_id}"
        lines = [Posting(event.account, event.asset, event.change, 0, "transfer", reference)]
    else:
        return []
    return [line for line in lines if line.available_change or line.held_change]


def _hold(order: OrderTerms, change: int, cause: str, pairs: dict[str, Pair]) -> Posting:
    pair = pairs[order.symbol]
    asset = pair.quote if order.side is Side.BUY else pair.base
    return Posting(
        order.account, asset, -change, change, cause, f"order:{order.order_id}",
        order.order_id, 0, order.client_order_id, order.strategy,
    )  # fmt: skip


def _fill(event: ev.OrderFilled, pair: Pair) -> list[Posting]:
    order = event.order
    hold = event.hold_change
    reference = f"trade:{event.trade_id}"
    about = (reference, order.order_id, event.trade_id, order.client_order_id, order.strategy)
    if order.side is Side.BUY:
        paid, cost, got, gain = pair.quote, event.cash, pair.base, event.base_amount
    else:
        paid, cost, got, gain = pair.base, event.base_amount, pair.quote, event.cash
    return [
        Posting(order.account, paid, -cost - hold, hold, "fill", *about),
        Posting(order.account, got, gain, 0, "fill", *about),
        Posting(order.account, pair.quote, -event.fee, 0, "fee", *about),
        Posting(FEES_ACCOUNT, pair.quote, event.fee, 0, "fee", *about),
    ]


def _deposit(event: ev.DepositUpdated) -> list[Posting]:
    about = event.deposit
    amount, reference = event.credited_now, f"deposit:{about.deposit_id}"
    return [
        Posting(about.account, about.asset, amount, 0, "deposit", reference),
        Posting(SETTLEMENT_ACCOUNT, about.asset, -amount, 0, "deposit", reference),
    ]


def _withdrawal(event: ev.WithdrawalUpdated) -> list[Posting]:
    about, posted, hold = event.withdrawal, event.posted, event.hold_change
    reference = f"withdrawal:{about.withdrawal_id}"
    if not posted:
        cause = "withdrawal_hold" if hold > 0 else "withdrawal_release"
        return [Posting(about.account, about.asset, -hold, hold, cause, reference)]
    cause = "withdrawal_posted" if posted > 0 else "withdrawal_returned"
    fee = about.fee if posted > 0 else -about.fee
    return [
        Posting(about.account, about.asset, -posted - hold, hold, cause, reference),
        Posting(FEES_ACCOUNT, about.asset, fee, 0, cause, reference),
        Posting(SETTLEMENT_ACCOUNT, about.asset, posted - fee, 0, cause, reference),
    ]
