"""Define what the venue consists of: assets, networks, instruments, accounts, settings."""

from __future__ import annotations

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
from engine.core.records import Network
from engine.core.triggers import StopBook
from engine.core.types import INT64_MAX, InstrumentStatus, RejectReason
from engine.core.venue import Venue
from engine.core.withdrawals import DAY_US

_CONFLICT = RejectReason.DUPLICATE_DEFINITION
_INVALID = RejectReason.INVALID_FIELD


def asset(venue: Venue, c: c_.DefineAsset) -> None:
    """Define an asset; its scale never changes."""
    known = venue.assets.get(c.asset)
    if known is not None and known != c.scale:
        text = f"asset {c.asset} has scale {known}, which cannot change to {c.scale}"
        venue.refuse("", c.asset, _CONFLICT, text)
        return
    if not c.asset or not 0 <= c.scale <= SCALE_MAX:
        venue.refuse("", c.asset, _INVALID, f"an asset has a scale of 0 to {SCALE_MAX}")
        return
    venue.assets[c.asset] = c.scale
    venue.emit_public(AssetDefined, c.asset, c.scale)


def network(venue: Venue, c: c_.DefineNetwork) -> None:
    """Define a network or change its terms for later requests."""
    if c.asset not in venue.assets:
        text = f"there is no asset {c.asset!r}"
        venue.refuse("", c.network, RejectReason.UNKNOWN_ASSET, text)
        return
    if min(c.withdrawal_fee, c.withdrawal_min, c.confirmations_required) < 0 or (
        c.withdrawal_step < 1
    ):
        text = "a network's fee, minimum and confirmations are not negative, its step is not 0"
        venue.refuse("", c.network, _INVALID, text)
        return
    venue.networks[(c.asset, c.network)] = Network(*c[1:])
    venue.emit_public(NetworkDefined, c.asset, c.network, c.suspended)


def instrument(venue: Venue, c: c_.DefineInstrument) -> None:
    """Define an instrument or change its bounds; its grid never changes."""
    base_scale = venue.assets.get(c.base)
    quote_scale = venue.assets.get(c.quote)
    if base_scale is None or quote_scale is None or c.base == c.quote:
        text = f"{c.symbol} needs two known assets, not {c.base!r} and {c.quote!r}"
        venue.refuse("", c.symbol, RejectReason.UNKNOWN_ASSET, text)
        return
    try:
        made = make_instrument(
            c.symbol, c.base, base_scale, c.quote, quote_scale, c.tick, c.lot, c.min_qty,
            c.max_qty, c.max_price, c.band_ppm,
        )  # fmt: skip
    except NumberError as error:
        venue.refuse("", c.symbol, _INVALID, str(error))
        return
    book = venue.books.get(c.symbol)
    if book is None:
        fees = venue.house.fees_of(c.quote)
        venue.books[c.symbol] = Book(made, StopBook(), fees)
    else:
        old = book.instrument
        largest = max((o.terms.qty for o in venue.open_orders(c.symbol)), default=0)
        if 2 * largest * made.max_price * made.unit > INT64_MAX:
            text = (
                f"{c.symbol} has an open order of {made.quantity_text(largest)}, which at the "
                f"maximum price {made.price_text(made.max_price)} does not fit into 64 bits; lower "
                "max_price, or have that order canceled first"
            )
            venue.refuse("", c.symbol, _CONFLICT, text)
            return
        if (old.base, old.quote, old.tick, old.lot) != (c.base, c.quote, c.tick, c.lot):
            text = f"assets, tick and lot of {c.symbol} cannot change"
            venue.refuse("", c.symbol, _CONFLICT, text)
            return
        book.adopt(made)
    venue.emit_public(InstrumentDefined, *c[1:])


def account(venue: Venue, c: c_.DefineAccount) -> None:
    """Define an account or change its settings; its firm never changes."""
    known = venue.accounts.get(c.account)
    if known is not None and known.firm != c.firm:
        text = f"account {c.account} belongs to firm {known.firm}, which cannot change"
        venue.refuse(c.account, c.account, _CONFLICT, text)
        return
    rates = (c.maker_fee_ppm, c.taker_fee_ppm)
    if not c.account or not c.firm or min(rates) < 0 or max(rates) >= 1_000_000:
        text = "an account has a name, a firm and fees of 0 to 999,999 parts per million"
        venue.refuse("", c.account, _INVALID, text)
        return
    if known is None:
        known = venue.accounts[c.account] = Account(c.account, c.firm)
        venue.firms.setdefault(c.firm, []).append(c.account)
        settle_suspension(venue, known)
    known.maker_ppm, known.taker_ppm = rates
    known.stp = c.stp
    known.open_orders_max = c.open_orders_max
    known.approval_above = dict(c.approval_above)
    known.daily_limits = dict(c.daily_limits)
    known.require_known_address = c.require_known_address
    known.address_cooloff_us = c.address_cooloff_us
    venue.emit(AccountDefined, known, c.firm, *rates, c.stp)


def instrument_status(venue: Venue, c: c_.SetInstrumentStatus) -> None:
    """Halt or resume an instrument; do nothing if it already has that status."""
    book = venue.books.get(c.symbol)
    if book is None or c.status not in (InstrumentStatus.OPEN, InstrumentStatus.HALTED):
        text = f"there is no instrument {c.symbol!r} with a status {c.status}"
        venue.refuse("", c.symbol, RejectReason.UNKNOWN_SYMBOL, text)
        return
    status = InstrumentStatus(c.status)
    if status is not book.status:
        book.status = status
        venue.emit_public(InstrumentStatusChanged, c.symbol, status, c.note)


def reference_price(venue: Venue, c: c_.SetReferencePrice) -> None:
    """Set the reference price of an instrument's band until the next trade (rule P-2)."""
    book = venue.books.get(c.symbol)
    if book is None:
        text = f"there is no instrument {c.symbol!r}"
        venue.refuse("", c.symbol, RejectReason.UNKNOWN_SYMBOL, text)
        return
    if not 0 < c.price <= book.max_price:
        text = f"a reference price of {c.symbol} is above zero and at most its maximum price"
        venue.refuse("", c.symbol, RejectReason.INVALID_PRICE, text)
        return
    book.anchor = c.price
    venue.emit_public(ReferencePriceSet, c.symbol, c.price, c.note)


def venue(venue: Venue, c: c_.DefineVenue) -> None:
    """Change settings of the whole venue."""
    if (
        not 0 <= c.day_roll_us < DAY_US
        or min(c.cascade_max, c.closed_orders_kept, c.client_id_window_us, c.work_max) < 1
    ):
        text = "the day roll lies within a day, and every bound of the venue is positive"
        venue.refuse("", "venue", _INVALID, text)
        return
    venue.day_roll_us = c.day_roll_us
    venue.cascade_max = c.cascade_max
    venue.closed_orders_kept = c.closed_orders_kept
    venue.client_id_window_us = c.client_id_window_us
    venue.work_max = c.work_max
