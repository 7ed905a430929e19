"""Convert decimal text to integers and back; no other module does.

Text is plain decimal notation (``1``, ``0.50``): no sign, no exponent, no white space. Anything
else, and anything off the grid or out of bounds, is refused with one sentence and its kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from engine.core.events import InstrumentDefined
from engine.core.faults import NumberError as NumberError
from engine.core.faults import NumberKind as NumberKind
from engine.core.types import INT64_MAX, PPM, RejectReason

SCALE_MAX: Final = 18
_SHOWN_MAX: Final = 40
_DIGITS_MAX: Final = 24
"""More digits than a 64-bit integer has at any scale; longer text is not converted."""
_DECIMAL: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?\Z")

PRICE_REASONS: Final[Mapping[NumberKind, RejectReason]] = {
    NumberKind.MALFORMED: RejectReason.INVALID_PRICE,
    NumberKind.ZERO: RejectReason.INVALID_PRICE,
    NumberKind.OFF_GRID: RejectReason.INVALID_PRICE,
    NumberKind.TOO_LARGE: RejectReason.PRICE_TOO_LARGE,
}
"""The reject reason for each kind of invalid price, at every interface."""
QUANTITY_REASONS: Final[Mapping[NumberKind, RejectReason]] = {
    NumberKind.MALFORMED: RejectReason.INVALID_QUANTITY,
    NumberKind.ZERO: RejectReason.INVALID_QUANTITY,
    NumberKind.OFF_GRID: RejectReason.INVALID_QUANTITY,
    NumberKind.TOO_SMALL: RejectReason.QUANTITY_TOO_SMALL,
    NumberKind.TOO_LARGE: RejectReason.QUANTITY_TOO_LARGE,
}
"""The reject reason for each kind of invalid quantity or amount of money."""


def shown(text: str) -> str:
    """Return a number as an error message shows it: at most 40 characters."""
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "..."


def parse_scaled(text: str, scale: int, what: str = "amount") -> int:
    """Convert decimal text into an integer count of 10**-scale, at most 64 bits.

    Digits beyond the scale are allowed only if they are zeros. Raises NumberError.
    """
    match = _DECIMAL.match(text)
    if match is None:
        raise NumberError(
            NumberKind.MALFORMED,
            f"{what} {shown(text)!r} is not a plain decimal number such as 1 or 0.5",
        )
    whole, fraction = match.group(1).lstrip("0"), match.group(2) or ""
    if fraction[scale:].strip("0"):
        raise NumberError(
            NumberKind.OFF_GRID, f"{what} {shown(text)} has more than {scale} decimal places"
        )
    if len(whole) > _DIGITS_MAX:
        raise _too_large(text, what)
    value = int((whole + fraction[:scale].ljust(scale, "0")) or "0")
    if value > INT64_MAX:
        raise _too_large(text, what)
    return value


def _too_large(text: str, what: str) -> NumberError:
    return NumberError(NumberKind.TOO_LARGE, f"{what} {shown(text)} is too large")


def format_scaled(value: int, scale: int) -> str:
    """Convert a count of 10**-scale into decimal text without superfluous zeros."""
    sign = "-" if value < 0 else ""
    digits = str(abs(value))
    if scale == 0:
        return sign + digits
    digits = digits.rjust(scale + 1, "0")
    whole, fraction = digits[:-scale], digits[-scale:].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole


def _grid(text: str, what: str) -> tuple[int, int]:
    """Read a step such as 0.05 as (5, 2): its digits and its decimal places."""
    match = _DECIMAL.match(text) if len(text) <= _SHOWN_MAX else None
    if match is None:
        raise NumberError(
            NumberKind.MALFORMED,
            f"{what} {shown(text)!r} is not a plain decimal number such as 0.01",
        )
    fraction = (match.group(2) or "").rstrip("0")
    step = int(match.group(1) + fraction)
    if step == 0:
        raise NumberError(NumberKind.ZERO, f"{what} must be greater than zero")
    return step, len(fraction)


class Instrument(NamedTuple):
    """A pair of assets and its grid.

    One lot is ``lot_atoms`` atoms of the base asset; one lot at one tick costs ``unit``
    atoms of the quote asset, so ``price × qty × unit`` is a notional, exactly. Bounds are
    in lots and ticks. ``tick`` and ``lot`` are the configured texts. ``band_ppm`` is how far, in
    parts per million, a price may lie from the reference (rules P); 0 means no limit.
    """

    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    tick_step: int
    tick_scale: int
    lot_step: int
    lot_scale: int
    lot_atoms: int
    unit: int
    min_qty: int
    max_qty: int
    max_price: int
    band_ppm: int = 0

    @property
    def quote_scale(self) -> int:
        """Return the decimal places of the quote asset, derived from the unit."""
        factor, places = self.unit // (self.tick_step * self.lot_step), 0
        while factor > 1:
            factor //= 10
            places += 1
        return self.tick_scale + self.lot_scale + places

    def price(self, text: str, what: str = "price") -> int:
        """Convert text to ticks. Raises NumberError off the grid, at zero or out of bounds."""
        ticks = self._steps(text, self.tick_scale, self.tick_step, what, "tick", self.tick)
        if ticks is None or ticks > self.max_price:
            raise self._above(text, what, self.price_text(self.max_price))
        return ticks

    def quantity(self, text: str, what: str = "quantity") -> int:
        """Convert text to lots. Raises NumberError off the grid, at zero or out of bounds."""
        lots = self._steps(text, self.lot_scale, self.lot_step, what, "lot", self.lot)
        if lots is None or lots > self.max_qty:
            raise self._above(text, what, self.quantity_text(self.max_qty))
        if lots < self.min_qty:
            limit = self.quantity_text(self.min_qty)
            raise NumberError(
                NumberKind.TOO_SMALL,
                f"{what} {shown(text)} is below the minimum {limit} of {self.symbol}",
            )
        return lots

    def ticks(self, text: str, what: str = "price") -> int:
        """Convert decimal text to ticks without bounds: for a replace, which the engine checks."""
        ticks = self._steps(text, self.tick_scale, self.tick_step, what, "tick", self.tick)
        if ticks is None:
            raise self._above(text, what, self.price_text(self.max_price))
        return ticks

    def lots(self, text: str, what: str = "quantity") -> int:
        """Convert decimal text to lots without bounds: for a replace, which the engine checks."""
        lots = self._steps(text, self.lot_scale, self.lot_step, what, "lot", self.lot)
        if lots is None:
            raise self._above(text, what, self.quantity_text(self.max_qty))
        return lots

    def cash(self, text: str, what: str = "amount") -> int:
        """Convert decimal text to the quote atoms of an order by money; raises NumberError."""
        atoms = parse_scaled(text, self.quote_scale, what)
        if atoms == 0:
            raise NumberError(NumberKind.ZERO, f"{what} must be greater than zero")
        return atoms

    def _above(self, text: str, what: str, limit: str) -> NumberError:
        return NumberError(
            NumberKind.TOO_LARGE,
            f"{what} {shown(text)} is above the maximum {limit} of {self.symbol}",
        )

    def _steps(
        self, text: str, scale: int, step: int, what: str, name: str, grid: str
    ) -> int | None:
        """Convert text to a positive number of steps; return None for one beyond 64 bits."""
        try:
            value = parse_scaled(text, scale, what)
        except NumberError as error:
            if error.kind is NumberKind.TOO_LARGE:
                return None
            if error.kind is not NumberKind.OFF_GRID:
                raise
            value = rest = 1
        else:
            rest = value % step
        if rest:
            raise NumberError(
                NumberKind.OFF_GRID,
                f"{what} {shown(text)} is not a multiple of the {name} {grid} of {self.symbol}",
            ) from None
        if value == 0:
            raise NumberError(NumberKind.ZERO, f"{what} must be greater than zero")
        return value // step

    def price_text(self, ticks: int) -> str:
        """Convert ticks to decimal text."""
        return format_scaled(ticks * self.tick_step, self.tick_scale)

    def quantity_text(self, lots: int) -> str:
        """Convert lots to decimal text."""
        return format_scaled(lots * self.lot_step, self.lot_scale)

    def average_price_text(self, notional: int, cum: int, places: int = 8) -> str:
        """Return the average price of ``cum`` lots that cost ``notional`` ticks × lots, half up.

        Exact if it fits into ``places`` decimals beyond the tick; "0" before any fill.
        """
        if cum == 0:
            return "0"
        scale = self.tick_scale + places
        value = (2 * notional * self.tick_step * 10**places + cum) // (2 * cum)
        return format_scaled(value, scale)

    def notional(self, price: int, qty: int) -> int:
        """Return the quote atoms of ``qty`` lots at ``price`` ticks."""
        return price * qty * self.unit


def make_instrument(
    symbol: str,
    base: str,
    base_scale: int,
    quote: str,
    quote_scale: int,
    tick: str,
    lot: str,
    min_qty: int,
    max_qty: int,
    max_price: int,
    band_ppm: int = 0,
) -> Instrument:
    """Build an instrument from its configured texts.

    Refuses (NumberError) a grid on which a lot is not whole atoms of the base, tick × lot is
    not whole atoms of the quote, or the largest order would leave signed 64 bits.
    """
    tick_step, tick_scale = _grid(tick, f"tick of {symbol}")
    lot_step, lot_scale = _grid(lot, f"lot of {symbol}")
    if lot_scale > base_scale:
        raise NumberError(NumberKind.GRID, f"lot {lot} of {symbol} is finer than an atom of {base}")
    lot_atoms = lot_step * 10 ** (base_scale - lot_scale)
    if tick_scale + lot_scale > quote_scale:
        raise NumberError(
            NumberKind.GRID,
            f"tick {tick} × lot {lot} of {symbol} is not a whole number of {quote} atoms "
            f"(scale {quote_scale})",
        )
    unit = tick_step * lot_step * 10 ** (quote_scale - tick_scale - lot_scale)
    if not 1 <= min_qty <= max_qty:
        raise NumberError(NumberKind.GRID, f"{symbol} needs 1 ≤ min_qty ≤ max_qty in lots")
    if not 0 <= band_ppm < PPM:
        raise NumberError(
            NumberKind.GRID, f"{symbol} needs a band of 0 (none) to {PPM - 1} parts per million"
        )
    if max_price < 1:
        raise NumberError(NumberKind.GRID, f"{symbol} needs a maximum price of one tick or more")
    if 2 * max_price * max_qty * unit > INT64_MAX or max_qty * lot_atoms > INT64_MAX:
        raise NumberError(
            NumberKind.GRID,
            f"the largest order of {symbol} (max_price × max_qty) does not fit into 64 bits; "
            "lower max_qty or max_price",
        )
    return Instrument(
        symbol, base, quote, tick, lot, tick_step, tick_scale, lot_step, lot_scale,
        lot_atoms, unit, min_qty, max_qty, max_price, band_ppm,
    )  # fmt: skip


def defined_instrument(e: InstrumentDefined, scales: Mapping[str, int]) -> Instrument:
    """Return the instrument that an event defines; ``scales`` are those of the assets."""
    return make_instrument(
        e.symbol, e.base, scales[e.base], e.quote, scales[e.quote], e.tick, e.lot,
        e.min_qty, e.max_qty, e.max_price, e.band_ppm,
    )  # fmt: skip
