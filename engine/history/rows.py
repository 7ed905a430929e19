"""Rows that history queries return: frozen, in the units of ``engine.core.types``."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from engine.core.types import CancelReason, Deposit, Liquidity, OrderRow, Side, Withdrawal

Row = TypeVar("Row")

class Page(NamedTuple, Generic[Row]):
    """Part of a list: its rows as of ``as_of_seq``, and the cursor of the next page.

    ``cursor`` is opaque; None means that there were no further rows at this read.
    """

    rows: list[Row]
    cursor: str | None
    as_of_seq: int


class Fill(NamedTuple):
    """One side of one trade, as the account that had it sees it.

    ``client_order_id`` is the id that the order had at the fill and
    ``first_client_order_id`` the one that its chain began with. ``cash`` and ``fee`` are in
    atoms of the quote asset, which ``fee_asset`` names. (seq, event_index) is the position of
    the fill in the venue's sequence of events.
    """

    trade_id: int
    order_id: int
    account: str
    client_order_id: str
    first_client_order_id: str
    strategy: str
    symbol: str
    side: Side
    qty: int
    price: int
    liquidity: Liquidity
    cash: int
    fee: int
    fee_asset: str
    time_us: int
    seq: int
    event_index: int
    account_seq: int


class PublicTrade(NamedTuple):
    """A public trade; ``cash`` in quote atoms."""

    trade_id: int
    symbol: str
    price: int
    qty: int
    cash: int
    taker_side: Side
    time_us: int
    seq: int


class HistoricOrder(NamedTuple):
    """An order, open or closed, as of its last event, which transaction ``seq`` holds.

    ``cancel_reason`` is None unless the order was canceled or expired. ``first_seq`` is the
    transaction that created the order, with the terms that it had then.
    """

    row: OrderRow
    cancel_reason: CancelReason | None
    seq: int
    first_seq: int


class LedgerEntry(NamedTuple):
    """One change of an account's money in one asset, and the balance after it, in atoms.

    ``cause`` is one of order_hold, order_release, order_change, fill, fee, deposit,
    withdrawal_hold, withdrawal_release, withdrawal_posted, withdrawal_returned, transfer.
    ``reference`` names it: ``order:<id>``, ``trade:<id>``, ``deposit:<id>``,
    ``withdrawal:<id>`` or ``transfer:<id>``; if there is an order, its ids are given.
    """

    seq: int
    event_index: int
    line: int
    account: str
    asset: str
    available_change: int
    held_change: int
    available: int
    held: int
    cause: str
    reference: str
    order_id: int
    trade_id: int
    client_order_id: str
    strategy: str
    account_seq: int
    time_us: int


class TransferRow(NamedTuple):
    """One side of a transfer: ``change`` of the account's available money, in atoms."""

    transfer_id: int
    account: str
    client_transfer_id: str
    other_account: str
    asset: str
    change: int
    time_us: int
    seq: int
    account_seq: int


class Candle(NamedTuple):
    """Trades of one symbol from ``start_us`` on for ``interval_us``.

    Prices in ticks, ``qty`` in lots, ``cash`` in quote atoms, ``trades`` their number.
    Intervals without a trade have no candle.
    """

    symbol: str
    interval_us: int
    start_us: int
    open: int
    high: int
    low: int
    close: int
    qty: int
    cash: int
    trades: int


class Ticker(NamedTuple):
    """The window from ``from_us`` on; without a trade in it all of it is 0.

    ``last_trade_id``, ``last_price`` and ``last_us`` are those of the newest trade, however old it
    is; 0 before the first.
    """

    symbol: str
    from_us: int
    open: int = 0
    high: int = 0
    low: int = 0
    close: int = 0
    qty: int = 0
    cash: int = 0
    trades: int = 0
    last_trade_id: int = 0
    last_price: int = 0
    last_us: int = 0


class Notice(NamedTuple):
    """An event that accounts are notified of, at (``seq``, ``event_index``) of the venue.

    ``about`` is the fill, or the deposit or withdrawal as the event left it.
    """

    seq: int
    event_index: int
    account: str
    time_us: int
    about: Fill | Deposit | Withdrawal

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the venue's sequence of events."""
        return self.seq, self.event_index
