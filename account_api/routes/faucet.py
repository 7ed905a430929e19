"""The faucet, which gives test coins to any account; not every venue has one."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem
from account_api.http.routing import BodyCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import own_account, require_active
from account_api.schema import from_events
from account_api.schema.from_rows import deposit_view
from account_api.schema.requests import AssetName, Request
from account_api.schema.responses import DepositAnswer, extended
from engine.client import queries
from engine.core.authority import Thing
from engine.core.commands import Deposit
from engine.core.events import DepositUpdated

_DAY_US: Final = 86_400_000_000


class FaucetRequest(Request, frozen=True, kw_only=True):
    """Ask for one portion of an asset; portions per account and day (UTC) are limited."""

    asset: AssetName


def ask_faucet(call: BodyCall[FaucetRequest]) -> Reply:
    """Credit the caller's account with one portion of test coins; not in production.

    The portions of a day are numbered, and their numbers are deposit ids, which the engine
    remembers permanently: so each is given once, however many requests arrive at the same time.
    """
    request = call.body
    account = own_account(call)
    faucet = call.services.settings.faucet
    if faucet is None:
        raise Problem("not_permitted", "This venue has no faucet: its money is real.")
    require_active(call, account)
    catalogue = call.services.catalogue(asset=request.asset)
    amount = dict(faucet.portions).get(request.asset)
    if amount is None:
        offered = ", ".join(asset for asset, _ in faucet.portions)
        raise Problem("unknown_asset", f"The faucet gives {offered}.", field="asset")
    day = call.now_us // _DAY_US
    prefix = f"faucet:{account}:{request.asset}:{day}:"
    known = call.services.fetch(queries.Deposits(account)).value
    given = sum(row.deposit_id.startswith(prefix) for row in known)
    # After the last portion its number is used again: the engine then credits nothing, unless
    # this very request was done before, which it recognises by the signature.
    number = min(given + 1, faucet.portions_per_day)
    outcome = call.services.submit(
        Deposit(call.principal.origin(), f"{prefix}{number}", account, request.asset, amount)
    )
    event = from_events.accepted(outcome, DepositUpdated)
    if not event.credited_now:
        raise _nothing_given(call.now_us, given >= faucet.portions_per_day)
    scale = catalogue.scales[event.deposit.asset]
    answer = extended(
        deposit_view(event.deposit, scale), DepositAnswer, as_of_seq=outcome.transaction.seq
    )
    return answered(answer, replayed=outcome.duplicate, status=201)


def _nothing_given(now_us: int, is_empty: bool) -> Problem:
    wait_s, why = 1, "A simultaneous request got the portion; try again."
    if is_empty:
        wait_s = (_DAY_US - now_us % _DAY_US) // 1_000_000 + 1
        why = "The faucet gives no more of this asset today; it gives again from 00:00 UTC."
    return Problem("rate_limited", why, headers=(("Retry-After", str(wait_s)),))


ROUTES: Final = (
    Route(
        "POST", "/v1/faucet", ask_faucet, "Ask for test coins (not in production)", DepositAnswer,
        thing=Thing.FAUCET, status=201, replays=True, repeatable=False, tag="money",
        errors=("not_permitted", "account_suspended", "unknown_account", "unknown_asset",
                "request_expired"),
    ),
)  # fmt: skip
