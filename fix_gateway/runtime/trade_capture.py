"""Subscriptions to trade capture: a TradeCaptureReport(AE) for each later fill, unasked.

A subscription lives as long as the connection that asked for it. Its reports have their place in
the transaction, behind the report of the fill, so delivery treats them like every other: a session
that is held for a while gets them afterwards, in order and once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from engine.core.events import OrderFilled
from engine.core.instruments import Instrument
from engine.history.rows import Fill
from fix_gateway.codec import trade_reports
from fix_gateway.codec.execution_reports import Committed
from fix_gateway.codec.requests import TradesQuery
from fix_gateway.codec.routing import OutMessage
from fix_gateway.codec.third_party import reversed_header

CAPTURES_MAX: Final = 10
"""Subscriptions of one session at a time."""


class Capture(NamedTuple):
    """One subscription: fills of ``accounts`` that match, of transactions after ``after_seq``."""

    query: TradesQuery
    accounts: frozenset[str]
    after_seq: int

    def wants(self, event: OrderFilled, seq: int, time_us: int) -> bool:
        """Return True if a fill is one of those that were asked for."""
        q, order = self.query, event.order
        return (
            seq > self.after_seq
            and event.account in self.accounts
            and q.symbol in ("", order.symbol)
            and q.side in (None, order.side)
            and q.strategy in ("", order.strategy)
            and q.order_id in (0, order.order_id)
            and q.client_order_id in ("", order.client_order_id, order.first_client_order_id)
            and time_us >= q.from_us
            and (not q.until_us or time_us < q.until_us)
        )


def captured(
    transaction: Committed, captures: Iterable[Capture], instruments: Mapping[str, Instrument]
) -> list[OutMessage]:
    """Return the reports of a transaction for the subscriptions of one session, in order.

    The first part of an event is the ExecutionReport's; those of the subscriptions follow.
    """
    kept = tuple(captures)
    seq, time_us = transaction.seq, transaction.time_us
    found = []
    for index, event in enumerate(transaction.events):
        if not isinstance(event, OrderFilled):
            continue
        for part, capture in enumerate(kept, 1):
            if capture.wants(event, seq, time_us):
                fill = _fill(event, transaction, index, instruments)
                body = trade_reports.captured(capture.query, fill, instruments, part)
                header = reversed_header(capture.query.route)
                found.append(OutMessage(index, part, "AE", body, header))
    return found


def _fill(
    e: OrderFilled, transaction: Committed, index: int, instruments: Mapping[str, Instrument]
) -> Fill:
    """Return a fill as the history will have it."""
    o = e.order
    return Fill(
        trade_id=e.trade_id, order_id=o.order_id, account=e.account,
        client_order_id=o.client_order_id, first_client_order_id=o.first_client_order_id,
        strategy=o.strategy, symbol=o.symbol, side=o.side, qty=e.last_qty, price=e.last_price,
        liquidity=e.liquidity, cash=e.cash, fee=e.fee, fee_asset=instruments[o.symbol].quote,
        time_us=transaction.time_us, seq=transaction.seq, event_index=index,
        account_seq=e.account_seq,
    )  # fmt: skip
