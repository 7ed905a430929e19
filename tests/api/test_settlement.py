"""The settlement worker: every withdrawal reaches its end once, whenever the worker dies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from account_api.settlement.network import KeyReused, Network, NetworkStatus, SendRequest
from account_api.settlement.simulated import Behaviour, SimulatedNetwork
from account_api.settlement.worker import SettlementWorker
from engine.client import EngineUnavailable
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine
from tests.support import pace
from tests.support.venue import violations

SECOND_US = 1_000_000
GOOD = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
FAILS = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
REORGANISED = "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"
BEHAVIOUR = Behaviour(
    broadcast_delay_us=SECOND_US,
    confirmation_delay_us=SECOND_US,
    fail_prefix="1",
    reorganise_prefix="3",
)


@pytest.fixture
def network(tmp_path: Path, clock: Clock) -> SimulatedNetwork:
    return SimulatedNetwork(tmp_path / "network.db", BEHAVIOUR, clock)


def ask(caller: Callable[[str], Caller], address: str = GOOD, name: str = "w1") -> str:
    body = {"client_withdrawal_id": name, "asset": "BTC", "address": address, "amount": "1"}
    answer = caller("alice-withdraw").post("/v1/withdrawals", body).ok(201)
    assert answer["state"] == "queued"
    return str(answer["withdrawal_id"])


def state(caller: Callable[[str], Caller], number: str) -> Any:
    return caller("alice-read").get(f"/v1/withdrawals/{number}").ok()


def available(caller: Callable[[str], Caller]) -> tuple[str, str]:
    rows = caller("alice-read").get("/v1/balances", asset="BTC").ok()["balances"]
    return rows[0]["available"], rows[0]["held"]


def settle(worker: SettlementWorker, clock: Clock, turns: int = 30) -> None:
    for _ in range(turns):
        worker.turn()
        clock.advance(0.5)


def states(row: Any) -> list[str]:
    return [step["state"] for step in row["history"]]


def test_W3_a_withdrawal_goes_through_every_state_to_completed(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock,
) -> None:  # fmt: skip
    number = ask(caller)
    assert available(caller) == ("998.9998", "1.0002")
    settle(SettlementWorker(engine, network, clock), clock)
    row = state(caller, number)
    assert states(row) == [
        "requested", "approved", "queued", "broadcasting", "confirming", "completed",
    ]  # fmt: skip
    assert row["confirmations"] == row["confirmations_required"] == 2
    assert len(row["txid"]) == 64 and not row["cancellable"]
    assert available(caller) == ("998.9998", "0")
    assert network.payments() == [(f"W{number}", GOOD, 100_000_000)]
    assert violations(engine.exchange) == []


def test_W6_a_failed_withdrawal_gives_everything_back(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock,
) -> None:  # fmt: skip
    number = ask(caller, FAILS)
    settle(SettlementWorker(engine, network, clock), clock)
    row = state(caller, number)
    assert row["state"] == "failed" and row["history"][-1]["note"]
    assert available(caller) == ("1000", "0")
    assert violations(engine.exchange) == []


def test_W3_a_reorganised_payment_is_broadcast_again_and_completes_once(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock,
) -> None:  # fmt: skip
    number = ask(caller, REORGANISED)
    settle(SettlementWorker(engine, network, clock), clock)
    assert states(state(caller, number)) == [
        "requested", "approved", "queued", "broadcasting", "confirming", "broadcasting",
        "confirming", "completed",
    ]  # fmt: skip
    assert available(caller) == ("998.9998", "0")
    assert len(network.payments()) == 1
    assert violations(engine.exchange) == []


def test_W5_what_waits_for_the_queue_delay_can_be_canceled(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock,
) -> None:  # fmt: skip
    number = ask(caller)
    worker = SettlementWorker(engine, network, clock, queue_delay_us=10 * SECOND_US)
    worker.turn()
    assert caller("alice-withdraw").delete(f"/v1/withdrawals/{number}").ok()["state"] == "canceled"
    settle(worker, clock)
    assert state(caller, number)["state"] == "canceled"
    assert network.payments() == []
    assert available(caller) == ("1000", "0")


class Died(Exception):
    """The worker's process is gone."""


class Mortal:
    """An engine or a network that dies after (or before) its n-th call has been done."""

    def __init__(self, real: Any, budget: list[int], after: bool) -> None:
        self.real, self.budget, self.after = real, budget, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.budget[0] -= 1
            if self.budget[0] == 0 and not self.after:
                raise Died
            result = method(*arguments, **options)
            if self.budget[0] == 0:
                raise Died
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("address", [GOOD, FAILS, REORGANISED])
def test_the_worker_may_die_between_any_two_steps(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock, after: bool, address: str,
) -> None:  # fmt: skip
    finished = False
    for die_at in range(1, 60):
        number = ask(caller, address, f"w-{die_at}")
        budget = [die_at]
        real: tuple[Any, Any] = (engine, network)
        worker = SettlementWorker(
            Mortal(real[0], budget, after), Mortal(real[1], budget, after), clock
        )
        try:
            settle(worker, clock)
            finished = True
        except Died:
            settle(SettlementWorker(engine, network, clock), clock)
        row = state(caller, number)
        assert row["state"] == ("failed" if address == FAILS else "completed"), die_at
        keys = [key for key, _, _ in network.payments()]
        assert keys.count(f"W{number}") == 1, die_at
        if finished:
            break
    assert violations(engine.exchange) == []
    sent = [] if address == FAILS else network.payments()
    gone = sum(amount + 20_000 for _, _, amount in sent)
    rows = caller("alice-read").get("/v1/balances", asset="BTC").ok()["balances"]
    left = 1000 * 10**8 - gone
    assert rows[0]["posted"].replace(".", "").rstrip("0") == str(left).rstrip("0")
    assert rows[0]["held"] == "0"


def test_a_network_without_memory_is_not_asked_again(
    caller: Callable[[str], Caller], engine: InProcessEngine, network: SimulatedNetwork,
    clock: Clock,
) -> None:  # fmt: skip
    number = ask(caller)
    worker = SettlementWorker(engine, network, clock)
    for _ in range(4):
        worker.turn()
        clock.advance(0.5)
    assert state(caller, number)["state"] == "confirming"

    class Forgetful:
        asked = 0

        def request(self, payment: SendRequest) -> None:
            self.asked += 1

        def status(self, key: str) -> NetworkStatus:
            return NetworkStatus("unknown")

    forgetful = Forgetful()
    typed: Network = forgetful
    settle(SettlementWorker(engine, typed, clock), clock, 3)
    assert forgetful.asked == 0
    assert state(caller, number)["state"] == "confirming"


def test_a_key_stands_for_one_payment(network: SimulatedNetwork) -> None:
    payment = SendRequest("W1", "BTC", "bitcoin", "a", "", 5)
    network.request(payment)
    network.request(payment)
    with pytest.raises(KeyReused):
        network.request(payment._replace(amount=6))
    assert network.payments() == [("W1", "a", 5)]


def test_an_engine_that_is_away_is_waited_for(
    caller: Callable[[str], Caller], engine: InProcessEngine, clock: Clock, tmp_path: Path
) -> None:
    import threading

    class Pending:
        """A network that takes every payment and sends none yet."""

        def request(self, payment: SendRequest) -> None:
            """Nothing is remembered: the test looks at the engine only."""

        def status(self, key: str) -> NetworkStatus:
            return NetworkStatus("pending")

    network: Network = Pending()

    stopping, asked = threading.Event(), threading.Semaphore(0)
    worker = SettlementWorker(engine, network, clock)
    real = worker.turn

    def turn() -> int:
        try:
            return real()
        finally:
            asked.release()

    worker.turn = turn  # type: ignore[method-assign]
    number = ask(caller)
    engine.failure = EngineUnavailable("away", "not_applied")
    thread = threading.Thread(target=worker.run, args=(stopping, 0.001))
    thread.start()
    assert all(asked.acquire(timeout=pace.seconds(5)) for _ in range(3))
    engine.failure = None
    assert all(asked.acquire(timeout=pace.seconds(5)) for _ in range(3))
    stopping.set()
    thread.join(pace.seconds(5))
    assert not thread.is_alive()
    assert state(caller, number)["state"] == "broadcasting"
