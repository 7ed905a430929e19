"""One request and its repeats, without input or output.

``Exchange`` makes generators: one yields a ``Request`` and is sent the ``Response`` to it, or the
``Lost`` that took its place; or it yields a ``Pause``. What it returns is the response. So threads
and asyncio share every decision.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from tandem_client.credentials import Credentials
from tandem_client.errors import (
    NOT_APPLIED,
    UNKNOWN,
    AnswerNotUnderstood,
    ApiError,
    ConnectionFailed,
    NoAnswer,
    TandemError,
    api_error,
    problem_of,
)
from tandem_client.operation import Operation, Repeat
from tandem_client.retry import Retry, harmless, passes
from tandem_client.values import wire

_LIMIT: Final = re.compile(r'"([a-z_]+)";r=([0-9]+)(?:;t=([0-9]+))?')


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent, byte for byte."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A response; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def replayed(self) -> bool:
        """Return whether the request had been executed before."""
        return self.headers.get("idempotent-replayed") == "true"


@dataclass(frozen=True, slots=True)
class Lost:
    """There was no response. ``sent`` is false if the request cannot have reached the venue."""

    reason: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next attempt."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a key may still send in a group: ``remaining`` now, all of it again in ``full_s``."""

    remaining: int
    full_s: int


Steps: TypeAlias = Generator[Request | Pause, Response | Lost | None, Response]


def now_ms() -> int:
    """Return this machine's clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Clock:
    """The times that requests are signed with. Thread-safe.

    The venue executes one signature once, so no two requests that change something have the same
    time; otherwise two equal ones within a millisecond would count as one.
    """

    def __init__(self, offset_ms: int = 0, read_ms: Callable[[], int] = now_ms) -> None:
        self._offset_ms = offset_ms
        self._read_ms = read_ms
        self._lock = threading.Lock()
        self._last = 0

    def stamp(self, unique: bool = True) -> int:
        """Return the time to sign with."""
        now = self._read_ms() + self._offset_ms
        if not unique:
            return now
        with self._lock:
            self._last = max(self._last + 1, now)
            return self._last


class Exchange:
    """Turns operations into requests, and decides what follows on each response."""

    def __init__(
        self, url: str, credentials: Credentials | None, retry: Retry, clock: Clock,
        automatic_keys: bool,
    ) -> None:
        self.url = url
        self.credentials = credentials
        self.retry = retry
        self.clock = clock
        self.automatic_keys = automatic_keys
        self.rate_limits: dict[str, RateLimit] = {}

    def call(
        self, operation: Operation, parts: Mapping[str, Any], query: Mapping[str, Any],
        body: Mapping[str, Any] | None, idempotency_key: str | None,
    ) -> Steps:
        """Return the steps of an operation. Raises TypeError for floats."""
        target = operation.target(parts, query)
        content = b"" if body is None else msgspec.json.encode(wire(body))
        key = idempotency_key or ""
        if not key and operation.repeat is Repeat.KEY and self.automatic_keys:
            key = uuid.uuid4().hex
        natural_id = str((body or {}).get(operation.natural_id, "")) or key
        again = operation.repeat is not Repeat.KEY or bool(key)
        return self._steps(
            operation.method, target, content, key, again, natural_id, operation.public
        )

    def raw(self, method: str, target: str, content: bytes, key: str) -> Steps:
        """Return the one step of a request that is given as it is; any response is its result."""
        request = self._request(method, target, content, key, public=False)
        reply = yield request
        if not isinstance(reply, Response):
            raise self._missing(request, reply, key)
        self._note_limits(reply)
        return reply

    def _steps(
        self, method: str, target: str, content: bytes, key: str, again: bool, natural_id: str,
        public: bool,
    ) -> Steps:
        retry, began = self.retry, time.monotonic()
        unsure = False
        for attempt in range(1, retry.attempts + 1):
            reply = yield (request := self._request(method, target, content, key, public))
            if reply is None:
                raise RuntimeError("a request is answered by a Response or a Lost")
            error = self._judge(request, reply, natural_id)
            if error is None:
                assert isinstance(reply, Response)
                return reply
            unsure = unsure or _outcome(error) == UNKNOWN
            if not _transient(error) or not (again or _outcome(error) == NOT_APPLIED):
                raise error
            pause = retry.pause_s(attempt, _retry_after_s(reply))
            left = began + retry.total_s - time.monotonic()
            if attempt == retry.attempts or pause > left:
                raise _last(error, unsure, attempt, natural_id)
            yield Pause(pause)
        raise RuntimeError("a retry has at least one attempt")

    def _request(
        self, method: str, target: str, content: bytes, key: str, public: bool
    ) -> Request:
        headers = {"Accept": "application/json"}
        if content:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        if self.credentials is not None and not public:
            stamp = self.clock.stamp(unique=method != "GET")
            headers.update(self.credentials.headers(stamp, method, target, content, key))
        return Request(method, target, headers, content)

    def _judge(
        self, request: Request, reply: Response | Lost, natural_id: str
    ) -> TandemError | None:
        """Return what is wrong with a reply; None if nothing is."""
        if isinstance(reply, Lost):
            return self._missing(request, reply, natural_id)
        self._note_limits(reply)
        if reply.status < 300:
            return None
        problem = problem_of(reply.status, reply.content)
        if problem is None:
            if reply.status in (502, 503, 504):
                what = f"{request.method} {request.target.partition('?')[0]}"
                reason = f"something before the venue answered with HTTP {reply.status}"
                return _no_answer(what, request.method, reason, natural_id)
            return AnswerNotUnderstood(
                f"HTTP {reply.status} without a problem document; is this the venue's address?"
            )
        if reply.status == 429:
            problem["retry_after_s"] = _retry_after_s(reply)
        if stamp := request.headers.get("X-Tandem-Timestamp"):
            problem["sent_ms"] = int(stamp)
        return api_error(problem)

    def _missing(self, request: Request, reply: Lost | None, natural_id: str) -> NoAnswer:
        """Return the error of a request without a response."""
        reason = "no response" if reply is None else reply.reason
        if reply is not None and not reply.sent:
            return ConnectionFailed(
                f"There is no connection to {self.url}: {reason}.", outcome=NOT_APPLIED,
                natural_id=natural_id,
            )  # fmt: skip
        what = f"{request.method} {request.target.partition('?')[0]}"
        return _no_answer(what, request.method, reason, natural_id)

    def _note_limits(self, response: Response) -> None:
        for group, remaining, full in _LIMIT.findall(response.headers.get("ratelimit", "")):
            self.rate_limits[group] = RateLimit(int(remaining), int(full or 0))


def _no_answer(what: str, method: str, reason: str, natural_id: str) -> NoAnswer:
    if method == "GET":
        return NoAnswer(f"{what}: no answer ({reason}).", outcome=NOT_APPLIED)
    return NoAnswer(
        f"{what}: no answer ({reason}); it may have been executed"
        + (f", look it up by {natural_id}." if natural_id else "."),
        natural_id=natural_id,
    )


def _outcome(error: TandemError) -> str:
    return error.outcome if isinstance(error, ApiError | NoAnswer) else UNKNOWN


def _transient(error: TandemError) -> bool:
    return isinstance(error, NoAnswer) or (isinstance(error, ApiError) and passes(error))


def _last(error: TandemError, unsure: bool, attempts: int, natural_id: str) -> TandemError:
    """Return the error to raise after the last attempt.

    If an earlier attempt may have been executed, that is what the program must know, whatever the
    last one says.
    """
    known = isinstance(error, NoAnswer) or (isinstance(error, ApiError) and not harmless(error))
    if not unsure or (known and _outcome(error) == UNKNOWN):
        return error
    return NoAnswer(
        f"No result after {attempts} attempts, an earlier one of which may have been executed; "
        f"the last: {error}",
        natural_id=natural_id,
    )


def _retry_after_s(reply: Response | Lost | None) -> float:
    if not isinstance(reply, Response):
        return 0.0
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0
