"""Configuration as commands: those that make the state agree with the configuration.

Only what differs from the state is submitted, so a start with an unchanged configuration
writes nothing, and the journal alone determines the state. Initial money is a deposit whose id
names account and asset, so it is credited once.

A configuration that the exchange would refuse is found by a dry run: the commands are first
applied to an exchange in memory, an empty one for `tandem config check` and a copy of the state
when the engine starts. So both use the exchange's own rules and no second list of them, and
nothing is journaled of a configuration that is not valid as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from engine import wire
from engine.core.commands import (
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineNetwork,
    DefineVenue,
    Deposit,
)
from engine.core.events import Refused
from engine.core.exchange import Exchange
from engine.core.types import Origin
from engine.server.rows import account_row

ORIGIN: Final = Origin("engine")


def bootstrap_commands(settings: Any, exchange: Exchange) -> Iterator[Command]:
    """Yield each command that is needed; the caller applies it before requesting the next.

    ``settings`` has the shape of ``config.model.Settings``.
    """
    venue = settings.venue
    wanted = (
        venue.day_roll_us,
        venue.cascade_max,
        venue.closed_orders_kept,
        venue.client_id_window_us,
        venue.work_max,
    )
    state = (
        exchange.day_roll_us,
        exchange.cascade_max,
        exchange.closed_orders_kept,
        exchange.client_id_window_us,
        exchange.work_max,
    )
    if wanted != state:
        yield DefineVenue(ORIGIN, *wanted)
    for asset in settings.assets:
        if exchange.assets.get(asset.asset) != asset.scale:
            yield DefineAsset(ORIGIN, asset.asset, asset.scale)
    for network in settings.networks:
        define = DefineNetwork(
            ORIGIN, network.asset, network.network, network.withdrawal_fee,
            network.withdrawal_min, network.withdrawal_step, network.confirmations_required,
            network.memo_required, network.suspended,
        )  # fmt: skip
        known = exchange.networks.get((network.asset, network.network))
        if known is None or tuple(known) != tuple(define[1:]):
            yield define
    for instrument in settings.instruments:
        book = exchange.books.get(instrument.symbol)
        if book is None or book.instrument != instrument:
            yield DefineInstrument(
                ORIGIN, instrument.symbol, instrument.base, instrument.quote, instrument.tick,
                instrument.lot, instrument.min_qty, instrument.max_qty, instrument.max_price,
                instrument.band_ppm,
            )  # fmt: skip
    for account in settings.accounts:
        yield from _account(account, exchange)


def refused(settings: Any, exchange: Exchange | None = None) -> list[str]:
    """Return a sentence for each part of the configuration that the exchange would refuse.

    ``exchange`` is the state to which it would be applied, and is not changed; None for an empty
    one. O(state) if anything differs from the state, else O(configuration).
    """
    if exchange is None:
        rehearsal = Exchange()
    elif next(bootstrap_commands(settings, exchange), None) is None:
        return []
    else:
        rehearsal = Exchange.restore(exchange.export_state())
    return [
        f"{event.subject}: {event.text}"
        for command in bootstrap_commands(settings, rehearsal)
        for event in rehearsal.apply(rehearsal.seq + 1, rehearsal.time_us, command)
        if isinstance(event, Refused)
    ]


def digest(settings: Any) -> str:
    """Return what two members compare: a hash of all that the configuration has a venue be."""
    rehearsal, found = Exchange(), hashlib.sha256()
    for command in bootstrap_commands(settings, rehearsal):
        found.update(wire.encode_command(command))
        rehearsal.apply(rehearsal.seq + 1, rehearsal.time_us, command)
    return found.hexdigest()


def _account(account: Any, exchange: Exchange) -> Iterator[Command]:
    define = DefineAccount(
        ORIGIN, account.account, account.firm, account.maker_fee_ppm, account.taker_fee_ppm,
        account.self_trade, account.open_orders_max, tuple(account.approval_above),
        tuple(account.daily_limits), account.require_known_address, account.address_cooloff_us,
    )  # fmt: skip
    known = exchange.accounts.get(account.account)
    if known is None or tuple(account_row(known))[:10] != tuple(define[1:]):
        yield define
    for asset, atoms in account.grants:
        deposit_id = f"genesis:{account.account}:{asset}"
        if atoms and deposit_id not in exchange.deposits:
            yield Deposit(ORIGIN, deposit_id, account.account, asset, atoms)
