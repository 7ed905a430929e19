"""What several routes need: the account that is meant, and the answer to a repeated request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from account_api.crypto_addresses import address_fault
from account_api.errors import Problem, refusal
from account_api.http.routing import AnyCall
from account_api.schema.catalogue import unknown_asset
from account_api.schema.requests import Instant
from account_api.schema.to_commands import instant_us
from account_api.security.auth import require
from engine.client import queries
from engine.core import authority
from engine.core.authority import Reach
from engine.core.types import RejectReason

T = TypeVar("T")


def account_of(call: AnyCall, named: str | None) -> str:
    """Return the account to read: the key's own unless the request names another.

    An operator must name one and may name any. A key of the account that bears the firm's
    name may name the firm's other accounts; anything else is answered as if it did not exist.
    """
    key = call.principal.key
    if named is None:
        if key.account:
            return key.account
        raise Problem(
            "invalid_request", "An operator must name the account.", field="account"
        )
    if reaches(call, named):
        return named
    raise Problem("not_found", f"There is no account {named}.", field="account")


def check_filters(call: AnyCall, symbol: str | None = None, asset: str | None = None) -> None:
    """Raise Problem (404) if a query filters by an instrument or asset that does not exist.

    An empty answer would say that nothing happened in an instrument that has another name.
    """
    if symbol is not None:
        call.services.instrument(symbol, status=404)
    if asset is not None:
        scales = call.services.catalogue(asset=asset).scales
        if asset not in scales:
            raise unknown_asset(asset, scales, 404)


def require_active(call: AnyCall, account: str) -> None:
    """Raise Problem ``account_suspended`` while the venue suspends the account (rule A-2).

    For what the engine is not asked to do, and so cannot refuse.
    """
    firm = call.principal.key.firm
    for row in call.services.fetch(queries.Accounts(firm)).value:
        if row.suspended and row.account in (account, firm):
            raise refusal(
                RejectReason.ACCOUNT_SUSPENDED,
                f"Account {row.account} is suspended; until the venue reactivates it, only cancels "
                "are accepted.",
            )


def reaches(call: AnyCall, named: str) -> bool:
    """Return True if the caller may do this to the account, by the table of authority."""
    key = call.principal.key
    venue = require(call.principal, call.thing) is Reach.VENUE
    if named == key.account:
        return True
    if not venue and not authority.speaks_for_firm(key.account, key.firm):
        return False
    # An operator's firm is none, which means every account.
    firm = call.services.fetch(queries.Accounts(key.firm)).value
    return any(row.account == named for row in firm)


def checked_address(call: AnyCall, asset: str, network: str, address: str) -> str:
    """Return the address if it is valid on the network. Raises Problem."""
    fault = address_fault(call.services.address_formats.get((asset, network), ""), address)
    if fault:
        raise Problem("invalid_address", f"The address {address} {fault}.", field="address")
    return address


def own_account(call: AnyCall, named: str | None = None) -> str:
    """Return the account to act for: the key's own unless the request names another.

    A key of the account that bears the firm's name may act for the firm's other accounts, as
    far as its scopes go; anything else is answered as if it did not exist.
    """
    if not call.principal.account:
        raise Problem("not_permitted", "An operator's key cannot act for an account.")
    return account_of(call, named)


def not_after(call: AnyCall, guard: Instant | None) -> int:
    """Return ``expires_at`` in µs, 0 for none. Raises Problem if it has passed."""
    if has_expired(call, guard):
        raise expired()
    return instant_us(guard, "expires_at")


def has_expired(call: AnyCall, guard: Instant | None) -> bool:
    """Return True if the request arrived after its own ``expires_at``."""
    return guard is not None and call.now_us > instant_us(guard, "expires_at")


def expired() -> Problem:
    """Make the problem for a request that arrived after its ``expires_at``."""
    return Problem(
        "request_expired", "The request arrived after its expires_at.", field="expires_at"
    )


def original(found: T | None, same: Callable[[T], bool], otherwise: Problem) -> T:
    """Return what an earlier copy of this request made, which is then the answer to the repeat.

    ``found`` is what has the request's own id, and ``same`` returns True if it was requested
    with the same terms. Raises ``otherwise`` if it was not, or if there is nothing.
    """
    if found is None or not same(found):
        raise otherwise
    return found
