"""The venue: all of its state, and the functions that the handlers share.

The state is plain objects owned by one thread. The handlers are in modules beside it, by subject
(orders, batches, withdrawals, sessions, administration). Each takes the venue and a command,
checks everything first, changes state only when nothing can fail any more, and emits events in
the order in which things happened. Only ``Exchange``, which no handler imports, dispatches to them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, TypeVar

from engine.core.book import Book, Order
from engine.core.events import ClientIdsRetired, Event, OrderCanceled, Refused
from engine.core.faults import EngineFault
from engine.core.ledger import Account, House
from engine.core.ordertable import PARTS_MASK, RUN_BITS, OrderTable
from engine.core.records import DepositRecord, Network, Purge, Session, WithdrawalRecord
from engine.core.timers import Timers
from engine.core.types import (
    CancelReason,
    OrdStatus,
    RejectReason,
    RetiredId,
    Route,
    StoredRecord,
    make,
)

_E = TypeVar("_E", bound=Event)

RETIRE_BATCH: Final = 256
RETIRED_IDS_MAX: Final = 1000
"""Client order ids that one command moves to the durable index, not counting the last order's."""
_BY_TIME: Final = CancelReason.EXPIRED
_EXPIRED: Final = OrdStatus.EXPIRED
_CANCELED: Final = OrdStatus.CANCELED


class Collection:
    """Records that other processes store, by owner and key, in the order of their last change.

    ``versions`` has the seq of the last change of each owner's records and ``version`` that of the
    whole collection; ``deleted_at`` is the seq of the last deletion.
    """

    __slots__ = ("deleted_at", "next_number", "records", "version", "versions")

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], StoredRecord] = {}
        self.versions: dict[str, int] = {}
        self.version = 0
        self.deleted_at = 0
        self.next_number = 1


class Venue:
    """The whole venue: instruments, accounts, orders, money, sessions, timers.

    ``seq`` and ``time_us`` are those of the last applied command; ``events`` collects the
    events of the command being applied. ``orders`` finds orders in memory, open or closed,
    by order id. ``armed`` holds the books that have stop orders. ``tokens`` remembers signed
    requests: token → (seq, forget at).

    ``work_max`` bounds the trades, cancels and triggered stops of one command and
    ``work_left`` is what is left of it (rule M-10); ``triggers_left`` is the same for stops and
    ``retire_left`` for retired ids. ``busy`` holds the books with orders that wait for their
    turn, the one whose turn is next first. ``purges`` are cancels of many orders in progress;
    expiries up to ``expired_to`` are in progress too; ``wary`` is true while there is either.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.time_us = 0
        self.events: list[Event] = []
        self.next_order_id = 1
        self.next_trade_id = 1
        self.next_withdrawal_id = 1
        self.next_transfer_id = 1
        self.next_address_id = 1
        self.next_quote_id = 1
        self.day_roll_us = 0
        self.cascade_max = 1000
        self.work_max = 500
        self.work_left = 500
        self.triggers_left = 1000
        self.retire_left = RETIRED_IDS_MAX
        self.expired_to = 0
        self.wary = False
        self.closed_orders_kept = 10_000
        self.client_id_window_us = 30 * 86_400_000_000
        self.assets: dict[str, int] = {}
        self.networks: dict[tuple[str, str], Network] = {}
        self.books: dict[str, Book] = {}
        self.accounts: dict[str, Account] = {}
        self.firms: dict[str, list[str]] = {}
        self.house = House()
        self.orders = OrderTable()
        self.armed: dict[str, Book] = {}
        self.busy: OrderedDict[str, Book] = OrderedDict()
        self.purges: deque[Purge] = deque()
        self.timers = Timers()
        self.sessions: dict[str, Session] = {}
        self.tokens: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.deposits: dict[str, DepositRecord] = {}
        self.withdrawals: dict[int, WithdrawalRecord] = {}
        self.open_withdrawals: dict[str, dict[int, None]] = {}
        self.withdrawal_ids: dict[tuple[str, str], int] = {}
        self.transfer_ids: dict[tuple[str, str], int] = {}
        self.collections: dict[str, Collection] = {}

    def open_orders(self, symbol: str) -> Iterator[Order]:
        """Yield the open orders of an instrument, of all accounts. O(open orders of the venue)."""
        for account in self.accounts.values():
            for order in account.orders.values():
                if order.terms.symbol == symbol:
                    yield order

    def emit(self, kind: type[_E], account: Account, *fields: object) -> None:
        """Add an event of an account, at the next place of its sequence."""
        account.seq += 1
        self.events.append(make(kind, (account.name, account.seq, *fields)))

    def emit_public(self, kind: type[_E], *fields: object) -> None:
        """Add an event of the whole venue."""
        self.events.append(make(kind, ("", 0, *fields)))

    def refuse(
        self, name: str, subject: str, reason: RejectReason, text: str, detail: int = 0
    ) -> None:
        """Refuse a command that is not about an order; ``name`` need not be an existing account."""
        account = self.accounts.get(name)
        if account is None:
            self.events.append(Refused(name, 0, subject, reason, text, detail))
        else:
            self.emit(Refused, account, subject, reason, text, detail)

    def cancel_order(
        self,
        order: Order,
        reason: CancelReason,
        client_order_id: str = "",
        requester: str = "",
        route: Route | None = None,
    ) -> None:
        """Cancel an open order: remove it, release its hold, and report it (rule C-2)."""
        buy = order.buy
        if order.armed:
            self.disarm(order)
        elif order.level is not None:
            (order.book.bids if buy else order.book.asks).remove(order)
        elif order.book.busy:
            self.leave_queue(order)
        held = order.held
        if held:
            money = order.quote if buy else order.base
            money.available += held
            money.held -= held
            order.held = 0
            if held < 0 or money.held < 0:
                raise EngineFault("a release comes out of held money")
        order.status = status = _EXPIRED if reason is _BY_TIME else _CANCELED
        order.leaves = 0
        order.updated_at = self.time_us
        account = order.account
        account.seq = seq = account.seq + 1
        fields = (
            account.name, seq, order.terms, status, order.cum, order.notional, reason,
            client_order_id, requester, -held, route,
        )  # fmt: skip
        self.events.append(make(OrderCanceled, fields))
        self.close_order(order)

    def disarm(self, order: Order) -> None:
        """Remove a stop order from its stop book."""
        book = order.book
        book.stops.remove(order)
        if not book.stops:
            del self.armed[book.instrument.symbol]

    def join_queue(self, order: Order) -> None:
        """Queue an order for its turn, behind all others (rule M-10)."""
        book = order.book
        book.queue[order.order_id] = order
        book.busy = True
        self.busy[book.symbol] = book

    def leave_queue(self, order: Order) -> None:
        """Remove an order from the queue of turns, if it is there (rule M-10)."""
        book = order.book
        if book.current is order:
            book.current = None
        else:
            book.queue.pop(order.order_id, None)
        if book.current is None and not book.queue:
            self.idle(book)

    def idle(self, book: Book) -> None:
        """Mark a book as no longer busy."""
        book.busy = False
        self.busy.pop(book.symbol, None)

    def close_order(self, order: Order) -> None:
        """Move an order that can no longer trade from the open to the closed ones."""
        if order.held:
            raise EngineFault("a closed order holds nothing")
        account = order.account
        del account.orders[order.order_id]
        expire_at = order.expire_at
        if expire_at:
            self.timers.discard(expire_at, order.order_id)
        closed = account.closed
        closed.append(order)
        count = len(closed)
        if count >= self.closed_orders_kept + RETIRE_BATCH:
            self._retire(account, self.closed_orders_kept, self.time_us + 1)
        elif count % RETIRE_BATCH == 0:
            self._retire(account, 0, self.time_us - self.client_id_window_us)

    def _retire(self, account: Account, kept: int, horizon: int) -> None:
        """Move ids of the oldest closed orders to the durable index (rule I-3).

        These are the orders beyond the newest ``kept`` that closed before ``horizon``, as many as
        one command may retire; the rest follow when more of the account's orders close.
        """
        closed, client_ids, parts = account.closed, account.client_ids, self.orders.parts
        retired: list[RetiredId] = []
        while (
            len(closed) > kept
            and len(retired) < self.retire_left
            and closed[0].updated_at < horizon
        ):
            order = closed.popleft()
            order_id = order.order_id
            del parts[order_id >> RUN_BITS & PARTS_MASK][order_id]
            for client_id in order.client_ids():
                if client_ids.get(client_id) is order:
                    del client_ids[client_id]
                    retired.append(retired_id(order, client_id))
        self.retire_left -= len(retired)
        if retired:
            self.emit_public(ClientIdsRetired, tuple(retired))

    def retire_chain(self, order: Order, client_ids: list[str]) -> None:
        """Move ids from the middle of a very long replace chain to the durable index."""
        self.retire_left -= len(client_ids)
        for client_id in client_ids:
            del order.account.client_ids[client_id]
        retired = tuple(retired_id(order, client_id) for client_id in client_ids)
        self.emit_public(ClientIdsRetired, retired)


def retired_id(order: Order, client_id: str) -> RetiredId:
    """Return the state of an order, for the durable index."""
    fields = (
        order.account.name, client_id, order.order_id, order.status, order.terms.qty,
        order.cum, order.notional,
    )  # fmt: skip
    return make(RetiredId, fields)
