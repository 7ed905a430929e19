"""Every error that the API can answer, as RFC 9457 problem documents.

The catalogue is the contract: a code is never renamed, its ``type`` is ``/errors/<code>``.
``outcome`` tells a client what happened to its request: ``not_applied`` (nothing changed),
``applied`` (it was done, by an earlier copy of the request) or ``unknown`` (ask before you
send it anew). ``retryable`` says whether the same request may succeed later, unchanged.
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
        """The row as plain text; a problem's ``type`` leads to it."""
        retry = "may succeed later" if self.retryable else "will not succeed"
        return (
            f"{self.code} ({self.status}): {self.title}\n\n{self.meaning}\n\n"
            f"Outcome: {self.outcome}. The same request {retry}.\n"
        )


class Problem(Exception):
    """An error for the caller: a code of the catalogue and one sentence about this case.

    ``members`` are further members of the document (``field``, ``available_at``…). Status,
    outcome and whether a retry helps are those of the catalogue unless given here.
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
        """The problem document, without absent members."""
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
        """The document as JSON in ASCII, whatever text it has to quote."""
        return json.dumps(self.document(request_id)).encode("ascii")


_EDGE: Final = (
    ErrorKind("invalid_json", 400, "The body is not valid JSON",
              "It is not one JSON object in UTF-8, or an object in it has the same key twice."),
    ErrorKind("invalid_request", 400, "A field is missing, unknown or malformed",
              "`field` names the part of the body, of the query or of the path that is wrong."),
    ErrorKind("body_not_allowed", 400, "This request takes no body",
              "A body was sent where none is defined; it is refused because it would be signed "
              "and yet mean nothing."),
    ErrorKind("unauthorized", 401, "The request is not authenticated",
              "No credential, an unknown key or token, or a wrong signature; all look alike."),
    ErrorKind("outside_window", 401, "The signature is too old or from the future",
              "The signature is right but its timestamp is outside the window; `server_time_ms` "
              "is the clock of the venue."),
    ErrorKind("insufficient_scope", 403, "The key may not do this",
              "`required_scope` names the scope that the key lacks."),
    ErrorKind("source_not_allowed", 403, "The key may not be used from this address",
              "The credential is right but its IP allow-list does not hold the caller's address."),
    ErrorKind("key_pending", 403, "The key waits for approval",
              "It may move money, and so another user than the one who made it has to approve "
              "it first."),
    ErrorKind("not_found", 404, "There is no such thing",
              "The path does not exist, or the object does not exist for this account."),
    ErrorKind("method_not_allowed", 405, "The path does not have this method",
              "The `Allow` header lists the methods that it has."),
    ErrorKind("body_too_large", 413, "The body is too large",
              "`limit_bytes` is the largest body that is read."),
    ErrorKind("unsupported_media_type", 415, "The body must be application/json",
              "The Content-Type header names another media type."),
    ErrorKind("invalid_address", 422, "The address cannot be right",
              "Its checksum fails, or it is not an address of the network; GET /v1/networks "
              "shows `address_format`."),
    ErrorKind("malformed_http", 400, "The request is not valid HTTP",
              "A header, the target or the framing of the request cannot be used."),
    ErrorKind("rate_limited", 429, "Too many requests for this key",
              "The headers RateLimit and Retry-After say when there is room again.",
              retryable=True),
    ErrorKind("request_expired", 408, "The request came too late",
              "`expires_at` of the request, or the window of its signature, had passed before "
              "the engine could do it.", retryable=True),
    ErrorKind("idempotency_key_missing", 400, "The request needs an Idempotency-Key",
              "It has no id of its own by which a repeat could be known."),
    ErrorKind("idempotency_key_reused", 422, "The key belongs to another request",
              "The Idempotency-Key, or the `request_id`, came before with other contents."),
    ErrorKind("idempotency_key_in_flight", 409, "The request is being done",
              "An earlier copy with the same Idempotency-Key, or `request_id`, has no answer "
              "yet.", retryable=True, outcome="unknown"),
    ErrorKind("idempotency_unavailable", 503, "Earlier answers cannot be read",
              "The memory of Idempotency-Keys does not answer; nothing was done.",
              retryable=True),
    ErrorKind("not_caught_up", 409, "The read has not reached min_seq yet",
              "The bounded wait for `min_seq` ended; `as_of_seq` says how far it had come.",
              retryable=True),
    ErrorKind("already_done", 409, "The request was done before",
              "An identical signed request was done, and its answer is no longer kept; ask for "
              "the object itself.", outcome="applied"),
    ErrorKind("key_name_taken", 409, "The name is taken",
              "The account has, or had, another key of this name; names are used once."),
    ErrorKind("too_many_keys", 409, "Too many keys",
              "The account, or the venue, has made as many keys as it may."),
    ErrorKind("keys_unavailable", 503, "The keys cannot be read",
              "The service cannot see which keys were revoked, so it lets nobody in.",
              retryable=True),
    ErrorKind("engine_unavailable", 503, "The matching engine does not answer",
              "`outcome` says whether the request can have been done; with `unknown` repeat "
              "the identical request or look the order up by its client id.",
              retryable=True, outcome="unknown"),
    ErrorKind("history_unavailable", 503, "The history does not answer",
              "Closed orders, fills, trades and ledger cannot be read at this moment.",
              retryable=True),
    ErrorKind("not_ready", 503, "The service cannot do its work",
              "The history does not keep up with the engine, or the disk is full; `parts` says how "
              "each part of the venue is.", retryable=True),
    ErrorKind("engine_refused", 503, "The engine could not serve the request",
              "The engine refused the frame itself, for instance because a queue is full.",
              retryable=True),
    ErrorKind("internal_error", 500, "Something went wrong on our side",
              "An error that this catalogue does not foresee; quote `request_id`.",
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
            "The instrument accepts cancels only until it is resumed.", True),
    _reason(_R.DUPLICATE_CLIENT_ORDER_ID, 409, "The client order id is taken",
            "An order with other terms owns this client order id; `order_id` names it. An "
            "identical repeat is answered with the original instead."),
    _reason(_R.INVALID_CLIENT_ORDER_ID, 422, "The client order id cannot be used",
            "It is empty, too long, or holds characters other than visible ASCII."),
    _reason(_R.INVALID_QUANTITY, 422, "The quantity cannot be used",
            "It is missing, zero, negative, off the lot, or no plain decimal number; or a minimum "
            "or display quantity is above it."),
    _reason(_R.INVALID_PRICE, 422, "The price cannot be used",
            "It is zero, negative, off the tick, or no plain decimal number."),
    _reason(_R.QUANTITY_TOO_SMALL, 422, "The quantity is below the minimum",
            "GET /v1/instruments shows `min_quantity`."),
    _reason(_R.QUANTITY_TOO_LARGE, 422, "The quantity is above the maximum",
            "GET /v1/instruments shows `max_quantity`."),
    _reason(_R.PRICE_TOO_LARGE, 422, "The price is above the maximum",
            "GET /v1/instruments shows `max_price`."),
    _reason(_R.PRICE_OUTSIDE_BAND, 422, "The price is outside the price band",
            "GET /v1/instruments shows `band_low` and `band_high`, which follow the last trade.",
            True),
    _reason(_R.UNSUPPORTED_COMBINATION, 422, "These terms do not go together",
            "For instance post-only with IOC, or a price on a market order."),
    _reason(_R.INVALID_EXPIRY, 422, "The expiry cannot be used",
            "GTD needs `expire_at` in the future; other times in force take none."),
    _reason(_R.INSUFFICIENT_FUNDS, 422, "The available balance is too small",
            "What the order or withdrawal would hold is more than what is available."),
    _reason(_R.TOO_MANY_OPEN_ORDERS, 422, "Too many open orders",
            "The account has reached the number of open orders in GET /v1/limits.", True),
    _reason(_R.POST_ONLY_WOULD_TRADE, 422, "A post-only order would have traded",
            "The price crosses the book.", True),
    _reason(_R.UNKNOWN_ORDER, 404, "There is no such order",
            "No order with this id or client id belongs to the account."),
    _reason(_R.TOO_LATE, 409, "The order is no longer open",
            "It was filled, canceled or expired before; `order` shows how it ended."),
    _reason(_R.MISMATCH, 409, "The request contradicts the order",
            "Ids that do not belong together, or a symbol or side that is not the order's."),
    _reason(_R.REQUEST_EXPIRED, 408, "The request came too late",
            "`expires_at` of the request, or the window of its signature, had passed before "
            "the engine could do it.", True),
    _reason(_R.STALE_RESEND, 409, "An old order sent again",
            "Known from FIX: a resent order that is too old to go live."),
    _reason(_R.THROTTLED, 429, "Too many messages", "The session is over its limit.", True),
    _reason(_R.NO_LIQUIDITY, 422, "There is nothing to trade with",
            "A market order met an empty book.", True),
    _reason(_R.INVALID_BATCH, 422, "The batch cannot be used",
            "It is empty, has more than 50 entries, or names one id twice."),
    _reason(_R.BATCH_REFUSED, 422, "The batch was refused as a whole",
            "With mode `validate_all` one entry was refused; `results` says which and why."),
    _reason(_R.INVALID_FIELD, 422, "A field cannot be used", "The sentence says which and why."),
    _reason(_R.NOT_PERMITTED, 403, "Not permitted", "The account or user may not do this."),
    _reason(_R.UNKNOWN_ASSET, 422, "There is no such asset", "GET /v1/assets lists them."),
    _reason(_R.UNKNOWN_WITHDRAWAL, 404, "There is no such withdrawal",
            "No withdrawal with this id belongs to the account."),
    _reason(_R.WITHDRAWAL_STATE, 409, "The withdrawal is past that",
            "`state` is the state in which the withdrawal is."),
    _reason(_R.SELF_APPROVAL, 403, "The initiator may not approve",
            "A withdrawal is approved by another user than the one who asked for it."),
    _reason(_R.WITHDRAWAL_LIMIT, 422, "The daily limit would be passed",
            "`remaining` is what may still be withdrawn today."),
    _reason(_R.AMOUNT_TOO_SMALL, 422, "The amount is below the minimum",
            "GET /v1/networks shows `withdrawal_min` and `withdrawal_step`."),
    _reason(_R.UNKNOWN_NETWORK, 422, "The asset does not travel on this network",
            "GET /v1/networks lists what does."),
    _reason(_R.DUPLICATE_CLIENT_WITHDRAWAL_ID, 409, "The client withdrawal id is taken",
            "A withdrawal with other terms owns this id, for ever; `withdrawal_id` names it."),
    _reason(_R.DUPLICATE_DEPOSIT, 409, "The deposit id is taken",
            "The id is known with another account, asset, amount, network, address, transaction id "
            "or number of confirmations required."),
    _reason(_R.ADDRESS_NOT_ALLOWED, 403, "The address is not on the allow-list",
            "The account sends to known addresses only."),
    _reason(_R.ADDRESS_COOLING, 403, "The address is still cooling off",
            "`available_at` is when it may be used."),
    _reason(_R.QUOTE_EXPIRED, 409, "The quote has expired", "Ask for a new quote."),
    _reason(_R.UNKNOWN_SESSION, 404, "There is no such session", "The session is not open."),
    _reason(_R.STALE_EPOCH, 409, "The session has begun anew", "Known from FIX."),
    _reason(_R.DUPLICATE_CLIENT_TRANSFER_ID, 409, "The client transfer id is taken",
            "A transfer with other terms owns this id, for ever."),
    _reason(_R.UNKNOWN_QUOTE, 422, "There is no such quote", "The quote id is not known."),
    _reason(_R.UNKNOWN_ADDRESS, 404, "There is no such address",
            "The address is not in the account's book."),
    _reason(_R.NETWORK_SUSPENDED, 409, "The network is suspended",
            "Withdrawals on this network are stopped for now.", True),
    _reason(_R.MEMO_REQUIRED, 422, "The network needs a memo",
            "Without the memo the coin would be lost at its destination."),
    _reason(_R.DUPLICATE_DEFINITION, 409, "It is defined otherwise",
            "What is defined once keeps its essential terms."),
    _reason(_R.MESSAGE_TOO_BIG, 413, "The request is too big", "The engine bounds its size."),
    _reason(_R.TOO_MANY_SESSIONS, 409, "Too many sessions", "The engine bounds their number.",
            True),
    _reason(_R.TOO_MANY_ADDRESSES, 409, "Too many addresses", "The engine bounds their number."),
    _reason(_R.ACCOUNT_SUSPENDED, 403, "The account is suspended",
            "The venue lets it cancel and read, and nothing else for now."),
    _reason(_R.SWEEP_TOO_LARGE, 422, "The order would meet too many others at once",
            "An order by money is done in one piece, which the venue bounds; ask for less."),
    _reason(_R.INSTRUMENT_BUSY, 409, "The instrument is at work on earlier orders",
            "An order by money is accepted once they are done; ask again.", True),
)  # fmt: skip

CATALOGUE: Final[dict[str, ErrorKind]] = {
    kind.code: kind
    for kind in (*_EDGE, *(k for k in _ENGINE if k.code != "request_expired"))
}


def refusal(reason: RejectReason, text: str, **options: Any) -> Problem:
    """The problem for a refusal by the engine; ``text`` is the engine's sentence."""
    return Problem(reason.name.lower(), text or CATALOGUE[reason.name.lower()].meaning, **options)


def catalogue_markdown() -> str:
    """The text of ``spec/ERRORS.md``."""
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
        "- `applied`: the request had been done before; the answer describes that.",
        "- `unknown`: it may or may not have been done. Send the identical request again (the "
        "same client id, or the same signature within its window): it is done at most once. "
        "Or look the object up by its client id.",
        "",
        "Further members are named in the table where a code has them.",
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
