"""The whole state out, in, and as one hash.

The exported form is plain (dicts with string keys, lists, strings, integers, booleans) and
canonical: two exchanges in the same state export equal values in equal order. Orders at a
level are listed in queue order, so that restoring them in that order restores priority.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from engine.core import purges
from engine.core.book import Book, BookSide, Order
from engine.core.deposits import DepositRecord
from engine.core.firms import settle_suspension
from engine.core.instruments import Instrument
from engine.core.ledger import Account
from engine.core.networks import Network
from engine.core.sessions import Session
from engine.core.timers import Timer, TimerKind
from engine.core.triggers import StopBook
from engine.core.types import (
    Address,
    CancelScope,
    Deposit,
    DepositAddress,
    HistoryStep,
    InstrumentStatus,
    OrderTerms,
    OrdStatus,
    OrdType,
    SelfTrade,
    Side,
    TimeInForce,
    Withdrawal,
    WithdrawalQuote,
    WithdrawalState,
)
from engine.core.withdrawals import MOVES, WithdrawalRecord

if TYPE_CHECKING:
    from engine.core.exchange import Exchange

STATE_VERSION: Final = 2
READABLE: Final = (1, 2)
"""Versions that can be restored: what a later one added has its value from before in an older."""
_text: Final = json.JSONEncoder(separators=(",", ":")).encode
_fast_text: Final = msgspec.json.Encoder().encode
_COUNTERS: Final = (
    "seq", "time_us", "next_order_id", "next_trade_id", "next_withdrawal_id", "next_transfer_id",
    "next_address_id", "next_quote_id", "day_roll_us", "cascade_max", "closed_orders_kept",
    "client_id_window_us", "work_max", "expired_to",
)  # fmt: skip
_ACCOUNT_FIELDS: Final = (
    "seq", "maker_ppm", "taker_ppm", "open_orders_max", "address_cooloff_us",
)  # fmt: skip
_ORDER_FIELDS: Final = (
    "price", "leaves", "cum", "notional", "fee_weight", "fees", "maker_ppm", "taker_ppm", "held",
    "display", "updated_at", "limit",
)  # fmt: skip
_ORDER_FLAGS: Final = ("armed", "reached", "triggered")


def export_state(exchange: Exchange) -> dict[str, Any]:
    """Everything that the outcome of later commands depends on. O(state)."""
    return {
        "version": STATE_VERSION,
        "counters": {name: getattr(exchange, name) for name in _COUNTERS},
        "assets": [[asset, scale] for asset, scale in exchange.assets.items()],
        "networks": [list(network) for network in exchange.networks.values()],
        "fees": [[asset, money.available] for asset, money in exchange.house.fees.items()],
        "settlement": [[asset, atoms] for asset, atoms in exchange.house.settlement.items()],
        "accounts": [_account(account) for account in exchange.accounts.values()],
        "books": [_book(book) for book in exchange.books.values()],
        "orders": [_order(order) for order in exchange.orders.values()],
        "busy": [
            [symbol, book.current.order_id if book.current else 0, list(book.queue)]
            for symbol, book in exchange.busy.items()
        ],
        "purges": [purges.export(purge) for purge in exchange.purges],
        "sessions": [
            [s.name, s.account, s.epoch, s.mark, s.connected, int(s.cancel_scope), s.grace_us,
             list(s.cursor), s.closes_at]
            for s in exchange.sessions.values()
        ],
        "tokens": [[token, *seen] for token, seen in exchange.tokens.items()],
        "timers": [
            [time_us, [
                key if isinstance(key, int) else list(key) for key in exchange.timers.at(time_us)
            ]]
            for time_us in exchange.timers.times
        ],
        "deposits": [list(record.row) for record in exchange.deposits.values()],
        "withdrawals": [
            [[*w.row[:9], int(w.row.state), *w.row[10:-1],
              [[int(step.state), *step[1:]] for step in w.row.history]], w.posted]
            for w in exchange.withdrawals.values()
        ],
        "transfers": [[*key, number] for key, number in exchange.transfer_ids.items()],
    }  # fmt: skip


def _account(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "firm": account.firm,
        "fields": [getattr(account, name) for name in _ACCOUNT_FIELDS],
        "require_known_address": int(account.require_known_address),
        "stp": int(account.stp),
        "suspended": int(account.barred),
        "approval_above": list(account.approval_above.items()),
        "daily_limits": list(account.daily_limits.items()),
        "withdrawn": [[asset, *day] for asset, day in account.withdrawn.items()],
        "switches": list(account.switches.items()),
        "balances": [[a, m.available, m.held] for a, m in account.balances.items()],
        "addresses": [list(entry) for entry in account.addresses.values()],
        "quotes": [list(quote) for quote in account.quotes.values()],
        "deposit_addresses": [list(made) for made in account.deposit_addresses.values()],
        "open": list(account.orders),
        "closed": [order.order_id for order in account.closed],
    }


def _book(book: Book) -> dict[str, Any]:
    return {
        "instrument": list(book.instrument),
        "status": int(book.status),
        "last_price": book.last_price,
        "anchor": book.anchor,
        "bids": _queue(book.bids),
        "asks": _queue(book.asks),
        "stops": [book.stops.zone_high, book.stops.zone_low, sorted(book.stops.late)],
    }


def _queue(side: BookSide) -> list[int]:
    """Order ids of one side, worst level first, in queue order within a level."""
    ids = []
    for key in side.keys:
        order = side.levels[abs(key)].head
        while order is not None:
            ids.append(order.order_id)
            order = order.behind
    return ids


def _order(order: Order) -> list[Any]:
    return [
        [int(value) if isinstance(value, int) else value for value in order.terms],
        int(order.status),
        [getattr(order, name) for name in _ORDER_FIELDS],
        [int(getattr(order, name)) for name in _ORDER_FLAGS],
        order.later_ids or [],
    ]


def state_hash(exchange: Exchange) -> str:
    """SHA-256 over the canonical export."""
    return hash_of(export_state(exchange))


def hash_of(exported: dict[str, Any]) -> str:
    """SHA-256 of an exported state as JSON text, in which lists and tuples are alike.

    Row by row, so that no giant text is built. O(state).
    """
    digest = hashlib.sha256()
    for name, part in exported.items():
        digest.update(name.encode())
        for row in part if isinstance(part, list) else (part,):
            digest.update(_row_text(row))
    return digest.hexdigest()


def _row_text(row: Any) -> bytes:
    """A row as compact JSON with every character that is not printable ASCII escaped.

    For such characters and integers of 64 bits the fast encoder writes the very same.
    """
    try:
        text = _fast_text(row)
    except (OverflowError, UnicodeEncodeError):
        return _text(row).encode()
    return text if text.isascii() and b"\x7f" not in text else _text(row).encode()


def restore(exchange: Exchange, exported: dict[str, Any]) -> Exchange:
    """Fill an empty exchange from an export; it then goes on as the original would."""
    if exported.get("version") not in READABLE:
        raise ValueError(f"a state of version {exported.get('version')} cannot be read")
    for name in _COUNTERS:
        if name in exported["counters"]:
            setattr(exchange, name, exported["counters"][name])
    exchange.assets = dict(exported["assets"])
    for row in exported["networks"]:
        n: Any = Network(*row)
        network: Network = n._replace(
            memo_required=bool(n.memo_required), suspended=bool(n.suspended)
        )
        exchange.networks[(network.asset, network.network)] = network
    for asset, atoms in exported["fees"]:
        exchange.house.fees_of(asset).available = atoms
    exchange.house.settlement = dict(exported["settlement"])
    for row in exported["accounts"]:
        _restore_account(exchange, row)
    for account in exchange.accounts.values():
        settle_suspension(exchange, account)
    for row in exported["books"]:
        instrument = Instrument(*row["instrument"])
        fees = exchange.house.fees_of(instrument.quote)
        book = Book(instrument, StopBook(), fees)
        book.status = InstrumentStatus(row["status"])
        book.last_price = row["last_price"]
        book.anchor = row.get("anchor", book.last_price)
        high, low, late = row.get("stops", (0, 0, ()))
        book.stops.zone_high, book.stops.zone_low = high, low
        book.stops.late = dict.fromkeys(late)
        exchange.books[instrument.symbol] = book
    for row in exported["orders"]:
        _restore_order(exchange, row)
    for row in exported["books"]:
        book = exchange.books[row["instrument"][0]]
        for side, ids in ((book.bids, row["bids"]), (book.asks, row["asks"])):
            for order_id in ids:
                side.add(exchange.orders[order_id])
    for row in exported["accounts"]:
        account = exchange.accounts[row["name"]]
        account.orders = {number: exchange.orders[number] for number in row["open"]}
        account.closed.extend(exchange.orders[number] for number in row["closed"])
    _restore_others(exchange, exported)
    return exchange


def _restore_account(exchange: Exchange, row: dict[str, Any]) -> None:
    account = Account(row["name"], row["firm"])
    for name, value in zip(_ACCOUNT_FIELDS, row["fields"], strict=True):
        setattr(account, name, value)
    account.require_known_address = bool(row["require_known_address"])
    account.stp = SelfTrade(row["stp"])
    account.barred = bool(row.get("suspended", 0))
    account.approval_above = dict(row["approval_above"])
    account.daily_limits = dict(row["daily_limits"])
    account.withdrawn = {asset: (day, atoms) for asset, day, atoms in row["withdrawn"]}
    account.switches = dict(row["switches"])
    account.addresses = {values[0]: Address(*values) for values in row["addresses"]}
    account.quotes = {values[0]: WithdrawalQuote(*values) for values in row["quotes"]}
    account.deposit_addresses = {
        (values[1], values[2]): DepositAddress(*values) for values in row["deposit_addresses"]
    }
    for asset, available, held in row["balances"]:
        money = account.money(asset)
        money.available, money.held = available, held
    exchange.accounts[account.name] = account
    exchange.firms.setdefault(account.firm, []).append(account.name)


def _restore_order(exchange: Exchange, row: list[Any]) -> None:
    values, status, fields, flags, later_ids = row
    # Not OrderTerms yet: a compiled build refuses to read an integer where it says bool.
    t: Any = OrderTerms(*values)
    terms: OrderTerms = t._replace(
        side=Side(t.side),
        ord_type=OrdType(t.ord_type),
        tif=TimeInForce(t.tif),
        stp=SelfTrade(t.stp),
        post_only=bool(t.post_only),
        manual=bool(t.manual),
    )
    account = exchange.accounts[terms.account]
    order = Order(terms, account, exchange.books[terms.symbol])
    if len(fields) < len(_ORDER_FIELDS):
        fields = [*fields, terms.price]  # Before version 2 only an order's own price bounded it.
    for name, value in zip(_ORDER_FIELDS, fields, strict=True):
        setattr(order, name, value)
    for name, flag in zip(_ORDER_FLAGS, flags, strict=True):
        setattr(order, name, bool(flag))
    order.status = OrdStatus(status)
    order.later_ids = list(later_ids) or None
    exchange.orders[terms.order_id] = order
    for client_id in order.client_ids():
        account.client_ids[client_id] = order
    if order.armed:
        order.book.stops.put_back(order)
        exchange.armed[terms.symbol] = order.book


def _restore_others(exchange: Exchange, exported: dict[str, Any]) -> None:
    for name, account, epoch, mark, connected, scope, grace, cursor, closes in exported[
        "sessions"
    ]:
        session = Session(name, epoch)
        session.account = account
        session.mark = mark
        session.connected = bool(connected)
        session.cancel_scope = CancelScope(scope)
        session.grace_us = grace
        session.cursor = (cursor[0], cursor[1], cursor[2])
        session.closes_at = closes
        exchange.sessions[name] = session
    for symbol, current, queued in exported.get("busy", ()):
        book = exchange.books[symbol]
        book.current = exchange.orders[current] if current else None
        for order_id in queued:
            book.queue[order_id] = exchange.orders[order_id]
        book.busy = True
        exchange.busy[symbol] = book
    exchange.purges.extend(purges.restore(row) for row in exported.get("purges", ()))
    exchange.wary = bool(exchange.purges or exchange.expired_to)
    for token, seq, until in exported["tokens"]:
        exchange.tokens[token] = (seq, until)
    for time_us, bucket in exported["timers"]:
        for key in bucket:
            timer = key if isinstance(key, int) else Timer(TimerKind(key[0]), *key[1:])
            exchange.timers.add(time_us, timer)
    for row in exported["deposits"]:
        d: Any = Deposit(*row)
        deposit: Deposit = d._replace(credited=bool(d.credited))
        exchange.deposits[deposit.deposit_id] = DepositRecord(deposit)
        if not deposit.credited:
            exchange.house.await_deposit(deposit.asset, deposit.amount)
    for values, posted in exported["withdrawals"]:
        steps = tuple(HistoryStep(WithdrawalState(s[0]), *s[1:]) for s in values[-1])
        withdrawal = Withdrawal(*values)._replace(
            state=WithdrawalState(values[9]), history=steps
        )
        exchange.withdrawals[withdrawal.withdrawal_id] = WithdrawalRecord(
            withdrawal, bool(posted)
        )
        if posted and MOVES[withdrawal.state]:
            returnable = exchange.house.returnable
            returnable[withdrawal.asset] = (
                returnable.get(withdrawal.asset, 0) + withdrawal.amount
            )
        key = (withdrawal.account, withdrawal.client_withdrawal_id)
        exchange.withdrawal_ids[key] = withdrawal.withdrawal_id
        if MOVES[withdrawal.state]:
            theirs = exchange.open_withdrawals.setdefault(withdrawal.account, {})
            theirs[withdrawal.withdrawal_id] = None
    exchange.transfer_ids = {(a, t): number for a, t, number in exported["transfers"]}
