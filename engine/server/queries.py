"""The queries: what the engine tells of its committed state, by name.

Every answer is built from plain rows of ``engine.core.types``. Cost is O(rows answered),
but for ``check`` and ``state_hash``, which walk the whole state and are for operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from engine.core import firms, invariants
from engine.core.book import Order
from engine.core.exchange import Exchange
from engine.core.ledger import Account
from engine.core.types import (
    ENGINE_VERSION,
    INT64_MAX,
    AccountLimits,
    AccountRow,
    AccountSnapshot,
    Address,
    AssetRow,
    Balance,
    BookRow,
    Deposit,
    DepositAddress,
    EngineFigures,
    EngineStatus,
    Hold,
    InstrumentRow,
    NetworkRow,
    OrderRow,
    Side,
    Withdrawal,
)
from engine.core.withdrawals import MOVES
from engine.journal.base import Journal, JournalError
from engine.journal.index import MARK_SEQS
from engine.wire import decode_transaction

DEPTH_MAX: Final = 1_000


class QueryError(Exception):
    """A query that cannot be answered; ``code`` is stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a query may be given; each uses what it needs."""

    account: str = ""
    account_seq: int = 0
    client_order_id: str = ""
    client_withdrawal_id: str = ""
    day: int = 0
    depth: int = 10
    firm: str = ""
    firm_wide: bool = False
    open_only: bool = False
    order_id: int = 0
    seq: int = 0
    session: str = ""
    side: Side | None = None
    strategy: str = ""
    symbol: str = ""
    withdrawal_id: int = 0


def order_row(order: Order) -> OrderRow:
    """An order as a query shows it."""
    instrument = order.book.instrument
    return OrderRow(
        order.terms, order.status, order.leaves, order.cum, order.notional, order.fees,
        order.held, instrument.quote if order.buy else instrument.base, order.display,
        order.triggered, order.updated_at,
    )  # fmt: skip


def account_row(account: Account) -> AccountRow:
    """An account as a query shows it."""
    return AccountRow(
        account.name, account.firm, account.maker_ppm, account.taker_ppm, account.stp,
        account.open_orders_max, tuple(account.approval_above.items()),
        tuple(account.daily_limits.items()), account.require_known_address,
        account.address_cooloff_us, len(account.orders), account.seq, account.suspended,
    )  # fmt: skip


class _MoneyIndex:
    """Deposits and withdrawals by account, kept up as they appear; both are never deleted."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._deposits_seen = 0
        self._next_withdrawal = 1
        self._deposits: dict[str, list[str]] = {}
        self._uncredited: dict[str, dict[str, None]] = {}
        self._withdrawals: dict[str, list[int]] = {}
        self._open: dict[int, None] = {}

    def deposits(self, account: str) -> list[Deposit]:
        self._update()
        records = self._exchange.deposits
        return [records[number].row for number in self._deposits.get(account, ())]

    def pending(self, account: str) -> dict[str, int]:
        """Atoms by asset that deposits not yet confirmed will add."""
        self._update()
        waiting = self._uncredited.get(account, {})
        amounts: dict[str, int] = {}
        for number in list(waiting):
            row = self._exchange.deposits[number].row
            if row.credited:
                del waiting[number]
            else:
                amounts[row.asset] = amounts.get(row.asset, 0) + row.amount
        return amounts

    def withdrawals(self, account: str, open_only: bool) -> list[Withdrawal]:
        """Withdrawals by number; those of all accounts for ""."""
        self._update()
        records = self._exchange.withdrawals
        numbers: Iterable[int]
        if open_only:
            for number in [n for n in self._open if not MOVES[records[n].row.state]]:
                del self._open[number]
            numbers = self._open
        else:
            numbers = self._withdrawals.get(account, ()) if account else records
        rows = [records[number].row for number in numbers]
        return [row for row in rows if not account or row.account == account]

    def _update(self) -> None:
        exchange = self._exchange
        if len(exchange.deposits) > self._deposits_seen:
            for number, record in islice(exchange.deposits.items(), self._deposits_seen, None):
                account = record.row.account
                self._deposits.setdefault(account, []).append(number)
                if not record.row.credited:
                    self._uncredited.setdefault(account, {})[number] = None
            self._deposits_seen = len(exchange.deposits)
        for withdrawal_id in range(self._next_withdrawal, exchange.next_withdrawal_id):
            row = exchange.withdrawals[withdrawal_id].row
            self._withdrawals.setdefault(row.account, []).append(withdrawal_id)
            self._open[withdrawal_id] = None
        self._next_withdrawal = exchange.next_withdrawal_id


class Queries:
    """Answers queries over an exchange and its journal. ``about`` adds to the status."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        about: Callable[[], tuple[str, int, int]],
        figures: Callable[[], EngineFigures] | None = None,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._about = about
        self._read_figures = figures
        self._money = _MoneyIndex(exchange)
        self._handlers: dict[str, Callable[[Arguments], Any]] = {
            "status": self._status,
            "figures": self._figures,
            "forget": self._forget,
            "assets": self._assets,
            "networks": self._networks,
            "instruments": self._instruments,
            "instrument_states": self._instrument_states,
            "accounts": self._accounts,
            "balances": lambda a: self.balances(a.account),
            "holds": lambda a: self.holds(a.account),
            "open_orders": self._open_orders,
            "order": self._order,
            "book": self._book,
            "withdrawal": self._withdrawal,
            "withdrawals": lambda a: self._money.withdrawals(a.account, a.open_only),
            "deposits": lambda a: self._money.deposits(a.account),
            "addresses": self._addresses,
            "deposit_addresses": self._deposit_addresses,
            "limits": self._limits,
            "session": self._session,
            "sessions": self._sessions,
            "transaction": self._transaction,
            "locate": self._locate,
            "account_snapshot": self._account_snapshot,
            "check": lambda a: invariants.violations(self._exchange),
            "state_hash": lambda a: self._exchange.state_hash(),
        }

    def answer(self, query: str, arguments: Mapping[str, Any]) -> Any:
        """The rows that answer a query. Raises QueryError."""
        handler = self._handlers.get(query)
        if handler is None:
            raise QueryError("unknown_query", f"there is no query {query[:40]!r}")
        try:
            checked = msgspec.convert(arguments, Arguments)
        except msgspec.ValidationError as error:
            raise QueryError("bad_arguments", f"query {query}: {error}") from None
        return handler(checked)

    def balances(self, name: str) -> list[Balance]:
        """Every asset that the account holds or expects, by name of the asset."""
        account = self._exchange.accounts.get(name)
        if account is None:
            return []
        pending = self._money.pending(name)
        rows = []
        for asset in sorted(account.balances.keys() | pending.keys()):
            money = account.balances.get(asset)  # A query changes nothing, so not made here.
            available, held = (money.available, money.held) if money else (0, 0)
            expected = pending.get(asset, 0)
            rows.append(Balance(name, asset, available + held, held, available, expected))
        return rows

    def holds(self, name: str) -> list[Hold]:
        """What open orders and withdrawals of the account hold."""
        account = self._exchange.accounts.get(name)
        if account is None:
            return []
        rows = []
        for order in account.orders.values():
            if order.held:
                instrument = order.book.instrument
                asset = instrument.quote if order.buy else instrument.base
                rows.append(Hold(f"O{order.order_id}", name, asset, order.held))
        for row in self._money.withdrawals(name, open_only=True):
            if not self._exchange.withdrawals[row.withdrawal_id].posted:
                rows.append(
                    Hold(f"W{row.withdrawal_id}", name, row.asset, row.amount + row.fee)
                )
        return rows

    def _status(self, a: Arguments) -> EngineStatus:
        exchange = self._exchange
        boot_id, snapshot_seq, clients = self._about()
        open_orders = sum(len(account.orders) for account in exchange.accounts.values())
        return EngineStatus(
            boot_id, ENGINE_VERSION, exchange.seq, exchange.time_us, self._journal.first_seq,
            snapshot_seq, clients, open_orders, len(exchange.accounts),
        )  # fmt: skip

    def _figures(self, a: Arguments) -> EngineFigures:
        if self._read_figures is None:
            raise QueryError("unknown_query", "this engine counts nothing")
        return self._read_figures()

    def _forget(self, a: Arguments) -> int:
        """Serve nothing before ``seq`` any more; returns the oldest that is still served.

        The state does not change: the files of whole segments may now be moved away.
        """
        if a.seq > self._about()[1] + 1:
            raise QueryError(
                "bad_arguments", f"there is no snapshot of seq {a.seq - 1} or later to start from"
            )
        self._journal.forget_before(a.seq)
        return self._journal.first_seq

    def _assets(self, a: Arguments) -> list[AssetRow]:
        return [AssetRow(asset, scale) for asset, scale in self._exchange.assets.items()]

    def _networks(self, a: Arguments) -> list[NetworkRow]:
        return [NetworkRow(*network) for network in self._exchange.networks.values()]

    def _instruments(self, a: Arguments) -> list[Any]:
        return [book.instrument for book in self._exchange.books.values()]

    def _instrument_states(self, a: Arguments) -> list[InstrumentRow]:
        return [
            InstrumentRow(
                symbol, book.status, book.last_price, book.anchor if book.band_ppm else 0,
                *book.band(),
            )
            for symbol, book in self._exchange.books.items()
        ]

    def _accounts(self, a: Arguments) -> list[AccountRow]:
        return [
            account_row(account)
            for account in self._exchange.accounts.values()
            if not a.firm or account.firm == a.firm
        ]

    def _addresses(self, a: Arguments) -> list[Address]:
        account = self._exchange.accounts.get(a.account)
        return [] if account is None else list(account.addresses.values())

    def _deposit_addresses(self, a: Arguments) -> list[DepositAddress]:
        account = self._exchange.accounts.get(a.account)
        return [] if account is None else list(account.deposit_addresses.values())

    def _limits(self, a: Arguments) -> AccountLimits | None:
        """What bounds the account's withdrawals on the UTC day ``day``, counted since 1970."""
        account = self._exchange.accounts.get(a.account)
        if account is None:
            return None
        rules = firms.address_rules(self._exchange, account)
        # What went out and came in again and again can pass 64 bits; no limit is above them.
        rows = [
            row._replace(daily_used=min(row.daily_used, INT64_MAX))
            for row in firms.limits(self._exchange, account, a.day)
        ]
        return AccountLimits(account.name, rules, tuple(rows))

    def _open_orders(self, a: Arguments) -> list[OrderRow]:
        account = self._exchange.accounts.get(a.account)
        if account is None:
            return []
        names = self._exchange.firms[account.firm] if a.firm_wide else [a.account]
        rows = []
        for name in names:
            for order in self._exchange.accounts[name].orders.values():
                terms = order.terms
                if (
                    (not a.symbol or terms.symbol == a.symbol)
                    and (not a.strategy or terms.strategy == a.strategy)
                    and (not a.session or terms.session == a.session)
                    and (a.side is None or terms.side is a.side)
                ):
                    rows.append(order_row(order))
        return rows

    def _order(self, a: Arguments) -> OrderRow | None:
        order: Order | None = None
        if a.order_id:
            order = self._exchange.orders.get(a.order_id)
            if order is not None and a.account and order.account.name != a.account:
                return None
            if order is not None and a.client_order_id:
                named = order.account.client_ids.get(a.client_order_id)
                order = order if named is order else None
        else:
            account = self._exchange.accounts.get(a.account)
            order = account.client_ids.get(a.client_order_id) if account else None
        return None if order is None else order_row(order)

    def _book(self, a: Arguments) -> BookRow | None:
        book = self._exchange.books.get(a.symbol)
        if book is None:
            return None
        if not 1 <= a.depth <= DEPTH_MAX:
            raise QueryError("bad_arguments", f"depth must be 1 to {DEPTH_MAX}, not {a.depth}")
        return BookRow(
            a.symbol, book.status, book.bids.depth(a.depth), book.asks.depth(a.depth),
            book.last_price,
        )  # fmt: skip

    def _withdrawal(self, a: Arguments) -> Withdrawal | None:
        number = a.withdrawal_id
        if a.client_withdrawal_id:
            named = self._exchange.withdrawal_ids.get((a.account, a.client_withdrawal_id), 0)
            if number and named != number:
                return None
            number = named
        record = self._exchange.withdrawals.get(number)
        if record is None or (a.account and record.row.account != a.account):
            return None
        return record.row

    def _session(self, a: Arguments) -> Any:
        session = self._exchange.sessions.get(a.session)
        return None if session is None else session.row()

    def _sessions(self, a: Arguments) -> list[Any]:
        return [session.row() for session in self._exchange.sessions.values()]

    def _transaction(self, a: Arguments) -> bytes:
        return transaction_body(self._journal, a.seq)

    def _locate(self, a: Arguments) -> int:
        """The first transaction with ``account_seq`` of the account."""
        account = self._exchange.accounts.get(a.account)
        if account is None:
            raise QueryError("unknown_account", f"there is no account {a.account!r}")
        if a.account_seq > account.seq:
            return self._journal.last_seq + 1
        wanted, journal = max(1, a.account_seq), self._journal
        mark = journal.mark_before(a.account, wanted)
        if mark is not None:
            if mark.account_seq == wanted and mark.seq >= journal.first_seq:
                return mark.seq
            start = max(mark.seq, journal.first_seq)
            for record in journal.read(start, MARK_SEQS + 1, 1 << 30):
                for event in decode_transaction(record.body).events:
                    if event.account == a.account and event.account_seq == wanted:
                        return record.seq
        raise QueryError(
            "gap_too_old",
            f"account_seq {wanted} of {a.account} lies before the oldest transaction kept, "
            f"{journal.first_seq}; take an account snapshot and go on from there",
        )

    def _account_snapshot(self, a: Arguments) -> AccountSnapshot | None:
        account = self._exchange.accounts.get(a.account)
        if account is None:
            return None
        return AccountSnapshot(
            a.account,
            account.seq,
            self.balances(a.account),
            [order_row(order) for order in account.orders.values()],
            self._money.withdrawals(a.account, open_only=True),
            self._exchange.seq,
        )


def transaction_body(journal: Journal, seq: int) -> bytes:
    """The stored transaction ``seq``. Raises QueryError."""
    if seq < journal.first_seq:
        raise QueryError(
            "gap_too_old", f"seq {seq} was archived, the oldest kept is {journal.first_seq}"
        )
    if seq > journal.last_seq:
        raise QueryError(
            "unknown_seq", f"seq {seq} has not happened, the last is {journal.last_seq}"
        )
    try:
        return journal.read(seq, 1)[0].body
    except JournalError as error:
        raise QueryError("journal_corrupt", str(error)) from error
