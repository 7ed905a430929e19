"""A member's journal is brought onto its disk beside all else, and a flush that failed ends it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from engine.cluster.clock import MemberClock
from engine.cluster.flusher import Flusher
from engine.cluster.log import Size
from engine.cluster.tenure import Leader
from engine.cluster.watch import Terms, Watch
from tests.support import pace
from tests.support.waiting import until


class SlowJournal:
    """Its flush ends when it is let; ``entered`` tells that one is under way."""

    last_seq = 7

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_end = threading.Event()

    def flush(self) -> int:
        self.entered.set()
        assert self.may_end.wait(pace.seconds(30))
        return self.last_seq


class BrokenJournal:
    """The second flush fails; after that the disk seems well again."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> int:
        self.flushes += 1
        if self.flushes == 2:
            raise OSError(errno.EIO, "Input/output error")
        return self.flushes


class Etcd:
    """Tenure, members and log of a member whose leader goes when a flush is under way."""

    def __init__(self, journal: SlowJournal) -> None:
        self._journal = journal

    def leader(self) -> Leader | None:
        return None if self._journal.entered.is_set() else Leader("b", "b:7010")

    def try_win(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def register(self, *args: object, **more: object) -> None:
        pass

    def report(self, progress: object) -> None:
        pass

    def head(self) -> None:
        return None

    def size(self) -> Size:
        return Size(0, 0)

    def view(self) -> tuple[list[Any], str]:
        return [], ""


@pytest.fixture
def slow() -> Iterator[SlowJournal]:
    journal = SlowJournal()
    yield journal
    journal.may_end.set()


def test_a_member_is_elected_while_its_disk_is_slow(slow: SlowJournal) -> None:
    etcd: Any = Etcd(slow)
    terms = Terms("a", "a:7010", candidate=True, records_max=1_000, silence_s=0.5)
    clock = MemberClock(lambda: 0, lambda: 0.0)
    journal: Any = slow
    watch = Watch(terms, etcd, etcd, etcd, journal, lambda: None, clock)
    watch.start()
    try:
        until(lambda: watch.won, "not elected while a flush is under way")
        assert not slow.may_end.is_set()
    finally:
        slow.may_end.set()
        watch.close()
    assert watch.flusher.flushed == slow.last_seq


def test_after_a_flush_that_failed_there_is_no_other() -> None:
    journal: Any = BrokenJournal()
    woken = threading.Event()
    flusher = Flusher(journal, woken.set)
    flusher.start()
    assert woken.wait(pace.seconds(30))
    flusher.close()
    assert flusher.failed is not None
    assert (flusher.flushed, journal.flushes) == (1, 2)
