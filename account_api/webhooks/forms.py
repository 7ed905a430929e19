"""Requests and answers about webhook endpoints."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from account_api.schema.requests import Cursor, ForAccount, Limit, Name, Request, Seq
from account_api.schema.responses import View
from account_api.webhooks.kinds import EventChoice
from account_api.webhooks.targets import URL_LENGTH_MAX

OLD_SECRET_S_MAX: Final = 7 * 86_400

Url = Annotated[
    str,
    Meta(
        min_length=1, max_length=URL_LENGTH_MAX, examples=["https://treasury.example.com/tandem"],
        description="Where deliveries are sent by POST.",
    ),
]  # fmt: skip
Choices = Annotated[
    list[EventChoice],
    Meta(
        min_length=1, max_length=32, examples=[["withdrawal.*", "deposit.credited"]],
        description="Types of events, `withdrawal.*` for all of a subject, or `*`.",
    ),
]  # fmt: skip


class NewWebhookRequest(ForAccount, frozen=True, kw_only=True):
    """An endpoint to register. You choose `name`, which is unique within the account.

    `firm_wide` includes every account of the firm; only its main account may ask for that.
    """

    name: Name
    url: Url
    events: Choices
    firm_wide: bool = False


class ChangeWebhookRequest(Request, frozen=True, kw_only=True):
    """Changes to an endpoint; what is absent stays.

    `state` active ends a pause after failures and enables a disabled endpoint, which then gets what
    it missed, or with `skip_missed` only what happens from now on.
    """

    name: Name | None = None
    url: Url | None = None
    events: Choices | None = None
    state: Literal["active", "disabled"] | None = None
    skip_missed: bool = False


class RotateSecretRequest(Request, frozen=True, kw_only=True):
    """How long the old secret signs beside the new one."""

    old_valid_s: Annotated[int, Meta(ge=0, le=OLD_SECRET_S_MAX)] = 86_400


class ResendRequest(Request, frozen=True, kw_only=True):
    """What to send again: one event, or all with a sequence from `from_seq` to `to_seq`."""

    event_id: Annotated[str, Meta(max_length=40, examples=["evt_1042_0"])] | None = None
    from_seq: Seq | None = None
    to_seq: Seq | None = None


class DeliveriesQuery(Request, frozen=True, kw_only=True):
    """Attempts, newest first; `event_id` selects those of one event or test."""

    event_id: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class WebhookView(View, frozen=True, kw_only=True):
    """An endpoint, without its secret.

    `state` is active, failing (its newest delivery failed and is tried again) or disabled; then
    `reason` is by_request, gave_up or gone. `seq` is the sequence up to which it was served.
    """

    webhook_id: str
    account: str
    firm_wide: bool
    name: str
    url: str
    events: list[str]
    state: str
    reason: str | None
    seq: int
    failures: int
    failing_since: str | None
    next_attempt_at: str | None
    last_error: str | None
    last_delivered_at: str | None
    old_secret_until: str | None
    created_at: str
    created_by: str
    updated_at: str


class WebhookSecretView(WebhookView, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown only this once."""

    secret: str | None


class WebhooksView(View, frozen=True, kw_only=True):
    """The endpoints of an account, oldest first."""

    account: str
    webhooks: list[WebhookView]


class DeletedWebhookView(View, frozen=True, kw_only=True):
    """An endpoint that was deleted."""

    webhook_id: str
    deleted: bool


class DeliveryView(View, frozen=True, kw_only=True):
    """One attempt. `kind` is event, resend or ping. Without an answer `http_status` is null;
    `answer` holds its first 256 bytes."""

    event_id: str
    type: str
    kind: str
    attempted_at: str
    delivered: bool
    http_status: int | None
    latency_ms: int
    error: str | None
    answer: str | None


class DeliveriesView(View, frozen=True, kw_only=True):
    """Attempts of an endpoint, newest first; the last 1,000 are kept."""

    webhook_id: str
    deliveries: list[DeliveryView]
    next_cursor: str | None


class WebhookErrandView(View, frozen=True, kw_only=True):
    """What will be sent out of turn; for a test `event_id` finds its attempt in the log."""

    webhook_id: str
    kind: str
    event_id: str | None
    from_seq: int | None
    to_seq: int | None
