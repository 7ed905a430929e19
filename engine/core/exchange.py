"""The exchange: ``apply(command) -> events``, the only way its state ever changes.

State is plain objects owned by one thread. Handlers live beside it by subject (orders,
batches, withdrawals, sessions, definitions); each gets the exchange and a command, checks
everything first, changes state only when nothing can fail any more, and emits events in the
order in which things happened.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from engine.core import (
    addresses,
    batches,
    definitions,
    deposits,
    execution,
    orders,
    purges,
    refusals,
    replaces,
    sessions,
    suspensions,
    ticks,
    withdrawals,
)
from engine.core.book import Book, Order
from engine.core.commands import (
    AddAddress,
    AdvanceWithdrawal,
    ApproveWithdrawal,
    AssignDepositAddress,
    Batch,
    CancelOrder,
    CancelWithdrawal,
    CloseSession,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineNetwork,
    DefineVenue,
    Deposit,
    MassCancel,
    NewOrder,
    OpenSession,
    QuoteWithdrawal,
    RecordRefusal,
    RejectWithdrawal,
    RemoveAddress,
    ReplaceOrder,
    RequestWithdrawal,
    SetAccountStatus,
    SetDeadMansSwitch,
    SetInstrumentStatus,
    SetReferencePrice,
    StartEpoch,
    Tick,
    Transfer,
)
from engine.core.deposits import DepositRecord
from engine.core.events import ClientIdsRetired, Event, OrderCanceled, Refused
from engine.core.faults import EngineFault, check
from engine.core.ledger import Account, House
from engine.core.networks import Network
from engine.core.ordertable import PARTS_MASK, RUN_BITS, OrderTable
from engine.core.sessions import Session
from engine.core.timers import Timers
from engine.core.types import (
    CancelReason,
    OrdStatus,
    Origin,
    RejectReason,
    RetiredId,
)
from engine.core.withdrawals import WithdrawalRecord

_E = TypeVar("_E", bound=Event)
Handler = Callable[["Exchange", Any], object]

TOKEN_GRACE_US: Final = 60_000_000
TOKENS_FORGOTTEN: Final = 8
RETIRE_BATCH: Final = 256
RETIRED_IDS_MAX: Final = 1000
"""Client order ids that one command hands to the durable index, but for the last order's."""
_BY_TIME: Final = CancelReason.EXPIRED
_EXPIRED: Final = OrdStatus.EXPIRED
_CANCELED: Final = OrdStatus.CANCELED
_event: Final = tuple.__new__


class Exchange:
    """The whole venue: instruments, accounts, orders, money, sessions, timers.

    ``seq`` and ``time_us`` are those of the last applied command; ``events`` collects the
    events of the command being applied. ``orders`` finds orders in memory, open or closed,
    by order id. ``armed`` holds the books that have stop orders. ``tokens`` remembers signed
    requests: token → (seq, forget at).

    ``work_max`` bounds the trades, cancels and triggered stops of one command and
    ``work_left`` is what is left of it (rule M-10); ``triggers_left`` is the same for stops and
    ``retire_left`` for ids handed over. ``busy`` holds the books with orders that wait for
    their turn, the one whose turn is next first. ``purges`` are cancels of many orders in
    progress, and expiries up to ``expired_to`` are; ``wary`` is true while there is either.
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
        self.purges: deque[purges.Purge] = deque()
        self.timers = Timers()
        self.sessions: dict[str, Session] = {}
        self.tokens: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self.deposits: dict[str, DepositRecord] = {}
        self.withdrawals: dict[int, WithdrawalRecord] = {}
        self.open_withdrawals: dict[str, dict[int, None]] = {}
        self.withdrawal_ids: dict[tuple[str, str], int] = {}
        self.transfer_ids: dict[tuple[str, str], int] = {}

    def apply(self, seq: int, time_us: int, command: Command) -> list[Event]:
        """Do one command and return its events; the same inputs always give the same events.

        ``seq`` is the last one + 1 and ``time_us`` does not go back. A command that
        ``find_duplicate`` recognises must not be applied. Raises EngineFault when an
        invariant fails; the exchange must not be used after that.
        """
        if seq != self.seq + 1 or time_us < self.time_us:
            raise EngineFault(f"command {seq} does not follow {self.seq}, or time went back")
        self.seq = seq
        self.time_us = time_us
        events: list[Event] = []
        self.events = events
        self.work_left = self.work_max
        self.triggers_left = self.cascade_max
        self.retire_left = RETIRED_IDS_MAX
        origin = command.origin
        source, epoch, num, token, valid_until, _ = origin
        refusal = None
        if num or token or valid_until:
            session = self.sessions.get(source)
            if (
                session is not None
                and num > session.mark
                and epoch == session.epoch
                and not token
                and not valid_until
            ):
                session.mark = num  # The usual FIX message; the rest is for _identify.
            else:
                refusal = self._identify(origin)
        if refusal is None:
            _HANDLERS[type(command)](self, command)
        else:
            refusals.refuse(self, command, *refusal)
        if self.armed:
            execution.run_stops(self)
        return events

    def find_duplicate(self, command: Command) -> int | None:
        """Whether a command was done before: None if not, else the seq of the original.

        0 stands for a FIX message at or below its session's mark, whose seq is not kept
        (rules I-1, I-2). O(1).
        """
        origin = command.origin
        if origin.num:
            session = self.sessions.get(origin.source)
            if session and origin.epoch == session.epoch and origin.num <= session.mark:
                return 0
        if origin.token:
            seen = self.tokens.get(origin.token)
            if seen is not None and seen[1] >= self.time_us:
                return seen[0]
        return None

    def next_timer(self) -> int:
        """When a Tick is due (microseconds), 0 if nothing waits."""
        if (
            self.purges
            or (self.busy and execution.queues_pending(self))
            or (self.armed and execution.stops_pending(self))
        ):
            return self.time_us
        return self.timers.next()

    def export_state(self) -> dict[str, Any]:
        """All of the state as plain dicts, lists, strings and integers (see ``state.py``)."""
        from engine.core import state

        return state.export_state(self)

    @classmethod
    def restore(cls, exported: dict[str, Any]) -> Exchange:
        """Rebuild an exchange from ``export_state``; it goes on identically."""
        from engine.core import state

        return state.restore(cls(), exported)

    def state_hash(self) -> str:
        """SHA-256 of the whole state in a canonical form, as hex. O(state)."""
        from engine.core import state

        return state.state_hash(self)

    # What the handlers share.

    def open_orders(self, symbol: str) -> Iterator[Order]:
        """The open orders of an instrument, whoever's. O(open orders of the venue)."""
        for account in self.accounts.values():
            for order in account.orders.values():
                if order.terms.symbol == symbol:
                    yield order

    def emit(self, kind: type[_E], account: Account, *fields: object) -> None:
        """Add an event of an account, at the next place of its sequence."""
        account.seq += 1
        self.events.append(_event(kind, (account.name, account.seq, *fields)))

    def emit_public(self, kind: type[_E], *fields: object) -> None:
        """Add an event of the whole venue."""
        self.events.append(_event(kind, ("", 0, *fields)))

    def refuse(
        self, name: str, subject: str, reason: RejectReason, text: str, detail: int = 0
    ) -> None:
        """Refuse a command that is not about an order; ``name`` may be no account of ours."""
        account = self.accounts.get(name)
        if account is None:
            self.events.append(Refused(name, 0, subject, reason, text, detail))
        else:
            self.emit(Refused, account, subject, reason, text, detail)

    def cancel_order(
        self, order: Order, reason: CancelReason, client_order_id: str = "", requester: str = ""
    ) -> None:
        """Take an open order out, release its hold, and report it (rule C-2)."""
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
            client_order_id, requester, -held,
        )  # fmt: skip
        self.events.append(_event(OrderCanceled, fields))
        self.close_order(order)

    def disarm(self, order: Order) -> None:
        """Take a stop order out of its stop book."""
        book = order.book
        book.stops.remove(order)
        if not book.stops:
            del self.armed[book.instrument.symbol]

    def join_queue(self, order: Order) -> None:
        """Let an order wait for its turn behind all others (rule M-10)."""
        book = order.book
        book.queue[order.order_id] = order
        book.busy = True
        self.busy[book.symbol] = book

    def leave_queue(self, order: Order) -> None:
        """Let an order wait for its turn no longer, if it does (rule M-10)."""
        book = order.book
        if book.current is order:
            book.current = None
        else:
            book.queue.pop(order.order_id, None)
        if book.current is None and not book.queue:
            self.idle(book)

    def idle(self, book: Book) -> None:
        """Nobody waits for a turn in this book any more."""
        book.busy = False
        self.busy.pop(book.symbol, None)

    def close_order(self, order: Order) -> None:
        """Move an order that can trade no more from the open to the closed ones."""
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
        """Hand ids of the oldest closed orders to the durable index (rule I-3).

        They are those beyond the newest ``kept`` that closed before ``horizon``, as many as one
        command may retire; the rest goes when more of the account's orders close.
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
        """Hand ids from the middle of a very long replace chain to the durable index."""
        self.retire_left -= len(client_ids)
        for client_id in client_ids:
            del order.account.client_ids[client_id]
        retired = tuple(retired_id(order, client_id) for client_id in client_ids)
        self.emit_public(ClientIdsRetired, retired)

    def _identify(self, origin: Origin) -> tuple[RejectReason, str] | None:
        """Remember who sent a command; refuse one from a past epoch or past its time."""
        if origin.num:
            session = self.sessions.get(origin.source)
            if session is None:
                session = self.sessions[origin.source] = Session(origin.source, origin.epoch)
            if origin.epoch != session.epoch:
                return (
                    RejectReason.STALE_EPOCH,
                    f"the message belongs to epoch {origin.epoch} of {origin.source}, "
                    f"which is now in epoch {session.epoch}",
                )
            check(origin.num > session.mark, "a message is applied once")
            session.mark = origin.num
        if origin.token:
            tokens = self.tokens
            for _ in range(TOKENS_FORGOTTEN):
                oldest = next(iter(tokens), "")
                if not oldest or tokens[oldest][1] >= self.time_us:
                    break
                del tokens[oldest]
            tokens.pop(origin.token, None)
            tokens[origin.token] = (self.seq, origin.valid_until + TOKEN_GRACE_US)
        if origin.valid_until and self.time_us > origin.valid_until:
            return (
                RejectReason.REQUEST_EXPIRED,
                "the request reached the engine after the time until which it is valid",
            )
        return None


def retired_id(order: Order, client_id: str) -> RetiredId:
    """How an order stands, for the durable index."""
    fields = (
        order.account.name, client_id, order.order_id, order.status, order.terms.qty,
        order.cum, order.notional,
    )  # fmt: skip
    return _event(RetiredId, fields)


_HANDLERS: Final[dict[type, Handler]] = {
    NewOrder: orders.new_order,
    CancelOrder: orders.cancel,
    ReplaceOrder: replaces.replace,
    MassCancel: batches.mass_cancel,
    Batch: batches.batch,
    RecordRefusal: refusals.record_refusal,
    Deposit: deposits.deposit,
    RequestWithdrawal: withdrawals.request,
    ApproveWithdrawal: withdrawals.approve,
    RejectWithdrawal: withdrawals.reject,
    CancelWithdrawal: withdrawals.cancel,
    AdvanceWithdrawal: withdrawals.advance,
    Transfer: withdrawals.transfer,
    AddAddress: addresses.add,
    RemoveAddress: addresses.remove,
    QuoteWithdrawal: addresses.quote,
    AssignDepositAddress: addresses.assign,
    SetDeadMansSwitch: sessions.set_switch,
    OpenSession: sessions.open_session,
    CloseSession: sessions.close_session,
    StartEpoch: sessions.start_epoch,
    Tick: ticks.tick,
    DefineAsset: definitions.asset,
    DefineInstrument: definitions.instrument,
    DefineAccount: definitions.account,
    DefineNetwork: definitions.network,
    SetInstrumentStatus: definitions.instrument_status,
    SetAccountStatus: suspensions.set_status,
    SetReferencePrice: definitions.reference_price,
    DefineVenue: definitions.venue,
}
