"""What the venue consists of: assets, networks, instruments, accounts, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.core import commands as c_
from engine.core.book import Book
from engine.core.events import (
    AccountDefined,
    AssetDefined,
    InstrumentDefined,
    InstrumentStatusChanged,
    NetworkDefined,
    ReferencePriceSet,
)
from engine.core.firms import settle_suspension
from engine.core.instruments import SCALE_MAX, NumberError, make_instrument
from engine.core.ledger import Account
from engine.core.networks import Network
from engine.core.triggers import StopBook
from engine.core.types import INT64_MAX, InstrumentStatus, RejectReason
from engine.core.withdrawals import DAY_US

if TYPE_CHECKING:
    from engine.core.exchange import Exchange

_CONFLICT = RejectReason.DUPLICATE_DEFINITION
_INVALID = RejectReason.INVALID_FIELD


def asset(exchange: Exchange, c: c_.DefineAsset) -> None:
    """Make an asset known; its scale never changes."""
    known = exchange.assets.get(c.asset)
    if known is not None and known != c.scale:
        text = f"asset {c.asset} has scale {known}, which cannot change to {c.scale}"
        exchange.refuse("", c.asset, _CONFLICT, text)
        return
    if not c.asset or not 0 <= c.scale <= SCALE_MAX:
        exchange.refuse("", c.asset, _INVALID, f"an asset has a scale of 0 to {SCALE_MAX}")
        return
    exchange.assets[c.asset] = c.scale
    exchange.emit_public(AssetDefined, c.asset, c.scale)


def network(exchange: Exchange, c: c_.DefineNetwork) -> None:
    """Make a network known or change its terms for later requests."""
    if c.asset not in exchange.assets:
        text = f"there is no asset {c.asset!r}"
        exchange.refuse("", c.network, RejectReason.UNKNOWN_ASSET, text)
        return
    if min(c.withdrawal_fee, c.withdrawal_min, c.confirmations_required) < 0 or (
        c.withdrawal_step < 1
    ):
        text = "a network's fee, minimum and confirmations are not negative, its step is not 0"
        exchange.refuse("", c.network, _INVALID, text)
        return
    exchange.networks[(c.asset, c.network)] = Network(*c[1:])
    exchange.emit_public(NetworkDefined, c.asset, c.network, c.suspended)


def instrument(exchange: Exchange, c: c_.DefineInstrument) -> None:
    """Make an instrument known or change its bounds; its grid never changes."""
    base_scale = exchange.assets.get(c.base)
    quote_scale = exchange.assets.get(c.quote)
    if base_scale is None or quote_scale is None or c.base == c.quote:
        text = f"{c.symbol} needs two known assets, not {c.base!r} and {c.quote!r}"
        exchange.refuse("", c.symbol, RejectReason.UNKNOWN_ASSET, text)
        return
    try:
        made = make_instrument(
            c.symbol, c.base, base_scale, c.quote, quote_scale, c.tick, c.lot, c.min_qty,
            c.max_qty, c.max_price, c.band_ppm,
        )  # fmt: skip
    except NumberError as error:
        exchange.refuse("", c.symbol, _INVALID, str(error))
        return
    book = exchange.books.get(c.symbol)
    if book is None:
        fees = exchange.house.fees_of(c.quote)
        exchange.books[c.symbol] = Book(made, StopBook(), fees)
    else:
        old = book.instrument
        largest = max((o.terms.qty for o in exchange.open_orders(c.symbol)), default=0)
        if 2 * largest * made.max_price * made.unit > INT64_MAX:
            text = (
                f"{c.symbol} has an open order of {made.quantity_text(largest)}, which at the "
                f"maximum price {made.price_text(made.max_price)} does not fit into 64 bits; lower "
                "max_price, or have that order canceled first"
            )
            exchange.refuse("", c.symbol, _CONFLICT, text)
            return
        if (old.base, old.quote, old.tick, old.lot) != (c.base, c.quote, c.tick, c.lot):
            text = f"assets, tick and lot of {c.symbol} cannot change"
            exchange.refuse("", c.symbol, _CONFLICT, text)
            return
        book.adopt(made)
    exchange.emit_public(InstrumentDefined, *c[1:])


def account(exchange: Exchange, c: c_.DefineAccount) -> None:
    """Make an account known or change its settings; its firm never changes."""
    known = exchange.accounts.get(c.account)
    if known is not None and known.firm != c.firm:
        text = f"account {c.account} belongs to firm {known.firm}, which cannot change"
        exchange.refuse(c.account, c.account, _CONFLICT, text)
        return
    rates = (c.maker_fee_ppm, c.taker_fee_ppm)
    if not c.account or not c.firm or min(rates) < 0 or max(rates) >= 1_000_000:
        text = "an account has a name, a firm and fees of 0 to 999,999 parts per million"
        exchange.refuse("", c.account, _INVALID, text)
        return
    if known is None:
        known = exchange.accounts[c.account] = Account(c.account, c.firm)
        exchange.firms.setdefault(c.firm, []).append(c.account)
        settle_suspension(exchange, known)
    known.maker_ppm, known.taker_ppm = rates
    known.stp = c.stp
    known.open_orders_max = c.open_orders_max
    known.approval_above = dict(c.approval_above)
    known.daily_limits = dict(c.daily_limits)
    known.require_known_address = c.require_known_address
    known.address_cooloff_us = c.address_cooloff_us
    exchange.emit(AccountDefined, known, c.firm, *rates, c.stp)


def instrument_status(exchange: Exchange, c: c_.SetInstrumentStatus) -> None:
    """Halt or resume an instrument; nothing happens when it is so already."""
    book = exchange.books.get(c.symbol)
    if book is None or c.status not in (InstrumentStatus.OPEN, InstrumentStatus.HALTED):
        text = f"there is no instrument {c.symbol!r} with a status {c.status}"
        exchange.refuse("", c.symbol, RejectReason.UNKNOWN_SYMBOL, text)
        return
    status = InstrumentStatus(c.status)
    if status is not book.status:
        book.status = status
        exchange.emit_public(InstrumentStatusChanged, c.symbol, status, c.note)


def reference_price(exchange: Exchange, c: c_.SetReferencePrice) -> None:
    """Let the band of an instrument lie around a price until the next trade (rule P-2)."""
    book = exchange.books.get(c.symbol)
    if book is None:
        text = f"there is no instrument {c.symbol!r}"
        exchange.refuse("", c.symbol, RejectReason.UNKNOWN_SYMBOL, text)
        return
    if not 0 < c.price <= book.max_price:
        text = f"a reference price of {c.symbol} is above zero and at most its maximum price"
        exchange.refuse("", c.symbol, RejectReason.INVALID_PRICE, text)
        return
    book.anchor = c.price
    exchange.emit_public(ReferencePriceSet, c.symbol, c.price, c.note)


def venue(exchange: Exchange, c: c_.DefineVenue) -> None:
    """Change settings of the whole venue."""
    if (
        not 0 <= c.day_roll_us < DAY_US
        or min(c.cascade_max, c.closed_orders_kept, c.client_id_window_us, c.work_max) < 1
    ):
        text = "the day roll lies within a day, and every bound of the venue is positive"
        exchange.refuse("", "venue", _INVALID, text)
        return
    exchange.day_roll_us = c.day_roll_us
    exchange.cascade_max = c.cascade_max
    exchange.closed_orders_kept = c.closed_orders_kept
    exchange.client_id_window_us = c.client_id_window_us
    exchange.work_max = c.work_max
