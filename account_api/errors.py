"""Every error that the API returns, as RFC 9457 problem documents.

The catalogue is the contract: a code is never renamed, its ``type`` is ``/errors/<code>``.
``outcome`` tells a client what happened to its request: ``not_applied`` (nothing changed),
``applied`` (an earlier copy of the request did it) or ``unknown`` (it may have been done).
``retryable`` says whether the same request, unchanged, may succeed later.
``spec/ERRORS.md`` is written from here by ``python -m account_api.documents``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.core.types import RejectReason

OutcomeText = Literal["not_applied", "applied", "unknown"]
PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "1"
"""When to try again what the venue cannot do at this moment, unless a problem knows better."""


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the catalogue; ``status`` is the usual HTTP status of the code."""

    code: str
    status: int
    title: str
    meaning: str
    retryable: bool = False
    outcome: OutcomeText = "not_applied"

    def text(self) -> str:
        """Render the row as plain text, which a problem's ``type`` leads to."""
        retry = "may succeed later" if self.retryable else "will not succeed"
        return (
            f"{self.code} ({self.status}): {self.title}\n\n{self.meaning}\n\n"
            f"Outcome: {self.outcome}. The same request {retry}.\n"
        )


class Problem(Exception):
    """An error for the caller: a code of the catalogue and one sentence about this case.

    ``members`` are further members of the document (``field``, ``available_at``…). ``status``,
    ``outcome`` and ``retryable`` override those of the catalogue.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        outcome: OutcomeText | None = None,
        retryable: bool | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        **members: Any,
    ) -> None:
        super().__init__(detail)
        kind = CATALOGUE[code]
        self.kind = kind
        self.detail = detail
        self.status = kind.status if status is None else status
        self.outcome: OutcomeText = kind.outcome if outcome is None else outcome
        self.retryable = kind.retryable if retryable is None else retryable
        if self.status == 503 and self.retryable and "Retry-After" not in dict(headers):
            headers = (*headers, ("Retry-After", RETRY_AFTER_S))
        self.headers = headers
        self.members = members

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the problem document, without absent members."""
        body: dict[str, Any] = {
            "type": f"/errors/{self.kind.code}",
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.kind.code,
            "request_id": request_id,
            "retryable": self.retryable,
            "outcome": self.outcome,
        }
        body.update((name, value) for name, value in self.members.items() if value is not None)
        return body

    def encode(self, request_id: str) -> bytes:
        """Encode the document as ASCII JSON, whatever text it quotes."""
        return json.dumps(self.document(request_id)).encode("ascii")


_EDGE: Final = (
    ErrorKind("invalid_json", 400, "The body is not valid JSON",
              "It must be one JSON object in UTF-8, in which no object has the same key twice."),
    ErrorKind("invalid_request", 400, "A field is missing, unknown or malformed",
              "`field` names the part of the body, query or path that is wrong."),
    ErrorKind("body_not_allowed", 400, "This request takes no body",
              "The route defines no body, so one that was sent, and perhaps signed, would have no "
              "effect; send none."),
    ErrorKind("unauthorized", 401, "The request is not authenticated",
              "There is no credential, the key or token is unknown, or the signature is wrong. In "
              "production the response does not say which. Elsewhere `string_to_sign` has the "
              "lines as the venue received them, and `differs` the part that was signed otherwise, "
              "if the venue can tell: timestamp, method, target, body, idempotency_key, newlines "
              "or signature."),
    ErrorKind("outside_window", 401, "The timestamp is outside the window",
              "The signature is valid, but its timestamp is too old or in the future; "
              "`server_time_ms` is the venue's clock."),
    ErrorKind("insufficient_scope", 403, "The key lacks a scope",
              "`required_scope` names it."),
    ErrorKind("source_not_allowed", 403, "The key may not be used from this address",
              "The credential is valid, but the caller's address is not on its IP allow-list."),
    ErrorKind("key_pending", 403, "The key is not approved yet",
              "It has a scope by which money can leave, so a user other than its creator must "
              "approve it first."),
    ErrorKind("key_expired", 403, "The key has expired",
              "It was made with `valid_until`, which has passed."),
    ErrorKind("not_found", 404, "Not found",
              "The path does not exist, or the object does not exist for this account."),
    ErrorKind("method_not_allowed", 405, "The path does not support this method",
              "The `Allow` header lists the methods that it supports."),
    ErrorKind("body_too_large", 413, "The body is too large",
              "`limit_bytes` is the largest body that is accepted."),
    ErrorKind("unsupported_media_type", 415, "The body must be application/json",
              "The Content-Type header names another media type, or the body is encoded."),
    ErrorKind("invalid_address", 422, "The address is not valid",
              "Its checksum fails, or it is not an address of the network; GET /v1/networks "
              "shows `address_format`."),
    ErrorKind("malformed_http", 400, "The request is not valid HTTP",
              "A header, the request target or the framing of the request is malformed."),
    ErrorKind("rate_limited", 429, "Too many requests for this key",
              "The headers RateLimit and Retry-After say when the next request is allowed.",
              retryable=True),
    ErrorKind("request_expired", 408, "The request arrived too late",
              "The request's `expires_at`, or the window of its signature, had passed before the "
              "engine could execute it.", retryable=True),
    ErrorKind("idempotency_key_missing", 400, "The request needs an Idempotency-Key",
              "It has no id of its own by which a repeat could be recognised."),
    ErrorKind("idempotency_key_reused", 422, "The key belongs to another request",
              "The Idempotency-Key, or the `request_id`, was used before with other contents."),
    ErrorKind("idempotency_key_in_flight", 409, "The request is in progress",
              "An earlier copy with the same Idempotency-Key, or `request_id`, has no response "
              "yet.", retryable=True, outcome="unknown"),
    ErrorKind("idempotency_outcome_unknown", 409, "The outcome of the first request is unknown",
              "The first request with this Idempotency-Key, or `request_id`, got no response, and "
              "more than a minute later the venue can no longer determine whether it was done. It "
              "is not done a second time; query what it would have changed, and use a new key.",
              outcome="unknown"),
    ErrorKind("idempotency_unavailable", 503, "Idempotency-Keys are unavailable",
              "The store of earlier responses cannot be read; nothing was done.",
              retryable=True),
    ErrorKind("not_caught_up", 409, "The read has not reached min_seq yet",
              "The bounded wait for `min_seq` ended; `as_of_seq` is the sequence that was reached.",
              retryable=True),
    ErrorKind("already_done", 409, "The request was done before",
              "An identical signed request, or one with the same Idempotency-Key, was done, and "
              "its response is not stored; query the object itself.", outcome="applied"),
    ErrorKind("key_name_taken", 409, "The name is taken",
              "The account has, or had, another key of this name; a name is never free again."),
    ErrorKind("too_many_keys", 409, "Too many keys",
              "The account, or the venue, has reached its maximum number of keys."),
    ErrorKind("keys_unavailable", 503, "The API keys are unavailable",
              "The service cannot read which keys were revoked, so it refuses every request "
              "that needs one.",
              retryable=True),
    ErrorKind("webhook_name_taken", 409, "The name is taken",
              "The account has another webhook endpoint of this name."),
    ErrorKind("too_many_webhooks", 409, "Too many webhook endpoints",
              "The account, or the venue, has reached its maximum number of endpoints; or too many "
              "tests and repeats already wait for the endpoint."),
    ErrorKind("invalid_webhook_url", 422, "The URL cannot be delivered to",
              "It must begin with https:// and lead to a public address; `detail` says what is "
              "wrong with it."),
    ErrorKind("webhook_disabled", 409, "The webhook endpoint is disabled",
              "Nothing is sent to it until its `state` is active."),
    ErrorKind("webhooks_unavailable", 503, "Webhooks are unavailable",
              "The service cannot read or write the endpoints.", retryable=True),
    ErrorKind("engine_unavailable", 503, "The matching engine does not respond",
              "`outcome` says whether the request may have been done; if it is `unknown`, repeat "
              "the identical request or look the object up by its client id.",
              retryable=True, outcome="unknown"),
    ErrorKind("no_leader", 503, "The venue has no leader at this moment",
              "No machine of the venue's cluster leads, or this one cannot reach the one that "
              "does, so that nothing can be changed and nobody knows which keys were revoked. "
              "`outcome` says whether the request may have been done; if it is `unknown`, repeat "
              "the identical request or look the object up by its client id. The venue goes on "
              "by itself.",
              retryable=True, outcome="unknown"),
    ErrorKind("gateway_unavailable", 503, "The FIX gateway does not respond",
              "Messages of FIX sessions cannot be read at this moment, or are read too often.",
              retryable=True),
    ErrorKind("history_unavailable", 503, "The history is unavailable",
              "Closed orders, fills, trades and the ledger cannot be read at this moment.",
              retryable=True),
    ErrorKind("not_ready", 503, "The service is not ready",
              "The history does not keep up with the engine, or the disk is full; `parts` has the "
              "state of each part of the venue.", retryable=True),
    ErrorKind("engine_refused", 503, "The engine could not accept the request",
              "The engine refused it before executing it, for instance because a queue is full.",
              retryable=True),
    ErrorKind("internal_error", 500, "Internal error",
              "A fault of the venue; it was logged under `request_id`, which support will ask for.",
              outcome="unknown"),
)  # fmt: skip


def _reason(
    reason: RejectReason, status: int, title: str, meaning: str, retryable: bool = False
) -> ErrorKind:
    return ErrorKind(reason.name.lower(), status, title, meaning, retryable)


_R = RejectReason
_ENGINE: Final = (
    _reason(_R.UNKNOWN_ACCOUNT, 422, "There is no such account",
            "The account that the request names is not known to the venue."),
    _reason(_R.UNKNOWN_SYMBOL, 422, "There is no such instrument",
            "GET /v1/instruments lists the symbols (404 when the symbol is in the path)."),
    _reason(_R.INSTRUMENT_HALTED, 409, "Trading is halted",
            "The instrument accepts only cancels until trading resumes.", True),
    _reason(_R.DUPLICATE_CLIENT_ORDER_ID, 409, "The client order id is taken",
            "An order with other terms has this client order id; `order_id` names it. An identical "
            "repeat is answered with the original order instead."),
    _reason(_R.INVALID_CLIENT_ORDER_ID, 422, "The client order id is not valid",
            "It is empty, too long, or holds characters other than visible ASCII."),
    _reason(_R.INVALID_QUANTITY, 422, "The quantity is not valid",
            "It is missing, zero, negative, not a multiple of the lot, or not a plain decimal "
            "number; or a minimum or display quantity is above it."),
    _reason(_R.INVALID_PRICE, 422, "The price is not valid",
            "It is zero, negative, not a multiple of the tick, or not a plain decimal number."),
    _reason(_R.QUANTITY_TOO_SMALL, 422, "The quantity is below the minimum",
            "GET /v1/instruments shows `min_quantity`."),
    _reason(_R.QUANTITY_TOO_LARGE, 422, "The quantity is above the maximum",
            "GET /v1/instruments shows `max_quantity`."),
    _reason(_R.PRICE_TOO_LARGE, 422, "The price is above the maximum",
            "GET /v1/instruments shows `max_price`."),
    _reason(_R.PRICE_OUTSIDE_BAND, 422, "The price is outside the price band",
            "GET /v1/instruments shows `band_low` and `band_high`, which follow the last trade.",
            True),
    _reason(_R.UNSUPPORTED_COMBINATION, 422, "These terms cannot be combined",
            "For instance post-only with IOC, or a price on a market order."),
    _reason(_R.INVALID_EXPIRY, 422, "The expiry is not valid",
            "GTD needs an `expire_at` in the future; other times in force take none."),
    _reason(_R.INSUFFICIENT_FUNDS, 422, "The available balance is too small",
            "The order or withdrawal would hold more than is available."),
    _reason(_R.TOO_MANY_OPEN_ORDERS, 422, "Too many open orders",
            "The account has reached its maximum, `open_orders_max` of GET /v1/limits.", True),
    _reason(_R.POST_ONLY_WOULD_TRADE, 422, "A post-only order would have traded",
            "Its price crosses the book.", True),
    _reason(_R.UNKNOWN_ORDER, 404, "There is no such order",
            "No order with this id or client id belongs to the account."),
    _reason(_R.TOO_LATE, 409, "The order is no longer open",
            "It was filled, was canceled or had expired; `order` shows its final state."),
    _reason(_R.MISMATCH, 409, "The request contradicts the order",
            "Its ids name different orders, or its symbol or side is not the order's."),
    _reason(_R.STALE_RESEND, 409, "An old order was resent",
            "FIX only: a resent order that is too old to be executed."),
    _reason(_R.THROTTLED, 429, "Too many messages",
            "The session has exceeded its rate limit.", True),
    _reason(_R.NO_LIQUIDITY, 422, "There is no liquidity",
            "A market order found no order to trade with.", True),
    _reason(_R.INVALID_BATCH, 422, "The batch is not valid",
            "It has no entry, more than 50, or one for an account out of its reach. "
            "By REST and WebSocket `invalid_request` or `not_found` says so before."),
    _reason(_R.BATCH_REFUSED, 422, "The batch was refused as a whole",
            "In mode `validate_all` one operation was refused; `results` says which and why."),
    _reason(_R.INVALID_FIELD, 422, "A field is not valid", "`detail` says which and why."),
    _reason(_R.NOT_PERMITTED, 403, "Not permitted", "The account or user may not do this."),
    _reason(_R.UNKNOWN_ASSET, 422, "There is no such asset", "GET /v1/assets lists them."),
    _reason(_R.UNKNOWN_WITHDRAWAL, 404, "There is no such withdrawal",
            "No withdrawal with this id belongs to the account."),
    _reason(_R.WITHDRAWAL_STATE, 409, "The state of the withdrawal does not allow this",
            "`state` is its present state."),
    _reason(_R.SELF_APPROVAL, 403, "The requester may not approve",
            "Another user than the one who requested the withdrawal, or created the key, must "
            "approve it."),
    _reason(_R.WITHDRAWAL_LIMIT, 422, "The daily limit would be exceeded",
            "`remaining` is what may still be withdrawn today."),
    _reason(_R.AMOUNT_TOO_SMALL, 422, "The amount is below the minimum",
            "GET /v1/networks shows `withdrawal_min` and `withdrawal_step`."),
    _reason(_R.UNKNOWN_NETWORK, 422, "The asset is not available on this network",
            "GET /v1/networks lists the networks of each asset."),
    _reason(_R.DUPLICATE_CLIENT_WITHDRAWAL_ID, 409, "The client withdrawal id is taken",
            "A withdrawal with other terms has this id permanently; `withdrawal_id` names it."),
    _reason(_R.DUPLICATE_DEPOSIT, 409, "The deposit id is taken",
            "It was reported with another account, asset, amount, network, address, transaction id "
            "or required number of confirmations."),
    _reason(_R.ADDRESS_NOT_ALLOWED, 403, "The address is not on the allow-list",
            "The account may withdraw only to addresses in its address book."),
    _reason(_R.ADDRESS_COOLING, 403, "The address is in its cool-off period",
            "It may be used from `available_at` on."),
    _reason(_R.QUOTE_EXPIRED, 409, "The quote has expired", "Request a new quote."),
    _reason(_R.UNKNOWN_SESSION, 404, "There is no such session", "The session is not open."),
    _reason(_R.STALE_EPOCH, 409, "The session was reset",
            "FIX only: the message is from before the reset."),
    _reason(_R.DUPLICATE_CLIENT_TRANSFER_ID, 409, "The client transfer id is taken",
            "A transfer with other terms has this id permanently; `transfer_id` names it."),
    _reason(_R.UNKNOWN_QUOTE, 422, "There is no such quote",
            "No quote with this id belongs to the account, or it was used already."),
    _reason(_R.UNKNOWN_ADDRESS, 404, "There is no such address",
            "The address is not in the account's address book."),
    _reason(_R.NETWORK_SUSPENDED, 409, "The network is suspended",
            "Withdrawals on this network are suspended for now.", True),
    _reason(_R.MEMO_REQUIRED, 422, "The network needs a memo",
            "Without a memo the recipient could not be credited."),
    _reason(_R.DUPLICATE_DEFINITION, 409, "It is already defined",
            "Its essential terms cannot be changed."),
    _reason(_R.MESSAGE_TOO_BIG, 413, "The request is too large",
            "It exceeds the engine's maximum size."),
    _reason(_R.TOO_MANY_SESSIONS, 409, "Too many sessions",
            "The maximum number of open sessions has been reached.", True),
    _reason(_R.TOO_MANY_ADDRESSES, 409, "Too many addresses",
            "The address book has reached its maximum size."),
    _reason(_R.ACCOUNT_SUSPENDED, 403, "The account is suspended",
            "Until the venue reactivates it, it may only cancel and read."),
    _reason(_R.SWEEP_TOO_LARGE, 422, "The order would match too many orders",
            "An order by `cash_quantity` is executed in one step of bounded size; order less."),
    _reason(_R.INSTRUMENT_BUSY, 409, "The instrument is still executing earlier orders",
            "An order by `cash_quantity` is accepted once they are done; try again.", True),
)  # fmt: skip

CATALOGUE: Final[dict[str, ErrorKind]] = {
    kind.code: kind
    for kind in (*_EDGE, *_ENGINE)
}


def refusal(reason: RejectReason, text: str, **options: Any) -> Problem:
    """Make the problem for a refusal by the engine; ``text`` is the engine's sentence."""
    return Problem(reason.name.lower(), text or CATALOGUE[reason.name.lower()].meaning, **options)


def no_leader(outcome: OutcomeText = "not_applied") -> Problem:
    """Make the problem for a request while this machine knows of no leader of the venue."""
    rest = (
        "the request was not done; send it again in a moment."
        if outcome == "not_applied"
        else "the request may have been done; in a moment repeat the identical request, or look "
        "the object up by its client id."
    )
    return Problem(
        "no_leader", f"The venue has no leader at this moment, and {rest}", outcome=outcome,
        headers=(("Retry-After", RETRY_AFTER_S),),
    )  # fmt: skip


def internal_error() -> Problem:
    """Make the problem for an exception that no rule foresees; the caller logs it."""
    return Problem(
        "internal_error", "An internal error occurred; it was logged under this request id."
    )


def catalogue_markdown() -> str:
    """Render the text of ``spec/ERRORS.md``."""
    lines = [
        "# Errors of the account API",
        "",
        "Written from `account_api/errors.py` by `python -m account_api.documents`; a test "
        "holds the two together.",
        "",
        "Every error is an RFC 9457 document of media type `application/problem+json` with the "
        "members `type` (`/errors/<code>`), `title`, `status`, `detail` (one sentence about "
        "this case), `code`, `request_id`, `retryable` and `outcome`:",
        "",
        "- `not_applied`: this copy of the request changed nothing and will not be done later.",
        "- `applied`: an earlier copy of the request was done.",
        "- `unknown`: it may or may not have been done. Send the identical request again (the "
        "same client id, or the same signature within its window), which is done at most once, "
        "or look the object up by its client id.",
        "",
        "The table names the further members that a code has.",
        "",
        "| code | status | retryable | outcome | title | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for kind in sorted(CATALOGUE.values(), key=lambda kind: (kind.status, kind.code)):
        lines.append(
            f"| `{kind.code}` | {kind.status} | {'yes' if kind.retryable else 'no'} | "
            f"{kind.outcome} | {kind.title} | {kind.meaning} |"
        )
    return "\n".join(lines) + "\n"
