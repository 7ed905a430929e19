"""Account APIs of several machines on one engine: what one has committed holds for all of them."""

from __future__ import annotations

import base64
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from account_api.configuration import api_settings
from account_api.http.app import create_app
from account_api.security import replica, shared_keys
from account_api.security.keystore import KeyStore
from account_api.security.replica import RecordsUnavailable, Replica, StaleVersion
from config.settings import DEMO_FILE, load
from engine.client import Answered, EngineRefused, EngineUnavailable, Outcome, queries
from engine.core import stored_records
from engine.core.commands import Command
from engine.core.types import ClusterStatus, StoredRecord, StoredRecords
from engine.history.queries import open_reader
from engine.wire import encode_transaction
from tests.api.client import Answer, Caller
from tests.api.inprocess import Clock, InProcessEngine
from tests.api.processes import HttpCaller, Venue
from tests.support import pace
from tests.support.waiting import until

MakeMachine = Callable[..., "Machine"]


class Machine:
    """An account API with a data folder of its own, in this process."""

    def __init__(self, engine: InProcessEngine, clock: Clock, folder: Path) -> None:
        self.folder, self.clock = folder, clock
        folder.mkdir()
        settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(folder)}))
        self.app: Flask = create_app(
            replace(settings, shared=True), lambda: engine,
            lambda: open_reader(engine.history_url), clock,
        )  # fmt: skip

    def as_(self, name: str, secret: str = "") -> Caller:
        http = self.app.test_client()
        if name.endswith("-read"):
            return Caller(http, self.clock, token=f"demo-{name}")
        key = name if secret else f"demo-{name}"
        return Caller(http, self.clock, key=key, secret=secret)

    def make(self, name: str = "k", scopes: Sequence[str] = ("read",), **more: Any) -> Any:
        body = {"name": name, "kind": "hmac", "scopes": list(scopes), **more}
        return self.as_("alice-keys").post("/v1/api-keys", body).ok(201)


@pytest.fixture
def machine(tmp_path: Path, engine: InProcessEngine, clock: Clock) -> Iterator[MakeMachine]:
    made: list[Machine] = []

    def make(name: str, *, master_of: Machine | None = None) -> Machine:
        one = Machine(engine, clock, tmp_path / name)
        if master_of is not None:
            shutil.copy(master_of.folder / "keys.master", one.folder)
        made.append(one)
        return one

    yield make
    for one in made:
        one.app.extensions["tandem"].close()


@pytest.fixture
def both(machine: MakeMachine) -> tuple[Machine, Machine]:
    first = machine("a")
    first.as_("alice-read").get("/v1/balances").ok()
    return first, machine("b", master_of=first)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revocations are answered at once, for tests of something else."""
    monkeypatch.setattr(shared_keys, "SETTLED_S", 0)


@pytest.fixture
def short_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are trusted for a tenth of the time, and revocations wait as much shorter."""
    monkeypatch.setattr(replica, "TRUST_S", replica.TRUST_S / 10)
    monkeypatch.setattr(replica, "REFRESH_S", replica.REFRESH_S / 10)
    monkeypatch.setattr(shared_keys, "SETTLED_S", shared_keys.SETTLED_S / 10)


def test_a_key_made_at_one_machine_works_at_the_other_at_once(
    both: tuple[Machine, Machine],
) -> None:
    a, b = both
    b.as_("alice-read").get("/v1/balances").ok()  # It has a copy from before.
    for number in range(20):
        made = a.make(f"k{number}")
        b.as_(made["key"], made["secret"]).get("/v1/balances").ok()
    assert [key["name"] for key in b.as_("alice-read").get("/v1/api-keys").ok()["keys"]][-1] == (
        "k19"
    )


def test_a_token_and_a_public_key_work_at_the_other_machine(
    both: tuple[Machine, Machine],
) -> None:
    a, b = both
    body = {"name": "t", "kind": "bearer", "scopes": ["read"]}
    token = a.as_("alice-keys").post("/v1/api-keys", body).ok(201)["secret"]
    caller = Caller(b.app.test_client(), b.clock, token=token)
    caller.get("/v1/balances").ok()
    public = base64.b64encode(bytes(range(32))).decode()
    body = {"name": "e", "kind": "ed25519", "scopes": ["read"], "public_key": public}
    a.as_("alice-keys").post("/v1/api-keys", body).ok(201)
    ring = b.app.extensions["tandem"].ring
    assert bytes(range(32)) in [key.public_key for key in ring.renewed().signing.values()]


def test_a_key_approved_at_one_machine_is_active_at_the_other_at_once(
    both: tuple[Machine, Machine],
) -> None:
    a, b = both
    made = a.make("w", ("read", "withdraw"))
    own = b.as_(made["key"], made["secret"])
    own.get("/v1/balances").problem(403, "key_pending")
    a.as_("alice-approve").post(f"/v1/api-keys/{made['key']}/approve").ok()
    own.get("/v1/balances").ok()
    shown = b.as_("alice-read").get("/v1/api-keys").ok()["keys"][-1]
    assert (shown["state"], shown["approved_by"]) == ("active", "demo-alice-approve")


@pytest.mark.usefixtures("short_trust")
def test_a_revoked_key_is_refused_at_the_other_machine_from_the_answer_on(
    both: tuple[Machine, Machine],
) -> None:
    a, b = both
    made = a.make()
    own = b.as_(made["key"], made["secret"])
    own.get("/v1/balances").ok()
    a.as_("alice-keys").delete(f"/v1/api-keys/{made['key']}").ok()
    own.get("/v1/balances").problem(401, "unauthorized")
    again = b.as_("alice-keys").delete(f"/v1/api-keys/{made['key']}")
    assert again.replayed and again.ok()["revoked_by"] == "demo-alice-keys"


@pytest.mark.usefixtures("short_trust")
def test_a_configured_key_is_revoked_everywhere(both: tuple[Machine, Machine]) -> None:
    a, b = both
    b.as_("alice-trade").get("/v1/balances").ok()
    a.as_("operator").delete("/v1/api-keys/demo-alice-trade").ok()
    b.as_("alice-trade").get("/v1/balances").problem(401, "unauthorized")
    b.as_("bob-trade").get("/v1/balances").ok()


@pytest.mark.usefixtures("no_pause")
def test_a_revoked_key_makes_no_other_on_a_machine_that_does_not_know_yet(
    both: tuple[Machine, Machine],
) -> None:
    """Its request was let in before: what decides is the engine's newest version."""
    a, b = both
    mother = b.make("mother", ("read", "keys"))
    b.as_("alice-approve").post(f"/v1/api-keys/{mother['key']}/approve").ok()
    child = {"name": "child", "kind": "hmac", "scopes": ["read"]}
    store = b.app.extensions["tandem"].key_store
    ring = b.app.extensions["tandem"].ring
    known = ring.renewed()
    a.as_("alice-keys").delete(f"/v1/api-keys/{mother['key']}").ok()
    ring.current = lambda: known
    answer = b.as_(mother["key"], mother["secret"]).post("/v1/api-keys", child)
    assert "was revoked during the request" in answer.problem(401, "unauthorized")["detail"]
    assert store.named("alice", "child") is None


@pytest.mark.usefixtures("no_pause")
def test_descendants_on_all_machines_are_revoked_with_their_maker(
    both: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_keys, "CHANGES_MAX", 2)
    a, b = both
    mother = a.make("mother", ("read", "keys"))
    a.as_("alice-approve").post(f"/v1/api-keys/{mother['key']}/approve").ok()
    children = []
    for number, where in enumerate((a, b, a, b, b)):
        body = {"name": f"c{number}", "kind": "hmac", "scopes": ["read"]}
        made = where.as_(mother["key"], mother["secret"]).post("/v1/api-keys", body).ok(201)
        children.append(made["key"])
    answer = b.as_("alice-keys").delete(f"/v1/api-keys/{mother['key']}", descendants=True).ok()
    assert answer["descendants"] == children
    states = {key["key"]: key["state"] for key in a.as_("operator").get(
        "/v1/api-keys", account="alice").ok()["keys"]}  # fmt: skip
    a.app.extensions["tandem"].key_store.renew()
    revoked = a.app.extensions["tandem"].key_store.revocations()
    assert {mother["key"], *children} <= revoked.keys(), states


def at_once(works: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Do all works at the same moment."""
    start = threading.Barrier(len(works))
    answers: list[Answer] = []

    def one(work: Callable[[], Answer]) -> None:
        start.wait()
        answers.append(work())

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(works)
    return answers


def test_machines_that_make_keys_at_once_do_not_pass_the_limit(
    both: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_keys, "KEYS_OF_ACCOUNT_MAX", 5)

    def work(number: int) -> Callable[[], Answer]:
        caller = both[number % 2].as_("alice-keys")
        body = {"name": f"k{number}", "kind": "hmac", "scopes": ["read"]}
        return lambda: caller.post("/v1/api-keys", body)

    answers = at_once([work(number) for number in range(12)])
    assert sorted(answer.status for answer in answers) == [201] * 5 + [409] * 7
    assert {a.json["code"] for a in answers if a.status == 409} == {"too_many_keys"}
    assert len(both[0].app.extensions["tandem"].key_store.of("alice")) == 5


def test_a_name_is_given_once_on_all_machines(both: tuple[Machine, Machine]) -> None:
    def work(number: int) -> Callable[[], Answer]:
        caller = both[number % 2].as_("alice-keys")
        body = {"name": "same", "kind": "hmac", "scopes": ["read"]}
        return lambda: caller.post("/v1/api-keys", body)

    answers = at_once([work(number) for number in range(8)])
    assert len({answer.json["key"] for answer in answers}) == 1
    secrets = [answer.json["secret"] for answer in answers if answer.json["secret"]]
    assert len(secrets) == 1, "who was first has the secret, and the others have what it made"


def test_numbers_of_keys_are_places_of_the_rate_limits(both: tuple[Machine, Machine]) -> None:
    bounds = stored_records.COLLECTIONS[shared_keys.COLLECTION]
    assert shared_keys.RECORDS_MAX == bounds.records_max
    a, b = both
    a.make("one")
    b.make("two")
    slots = [key.slot for key in b.app.extensions["tandem"].key_store.everything()]
    assert slots == [1, 2]


# What is repeated at another machine.


def test_money_and_orders_that_are_repeated_at_another_machine_happen_once(
    both: tuple[Machine, Machine], engine: InProcessEngine
) -> None:
    """The stored answer is the first machine's; the engine knows the client's own id."""
    a, b = both
    order = {
        "client_order_id": "o1", "symbol": "BTC-USD", "side": "buy", "type": "limit",
        "quantity": "1", "price": "100",
    }  # fmt: skip
    withdrawal = {
        "client_withdrawal_id": "w1", "asset": "BTC", "amount": "1",
        "address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    }  # fmt: skip
    for who, target, body, name in (
        ("alice-trade", "/v1/orders", order, "order_id"),
        ("alice-withdraw", "/v1/withdrawals", withdrawal, "withdrawal_id"),
    ):
        first = a.as_(who).send("POST", target, body, idempotency_key=name).ok(201)
        again = b.as_(who).send("POST", target, body, idempotency_key=name)
        assert again.replayed and again.ok()[name] == first[name]
    assert len(engine.exchange.accounts["alice"].orders) == 1
    assert len(engine.exchange.withdrawals) == 1


def test_a_signature_is_accepted_once_by_all_machines(
    both: tuple[Machine, Machine], engine: InProcessEngine
) -> None:
    a, b = both
    target, body = "/v1/faucet", b'{"asset":"BTC"}'
    caller = a.as_("alice-trade")
    headers = caller.headers("POST", target, body)
    first = caller.send("POST", target, body, headers=headers).ok(201)
    again = b.as_("alice-trade").send("POST", target, body, headers=headers)
    assert again.replayed and again.ok()["deposit_id"] == first["deposit_id"]


def test_the_faucet_gives_each_portion_once_whichever_machine_is_asked(
    both: tuple[Machine, Machine], engine: InProcessEngine
) -> None:
    settings = both[0].app.extensions["tandem"].settings
    portions = settings.faucet.portions_per_day
    before = engine.exchange.accounts["alice"].balances["BTC"].available

    def work(number: int) -> Callable[[], Answer]:
        caller = both[number % 2].as_("alice-trade")
        return lambda: caller.post("/v1/faucet", {"asset": "BTC"})

    for _ in range(3):
        at_once([work(number) for number in range(portions)])
    given = [name for name in engine.exchange.deposits if name.startswith("faucet:alice:BTC:")]
    money = engine.exchange.accounts["alice"].balances["BTC"].available - before
    assert 0 < len(given) <= portions
    assert money == len(given) * engine.exchange.deposits[given[0]].row.amount


# The master key.


def test_a_machine_with_another_master_key_says_so_and_does_not_serve(
    both: tuple[Machine, Machine], machine: MakeMachine, caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = both
    made = a.make()
    c = machine("c")
    (c.folder / "keys.master").write_bytes(os.urandom(32))
    answer = c.as_(made["key"], made["secret"]).get("/v1/balances")
    answer.problem(503, "keys_unavailable")
    c.as_("alice-trade").get("/v1/balances").problem(503, "keys_unavailable")
    store = c.app.extensions["tandem"].key_store
    with pytest.raises(shared_keys.KeyStoreError, match="is not the master key of this venue"):
        store.version()


def test_a_machine_without_a_master_key_makes_none_of_its_own(
    both: tuple[Machine, Machine], machine: MakeMachine
) -> None:
    c = machine("c")
    c.as_("alice-trade").get("/v1/balances").problem(503, "keys_unavailable")
    store = c.app.extensions["tandem"].key_store
    with pytest.raises(shared_keys.KeyStoreError, match="this machine has no master key"):
        store.version()
    assert not (c.folder / "keys.master").exists()
    shutil.copy(both[0].folder / "keys.master", c.folder)
    c.as_("alice-trade").get("/v1/balances").ok()


def test_the_journal_has_no_secret_and_no_master_key(
    both: tuple[Machine, Machine], engine: InProcessEngine
) -> None:
    a, _ = both
    secrets = [a.make(f"k{number}")["secret"].encode() for number in range(3)]
    body = {"name": "t", "kind": "bearer", "scopes": ["read"]}
    secrets.append(a.as_("alice-keys").post("/v1/api-keys", body).ok(201)["secret"].encode())
    secrets.append((a.folder / "keys.master").read_bytes())
    journal = b"".join(encode_transaction(*one) for one in engine.transactions)
    assert b'"name":"k1"' in journal, "the journal was looked at"
    for secret in secrets:
        for form in (secret, base64.b64encode(secret).rstrip(b"="), secret.hex().encode()):
            assert form not in journal


# A machine that was alone before.


@pytest.mark.usefixtures("no_pause")
def test_what_a_machine_had_for_itself_is_shared(
    machine: MakeMachine, clock: Clock
) -> None:
    a = machine("a")
    settings = api_settings(load(DEMO_FILE, {"TANDEM_DATA": str(a.folder)}))
    alone = KeyStore(settings.key_file, settings.key_master)
    kept, ended = (
        alone.add(
            shared_keys.StoredKey(
                key=f"tk-{name}", name=name, kind="hmac", account="alice", firm="alice",
                user="alice-treasurer", scopes=("read",), allow=(), state="active",
                created_at=clock(), created_by="demo-alice-keys",
                secret=f"secret of {name}".encode(),
            )
        )
        for name in ("kept", "ended")
    )  # fmt: skip
    alone.revoke(ended.key, "demo-alice-keys", clock())
    alone.revoke("demo-bob-trade", "demo-operator", clock())
    alone.close()
    a.as_("alice-read").get("/v1/balances").ok()
    assert not Path(settings.key_file).exists()
    b = machine("b", master_of=a)
    for one in (a, b):
        one.as_(kept.key, "secret of kept").get("/v1/balances").ok()
        one.as_(ended.key, "secret of ended").get("/v1/balances").problem(401, "unauthorized")
        one.as_("bob-trade").get("/v1/balances").problem(401, "unauthorized")


# The copy.


class Port:
    """Records by hand: what is in them, how old it is said to be, and what fails."""

    def __init__(self) -> None:
        self.rows: dict[str, StoredRecord] = {}
        self.version = 0
        self.age_ms = 0
        self.fetched = 0
        self.failure: RecordsUnavailable | None = None
        self.lost = 0
        """How many changes are made whose answer is lost."""
        self.others = 0
        """How many changes somebody else makes in between."""

    def fetch(self, collection: str, after: int) -> StoredRecords:
        self.fetched += 1
        if self.failure is not None:
            raise self.failure
        return StoredRecords(
            True, self.version, list(self.rows.values()), [("", self.version)], self.age_ms
        )

    def store(
        self, collection: str, owner: str, expected: int, changes: Sequence[tuple[str, str]],
        source: str,
    ) -> None:  # fmt: skip
        if self.others:
            self.others -= 1
            self.version += 1
        if expected != self.version:
            raise StaleVersion
        self.version += 1
        for key, value in changes:
            self.rows[key] = StoredRecord(owner, key, value, 1, self.version)
        if self.lost:
            self.lost -= 1
            raise RecordsUnavailable("the answer was lost", unknown=True)


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def copy(port: Port) -> Iterator[Replica[str]]:
    made: Replica[str] = Replica("api_keys", port, lambda record: record.value, wait_s=2.0)
    yield made
    made.close()


def put(copy: Replica[str]) -> None:
    copy.change("", "test", lambda state: [] if ("", "a") in state.records else [("a", "1")])


def test_a_copy_that_may_be_too_old_is_not_used(port: Port, copy: Replica[str]) -> None:
    copy.state()
    port.age_ms = int(replica.TRUST_S * 1_000) + 1
    with pytest.raises(RecordsUnavailable, match="cut off"):
        copy.renew()
    with pytest.raises(RecordsUnavailable, match="cut off"):
        copy.state()
    port.age_ms = 0
    copy.state()


@pytest.mark.usefixtures("short_trust")
def test_a_copy_is_used_for_some_time_after_the_engine_was_last_heard(
    port: Port, copy: Replica[str]
) -> None:
    copy.state()
    port.failure = RecordsUnavailable("the engine is away")
    with pytest.raises(RecordsUnavailable, match="away"):
        copy.renew()
    failed = time.monotonic()

    def refused() -> bool:
        try:
            copy.state()
        except RecordsUnavailable:
            return True
        return False

    until(refused, "the copy is used for ever")
    assert time.monotonic() - failed <= pace.seconds(replica.TRUST_S + 0.5)


def test_a_copy_that_nobody_uses_asks_nothing(
    port: Port, copy: Replica[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "IDLE_S", 0.1)
    copy.state()
    until(lambda: copy._asked_at + 0.3 < time.monotonic(), "time stands still")
    fetched = port.fetched
    until(lambda: copy._asked_at + 0.8 < time.monotonic(), "time stands still")
    assert port.fetched == fetched


def test_a_change_whose_answer_was_lost_is_made_once(port: Port, copy: Replica[str]) -> None:
    port.lost = 1
    put(copy)
    assert (port.rows["a"].value, port.version) == ("1", 1)


def test_a_change_that_others_overtake_is_planned_again(port: Port, copy: Replica[str]) -> None:
    port.others = 3
    put(copy)
    assert port.version == 4


def test_a_change_that_may_have_been_made_is_said_to_be_unknown(
    port: Port, copy: Replica[str]
) -> None:
    def plan(state: replica.State[str]) -> list[tuple[str, str]]:
        if port.version:
            port.failure = RecordsUnavailable("the engine is away")
        return [("a", "1")]

    port.lost = 2
    with pytest.raises(RecordsUnavailable) as raised:
        copy.change("", "test", plan)
    assert raised.value.unknown


@pytest.mark.usefixtures("no_pause")
def test_a_key_whose_answer_was_lost_is_there_once(
    both: tuple[Machine, Machine], engine: InProcessEngine
) -> None:
    a, b = both
    engine.lost = EngineUnavailable("lost", "unknown")
    try:
        answer = a.as_("alice-keys").post(
            "/v1/api-keys", {"name": "k", "kind": "hmac", "scopes": ["read"]}
        )
    finally:
        engine.lost = None
    made = answer.ok(201)
    b.as_(made["key"], made["secret"]).get("/v1/balances").ok()
    assert len(b.as_("alice-read").get("/v1/api-keys").ok()["keys"]) == 1 + len(
        [key for key in load(DEMO_FILE, {}).keys if key.account == "alice"]
    )


# Processes.


class Pair:
    """A venue with a second account API, which has its own data folder and the venue's engine."""

    def __init__(self, folder: Path) -> None:
        shared = (("[http]\n", "[http]\nshared = true\n"),)
        self.first = Venue(self._made(folder / "a"), shared)
        socket = folder / "a" / "data" / "engine.sock"
        known = "min_seq_wait_ms_max = 500\n"
        self.second = Venue(
            self._made(folder / "b"), (*shared, (known, f'{known}socket = "{socket}"\n'))
        )
        self.first.start("engine", "http")
        HttpCaller(self.first, "alice-trade").get("/v1/balances").ok()
        data = folder / "b" / "data"
        data.mkdir()
        shutil.copy(folder / "a" / "data" / "keys.master", data)
        self.second.start("http")

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir()
        return folder

    def stop(self) -> None:
        self.second.stop()
        self.first.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.stop()


class Made(HttpCaller):
    """Sends requests with a token that was made."""

    def __init__(self, venue: Venue, token: str) -> None:
        super().__init__(venue, "")
        self.token = token

    def headers(self, method: str, target: str, data: bytes) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Hammer:
    """A client that uses a key all the time, and remembers when each request began."""

    def __init__(self, venue: Venue, token: str) -> None:
        self.seen: list[tuple[float, int]] = []
        self._ends = threading.Event()
        self._venue, self._token = venue, token
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.seen) > 10, "nothing is served")

    def _run(self) -> None:
        caller = Made(self._venue, self._token)
        while not self._ends.is_set():
            began = time.monotonic()
            self.seen.append((began, caller.get("/v1/balances").status))

    def since(self, moment: float) -> list[int]:
        return [status for began, status in list(self.seen) if began > moment]

    def stop(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()


def new_token(venue: Venue, name: str) -> Any:
    body = {"name": name, "kind": "bearer", "scopes": ["read"]}
    return HttpCaller(venue, "alice-keys").post("/v1/api-keys", body).ok(201)


def test_no_request_that_begins_after_a_revocation_was_answered_is_served(pair: Pair) -> None:
    made = new_token(pair.first, "hammered")
    hammer = Hammer(pair.second, made["secret"])
    try:
        HttpCaller(pair.first, "alice-keys").delete(f"/v1/api-keys/{made['key']}").ok()
        answered = time.monotonic()
        until(lambda: len(hammer.since(answered)) > 20, "nothing is refused")
    finally:
        hammer.stop()
    assert set(hammer.since(answered)) == {401}
    assert {status for _, status in hammer.seen} == {200, 401}


def test_a_revocation_outlives_the_machine_that_was_asked(pair: Pair) -> None:
    """It is killed after the commit and before the answer, and asked again elsewhere."""
    made = new_token(pair.first, "orphan")
    here, there = Made(pair.first, made["secret"]), Made(pair.second, made["secret"])
    there.get("/v1/balances").ok()
    failed = threading.Event()

    def ask() -> None:
        caller = HttpCaller(pair.first, "alice-keys")
        try:
            caller.delete(f"/v1/api-keys/{made['key']}")
        except OSError:
            failed.set()

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: there.get("/v1/balances").status == 401, "it was not committed")
    pair.first.kill("http")
    asking.join()
    again = HttpCaller(pair.second, "alice-keys").delete(f"/v1/api-keys/{made['key']}")
    assert again.ok()["revoked_by"] == "demo-alice-keys"
    pair.first.start("http")
    here.get("/v1/balances").problem(401, "unauthorized")
    assert failed.is_set() and again.replayed


class Leaderless:
    """The engine of a member that knows of no leader, once ``missing``."""

    def __init__(self, engine: InProcessEngine) -> None:
        self._engine = engine
        self.missing = False
        self.age_ms = 0
        """Of what the member has, by what it last knew of the log."""

    def fetch(self, query: queries.Query[Any], min_seq: int = 0) -> Answered[Any]:
        if isinstance(query, queries.Cluster):
            leader = "" if self.missing else "b"
            return Answered(ClusterStatus("a", "follower", 0, leader, "", 0, 0, ()), 1)
        answer = self._engine.fetch(query, min_seq)
        if isinstance(query, queries.StoredRecords):
            return Answered(answer.value._replace(age_ms=self.age_ms), answer.as_of_seq)
        return answer

    def submit(self, command: Command, timeout_s: float | None = None) -> Outcome:
        if self.missing:
            raise EngineRefused("no_leader", "the command was not done")
        return self._engine.submit(command, timeout_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.mark.usefixtures("short_trust")
def test_without_a_leader_reads_go_on_while_the_keys_are_the_newest_and_no_longer(
    tmp_path: Path, engine: InProcessEngine, clock: Clock
) -> None:
    member = Leaderless(engine)
    machine = Machine(member, clock, tmp_path / "a")  # type: ignore[arg-type]
    alice = machine.as_("alice-trade")
    body = {
        "client_order_id": "o1", "symbol": "BTC-USD", "side": "buy", "type": "limit",
        "quantity": "0.001", "price": "100",
    }  # fmt: skip
    alice.post("/v1/orders", body).ok(201)
    member.missing = True
    alice.get("/v1/balances").ok()
    refused = alice.post("/v1/orders", body | {"client_order_id": "o2"})
    problem = refused.problem(503, "no_leader")
    assert (problem["outcome"], problem["retryable"]) == ("not_applied", True)
    assert refused.headers["Retry-After"] == "1"
    machine.as_("alice-keys").post(
        "/v1/api-keys", {"name": "k", "kind": "bearer", "scopes": ["read"]}
    ).problem(503, "no_leader")
    assert machine.as_("alice-read").get("/readyz").problem(503, "no_leader")["parts"]
    engine.lost = EngineUnavailable("the connection was lost", "unknown")
    member.submit = engine.submit  # type: ignore[method-assign]
    problem = alice.post("/v1/orders", body | {"client_order_id": "o3"}).problem(503, "no_leader")
    assert problem["outcome"] == "unknown" and "may have been done" in problem["detail"]
    # Now nobody says any more that what this member has is the newest.
    member.age_ms = 60_000
    until(
        lambda: alice.get("/v1/balances").json.get("code"), "it trusts what it knew",
        enough=lambda code: code == "no_leader",
    )  # fmt: skip
    alice.post("/v1/orders", body).problem(503, "no_leader")
    machine.as_("").get("/v1/books/BTC-USD").ok()
    engine.lost, member.missing, member.age_ms = None, False, 0
    until(lambda: alice.get("/v1/balances").status == 200, "it does not go on")


def test_a_machine_that_is_cut_off_from_its_engine_admits_nobody(pair: Pair) -> None:
    made = new_token(pair.first, "cut-off")
    caller = Made(pair.second, made["secret"])
    caller.get("/v1/balances").ok()
    pair.first.kill("engine")
    until(
        lambda: caller.get("/v1/api-keys").json.get("code"), "it trusts what it knew",
        enough=lambda code: code == "keys_unavailable",
    )  # fmt: skip
    pair.first.start("engine")
    until(lambda: caller.get("/v1/balances").status == 200, "it does not come back")


def test_the_segments_have_no_secret(pair: Pair) -> None:
    body = {"name": "secret", "kind": "hmac", "scopes": ["read"]}
    made = HttpCaller(pair.second, "alice-keys").post("/v1/api-keys", body).ok(201)
    found = b""
    for folder in (pair.first.folder, pair.second.folder):
        for path in (folder / "data").rglob("*"):
            if path.is_file() and path.name != "keys.master":
                found += path.read_bytes()
    assert made["key"].encode() in found and made["secret"].encode() not in found
