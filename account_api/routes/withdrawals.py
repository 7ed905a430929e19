"""Withdrawals: request, quote, get, list, approve, reject, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from account_api.errors import Problem, refusal
from account_api.http.routing import AnyCall, BodyCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import (
    account_of,
    checked_address,
    expired,
    has_expired,
    original,
    own_account,
)
from account_api.schema import from_events
from account_api.schema.catalogue import Catalogue
from account_api.schema.from_rows import TERMINAL, instant_text, withdrawal_view
from account_api.schema.identifiers import reference
from account_api.schema.requests import (
    AccountQuery,
    ActingQuery,
    QuoteRequest,
    RejectWithdrawalRequest,
    WithdrawalRequest,
    WithdrawalsQuery,
)
from account_api.schema.responses import (
    QuoteView,
    WithdrawalAnswer,
    WithdrawalsView,
    extended,
)
from account_api.schema.to_commands import instant_us
from engine.client import Outcome, own_events, queries
from engine.core.authority import Thing
from engine.core.commands import (
    ApproveWithdrawal,
    CancelWithdrawal,
    Command,
    QuoteWithdrawal,
    RejectWithdrawal,
    RequestWithdrawal,
)
from engine.core.events import Refused, WithdrawalQuoted, WithdrawalUpdated
from engine.core.instruments import format_scaled
from engine.core.types import RejectReason, Withdrawal, WithdrawalState
from engine.history import reader as history


def request_withdrawal(call: BodyCall[WithdrawalRequest]) -> Reply:
    """Request a withdrawal; amount and fee are held at once.

    The `client_withdrawal_id` is remembered permanently: an identical repeat, however late, is
    answered with the original and moves no more money.
    """
    request = call.body
    account = own_account(call, request.account)
    origin = call.principal.origin(instant_us(request.expires_at, "expires_at"))
    catalogue = call.services.catalogue(asset=request.asset)
    network = catalogue.network(request.asset, request.network)
    command = RequestWithdrawal(
        origin=origin,
        account=account,
        client_withdrawal_id=request.client_withdrawal_id,
        asset=request.asset,
        network=network,
        address=checked_address(call, request.asset, network, request.address),
        amount=catalogue.amount(request.asset, request.amount, "amount"),
        memo=request.memo or "",
        quote_id=request.quote_id or "",
    )
    if has_expired(call, request.expires_at):
        return _repeated(call, command, catalogue, expired())
    outcome = call.services.submit(command)
    result = _result(outcome)
    if isinstance(result, Withdrawal):
        answer = _answer(result, catalogue, outcome.transaction.seq)
        return answered(answer, replayed=outcome.duplicate, status=201)
    if result.reason is RejectReason.REQUEST_EXPIRED:
        return _repeated(call, command, catalogue, expired())
    if result.reason is RejectReason.DUPLICATE_CLIENT_WITHDRAWAL_ID:
        taken = refusal(
            result.reason,
            f"The client withdrawal id {command.client_withdrawal_id} belongs to a withdrawal "
            "with other terms.",
            withdrawal_id=str(result.detail),
            client_withdrawal_id=command.client_withdrawal_id,
        )
        return _repeated(call, command, catalogue, taken)
    raise _problem(result, catalogue, request.asset)


def _repeated(
    call: AnyCall, command: RequestWithdrawal, catalogue: Catalogue, otherwise: Problem
) -> Reply:
    """Answer a repeated request with the withdrawal that has its client withdrawal id.

    Raises ``otherwise`` if there is none, or it has other terms. A request that expired is also
    answered so: an earlier copy of it may have arrived in time.
    """
    found = call.services.fetch(
        queries.Withdrawal(command.account, client_withdrawal_id=command.client_withdrawal_id)
    )
    terms = (command.asset, command.network, command.address, command.amount, command.memo)
    row = original(
        found.value,
        lambda row: terms == (row.asset, row.network, row.address, row.amount, row.memo),
        otherwise,
    )
    return answered(_answer(row, catalogue, found.as_of_seq), replayed=True)


def _result(outcome: Outcome) -> Withdrawal | Refused:
    """Return the withdrawal as the command's turn leaves it, or the refusal."""
    answer = from_events.answer_to(outcome, WithdrawalUpdated, Refused)
    if isinstance(answer, Refused):
        return answer
    done = outcome.transaction
    *_, last = own_events(done.events, done.command, WithdrawalUpdated)
    return last.withdrawal


def _problem(refused: Refused, catalogue: Catalogue, asset: str) -> Problem:
    """Make the problem for a refusal, with the limit or time that it is about."""
    members: dict[str, Any] = {}
    if refused.reason is RejectReason.WITHDRAWAL_LIMIT:
        members["remaining"] = format_scaled(refused.detail, catalogue.scales[asset])
        members["asset"] = asset
    elif refused.reason is RejectReason.ADDRESS_COOLING and refused.detail:
        members["available_at"] = instant_text(refused.detail)
    return from_events.refused(refused, **members)


def _answer(row: Withdrawal, catalogue: Catalogue, as_of_seq: int) -> WithdrawalAnswer:
    scale = catalogue.scales[row.asset]
    return extended(withdrawal_view(row, scale), WithdrawalAnswer, as_of_seq=as_of_seq)


def _unknown(name: str) -> Problem:
    return refusal(RejectReason.UNKNOWN_WITHDRAWAL, f"There is no withdrawal {name[:80]!r}.")


def _find(call: AnyCall, account: str, min_seq: int = 0) -> tuple[Withdrawal, int]:
    """Find the withdrawal in the path, by its id or as ``client:<client_withdrawal_id>``."""
    name = call.parts["withdrawal"]
    named = reference(name)
    if named is None:
        raise _unknown(name)
    query = queries.Withdrawal(account, withdrawal_id=named[0], client_withdrawal_id=named[1])
    found = call.services.fetch(query, min_seq)
    # An empty account would find any account's, so the account is checked again.
    if found.value is None or found.value.account != account:
        raise _unknown(name)
    return found.value, found.as_of_seq


def quote_withdrawal(call: BodyCall[QuoteRequest]) -> Reply:
    """Fix the present fee for one withdrawal of this amount, which then names the quote."""
    request = call.body
    account = own_account(call, request.account)
    catalogue = call.services.catalogue(asset=request.asset)
    outcome = call.services.submit(
        QuoteWithdrawal(
            origin=call.principal.origin(),
            account=account,
            asset=request.asset,
            network=catalogue.network(request.asset, request.network),
            amount=catalogue.amount(request.asset, request.amount, "amount"),
        )
    )
    event = from_events.answer_to(outcome, WithdrawalQuoted, Refused)
    if isinstance(event, Refused):
        raise _problem(event, catalogue, request.asset)
    quote, scale = event.quote, catalogue.scales[request.asset]
    answer = QuoteView(
        quote_id=quote.quote_id,
        asset=quote.asset,
        network=quote.network,
        amount=format_scaled(quote.amount, scale),
        net=format_scaled(quote.amount, scale),
        fee=format_scaled(quote.fee, scale),
        total=format_scaled(quote.amount + quote.fee, scale),
        expires_at=instant_text(quote.expires_at),
        as_of_seq=outcome.transaction.seq,
    )
    return answered(answer, replayed=outcome.duplicate, status=201)


def get_withdrawal(call: QueryCall[AccountQuery]) -> Reply:
    """Get one withdrawal with its history, by its id or as `client:<client_withdrawal_id>`."""
    query = call.query
    row, seq = _find(call, account_of(call, query.account), query.min_seq)
    return Reply(_answer(row, call.services.catalogue(asset=row.asset), seq))


def get_withdrawals(call: QueryCall[WithdrawalsQuery]) -> Reply:
    """List withdrawals, ascending, each with its history."""
    query = call.query
    account = account_of(call, query.account)
    states: tuple[WithdrawalState, ...] = ()
    if query.status == "closed":
        states = tuple(TERMINAL)
    elif query.status == "open":
        states = tuple(state for state in WithdrawalState if state not in TERMINAL)
    with call.services.fresh_history(query.min_seq) as connection:
        page = history.withdrawals(
            connection, [account], states=states, cursor=query.cursor or "", limit=query.limit
        )
    scales = call.services.catalogue().scales
    rows = [withdrawal_view(row, scales[row.asset]) for row in page.rows]
    return Reply(
        WithdrawalsView(
            account=account, withdrawals=rows, next_cursor=page.cursor, as_of_seq=page.as_of_seq
        )
    )


def approve_withdrawal(call: QueryCall[ActingQuery]) -> Reply:
    """Approve a pending withdrawal; the user who requested it cannot."""
    account = own_account(call, call.query.account)
    row, _ = _find(call, account)
    command = ApproveWithdrawal(call.principal.origin(), account, row.withdrawal_id)
    user = call.principal.key.user
    return _decide(call, command, row, lambda now: bool(user) and now.approved_by == user)


def reject_withdrawal(call: BodyCall[RejectWithdrawalRequest]) -> Reply:
    """Reject a pending withdrawal; what it held is available again."""
    request = call.body
    account = own_account(call, request.account)
    row, _ = _find(call, account)
    origin = call.principal.origin()
    command = RejectWithdrawal(origin, account, row.withdrawal_id, request.note)
    return _decide(call, command, row, lambda now: now.state is WithdrawalState.REJECTED)


def cancel_withdrawal(call: QueryCall[ActingQuery]) -> Reply:
    """Cancel a withdrawal that was not yet sent to the network; it stays `canceled`."""
    account = own_account(call, call.query.account)
    row, _ = _find(call, account)
    command = CancelWithdrawal(call.principal.origin(), account, row.withdrawal_id)
    return _decide(call, command, row, lambda now: now.state is WithdrawalState.CANCELED)


def _decide(
    call: AnyCall, command: Command, row: Withdrawal, decided: Callable[[Withdrawal], bool]
) -> Reply:
    """Submit a decision, and answer one that was ``decided`` so before with the withdrawal."""
    outcome = call.services.submit(command)
    catalogue = call.services.catalogue(asset=row.asset)
    result = _result(outcome)
    if isinstance(result, Withdrawal):
        answer = _answer(result, catalogue, outcome.transaction.seq)
        return answered(answer, replayed=outcome.duplicate)
    if result.reason is not RejectReason.WITHDRAWAL_STATE:
        raise _problem(result, catalogue, row.asset)
    now, seq = _find(call, row.account)
    otherwise = from_events.refused(
        result, state=now.state.name.lower(), withdrawal_id=str(now.withdrawal_id)
    )
    return answered(_answer(original(now, decided, otherwise), catalogue, seq), replayed=True)


_READ: Final = ("unknown_withdrawal", "not_caught_up")
_DECISION: Final = ("unknown_withdrawal", "withdrawal_state", "request_expired", "not_permitted")

ROUTES: Final = (
    Route(
        "POST", "/v1/withdrawals", request_withdrawal, "Request a withdrawal",
        WithdrawalAnswer, thing=Thing.REQUEST_WITHDRAWALS, status=201,
        replays=True, tag="money",
        errors=("unknown_asset", "unknown_network", "amount_too_small", "invalid_quantity",
                "invalid_field", "memo_required", "network_suspended", "withdrawal_limit",
                "insufficient_funds", "duplicate_client_withdrawal_id", "invalid_address",
                "address_not_allowed", "address_cooling", "unknown_quote", "quote_expired",
                "mismatch", "request_expired", "not_permitted", "account_suspended"),
    ),
    Route(
        "POST", "/v1/withdrawals/quotes", quote_withdrawal, "Pin a withdrawal's fee", QuoteView,
        thing=Thing.REQUEST_WITHDRAWALS, status=201, replays=True,
        needs_key=True, tag="money",
        errors=("unknown_asset", "unknown_network", "invalid_field", "network_suspended",
                "request_expired", "not_permitted", "account_suspended"),
    ),
    Route(
        "GET", "/v1/withdrawals", get_withdrawals, "Withdrawals", WithdrawalsView,
        thing=Thing.READ_MONEY, tag="money",
        errors=("not_caught_up", "history_unavailable"),
    ),
    Route(
        "GET", "/v1/withdrawals/{withdrawal}", get_withdrawal, "One withdrawal",
        WithdrawalAnswer, thing=Thing.READ_MONEY, tag="money", errors=_READ,
    ),
    Route(
        "POST", "/v1/withdrawals/{withdrawal}/approve", approve_withdrawal,
        "Approve a withdrawal", WithdrawalAnswer, thing=Thing.DECIDE_WITHDRAWALS,
        replays=True, tag="money", errors=(*_DECISION, "self_approval", "account_suspended"),
    ),
    Route(
        "POST", "/v1/withdrawals/{withdrawal}/reject", reject_withdrawal,
        "Refuse a withdrawal", WithdrawalAnswer, thing=Thing.DECIDE_WITHDRAWALS,
        body_required=False, replays=True, tag="money",
        errors=_DECISION,
    ),
    Route(
        "DELETE", "/v1/withdrawals/{withdrawal}", cancel_withdrawal, "Cancel a withdrawal",
        WithdrawalAnswer, thing=Thing.REQUEST_WITHDRAWALS, replays=True,
        tag="money",
        errors=_DECISION,
    ),
)  # fmt: skip
