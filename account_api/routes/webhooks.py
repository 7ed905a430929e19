"""Webhooks: endpoints that are told of withdrawals, deposits and fills, and what they were sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar

from account_api.errors import Problem, no_leader
from account_api.http.routing import AnyCall, BodyCall, PlainCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import account_of, original, own_account, reaches, require_active
from account_api.schema.from_rows import instant_text
from account_api.schema.identifiers import cursor_id
from account_api.schema.requests import ActingQuery
from account_api.schema.responses import extended
from account_api.webhooks import events
from account_api.webhooks.forms import (
    ChangeWebhookRequest,
    DeletedWebhookView,
    DeliveriesQuery,
    DeliveriesView,
    DeliveryView,
    NewWebhookRequest,
    ResendRequest,
    RotateSecretRequest,
    WebhookErrandView,
    WebhookSecretView,
    WebhooksView,
    WebhookView,
)
from account_api.webhooks.kinds import chosen
from account_api.webhooks.signing import new_secret, secret_text
from account_api.webhooks.store import (
    Endpoint,
    Errand,
    ErrandKind,
    WebhookNameTaken,
    WebhooksFull,
    WebhookStoreError,
)
from account_api.webhooks.targets import Policy, TargetRefused
from engine.core.authority import Thing, speaks_for_firm
from engine.history import reader as history

_LAST_INDEX: Final = 1 << 62
T = TypeVar("T")


def create_webhook(call: BodyCall[NewWebhookRequest]) -> Reply:
    """Register an endpoint. It is told of what happens from now on; its secret is in the answer."""
    request = call.body
    account = own_account(call, request.account)
    require_active(call, account)
    key = call.principal.key
    if request.firm_wide and not speaks_for_firm(account, key.firm):
        raise Problem(
            "not_permitted",
            f"Only the main account {key.firm} can have firm-wide endpoints, not {account}.",
            field="firm_wide",
        )
    _check_url(call, request.url)
    seq = _newest(call)
    secret = new_secret()
    wanted = Endpoint(
        id=f"wh_{secrets.token_hex(10)}", account=account, firm=key.firm,
        firm_wide=request.firm_wide, name=request.name, url=request.url,
        events=dict.fromkeys(chosen(request.events), seq),
        created_at=call.now_us, created_by=key.key, seq=seq, secret=secret, updated_at=call.now_us,
    )  # fmt: skip
    try:
        call.services.webhooks.add(wanted, call.services.settings.webhooks.account_max)
    except WebhookNameTaken:
        return _repeated(call, wanted)
    except WebhooksFull:
        raise Problem(
            "too_many_webhooks", "The account has its maximum number of webhook endpoints."
        ) from None
    except WebhookStoreError as error:
        raise _unavailable(error) from error
    return _with_secret(wanted, call.now_us, 201)


def get_webhooks(call: QueryCall[ActingQuery]) -> Reply:
    """List the account's endpoints and how they do."""
    account = account_of(call, call.query.account)
    rows = _stored(lambda: call.services.webhooks.of(account))
    views = [_view(one, call.now_us) for one in rows]
    return Reply(WebhooksView(account=account, webhooks=views))


def get_webhook(call: PlainCall) -> Reply:
    """Get one endpoint and how it does."""
    return Reply(_view(_endpoint(call), call.now_us))


def change_webhook(call: BodyCall[ChangeWebhookRequest]) -> Reply:
    """Change an endpoint; what had failed is tried again at once."""
    request = call.body
    endpoint = _endpoint(call)
    changes: dict[str, Any] = {"updated_at": call.now_us}
    if request.name is not None:
        changes["name"] = request.name
    if request.url is not None:
        _check_url(call, request.url)
        changes |= {"url": request.url, "next_attempt_at": 0}
    if request.events is not None:
        types = chosen(request.events)
        seq = _newest(call) if set(types) - endpoint.events.keys() else 0
        changes["events"] = {one: endpoint.events.get(one, seq) for one in types}
    if request.state == "disabled":
        changes |= {"state": "disabled", "reason": "by_request"}
    elif request.state == "active":
        changes |= {
            "state": "active", "reason": "", "failures": 0, "failing_since": 0,
            "next_attempt_at": 0, "last_error": "",
        }  # fmt: skip
    if request.skip_missed:
        changes |= {"seq": _newest(call), "event_index": _LAST_INDEX}
    return Reply(_view(_changed(call, endpoint, changes), call.now_us))


def delete_webhook(call: PlainCall) -> Reply:
    """Delete an endpoint with its log. Nothing more is sent to it."""
    endpoint = _endpoint(call)
    _stored(lambda: call.services.webhooks.delete(endpoint.id))
    return Reply(DeletedWebhookView(webhook_id=endpoint.id, deleted=True))


def rotate_webhook_secret(call: BodyCall[RotateSecretRequest]) -> Reply:
    """Make a new secret; for a time deliveries are signed with the old one too.

    While an old one is valid already, it stays, and only the newest secret is replaced.
    """
    endpoint = _endpoint(call)
    until = call.now_us + call.body.old_valid_s * 1_000_000
    old = endpoint.old_secret if call.now_us < endpoint.old_until else endpoint.secret
    changes = {
        "secret": new_secret(), "updated_at": call.now_us, "next_attempt_at": 0,
        "old_secret": old if call.body.old_valid_s else b"",
        "old_until": until if call.body.old_valid_s else 0,
    }  # fmt: skip
    return _with_secret(_changed(call, endpoint, changes), call.now_us, 200)


def ping_webhook(call: PlainCall) -> Reply:
    """Send a test, once. If it succeeds, deliveries that wait after a failure follow at once."""
    endpoint = _enabled(call)
    number = _ask(call, endpoint, "ping")
    return Reply(
        WebhookErrandView(
            webhook_id=endpoint.id, kind="ping", event_id=f"ping_{number}",
            from_seq=None, to_seq=None,
        ),
        202,
    )  # fmt: skip


def resend_webhook(call: BodyCall[ResendRequest]) -> Reply:
    """Send events again, under their own ids. It ends at the first that fails.

    Only events of types that the endpoint has chosen are sent, also those from before it was made.
    """
    request = call.body
    endpoint = _enabled(call)
    if (request.event_id is None) == (request.from_seq is None and request.to_seq is None):
        raise Problem(
            "invalid_request", "Name either event_id, or from_seq and to_seq.", field="event_id"
        )
    if request.event_id is not None:
        place = _event_of(call, endpoint, request.event_id)
        _ask(call, endpoint, "resend", (place[0], place[1] - 1), place)
        first, last = place[0], place[0]
    else:
        if request.from_seq is None or request.to_seq is None or request.to_seq < request.from_seq:
            raise Problem(
                "invalid_request", "A range needs from_seq, and a to_seq that is not below it.",
                field="to_seq",
            )  # fmt: skip
        first, last = request.from_seq, request.to_seq
        until = min((last, _LAST_INDEX), endpoint.place)
        _ask(call, endpoint, "resend", (first - 1, _LAST_INDEX), until)
    return Reply(
        WebhookErrandView(
            webhook_id=endpoint.id, kind="resend", event_id=request.event_id,
            from_seq=first, to_seq=last,
        ),
        202,
    )  # fmt: skip


def get_webhook_deliveries(call: QueryCall[DeliveriesQuery]) -> Reply:
    """List attempts to deliver to an endpoint, newest first."""
    query = call.query
    endpoint = _endpoint(call)
    before = cursor_id(query.cursor, "deliveries")
    rows = _stored(
        lambda: call.services.webhooks.attempts(
            endpoint.id, before=before, event_id=query.event_id or "", limit=query.limit + 1
        )
    )
    views = [
        DeliveryView(
            event_id=row.event_id,
            type=row.type,
            kind=row.kind,
            attempted_at=instant_text(row.at),
            delivered=row.delivered,
            http_status=row.http_status or None,
            latency_ms=round(row.latency_us / 1000),
            error=row.error or None,
            answer=row.answer if row.http_status else None,
        )
        for row in rows[: query.limit]
    ]
    more = str(rows[query.limit - 1].number) if len(rows) > query.limit else None
    return Reply(DeliveriesView(webhook_id=endpoint.id, deliveries=views, next_cursor=more))


def _stored(do: Callable[[], T]) -> T:
    try:
        return do()
    except WebhookStoreError as error:
        raise _unavailable(error) from error


def _changed(call: AnyCall, endpoint: Endpoint, changes: dict[str, Any]) -> Endpoint:
    try:
        found = call.services.webhooks.change(endpoint.id, **changes)
    except WebhookNameTaken:
        raise _taken(endpoint.account, changes["name"]) from None
    except WebhookStoreError as error:
        raise _unavailable(error) from error
    if found is None:
        raise _not_found(endpoint.id)
    return found


def _ask(
    call: AnyCall, endpoint: Endpoint, kind: ErrandKind,
    after: tuple[int, int] = (0, 0), until: tuple[int, int] = (0, 0),
) -> int:  # fmt: skip
    errand = Errand(endpoint.id, kind, call.now_us, call.principal.key.key, *after, *until)
    try:
        return call.services.webhooks.ask(errand)
    except WebhooksFull:
        raise Problem(
            "too_many_webhooks", f"Too much already waits to be sent to {endpoint.id}; try later.",
            retryable=True,
        ) from None  # fmt: skip
    except WebhookStoreError as error:
        raise _unavailable(error) from error


def _check_url(call: AnyCall, url: str) -> None:
    own = call.services.settings.webhooks
    try:
        Policy(own.allow, own.https_only).target(url)
    except TargetRefused as error:
        raise Problem("invalid_webhook_url", f"The URL {error}.", field="url") from None


def _newest(call: AnyCall) -> int:
    """Return the newest sequence of which the history, and so a delivery, can tell."""
    with call.services.fresh_history(0) as connection:
        return history.last_seq(connection)


def _event_of(call: AnyCall, endpoint: Endpoint, name: str) -> tuple[int, int]:
    """Return the place of an event that the endpoint may be sent. Raises Problem."""
    place = events.place_of(name)
    if place is not None:
        with call.services.history() as connection:
            accounts = [endpoint.account]
            if endpoint.firm_wide:
                accounts = history.firm_accounts(connection, endpoint.firm)
            found = history.notices(
                connection, accounts, after=(place[0], place[1] - 1), until=place,
                fills_after=(0, 0), limit=1,
            )  # fmt: skip
        if found and events.type_of(found[0]) in endpoint.events:
            return place
    raise Problem(
        "not_found", f"The endpoint has no event {name[:40]!r} of a type that it has chosen.",
        field="event_id",
    )  # fmt: skip


def _endpoint(call: AnyCall) -> Endpoint:
    """Return the endpoint in the path, if the caller may decide about it. Raises Problem."""
    name = call.parts["webhook"]
    found = _stored(lambda: call.services.webhooks.find(name))
    if found is None or not reaches(call, found.account):
        raise _not_found(name)
    return found


def _enabled(call: AnyCall) -> Endpoint:
    endpoint = _endpoint(call)
    if endpoint.state == "disabled":
        raise Problem(
            "webhook_disabled",
            f"The endpoint {endpoint.id} is disabled; set its state to active first.",
        )
    return endpoint


def _repeated(call: AnyCall, wanted: Endpoint) -> Reply:
    """Answer a repeated request with the endpoint that has the name, without its secret."""
    rows = _stored(lambda: call.services.webhooks.of(wanted.account))
    named = next((one for one in rows if one.name == wanted.name), None)

    def terms(one: Endpoint) -> tuple[object, ...]:
        return one.url, one.firm_wide, set(one.events)

    found = original(
        named, lambda found: terms(found) == terms(wanted), _taken(wanted.account, wanted.name)
    )
    view = extended(_view(found, call.now_us), WebhookSecretView, secret=None)
    return answered(view, replayed=True)


def _with_secret(endpoint: Endpoint, now_us: int, status: int) -> Reply:
    view = _view(endpoint, now_us)
    return Reply(
        extended(view, WebhookSecretView, secret=secret_text(endpoint.secret)),
        status,
        kept=extended(view, WebhookSecretView, secret=None),
    )


def _view(one: Endpoint, now_us: int) -> WebhookView:
    def instant(time_us: int) -> str | None:
        return instant_text(time_us) if time_us else None

    return WebhookView(
        webhook_id=one.id,
        account=one.account,
        firm_wide=one.firm_wide,
        name=one.name,
        url=one.url,
        events=list(one.events),
        state="failing" if one.is_failing else one.state,
        reason=one.reason or None,
        seq=one.seq,
        failures=one.failures,
        failing_since=instant(one.failing_since),
        next_attempt_at=instant(one.next_attempt_at) if one.is_failing else None,
        last_error=one.last_error or None,
        last_delivered_at=instant(one.delivered_at),
        old_secret_until=instant(one.old_until) if now_us < one.old_until else None,
        created_at=instant_text(one.created_at),
        created_by=one.created_by,
        updated_at=instant_text(one.updated_at),
    )


def _taken(account: str, name: str) -> Problem:
    return Problem(
        "webhook_name_taken", f"The account {account} has another endpoint named {name}.",
        field="name",
    )  # fmt: skip


def _not_found(name: str) -> Problem:
    return Problem("not_found", f"There is no webhook endpoint {name[:64]!r}.", field="webhook")


def _unavailable(error: WebhookStoreError) -> Problem:
    if error.leaderless:
        return no_leader()
    return Problem(
        "webhooks_unavailable", "Webhook endpoints cannot be read or written at this moment."
    )


_ONE: Final = ("not_found", "webhooks_unavailable")
_HISTORY: Final = ("history_unavailable",)

ROUTES: Final = (
    Route(
        "GET", "/v1/webhooks", get_webhooks, "Webhook endpoints", WebhooksView,
        thing=Thing.READ_WEBHOOKS, tag="webhooks", errors=("webhooks_unavailable",),
    ),
    Route(
        "POST", "/v1/webhooks", create_webhook, "Register a webhook endpoint", WebhookSecretView,
        thing=Thing.MANAGE_WEBHOOKS, status=201, replays=True, tag="webhooks",
        errors=("webhook_name_taken", "too_many_webhooks", "invalid_webhook_url",
                "not_permitted", "account_suspended", "webhooks_unavailable", *_HISTORY),
    ),
    Route(
        "GET", "/v1/webhooks/{webhook}", get_webhook, "One webhook endpoint", WebhookView,
        thing=Thing.READ_WEBHOOKS, tag="webhooks", errors=_ONE,
    ),
    Route(
        "PATCH", "/v1/webhooks/{webhook}", change_webhook, "Change a webhook endpoint",
        WebhookView, thing=Thing.MANAGE_WEBHOOKS, tag="webhooks",
        errors=(*_ONE, "webhook_name_taken", "invalid_webhook_url", *_HISTORY),
    ),
    Route(
        "DELETE", "/v1/webhooks/{webhook}", delete_webhook, "Delete a webhook endpoint",
        DeletedWebhookView, thing=Thing.MANAGE_WEBHOOKS, tag="webhooks", errors=_ONE,
    ),
    Route(
        "POST", "/v1/webhooks/{webhook}/rotate-secret", rotate_webhook_secret,
        "Rotate the secret of a webhook endpoint", WebhookSecretView,
        thing=Thing.MANAGE_WEBHOOKS, body_required=False, tag="webhooks", errors=_ONE,
    ),
    Route(
        "POST", "/v1/webhooks/{webhook}/ping", ping_webhook, "Test a webhook endpoint",
        WebhookErrandView, thing=Thing.MANAGE_WEBHOOKS, status=202, tag="webhooks",
        errors=(*_ONE, "webhook_disabled", "too_many_webhooks"),
    ),
    Route(
        "POST", "/v1/webhooks/{webhook}/resend", resend_webhook, "Send events again",
        WebhookErrandView, thing=Thing.MANAGE_WEBHOOKS, status=202, tag="webhooks",
        errors=(*_ONE, "webhook_disabled", "too_many_webhooks", *_HISTORY),
    ),
    Route(
        "GET", "/v1/webhooks/{webhook}/deliveries", get_webhook_deliveries,
        "Attempts to deliver to a webhook endpoint", DeliveriesView,
        thing=Thing.READ_WEBHOOKS, tag="webhooks", errors=_ONE,
    ),
)  # fmt: skip
