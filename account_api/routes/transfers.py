"""Transfers of available money between the accounts of one firm."""

from __future__ import annotations

from typing import Final

from account_api.errors import Problem, refusal
from account_api.http.routing import AnyCall, BodyCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import account_of, check_filters, original, own_account
from account_api.schema import from_events
from account_api.schema.from_rows import instant_text
from account_api.schema.requests import LedgerQuery, TransferRequest
from account_api.schema.responses import TransferAnswer, TransfersView, TransferView, extended
from engine.core.authority import Thing
from engine.core.commands import Transfer
from engine.core.events import Refused, Transferred
from engine.core.instruments import format_scaled
from engine.core.types import RejectReason
from engine.history import reader as history
from engine.history.rows import TransferRow


def _view(row: TransferRow, scale: int) -> TransferView:
    return TransferView(
        transfer_id=str(row.transfer_id),
        client_transfer_id=row.client_transfer_id,
        account=row.account,
        other_account=row.other_account,
        asset=row.asset,
        change=format_scaled(row.change, scale),
        time=instant_text(row.time_us),
    )


def transfer(call: BodyCall[TransferRequest]) -> Reply:
    """Move available money at once; an identical repeat is answered with the original."""
    request = call.body
    account = own_account(call, request.account)
    catalogue = call.services.catalogue(asset=request.asset)
    command = Transfer(
        origin=call.principal.origin(),
        account=account,
        to_account=request.to_account,
        asset=request.asset,
        amount=catalogue.amount(request.asset, request.amount, "amount"),
        client_transfer_id=request.client_transfer_id,
    )
    outcome = call.services.submit(command)
    done = outcome.transaction
    scale = catalogue.scales[request.asset]
    event = from_events.answer_to(outcome, Transferred, Refused)
    if isinstance(event, Refused):
        if event.reason is not RejectReason.DUPLICATE_CLIENT_TRANSFER_ID:
            raise from_events.refused(event)
        return answered(_repeated(call, command, event, scale), replayed=True)
    row = TransferRow(
        event.transfer_id, account, event.client_transfer_id, event.other_account,
        event.asset, event.change, done.time_us, done.seq, event.account_seq,
    )  # fmt: skip
    answer = extended(_view(row, scale), TransferAnswer, as_of_seq=done.seq)
    return answered(answer, replayed=outcome.duplicate, status=201)


def _repeated(call: AnyCall, command: Transfer, refused: Refused, scale: int) -> TransferAnswer:
    """Answer a repeated request with the transfer that has its client transfer id."""
    with call.services.fresh_history(0) as connection:
        page = history.transfers(
            connection, [command.account], client_transfer_id=command.client_transfer_id
        )
    if not page.rows:
        raise Problem(
            "history_unavailable",
            "The transfer was done before, but its terms cannot be read yet.",
            outcome="applied",
        )
    taken = refusal(
        refused.reason,
        f"The client transfer id {command.client_transfer_id} belongs to a transfer with other "
        "terms.",
        transfer_id=str(refused.detail),
    )
    terms = (command.to_account, command.asset, command.amount)
    row = original(
        # The receiver's row has the sender's id, which the receiver may use itself.
        next((row for row in page.rows if row.change < 0), None),
        lambda row: terms == (row.other_account, row.asset, -row.change),
        taken,
    )
    return extended(_view(row, scale), TransferAnswer, as_of_seq=page.as_of_seq)


def get_transfers(call: QueryCall[LedgerQuery]) -> Reply:
    """List the account's transfers, ascending."""
    query = call.query
    account = account_of(call, query.account)
    check_filters(call, asset=query.asset)
    with call.services.fresh_history(query.min_seq) as connection:
        page = history.transfers(
            connection, [account], asset=query.asset or "", cursor=query.cursor or "",
            limit=query.limit,
        )  # fmt: skip
    scales = call.services.catalogue().scales
    return Reply(
        TransfersView(
            account=account,
            transfers=[_view(row, scales[row.asset]) for row in page.rows],
            next_cursor=page.cursor,
            as_of_seq=page.as_of_seq,
        )
    )


ROUTES: Final = (
    Route(
        "GET", "/v1/transfers", get_transfers, "Transfers", TransfersView,
        thing=Thing.READ_MONEY, tag="money",
        errors=("not_caught_up", "history_unavailable", "unknown_asset"),
    ),
    Route(
        "POST", "/v1/transfers", transfer, "Move money within the firm", TransferAnswer,
        thing=Thing.TRANSFER, status=201, replays=True, tag="money",
        errors=("unknown_account", "unknown_asset", "invalid_field", "insufficient_funds",
                "duplicate_client_transfer_id", "history_unavailable", "request_expired",
                "not_permitted", "account_suspended"),
    ),
)  # fmt: skip
