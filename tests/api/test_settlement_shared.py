"""Settlement on several machines: one worker acts, another goes on, and two do no harm."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from account_api.settlement.derived import DerivedNetwork
from account_api.settlement.network import KeyReused, SendRequest
from account_api.settlement.simulated import SimulatedNetwork
from account_api.settlement.worker import SettlementWorker
from engine.core.types import Standing
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine
from tests.api.test_settlement import (
    BEHAVIOUR,
    FAILS,
    GOOD,
    REORGANISED,
    ask,
    available,
    settle,
    state,
    states,
)
from tests.support import pace
from tests.support.venue import violations

MakeWorker = Callable[[], SettlementWorker]
CallerOf = Callable[[str], Caller]


@pytest.fixture
def worker(engine: InProcessEngine, clock: Clock) -> MakeWorker:
    """Make the worker of a machine, which has nothing but the engine."""
    return lambda: SettlementWorker(
        engine, DerivedNetwork(engine, BEHAVIOUR, clock), clock, shared=True
    )


@pytest.mark.parametrize("address", [GOOD, FAILS, REORGANISED])
def test_the_network_without_a_file_behaves_like_that_with_one(
    caller: CallerOf, engine: InProcessEngine, clock: Clock, tmp_path: Path, address: str,
    worker: MakeWorker,
) -> None:  # fmt: skip
    ways = []
    for number, each in enumerate((
        SettlementWorker(engine, SimulatedNetwork(tmp_path / "n", BEHAVIOUR, clock), clock),
        worker(),
    )):  # fmt: skip
        made = ask(caller, address, f"w{number}")
        settle(each, clock)
        row = state(caller, made)
        ways.append((states(row), row["confirmations"], row["history"][-1]["note"]))
    assert ways[0] == ways[1]
    assert available(caller)[1] == "0" and violations(engine.exchange) == []


@pytest.mark.parametrize("address", [GOOD, FAILS, REORGANISED])
def test_another_machine_goes_on_wherever_the_first_was_lost(
    caller: CallerOf, engine: InProcessEngine, clock: Clock, address: str, worker: MakeWorker
) -> None:
    for turns in range(12):
        made = ask(caller, address, f"w{turns}")
        settle(worker(), clock, turns)
        settle(worker(), clock)
        expected = "failed" if address == FAILS else "completed"
        assert state(caller, made)["state"] == expected, turns
    sent = 0 if address == FAILS else 12 * 100_020_000
    posted = caller("alice-read").get("/v1/balances", asset="BTC").ok()["balances"][0]
    assert float(posted["posted"]) == (1000 * 10**8 - sent) / 10**8 and posted["held"] == "0"
    assert violations(engine.exchange) == []


def test_who_does_not_lead_does_nothing(
    caller: CallerOf, engine: InProcessEngine, clock: Clock, worker: MakeWorker
) -> None:
    made = ask(caller)
    engine._queries._standing_now = lambda: Standing(leads=False, age_ms=0)
    settle(worker(), clock, 5)
    assert state(caller, made)["state"] == "queued"
    engine._queries._standing_now = lambda: Standing(leads=True, age_ms=0)
    settle(worker(), clock)
    assert state(caller, made)["state"] == "completed"


class Baton:
    """Lets one of several threads make its next call at a time; a seed decides which."""

    def __init__(self, seed: int, runners: int) -> None:
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._running = list(range(runners))
        self._turn = 0

    def call(self, me: int, what: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: self._turn == me, pace.seconds(10))
            try:
                return what(*arguments, **options)
            finally:
                self._turn = self._random.choice(self._running)
                self._changed.notify_all()

    def end(self, me: int) -> None:
        with self._changed:
            self._running.remove(me)
            if self._turn == me and self._running:
                self._turn = self._running[0]
            self._changed.notify_all()


class Passed:
    """An engine or a network every call of which needs the baton; requests are noted."""

    def __init__(self, real: Any, baton: Baton, me: int, requested: list[SendRequest]) -> None:
        self._real, self._baton, self._me, self._requested = real, baton, me, requested

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "request":
                self._requested.append(arguments[0])
            return self._baton.call(self._me, method, *arguments, **options)

        return call


def test_two_workers_at_once_send_no_withdrawal_twice(
    caller: CallerOf, engine: InProcessEngine, clock: Clock, tmp_path: Path
) -> None:
    """Both believe that theirs is the engine that leads, and share one network."""
    network = SimulatedNetwork(tmp_path / "network.db", BEHAVIOUR, clock)
    network._connection.close()
    network._connection = sqlite3.connect(
        tmp_path / "network.db", isolation_level=None, check_same_thread=False
    )
    requested: list[SendRequest] = []
    asked: dict[str, str] = {}
    for seed in range(12):
        for number, address in enumerate((GOOD, FAILS, REORGANISED)):
            asked[ask(caller, address, f"w-{seed}-{number}")] = address
        baton = Baton(seed, 2)

        def run(me: int, baton: Baton = baton) -> None:
            try:
                one = SettlementWorker(
                    Passed(engine, baton, me, requested), Passed(network, baton, me, requested),
                    clock, shared=True,
                )  # fmt: skip
                settle(one, clock, 20)
            finally:
                baton.end(me)

        threads = [threading.Thread(target=run, args=(me,)) for me in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for made, address in asked.items():
        assert state(caller, made)["state"] == ("failed" if address == FAILS else "completed")
    keys = [key for key, _, _ in network.payments()]
    assert sorted(keys) == sorted(f"W{made}" for made in asked), "each was accepted once"
    assert len(requested) > len(set(requested)), "the workers did meet"
    assert len(set(requested)) == len(asked), "always on the same terms"
    assert available(caller)[1] == "0" and violations(engine.exchange) == []


def test_only_the_payment_of_a_withdrawal_is_taken(
    caller: CallerOf, engine: InProcessEngine, clock: Clock
) -> None:
    made = ask(caller)
    network = DerivedNetwork(engine, BEHAVIOUR, clock)
    row = engine.exchange.withdrawals[int(made)].row
    payment = SendRequest(f"W{made}", row.asset, row.network, row.address, row.memo, row.amount)
    network.request(payment)
    assert network.status(payment.key).state == "unknown", "it is not broadcast yet"
    for wrong in (payment._replace(amount=1), payment._replace(key="W999"),
                  payment._replace(key="other")):  # fmt: skip
        with pytest.raises(KeyReused):
            network.request(wrong)
