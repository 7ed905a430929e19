"""Orders and timers in parts: the same answers as one dictionary, and no part becomes large."""

from __future__ import annotations

import random
from typing import Final

from benchmarks.book_own import INSTRUMENT, TERMS
from engine.core.book import Book, Order
from engine.core.ledger import Account, Money
from engine.core.ordertable import PARTS_MASK, RUN_BITS, OrderTable
from engine.core.timers import Key, Timer, TimerKind, Timers
from engine.core.triggers import StopBook

ACCOUNT: Final = Account("firm", "firm")
BOOK: Final = Book(INSTRUMENT, StopBook(), Money())


def made() -> Order:
    """Any order: a compiled table takes nothing else."""
    return Order(TERMS, ACCOUNT, BOOK)


def test_an_order_table_answers_as_a_dictionary_does() -> None:
    table, plain = OrderTable(), dict[int, Order]()
    chance = random.Random(1)
    for order_id in range(1, 20_000):
        order = made()
        table[order_id] = plain[order_id] = order
        gone = chance.randrange(1, order_id + 1)
        if gone in plain and chance.random() < 0.8:
            del plain[gone], table.parts[gone >> RUN_BITS & PARTS_MASK][gone]
    assert list(table.values()) == list(plain.values())
    assert len(table) == len(plain)
    assert all(table.get(order_id) is plain.get(order_id) for order_id in range(25_000))


def largest_share(sizes: list[int]) -> float:
    """The largest part as a share of all."""
    return max(sizes) / sum(sizes)


def test_no_part_of_the_table_or_of_the_orders_that_end_together_becomes_large() -> None:
    count = (PARTS_MASK + 1 << RUN_BITS) * 2
    table, timers, order = OrderTable(), Timers(), made()
    for order_id in range(1, count):
        table[order_id] = order
        timers.add(5, order_id)
    for sizes in (
        [len(part) for part in table.parts],
        [len(part) for part in timers.by_time[5].values()],
    ):
        assert largest_share(sizes) < 1.01 / (PARTS_MASK + 1)


def test_S4_timers_of_one_time_fire_orders_first_by_id_whatever_part_they_are_in() -> None:
    timers, chance = Timers(), random.Random(2)
    ids: list[Key] = [number << RUN_BITS - 1 for number in range(1, 3_000)]
    others: list[Key] = [Timer(TimerKind.SESSION, name, "", 0) for name in "abc"]
    keys = ids + others
    chance.shuffle(keys)
    for key in keys:
        timers.add(7, key)
    timers.discard(7, ids[10])
    timers.discard(7, others[1])
    timers.discard(7, others[1])
    left = [*ids[:10], *ids[11:], others[0], others[2]]
    assert timers.at(7) == left
    assert list(timers.pop_due(7)) == left
    assert timers.next() == 0
    assert not timers.by_time
