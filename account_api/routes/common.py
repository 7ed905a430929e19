"""What several routes need: whose data is meant, and pages of it."""

from __future__ import annotations

from account_api.errors import Problem
from account_api.registry import Call
from account_api.schemas import Instant
from account_api.translate import instant_us


def account_of(call: Call, named: str | None) -> str:
    """Whose data a request means: the key's own, or for an operator the one it names.

    Another account than the key's is answered as if it did not exist.
    """
    own = call.principal.account
    if call.principal.key.is_operator and not own:
        if named is None:
            raise Problem(
                "invalid_request", "An operator must say which account is meant.", field="account"
            )
        return named
    if named is not None and named != own:
        raise Problem("not_found", f"There is no account {named}.", field="account")
    return own


def own_account(call: Call) -> str:
    """The account of a key that acts for one."""
    account = call.principal.account
    if not account:
        raise Problem("not_permitted", "An operator's key cannot act for an account.")
    return account


def not_after(call: Call, guard: Instant | None) -> int:
    """The request's own ``expires_at`` in µs (0: none); refused here when it has passed."""
    limit = instant_us(guard, "expires_at")
    if guard is not None and call.now_us > limit:
        raise Problem(
            "request_expired", "The request came after its expires_at.", field="expires_at"
        )
    return limit
