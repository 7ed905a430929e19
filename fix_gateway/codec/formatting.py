"""Numbers of one instrument as FIX text, made fast: reports are the hot path of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engine.core.instruments import Instrument, format_scaled
from fix_gateway.codec.message import SOH

_CACHED_MAX: Final = 20_000
"""Prices and quantities repeat; so many texts of each are kept per instrument."""


def cursor(seq: int, event_index: int, part: int = 0) -> str:
    """Return the fields by which delivery knows where a report belongs: 20001, 20002, 20007."""
    return f"20001={seq}\x0120002={event_index}\x0120007={part}\x01"


class _Texts(dict[int, str]):
    """Texts by number, made when first asked for; bounded by starting over."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> str:
        if len(self) >= _CACHED_MAX:
            self.clear()
        text = self[number] = self._make(number)
        return text


class InstrumentText:
    """Formats of one instrument: ``price[ticks]``, ``quantity[lots]``, ``money(atoms)``."""

    __slots__ = ("_quote_one", "_quote_scale", "instrument", "price", "quantity", "quote")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.quote = instrument.quote
        self.price = _Texts(instrument.price_text)
        self.quantity = _Texts(instrument.quantity_text)
        self._quote_scale = instrument.quote_scale
        self._quote_one = 10**self._quote_scale

    def money(self, atoms: int) -> str:
        """Return atoms of the quote asset as decimal text."""
        if atoms < 0 or not self._quote_scale:
            return format_scaled(atoms, self._quote_scale)
        whole, rest = divmod(atoms, self._quote_one)
        return f"{whole}.{rest:0{self._quote_scale}d}".rstrip("0") if rest else str(whole)

    def average(self, notional: int, cum: int) -> str:
        """Return AvgPx(6): exact where it can be, else half up, as the instrument rounds it.

    ``notional`` is in lots times ticks, ``cum`` in lots.
    """
        if not cum:
            return "0"
        price, rest = divmod(notional, cum)
        return self.instrument.average_price_text(notional, cum) if rest else self.price[price]


_cache: Final[dict[str, InstrumentText]] = {}


def texts_of(symbol: str, instruments: Mapping[str, Instrument]) -> InstrumentText | None:
    """Return the formats of a symbol, None if it is unknown."""
    instrument = instruments.get(symbol)
    if instrument is None:
        return None
    texts = _cache.get(symbol)
    if texts is None or texts.instrument is not instrument:
        texts = _cache[symbol] = InstrumentText(instrument)
    return texts


def known_texts(symbol: str, instruments: Mapping[str, Instrument]) -> InstrumentText:
    """Return the formats of a symbol. Raises LookupError where it is unknown."""
    texts = texts_of(symbol, instruments)
    if texts is None:
        raise LookupError(f"the instrument {symbol!r} is unknown, so nothing of it can be reported")
    return texts


def clean(value: str) -> str:
    """Return a value as FIX can carry it: one line of printable ASCII, "?" for anything else."""
    if value.isascii() and value.isprintable():
        return value
    return "".join([char if char.isascii() and char.isprintable() else "?" for char in value])


def sentence(text: str) -> str:
    """Return a reason as Text(58): printable ASCII with a capital letter, never empty."""
    return clean(text[:1].upper() + text[1:]) or "Refused"


def optional(tag: str, value: str) -> str:
    """Return a field, or nothing where its value is empty.

    FIX 4.4, volume 1, Message Format: there is no field without a value.
    """
    return f"{tag}={clean(value)}{SOH}" if value else ""
