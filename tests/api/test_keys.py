"""API keys that are made through the API: what they may do, who decides, when they end."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import stat
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from account_api.http.app import create_app
from account_api.security.auth import signing_text
from account_api.security.change_counter import Changes
from account_api.security.idempotency import Idempotency
from account_api.security.keyring import KeyRing
from account_api.security.keystore import (
    KEYS_OF_ACCOUNT_MAX,
    ActorRevoked,
    Full,
    KeyStore,
    NameTaken,
    StoredKey,
)
from account_api.security.rate_limit import RateLimiter
from account_api.settings import RateLimit
from tests.api.client import Answer, Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine

ORDER = {
    "client_order_id": "k-1", "symbol": "BTC-USD", "side": "buy", "quantity": "0.5",
    "price": "100",
}  # fmt: skip


def wanted(name: str = "desk", kind: str = "hmac", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "scopes": ["read", "trade"], **more}


def made(caller: CallerOf, app: Flask, clock: Clock, **more: Any) -> tuple[dict[str, Any], Caller]:
    """A key that alice made, and a caller who has it."""
    view = caller("alice-keys").post("/v1/api-keys", wanted(**more)).ok(201)
    return view, Caller(app.test_client(), clock, key=view["key"], secret=view["secret"])


def state_of(caller: CallerOf, key: str) -> dict[str, Any]:
    rows = caller("alice-read").get("/v1/api-keys").ok()["keys"]
    return next(row for row in rows if row["key"] == key)


def test_a_key_is_good_at_once_and_its_secret_is_shown_once(
    caller: CallerOf, app: Flask, clock: Clock
) -> None:
    view, holder = made(caller, app, clock)
    assert (view["state"], view["user"], view["account"]) == ("active", "alice-treasurer", "alice")
    assert view["created_by"] == "demo-alice-keys" and len(view["secret"]) >= 43
    holder.post("/v1/orders", ORDER).ok(201)
    holder.post("/v1/withdrawals", {}).problem(403, "insufficient_scope")
    listed = caller("alice-read").get("/v1/api-keys")
    assert view["secret"] not in listed.raw.decode()
    assert "secret" not in state_of(caller, view["key"])
    again = caller("alice-keys").post("/v1/api-keys", wanted())
    assert again.replayed and again.ok()["secret"] is None and again.ok()["key"] == view["key"]
    caller("alice-keys").post("/v1/api-keys", wanted(scopes=["read"])).problem(
        409, "key_name_taken"
    )


def test_under_an_idempotency_key_no_secret_is_kept(
    caller: CallerOf, app: Flask, tmp_path: Path
) -> None:
    first = caller("alice-keys").post("/v1/api-keys", wanted(), idempotency_key="i-1").ok(201)
    again = caller("alice-keys").post("/v1/api-keys", wanted(), idempotency_key="i-1")
    assert again.replayed
    assert again.ok() == first | {"secret": None}
    app.extensions["tandem"].close()
    for path in tmp_path.iterdir():
        if path.is_file():
            assert first["secret"].encode() not in path.read_bytes(), path


def test_a_revoked_key_is_good_for_nothing_from_then_on(
    caller: CallerOf, app: Flask, clock: Clock
) -> None:
    view, holder = made(caller, app, clock)
    holder.get("/v1/balances").ok()
    target = f"/v1/api-keys/{view['key']}"
    ended = caller("alice-keys").delete(target)
    assert (ended.ok()["state"], ended.ok()["revoked_by"]) == ("revoked", "demo-alice-keys")
    holder.get("/v1/balances").problem(401, "unauthorized")
    assert caller("alice-keys").delete(target).replayed
    assert state_of(caller, view["key"])["state"] == "revoked"
    # The name stays taken, and the repeat of the request that made it brings nothing back.
    repeat = caller("alice-keys").post("/v1/api-keys", wanted())
    assert repeat.replayed and repeat.ok()["state"] == "revoked"
    holder.get("/v1/balances").problem(401, "unauthorized")


def test_what_a_key_made_ends_with_it_if_that_is_asked_for(
    caller: CallerOf, app: Flask, clock: Clock
) -> None:
    maker = caller("alice-keys")
    leaked, leaked_caller = made(caller, app, clock, name="leaked", scopes=["read", "keys"])
    caller("alice-approve").post(f"/v1/api-keys/{leaked['key']}/approve").ok()
    child = leaked_caller.post("/v1/api-keys", wanted("child", scopes=["read", "keys"])).ok(201)
    caller("alice-approve").post(f"/v1/api-keys/{child['key']}/approve").ok()
    child_caller = Caller(app.test_client(), clock, key=child["key"], secret=child["secret"])
    grandchild = child_caller.post("/v1/api-keys", wanted("grandchild", scopes=["read"])).ok(201)
    holder = Caller(app.test_client(), clock, key=grandchild["key"], secret=grandchild["secret"])
    _, other = made(caller, app, clock, name="other")

    target = f"/v1/api-keys/{leaked['key']}"
    alone = maker.delete(target)
    assert not alone.replayed and alone.ok()["descendants"] == []
    holder.get("/v1/balances").ok()
    family = maker.delete(f"{target}?descendants=true")
    assert not family.replayed, "it ended what was still good"
    assert family.ok()["descendants"] == [child["key"], grandchild["key"]]
    for ended in (leaked_caller, child_caller, holder):
        ended.get("/v1/balances").problem(401, "unauthorized")
    other.get("/v1/balances").ok()
    assert state_of(caller, grandchild["key"])["revoked_by"] == "demo-alice-keys"
    # Who did not hear the answer asks again, and has it.
    again = maker.delete(f"{target}?descendants=true")
    assert again.replayed and again.ok() == family.ok()
    assert maker.delete(target).replayed
    problem = maker.delete(f"{target}?descendants=perhaps").problem(400, "invalid_request")
    assert problem["field"] == "descendants"


@pytest.mark.parametrize("act", ["make", "approve"])
def test_a_key_revoked_while_its_request_is_done_leaves_no_other_behind(
    caller: CallerOf, app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    store = app.extensions["tandem"].key_store
    pending, _ = made(caller, app, clock, name="pending", scopes=["read", "withdraw"])
    name, key = {"make": ("add", "alice-keys"), "approve": ("approve", "alice-approve")}[act]
    do = getattr(store, name)

    def late(*arguments: Any) -> Any:
        store.revoke(f"demo-{key}", "somebody", 1, descendants=True)
        return do(*arguments)

    monkeypatch.setattr(store, name, late)
    if act == "make":
        refused = caller(key).post("/v1/api-keys", wanted("late"))
    else:
        refused = caller(key).post(f"/v1/api-keys/{pending['key']}/approve")
    assert "was revoked during the request" in refused.problem(401, "unauthorized")["detail"]
    assert refused.headers["WWW-Authenticate"]
    assert store.named("alice", "late") is None
    kept = store.find(pending["key"])
    assert kept is not None and kept.state == "pending_approval"


def test_keys_of_the_configuration_can_be_revoked_too(caller: CallerOf) -> None:
    caller("alice-trade").get("/v1/balances").ok()
    caller("alice-keys").delete("/v1/api-keys/demo-alice-trade").ok()
    caller("alice-trade").get("/v1/balances").problem(401, "unauthorized")
    assert state_of(caller, "demo-alice-trade")["state"] == "revoked"
    caller("operator").delete("/v1/api-keys/demo-bob-trade").ok()
    caller("bob-trade").get("/v1/balances").problem(401, "unauthorized")


def test_bearer_and_ed25519_keys(caller: CallerOf, app: Flask, clock: Clock) -> None:
    token = caller("alice-keys").post(
        "/v1/api-keys", wanted("dash", "bearer", scopes=["read"])
    ).ok(201)["secret"]
    reader = Caller(app.test_client(), clock, token=token)
    reader.get("/v1/balances").ok()
    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    view = caller("alice-keys").post(
        "/v1/api-keys", wanted("robot", "ed25519", public_key=public)
    ).ok(201)
    assert view["secret"] is None
    clock.advance(1)
    stamp, body = str(clock.now_us // 1000), json.dumps(ORDER).encode()
    signature = private.sign(signing_text(stamp, "POST", "/v1/orders", body)).hex()
    nobody = Caller(app.test_client(), clock)
    headers = {
        "X-Tandem-Key": view["key"], "X-Tandem-Timestamp": stamp,
        "X-Tandem-Signature": signature,
    }  # fmt: skip
    nobody.send("POST", "/v1/orders", body, headers).ok(201)


def test_a_key_grants_no_more_than_its_maker_has(caller: CallerOf, app: Flask) -> None:
    maker = caller("alice-keys")
    refused = maker.post("/v1/api-keys", wanted(scopes=["approve"]))
    assert refused.problem(403, "insufficient_scope")["required_scope"] == "approve"
    maker.post("/v1/api-keys", wanted(scopes=["operator"])).problem(400, "invalid_request")
    caller("alice-trade").post("/v1/api-keys", wanted()).problem(403, "insufficient_scope")
    caller("operator").post("/v1/api-keys", wanted()).problem(403, "insufficient_scope")
    maker.post("/v1/api-keys", wanted(account="bob")).problem(404, "not_found")
    maker.post("/v1/api-keys", wanted(account="alice:desk")).ok(201)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (wanted(scopes=[]), "scopes"),
        (wanted(scopes=["read", "read"]), "scopes"),
        (wanted(kind="bearer"), "scopes"),
        (wanted(kind="operator"), "kind"),
        (wanted(kind="ed25519"), "public_key"),
        (wanted(kind="ed25519", public_key="A" * 43), "public_key"),
        (wanted(kind="ed25519", public_key="A" * 43 + "=\n"), "public_key"),
        (wanted(public_key="A" * 43 + "="), "public_key"),
        (wanted(allow=[]), "allow"),
        (wanted(allow=["10.0.0.1/8"]), "allow"),
        (wanted(allow=["localhost"]), "allow"),
        (wanted(allow=["10.0.0.0/8"] * 21), "allow"),
        (wanted(name="with space"), "name"),
        (wanted(name="line\n"), "name"),
        (wanted(secret="mine"), "secret"),
    ],
)
def test_what_cannot_be_a_key_is_refused(
    caller: CallerOf, body: dict[str, Any], field: str
) -> None:
    problem = caller("alice-keys").post("/v1/api-keys", body).problem(400, "invalid_request")
    assert problem["field"].startswith(field)


def test_networks_bind_a_key_and_those_of_its_maker_bind_what_it_may_allow(
    engine: InProcessEngine, clock: Clock, app: Flask
) -> None:
    settings = app.extensions["tandem"].settings
    keys = tuple(
        replace(key, allow=(ip_network("127.0.0.0/8"),)) if key.key == "demo-alice-keys" else key
        for key in settings.keys
    )
    http = create_app(replace(settings, keys=keys), lambda: engine, None, clock).test_client()
    maker = Caller(http, clock, key="demo-alice-keys")
    assert maker.post("/v1/api-keys", wanted("inherits")).ok(201)["allow"] == ["127.0.0.0/8"]
    for outside in ("10.0.0.0/8", "0.0.0.0/0", "::/0"):
        problem = maker.post("/v1/api-keys", wanted(allow=[outside]))
        problem.problem(403, "not_permitted")
    view = maker.post("/v1/api-keys", wanted(allow=["127.0.0.2/32"])).ok(201)
    holder = Caller(http, clock, key=view["key"], secret=view["secret"])
    holder.get("/v1/balances").problem(403, "source_not_allowed")
    view = maker.post("/v1/api-keys", wanted("here", allow=["127.0.0.1"])).ok(201)
    holder = Caller(http, clock, key=view["key"], secret=view["secret"])
    holder.get("/v1/balances").ok()


def test_a_key_ends_when_it_was_said_to_and_makes_none_that_outlives_it(
    caller: CallerOf, app: Flask, clock: Clock
) -> None:
    maker = caller("alice-keys")
    day_ms = clock() // 1000 + 86_400_000
    forever = maker.post("/v1/api-keys", wanted("forever")).ok(201)
    assert (forever["valid_until"], forever["state"]) == (None, "active")
    past = maker.post("/v1/api-keys", wanted("past", valid_until=clock() // 1000))
    assert past.problem(400, "invalid_request")["field"] == "valid_until"
    scopes = ["read", "trade", "keys"]
    view, holder = made(caller, app, clock, scopes=scopes, valid_until=day_ms)
    assert view["valid_until"].startswith("2030-03-18T")
    caller("alice-approve").post(f"/v1/api-keys/{view['key']}/approve").ok()
    own = holder.post("/v1/api-keys", wanted("own")).ok(201)
    assert own["valid_until"] == view["valid_until"]
    assert holder.post("/v1/api-keys", wanted("own")).replayed
    later = holder.post("/v1/api-keys", wanted("later", valid_until=day_ms + 1))
    assert later.problem(403, "not_permitted")["field"] == "valid_until"
    clock.advance(86_399)
    holder.get("/v1/balances").ok()
    clock.advance(1)
    holder.get("/v1/balances").problem(403, "key_expired")
    states = {row["key"]: row["state"] for row in maker.get("/v1/api-keys").ok()["keys"]}
    assert states[view["key"]] == states[own["key"]] == "expired"
    assert states[forever["key"]] == "active"
    revoked = maker.delete(f"/v1/api-keys/{view['key']}").ok()
    assert revoked["state"] == "revoked"


@pytest.mark.parametrize("scope", ["withdraw", "address", "keys"])
def test_a_key_that_may_move_money_waits_for_a_second_person(
    caller: CallerOf, app: Flask, clock: Clock, scope: str
) -> None:
    view, holder = made(caller, app, clock, scopes=["read", scope])
    assert view["state"] == "pending_approval"
    holder.get("/v1/balances").problem(403, "key_pending")
    target = f"/v1/api-keys/{view['key']}/approve"
    caller("alice-keys").post(target).problem(403, "insufficient_scope")
    caller("bob-approve").post(target).problem(404, "not_found")
    approved = caller("alice-approve").post(target)
    assert (approved.ok()["state"], approved.ok()["approved_by"]) == (
        "active", "demo-alice-approve",
    )  # fmt: skip
    holder.get("/v1/balances").ok()
    assert caller("alice-approve").post(target).replayed
    caller("alice-keys").delete(f"/v1/api-keys/{view['key']}").ok()
    caller("alice-approve").post(target).problem(404, "not_found")
    holder.get("/v1/balances").problem(401, "unauthorized")


def test_nobody_approves_a_key_of_ones_own_user_nor_a_withdrawal_through_one(
    engine: InProcessEngine, clock: Clock, app: Flask
) -> None:
    settings = app.extensions["tandem"].settings
    keys = tuple(
        replace(key, user="alice-treasurer") if key.key == "demo-alice-approve" else key
        for key in settings.keys
    )
    http = create_app(replace(settings, keys=keys), lambda: engine, None, clock).test_client()
    maker = Caller(http, clock, key="demo-alice-keys")
    approver = Caller(http, clock, key="demo-alice-approve")
    view = maker.post("/v1/api-keys", wanted(scopes=["withdraw"])).ok(201)
    approver.post(f"/v1/api-keys/{view['key']}/approve").problem(403, "self_approval")
    # A made key speaks for its maker's user, whatever it is called.
    assert view["user"] == "alice-treasurer"


def test_keys_of_others_do_not_exist(caller: CallerOf, app: Flask, clock: Clock) -> None:
    view, _ = made(caller, app, clock)
    caller("bob-read").get("/v1/api-keys", account="alice").problem(404, "not_found")
    names = [row["key"] for row in caller("bob-read").get("/v1/api-keys").ok()["keys"]]
    assert "demo-bob-trade" in names and view["key"] not in names
    caller("alice-keys").delete("/v1/api-keys/demo-bob-trade").problem(404, "not_found")
    caller("alice-keys").delete("/v1/api-keys/demo-operator").problem(404, "not_found")
    caller("alice-keys").delete("/v1/api-keys/tk-0").problem(404, "not_found")
    caller("bob-trade").delete(f"/v1/api-keys/{view['key']}").problem(403, "insufficient_scope")
    assert caller("operator").get("/v1/api-keys", account="alice").ok()["keys"]


def test_a_made_key_has_a_rate_limit_of_its_own() -> None:
    now = [0.0]
    limiter = RateLimiter(
        (("trade", RateLimit(2, 10)), ("read", RateLimit(1, 10))), ["a"], lambda: now[0], 3
    )
    now[0] = 1e9
    taken = [limiter.take("tk-1", "trade", 1) for _ in range(3)]
    assert [one is not None and one.allowed for one in taken] == [True, True, False]
    for key, slot in (("tk-2", 2), ("tk-3", 3), ("a", 0)):
        for group in ("trade", "read"):
            verdict = limiter.take(key, group, slot)
            assert verdict is not None and verdict.allowed, (key, group)
    verdict = limiter.take("tk-1", "read", 1)
    assert verdict is not None and verdict.allowed


# The file.


def stored(name: str, account: str = "alice", **more: Any) -> StoredKey:
    fields: dict[str, Any] = {
        "key": f"tk-{account}-{name}", "name": name, "kind": "hmac", "account": account,
        "firm": "alice", "user": "u", "scopes": ("read",), "allow": (), "state": "active",
        "created_at": 1, "created_by": "m", "secret": b"the-secret-of-it",
    }  # fmt: skip
    return StoredKey(**fields | more)


def test_the_file_holds_no_secret_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    store = KeyStore(str(tmp_path / "keys.db"), str(tmp_path / "keys.master"))
    store.add(stored("a"))
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("keys.db*"))
    assert b"the-secret" not in content and b"tk-alice-a" in content
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    again = KeyStore(str(tmp_path / "keys.db"), str(tmp_path / "keys.master"))
    found = again.find("tk-alice-a")
    assert found is not None and found.secret == b"the-secret-of-it"
    assert "the-secret" not in repr(found)


def test_with_another_master_key_a_secret_opens_for_nobody(tmp_path: Path) -> None:
    store = KeyStore(str(tmp_path / "keys.db"), str(tmp_path / "keys.master"))
    store.add(stored("a"))
    store.add(stored("b", kind="bearer", secret=b"", token_sha256="0" * 64))
    (tmp_path / "keys.master").unlink()
    ring = KeyRing((), KeyStore(str(tmp_path / "keys.db"), str(tmp_path / "keys.master")))
    assert set(ring.current().named) == {"tk-alice-b"}
    # Nor does a secret that was moved to the row of another key.
    with sqlite3.connect(tmp_path / "keys.db") as database:
        database.execute("update keys set key = 'tk-other' where name = 'a'")
    moved = store.find("tk-other")
    assert moved is not None and moved.secret == b""


def test_what_one_process_changes_holds_for_the_next_request_to_another(tmp_path: Path) -> None:
    path, master = str(tmp_path / "keys.db"), str(tmp_path / "keys.master")
    one, other = KeyStore(path, master), KeyRing((), KeyStore(path, master))
    assert other.current().named == {}
    one.add(stored("a"))
    assert set(other.current().named) == {"tk-alice-a"}
    unchanged = other.current()
    assert other.current() is unchanged, "nothing is read anew without a change"
    one.revoke("tk-alice-a", "me", 5)
    assert other.current().named == {}
    again = one.revoke("tk-alice-a", "you", 9)
    assert (again.ended.by, again.changed, again.descendants) == ("me", False, ())


def test_a_process_that_dies_while_it_revokes_leaves_nobody_with_the_old_keys(
    tmp_path: Path,
) -> None:
    path, master = str(tmp_path / "keys.db"), str(tmp_path / "keys.master")
    one, ring = KeyStore(path, master), KeyRing((), KeyStore(path, master))
    one.add(stored("a"))
    assert set(ring.current().named) == {"tk-alice-a"}
    # It committed, and did not come to say that it is done.
    with open(f"{path}-changes", "r+b") as changes:
        changes.write((Changes(f"{path}-changes").count() | 1).to_bytes(8, "little"))
    assert ring.store is not None and ring.store.version() & 1
    with sqlite3.connect(path) as database:
        database.execute("insert into revoked values ('tk-alice-a', 1, 'x')")
    assert ring.current().named == {}
    one.add(stored("b"))
    assert not ring.store.version() & 1
    assert set(ring.current().named) == {"tk-alice-b"}


def test_bounds_and_names_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore(":memory:")
    monkeypatch.setattr("account_api.security.keystore.KEYS_OF_ACCOUNT_MAX", 2)
    assert KEYS_OF_ACCOUNT_MAX == 1_000
    store.add(stored("a"))
    with pytest.raises(NameTaken):
        store.add(stored("a", key="tk-x"))
    store.add(stored("b"))
    with pytest.raises(Full):
        store.add(stored("c"))
    store.add(stored("a", account="bob"))
    assert [key.slot for key in store.live()] == [1, 2, 3]


def test_descendants_are_found_in_any_depth_and_beside_others() -> None:
    store = KeyStore(":memory:")
    for name, maker in (("a", "conf"), ("b", "tk-alice-a"), ("x", "else"), ("c", "tk-alice-b")):
        store.add(stored(name, created_by=maker))
    store.revoke("tk-alice-b", "early", 2)
    with pytest.raises(ActorRevoked):
        store.add(stored("d", created_by="tk-alice-b"))
    done = store.revoke("conf", "me", 5, descendants=True)
    assert done.changed and done.descendants == ("tk-alice-a", "tk-alice-b", "tk-alice-c")
    assert [key.key for key in store.live()] == ["tk-alice-x"]
    assert {key: ended.by for key, ended in store.revocations().items()} == {
        "conf": "me", "tk-alice-a": "me", "tk-alice-b": "early", "tk-alice-c": "me",
    }  # fmt: skip


def test_too_many_keys_and_an_unreadable_file_are_said(
    caller: CallerOf, app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("account_api.security.keystore.KEYS_OF_ACCOUNT_MAX", 0)
    caller("alice-keys").post("/v1/api-keys", wanted()).problem(409, "too_many_keys")
    app.extensions["tandem"].key_store.close()
    for path in tmp_path.glob("keys.db*"):
        path.unlink()
    (tmp_path / "keys.db").mkdir()
    problem = caller("alice-trade").get("/v1/balances").problem(503, "keys_unavailable")
    assert problem["retryable"] and problem["outcome"] == "not_applied"


def test_the_memory_of_answers_keeps_what_may_be_kept() -> None:
    from account_api.reply import Reply
    from account_api.schema.responses import TimeView

    memory = Idempotency(":memory:", lambda: 1)
    first, kept = TimeView(time="secret", time_ms=1), TimeView(time="", time_ms=1)
    memory.once("o", "k", b"r", lambda token: Reply(first, 201, kept=kept))
    again: Answer | Any = memory.once("o", "k", b"r", lambda token: Reply(first, 201))
    assert b"secret" not in bytes(again.body)
    assert hashlib.sha256(bytes(again.body)).digest()
