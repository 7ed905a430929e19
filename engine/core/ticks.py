"""A Tick: what time and unfinished work have in store (rules S-4, M-10).

In this order, within the work of one command: cancels in progress, timers that are due, and
orders that wait for their turn. Stops follow as after any command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import execution, purges, sessions, withdrawals
from engine.core.commands import Tick
from engine.core.timers import Key, TimerKind
from engine.core.types import CancelReason

if TYPE_CHECKING:
    from engine.core.exchange import Exchange


def tick(exchange: Exchange, c: Tick) -> None:
    """Go on with what is in progress and let what is due happen, as far as one command may."""
    while exchange.purges and purges.run(exchange, exchange.purges[0]):
        pass
    _fire_timers(exchange)
    if exchange.busy:
        execution.go_on(exchange)


def _fire_timers(exchange: Exchange) -> None:
    """Fire what is due, in order of time (rule S-4); orders that are left are as good as gone."""
    now = exchange.time_us
    if exchange.work_left > 0:
        for timer in exchange.timers.pop_due(now):
            exchange.work_left -= 1
            _fire(exchange, timer)
            if exchange.work_left <= 0:
                break
    due = exchange.timers.next()
    exchange.expired_to = now if 0 < due <= now else 0
    exchange.wary = bool(exchange.purges or exchange.expired_to)


def _fire(exchange: Exchange, timer: Key) -> None:
    if isinstance(timer, int):
        exchange.cancel_order(exchange.orders[timer], CancelReason.EXPIRED)
    elif timer.kind is TimerKind.SESSION:
        sessions.end_grace(exchange, timer.name)
    elif timer.kind is TimerKind.SWITCH:
        sessions.fire_switch(exchange, timer)
    else:
        withdrawals.expire(exchange, timer.number)
