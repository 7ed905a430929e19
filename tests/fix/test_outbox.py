"""Commands on their way to the engine: in order, kept, repeated, bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine.client import EngineUnavailable
from engine.core.commands import CancelOrder, Command, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from fix_gateway.runtime.outbox import DIRECT_MAX, PIECE, UNDER_WAY_MAX, Outbox
from fix_gateway.session.session import Session
from fix_gateway.settings import GatewaySettings
from tests.support import pace
from tests.support.fix_settings import session_settings
from tests.support.waiting import until


class Engine:
    """Takes commands, or is away."""

    def __init__(self) -> None:
        self.connected = True
        self.fails = False
        self.got: list[Command] = []
        self.news = threading.Condition()

    def post(self, commands: Iterable[Command], *, connect: bool) -> None:
        if self.fails:
            self.connected = False
            raise EngineUnavailable("away", "unknown")
        with self.news:
            self.got += list(commands)
            self.news.notify_all()

    def wait_for(self, count: int) -> list[Command]:
        with self.news:
            there = self.news.wait_for(lambda: len(self.got) >= count, pace.seconds(5))
            assert there, f"only {len(self.got)}"
            return list(self.got)


def nums(commands: Iterable[Command]) -> list[int]:
    return [command.origin.num for command in commands]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)
    settings = session_settings()
    found = Session(settings, gateway)
    found.epoch = 3
    return found


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def outbox(engine: Engine, session: Session) -> Outbox:
    made = Outbox(1000, 5_000_000, lambda: [session.open_command()])
    made.start(engine)
    made.connected()
    assert type(engine.wait_for(1)[0]).__name__ == "OpenSession"
    engine.got.clear()
    return made


def cancel(num: int) -> CancelOrder:
    return CancelOrder(Origin("fix:ALICE", 3, num), "alice", f"c{num}", f"o{num}")


def order(num: int) -> NewOrder:
    return NewOrder(
        Origin("fix:ALICE", 3, num), "alice", f"o{num}", "BTC-USD", Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 1, price=1,
    )  # fmt: skip


def test_who_waits_for_a_session_is_told_when_its_last_command_is_done(
    outbox: Outbox, session: Session
) -> None:
    assert outbox.wait_done("fix:ALICE", 0), "nothing is kept"
    for num in (1, 2):
        assert outbox.submit(session, cancel(num), 0)
    assert not outbox.wait_done("fix:ALICE", 0)
    assert outbox.wait_done("fix:BOB", 0), "another session's commands are not waited for"
    found: list[bool] = []
    waiter = threading.Thread(
        target=lambda: found.append(outbox.wait_done("fix:ALICE", pace.seconds(30)))
    )
    waiter.start()
    for num in (1, 2):
        assert not found
        outbox.done(cancel(num).origin)
        outbox.flush()
    waiter.join(pace.seconds(10))
    assert found == [True]


def test_a_command_that_was_done_before_does_not_keep_anybody_waiting(
    outbox: Outbox, session: Session
) -> None:
    session.last_num_applied = 1
    assert outbox.submit(session, cancel(1), 0)
    assert outbox.wait_done("fix:ALICE", 0)


def test_commands_go_out_in_order_however_many(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    count = 3 * DIRECT_MAX
    for num in range(1, count + 1):
        assert outbox.submit(session, cancel(num), 0)
    assert nums(engine.wait_for(count)) == list(range(1, count + 1))


def test_a_connection_is_noticed_though_the_wait_for_it_times_out_at_that_moment(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Semaphore(0)

    class TimesOut(threading.Condition):
        def wait(self, timeout: float | None = None) -> bool:
            waits.release()
            super().wait(timeout)
            return False

    with monkeypatch.context() as patch:
        patch.setattr(threading, "Condition", TimesOut)
        outbox = Outbox(1000, 5_000_000, list)
    engine.connected = False
    outbox.start(engine)
    assert waits.acquire(timeout=pace.seconds(5))
    assert not outbox.online
    engine.connected = True
    outbox.connected()
    for _ in range(3):
        assert waits.acquire(timeout=pace.seconds(5))
    assert outbox.online, "the gateway would let nobody in"


def test_beyond_a_few_commands_are_gathered_until_others_are_done(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    for num in range(1, DIRECT_MAX + 4):
        outbox.submit(session, cancel(num), 0)
    with engine.news:
        assert nums(engine.got)[:DIRECT_MAX] == list(range(1, DIRECT_MAX + 1))
    outbox.done(cancel(1).origin)
    outbox.flush()
    with engine.news:
        assert nums(engine.got) == list(range(1, DIRECT_MAX + 4))


def test_commands_are_not_gathered_for_long_when_nothing_is_done(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    for num in range(1, DIRECT_MAX + 2):
        outbox.submit(session, cancel(num), 0)
    assert nums(engine.wait_for(DIRECT_MAX + 1)) == list(range(1, DIRECT_MAX + 2))


def test_while_enough_is_under_way_nobody_is_woken_and_what_was_gathered_goes_with_the_next_done(
    engine: Engine, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waking of the thread would cost more than the command for which it is woken."""
    woken: list[int] = []

    class Waits(threading.Condition):
        def notify(self, n: int = 1) -> None:
            woken.append(n)
            super().notify(n)

        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(None if timeout is None else pace.seconds(60))

    with monkeypatch.context() as patch:
        patch.setattr(threading, "Condition", Waits)
        outbox = Outbox(2_000, 5_000_000, list)
    outbox.start(engine)
    until(lambda: outbox.online)
    last = DIRECT_MAX
    while last <= UNDER_WAY_MAX:  # Beyond the first few they go in pieces.
        last += PIECE
    for num in range(1, last + 1):
        assert outbox.submit(session, cancel(num), 0)
    engine.wait_for(last)
    woken.clear()
    for num in range(last + 1, last + 101):
        assert outbox.submit(session, cancel(num), 0)
    assert not woken
    with engine.news:
        assert len(engine.got) == last
    for num in range(1, 51):
        outbox.done(cancel(num).origin)
    outbox.flush()
    with engine.news:
        assert nums(engine.got) == list(range(1, last + 101))
    assert not woken


def test_what_is_not_done_is_repeated_in_order_before_anything_new(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    for num in range(1, 6):
        outbox.submit(session, cancel(num), 0)
    engine.wait_for(5)
    outbox.done(cancel(1).origin)
    outbox.done(cancel(2).origin)
    engine.connected = False
    outbox.lost(EngineUnavailable("gone", "unknown"))
    outbox.submit(session, cancel(6), 0)
    with engine.news:
        engine.got.clear()
    engine.connected = True
    outbox.connected()
    outbox.submit(session, cancel(7), 0)
    got = engine.wait_for(6)
    assert type(got[0]).__name__ == "OpenSession"
    assert nums(got[1:]) == [3, 4, 5, 6, 7]


def test_an_order_that_was_kept_is_valid_for_a_short_time_only(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    engine.fails = True
    outbox.submit(session, order(1), 1_000_000)
    outbox.submit(session, cancel(2), 1_000_000)
    engine.fails = False
    engine.connected = True
    outbox.connected()
    _, first, second = engine.wait_for(3)
    assert first.origin.valid_until == 6_000_000
    assert second.origin.valid_until == 0, "a cancel is always done"


def test_beyond_the_bound_nothing_is_taken(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    for num in range(1, 1001):
        assert outbox.submit(session, cancel(num), 0)
    assert not outbox.submit(session, cancel(1001), 0)
    outbox.done(cancel(1).origin)
    assert outbox.submit(session, cancel(1001), 0)
    assert len(outbox) == 1000


def test_what_the_engine_has_done_already_is_not_sent_again(
    outbox: Outbox, engine: Engine, session: Session
) -> None:
    session.last_num_applied = 5
    assert outbox.submit(session, cancel(5), 0)
    assert len(outbox) == 0
    assert outbox.submit(session, cancel(6), 0)
    assert nums(engine.wait_for(1)) == [6]


def test_notices_are_not_kept(outbox: Outbox, engine: Engine, session: Session) -> None:
    engine.connected = False
    outbox.send_unretained(session.close_command())
    engine.connected = True
    outbox.connected()
    outbox.submit(session, cancel(1), 0)
    assert [type(each).__name__ for each in engine.wait_for(2)] == ["OpenSession", "CancelOrder"]
