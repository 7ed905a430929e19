"""The handlers of ``engine.queries``, which answer from committed state.

Every answer is built from plain rows of ``engine.core.types``. The cost is O(rows scanned), which
``Queries.rows`` tells beforehand; ``check`` and ``state_hash`` scan the whole state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from engine import queries
from engine.core import firms, invariants, stored_records
from engine.core.authority import reaches
from engine.core.book import Order
from engine.core.exchange import Exchange
from engine.core.instruments import Instrument
from engine.core.types import (
    ENGINE_VERSION,
    INT64_MAX,
    AccountLimits,
    AccountRow,
    AccountSnapshot,
    Address,
    AssetRow,
    Balance,
    BookOrders,
    BookRow,
    ClusterStatus,
    Deposit,
    DepositAddress,
    EngineMetrics,
    EngineStatus,
    Hold,
    InstrumentRow,
    NetworkRow,
    OrderRow,
    SessionRow,
    Standing,
    StoredRecords,
    Withdrawal,
)
from engine.journal.base import Journal, JournalError
from engine.journal.index import MARK_SEQS
from engine.server.money_index import MoneyIndex
from engine.server.rows import account_row, book_orders, order_row
from engine.wire import decode_transaction

DEPTH_MAX: Final = 1_000
LEVELS_COUNTED: Final = 1_000
_OF_THE_STATE: Final = frozenset((queries.Check.name, queries.StateHash.name))
_OF_ORDERS: Final = frozenset(
    (queries.OpenOrders.name, queries.Holds.name, queries.AccountSnapshot.name)
)


class QueryError(Exception):
    """A query that cannot be answered; ``code`` is stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Queries:
    """Answers queries over an exchange and its journal. ``about`` adds to the status.

    ``standing`` says what this engine is among several; one by itself leads and is current.
    """

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        about: Callable[[], tuple[str, int, int]],
        metrics: Callable[[], EngineMetrics] | None = None,
        standing: Callable[[], Standing] = lambda: Standing(leads=True, age_ms=0),
        cluster: Callable[[], ClusterStatus | None] = lambda: None,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._about = about
        self._read_metrics = metrics
        self._standing_now = standing
        self._cluster_now = cluster
        self._money = MoneyIndex(exchange)
        handlers: dict[type[queries.Query[Any]], Callable[[Any], Any]] = {
            queries.Status: self._status,
            queries.Metrics: self._metrics,
            queries.Forget: self._forget,
            queries.Assets: self._assets,
            queries.Networks: self._networks,
            queries.Instruments: self._instruments,
            queries.InstrumentStates: self._instrument_states,
            queries.Accounts: self._accounts,
            queries.Balances: self._balances,
            queries.Holds: self._holds,
            queries.OpenOrders: self._open_orders,
            queries.Order: self._order,
            queries.Book: self._book,
            queries.BookOrders: self._book_orders,
            queries.Withdrawal: self._withdrawal,
            queries.Withdrawals: self._withdrawals,
            queries.Deposits: self._deposits,
            queries.Addresses: self._addresses,
            queries.DepositAddresses: self._deposit_addresses,
            queries.Limits: self._limits,
            queries.Session: self._session,
            queries.Sessions: self._sessions,
            queries.Transaction: self._transaction,
            queries.Cluster: self._cluster,
            queries.Crc: self._crc,
            queries.Locate: self._locate,
            queries.AccountSnapshot: self._account_snapshot,
            queries.StoredRecords: self._stored_records,
            queries.Standing: self._standing,
            queries.Check: self._check,
            queries.StateHash: self._state_hash,
        }
        self._handlers = {kind.name: (kind, handler) for kind, handler in handlers.items()}

    def answer(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Return the rows that answer a query. Raises QueryError."""
        if name not in self._handlers:
            raise QueryError("unknown_query", f"there is no query {name[:40]!r}")
        kind, handler = self._handlers[name]
        try:
            query = msgspec.convert(arguments, kind)
        except msgspec.ValidationError as error:
            raise QueryError("bad_arguments", f"query {name}: {error}") from None
        return handler(query)

    def prepare(self) -> None:
        """Look at all there is, once and before anybody waits for it."""
        self._money.update()

    def rows(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Return about how many rows an answer has to look at, in O(accounts)."""
        exchange = self._exchange
        account_name = str(arguments.get("account", ""))
        account = exchange.accounts.get(account_name)
        if name in _OF_THE_STATE:
            return INT64_MAX
        if name in _OF_ORDERS and account is not None:
            if not arguments.get("firm_wide"):
                return len(account.orders)
            members = exchange.firms[account.firm]
            return sum(len(exchange.accounts[member].orders) for member in members)
        book = exchange.books.get(str(arguments.get("symbol", "")))
        if name == queries.BookOrders.name and book is not None:
            sides = (book.bids.levels, book.asks.levels)
            levels = sum(len(side) for side in sides)
            if levels > LEVELS_COUNTED:
                return levels
            return sum(level.count for side in sides for level in side.values())
        if name == queries.Deposits.name:
            return self._money.deposits_of(account_name)
        if name == queries.Withdrawals.name:
            return self._money.withdrawals_of(account_name, bool(arguments.get("open_only")))
        if name == queries.StoredRecords.name:
            collection = exchange.collections.get(str(arguments.get("collection", "")))
            after = arguments.get("after", 0)
            if collection is not None and isinstance(after, int):
                return stored_records.changed_count(collection, after)
        return 0

    def _balances(self, query: queries.Balances) -> list[Balance]:
        """Return every asset that the account holds or expects, by name of the asset."""
        name = query.account
        account = self._exchange.accounts.get(name)
        if account is None:
            return []
        pending = self._money.pending(name)
        rows = []
        for asset in sorted(account.balances.keys() | pending.keys()):
            money = account.balances.get(asset)  # A query creates no balance.
            available, held = (money.available, money.held) if money else (0, 0)
            expected = pending.get(asset, 0)
            rows.append(Balance(name, asset, available + held, held, available, expected))
        return rows

    def _holds(self, query: queries.Holds) -> list[Hold]:
        """Return the holds of the account's open orders and withdrawals."""
        name = query.account
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

    def _status(self, query: queries.Status) -> EngineStatus:
        exchange = self._exchange
        boot_id, snapshot_seq, clients = self._about()
        open_orders = sum(len(account.orders) for account in exchange.accounts.values())
        return EngineStatus(
            boot_id, ENGINE_VERSION, exchange.seq, exchange.time_us, self._journal.first_seq,
            snapshot_seq, clients, open_orders, len(exchange.accounts),
        )  # fmt: skip

    def _metrics(self, query: queries.Metrics) -> EngineMetrics:
        if self._read_metrics is None:
            raise QueryError("unknown_query", "this engine counts nothing")
        return self._read_metrics()

    def _forget(self, query: queries.Forget) -> int:
        """Stop serving segments before ``seq``; return the oldest seq that is still served.

        The state does not change: the files of whole segments may now be moved away.
        """
        if query.seq > self._about()[1] + 1:
            raise QueryError(
                "bad_arguments",
                f"there is no snapshot of seq {query.seq - 1} or later to start from",
            )
        self._journal.forget_before(query.seq)
        return self._journal.first_seq

    def _assets(self, query: queries.Assets) -> list[AssetRow]:
        return [AssetRow(asset, scale) for asset, scale in self._exchange.assets.items()]

    def _networks(self, query: queries.Networks) -> list[NetworkRow]:
        return [NetworkRow(*network) for network in self._exchange.networks.values()]

    def _instruments(self, query: queries.Instruments) -> list[Instrument]:
        return [book.instrument for book in self._exchange.books.values()]

    def _instrument_states(self, query: queries.InstrumentStates) -> list[InstrumentRow]:
        return [
            InstrumentRow(
                symbol, book.status, book.last_price, book.anchor if book.band_ppm else 0,
                *book.band(),
            )
            for symbol, book in self._exchange.books.items()
        ]

    def _accounts(self, query: queries.Accounts) -> list[AccountRow]:
        return [
            account_row(account)
            for account in self._exchange.accounts.values()
            if not query.firm or account.firm == query.firm
        ]

    def _addresses(self, query: queries.Addresses) -> list[Address]:
        account = self._exchange.accounts.get(query.account)
        return [] if account is None else list(account.addresses.values())

    def _deposit_addresses(self, query: queries.DepositAddresses) -> list[DepositAddress]:
        account = self._exchange.accounts.get(query.account)
        return [] if account is None else list(account.deposit_addresses.values())

    def _limits(self, query: queries.Limits) -> AccountLimits | None:
        """Return the limits on the account's withdrawals on a UTC day, counted since 1970."""
        account = self._exchange.accounts.get(query.account)
        if account is None:
            return None
        rules = firms.address_rules(self._exchange, account)
        # Totals of a day can exceed 64 bits; no limit can.
        rows = [
            row._replace(daily_used=min(row.daily_used, INT64_MAX))
            for row in firms.limits(self._exchange, account, query.day)
        ]
        return AccountLimits(account.name, rules, tuple(rows))

    def _withdrawals(self, query: queries.Withdrawals) -> list[Withdrawal]:
        return self._money.withdrawals(query.account, query.open_only)

    def _deposits(self, query: queries.Deposits) -> list[Deposit]:
        return self._money.deposits(query.account)

    def _stored_records(self, query: queries.StoredRecords) -> StoredRecords:
        if query.collection not in stored_records.COLLECTIONS:
            raise QueryError("bad_arguments", f"there is no collection {query.collection[:40]!r}")
        age_ms = self._standing_now().age_ms
        collection = self._exchange.collections.get(query.collection)
        if collection is None:
            return StoredRecords(True, 0, [], [], age_ms)
        if query.after == collection.version:
            return StoredRecords(False, collection.version, [], [], age_ms)
        whole, records = stored_records.changed_since(collection, query.after)
        versions = [
            (owner, version)
            for owner, version in collection.versions.items()
            if whole or version > query.after
        ]
        return StoredRecords(whole, collection.version, records, versions, age_ms)

    def _standing(self, query: queries.Standing) -> Standing:
        return self._standing_now()

    def _cluster(self, query: queries.Cluster) -> ClusterStatus | None:
        return self._cluster_now()

    def _check(self, query: queries.Check) -> list[str]:
        return invariants.violations(self._exchange)

    def _state_hash(self, query: queries.StateHash) -> str:
        return self._exchange.state_hash()

    def _open_orders(self, query: queries.OpenOrders) -> list[OrderRow]:
        account = self._exchange.accounts.get(query.account)
        if account is None:
            return []
        names = self._exchange.firms[account.firm] if query.firm_wide else [query.account]
        rows = []
        for name in names:
            for order in self._exchange.accounts[name].orders.values():
                terms = order.terms
                if (
                    (not query.symbol or terms.symbol == query.symbol)
                    and (not query.strategy or terms.strategy == query.strategy)
                    and (not query.session or terms.session == query.session)
                    and (query.side is None or terms.side is query.side)
                ):
                    rows.append(order_row(order))
        return rows

    def _order(self, query: queries.Order) -> OrderRow | None:
        order: Order | None = None
        if query.order_id:
            order = self._exchange.orders.get(query.order_id)
            if order is not None and query.account and not self._reaches(query.account, order):
                return None
            if order is not None and query.client_order_id:
                named = order.account.client_ids.get(query.client_order_id)
                order = order if named is order else None
        else:
            account = self._exchange.accounts.get(query.account)
            order = account.client_ids.get(query.client_order_id) if account else None
        return None if order is None else order_row(order)

    def _reaches(self, name: str, order: Order) -> bool:
        """Return True if the account may name the order by its order id (rules C-1, S-6)."""
        account, owner = self._exchange.accounts.get(name), order.account
        return account is not None and reaches(
            account.name, account.firm, owner.name, owner.firm
        )

    def _book(self, query: queries.Book) -> BookRow | None:
        book = self._exchange.books.get(query.symbol)
        if book is None:
            return None
        if not 1 <= query.depth <= DEPTH_MAX:
            raise QueryError("bad_arguments", f"depth must be 1 to {DEPTH_MAX}, not {query.depth}")
        return BookRow(
            query.symbol, book.status, book.bids.depth(query.depth), book.asks.depth(query.depth),
            book.last_price,
        )  # fmt: skip

    def _book_orders(self, query: queries.BookOrders) -> BookOrders | None:
        book = self._exchange.books.get(query.symbol)
        return None if book is None else book_orders(book)

    def _withdrawal(self, query: queries.Withdrawal) -> Withdrawal | None:
        number = query.withdrawal_id
        if query.client_withdrawal_id:
            key = (query.account, query.client_withdrawal_id)
            named = self._exchange.withdrawal_ids.get(key, 0)
            if number and named != number:
                return None
            number = named
        record = self._exchange.withdrawals.get(number)
        if record is None or (query.account and record.row.account != query.account):
            return None
        return record.row

    def _session(self, query: queries.Session) -> SessionRow | None:
        session = self._exchange.sessions.get(query.session)
        return None if session is None else session.row()

    def _sessions(self, query: queries.Sessions) -> list[SessionRow]:
        return [session.row() for session in self._exchange.sessions.values()]

    def _transaction(self, query: queries.Transaction) -> bytes:
        return transaction_body(self._journal, query.seq)

    def _crc(self, query: queries.Crc) -> int:
        first, last = self._journal.first_seq, self._journal.last_seq
        if not first - 1 <= query.seq <= last:
            code = "gap_too_old" if query.seq < first else "seq_ahead"
            raise QueryError(code, f"seq {query.seq} is not one of {first - 1} to {last}")
        return self._journal.crc_at(query.seq)

    def _locate(self, query: queries.Locate) -> int:
        """Return the first transaction with ``account_seq`` of the account."""
        account = self._exchange.accounts.get(query.account)
        if account is None:
            raise QueryError("unknown_account", f"there is no account {query.account!r}")
        if query.account_seq > account.seq:
            return self._journal.last_seq + 1
        wanted, journal = max(1, query.account_seq), self._journal
        mark = journal.mark_before(query.account, wanted)
        if mark is not None:
            if mark.account_seq == wanted and mark.seq >= journal.first_seq:
                return mark.seq
            start = max(mark.seq, journal.first_seq)
            for record in journal.read(start, MARK_SEQS + 1, 1 << 30):
                for event in decode_transaction(record.body).events:
                    if event.account == query.account and event.account_seq == wanted:
                        return record.seq
        raise QueryError(
            "gap_too_old",
            f"account_seq {wanted} of {query.account} lies before the oldest transaction kept, "
            f"{journal.first_seq}; take an account snapshot and go on from there",
        )

    def _account_snapshot(self, query: queries.AccountSnapshot) -> AccountSnapshot | None:
        account = self._exchange.accounts.get(query.account)
        if account is None:
            return None
        return AccountSnapshot(
            query.account,
            account.seq,
            self._balances(queries.Balances(query.account)),
            [order_row(order) for order in account.orders.values()],
            self._money.withdrawals(query.account, open_only=True),
            self._exchange.seq,
        )


def transaction_body(journal: Journal, seq: int) -> bytes:
    """Return the stored transaction ``seq``. Raises QueryError."""
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
