"""A Tick: due timers and unfinished work (rules S-4, M-10).

In this order, within the work of one command: cancels in progress, timers that are due, and
orders that wait for their turn. Stops follow as after any command.
"""

from __future__ import annotations

from engine.core import execution, purges, sessions, withdrawals
from engine.core.commands import Tick
from engine.core.timers import Key, TimerKind
from engine.core.types import CancelReason
from engine.core.venue import Venue


def tick(venue: Venue, c: Tick) -> None:
    """Continue work in progress and fire due timers, within the work of one command."""
    while venue.purges and purges.run(venue, venue.purges[0]):
        pass
    _fire_timers(venue)
    if venue.busy:
        execution.go_on(venue)


def _fire_timers(venue: Venue) -> None:
    """Fire due timers in order of time (rule S-4); due orders that remain can no longer trade."""
    now = venue.time_us
    if venue.work_left > 0:
        for timer in venue.timers.pop_due(now):
            venue.work_left -= 1
            _fire(venue, timer)
            if venue.work_left <= 0:
                break
    due = venue.timers.next()
    venue.expired_to = now if 0 < due <= now else 0
    venue.wary = bool(venue.purges or venue.expired_to)


def _fire(venue: Venue, timer: Key) -> None:
    if isinstance(timer, int):
        venue.cancel_order(venue.orders[timer], CancelReason.EXPIRED)
    elif timer.kind is TimerKind.SESSION:
        sessions.end_grace(venue, timer.name)
    elif timer.kind is TimerKind.SWITCH:
        sessions.fire_switch(venue, timer)
    else:
        withdrawals.expire(venue, timer.number)
