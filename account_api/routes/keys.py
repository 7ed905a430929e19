"""API keys: created, approved, listed and revoked, with immediate effect."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from operator import attrgetter
from typing import Annotated, Final, Literal

from msgspec import Meta

from account_api.errors import Problem, no_leader
from account_api.http.routing import AnyCall, BodyCall, PlainCall, QueryCall, Route
from account_api.reply import Reply, answered
from account_api.routes.common import (
    account_of,
    original,
    own_account,
    reaches,
    require_active,
)
from account_api.schema.from_rows import instant_text
from account_api.schema.key_responses import KeysView, KeyView, NewKeyView, RevokedKeyView
from account_api.schema.requests import ActingQuery, ForAccount, Instant, Name, Request
from account_api.schema.responses import extended
from account_api.schema.to_commands import instant_us
from account_api.security.auth import CHALLENGE
from account_api.security.keystore import (
    ActorRevoked,
    Full,
    KeyStoreError,
    NameTaken,
    Revocation,
    StoredKey,
)
from account_api.settings import SCOPES, ApiKey
from config.model import Scope
from engine.core.authority import Thing

SECOND_PERSON: Final = frozenset(("withdraw", "address", "approve", "keys"))
"""Scopes with which money can leave; a key with one needs the approval of another user."""
_NETWORKS_MAX: Final = 20
_PUBLIC_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}=\Z")

GrantedScope = Literal["read", "trade", "withdraw", "address", "approve", "keys"]


class NewKeyRequest(ForAccount, frozen=True, kw_only=True):
    """A key to create. Its scopes and networks cannot exceed those of the key that creates it.

    You choose `name`, which is unique within the account permanently. `public_key` (base64, 32
    bytes) is for the kind ed25519 only. Without `allow` it has the networks of its creator, and
    without `valid_until`, an instant in the future, the end of its creator, if that has one.
    """

    name: Name
    kind: Literal["hmac", "ed25519", "bearer"]
    scopes: Annotated[list[GrantedScope], Meta(min_length=1, max_length=6)]
    allow: Annotated[
        list[Annotated[str, Meta(max_length=43)]], Meta(min_length=1, max_length=_NETWORKS_MAX)
    ] | None = None
    public_key: Annotated[str, Meta(max_length=44)] | None = None
    valid_until: Instant | None = None


class RevokeQuery(Request, frozen=True, kw_only=True):
    """Whether to revoke also the keys that the key made, and those that they made."""

    descendants: bool = False


def create_key(call: BodyCall[NewKeyRequest]) -> Reply:
    """Create a key. If it could let money leave, it needs the approval of a second person."""
    request = call.body
    maker = call.principal.key
    account = own_account(call, request.account)
    require_active(call, account)
    scopes = _scopes(maker, request)
    secret, token_sha256, public_key = _credential(request)
    wanted = StoredKey(
        key=f"tk-{secrets.token_hex(10)}",
        name=request.name,
        kind=request.kind,
        account=account,
        firm=maker.firm,
        # Always the maker's: otherwise one person could also be the second person.
        user=maker.user,
        scopes=scopes,
        allow=_allowed(maker, request.allow),
        state="pending_approval" if SECOND_PERSON & set(scopes) else "active",
        created_at=call.now_us,
        created_by=maker.key,
        secret=b"" if request.kind == "bearer" else secret.encode(),
        token_sha256=token_sha256,
        public_key=public_key,
        valid_until=_end(call, request.valid_until),
    )
    try:
        made = call.services.key_store.add(wanted)
    except NameTaken:
        return _repeated(call, wanted)
    except Full:
        raise Problem("too_many_keys", "The account has its maximum number of keys.") from None
    except ActorRevoked:
        raise _actor_revoked(maker) from None
    except KeyStoreError as error:
        raise _unavailable(error) from error
    view = _view(made, call.now_us)
    return Reply(
        extended(view, NewKeyView, secret=secret or None),
        201,
        kept=extended(view, NewKeyView, secret=None),
    )


def get_keys(call: QueryCall[ActingQuery]) -> Reply:
    """List every key of the account, revoked and pending ones included, without secrets."""
    account = account_of(call, call.query.account)
    try:
        made = call.services.key_store.of(account)
        revoked = call.services.key_store.revocations()
    except KeyStoreError as error:
        raise _unavailable(error) from error
    configured = [
        _configured(key, revoked.get(key.key))
        for key in call.services.ring.configured
        if key.account == account
    ]
    keys = [_view(key, call.now_us) for key in configured + made]
    return Reply(KeysView(account=account, keys=keys))


def approve_key(call: PlainCall) -> Reply:
    """Activate a pending key; another user than its creator must do this."""
    caller = call.principal.key
    made = _made_key(call)
    if made.revoked_at:
        raise Problem("not_found", f"The key {made.key} is revoked.", field="key")
    if made.user == caller.user or made.created_by == caller.key:
        raise Problem(
            "self_approval",
            f"The key {made.key} must be approved by a user other than {made.user}.",
        )
    if made.state == "active":
        return answered(_view(made, call.now_us), replayed=True)
    require_active(call, made.account)
    try:
        call.services.key_store.approve(made.key, caller.key, call.now_us)
    except ActorRevoked:
        raise _actor_revoked(caller) from None
    except KeyStoreError as error:
        raise _unavailable(error) from error
    return Reply(_view(_made_key(call), call.now_us))


def revoke_key(call: QueryCall[RevokeQuery]) -> Reply:
    """Revoke a key permanently, one of the configuration too; no later request with it is served.

    With `descendants=true` the keys that it made are revoked too, and those that they made: use it
    for a key that leaked.
    """
    name = call.parts["key"]
    descendants = call.query.descendants
    try:
        configured = next((key for key in call.services.ring.configured if key.key == name), None)
        key = _configured(configured) if configured else call.services.key_store.find(name)
        if key is None or not reaches(call, key.account):
            raise _not_found(name)
        revoked = call.services.key_store.revoke(
            name, call.principal.key.key, call.now_us, descendants=descendants
        )
    except KeyStoreError as error:
        raise _unavailable(error) from error
    ended = replace(key, revoked_at=revoked.ended.at, revoked_by=revoked.ended.by)
    view = _view(ended, call.now_us)
    answer = extended(view, RevokedKeyView, descendants=list(revoked.descendants))
    return answered(answer, replayed=not revoked.changed)


def _scopes(maker: ApiKey, request: NewKeyRequest) -> tuple[Scope, ...]:
    """Return the requested scopes if the maker may grant them. Raises Problem."""
    wanted = set(request.scopes)
    if len(wanted) != len(request.scopes):
        raise Problem("invalid_request", "A scope is listed twice.", field="scopes")
    missing = sorted(wanted - maker.scopes)
    if missing:
        raise Problem(
            "insufficient_scope",
            f"The key {maker.key} does not have the scope {missing[0]}, so it cannot grant it.",
            required_scope=missing[0],
        )
    if {"withdraw", "approve"} <= wanted:
        raise Problem(
            "invalid_request", "One key cannot have both scopes withdraw and approve.",
            field="scopes",
        )
    if request.kind == "bearer" and wanted != {"read"}:
        raise Problem(
            "invalid_request", "A bearer key can have only the scope read.", field="scopes"
        )
    return tuple(scope for scope in SCOPES if scope in wanted)


def _credential(request: NewKeyRequest) -> tuple[str, str, bytes]:
    """Return the secret to show once, the hash of a token, and the public key. Raises Problem."""
    if request.kind == "ed25519":
        text = request.public_key or ""
        if _PUBLIC_KEY.match(text) is None:
            raise Problem(
                "invalid_request",
                "The kind ed25519 needs public_key: 32 bytes in base64.",
                field="public_key",
            )
        return "", "", base64.b64decode(text)
    if request.public_key is not None:
        raise Problem(
            "invalid_request", "public_key is only for the kind ed25519.", field="public_key"
        )
    secret = secrets.token_urlsafe(32)
    if request.kind == "bearer":
        return secret, hashlib.sha256(secret.encode()).hexdigest(), b""
    return secret, "", b""


def _allowed(maker: ApiKey, texts: list[str] | None) -> tuple[str, ...]:
    """Return the networks if they all lie within the maker's. Raises Problem."""
    if texts is None:
        return tuple(map(str, maker.allow))
    found: list[IPv4Network | IPv6Network] = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError:
            raise Problem(
                "invalid_request",
                "The field allow lists networks such as 203.0.113.0/24 or 2001:db8::/48.",
                field="allow",
            ) from None
        if maker.allow and not any(_within(network, outer) for outer in maker.allow):
            raise Problem(
                "not_permitted",
                f"The key {maker.key} may not be used from {network}, so it cannot allow it.",
                field="allow",
            )
        found.append(network)
    return tuple(dict.fromkeys(map(str, found)))


def _within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _repeated(call: AnyCall, wanted: StoredKey) -> Reply:
    """Answer a repeated request with the key that has the name, without its secret."""
    terms = attrgetter(
        "kind", "user", "scopes", "allow", "public_key", "created_by", "valid_until"
    )
    taken = Problem(
        "key_name_taken",
        f"The account {wanted.account} has, or had, another key named {wanted.name}.",
        field="name",
    )
    named = call.services.key_store.named(wanted.account, wanted.name)
    found = original(named, lambda found: terms(found) == terms(wanted), taken)
    view = _view(found, call.now_us)
    return answered(extended(view, NewKeyView, secret=None), replayed=True)


def _made_key(call: AnyCall) -> StoredKey:
    """Return the key in the path if it was made and the caller may decide about it."""
    name = call.parts["key"]
    try:
        found = call.services.key_store.find(name)
    except KeyStoreError as error:
        raise _unavailable(error) from error
    if found is None or not reaches(call, found.account):
        raise _not_found(name)
    return found


def _configured(key: ApiKey, ended: Revocation | None = None) -> StoredKey:
    """Describe a key of the configuration, which has no name and was made by nobody."""
    return StoredKey(
        key=key.key, name="", kind=key.kind, account=key.account, firm=key.firm, user=key.user,
        scopes=tuple(key.scopes), allow=tuple(map(str, key.allow)), state="active",
        created_at=0, created_by="",
        revoked_at=ended.at if ended else 0, revoked_by=ended.by if ended else "",
    )  # fmt: skip


def _end(call: AnyCall, wanted: Instant | None) -> int:
    """Return when a key to create ends, 0 for never: not after its maker. Raises Problem."""
    maker = call.principal.key
    if wanted is None:
        return maker.valid_until
    end = instant_us(wanted, "valid_until")
    if end <= call.now_us:
        raise Problem("invalid_request", "A key must end in the future.", field="valid_until")
    if maker.valid_until and end > maker.valid_until:
        raise Problem(
            "not_permitted",
            f"The key {maker.key} ends at {instant_text(maker.valid_until)}, so it cannot make "
            "one that ends later.",
            field="valid_until",
        )
    return end


def _view(key: StoredKey, now_us: int) -> KeyView:
    """Render a key; what never happened to it is null."""

    def instant(time_us: int) -> str | None:
        return instant_text(time_us) if time_us else None

    return KeyView(
        key=key.key,
        name=key.name or None,
        account=key.account,
        kind=key.kind,
        user=key.user,
        scopes=[scope for scope in SCOPES if scope in key.scopes],
        allow=list(key.allow),
        state=key.state_at(now_us),
        created_at=instant(key.created_at),
        created_by=key.created_by or None,
        approved_at=instant(key.approved_at),
        approved_by=key.approved_by or None,
        revoked_at=instant(key.revoked_at),
        revoked_by=key.revoked_by or None,
        valid_until=instant(key.valid_until),
    )


def _not_found(name: str) -> Problem:
    return Problem("not_found", f"There is no key {name[:64]}.", field="key")


def _actor_revoked(key: ApiKey) -> Problem:
    """Make the problem for a key that was revoked after its request was let in."""
    return Problem(
        "unauthorized", f"The key {key.key} was revoked during the request; nothing was done.",
        headers=CHALLENGE,
    )  # fmt: skip


def _unavailable(error: KeyStoreError) -> Problem:
    if error.leaderless:
        return no_leader("unknown" if error.unknown else "not_applied")
    return Problem(
        "keys_unavailable", "The API keys cannot be read or written at this moment.",
        outcome="unknown" if error.unknown else None,
    )  # fmt: skip


ROUTES: Final = (
    Route(
        "GET", "/v1/api-keys", get_keys, "API keys", KeysView,
        thing=Thing.READ_KEYS, tag="keys",
    ),
    Route(
        "POST", "/v1/api-keys", create_key, "Make an API key", NewKeyView,
        thing=Thing.MAKE_KEYS, status=201, replays=True,
        tag="keys",
        errors=("key_name_taken", "too_many_keys", "not_permitted", "account_suspended"),
    ),
    Route(
        "DELETE", "/v1/api-keys/{key}", revoke_key, "Revoke an API key", RevokedKeyView,
        thing=Thing.REVOKE_KEYS, replays=True, tag="keys", errors=("not_found",),
    ),
    Route(
        "POST", "/v1/api-keys/{key}/approve", approve_key, "Approve an API key", KeyView,
        thing=Thing.APPROVE_KEYS, replays=True, tag="keys",
        errors=("self_approval", "account_suspended", "not_found"),
    ),
)  # fmt: skip
