"""Work that one command does not finish, in the naive exchange of ``oracle`` (M-10, C-10)."""

from __future__ import annotations

from typing import Any

from engine.core.commands import MassCancel
from engine.core.events import MassCanceled
from engine.core.types import CancelReason
from tests.support.oracle_book import OracleBook, Order


class Purge:
    """A cancel of many orders: of these accounts, up to an order id, that ``asked`` describes."""

    def __init__(
        self, names: list[str], order_max: int, reason: CancelReason, client_id: str,
        requester: str, asked: MassCancel | None = None,
    ) -> None:  # fmt: skip
        self.names = tuple(names)
        self.names_left = names
        self.looked_at: list[Order] = []
        self.order_max = order_max
        self.reason = reason
        self.client_id = client_id
        self.requester = requester
        self.asked = asked
        self.affected: list[tuple[str, str, int]] = []

    def covers(self, order: Order) -> bool:
        t, c = order.terms, self.asked
        return (
            t.account in self.names
            and t.order_id <= self.order_max
            and (c is None or c.session in ("", t.session))
            and (c is None or c.symbol in ("", t.symbol))
            and (c is None or c.side in (None, t.side))
            and (c is None or c.strategy in ("", t.strategy))
        )


class OracleTurns(OracleBook):
    """Orders whose turn is not over or has not come, and cancels in progress."""

    def __init__(self) -> None:
        super().__init__()
        self.busy: list[str] = []
        self.current: dict[str, Order] = {}
        self.lines: dict[str, list[Order]] = {}
        self.purges: list[Purge] = []
        self.expired_to = 0

    # -- M-10 --------------------------------------------------------------------------

    def waits_for_turn(self, order: Order) -> bool:
        symbol = order.terms.symbol
        return self.current.get(symbol) is order or order in self.lines.get(symbol, [])

    def stand_in_line(self, order: Order) -> None:
        self.lines.setdefault(order.terms.symbol, []).append(order)
        self.note_busy(order.terms.symbol)

    def leave_line(self, order: Order) -> None:
        symbol = order.terms.symbol
        if self.current.get(symbol) is order:
            del self.current[symbol]
        elif order in self.lines.get(symbol, []):
            self.lines[symbol].remove(order)
        self.note_busy(symbol)

    def note_busy(self, symbol: str) -> None:
        waits = symbol in self.current or bool(self.lines.get(symbol))
        if waits and symbol not in self.busy:
            self.busy.append(symbol)
        if not waits and symbol in self.busy:
            self.busy.remove(symbol)

    def interrupt(self, order: Order) -> None:
        """The work of the command is used up in the middle of the order's turn."""
        if order.market_buy and order.held:
            self.add_to_hold_change(order, 0, self.set_hold(order, 0))
        self.current[order.terms.symbol] = order
        self.note_busy(order.terms.symbol)

    def add_to_hold_change(self, order: Order, start: int, change: int) -> None:
        for index in range(start, len(self.events)):
            event: Any = self.events[index]
            found = getattr(event, "order", None)
            if found and found.order_id == order.terms.order_id:
                self.events[index] = event._replace(hold_change=event.hold_change + change)
                return

    def go_on(self, symbol: str) -> None:
        """An instrument's turns, until the work is used up or nobody waits."""
        self.busy.remove(symbol)
        self.busy.append(symbol)
        while self.work > 0:
            ready = [o for o in self.ready() if o.terms.symbol == symbol]
            if symbol not in self.current and ready:
                if self.triggers <= 0:
                    break
                self.trigger(min(ready, key=self.urgency))
            elif symbol in self.current or self.lines.get(symbol):
                self.take_turn(symbol)
                self.work -= 1
            else:
                break
            if symbol in self.current:
                break
        self.note_busy(symbol)

    def take_turn(self, symbol: str) -> None:
        order = self.current.pop(symbol, None) or self.lines[symbol].pop(0)
        if self.meet_doom(order):
            return
        if order.terms.post_only and self.opposite(order):
            return self.cancel(order, CancelReason.POST_ONLY)
        hold = 0
        if order.market_buy:
            hold = self.hold_needed(order, order.terms, order.leaves)
            if self.short(order, hold):
                return self.cancel(order, CancelReason.UNFUNDED)
            self.set_hold(order, hold)
        start = len(self.events)
        self.act(order)
        self.add_to_hold_change(order, start, hold)

    # -- C-10 --------------------------------------------------------------------------

    def purge_of(self, order: Order) -> Purge | None:
        return next((purge for purge in self.purges if purge.covers(order)), None)

    def late(self, order: Order) -> bool:
        return 0 < order.terms.expire_at <= self.expired_to

    def doomed(self, order: Order) -> bool:
        return self.purge_of(order) is not None or self.late(order)

    def meet_doom(self, order: Order) -> bool:
        """Cancel an order that a cancel in progress covers."""
        purge = self.purge_of(order)
        if purge is not None:
            self.cancel_for(purge, order)
        elif self.late(order):
            self.cancel(order, CancelReason.EXPIRED)
        else:
            return False
        return True

    def cancel_for(self, purge: Purge, order: Order) -> None:
        t = order.terms
        purge.affected.append((t.account, t.client_order_id, t.order_id))
        route = None if purge.asked is None else purge.asked.origin.route
        self.cancel(order, purge.reason, purge.client_id, purge.requester, route)

    def begin_purge(self, purge: Purge) -> None:
        self.purges.append(purge)
        self.run_purge(purge)

    def run_purge(self, purge: Purge) -> bool:
        """A piece: work cancels at most, and sixteen looks for each."""
        looks = 16 * self.work
        while True:
            while not purge.looked_at and purge.names_left:
                name = purge.names_left.pop(0)
                theirs = [o for o in self.open if o.terms.account == name]
                theirs = [o for o in theirs if o.terms.order_id <= purge.order_max]
                purge.looked_at = sorted(theirs, key=lambda o: o.terms.order_id)
            if not purge.looked_at:
                break
            if self.work <= 0 or looks <= 0:
                return False
            looks -= 1
            order = purge.looked_at.pop(0)
            if order.open and purge.covers(order):
                self.work -= 1
                self.cancel_for(purge, order)
        self.purges.remove(purge)
        if purge.asked is not None:
            self.summarize(purge, True)
        return True

    def summarize(self, purge: Purge, complete: bool) -> None:
        """C-7."""
        c = purge.asked
        assert c is not None
        self.emit(MassCanceled, c.account, c.client_order_id, tuple(purge.affected[:1000]),
                  c.symbol, c.side, c.strategy, c.session, c.firm_wide, None, "",
                  len(purge.affected), complete, c.origin.source, c.origin.route)  # fmt: skip
