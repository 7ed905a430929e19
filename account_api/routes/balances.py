"""An account's money and limits: balances, holds, ledger, fees, limits."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem
from account_api.http.routing import QueryCall, Route
from account_api.reply import Reply
from account_api.routes.common import account_of, check_filters
from account_api.schema.from_rows import (
    account_status,
    balance_view,
    hold_view,
    ledger_view,
    network_view,
)
from account_api.schema.limit_responses import LimitsView, WithdrawalLimitView
from account_api.schema.requests import AccountQuery, BalancesQuery, LedgerQuery
from account_api.schema.responses import BalancesView, FeesView, HoldsView, LedgerView
from engine.client import queries
from engine.core.authority import Thing
from engine.core.instruments import format_scaled
from engine.core.types import BATCH_ENTRIES_MAX, AccountRow, Balance, WithdrawalLimit
from engine.history import reader as history

_FEE_DECIMALS: Final = 6
_DAY_US: Final = 86_400_000_000


def get_balances(call: QueryCall[BalancesQuery]) -> Reply:
    """Get posted, held, available and pending money; `min_seq` waits, bounded, for a sequence."""
    query = call.query
    account = account_of(call, query.account)
    check_filters(call, asset=query.asset)
    scales = call.services.catalogue(asset=query.asset or "").scales
    answer = call.services.fetch(queries.Balances(account), query.min_seq)
    held = {row.asset: row for row in answer.value}
    wanted = scales if query.asset is None else {query.asset: scales[query.asset]}
    rows = [
        balance_view(held.get(asset) or Balance(account, asset, 0, 0, 0, 0), scale)
        for asset, scale in wanted.items()
    ]
    return Reply(BalancesView(account=account, balances=rows, as_of_seq=answer.as_of_seq))


def get_holds(call: QueryCall[AccountQuery]) -> Reply:
    """Get the money held for open orders and withdrawals, hold by hold."""
    query = call.query
    account = account_of(call, query.account)
    scales = call.services.catalogue().scales
    answer = call.services.fetch(queries.Holds(account), query.min_seq)
    rows = [hold_view(row, scales[row.asset]) for row in answer.value]
    return Reply(HoldsView(account=account, holds=rows, as_of_seq=answer.as_of_seq))


def get_ledger(call: QueryCall[LedgerQuery]) -> Reply:
    """List every change of the account's money, ascending, with the balance after it."""
    query = call.query
    account = account_of(call, query.account)
    check_filters(call, asset=query.asset)
    scales = call.services.catalogue().scales
    with call.services.fresh_history(query.min_seq) as connection:
        page = history.ledger(
            connection,
            [account],
            asset=query.asset or "",
            cursor=query.cursor or "",
            limit=query.limit,
        )
    return Reply(
        LedgerView(
            account=account,
            entries=[ledger_view(row, scales[row.asset]) for row in page.rows],
            next_cursor=page.cursor,
            as_of_seq=page.as_of_seq,
        )
    )


def get_fees(call: QueryCall[AccountQuery]) -> Reply:
    """Get trading fees as a fraction of the notional, and the networks' withdrawal fees."""
    row, seq = _account_row(call)
    catalogue, formats = call.services.catalogue(), call.services.address_formats
    return Reply(
        FeesView(
            account=row.account,
            maker=format_scaled(row.maker_fee_ppm, _FEE_DECIMALS),
            taker=format_scaled(row.taker_fee_ppm, _FEE_DECIMALS),
            withdrawal=[
                network_view(network, catalogue.scales[network.asset], formats.get(key, ""))
                for key, network in catalogue.networks.items()
            ],
            as_of_seq=seq,
        )
    )


def get_limits(call: QueryCall[AccountQuery]) -> Reply:
    """Get the account's limits, and how much of each is used and left."""
    row, seq = _account_row(call)
    scales = call.services.catalogue().scales
    found = call.services.fetch(queries.Limits(row.account, call.now_us // _DAY_US)).value
    if found is None:
        raise Problem("not_found", f"There is no account {row.account}.", field="account")
    return Reply(
        LimitsView(
            account=row.account,
            status=account_status(row.suspended),
            open_orders_max=row.open_orders_max,
            open_orders_used=row.open_orders,
            open_orders_remaining=max(0, row.open_orders_max - row.open_orders),
            batch_operations_max=BATCH_ENTRIES_MAX,
            require_known_address=found.addresses.require_known_address,
            address_cooloff_s=found.addresses.address_cooloff_us // 1_000_000,
            withdrawals=[_withdrawal_limit(one, scales[one.asset]) for one in found.withdrawals],
            as_of_seq=seq,
        )
    )


def _withdrawal_limit(row: WithdrawalLimit, scale: int) -> WithdrawalLimitView:
    def text(atoms: int | None) -> str | None:
        return None if atoms is None else format_scaled(atoms, scale)

    return WithdrawalLimitView(
        asset=row.asset,
        daily_limit=text(row.daily_limit),
        daily_used=format_scaled(row.daily_used, scale),
        daily_remaining=text(row.daily_remaining),
        limit_of="firm" if row.firm_wide else "account",
        approval_above=text(row.approval_above),
    )


def _account_row(call: QueryCall[AccountQuery]) -> tuple[AccountRow, int]:
    query = call.query
    account = account_of(call, query.account)
    answer = call.services.fetch(queries.Accounts(call.principal.key.firm), query.min_seq)
    for row in answer.value:
        if row.account == account:
            return row, answer.as_of_seq
    raise Problem("not_found", f"There is no account {account}.", field="account")


_READ: Final = ("not_caught_up",)
_HISTORY: Final = ("not_caught_up", "history_unavailable")

ROUTES: Final = (
    Route(
        "GET", "/v1/balances", get_balances, "Balances", BalancesView,
        thing=Thing.READ_MONEY,
        errors=(*_READ, "unknown_asset"), tag="account",
    ),
    Route(
        "GET", "/v1/ledger", get_ledger, "Ledger", LedgerView,
        thing=Thing.READ_MONEY,
        errors=(*_HISTORY, "unknown_asset"), tag="account",
    ),
    Route(
        "GET", "/v1/holds", get_holds, "Holds", HoldsView,
        thing=Thing.READ_MONEY, errors=_READ, tag="account",
    ),
    Route(
        "GET", "/v1/fees", get_fees, "Fees", FeesView,
        thing=Thing.READ_MONEY, errors=_READ, tag="account",
    ),
    Route(
        "GET", "/v1/limits", get_limits, "Limits", LimitsView,
        thing=Thing.READ_MONEY, errors=_READ, tag="account",
    ),
)  # fmt: skip
