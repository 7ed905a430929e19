"""The operator's view of and actions on a running venue, through the engine and the gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config.control import ControlError, ask, socket_path
from config.settings import Settings
from config.suggestion import hint
from engine.client import EngineClient, queries
from engine.core.commands import SetAccountStatus, SetInstrumentStatus, SetReferencePrice
from engine.core.events import AccountStatusChanged, OrderCanceled, Refused, WithdrawalUpdated
from engine.core.instruments import Instrument, NumberError, format_scaled
from engine.core.types import InstrumentStatus, Origin, WithdrawalState
from fix_gateway.codec.context import source_of
from tandem.engine_state import connected
from tandem.output import CommandError
from tandem.tables import moment, show

if TYPE_CHECKING:
    from account_api.security.keystore import KeyStore
    from account_api.security.shared_keys import SharedKeyStore

ORIGIN = Origin("operator:tandem", user="operator")


def accounts(settings: Settings, name: str, as_json: bool) -> None:
    """Print every account, or the balances of one."""
    with connected(settings) as client:
        known = client.fetch(queries.Accounts()).value
        if not name:
            rows = [
                (row.account, row.firm, str(row.open_orders), str(row.account_seq),
                 f"{row.maker_fee_ppm}/{row.taker_fee_ppm}", row.stp.name.lower(),
                 "suspended" if row.suspended else "active")
                for row in known
            ]  # fmt: skip
            columns = ("account", "firm", "open_orders", "account_seq", "fees_ppm", "stp", "status")
            show("Accounts", columns, rows, as_json)
            return
        if name not in {row.account for row in known}:
            raise CommandError(f"there is no account {name}; `tandem accounts` lists them")
        scales = _scales(client)
        answer = client.fetch(queries.Balances(name))
    money = [
        [row.asset, *(
            format_scaled(atoms, scales[row.asset])
            for atoms in (row.posted, row.held, row.available, row.pending)
        )]
        for row in answer.value
    ]  # fmt: skip
    show(f"Money of {name} as of sequence {answer.as_of_seq}",
         ("asset", "posted", "held", "available", "pending"), money, as_json)  # fmt: skip


def suspend(settings: Settings, names: list[str], note: str, keep_open: bool) -> None:
    """Suspend accounts: they can only cancel and read, and what they have open is canceled."""
    _set_account_status(settings, names, "suspended", note, keep_open)


def resume(settings: Settings, names: list[str], note: str) -> None:
    """Resume suspended accounts."""
    _set_account_status(settings, names, "active", note, keep_open=False)


def _set_account_status(
    settings: Settings, names: list[str], status: str, note: str, keep_open: bool
) -> None:
    with connected(settings) as client:
        known = {row.account for row in client.fetch(queries.Accounts()).value}
        for name in names:
            if name not in known:
                raise CommandError(
                    f"there is no account {name}, so nothing was done; `tandem accounts` lists them"
                )
        for name in names:
            command = SetAccountStatus(ORIGIN, name, status == "suspended", note, keep_open)
            done = client.submit(command).transaction
            kinds = [type(event) for event in done.events]
            changed = AccountStatusChanged in kinds
            canceled = ""
            if status == "suspended" and not keep_open:
                orders, money = kinds.count(OrderCanceled), kinds.count(WithdrawalUpdated)
                canceled = f"; canceled: {orders} orders, {money} withdrawals"
            text = f"is {status} as of sequence {done.seq}" if changed else f"was {status} already"
            print(f"{name} {text}{canceled}.")


def keys(settings: Settings, as_json: bool) -> None:
    """Print the API keys of the configuration and those created since, without secrets."""
    now_us = time.time_ns() // 1000
    with _key_store(settings) as store:
        revoked, made = store.revocations(), store.everything()
    rows = [
        (key.key, key.kind, key.account or "(venue)", key.user, " ".join(key.scopes),
         " ".join(key.allow) or "any", "configuration",
         "revoked" if key.key in revoked else "active" if key.enabled else "disabled")
        for key in settings.keys
    ]  # fmt: skip
    rows += [
        (key.key, key.kind, key.account, key.user, " ".join(key.scopes),
         " ".join(key.allow) or "any", f"{key.created_by} as {key.name}",
         key.state_at(now_us))
        for key in made
    ]  # fmt: skip
    columns = ("key", "kind", "account", "user", "scopes", "allow", "made_by", "state")
    show(f"API keys of {settings.file} and {settings.data}", columns, rows, as_json)


def revoke_key(settings: Settings, key: str, descendants: bool) -> None:
    """Revoke a key permanently, of the configuration or created; it takes effect at once.

    With ``descendants`` the keys that it created, directly or indirectly, are revoked too.
    """
    if not settings.data.is_dir():
        raise CommandError(f"there is no data folder {settings.data}; no venue runs there")
    with _key_store(settings) as store:
        if store.find(key) is None and key not in {each.key for each in settings.keys}:
            raise CommandError(f"there is no API key {key}; `tandem keys` lists them")
        known = store.revocations().get(key)
        now_us = time.time_ns() // 1000
        done = store.revoke(key, ORIGIN.source, now_us, descendants=descendants)
    ended = done.ended
    when = "is revoked" if known is None else f"was revoked at {moment(ended.at)} by {ended.by}"
    print(f"{key} {when}.")
    for made in done.descendants:
        print(f"{made}, which it or one of its keys made, is revoked.")


@contextmanager
def _key_store(settings: Settings) -> Iterator[KeyStore | SharedKeyStore]:
    """Open the key store; an empty one in memory if the venue has never run."""
    from account_api.security.keystore import KeyStore, KeyStoreError
    from account_api.security.shared_keys import SharedKeyStore
    from account_api.shared import EngineRecords

    file, master = str(settings.data / "keys.db"), str(settings.data / "keys.master")
    store: KeyStore | SharedKeyStore
    if settings.http.shared:
        with connected(settings) as client:
            configured = ((key.key, key.firm) for key in settings.keys)
            store = SharedKeyStore(EngineRecords(lambda: client), master, configured, file)
            try:
                yield store
            except KeyStoreError as error:
                raise CommandError(str(error)) from None
            finally:
                store.close()
        return
    store = KeyStore(file, master) if settings.data.is_dir() else KeyStore(":memory:")
    try:
        yield store
    finally:
        store.close()


def sessions(settings: Settings, as_json: bool) -> None:
    """Print the FIX sessions of the configuration, and their state in the engine."""
    with connected(settings) as client:
        known = {row.session: row for row in client.fetch(queries.Sessions()).value}
    reading, holders = _reading(settings), _holders(settings)
    rows: list[tuple[str, ...]] = []
    for session in settings.sessions:
        row = known.get(source_of(session.comp_id))
        held_by = holders.get(row.holder, "") if row is not None and row.holder else ""
        rows.append(
            (session.comp_id, session.account, session.kind, "yes" if session.enabled else "no",
             "yes" if session.comp_id in reading or (row is not None and row.connected) else "no",
             str(row.epoch if row is not None else 0),
             str(row.last_num_applied if row is not None else 0),
             row.cancel_scope.name.lower() if row is not None and row.connected else "",
             *((held_by,) if holders else ()))
        )  # fmt: skip
    columns = ("session", "account", "kind", "enabled", "connected", "epoch", "mark",
               "cancel_on_disconnect", *(("gateway",) if holders else ()))  # fmt: skip
    show("FIX sessions", columns, rows, as_json)


def _holders(settings: Settings) -> dict[str, str]:
    """Return the gateways of this machine by the name under which each holds sessions.

    Nothing where there is but one.
    """
    fix = settings.fix
    if fix.gateways == 1:
        return {}
    from fix_gateway.session.holding import known_holder

    pairs = zip(fix.names, fix.stores, strict=True)
    return {known_holder(store): name for name, store in pairs}


def _reading(settings: Settings) -> set[str]:
    """Return the market data sessions that are logged on: the engine does not know them."""
    try:
        return set(ask(socket_path(settings.data, "marketdata"), "connected").split())
    except ControlError:
        return set()  # Who serves them is away, and so are they.


def kick(settings: Settings, comp_id: str) -> None:
    """Have the process that serves a session log it out; print its reply."""
    passed = comp_id in _market_data_sessions(settings)
    print(_tell(settings, "marketdata" if passed else "fix", "kick", comp_id))


def reset_numbers(settings: Settings, comp_id: str) -> None:
    """Have the gateway begin a session's numbers again; print its reply."""
    if comp_id in _market_data_sessions(settings):
        raise CommandError(
            f"{comp_id} is a market data session, whose numbers begin at 1 with every Logon"
        )
    print(_tell(settings, "fix", "reset", comp_id))


def announce(settings: Settings, text: str) -> None:
    """Have every session told something; print to how many."""
    print(_tell(settings, "fix", "announce", *text.split()))
    if _market_data_sessions(settings):
        print(_tell(settings, "marketdata", "announce", *text.split()))


def _market_data_sessions(settings: Settings) -> set[str]:
    return {each.comp_id for each in settings.sessions if each.kind == "market_data"}


def _tell(settings: Settings, process: str, *words: str) -> str:
    try:
        return ask(socket_path(settings.data, process), *words)
    except ControlError as error:
        raise CommandError(str(error)) from None


def instruments(settings: Settings, as_json: bool) -> None:
    """Print every instrument with its grid and state."""
    with connected(settings) as client:
        states = {row.symbol: row for row in client.fetch(queries.InstrumentStates()).value}
        rows = []
        for one in client.fetch(queries.Instruments()).value:
            state = states[one.symbol]
            last = one.price_text(state.last_price) if state.last_price else ""
            rows.append(
                (one.symbol, state.status.name.lower(), last, one.price_text(1),
                 one.quantity_text(1), one.quantity_text(one.min_qty),
                 one.quantity_text(one.max_qty), one.price_text(one.max_price),
                 f"{one.price_text(state.band_low)} to {one.price_text(state.band_high)}"
                 if state.band_high else "")
            )  # fmt: skip
    columns = ("symbol", "status", "last", "tick", "lot", "min_quantity", "max_quantity",
               "max_price", "band")  # fmt: skip
    show("Instruments", columns, rows, as_json)


def _instrument(client: EngineClient, symbol: str) -> Instrument:
    known = {one.symbol: one for one in client.fetch(queries.Instruments()).value}
    if symbol not in known:
        raise CommandError(f"there is no instrument {symbol!r}{hint(symbol, known)}")
    return known[symbol]


def set_status(settings: Settings, symbol: str, status: InstrumentStatus, note: str) -> None:
    """Halt or resume an instrument."""
    with connected(settings) as client:
        _instrument(client, symbol)
        done = client.submit(SetInstrumentStatus(ORIGIN, symbol, status, note)).transaction
    for event in done.events:
        if isinstance(event, Refused):
            raise CommandError(event.text)
    state = status.name.lower()
    if done.events:
        print(f"{symbol} is {state} as of sequence {done.seq}.")
    else:
        print(f"{symbol} was {state} already.")


def set_reference(settings: Settings, symbol: str, text: str, note: str) -> None:
    """Set the reference price of an instrument's band."""
    with connected(settings) as client:
        instrument = _instrument(client, symbol)
        try:
            price = instrument.price(text)
        except NumberError as error:
            raise CommandError(error.text) from None
        done = client.submit(SetReferencePrice(ORIGIN, symbol, price, note)).transaction
    for event in done.events:
        if isinstance(event, Refused):
            raise CommandError(event.text)
    band = "" if instrument.band_ppm else "; it has no price band, so this bounds nothing"
    print(f"The reference price of {symbol} is {instrument.price_text(price)}{band}.")


def withdrawals(settings: Settings, waiting: bool, as_json: bool) -> None:
    """Print withdrawals that are not final; ``waiting``: only those that wait for approval."""
    with connected(settings) as client:
        scales = _scales(client)
        open_ones = client.fetch(queries.Withdrawals(open_only=True)).value
    rows = [
        (str(row.withdrawal_id), row.account, row.client_withdrawal_id,
         f"{format_scaled(row.amount, scales[row.asset])} {row.asset}", row.network, row.address,
         row.state.name.lower(), row.requested_by, moment(row.updated_at))
        for row in open_ones
        if not waiting or row.state is WithdrawalState.PENDING_APPROVAL
    ]  # fmt: skip
    columns = ("id", "account", "client_id", "amount", "network", "address", "state",
               "requested_by", "since")  # fmt: skip
    title = "Withdrawals that wait for approval" if waiting else "Open withdrawals"
    show(title, columns, rows, as_json)


def _scales(client: EngineClient) -> dict[str, int]:
    return {row.asset: row.scale for row in client.fetch(queries.Assets()).value}
