"""Webhook endpoints of a venue on several machines: records in the engine.

Endpoints and what they asked to be sent again are the same on every machine; the log of attempts
is of the machine that made them. The process that delivers stores how far each endpoint was served
once a second, not with every delivery, as the journal keeps each change permanently. Who goes on
elsewhere may therefore deliver the events of that second again, under the same ids.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec
import structlog

from account_api.security.master_key import MasterKey
from account_api.security.replica import (
    CHANGES_MAX,
    RecordsPort,
    RecordsRefused,
    RecordsUnavailable,
    Replica,
    State,
)
from account_api.security.sealing import Sealer
from account_api.webhooks.store import (
    ERRANDS_MAX,
    VENUE_ENDPOINTS_MAX,
    Attempt,
    Endpoint,
    Errand,
    WebhookNameTaken,
    WebhooksFull,
    WebhookStore,
    WebhookStoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.core.types import StoredRecord

ENDPOINTS: Final = "webhook_endpoints"
ERRANDS: Final = "webhook_requests"
SOURCE: Final = "worker:webhooks"
STORE_S: Final = 1.0
"""How often the places of endpoints are stored."""
_SEALED: Final = ("secret", "old_secret")
_KEPT_OUT: Final = frozenset(("id", "firm"))
_PROGRESS: Final = frozenset(("seq", "event_index", "delivered_at"))
"""What an attempt changes whatever else has happened to the endpoint meanwhile."""
T = TypeVar("T")
_log: Final = structlog.get_logger("account_api.webhooks")


class _Known(NamedTuple):
    """A record of an endpoint: its number, what is stored of it, and what that means."""

    number: int
    stored: dict[str, Any]
    endpoint: Endpoint


@dataclass(slots=True)
class _Pending:
    """What attempts have changed of an endpoint that was last updated at ``updated_at``."""

    updated_at: int
    changes: dict[str, Any] = field(default_factory=dict)


class SharedWebhookStore:
    """The endpoints of all machines; has what ``WebhookStore`` has. Thread-safe, also after a fork.

    ``alone`` is the file of this machine. Its endpoints are added to the shared ones, and from then
    on it has the log of this machine's attempts. ``master`` is the file of the master key.
    """

    exists = True

    def __init__(self, records: RecordsPort, alone: WebhookStore, master: str = "") -> None:
        self._alone = alone
        self._master = MasterKey(records, master)
        self._sealer = Sealer(master)
        self._endpoints: Replica[_Known] = Replica(ENDPOINTS, records, self._known)
        self._errands: Replica[Errand] = Replica(ERRANDS, records, _errand_of)
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._done_to: dict[int, tuple[int, int]] = {}
        self._stored_at = float("-inf")
        self._seen = (-1, -1)
        self._ready = False

    def changed(self) -> bool:
        """Return whether anything was changed since the last call; store places that are due."""
        self._store_places(time.monotonic() - STORE_S)
        version = self._state().version, self._errand_state().version
        known, self._seen = self._seen, version
        return known != version

    # Endpoints

    def add(self, endpoint: Endpoint, account_max: int) -> None:
        """Store a new endpoint. Raises WebhookNameTaken, WebhooksFull, WebhookStoreError."""
        stored = self._stored(endpoint)

        def plan(state: State[_Known]) -> list[tuple[str, str]]:
            if (endpoint.firm, endpoint.id) in state.records:
                return []
            own = [one.endpoint for one in state.records.values()]
            own = [one for one in own if one.account == endpoint.account]
            if any(one.name == endpoint.name for one in own):
                raise WebhookNameTaken(f"{endpoint.account} has an endpoint {endpoint.name}")
            if len(state.records) >= VENUE_ENDPOINTS_MAX or len(own) >= account_max:
                raise WebhooksFull("no more endpoints can be made")
            return [(endpoint.id, _text(stored))]

        self._change(self._endpoints, endpoint.firm, endpoint.created_by, plan)

    def find(self, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint."""
        found = self._find(endpoint_id)
        return None if found is None else self._now(found)

    def _find(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint as it is stored."""
        state = self._state()
        for renewed in (False, True):
            if renewed:
                with self._asking():
                    state = self._endpoints.renew()
            for firm in state.versions:
                known = state.records.get((firm, endpoint_id))
                if known is not None:
                    return known.endpoint
        return None

    def of(self, account: str) -> list[Endpoint]:
        """Return the endpoints of an account, oldest first; renewed, as it is decided on."""
        with self._asking():
            self._endpoints.renew()
        return [one for one in self.everything() if one.account == account]

    def everything(self) -> list[Endpoint]:
        """Return every endpoint, oldest first."""
        known = sorted(self._state().records.values(), key=lambda one: one.number)
        return [self._now(one.endpoint) for one in known]

    def change(self, endpoint_id: str, **changes: Any) -> Endpoint | None:
        """Change fields of an endpoint; returns it as it is then, None if it is gone.

        Raises WebhookNameTaken, WebhookStoreError.
        """
        found = self.find(endpoint_id)
        if found is None:
            return None
        stored = {name: self._value(endpoint_id, name, changes[name]) for name in changes}

        def plan(state: State[_Known]) -> list[tuple[str, str]]:
            known = state.records.get((found.firm, endpoint_id))
            if known is None or known.stored == known.stored | stored:
                return []
            name = changes.get("name", known.endpoint.name)
            for (_, key), one in state.records.items():
                same = (one.endpoint.account, one.endpoint.name) == (found.account, name)
                if same and key != endpoint_id:
                    raise WebhookNameTaken("the account has another endpoint of that name")
            return [(endpoint_id, _text(known.stored | stored))]

        self._change(self._endpoints, found.firm, SOURCE, plan)
        return self.find(endpoint_id)

    def delete(self, endpoint_id: str) -> None:
        """Delete an endpoint, with the log that this machine has."""
        found = self.find(endpoint_id)
        if found is None:
            return

        def plan(state: State[_Known]) -> list[tuple[str, str]]:
            return [(endpoint_id, "")] if (found.firm, endpoint_id) in state.records else []

        def plan_errands(state: State[Errand]) -> list[tuple[str, str]]:
            rows = state.records.items()
            return [(key, "") for (_, key), one in rows if one.endpoint == endpoint_id]

        self._change(self._endpoints, found.firm, SOURCE, plan)
        self._change(self._errands, found.firm, SOURCE, plan_errands)
        self._alone.delete(endpoint_id)

    # Attempts and errands

    def record(
        self, attempt: Attempt, *, done: Errand | None = None, errand_at: tuple[int, int] = (0, 0),
        **changes: Any,
    ) -> None:  # fmt: skip
        """Log an attempt and change its endpoint, and the errand that it was made for, if any.

        A change that others must know at once is stored at once, a place with the next ones.
        """
        found = self._find(attempt.endpoint)
        if found is None:
            return  # It was deleted meanwhile.
        self._alone.log(attempt)
        with self._lock:
            pending = self._pending.get(found.id)
            if pending is None or pending.updated_at != found.updated_at:
                pending = self._pending[found.id] = _Pending(found.updated_at)
            pending.changes |= changes
            if done is not None and errand_at != (0, 0):
                self._done_to[done.number] = errand_at
        if done is not None and errand_at == (0, 0):
            self.finish(done)
        if "state" in changes:
            self._store_places(time.monotonic())

    def attempts(
        self, endpoint_id: str, *, before: int = 0, event_id: str = "", limit: int = 100
    ) -> list[Attempt]:
        """Return attempts of this machine, newest first."""
        return self._alone.attempts(endpoint_id, before=before, event_id=event_id, limit=limit)

    def ask(self, errand: Errand) -> int:
        """Store what shall be sent; returns its number. Raises WebhooksFull."""
        found = self.find(errand.endpoint)
        if found is None:
            raise WebhookStoreError("the endpoint is gone")
        key = f"{errand.endpoint}:{secrets.token_hex(8)}"

        def plan(state: State[Errand]) -> list[tuple[str, str]]:
            if (found.firm, key) in state.records:
                return []
            waiting = [one for one in state.records.values() if one.endpoint == errand.endpoint]
            if len(waiting) >= ERRANDS_MAX:
                raise WebhooksFull("too much waits to be sent to the endpoint")
            return [(key, _text(_errand_fields(errand)))]

        state = self._change(self._errands, found.firm, errand.by, plan)
        return state.records[found.firm, key].number

    def errand(self, endpoint_id: str) -> Errand | None:
        """Return what an endpoint is to be sent first, out of turn."""
        rows = self._errand_state().records.values()
        own = [one for one in rows if one.endpoint == endpoint_id]
        first = min(own, key=lambda one: (one.kind, one.number), default=None)
        if first is None:
            return None
        seq, index = self._done_to.get(first.number, (first.seq, first.event_index))
        return replace(first, seq=seq, event_index=index)

    def finish(self, errand: Errand) -> None:
        """Remove an errand."""
        rows = self._errand_state().records.items()
        place = next((place for place, one in rows if one.number == errand.number), None)
        if place is None:
            return
        owner, key = place

        def plan(state: State[Errand]) -> list[tuple[str, str]]:
            return [(key, "")] if place in state.records else []

        self._change(self._errands, owner, SOURCE, plan)
        self._done_to.pop(errand.number, None)

    def hand_over(self) -> None:
        """Store the places, as another machine delivers from now on, and forget them.

        Raises WebhookStoreError; then events may be delivered again, under the same ids.
        """
        try:
            self._store_places(time.monotonic())
        finally:
            with self._lock:
                self._pending.clear()
                self._done_to.clear()

    def close(self) -> None:
        """Store what is still to be stored, if the engine is there, and end."""
        try:
            self.hand_over()
        except WebhookStoreError as error:
            _log.warning("places_not_stored", reason=str(error))
        self._endpoints.close()
        self._errands.close()
        self._alone.close()
        self._ready = False

    # Inside

    def _now(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint with what attempts of this process have changed of it."""
        with self._lock:
            pending = self._pending.get(endpoint.id)
            return endpoint if pending is None else _merged(endpoint, pending)

    def _store_places(self, due: float) -> None:
        """Store what attempts have changed, unless that was done after ``due``."""
        with self._lock:
            if not self._pending or self._stored_at > due:
                return
            pending = {
                name: _Pending(one.updated_at, dict(one.changes))
                for name, one in self._pending.items()
            }
            self._stored_at = time.monotonic()
        for firm in {owner for owner, name in self._state().records if name in pending}:
            self._change(self._endpoints, firm, SOURCE, partial(self._places, pending, firm))
        with self._lock:
            for name, one in pending.items():
                if self._pending.get(name) == one:
                    del self._pending[name]  # Nothing was added to it meanwhile.

    def _places(
        self, pending: dict[str, _Pending], firm: str, state: State[_Known]
    ) -> list[tuple[str, str]]:
        found = []
        for name, one in pending.items():
            known = state.records.get((firm, name))
            if known is None:
                continue
            merged = _merged(known.endpoint, one)
            stored = known.stored | {
                each: self._value(name, each, getattr(merged, each))
                for each in one.changes
                if getattr(merged, each) != getattr(known.endpoint, each)
            }
            if stored != known.stored:
                found.append((name, _text(stored)))
        return found[:CHANGES_MAX]

    def _state(self) -> State[_Known]:
        with self._asking():
            if not self._ready:
                self._prepare()
            return self._endpoints.state()

    def _errand_state(self) -> State[Errand]:
        with self._asking():
            return self._errands.state()

    def _prepare(self) -> None:
        """Check the master key, and share the endpoints that this machine had for itself."""
        self._master.check()
        if self._alone.exists:
            for one in self._alone.everything():
                change = [(one.id, _text(self._stored(one)))]
                self._endpoints.change(one.firm, SOURCE, partial(_missing, one, change))
            self._alone.forget_endpoints()
        self._ready = True

    def _change(
        self, replica: Replica[T], owner: str, source: str,
        plan: Callable[[State[T]], Sequence[tuple[str, str]]],
    ) -> State[T]:  # fmt: skip
        self._state()
        with self._asking():
            return replica.change(owner, source, plan)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (RecordsUnavailable, RecordsRefused, OSError) as error:
            failure = WebhookStoreError(f"webhook endpoints cannot be used: {error}")
            failure.leaderless = isinstance(error, RecordsUnavailable) and error.leaderless
            raise failure from error

    def _stored(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            one.name: self._value(endpoint.id, one.name, getattr(endpoint, one.name))
            for one in fields(Endpoint)
            if one.name not in _KEPT_OUT
        }

    def _value(self, endpoint_id: str, name: str, value: Any) -> Any:
        if name not in _SEALED:
            return value
        sealed = self._sealer.seal(value, endpoint_id) if value else b""
        return base64.b64encode(sealed).decode("ascii")

    def _known(self, record: StoredRecord) -> _Known:
        stored: dict[str, Any] = msgspec.json.decode(record.value)
        values = dict(stored)
        for name in _SEALED:
            sealed = base64.b64decode(values[name])
            values[name] = self._sealer.open(sealed, record.key)
        endpoint = Endpoint(id=record.key, firm=record.owner, **values)
        return _Known(record.number, stored, endpoint)


def _missing(
    endpoint: Endpoint, change: list[tuple[str, str]], state: State[_Known]
) -> list[tuple[str, str]]:
    return [] if (endpoint.firm, endpoint.id) in state.records else change


def _merged(endpoint: Endpoint, pending: _Pending) -> Endpoint:
    """Return an endpoint with what attempts have changed; its place never goes back."""
    changes = dict(pending.changes)
    if endpoint.updated_at != pending.updated_at:
        # Its owner has changed it: what failed before does not count any more.
        changes = {name: value for name, value in changes.items() if name in _PROGRESS}
    place = changes.pop("seq", 0), changes.pop("event_index", 0)
    seq, index = max(endpoint.place, place)
    return replace(endpoint, **changes, seq=seq, event_index=index)


def _errand_fields(errand: Errand) -> dict[str, Any]:
    return {
        one.name: getattr(errand, one.name) for one in fields(Errand) if one.name != "number"
    }


def _errand_of(record: StoredRecord) -> Errand:
    return Errand(**msgspec.json.decode(record.value), number=record.number)


def _text(stored: dict[str, Any]) -> str:
    return msgspec.json.encode(stored).decode()
