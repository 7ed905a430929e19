"""Operators only: halt and resume instruments, move price bands, suspend accounts."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem
from account_api.http.routing import BodyCall, Route
from account_api.reply import Reply, answered
from account_api.schema import from_events
from account_api.schema.from_rows import account_status
from account_api.schema.requests import (
    AccountStatusRequest,
    InstrumentStatusRequest,
    ReferencePriceRequest,
)
from account_api.schema.responses import (
    AccountStatusView,
    InstrumentStatusView,
    ReferencePriceView,
)
from account_api.schema.to_commands import price
from engine.client import own_cancels, own_event, own_events
from engine.core.authority import Thing
from engine.core.commands import SetAccountStatus, SetInstrumentStatus, SetReferencePrice
from engine.core.events import (
    InstrumentStatusChanged,
    ReferencePriceSet,
    Refused,
    WithdrawalUpdated,
)
from engine.core.types import InstrumentStatus


def set_instrument_status(call: BodyCall[InstrumentStatusRequest]) -> Reply:
    """Halt an instrument, which then accepts cancels only, or reopen it; resting orders stay."""
    request = call.body
    instrument = call.services.instrument(call.parts["symbol"], status=404)
    status = InstrumentStatus[request.status.upper()]
    outcome = call.services.submit(
        SetInstrumentStatus(call.principal.origin(), instrument.symbol, status, request.note)
    )
    done = outcome.transaction
    # Setting the present status changes nothing, so there may be no event.
    event = own_event(done.events, done.command, Refused, InstrumentStatusChanged)
    if isinstance(event, Refused):
        raise from_events.refused(event)
    if isinstance(event, InstrumentStatusChanged):
        status = event.status
    answer = InstrumentStatusView(
        symbol=instrument.symbol,
        status=status.name.lower(),
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


def set_reference_price(call: BodyCall[ReferencePriceRequest]) -> Reply:
    """Center an instrument's price band on a price, until its next trade moves the band."""
    request = call.body
    instrument = call.services.instrument(call.parts["symbol"], status=404)
    ticks = price(instrument, request.price, "price")
    outcome = call.services.submit(
        SetReferencePrice(call.principal.origin(), instrument.symbol, ticks, request.note)
    )
    event = from_events.accepted(outcome, ReferencePriceSet)
    answer = ReferencePriceView(
        symbol=instrument.symbol,
        reference_price=instrument.price_text(event.price),
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


def set_account_status(call: BodyCall[AccountStatusRequest]) -> Reply:
    """Suspend an account, which then may only cancel and read, or let it act again."""
    request = call.body
    suspended = request.status == "suspended"
    if request.keep_open and not suspended:
        raise Problem(
            "invalid_request", "The field keep_open is only for the status suspended.",
            field="keep_open",
        )  # fmt: skip
    account = call.parts["account"]
    outcome = call.services.submit(
        SetAccountStatus(
            call.principal.origin(), account, suspended, request.note, request.keep_open
        )
    )
    done = outcome.transaction
    refused = own_event(done.events, done.command, Refused)
    if refused is not None:
        raise from_events.refused(refused, status=404)
    withdrawals = own_events(done.events, done.command, WithdrawalUpdated)
    answer = AccountStatusView(
        account=account,
        status=account_status(suspended),
        canceled_orders=sum(1 for _ in own_cancels(done.events, done.command)),
        canceled_withdrawals=sum(1 for _ in withdrawals),
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate)


ROUTES: Final = (
    Route(
        "PUT", "/v1/accounts/{account}/status", set_account_status,
        "Suspend an account or let it act again (operator)", AccountStatusView,
        thing=Thing.SUSPEND_ACCOUNTS, replays=True, tag="operator",
        errors=("unknown_account", "request_expired"),
    ),
    Route(
        "PUT", "/v1/instruments/{symbol}/status", set_instrument_status,
        "Halt or resume an instrument (operator)", InstrumentStatusView,
        thing=Thing.HALT_INSTRUMENTS,
        replays=True, tag="operator",
        errors=("unknown_symbol", "request_expired"),
    ),
    Route(
        "PUT", "/v1/instruments/{symbol}/reference-price", set_reference_price,
        "Move an instrument's price band (operator)", ReferencePriceView,
        thing=Thing.SET_REFERENCE_PRICES, replays=True, tag="operator",
        errors=("unknown_symbol", "invalid_price", "price_too_large", "request_expired"),
    ),
)  # fmt: skip
