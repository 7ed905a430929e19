"""Calls of etcd over its JSON gateway (3.4 or later), each with a deadline.

``Etcd`` may be used by several threads. A call goes to one endpoint until that fails, then to the
next. What changes nothing is asked again until the deadline; a transaction that may have been
applied never is: EtcdUnavailable says so by its outcome, and the caller finds out by reading.
All reads are linearizable.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final, Literal, TypeVar

import msgspec

from engine.cluster.connection import Connection, NoAnswer, NotConnected, Tls
from engine.cluster.operations import (
    Compare,
    Done,
    Get,
    KeyValue,
    Operation,
    done,
    found,
    range_body,
    txn_body,
)

Outcome = Literal["not_applied", "unknown"]

PAUSE_MIN_S: Final = 0.02
PAUSE_MAX_S: Final = 0.2
TOKENS_MAX: Final = 3
"""How often one call may have its token renewed."""

# Codes of gRPC, which the gateway passes on.
INVALID_ARGUMENT: Final = 3
NOT_FOUND: Final = 5
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
UNAUTHENTICATED: Final = 16
REFUSALS: Final = frozenset(
    {
        INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION,
        OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED,
    }
)  # fmt: skip
"""With these etcd has decided. Any other may come after the request was handed to the others."""

# Where one code has several meanings, etcd's own clients go by its words, and so do we.
NO_SPACE: Final = "etcdserver: mvcc: database space exceeded"
TOO_MANY: Final = "etcdserver: too many requests"
TOKEN_IS_OLD: Final = frozenset(
    {
        "etcdserver: invalid auth token", "etcdserver: revision of auth store is old",
        "etcdserver: user name is empty",
    }
)  # fmt: skip


class EtcdError(Exception):
    """Etcd did not do what was asked; the message says why."""


class EtcdUnavailable(EtcdError):
    """No answer by the deadline. ``outcome``: whether the change may have been made."""

    def __init__(self, text: str, outcome: Outcome) -> None:
        super().__init__(text)
        self.outcome = outcome


class EtcdRefused(EtcdError):
    """Etcd refused; ``code`` is gRPC's. Nothing was changed, unless it is EtcdFull."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class EtcdFull(EtcdRefused):
    """The database has reached its quota. Etcd says so too of the change that reached it."""


class StatusHeader(msgspec.Struct, frozen=True):
    """Who answers, and how far it has come."""

    member_id: int = 0
    revision: int = 0


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """What a member of etcd says of itself; sizes of its database in bytes."""

    header: StatusHeader
    version: str = ""
    db_size: int = 0
    db_size_in_use: int = 0
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    errors: tuple[str, ...] = ()

    @property
    def member(self) -> int:
        """The id of the member that says it."""
        return self.header.member_id


class _Lease(msgspec.Struct):
    id: int = msgspec.field(default=0, name="ID")
    ttl: int = msgspec.field(default=0, name="TTL")


class _Fault(msgspec.Struct):
    message: str = ""
    code: int = 0


class _StreamedFault(msgspec.Struct):
    message: str = ""
    code: int = msgspec.field(default=0, name="grpc_code")


class _FaultOfStream(msgspec.Struct):
    error: _StreamedFault


class _Streamed(msgspec.Struct):
    """One message of a stream, as the gateway wraps it."""

    result: _Lease | None = None
    error: _StreamedFault | None = None


class _Token(msgspec.Struct):
    token: str


class Etcd:
    """A client of the etcd at ``endpoints`` ("host:port").

    ``timeout_s`` is how long one endpoint may take to answer. Without a deadline of its own
    (seconds of ``clock``) a call takes that for each endpoint at most. Every call raises
    EtcdUnavailable or EtcdRefused. ``guard`` is held while a call waits for its answer.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        user: str = "",
        password: str = "",
        timeout_s: float = 0.5,
        guard: AbstractContextManager[object] | None = None,
    ) -> None:
        if not endpoints:
            raise ValueError("There are no endpoints of etcd.")
        self._endpoints = [_address(endpoint) for endpoint in endpoints]
        if len({bool(ca), bool(cert), bool(key)}) != 1:
            raise ValueError("TLS with etcd needs all of ca, cert and key; expected three or none.")
        self._tls = Tls(ca, cert, key) if ca and cert and key else None
        self._user, self._password = user, password
        self._timeout_s = timeout_s
        self._guard = guard or nullcontext()
        self._current = 0
        self._token = ""
        self._token_lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = threading.Event()

    clock = staticmethod(time.monotonic)

    def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
        deadline: float | None = None,
        *,
        repeat: bool = False,
    ) -> Done:
        """Do ``success`` if every comparison holds, ``failure`` if not, all in one revision.

        ``repeat`` says that doing it twice does no harm: then it is asked until the deadline.
        """
        changes = any(not isinstance(one, Get) for one in (*success, *failure))
        body = txn_body(compare, success, failure)
        answer = self._call("kv/txn", body, deadline, repeat=repeat or not changes)
        return _checked(done, answer)

    def range(self, what: Get, deadline: float | None = None) -> list[KeyValue]:
        """Return what is there, ordered by key."""
        answer = self._call("kv/range", range_body(what), deadline, repeat=True)
        return _checked(found, answer)

    def grant(self, ttl_s: int, deadline: float | None = None) -> int:
        """Return a new lease. One whose answer is lost ends by itself."""
        answer = self._call("lease/grant", {"TTL": ttl_s}, deadline, repeat=True)
        return _checked(_LEASE.decode, answer).id

    def keep_alive(
        self, lease: int, deadline: float | None = None, timeout_s: float | None = None
    ) -> bool:
        """Renew a lease; False when there is none of this id any more.

        ``timeout_s`` is how long one endpoint may take, if not as long as for other calls.
        """
        body = {"ID": lease}
        answer = self._call("lease/keepalive", body, deadline, repeat=True, timeout_s=timeout_s)
        streamed = _checked(_STREAMED.decode, answer)
        if streamed.error is not None:
            raise EtcdUnavailable(f"Etcd did not renew: {streamed.error.message}.", "unknown")
        return streamed.result is not None and streamed.result.ttl > 0

    def revoke(self, lease: int, deadline: float | None = None) -> None:
        """End a lease and delete what is attached to it; one that is gone is no fault."""
        try:
            self._call("lease/revoke", {"ID": lease}, deadline, repeat=True)
        except EtcdRefused as error:
            if error.code != NOT_FOUND:
                raise

    def compact(self, revision: int, deadline: float | None = None) -> None:
        """Forget what keys were before ``revision``; what is forgotten already is no fault."""
        try:
            self._call("kv/compaction", {"revision": revision}, deadline, repeat=True)
        except EtcdRefused as error:
            if error.code != OUT_OF_RANGE:
                raise

    def status(self, deadline: float | None = None) -> Status:
        """Return what the member that answers says of itself."""
        return _checked(_STATUS.decode, self._call("maintenance/status", {}, deadline, repeat=True))

    def close(self) -> None:
        """End every connection; a call that waits to ask again gives up."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()

    def _call(
        self,
        path: str,
        body: object,
        deadline: float | None,
        *,
        repeat: bool,
        timeout_s: float | None = None,
    ) -> bytes:
        content = msgspec.json.encode(body)
        each_s = self._timeout_s if timeout_s is None else timeout_s
        if deadline is None:
            deadline = self.clock() + self._timeout_s * len(self._endpoints)
        pause_s, tries, tokens = PAUSE_MIN_S, 0, 0
        if self._user and not self._token:
            self._authenticate("", deadline)
        while True:
            token, endpoint = self._token, self._current
            if self.clock() >= deadline:
                raise EtcdUnavailable(f"{self._name(endpoint)}: no time was left.", "not_applied")
            try:
                status, answer = self._post(endpoint, path, token, content, deadline, each_s)
            except NotConnected as error:
                reason, applied = str(error), False
            except NoAnswer as error:
                reason, applied = str(error), True
            else:
                if status == 200:
                    return answer
                fault = _fault(status, answer)
                if self._user and fault.message in TOKEN_IS_OLD and tokens < TOKENS_MAX:
                    tokens += 1
                    self._authenticate(token, deadline)
                    continue
                reason = _refused(fault, self._name(endpoint))
                applied = fault.message != TOO_MANY
            self._leave(endpoint)
            tries += 1
            if applied and not repeat:
                raise EtcdUnavailable(f"{self._name(endpoint)}: {reason}.", "unknown")
            # Each endpoint is asked at once; only when all have failed is there a pause.
            wait_s = pause_s if tries % len(self._endpoints) == 0 else 0.0
            if self.clock() + wait_s >= deadline or self._ended_within(wait_s):
                raise EtcdUnavailable(f"{self._name(endpoint)}: {reason}.", "not_applied")
            if wait_s:
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _post(
        self,
        endpoint: int,
        path: str,
        token: str,
        content: bytes,
        deadline: float,
        timeout_s: float,
    ) -> tuple[int, bytes]:
        with self._guard:
            until = min(deadline, self.clock() + timeout_s)
            connection = self._take(endpoint)
            if connection is None:
                host, port = self._endpoints[endpoint]
                connection = Connection(host, port, self._tls, until)
            status, answer = connection.post(f"/v3/{path}", token, content, until)
            if not connection.closed:
                self._idle.append(connection)
            return status, answer

    def _take(self, endpoint: int) -> Connection | None:
        """An idle connection to the endpoint; what is of no use any more is closed."""
        while True:
            try:
                # An atomic step: two threads never get the same.
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.address == self._endpoints[endpoint] and connection.usable:
                return connection
            connection.close()

    def _ended_within(self, pause_s: float) -> bool:
        """Wait; whether this client was closed meanwhile."""
        return self._closed.wait(pause_s)

    def _leave(self, endpoint: int) -> None:
        """Go on with the next endpoint, unless another thread has done it."""
        if self._current == endpoint:
            self._current = (endpoint + 1) % len(self._endpoints)

    def _name(self, endpoint: int) -> str:
        host, port = self._endpoints[endpoint]
        return f"etcd at {host}:{port}"

    def _authenticate(self, old: str, deadline: float) -> None:
        """Get a token in the place of ``old``, unless another thread has done it."""
        body = msgspec.json.encode({"name": self._user, "password": self._password})
        with self._token_lock:
            while self._token == old:
                endpoint = self._current
                name = self._name(endpoint)
                try:
                    status, answer = self._post(
                        endpoint, "auth/authenticate", "", body, deadline, self._timeout_s
                    )
                    if status == 200:
                        self._token = _checked(_TOKEN.decode, answer).token
                        return
                    reason = _refused(_fault(status, answer), name)
                except (NotConnected, NoAnswer) as error:
                    reason = str(error)
                self._leave(endpoint)
                if self.clock() + PAUSE_MIN_S >= deadline or self._ended_within(PAUSE_MIN_S):
                    raise EtcdUnavailable(f"{name}: {reason}.", "not_applied")


def _address(endpoint: str) -> tuple[str, int]:
    host, colon, port = endpoint.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise ValueError(f"An endpoint of etcd is host:port, not {endpoint!r}.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _refused(fault: _Fault, name: str) -> str:
    """Raise EtcdRefused if etcd has decided; return the reason if it may have not."""
    if fault.message == NO_SPACE:
        raise EtcdFull(
            f"The database of {name} has reached its quota (--quota-backend-bytes): delete and "
            "compact, defragment each member, then disarm the alarm (etcdctl alarm disarm).",
            fault.code,
        )
    if fault.code in REFUSALS and fault.message != TOO_MANY:
        raise EtcdRefused(f"{name} refused: {fault.message}.", fault.code)
    return fault.message


def _fault(status: int, answer: bytes) -> _Fault:
    """What the answer says is wrong: in itself, or in what the gateway wraps a stream's in."""
    with suppress(msgspec.MsgspecError):
        streamed = msgspec.json.decode(answer, type=_FaultOfStream).error
        return _Fault(streamed.message, streamed.code)
    try:
        return msgspec.json.decode(answer, type=_Fault)
    except msgspec.MsgspecError:
        if status >= 500:
            return _Fault(f"HTTP status {status}")
        # What stands before the gateway, or is no gateway of etcd 3.4 or later, answers in words.
        text = answer[:200].decode("utf-8", "replace").strip()
        return _Fault(f"HTTP status {status}, {text}", UNIMPLEMENTED)


_LEASE: Final = msgspec.json.Decoder(_Lease, strict=False)
_STREAMED: Final = msgspec.json.Decoder(_Streamed, strict=False)
_STATUS: Final = msgspec.json.Decoder(Status, strict=False)
_TOKEN: Final = msgspec.json.Decoder(_Token, strict=False)
T = TypeVar("T")


def _checked(read: Callable[[bytes], T], answer: bytes) -> T:
    try:
        return read(answer)
    except msgspec.MsgspecError as error:
        # What it did is not known, and what comes next from it is not to be believed.
        text = f"The answer is not what etcd's should be: {error}."
        raise EtcdUnavailable(text, "unknown") from error
