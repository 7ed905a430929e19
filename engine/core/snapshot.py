"""Export, restore and hash the whole state.

The exported form is plain (dicts with string keys, lists, strings, integers, booleans) and
canonical: two exchanges in the same state export equal values in equal order. Orders at a
level are listed in queue order, so that restoring them in that order restores priority.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import msgspec

from engine.core import purges, stored_records
from engine.core.book import Book, BookSide, Order
from engine.core.firms import settle_suspension
from engine.core.instruments import Instrument
from engine.core.ledger import Account
from engine.core.records import DepositRecord, Network, Session, WithdrawalRecord
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
    Route,
    SelfTrade,
    Side,
    TimeInForce,
    Withdrawal,
    WithdrawalQuote,
    WithdrawalState,
)
from engine.core.venue import Venue
from engine.core.withdrawals import MOVES

STATE_VERSION: Final = 4
READABLE: Final = (1, 2, 3, 4)
"""Versions that can be restored; fields that a later version added get their former value."""
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


def export_state(venue: Venue) -> dict[str, Any]:
    """Return everything on which the outcome of later commands depends. O(state)."""
    return {
        "version": STATE_VERSION,
        "counters": {name: getattr(venue, name) for name in _COUNTERS},
        "assets": [[asset, scale] for asset, scale in venue.assets.items()],
        "networks": [list(network) for network in venue.networks.values()],
        "fees": [[asset, money.available] for asset, money in venue.house.fees.items()],
        "settlement": [[asset, atoms] for asset, atoms in venue.house.settlement.items()],
        "accounts": [_account(account) for account in venue.accounts.values()],
        "books": [_book(book) for book in venue.books.values()],
        "orders": [_order(order) for order in venue.orders.values()],
        "busy": [
            [symbol, book.current.order_id if book.current else 0, list(book.queue)]
            for symbol, book in venue.busy.items()
        ],
        "purges": [purges.export(purge) for purge in venue.purges],
        "sessions": [
            [s.name, s.account, s.epoch, s.last_num_applied, s.connected, int(s.cancel_scope),
             s.grace_us, list(s.cursor), s.closes_at, s.holder, s.term, s.reserved]
            for s in venue.sessions.values()
        ],
        "tokens": [[token, *seen] for token, seen in venue.tokens.items()],
        "timers": [
            [time_us, [
                key if isinstance(key, int) else list(key) for key in venue.timers.at(time_us)
            ]]
            for time_us in venue.timers.times
        ],
        "deposits": [list(record.row) for record in venue.deposits.values()],
        "withdrawals": [
            [[*w.row[:9], int(w.row.state), *w.row[10:-1],
              [[int(step.state), *step[1:]] for step in w.row.history]], w.posted]
            for w in venue.withdrawals.values()
        ],
        "transfers": [[*key, number] for key, number in venue.transfer_ids.items()],
        **stored_records.export(venue),
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
    """Return the order ids of one side, worst level first, in queue order within a level."""
    ids = []
    for key in side.keys:
        order = side.levels[abs(key)].head
        while order is not None:
            ids.append(order.order_id)
            order = order.behind
    return ids


def _order(order: Order) -> list[Any]:
    return [
        _terms(order.terms),
        int(order.status),
        [getattr(order, name) for name in _ORDER_FIELDS],
        [int(getattr(order, name)) for name in _ORDER_FLAGS],
        order.later_ids or [],
    ]


def _terms(terms: OrderTerms) -> list[Any]:
    """Return terms as plain values; the last one is the route."""
    values: list[Any] = [int(v) if isinstance(v, int) else v for v in terms]
    if terms.route is not None:
        values[-1] = list(terms.route)
    return values


def state_hash(venue: Venue) -> str:
    """Return the SHA-256 of the canonical export, as hex."""
    return hash_of(export_state(venue))


def hash_of(exported: dict[str, Any]) -> str:
    """Return the SHA-256 of an exported state as JSON text, in which lists and tuples are alike.

    It is fed row by row, so that no giant text is built. O(state).
    """
    digest = hashlib.sha256()
    for name, part in exported.items():
        digest.update(name.encode())
        for row in part if isinstance(part, list) else (part,):
            digest.update(_row_text(row))
    return digest.hexdigest()


def _row_text(row: Any) -> bytes:
    """Return a row as compact JSON with every character that is not printable ASCII escaped.

    For such characters and integers of 64 bits the fast encoder writes the same text.
    """
    try:
        text = _fast_text(row)
    except (OverflowError, UnicodeEncodeError):
        return _text(row).encode()
    return text if text.isascii() and b"\x7f" not in text else _text(row).encode()


def restore(venue: Venue, exported: dict[str, Any]) -> None:
    """Fill an empty venue from an export; it then continues as the original would."""
    if exported.get("version") not in READABLE:
        raise ValueError(f"a state of version {exported.get('version')} cannot be read")
    for name in _COUNTERS:
        if name in exported["counters"]:
            setattr(venue, name, exported["counters"][name])
    venue.assets = dict(exported["assets"])
    for row in exported["networks"]:
        n: Any = Network(*row)
        network: Network = n._replace(
            memo_required=bool(n.memo_required), suspended=bool(n.suspended)
        )
        venue.networks[(network.asset, network.network)] = network
    for asset, atoms in exported["fees"]:
        venue.house.fees_of(asset).available = atoms
    venue.house.settlement = dict(exported["settlement"])
    for row in exported["accounts"]:
        _restore_account(venue, row)
    for account in venue.accounts.values():
        settle_suspension(venue, account)
    for row in exported["books"]:
        instrument = Instrument(*row["instrument"])
        fees = venue.house.fees_of(instrument.quote)
        book = Book(instrument, StopBook(), fees)
        book.status = InstrumentStatus(row["status"])
        book.last_price = row["last_price"]
        book.anchor = row.get("anchor", book.last_price)
        high, low, late = row.get("stops", (0, 0, ()))
        book.stops.zone_high, book.stops.zone_low = high, low
        book.stops.late = dict.fromkeys(late)
        venue.books[instrument.symbol] = book
    for row in exported["orders"]:
        _restore_order(venue, row)
    for row in exported["books"]:
        book = venue.books[row["instrument"][0]]
        for side, ids in ((book.bids, row["bids"]), (book.asks, row["asks"])):
            for order_id in ids:
                side.add(venue.orders[order_id])
    for row in exported["accounts"]:
        account = venue.accounts[row["name"]]
        account.orders = {number: venue.orders[number] for number in row["open"]}
        account.closed.extend(venue.orders[number] for number in row["closed"])
    _restore_others(venue, exported)


def _restore_account(venue: Venue, row: dict[str, Any]) -> None:
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
    venue.accounts[account.name] = account
    venue.firms.setdefault(account.firm, []).append(account.name)


def _restore_order(venue: Venue, row: list[Any]) -> None:
    values, status, fields, flags, later_ids = row
    # Not OrderTerms yet: a compiled build refuses an integer in a field declared as bool.
    t: Any = OrderTerms(*values)
    terms: OrderTerms = t._replace(
        side=Side(t.side),
        ord_type=OrdType(t.ord_type),
        tif=TimeInForce(t.tif),
        stp=SelfTrade(t.stp),
        post_only=bool(t.post_only),
        route=None if t.route is None else Route(*t.route),
        manual=bool(t.manual),
    )
    account = venue.accounts[terms.account]
    order = Order(terms, account, venue.books[terms.symbol])
    if len(fields) < len(_ORDER_FIELDS):
        fields = [*fields, terms.price]  # Before version 2 only an order's own price bounded it.
    for name, value in zip(_ORDER_FIELDS, fields, strict=True):
        setattr(order, name, value)
    for name, flag in zip(_ORDER_FLAGS, flags, strict=True):
        setattr(order, name, bool(flag))
    order.status = OrdStatus(status)
    order.later_ids = list(later_ids) or None
    venue.orders[terms.order_id] = order
    for client_id in order.client_ids():
        account.client_ids[client_id] = order
    if order.armed:
        order.book.stops.put_back(order)
        venue.armed[terms.symbol] = order.book


def _restore_others(venue: Venue, exported: dict[str, Any]) -> None:
    for row in exported["sessions"]:
        name, account, epoch, mark, connected, scope, grace, cursor, closes, *held = row
        session = Session(name, epoch)
        session.account = account
        session.last_num_applied = mark
        session.connected = bool(connected)
        session.cancel_scope = CancelScope(scope)
        session.grace_us = grace
        session.cursor = (cursor[0], cursor[1], cursor[2])
        session.closes_at = closes
        if held:  # Before version 4 no gateway held a session.
            session.holder, session.term, session.reserved = held
        venue.sessions[name] = session
    for symbol, current, queued in exported.get("busy", ()):
        book = venue.books[symbol]
        book.current = venue.orders[current] if current else None
        for order_id in queued:
            book.queue[order_id] = venue.orders[order_id]
        book.busy = True
        venue.busy[symbol] = book
    venue.purges.extend(purges.restore(row) for row in exported.get("purges", ()))
    venue.wary = bool(venue.purges or venue.expired_to)
    for token, seq, until in exported["tokens"]:
        venue.tokens[token] = (seq, until)
    for time_us, bucket in exported["timers"]:
        for key in bucket:
            timer = key if isinstance(key, int) else Timer(TimerKind(key[0]), *key[1:])
            venue.timers.add(time_us, timer)
    for row in exported["deposits"]:
        d: Any = Deposit(*row)
        deposit: Deposit = d._replace(credited=bool(d.credited))
        venue.deposits[deposit.deposit_id] = DepositRecord(deposit)
        if not deposit.credited:
            venue.house.await_deposit(deposit.asset, deposit.amount)
    for values, posted in exported["withdrawals"]:
        steps = tuple(HistoryStep(WithdrawalState(s[0]), *s[1:]) for s in values[-1])
        withdrawal = Withdrawal(*values)._replace(
            state=WithdrawalState(values[9]), history=steps
        )
        venue.withdrawals[withdrawal.withdrawal_id] = WithdrawalRecord(
            withdrawal, bool(posted)
        )
        if posted and MOVES[withdrawal.state]:
            returnable = venue.house.returnable
            returnable[withdrawal.asset] = (
                returnable.get(withdrawal.asset, 0) + withdrawal.amount
            )
        key = (withdrawal.account, withdrawal.client_withdrawal_id)
        venue.withdrawal_ids[key] = withdrawal.withdrawal_id
        if MOVES[withdrawal.state]:
            theirs = venue.open_withdrawals.setdefault(withdrawal.account, {})
            theirs[withdrawal.withdrawal_id] = None
    venue.transfer_ids = {(a, t): number for a, t, number in exported["transfers"]}
    stored_records.restore(venue, exported)
