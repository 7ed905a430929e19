"""Webhook endpoints over REST: registered, changed, tested, told of; and who may do it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

import pytest
from flask import Flask

from account_api.webhooks.kinds import EVENT_TYPES
from account_api.webhooks.store import Attempt
from tests.api.client import Answer, Caller, CallerOf
from tests.api.inprocess import Clock, InProcessEngine

URL: Final = "https://1.1.1.1/hook"


def made(who: Caller, name: str = "n", **more: Any) -> Any:
    body = {"name": name, "url": URL, "events": ["withdrawal.*"], **more}
    return who.post("/v1/webhooks", body).ok(201)


@pytest.fixture
def keys(caller: CallerOf) -> Caller:
    return caller("alice-keys")


def deposit(caller: CallerOf, name: str, account: str = "alice") -> int:
    body = {
        "deposit_id": name, "account": account, "asset": "BTC", "amount": "1",
        "network": "bitcoin", "confirmations": 9,
    }  # fmt: skip
    return int(caller("operator").post("/v1/deposits", body).ok(201)["as_of_seq"])


def test_an_endpoint_is_registered_with_a_secret_that_is_shown_once(
    keys: Caller, caller: CallerOf
) -> None:
    first = made(keys, events=["withdrawal.*", "fill.created"])
    assert len(base64.b64decode(first["secret"].removeprefix("whsec_"))) == 32
    assert first["secret"].startswith("whsec_") and first["webhook_id"].startswith("wh_")
    assert first["events"] == [*(t for t in EVENT_TYPES if t[0] == "w"), "fill.created"]
    assert (first["state"], first["account"], first["created_by"]) == (
        "active", "alice", "demo-alice-keys",
    )  # fmt: skip
    target = f"/v1/webhooks/{first['webhook_id']}"
    read = caller("alice-read")
    one = read.get(target).ok()
    assert one == {name: value for name, value in first.items() if name != "secret"}
    assert read.get("/v1/webhooks").ok() == {"account": "alice", "webhooks": [one]}
    assert caller("operator").get("/v1/webhooks", account="alice").ok()["webhooks"] == [one]


def test_a_repeat_gets_the_endpoint_and_other_terms_are_refused(keys: Caller) -> None:
    first = made(keys)
    body = {"name": "n", "url": URL, "events": ["withdrawal.*"]}
    again = keys.post("/v1/webhooks", body)
    assert again.replayed and again.ok()["webhook_id"] == first["webhook_id"]
    assert again.json["secret"] is None
    other = keys.post("/v1/webhooks", {**body, "url": "https://1.1.1.1/other"})
    other.problem(409, "webhook_name_taken")
    keys.delete(f"/v1/webhooks/{first['webhook_id']}").ok()
    assert made(keys, url="https://1.1.1.1/other")["webhook_id"] != first["webhook_id"]


def test_a_repeat_under_an_idempotency_key_shows_no_secret(keys: Caller) -> None:
    body = {"name": "n", "url": URL, "events": ["*"]}
    assert keys.post("/v1/webhooks", body, "k1").ok(201)["secret"]
    again = keys.post("/v1/webhooks", body, "k1")
    assert again.replayed and again.json["secret"] is None


REFUSED: Final = [
    ("https://10.0.0.1/", "not a public address"),
    ("https://169.254.169.254/", "not a public address"),
    ("http://example.com/", "localhost only"),
    ("https://a:b@example.com/", "user or password"),
    ("nothing", "must be a URL"),
]


def test_a_url_that_cannot_be_delivered_to_is_refused(keys: Caller) -> None:
    name = made(keys)["webhook_id"]
    for url, why in REFUSED:
        body = {"name": "m", "url": url, "events": ["*"]}
        problem = keys.post("/v1/webhooks", body).problem(422, "invalid_webhook_url")
        assert why in problem["detail"] and problem["field"] == "url"
        keys.patch(f"/v1/webhooks/{name}", {"url": url}).problem(422, "invalid_webhook_url")
    assert keys.get(f"/v1/webhooks/{name}").ok()["url"] == URL


def test_a_demo_takes_a_receiver_on_this_machine(keys: Caller) -> None:
    assert made(keys, url="http://127.0.0.1:9000/hook")["url"] == "http://127.0.0.1:9000/hook"


WRONG: Final[list[dict[str, Any]]] = [
    {"events": []}, {"events": ["withdrawal.lost"]}, {"events": ["*"] * 33}, {"url": ""},
    {"name": "a b"}, {"url": "https://1.1.1.1/" + "a" * 500}, {"firm_wide": "yes"},
]  # fmt: skip


def test_wrong_input_names_its_field(keys: Caller) -> None:
    for wrong in WRONG:
        body = {"name": "n", "url": URL, "events": ["*"], **wrong}
        problem = keys.post("/v1/webhooks", body).problem(400, "invalid_request")
        assert problem["field"].startswith(next(iter(wrong))), wrong


def test_only_a_key_with_the_scope_keys_manages_and_only_its_own(
    keys: Caller, caller: CallerOf
) -> None:
    name = made(keys)["webhook_id"]
    target = f"/v1/webhooks/{name}"
    body = {"name": "x", "url": URL, "events": ["*"]}

    def everything(who: Caller) -> list[Answer]:
        return [
            who.post("/v1/webhooks", body), who.patch(target, {"state": "disabled"}),
            who.delete(target), who.post(f"{target}/rotate-secret"), who.post(f"{target}/ping"),
            who.post(f"{target}/resend", {"event_id": "evt_1_0"}),
        ]  # fmt: skip

    for holder in ("alice-trade", "alice-withdraw", "alice-approve", "operator"):
        for answer in everything(caller(holder)):
            assert answer.problem(403, "insufficient_scope")["required_scope"] == "keys"
    bob = caller("bob-trade")
    for answer in (bob.get(target), bob.get(f"{target}/deliveries")):
        answer.problem(404, "not_found")
    assert bob.get("/v1/webhooks").ok()["webhooks"] == []
    assert keys.get(target).ok()["state"] == "active"


def test_an_account_has_a_bounded_number(keys: Caller) -> None:
    for number in range(10):
        made(keys, f"n{number}")
    body = {"name": "more", "url": URL, "events": ["*"]}
    keys.post("/v1/webhooks", body).problem(409, "too_many_webhooks")
    other = keys.post("/v1/webhooks", {**body, "account": "alice:desk"}).ok(201)
    assert other["account"] == "alice:desk"


def test_only_the_main_account_is_firm_wide(keys: Caller) -> None:
    assert made(keys, firm_wide=True)["firm_wide"]
    body = {"name": "n", "url": URL, "events": ["*"], "firm_wide": True, "account": "alice:desk"}
    keys.post("/v1/webhooks", body).problem(403, "not_permitted")


def test_changes_are_seen_and_a_name_stays_unique(
    keys: Caller, app: Flask, clock: Clock
) -> None:
    made(keys, "other")
    name = made(keys)["webhook_id"]
    target = f"/v1/webhooks/{name}"
    changed = keys.patch(
        target, {"name": "m", "url": URL + "2", "events": ["deposit.credited"]}
    ).ok()
    assert (changed["name"], changed["url"], changed["events"]) == (
        "m", URL + "2", ["deposit.credited"],
    )  # fmt: skip
    keys.patch(target, {"name": "other"}).problem(409, "webhook_name_taken")
    assert keys.patch(target, {"state": "disabled"}).ok()["reason"] == "by_request"
    for op, body in (("ping", None), ("resend", {"from_seq": 1, "to_seq": 2})):
        keys.post(f"{target}/{op}", body).problem(409, "webhook_disabled")
    store = app.extensions["tandem"].webhooks
    store.change(name, failures=4, failing_since=clock.now_us, last_error="status 500")
    active = keys.patch(target, {"state": "active"}).ok()
    assert (active["state"], active["failures"], active["last_error"]) == ("active", 0, None)


def test_what_was_missed_can_be_skipped(keys: Caller, caller: CallerOf) -> None:
    one = made(keys)
    seq = deposit(caller, "d1")
    target = f"/v1/webhooks/{one['webhook_id']}"
    assert keys.patch(target, {"state": "active"}).ok()["seq"] == one["seq"] < seq
    assert keys.patch(target, {"state": "active", "skip_missed": True}).ok()["seq"] == seq


def test_rotation_keeps_the_secret_that_the_firm_has_for_a_time(
    keys: Caller, app: Flask, clock: Clock
) -> None:
    one = made(keys)
    target = f"/v1/webhooks/{one['webhook_id']}"
    store = app.extensions["tandem"].webhooks

    def signing() -> list[str]:
        secrets = store.find(one["webhook_id"]).secrets(clock.now_us)
        return ["whsec_" + base64.b64encode(each).decode() for each in secrets]

    first = keys.post(f"{target}/rotate-secret").ok()
    assert signing() == [first["secret"], one["secret"]] and first["old_secret_until"]
    # The answer was lost, so it is asked for again: the firm still has the old one only.
    second = keys.post(f"{target}/rotate-secret", {"old_valid_s": 60}).ok()
    assert signing() == [second["secret"], one["secret"]]
    clock.advance(61)
    assert signing() == [second["secret"]]
    assert keys.get(target).ok()["old_secret_until"] is None
    third = keys.post(f"{target}/rotate-secret", {"old_valid_s": 0}).ok()
    assert signing() == [third["secret"]]
    keys.post(f"{target}/rotate-secret", {"old_valid_s": 10**6}).problem(400, "invalid_request")


def test_tests_and_repeats_wait_in_a_bounded_queue(
    keys: Caller, caller: CallerOf, app: Flask
) -> None:
    one = made(keys, events=["deposit.*"])
    target = f"/v1/webhooks/{one['webhook_id']}"
    ping = keys.post(f"{target}/ping").ok(202)
    assert ping["event_id"] == "ping_1" and ping["kind"] == "ping"
    seq = deposit(caller, "d1")
    again = keys.post(f"{target}/resend", {"event_id": f"evt_{seq}_0"}).ok(202)
    assert (again["from_seq"], again["to_seq"]) == (seq, seq)
    assert keys.post(f"{target}/resend", {"from_seq": 1, "to_seq": seq}).ok(202)["kind"] == "resend"
    for name in (f"evt_{seq}_7", "evt_x", "evt_1_0"):
        keys.post(f"{target}/resend", {"event_id": name}).problem(404, "not_found")
    for wrong in ({}, {"from_seq": 1}, {"from_seq": 2, "to_seq": 1},
                  {"event_id": "evt_1_0", "from_seq": 1, "to_seq": 2}):  # fmt: skip
        keys.post(f"{target}/resend", wrong).problem(400, "invalid_request")
    for _ in range(7):
        keys.post(f"{target}/ping").ok(202)
    assert keys.post(f"{target}/ping").problem(409, "too_many_webhooks")["retryable"]
    store = app.extensions["tandem"].webhooks
    assert store.errand(one["webhook_id"]).kind == "ping"


def test_the_log_is_read_in_pages_newest_first(keys: Caller, app: Flask) -> None:
    one = made(keys)
    store = app.extensions["tandem"].webhooks
    for number in range(5):
        store.record(
            Attempt(
                one["webhook_id"], f"evt_{number}_0", "fill.created", "event", 10**15 + number,
                number != 2, 200 if number != 2 else 0, 1_500, "" if number != 2 else "late", "ok",
            )
        )  # fmt: skip
    target = f"/v1/webhooks/{one['webhook_id']}/deliveries"
    first = keys.get(target, limit=3).ok()
    assert [row["event_id"] for row in first["deliveries"]] == ["evt_4_0", "evt_3_0", "evt_2_0"]
    assert first["deliveries"][2] == {
        "event_id": "evt_2_0", "type": "fill.created", "kind": "event",
        "attempted_at": "2001-09-09T01:46:40.000002Z", "delivered": False, "http_status": None,
        "latency_ms": 2, "error": "late", "answer": None,
    }  # fmt: skip
    rest = keys.get(target, limit=3, cursor=first["next_cursor"]).ok()
    assert [row["event_id"] for row in rest["deliveries"]] == ["evt_1_0", "evt_0_0"]
    assert rest["next_cursor"] is None
    assert len(keys.get(target, event_id="evt_3_0").ok()["deliveries"]) == 1


def test_a_suspended_account_registers_nothing(keys: Caller, caller: CallerOf) -> None:
    caller("operator").put("/v1/accounts/alice/status", {"status": "suspended"}).ok()
    body = {"name": "n", "url": URL, "events": ["*"]}
    keys.post("/v1/webhooks", body).problem(403, "account_suspended")


def test_a_venue_without_endpoints_has_no_file_of_them(
    keys: Caller, engine: InProcessEngine, app: Flask
) -> None:
    file = app.extensions["tandem"].settings.webhooks.file
    assert keys.get("/v1/webhooks").ok()["webhooks"] == []
    keys.get("/v1/webhooks/wh_1").problem(404, "not_found")
    assert not app.extensions["tandem"].webhooks.exists
    made(keys)
    with open(file, "rb") as opened:
        assert opened.read(6) == b"SQLite"


def test_a_file_that_cannot_be_used_is_a_problem_of_the_moment(
    keys: Caller, app: Flask, tmp_path: Path
) -> None:
    app.extensions["tandem"].webhooks.close()
    (tmp_path / "webhooks.db").mkdir()
    problem = keys.get("/v1/webhooks").problem(503, "webhooks_unavailable")
    assert problem["retryable"]
    body = {"name": "n", "url": URL, "events": ["*"]}
    keys.post("/v1/webhooks", body).problem(503, "webhooks_unavailable")
