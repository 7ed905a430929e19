"""Public data: clock, assets, networks, instruments, books, trades, candles."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import PlainCall, QueryCall, Route
from account_api.reply import Reply
from account_api.schema.from_rows import (
    book_view,
    candle_view,
    instant_text,
    network_view,
    trade_view,
)
from account_api.schema.requests import CandlesQuery, DepthQuery, TradesQuery
from account_api.schema.responses import (
    AssetsView,
    AssetView,
    BookView,
    CandlesView,
    InstrumentsView,
    InstrumentView,
    NetworksView,
    TimeView,
    TradesView,
)
from account_api.schema.to_commands import instant_us
from engine.client import queries
from engine.core.instruments import Instrument, format_scaled
from engine.core.types import InstrumentRow, InstrumentStatus
from engine.history import reader as history


def get_time(call: PlainCall) -> Reply:
    """Get the venue's clock, against which signatures are checked."""
    return Reply(TimeView(time=instant_text(call.now_us), time_ms=call.now_us // 1000))


def get_assets(call: PlainCall) -> Reply:
    """List every asset."""
    catalogue = call.services.catalogue()
    rows = [AssetView(asset=name, decimals=scale) for name, scale in catalogue.scales.items()]
    return Reply(AssetsView(assets=rows, as_of_seq=catalogue.as_of_seq))


def get_networks(call: PlainCall) -> Reply:
    """List every network of every asset, with fee, minimum, step and confirmations."""
    catalogue = call.services.catalogue()
    formats = call.services.address_formats
    rows = [
        network_view(row, catalogue.scales[row.asset], formats.get(key, ""))
        for key, row in catalogue.networks.items()
    ]
    return Reply(NetworksView(networks=rows, as_of_seq=catalogue.as_of_seq))


def get_instruments(call: PlainCall) -> Reply:
    """List every instrument: tick, lot, limits, status and last price."""
    catalogue = call.services.catalogue()
    states = call.services.fetch(queries.InstrumentStates())
    by_symbol = {row.symbol: row for row in states.value}
    rows = [
        instrument_view(instrument, by_symbol.get(symbol))
        for symbol, instrument in catalogue.instruments.items()
    ]
    return Reply(InstrumentsView(instruments=rows, as_of_seq=states.as_of_seq))


def instrument_view(instrument: Instrument, state: InstrumentRow | None) -> InstrumentView:
    """Render an instrument and its state."""
    if state is None:
        state = InstrumentRow(instrument.symbol, InstrumentStatus.HALTED, 0)

    def price(ticks: int) -> str | None:
        return instrument.price_text(ticks) if ticks else None

    ppm = instrument.band_ppm
    return InstrumentView(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick=instrument.tick,
        lot=instrument.lot,
        min_quantity=instrument.quantity_text(instrument.min_qty),
        max_quantity=instrument.quantity_text(instrument.max_qty),
        max_price=instrument.price_text(instrument.max_price),
        status=state.status.name.lower(),
        last_price=price(state.last_price),
        band=format_scaled(ppm, _PPM_DECIMALS) if ppm else None,
        reference_price=price(state.reference),
        band_low=price(state.band_low),
        band_high=price(state.band_high),
    )


def get_book(call: QueryCall[DepthQuery]) -> Reply:
    """Get the depth of one instrument, as of `as_of_seq`."""
    instrument = call.services.instrument(call.parts["symbol"], status=404)
    answer = call.services.fetch(queries.Book(instrument.symbol, call.query.depth))
    if answer.value is None:
        raise RuntimeError(f"the engine lists {instrument.symbol} but has no book of it")
    return Reply(book_view(answer.value, instrument, answer.as_of_seq))


def get_trades(call: QueryCall[TradesQuery]) -> Reply:
    """List public trades: the newest, or ascending after `after_trade_id` (exclusive)."""
    query = call.query
    instrument = call.services.instrument(query.symbol, status=404)
    with call.services.history() as connection:
        page = history.trades(
            connection,
            query.symbol,
            after_trade_id=query.after_trade_id,
            limit=query.limit,
        )
    return Reply(
        TradesView(
            trades=[trade_view(row, instrument) for row in page.rows],
            next_after_trade_id=int(page.cursor) if page.cursor else None,
            as_of_seq=page.as_of_seq,
        )
    )


def get_candles(call: QueryCall[CandlesQuery]) -> Reply:
    """List candles: the newest, or ascending from `start`."""
    query = call.query
    catalogue = call.services.catalogue(symbol=query.symbol)
    instrument = call.services.instrument(query.symbol, status=404)
    with call.services.history() as connection:
        page = history.candles(
            connection,
            query.symbol,
            history.CANDLE_INTERVALS_US[query.interval],
            from_us=instant_us(query.start, "start"),
            to_us=instant_us(query.end, "end"),
            limit=query.limit,
        )
    scale = catalogue.scales[instrument.quote]
    return Reply(
        CandlesView(
            symbol=query.symbol,
            interval=query.interval,
            candles=[candle_view(row, instrument, scale) for row in page.rows],
            as_of_seq=page.as_of_seq,
        )
    )


_PPM_DECIMALS: Final = 6

ROUTES: Final = (
    Route("GET", "/v1/time", get_time, "The venue's clock", TimeView),
    Route("GET", "/v1/assets", get_assets, "Assets", AssetsView),
    Route("GET", "/v1/networks", get_networks, "Networks", NetworksView),
    Route("GET", "/v1/instruments", get_instruments, "Instruments", InstrumentsView),
    Route(
        "GET", "/v1/books/{symbol}", get_book, "Book depth", BookView,
        errors=("unknown_symbol",),
    ),
    Route(
        "GET", "/v1/trades", get_trades, "Public trades", TradesView,
        errors=("unknown_symbol", "history_unavailable"),
    ),
    Route(
        "GET", "/v1/candles", get_candles, "Candles", CandlesView,
        errors=("unknown_symbol", "history_unavailable"),
    ),
)  # fmt: skip
