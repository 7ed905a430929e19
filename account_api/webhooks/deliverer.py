"""Delivers to all endpoints: a task for each, so that a slow one holds up nobody else.

One loop looks at the history, a few times a second, to whom something happened, and wakes those.
Each task reads its events behind its own place and sends one after the other. A failed one is
tried again until it succeeds, or for so long that the endpoint is disabled; those behind it wait,
so that they arrive in order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import structlog

from account_api.webhooks import events
from account_api.webhooks.backoff import Backoff
from account_api.webhooks.events import Event, Page, Source
from account_api.webhooks.post import Answer, shown
from account_api.webhooks.shared_store import SharedWebhookStore
from account_api.webhooks.signing import signed_headers
from account_api.webhooks.store import (
    Attempt,
    AttemptKind,
    Endpoint,
    Errand,
    WebhookStore,
    WebhookStoreError,
)
from engine.client import EngineError
from engine.history import reader as history

GONE: Final = 410
IN_FLIGHT_MAX: Final = 256
"""Deliveries at once, of all endpoints."""
AFTER_TROUBLE_S: Final = 1.0
AFTER_FAULT_US: Final = 10_000_000
STOP_S: Final = 3.0
_log: Final = structlog.get_logger("account_api.webhooks")

Post: TypeAlias = Callable[[str, list[tuple[str, str]], bytes], Awaitable[Answer]]


@dataclass(slots=True)
class _Courier:
    """An endpoint's task, what wakes it, and the event that it has in hand."""

    endpoint: Endpoint
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    waiting_since_us: int = 0
    restart_at: int = 0


class Deliverer:
    """Runs until ``stop``; ``give_up_s`` is how long an endpoint may fail without a success.

    While ``acts`` returns False another machine delivers, and this one does not. Should both do so
    for a moment, an event arrives twice under the same id.
    """

    def __init__(
        self,
        store: WebhookStore | SharedWebhookStore,
        source: Callable[[], Source],
        post: Post,
        *,
        poll_s: float,
        give_up_s: float,
        backoff: Backoff | None = None,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        acts: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._open_source = source
        self._source: Source | None = None
        self._post = post
        self._poll_s = poll_s
        self._give_up_us = int(give_up_s * 1_000_000)
        self._backoff = backoff or Backoff()
        self._clock_us = clock_us
        self._acts = acts
        self._acted = True
        self._couriers: dict[str, _Courier] = {}
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._seen = (0, 0)
        self._stopping = asyncio.Event()
        self.trouble = ""
        """Why nothing can be read or stored at present; "" while it can."""
        self.endpoints: tuple[Endpoint, ...] = ()
        self.delivered = self.failed = 0

    @property
    def oldest_waiting_us(self) -> int:
        """When the oldest event happened that an active endpoint was not served yet; 0: none."""
        waiting = [one.waiting_since_us for one in list(self._couriers.values())]
        return min((one for one in waiting if one), default=0)

    def stop(self) -> None:
        """Make ``run`` return, once deliveries under way have their answer or a bound is over."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver until ``stop``."""
        while not self._stopping.is_set():
            try:
                acts = await asyncio.to_thread(self._acts)
                changed = acts and await asyncio.to_thread(self._look_at_store)
                if not acts:
                    self.endpoints = ()
                self._adjust()
                if self._acted and not acts:
                    await asyncio.to_thread(self._store.hand_over)
                self._acted = acts
                if changed:
                    for courier in self._couriers.values():
                        courier.wake.set()
                if self._couriers:
                    await self._look_at_history()
                self.trouble = ""
            except (WebhookStoreError, EngineError, history.SQLAlchemyError) as error:
                self._troubled(error)
            await _within(self._stopping, self._poll_s)
        tasks = [one.task for one in self._couriers.values() if one.task]
        for courier in self._couriers.values():
            courier.wake.set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _troubled(self, error: Exception) -> None:
        known, self.trouble = bool(self.trouble), str(error).splitlines()[0]
        if not known:
            _log.warning("interrupted", reason=self.trouble)

    # Whom to serve

    def _look_at_store(self) -> bool:
        """Read the endpoints if somebody else has changed something; returns whether it did."""
        if not (self._store.changed() or self.trouble or not self._acted):
            return False
        self.endpoints = tuple(self._store.everything())
        return True

    def _adjust(self) -> None:
        """Start tasks of endpoints that are active, end those of others, and tell the rest of
        changes."""
        active = {one.id: one for one in self.endpoints if one.state == "active"}
        for name in [name for name in self._couriers if name not in active]:
            courier = self._couriers.pop(name)
            if courier.task is not None:
                courier.task.cancel()
        now = self._clock_us()
        for name, endpoint in active.items():
            courier = self._couriers.setdefault(name, _Courier(endpoint))
            if courier.endpoint.updated_at != endpoint.updated_at:
                # What the task has stored itself since is newer, and not touched by this.
                courier.endpoint = endpoint
            task = courier.task
            if task is None:
                courier.task = asyncio.create_task(self._serve(courier), name=name)
            elif task.done():
                self._restart_later(courier, task, now)

    def _restart_later(self, courier: _Courier, task: asyncio.Task[None], now: int) -> None:
        """Log why a task ended that should not, and start it again some time later."""
        if not courier.restart_at:
            error = None if task.cancelled() else task.exception()
            _log.error("courier_failed", webhook=task.get_name(), exc_info=error)
            courier.restart_at = now + AFTER_FAULT_US
        elif now >= courier.restart_at:
            courier.restart_at, courier.task = 0, None

    async def _look_at_history(self) -> None:
        source = self._reading()
        accounts, seen = await asyncio.to_thread(source.touched, self._seen)
        if seen[0] < self._seen[0]:
            self._seen = (0, 0)  # It is being rebuilt.
            return
        self._seen = seen
        for courier in self._couriers.values():
            endpoint = courier.endpoint
            own = endpoint.account in accounts
            # Of a firm-wide endpoint any account of the firm may be meant: it looks for itself.
            if own or (endpoint.firm_wide and accounts):
                courier.wake.set()

    def _reading(self) -> Source:
        if self._source is None:
            self._source = self._open_source()
            self._seen = self._source.newest()
        return self._source

    # One endpoint

    async def _serve(self, courier: _Courier) -> None:
        read_to, more = courier.endpoint.place, True
        queue: list[Event] = []
        while not self._stopping.is_set():
            if courier.wake.is_set():
                # Whatever it was woken for is behind what was read so far.
                courier.wake.clear()
                more = True
            if courier.endpoint.state != "active":
                await courier.wake.wait()  # It was disabled just now, and the task will be ended.
                continue
            try:
                worked = await self._do_errand(courier)
                if not queue and more:
                    read_to = max(read_to, courier.endpoint.place)
                    page = await asyncio.to_thread(
                        self._reading().page, courier.endpoint, read_to
                    )
                    queue, read_to, more = list(page.events), page.read_to, page.more
                courier.waiting_since_us = queue[0].time_us if queue else 0
                if queue:
                    late_s = (courier.endpoint.next_attempt_at - self._clock_us()) / 1e6
                    if late_s > 0:
                        await _within(courier.wake, 0.0 if worked else late_s)
                    elif await self._deliver(courier, queue[0]):
                        queue.pop(0)
                elif not more and not worked:
                    await courier.wake.wait()
            except (WebhookStoreError, history.SQLAlchemyError) as error:
                self._troubled(error)
                await _within(courier.wake, AFTER_TROUBLE_S)

    async def _deliver(self, courier: _Courier, event: Event) -> bool:
        """Send one event, and store what came of it; returns True when it is done with."""
        endpoint = courier.endpoint
        if event.place <= endpoint.place or event.type not in endpoint.events:
            return True  # Meanwhile it was skipped, or is not wanted any more.
        attempt, answer = await self._attempt(endpoint, event, "event")
        now = attempt.at + answer.latency_us
        changes: dict[str, Any]
        if answer.delivered:
            changes = _recovered(now) | {"seq": event.place[0], "event_index": event.place[1]}
        else:
            changes = self._failure(endpoint, answer, now)
        await self._store_attempt(courier, attempt, changes)
        return answer.delivered

    async def _do_errand(self, courier: _Courier) -> bool:
        """Do one step of what the endpoint was asked to be sent; False if there is nothing."""
        endpoint = courier.endpoint
        errand = await asyncio.to_thread(self._store.errand, endpoint.id)
        if errand is None:
            return False
        if errand.kind == "ping":
            event = events.ping(endpoint, errand.number, self._clock_us())
            attempt, answer = await self._attempt(endpoint, event, "ping")
            now = attempt.at + answer.latency_us
            # A test that succeeds ends the pause after failures.
            changes = _recovered(now) if answer.delivered else {}
            await self._store_attempt(courier, attempt, changes, done=errand)
            return True
        place, until = (errand.seq, errand.event_index), (errand.until_seq, errand.until_index)
        page = Page((), place, more=True)
        while page.more and not page.events:
            page = await asyncio.to_thread(
                self._reading().page, endpoint, page.read_to, until, again=True
            )
        if not page.events:
            await asyncio.to_thread(self._store.finish, errand)
            return True
        attempt, answer = await self._attempt(endpoint, page.events[0], "resend")
        goes_on = answer.delivered and (len(page.events) > 1 or page.more)
        await self._store_attempt(
            courier, attempt, {}, done=errand,
            errand_at=page.events[0].place if goes_on else (0, 0),
        )  # fmt: skip
        return True

    async def _attempt(
        self, endpoint: Endpoint, event: Event, kind: AttemptKind
    ) -> tuple[Attempt, Answer]:
        async with self._in_flight:
            now = self._clock_us()
            secrets = endpoint.secrets(now)
            if not secrets[0]:
                answer = Answer(0, 0, "the venue cannot read the secret any more; rotate it")
            else:
                headers = signed_headers(secrets, event.id, now // 1_000_000, event.body)
                answer = await self._post(endpoint.url, headers, event.body)
        self.delivered += answer.delivered
        self.failed += not answer.delivered
        attempt = Attempt(
            endpoint.id, event.id, event.type, kind, now, answer.delivered, answer.status,
            answer.latency_us, answer.error, shown(answer.body),
        )  # fmt: skip
        return attempt, answer

    def _failure(self, endpoint: Endpoint, answer: Answer, now: int) -> dict[str, Any]:
        """Return what a failed attempt changes: when the next one is due, or that none is."""
        failures = endpoint.failures + 1
        since = endpoint.failing_since or now
        pause_s = self._backoff.pause_s(failures, answer.retry_after_s)
        changes: dict[str, Any] = {
            "failures": failures, "failing_since": since, "last_error": answer.error,
            "next_attempt_at": now + int(pause_s * 1_000_000),
        }  # fmt: skip
        reason = ""
        if answer.status == GONE:
            reason = "gone"
        elif now - since >= self._give_up_us:
            reason = "gave_up"
        if reason:
            _log.warning("endpoint_disabled", webhook=endpoint.id, reason=reason)
            changes |= {"state": "disabled", "reason": reason, "updated_at": now}
        elif failures == 1:
            _log.info("endpoint_fails", webhook=endpoint.id, reason=answer.error)
        return changes

    async def _store_attempt(
        self, courier: _Courier, attempt: Attempt, changes: dict[str, Any],
        done: Errand | None = None, errand_at: tuple[int, int] = (0, 0),
    ) -> None:  # fmt: skip
        def store() -> Endpoint | None:
            self._store.record(attempt, done=done, errand_at=errand_at, **changes)
            return self._store.find(attempt.endpoint)

        found = await asyncio.to_thread(store)
        if found is not None:
            courier.endpoint = found
            self.endpoints = tuple(
                found if one.id == found.id else one for one in self.endpoints
            )


def _recovered(now: int) -> dict[str, Any]:
    return {
        "failures": 0, "failing_since": 0, "next_attempt_at": 0, "last_error": "",
        "delivered_at": now,
    }  # fmt: skip


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
