"""What only an operator may do to the market: halt an instrument, let it trade again."""

from __future__ import annotations

from typing import Final

from account_api import results
from account_api.errors import refusal
from account_api.registry import REPLAYED, Call, Reply, Route
from account_api.schemas import InstrumentStatusRequest
from account_api.views import InstrumentStatusView
from engine.core.commands import SetInstrumentStatus
from engine.core.events import InstrumentStatusChanged, Refused
from engine.core.types import InstrumentStatus


def set_instrument_status(call: Call) -> Reply:
    """Halt an instrument, which then accepts cancels only, or open it; resting orders stay."""
    request = call.body(InstrumentStatusRequest)
    instrument = call.services.instrument(call.parts["symbol"], status=404)
    status = InstrumentStatus[request.status.upper()]
    outcome = call.services.submit(
        SetInstrumentStatus(call.principal.origin(), instrument.symbol, status, request.note)
    )
    for event in outcome.transaction.events:
        if isinstance(event, Refused):
            raise refusal(event.reason, results.sentence(event.text))
        if isinstance(event, InstrumentStatusChanged):
            status = event.status
    answer = InstrumentStatusView(
        symbol=instrument.symbol,
        status=status.name.lower(),
        as_of_seq=outcome.transaction.seq,
    )
    return Reply(answer, 200, (REPLAYED,) if outcome.duplicate else ())


ROUTES: Final = (
    Route(
        "PUT", "/v1/instruments/{symbol}/status", set_instrument_status,
        "Halt or resume an instrument (operator)", InstrumentStatusView, scope="operator",
        body=InstrumentStatusRequest, replays=True, tag="operator",
        errors=("unknown_symbol", "request_expired"),
    ),
)  # fmt: skip
