"""Deposits: reported by an operator, seen by the account, credited once."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import BodyCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import account_of
from account_api.schema import from_events
from account_api.schema.from_rows import deposit_view
from account_api.schema.requests import DepositRequest, PageQuery
from account_api.schema.responses import DepositAnswer, DepositsView, extended
from engine.core.authority import Thing
from engine.core.commands import Deposit
from engine.core.events import DepositUpdated
from engine.history import reader as history


def report_deposit(call: BodyCall[DepositRequest]) -> Reply:
    """Report a deposit and its confirmations; a deposit id is credited once."""
    request = call.body
    catalogue = call.services.catalogue(asset=request.asset)
    command = Deposit(
        origin=call.principal.origin(),
        deposit_id=request.deposit_id,
        account=request.account,
        asset=request.asset,
        amount=catalogue.amount(request.asset, request.amount, "amount"),
        network=request.network or "",
        address=request.address or "",
        txid=request.txid or "",
        confirmations=request.confirmations,
        confirmations_required=request.confirmations_required,
    )
    if command.network:
        catalogue.network(command.asset, command.network)
    outcome = call.services.submit(command)
    transaction = outcome.transaction
    event = from_events.accepted(outcome, DepositUpdated)
    scale = catalogue.scales[event.deposit.asset]
    answer = extended(
        deposit_view(event.deposit, scale), DepositAnswer, as_of_seq=transaction.seq
    )
    first = event.deposit.created_at == transaction.time_us
    known = event.deposit.credited and not event.credited_now
    return answered(answer, replayed=outcome.duplicate or known, status=201 if first else 200)


def get_deposits(call: QueryCall[PageQuery]) -> Reply:
    """List the account's deposits and their confirmations, in the order of their first report."""
    query = call.query
    account = account_of(call, query.account)
    with call.services.fresh_history(query.min_seq) as connection:
        page = history.deposits(
            connection, [account], cursor=query.cursor or "", limit=query.limit
        )
    scales = call.services.catalogue().scales
    return Reply(
        DepositsView(
            account=account,
            deposits=[deposit_view(row, scales[row.asset]) for row in page.rows],
            next_cursor=page.cursor,
            as_of_seq=page.as_of_seq,
        )
    )


ROUTES: Final = (
    Route(
        "GET", "/v1/deposits", get_deposits, "Deposits", DepositsView,
        thing=Thing.READ_MONEY, tag="money",
        errors=("not_caught_up", "history_unavailable"),
    ),
    Route(
        "POST", "/v1/deposits", report_deposit, "Report a deposit (operator)", DepositAnswer,
        thing=Thing.REPORT_DEPOSITS, status=201, replays=True, tag="money",
        errors=("unknown_account", "unknown_asset", "unknown_network", "duplicate_deposit",
                "invalid_field", "request_expired"),
    ),
)  # fmt: skip
