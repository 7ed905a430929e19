"""Which accounts a key reaches."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import PlainCall, Route
from account_api.reply import Reply
from account_api.schema.from_rows import account_status
from account_api.schema.responses import View
from engine.client import queries
from engine.core import authority
from engine.core.authority import Thing


class AccountView(View, frozen=True, kw_only=True):
    """An account. The one that has its firm's name speaks for the firm; others are sub-accounts.

    `status` is active or suspended.
    """

    account: str
    firm: str
    status: str
    open_orders: int


class AccountsView(View, frozen=True, kw_only=True):
    """The accounts that the key may name, by name."""

    accounts: list[AccountView]
    as_of_seq: int


def get_accounts(call: PlainCall) -> Reply:
    """List the accounts that the key reaches: its own, those of its firm, or (operator) all."""
    key = call.principal.key
    answer = call.services.fetch(queries.Accounts(key.firm))
    rows = [
        row for row in answer.value
        if not key.account or authority.reaches(key.account, key.firm, row.account, row.firm)
    ]  # fmt: skip
    return Reply(
        AccountsView(
            accounts=[
                AccountView(
                    account=row.account,
                    firm=row.firm,
                    status=account_status(row.suspended),
                    open_orders=row.open_orders,
                )
                for row in sorted(rows, key=lambda row: row.account)
            ],
            as_of_seq=answer.as_of_seq,
        )
    )


ROUTES: Final = (
    Route(
        "GET", "/v1/accounts", get_accounts, "Accounts that the key reaches", AccountsView,
        thing=Thing.READ_MONEY, tag="account",
    ),
)  # fmt: skip
