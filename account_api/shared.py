"""The engine's stored records, as security and webhooks use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from account_api.ports import EnginePort
from account_api.security.replica import (
    NO_LEADER,
    TRUST_S,
    RecordsRefused,
    RecordsUnavailable,
    StaleVersion,
)
from engine.client import EngineError, EngineRefused, own_event, queries
from engine.core.commands import StoreRecords
from engine.core.events import RecordsStored, Refused
from engine.core.types import Origin, RejectReason, StoredRecords


def leaderless(engine: EnginePort) -> bool:
    """Return whether the engine is one of several and knows of no leader. Raises EngineError."""
    cluster = engine.fetch(queries.Cluster()).value
    return cluster is not None and not cluster.leader


class EngineRecords:
    """A ``RecordsPort``; ``engine`` returns the client of this process."""

    def __init__(self, engine: Callable[[], EnginePort]) -> None:
        self._engine = engine

    def fetch(self, collection: str, after: int) -> StoredRecords:
        """Return what has changed after a version. Raises RecordsUnavailable."""
        try:
            answer = self._engine().fetch(queries.StoredRecords(collection, after)).value
            if answer.age_ms > TRUST_S * 1_000 and leaderless(self._engine()):
                raise RecordsUnavailable("the venue has no leader", leaderless=True)
        except EngineError as error:
            raise RecordsUnavailable(f"the engine cannot be asked: {error}") from error
        return answer

    def store(
        self,
        collection: str,
        owner: str,
        expected: int,
        changes: Sequence[tuple[str, str]],
        source: str,
    ) -> None:
        """Change records. Raises StaleVersion, RecordsRefused, RecordsUnavailable."""
        command = StoreRecords(Origin(source), collection, owner, expected, tuple(changes))
        try:
            done = self._engine().submit(command).transaction
        except EngineRefused as error:
            if error.code == NO_LEADER:
                raise RecordsUnavailable(error.text, leaderless=True) from error
            raise RecordsRefused(error.text) from error
        except EngineError as error:
            unknown = getattr(error, "outcome", "") == "unknown"
            raise RecordsUnavailable(f"the engine cannot be asked: {error}", unknown=unknown) from (
                error
            )
        event = own_event(done.events, command, RecordsStored, Refused)
        if isinstance(event, RecordsStored):
            return
        if event is not None and event.reason is RejectReason.MISMATCH:
            raise StaleVersion
        raise RecordsRefused("" if event is None else event.text)
