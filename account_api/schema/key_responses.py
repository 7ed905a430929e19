"""API keys as clients see them."""

from __future__ import annotations

from account_api.schema.responses import View


class KeyView(View, frozen=True, kw_only=True):
    """An API key, without its secret.

    `state` is active, pending_approval, expired (from `valid_until` on) or revoked. For keys of the
    venue's configuration `name` and `created_at` are null. An empty `allow` means from anywhere.
    """

    key: str
    name: str | None
    account: str
    kind: str
    user: str
    scopes: list[str]
    allow: list[str]
    state: str
    created_at: str | None
    created_by: str | None
    approved_at: str | None
    approved_by: str | None
    revoked_at: str | None
    revoked_by: str | None
    valid_until: str | None


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A created key. `secret` (of a bearer key: the token) is shown only this once."""

    secret: str | None


class RevokedKeyView(KeyView, frozen=True, kw_only=True):
    """A revoked key. `descendants` are the keys revoked with it, oldest first; none without
    `descendants=true`.
    """

    descendants: list[str]


class KeysView(View, frozen=True, kw_only=True):
    """The keys of an account: those of the configuration, then the others, oldest first."""

    account: str
    keys: list[KeyView]
