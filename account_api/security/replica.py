"""A copy of a collection of the engine's stored records, for processes of a venue on many machines.

Whoever changes a record does so through the engine, which compares versions. Whoever reads has a
copy in memory and asks the engine, on a thread of its own, for what has changed. The copy says how
old it may be, and is not used when it is older than ``TRUST_S``: so once a change is committed and
that time is over, no process on any machine acts on what was there before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from engine.core.types import StoredRecord, StoredRecords

TRUST_S: Final = 2.0
"""How long a copy is used after it was last known to be the newest state of the venue.

An engine that follows knows that twice a second, of a leader that knows it four times a second; the
rest is for a network or machine that is slow for a moment."""
SETTLED_S: Final = TRUST_S * 1.1
"""How long after a commit nobody has the former state; a tenth more than ``TRUST_S``, for clocks
of machines that do not run equally fast."""
REFRESH_S: Final = 0.2
"""How often a copy that is in use is renewed."""
IDLE_S: Final = 1.0
"""A copy that nobody has used for so long is not renewed until somebody needs it."""
NO_LEADER: Final = "no_leader"
"""The engine's code for a command that waited for a leader in vain, and was not done."""
AFTER_FAILURE_S: Final = 0.05
CHANGES_MAX: Final = 400
"""Records of one change; with the longest values they fit into a frame of the engine."""
TRIES_MAX: Final = 200

T = TypeVar("T")


class RecordsUnavailable(RuntimeError):
    """The engine cannot be asked, or its state is too old.

    ``unknown``: a change may be made. ``leaderless``: nobody leads the venue, as far as is known.
    """

    def __init__(self, text: str, *, unknown: bool = False, leaderless: bool = False) -> None:
        super().__init__(text)
        self.unknown = unknown
        self.leaderless = leaderless


class RecordsRefused(RuntimeError):
    """The engine refuses a change whatever its version is; the text says why."""


class StaleVersion(Exception):
    """Somebody else has changed the owner's records since."""


class RecordsPort(Protocol):
    """The engine's stored records. Thread-safe."""

    def fetch(self, collection: str, after: int) -> StoredRecords:
        """Return what has changed after a version. Raises RecordsUnavailable."""
        ...

    def store(
        self,
        collection: str,
        owner: str,
        expected: int,
        changes: Sequence[tuple[str, str]],
        source: str,
    ) -> None:
        """Change records; durable when it returns.

        ``source`` names the key or worker that does it. Raises StaleVersion, RecordsRefused,
        RecordsUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class State(Generic[T]):
    """A collection at one version: its records by (owner, key), and each owner's version."""

    version: int
    records: dict[tuple[str, str], T]
    versions: dict[str, int]


class Replica(Generic[T]):
    """The copy of one collection. Thread-safe; may be constructed before a fork.

    ``parse`` makes of a record what is kept of it. ``wait_s`` is how long a caller waits for the
    engine at most.
    """

    def __init__(
        self,
        collection: str,
        port: RecordsPort,
        parse: Callable[[StoredRecord], T],
        wait_s: float = 5.0,
    ) -> None:
        self.collection = collection
        self._port = port
        self._parse = parse
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._pid = 0
        self._thread: object = None
        self._state: State[T] = State(0, {}, {})
        self._fresh_at = float("-inf")
        self._asked_at = self._wanted_at = self._begun_at = self._tried_at = float("-inf")
        self._failure: RecordsUnavailable | None = None

    def state(self) -> State[T]:
        """Return the collection as it was at most ``TRUST_S`` ago. Raises RecordsUnavailable."""
        now = time.monotonic()
        self._asked_at = now
        if now - self._fresh_at > TRUST_S or self._pid != os.getpid():
            return self.renew()
        return self._state

    def renew(self) -> State[T]:
        """Return the collection as it was when this was called, or later.

        Raises RecordsUnavailable.
        """
        with self._changed:
            began = self._asked_at = self._wanted_at = time.monotonic()
            if self._pid != os.getpid():
                self._start()
            self._changed.notify_all()
            while self._begun_at < began:
                if self._failure and self._tried_at >= began:
                    failure = self._failure
                    raise RecordsUnavailable(str(failure), leaderless=failure.leaderless)
                left_s = began + self._wait_s - time.monotonic()
                if left_s <= 0:
                    raise RecordsUnavailable("the engine does not answer in time")
                self._changed.wait(left_s)
            if time.monotonic() - self._fresh_at > TRUST_S:
                raise RecordsUnavailable("the engine of this machine is cut off from the venue's")
            return self._state

    def change(
        self, owner: str, source: str, plan: Callable[[State[T]], Sequence[tuple[str, str]]]
    ) -> State[T]:
        """Make the changes that ``plan`` derives from the newest state, for one owner.

        It is called again whenever somebody else was faster; what it raises is raised. Without
        changes nothing is done. Returns a state that has them. Raises RecordsUnavailable and
        RecordsRefused.
        """
        unknown = False
        with self._writing:
            for _ in range(TRIES_MAX):
                try:
                    state = self.renew()
                    changes = plan(state)
                    if not changes:
                        return state
                    expected = state.versions.get(owner, 0)
                    self._port.store(self.collection, owner, expected, changes, source)
                except StaleVersion:
                    continue
                except RecordsUnavailable as error:
                    # A second attempt is based on the same version: only one of them is done.
                    if error.unknown and not unknown:
                        unknown = True
                        continue
                    raise RecordsUnavailable(
                        str(error), unknown=unknown, leaderless=error.leaderless
                    ) from error
                unknown = True
        raise RecordsUnavailable(f"the records of {owner or 'the venue'} change all the time")

    def close(self) -> None:
        """End the thread of this process, if there is one."""
        with self._changed:
            self._pid = 0
            self._thread = None
            self._fresh_at = float("-inf")
            self._changed.notify_all()

    # The thread.

    def _start(self) -> None:
        """Start the thread of this process (the lock is held)."""
        self._pid = os.getpid()
        self._begun_at = self._tried_at = self._fresh_at = float("-inf")
        me = self._thread = object()
        threading.Thread(
            target=self._follow, args=(me,), name=f"{self.collection}-replica", daemon=True
        ).start()

    def _follow(self, me: object) -> None:
        while self._await_turn(me):
            began = time.monotonic()
            try:
                answer = self._port.fetch(self.collection, self._state.version)
                state = self._merged(answer)
            except RecordsUnavailable as error:
                with self._changed:
                    self._tried_at, self._failure = began, error
                    self._changed.notify_all()
                continue
            with self._changed:
                if self._thread is not me:
                    return
                self._state, self._failure = state, None
                self._begun_at = self._tried_at = began
                self._fresh_at = began - answer.age_ms / 1_000
                self._changed.notify_all()

    def _await_turn(self, me: object) -> bool:
        """Wait until the copy is to be renewed; False if this thread is to end."""
        with self._changed:
            while self._thread is me:
                if self._wanted_at > self._tried_at:
                    return True
                now = time.monotonic()
                pause_s = AFTER_FAILURE_S if self._failure else REFRESH_S
                if now - self._asked_at > IDLE_S:
                    self._changed.wait()
                elif now - self._tried_at >= pause_s:
                    return True
                else:
                    self._changed.wait(self._tried_at + pause_s - now)
            return False

    def _merged(self, answer: StoredRecords) -> State[T]:
        """Return the state with what has changed. O(records), if anything has."""
        known = self._state
        if not answer.whole and not answer.records and answer.version == known.version:
            return known
        records = {} if answer.whole else dict(known.records)
        versions = {} if answer.whole else dict(known.versions)
        for record in answer.records:
            records[record.owner, record.key] = self._parse(record)
        versions.update(answer.versions)
        return State(answer.version, records, versions)
