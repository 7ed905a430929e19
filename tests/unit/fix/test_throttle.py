"""The token bucket: what weighs, how it fills, and when patience ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.commands import Batch, CancelOrder, MassCancel, NewOrder, RecordRefusal
from engine.core.types import (
    BatchMode,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    Side,
    TimeInForce,
)
from fix_gateway.session.throttle import FLOOD_FACTOR, Throttle, weight

ORIGIN = Origin("fix:ALICE", 1, 2)
ORDER = NewOrder(
    ORIGIN, "alice", "a", "BTC-USD", Side.BUY, OrdType.LIMIT, TimeInForce.GTC, 1, price=1
)
CANCEL = CancelOrder(ORIGIN, "alice", "c", "a")
SECOND = 1_000_000


def test_what_weighs() -> None:
    refused = RecordRefusal(ORIGIN, "alice", RequestKind.NEW, RejectReason.INVALID_PRICE, "x")
    assert weight(ORDER) == 1
    assert weight(refused) == 1
    assert weight(CANCEL) == weight(MassCancel(ORIGIN, "alice", "q")) == 0
    assert weight(refused._replace(request=RequestKind.CANCEL)) == 0
    batch = Batch(ORIGIN, "alice", "b", BatchMode.INDEPENDENT, (ORDER, CANCEL, ORDER, refused))
    assert weight(batch) == 3


def test_a_burst_then_the_rate() -> None:
    throttle = Throttle(rate=2, burst=5)
    assert [throttle.take(1, SECOND) for _ in range(6)] == [True] * 5 + [False]
    assert not throttle.take(1, SECOND + 499_999)
    assert throttle.take(1, SECOND + 500_000)
    assert throttle.take(2, SECOND + 1_500_000)
    assert not throttle.take(6, 100 * SECOND), "more than the burst is never taken at once"


def test_a_clock_that_goes_back_gives_nothing() -> None:
    throttle = Throttle(rate=1, burst=1)
    assert throttle.take(1, 10 * SECOND)
    assert not throttle.take(1, 5 * SECOND)
    assert not throttle.take(1, 10 * SECOND)
    assert throttle.take(1, 11 * SECOND)


def test_patience_ends_with_a_flood_and_not_with_a_little_too_much() -> None:
    throttle = Throttle(rate=10, burst=10)
    for turn in range(1_000):  # Half as much again as is allowed.
        throttle.take(1, SECOND + turn * SECOND // 15)
        assert not throttle.flooded
    throttle = Throttle(rate=10, burst=10)
    refused = 0
    while not throttle.flooded:
        refused += not throttle.take(1, SECOND)
    assert refused == FLOOD_FACTOR * 10 + 1
    throttle.reset_patience()
    assert not throttle.flooded and not throttle.take(1, SECOND)


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3 * SECOND)), max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(
    rate: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    throttle, now, taken = Throttle(rate, burst), SECOND, 0
    for count, pause in steps:
        now += pause
        if throttle.take(count, now):
            taken += count
        assert taken * SECOND <= burst * SECOND + rate * (now - SECOND)
