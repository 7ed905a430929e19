"""Webhook endpoints that machines share, and who delivers goes on where another stopped."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from account_api.security.replica import RecordsUnavailable
from account_api.shared import EngineRecords
from account_api.webhooks import shared_store
from account_api.webhooks.deliverer import Deliverer
from account_api.webhooks.events import Event, Page
from account_api.webhooks.post import Answer
from account_api.webhooks.shared_store import SharedWebhookStore
from account_api.webhooks.store import (
    ERRANDS_MAX,
    Attempt,
    Endpoint,
    Errand,
    WebhookNameTaken,
    WebhooksFull,
    WebhookStore,
    WebhookStoreError,
)
from engine.client import EngineUnavailable
from engine.wire import encode_transaction
from tests.api.inprocess import Clock, InProcessEngine
from tests.support import pace

MakeStore = Callable[..., SharedWebhookStore]
SECRET = b"the secret of an endpoint, 32 b."


@pytest.fixture
def store(tmp_path: Path, engine: InProcessEngine) -> Iterator[MakeStore]:
    """Make the store of a machine; all have the same master key."""
    made: list[SharedWebhookStore] = []

    def make(name: str) -> SharedWebhookStore:
        master = str(tmp_path / "keys.master")
        alone = WebhookStore(str(tmp_path / f"{name}.db"), master)
        made.append(SharedWebhookStore(EngineRecords(lambda: engine), alone, master))
        return made[-1]

    yield make
    for one in made:
        one.close()


def endpoint(name: str, **changes: Any) -> Endpoint:
    made = Endpoint(
        id=f"wh_{name}", account="alice", firm="alice", firm_wide=False, name=name,
        url="https://1.1.1.1/", events={"fill.created": 1}, created_at=1, created_by="k", seq=1,
        secret=SECRET, updated_at=1,
    )  # fmt: skip
    return replace(made, **changes)


def attempt(name: str, seq: int, delivered: bool = True) -> Attempt:
    return Attempt(f"wh_{name}", f"evt_{seq}_0", "fill.created", "event", seq, delivered,
                   200 if delivered else 500, 1, "", "")  # fmt: skip


def test_what_one_machine_registers_changes_and_deletes_the_other_has(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    assert b.find("wh_one") == endpoint("one"), "its secret too"
    changed = b.change("wh_one", name="two", secret=b"new", old_secret=SECRET, updated_at=2)
    assert changed is not None and changed.secret == b"new"
    assert a.of("alice") == [changed]
    a.delete("wh_one")
    assert b.of("alice") == [] and b.find("wh_one") is None
    assert b.change("wh_one", name="x") is None


def test_names_and_limits_hold_for_all_machines(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 2)
    with pytest.raises(WebhookNameTaken):
        b.add(replace(endpoint("other"), name="one"), 2)
    b.add(endpoint("two"), 2)
    with pytest.raises(WebhooksFull):
        a.add(endpoint("three"), 2)
    with pytest.raises(WebhookNameTaken):
        a.change("wh_two", name="one")


def test_no_secret_is_in_the_journal(store: MakeStore, engine: InProcessEngine) -> None:
    store("a").add(endpoint("one"), 10)
    journal = b"".join(encode_transaction(*one) for one in engine.transactions)
    assert b"wh_one" in journal
    for form in (SECRET, base64.b64encode(SECRET).rstrip(b"=")):
        assert form not in journal


def test_what_a_machine_had_for_itself_is_shared_and_its_log_stays(
    store: MakeStore, tmp_path: Path
) -> None:
    alone = WebhookStore(str(tmp_path / "a.db"), str(tmp_path / "keys.master"))
    alone.add(endpoint("one"), 10)
    alone.record(attempt("one", 7), seq=7, event_index=0)
    alone.close()
    a, b = store("a"), store("b")
    (found,) = a.of("alice")
    assert (found.place, found.secret) == ((7, 0), SECRET)
    assert b.of("alice") == [found]
    assert [one.event_id for one in a.attempts("wh_one")] == ["evt_7_0"]
    a.delete("wh_one")
    again = store("a")
    assert again.of("alice") == [], "it is not shared a second time"


def test_places_are_stored_together_and_never_go_back(
    store: MakeStore, engine: InProcessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    before = engine.exchange.seq
    for seq in range(2, 50):
        a.record(attempt("one", seq), seq=seq, event_index=0, delivered_at=seq)
    found = a.find("wh_one")
    assert found is not None and found.place == (49, 0), "who delivers goes on from there"
    assert engine.exchange.seq == before, "nothing was stored yet"
    monkeypatch.setattr(shared_store, "STORE_S", 0)
    a.changed()
    assert engine.exchange.seq == before + 1
    (seen,) = b.of("alice")
    assert seen.place == (49, 0)
    b.change("wh_one", seq=90, event_index=5, updated_at=3)
    a.record(attempt("one", 60), seq=60, event_index=0)
    a.changed()
    assert b.of("alice")[0].place == (90, 5), "its owner has skipped what was missed"


def test_a_failure_from_before_its_owner_changed_it_does_not_count(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    a.record(attempt("one", 2, delivered=False), failures=3, failing_since=1, last_error="no")
    assert a.find("wh_one") == endpoint("one", failures=3, failing_since=1, last_error="no")
    b.change("wh_one", url="https://2.2.2.2/", updated_at=5)
    (found,) = a.of("alice")
    assert (found.url, found.failures) == ("https://2.2.2.2/", 0)
    a.hand_over()
    assert b.of("alice")[0].failures == 0


def test_an_endpoint_that_is_given_up_is_disabled_everywhere_at_once(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    a.record(attempt("one", 2, delivered=False), state="disabled", reason="gone", updated_at=9)
    (found,) = b.of("alice")
    assert (found.state, found.reason) == ("disabled", "gone")


def test_what_is_asked_for_at_one_machine_is_sent_by_the_other(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    first = b.ask(Errand("wh_one", "resend", 1, "k", 1, 0, 9, 0))
    second = b.ask(Errand("wh_one", "ping", 2, "k"))
    a.changed()
    a._errands.renew()
    ping = a.errand("wh_one")
    assert ping is not None and (ping.kind, ping.number) == ("ping", second)
    a.record(attempt("one", 2), done=ping)
    resend = a.errand("wh_one")
    assert resend is not None and (resend.kind, resend.number) == ("resend", first)
    a.record(attempt("one", 3), done=resend, errand_at=(3, 0))
    going_on = a.errand("wh_one")
    assert going_on is not None and (going_on.seq, going_on.until_seq) == (3, 9)
    a.finish(going_on)
    assert a.errand("wh_one") is None
    for number in range(ERRANDS_MAX):
        (a, b)[number % 2].ask(Errand("wh_one", "ping", number, "k"))
    with pytest.raises(WebhooksFull):
        b.ask(Errand("wh_one", "ping", 99, "k"))
    b.delete("wh_one")
    a._errands.renew()
    assert a.errand("wh_one") is None


def test_without_the_engine_nothing_is_known(
    store: MakeStore, engine: InProcessEngine
) -> None:
    a = store("a")
    a.add(endpoint("one"), 10)
    engine.failure = EngineUnavailable("away", "not_applied")
    with pytest.raises(WebhookStoreError, match="away"):
        a.of("alice")
    engine.failure = None
    assert len(a.of("alice")) == 1
    assert issubclass(RecordsUnavailable, RuntimeError)


class Events:
    """A history with a hundred events of the endpoint."""

    def newest(self) -> tuple[int, int]:
        return (0, 0)

    def touched(self, seen: tuple[int, int]) -> tuple[set[str], tuple[int, int]]:
        return {"alice"}, (101, 0)

    def page(self, one: Endpoint, after: tuple[int, int], *_: Any, **__: Any) -> Page:
        places = [(seq, 0) for seq in range(2, 102) if (seq, 0) > after][:10]
        found = [Event(p, f"evt_{p[0]}_0", "fill.created", p[0], b"{}") for p in places]
        return Page(tuple(found), places[-1] if places else after, bool(places))


class Receiver:
    """Takes deliveries, and says when it has so many."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.news = asyncio.Condition()

    def for_machine(self, name: str) -> Any:
        async def post(url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
            async with self.news:
                self.got.append((name, dict(headers)["webhook-id"]))
                self.news.notify_all()
            return Answer(200, 1, "")

        return post

    async def until(self, enough: Callable[[], bool]) -> None:
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(enough), pace.seconds(10))


async def test_another_machine_goes_on_and_nothing_is_left_out(store: MakeStore) -> None:
    a, b = store("a"), store("b")
    a.add(endpoint("one"), 10)
    receiver, leader = Receiver(), ["a"]
    running = []
    for name, one in (("a", a), ("b", b)):
        deliverer = Deliverer(
            one, Events, receiver.for_machine(name), poll_s=0.02, give_up_s=60,
            acts=lambda name=name: leader[0] == name, clock_us=Clock(),
        )  # type: ignore[misc,arg-type]
        running.append((deliverer, asyncio.create_task(deliverer.run())))
    await receiver.until(lambda: len(receiver.got) >= 30)
    leader[0] = "b"
    await receiver.until(lambda: receiver.got[-1][1] == "evt_101_0")
    for deliverer, task in running:
        deliverer.stop()
        await task
    ids = [name for _, name in receiver.got]
    assert list(dict.fromkeys(ids)) == [f"evt_{seq}_0" for seq in range(2, 102)]
    assert {machine for machine, _ in receiver.got} == {"a", "b"}
    b.hand_over()
    (found,) = a.of("alice")
    assert found.place == (101, 0)
