"""The deliverer: in order, at least once, from the stored place on, nobody waits for another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from account_api.webhooks import store as store_module
from account_api.webhooks.backoff import Backoff
from account_api.webhooks.deliverer import Deliverer
from account_api.webhooks.events import Source, place_of
from account_api.webhooks.kinds import chosen
from account_api.webhooks.post import Answer
from account_api.webhooks.store import Attempt, Endpoint, Errand, WebhookStore
from engine.core.commands import Deposit, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.history.queries import open_reader
from tests.api.inprocess import Clock, InProcessEngine
from tests.support import pace

OK = Answer(200, 1_000, "", b"ok")
NO = Answer(500, 1_000, "status 500")
QUICK = Backoff(0.01, 0.02)
OPERATOR = Origin("operator:test")


class Receivers:
    """Receivers by URL: what each was sent, and how it answers."""

    def __init__(self) -> None:
        self.got: dict[str, list[str]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.behave: dict[str, Callable[[str], Awaitable[Answer]]] = {}
        self.changed = asyncio.Condition()

    async def post(self, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        name = dict(headers)["webhook-id"]
        self.bodies.append(json.loads(body))
        async with self.changed:
            self.got.setdefault(url, []).append(name)
            self.changed.notify_all()
        return await self.behave[url](name) if url in self.behave else OK

    async def until(self, url: str, count: int) -> list[str]:
        async with asyncio.timeout(pace.seconds(20)), self.changed:
            await self.changed.wait_for(lambda: len(self.got.get(url, ())) >= count)
        return self.got[url]


class World:
    """A store of endpoints, a deliverer on it, and its receivers."""

    def __init__(self, folder: Path, engine: InProcessEngine, clock: Clock) -> None:
        self.folder, self.engine, self.clock = folder, engine, clock
        # Two connections, as of the account API and of the deliverer.
        self.store = WebhookStore(str(folder / "webhooks.db"), str(folder / "keys.master"))
        self.receivers = Receivers()
        self.deposits = 0

    def endpoint(self, url: str, *choices: str, **more: Any) -> Endpoint:
        one = Endpoint(
            id=f"wh_{url}", account="alice", firm="alice", name=url, url=url,
            events=dict.fromkeys(chosen(choices or ("*",)), self.engine.exchange.seq),
            created_at=1, created_by="k", seq=self.engine.exchange.seq, secret=b"s" * 32,
            **{"firm_wide": False, **more},
        )  # fmt: skip
        self.store.add(one, 10)
        return one

    def deposit(self, account: str = "alice") -> str:
        """Credit a deposit; the id of its event."""
        self.deposits += 1
        command = Deposit(
            OPERATOR, f"d{self.deposits}", account, "BTC", 100_000_000, "bitcoin", "", "", 9, 0
        )
        done = self.engine.apply(command)
        self.engine.catch_up()
        return f"evt_{done.seq}_0"

    def run(
        self, scene: Callable[[Deliverer], Awaitable[None]], give_up_s: float = 3600.0
    ) -> Deliverer:
        """Play a scene beside a deliverer that has started anew."""
        own = WebhookStore(str(self.folder / "webhooks.db"), str(self.folder / "keys.master"))
        database = open_reader(self.engine.history_url)

        async def play() -> Deliverer:
            self.receivers.changed = asyncio.Condition()
            deliverer = Deliverer(
                own, lambda: Source(database), self.receivers.post, poll_s=0.01,
                give_up_s=give_up_s, backoff=QUICK,
            )  # fmt: skip
            running = asyncio.create_task(deliverer.run())
            try:
                await scene(deliverer)
            finally:
                deliverer.stop()
                async with asyncio.timeout(pace.seconds(20)):
                    await running
            return deliverer

        try:
            return asyncio.run(play())
        finally:
            own.close()
            database.dispose()


@pytest.fixture
def world(tmp_path: Path, engine: InProcessEngine, clock: Clock) -> World:
    return World(tmp_path, engine, clock)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(pace.seconds(20)):
        while not true():
            await asyncio.sleep(0.005)


def test_events_arrive_in_order_while_they_happen_and_the_place_is_stored(world: World) -> None:
    one = world.endpoint("a")
    before = world.deposit()

    async def scene(_: Deliverer) -> None:
        assert await world.receivers.until("a", 1) == [before]
        names = [before, world.deposit(), world.deposit(), world.deposit()]
        world.deposit("bob")
        assert await world.receivers.until("a", 4) == names
        await until(lambda: _found(world, one.id).place == place_of(names[-1]))

    world.run(scene)
    body = world.receivers.bodies[0]
    assert (body["type"], body["account"], body["id"]) == ("deposit.credited", "alice", before)
    assert body["data"]["amount"] == "1" and body["data"]["credited"] is True
    assert body["seq"] == place_of(before)[0]  # type: ignore[index]
    later = world.deposit()

    async def again(_: Deliverer) -> None:
        assert (await world.receivers.until("a", 5))[4:] == [later]

    world.run(again)


def test_what_happens_during_a_delivery_is_not_missed(world: World) -> None:
    world.endpoint("a")
    names = [world.deposit()]
    running: list[Deliverer] = []

    async def behave(name: str) -> Answer:
        if name == names[0]:
            names.append(world.deposit())
            await until(lambda: running[0]._seen[0] == world.engine.exchange.seq)
        return OK

    world.receivers.behave["a"] = behave

    async def scene(deliverer: Deliverer) -> None:
        running.append(deliverer)
        assert await world.receivers.until("a", 2) == names

    world.run(scene)


def test_what_fails_is_tried_again_and_what_is_behind_it_waits(world: World) -> None:
    one = world.endpoint("a")
    first, second = world.deposit(), world.deposit()
    failures = 3

    async def behave(name: str) -> Answer:
        nonlocal failures
        failures -= 1
        return NO if failures >= 0 else OK

    world.receivers.behave["a"] = behave

    async def scene(_: Deliverer) -> None:
        assert await world.receivers.until("a", 5) == [first] * 4 + [second]
        await until(lambda: _found(world, one.id).place == place_of(second))

    deliverer = world.run(scene)
    assert (deliverer.delivered, deliverer.failed) == (2, 3)
    log = world.store.attempts(one.id)
    assert [row.delivered for row in log] == [True, True, False, False, False]
    assert log[-1].error == "status 500" and log[0].answer == "ok"
    assert not _found(world, one.id).is_failing


def test_one_slow_endpoint_holds_up_nobody(world: World) -> None:
    world.endpoint("slow")
    world.endpoint("quick")

    async def forever(_: str) -> Answer:
        await asyncio.sleep(3600)
        return OK

    world.receivers.behave["slow"] = forever

    async def scene(deliverer: Deliverer) -> None:
        names = [world.deposit()]
        await world.receivers.until("slow", 1)
        names += [world.deposit() for _ in range(5)]
        assert await world.receivers.until("quick", 6) == names
        assert world.receivers.got["slow"] == names[:1]
        assert deliverer.oldest_waiting_us > 0
        for task in asyncio.all_tasks():
            if task.get_name() == "wh_slow":
                task.cancel()

    world.run(scene)


def test_a_death_between_the_answer_and_the_commit_sends_the_same_id_again(world: World) -> None:
    one = world.endpoint("a")
    name = world.deposit()

    async def dies(_: Deliverer) -> None:
        await world.receivers.until("a", 1)
        for task in asyncio.all_tasks():
            if task.get_name() == one.id:
                task.cancel()

    async def hangs(_: str) -> Answer:
        await asyncio.sleep(3600)
        return OK

    world.receivers.behave["a"] = hangs
    world.run(dies)
    del world.receivers.behave["a"]
    second = world.deposit()

    async def again(_: Deliverer) -> None:
        assert await world.receivers.until("a", 3) == [name, name, second]

    world.run(again)


def test_who_fails_for_too_long_is_disabled_and_gets_what_it_missed(world: World) -> None:
    one = world.endpoint("a")
    name = world.deposit()

    async def fails(_: str) -> Answer:
        return NO

    world.receivers.behave["a"] = fails

    async def scene(_: Deliverer) -> None:
        await until(lambda: _found(world, one.id).state == "disabled")

    world.run(scene, give_up_s=0.05)
    found = _found(world, one.id)
    assert (found.reason, found.last_error) == ("gave_up", "status 500")
    assert found.failures >= 2 and found.place < place_of(name)  # type: ignore[operator]
    del world.receivers.behave["a"]
    missed = world.deposit()
    sent = len(world.receivers.got["a"])

    async def enabled(_: Deliverer) -> None:
        world.store.change(
            one.id, state="active", failures=0, failing_since=0, next_attempt_at=0, updated_at=2
        )
        assert (await world.receivers.until("a", sent + 2))[sent:] == [name, missed]

    world.run(enabled)


def test_an_endpoint_that_is_gone_is_disabled_at_once(world: World) -> None:
    one = world.endpoint("a")
    world.deposit()

    async def gone(_: str) -> Answer:
        return Answer(410, 1, "status 410")

    world.receivers.behave["a"] = gone

    async def scene(_: Deliverer) -> None:
        await until(lambda: _found(world, one.id).state == "disabled")

    world.run(scene)
    assert _found(world, one.id).reason == "gone" and len(world.receivers.got["a"]) == 1


def test_a_ping_is_sent_once_during_a_pause_and_ends_it(world: World) -> None:
    one = world.endpoint("a")
    name = world.deposit()
    hour = 3_600_000_000
    world.store.change(one.id, failures=9, failing_since=1, next_attempt_at=hour * 10**6)

    async def scene(_: Deliverer) -> None:
        number = world.store.ask(Errand(one.id, "ping", 1, "k"))
        assert await world.receivers.until("a", 2) == [f"ping_{number}", name]

    world.run(scene)
    assert world.receivers.bodies[0]["type"] == "webhook.ping"
    kinds = [(row.kind, row.type) for row in world.store.attempts(one.id)]
    assert kinds[-1] == ("ping", "webhook.ping")


def test_a_range_is_sent_again_under_its_own_ids_until_one_fails(world: World) -> None:
    names = [world.deposit() for _ in range(3)]
    one = world.endpoint("a")
    first, last = (place_of(name) for name in (names[0], names[2]))
    assert first is not None and last is not None

    async def scene(_: Deliverer) -> None:
        world.store.ask(Errand(one.id, "resend", 1, "k", first[0], first[1] - 1, *last))
        assert await world.receivers.until("a", 3) == names
        await until(lambda: world.store.errand(one.id) is None)

    world.run(scene)
    assert {row.kind for row in world.store.attempts(one.id)} == {"resend"}

    async def fails(name: str) -> Answer:
        return NO if name == names[1] else OK

    world.receivers.behave["a"] = fails

    async def again(_: Deliverer) -> None:
        world.store.ask(Errand(one.id, "resend", 1, "k", first[0], first[1] - 1, *last))
        await until(lambda: world.store.errand(one.id) is None)

    world.run(again)
    assert world.receivers.got["a"][3:] == names[:2]
    assert not _found(world, one.id).is_failing


def test_fills_and_accounts_of_a_firm_arrive_in_the_venues_order(world: World) -> None:
    world.endpoint("firm", firm_wide=True)
    world.endpoint("money", "deposit.*")
    price, qty = 6_000_000, 100_000

    def order(account: str, side: Side, name: str) -> None:
        world.engine.apply(
            NewOrder(
                Origin(f"api:{account}"), account, name, "BTC-USD", side, OrdType.LIMIT,
                qty=qty, price=price, tif=TimeInForce.GTC,
            )
        )  # fmt: skip
        world.engine.catch_up()

    async def scene(_: Deliverer) -> None:
        order("alice", Side.SELL, "s1")
        order("bob", Side.BUY, "b1")
        world.deposit("alice:desk")
        world.deposit()
        got = await world.receivers.until("firm", 3)
        places = [place_of(name) for name in got]
        assert places == sorted(places)  # type: ignore[type-var]
        assert len(await world.receivers.until("money", 1)) == 1

    world.run(scene)
    fill = next(body for body in world.receivers.bodies if body["type"] == "fill.created")
    assert fill["data"]["price"] == "60000" and fill["data"]["side"] == "sell"
    assert {body["account"] for body in world.receivers.bodies} == {"alice", "alice:desk"}


def test_a_type_that_is_chosen_later_is_told_from_then_on(world: World) -> None:
    one = world.endpoint("a", "withdrawal.*")
    world.deposit()
    now = world.engine.exchange.seq
    world.store.change(one.id, events={**one.events, "deposit.credited": now}, updated_at=2)

    async def scene(_: Deliverer) -> None:
        later = world.deposit()
        assert await world.receivers.until("a", 1) == [later]

    world.run(scene)


def test_the_log_is_bounded_and_goes_with_its_endpoint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world.endpoint("a")
    monkeypatch.setattr(store_module, "LOG_ROWS_MAX", 20)
    for number in range(25):
        world.store.record(
            Attempt(one.id, f"evt_{number}_0", "fill.created", "event", 1, True, 200, 1, "", "")
        )
    log = world.store.attempts(one.id, limit=2000)
    assert len(log) == 20 and log[0].event_id == "evt_24_0"
    world.store.delete(one.id)
    assert world.store.attempts(one.id) == [] and world.store.find(one.id) is None


def test_secrets_are_stored_encrypted(world: World) -> None:
    one = world.endpoint("a")
    world.store.close()
    content = b"".join(path.read_bytes() for path in world.folder.glob("webhooks.db*"))
    assert b"s" * 32 not in content and "sss" not in repr(one)
    again = WebhookStore(str(world.folder / "webhooks.db"), str(world.folder / "keys.master"))
    assert _found_in(again, one.id).secret == b"s" * 32
    again.close()
    (world.folder / "keys.master").unlink()
    other = WebhookStore(str(world.folder / "webhooks.db"), str(world.folder / "keys.master"))
    assert _found_in(other, one.id).secret == b""
    other.close()


def _found(world: World, name: str) -> Endpoint:
    return _found_in(world.store, name)


def _found_in(store: WebhookStore, name: str) -> Endpoint:
    found = store.find(name)
    assert found is not None
    return found
