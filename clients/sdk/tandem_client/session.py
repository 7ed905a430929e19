"""The state of a stream across its connections, without input or output.

``opening`` returns what to send on a new connection, ``received`` takes a frame and returns what to
yield, ``lost`` says that a connection ended. Frames to send are in ``outgoing``, results of
requests in ``results``. Threads and asyncio share all of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tandem_client.book import Book
from tandem_client.credentials import Credentials
from tandem_client.errors import ApiError, NoAnswer, TandemError, api_error
from tandem_client.exchange import Clock
from tandem_client.messages import PRIVATE, PUBLIC, Frame, StreamItem, parse
from tandem_client.private import Private
from tandem_client.public import Public
from tandem_client.values import wire

STREAM_PATH: Final = "/v1/stream"
SYMBOLS_AT_ONCE: Final = 100
WISHES: Final = frozenset(("subscribe", "unsubscribe", "cancel_on_disconnect"))
"""Requests that say what is wanted from now on: a new connection begins with it."""
RETRIED: Final = frozenset(
    ("rate_limited", "engine_unavailable", "engine_refused", "no_leader")
)
"""Refusals of the session's own requests after which the connection is begun anew."""


@dataclass(slots=True)
class Pending:
    """A request without an answer yet; ``again`` if it may be sent on another connection."""

    op: str
    params: Mapping[str, Any]
    again: bool
    natural_id: str = ""
    sent_ms: int | None = None
    own: bool = False
    """It is the session's own, and its answer is for nobody else."""
    sent: bool = False
    channels: frozenset[str] = field(default_factory=frozenset)


class Session:
    """What a stream knows and wants; one per stream, for one thread or event loop."""

    def __init__(self, credentials: Credentials | None, clock: Clock) -> None:
        self._credentials = credentials
        self._clock = clock
        self._numbers = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._guard: dict[str, Any] | None = None
        self._opened = False
        self.outgoing: list[str] = []
        self.results: dict[int, Frame | TandemError] = {}
        self.fatal: TandemError | None = None
        """Why the stream cannot go on."""
        self.restart = ""
        """Why the connection is to be begun anew."""
        self.public = Public()
        self.private = Private()
        self.engine_connected = True
        self.session = ""

    # Requests

    def ask(self, op: str, params: Mapping[str, Any], again: bool, natural_id: str = "") -> int:
        """Queue a request; returns the number under which its result will be."""
        number = next(self._numbers)
        found = Pending(op, wire(params), again, natural_id)
        if op in WISHES and not self._opened:
            self.results[number] = Frame(op=op, ok=True)
            return number
        self._pending[number] = found
        if self._opened:
            self._send(number, found)
        return number

    def forget(self, number: int) -> Pending | None:
        """Stop waiting for a result."""
        return self._pending.pop(number, None)

    def subscribe(
        self, channels: Iterable[str], symbols: Iterable[str], account: str | None,
        from_seq: int | None,
    ) -> list[int]:
        """Subscribe; returns the numbers of the requests. Raises ValueError for a wrong channel."""
        private, public = split(channels)
        numbers = []
        if public:
            names = list(dict.fromkeys(symbols))
            if not names:
                raise ValueError("The channels book and trades need symbols.")
            self.public.want(public, names)
            for part in _parts(names):
                numbers.append(self.ask("subscribe", _public(public, part), again=False))
        if private:
            self.private.want(account, private, from_seq)
            number = self.ask("subscribe", _private(account, private, from_seq), again=False)
            if number in self._pending:
                self._pending[number].channels = private
            numbers.append(number)
        return numbers

    def unsubscribe(
        self, channels: Iterable[str], symbols: Iterable[str], account: str | None
    ) -> list[int]:
        """Unsubscribe; returns the numbers of the requests."""
        private, public = split(channels)
        numbers = []
        if public:
            names = list(dict.fromkeys(symbols))
            self.public.forget(public, names)
            numbers += [
                self.ask("unsubscribe", _public(public, part), again=False)
                for part in _parts(names)
            ]
        if private:
            self.private.forget(account, private)
            numbers.append(
                self.ask("unsubscribe", _private(account, private, None), again=False)
            )
        return numbers

    def guard(self, params: dict[str, Any]) -> int:
        """Arm cancel on disconnect, on every connection from now on."""
        self._guard = params
        return self.ask("cancel_on_disconnect", params, again=False)

    # Connections

    def opening(self) -> None:
        """Queue what a new connection begins with."""
        self.outgoing.clear()
        self.restart = ""
        self._opened = True
        if self._credentials is not None:
            stamp = self._clock.stamp()
            params = self._credentials.login(stamp, STREAM_PATH)
            sent = int(params["timestamp"]) if "timestamp" in params else None
            self._own("login", params, sent_ms=sent)
        if self._guard is not None:
            self._own("cancel_on_disconnect", self._guard)
        for account, channels, from_seq in self.private.resumed():
            self._own("subscribe", _private(account, channels, from_seq), channels)
        for public, symbols in self.public.wanted():
            for part in _parts(symbols):
                self._own("subscribe", _public(public, part))
        for number, pending in self._pending.items():
            if not pending.own and not pending.sent:
                self._send(number, pending)

    def lost(self) -> None:
        """The connection ended: what may be sent again waits for the next, the rest has failed."""
        self._opened = False
        self.outgoing.clear()
        for number, pending in list(self._pending.items()):
            if pending.own or pending.op in WISHES:
                del self._pending[number]
                if not pending.own:
                    self.results[number] = Frame(op=pending.op, ok=True)
            elif not pending.sent or pending.again:
                pending.sent = False
            else:
                del self._pending[number]
                self.results[number] = unanswered(pending, "the connection was lost")
        self.public.lost()
        self.private.lost()

    # Frames

    def received(self, text: str | bytes) -> list[StreamItem]:
        """Take a frame; returns what to yield."""
        frame = parse(text)
        if frame.op or not frame.channel:
            return self._answered(frame)
        if frame.channel in PUBLIC:
            found = self.public.received(frame)
        elif frame.channel == "heartbeat":
            found = self._beat(frame)
        elif frame.channel in PRIVATE:
            found = self.private.received(frame)
        else:
            found = []  # A channel that this version does not know.
        self._repair()
        return found

    def _beat(self, frame: Frame) -> list[StreamItem]:
        beat = self.public.beat(frame)
        self.engine_connected = beat.engine_connected
        return self.private.beat(frame.epoch, beat.accounts)

    def _repair(self) -> None:
        """Ask anew for what was found to be missing."""
        for channel, symbol in self.public.take_broken():
            self._own("snapshot", _public([channel], [symbol]))
        for account, channels, from_seq in self.private.take_broken():
            self._own("subscribe", _private(account, channels, from_seq), channels)

    def _answered(self, frame: Frame) -> list[StreamItem]:
        number = frame.req_id
        pending = self._pending.pop(number, None) if isinstance(number, int) else None
        if pending is None or not isinstance(number, int):
            return []
        found: list[StreamItem] = []
        if not frame.ok:
            problem = dict(frame.error or {})
            if pending.sent_ms is not None:
                problem["sent_ms"] = pending.sent_ms
            error = api_error(problem)
            if pending.own:
                self._refused(pending, error)
            else:
                self.results[number] = error
                self._undo(pending)
            return found
        if pending.op == "login":
            self.session = json.loads(bytes(frame.data)).get("session", "")
        if pending.op == "subscribe" and pending.channels:
            found = self.private.begun(pending.params.get("account"), frame)
            self._repair()
        if not pending.own:
            self.results[number] = frame
        return found

    def _refused(self, pending: Pending, error: ApiError) -> None:
        if pending.op != "login" and error.code in RETRIED:
            self.restart = str(error)
        elif self.fatal is None:
            self.fatal = error

    def _undo(self, pending: Pending) -> None:
        """A subscription that was refused is wanted no more."""
        if pending.op == "subscribe":
            channels = pending.params["channels"]
            private, public = split(channels)
            self.private.forget(pending.params.get("account"), private)
            self.public.forget(public, pending.params.get("symbols", ()))
        elif pending.op == "cancel_on_disconnect":
            self._guard = None

    def _own(
        self, op: str, params: Mapping[str, Any], channels: frozenset[str] = frozenset(),
        sent_ms: int | None = None,
    ) -> None:
        number = next(self._numbers)
        pending = Pending(op, params, False, sent_ms=sent_ms, own=True, channels=channels)
        self._pending[number] = pending
        self._send(number, pending)

    def _send(self, number: int, pending: Pending) -> None:
        pending.sent = True
        frame = {"op": pending.op, "req_id": number, "params": pending.params}
        self.outgoing.append(json.dumps(frame))

    def book(self, symbol: str) -> Book:
        """Return the copy of a book that is subscribed. Raises KeyError."""
        return self.public.book(symbol)


def split(channels: Iterable[str]) -> tuple[frozenset[str], list[str]]:
    """Return the private and the public channels. Raises ValueError for others."""
    names = list(dict.fromkeys(channels))
    for name in names:
        if name not in PRIVATE | PUBLIC:
            known = ", ".join(sorted(PRIVATE | PUBLIC))
            raise ValueError(f"There is no channel {name!r}; there are {known}.")
    return frozenset(names) & PRIVATE, [name for name in names if name in PUBLIC]


def unanswered(pending: Pending, reason: str) -> NoAnswer:
    """Return the error of a request without a result."""
    return NoAnswer(
        f"{pending.op}: no answer ({reason})"
        + ("" if pending.op.startswith("get_") else "; it may have been executed")
        + (f", look it up by {pending.natural_id}." if pending.natural_id else "."),
        natural_id=pending.natural_id,
    )


def _private(
    account: str | None, channels: Iterable[str], from_seq: int | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"channels": sorted(channels)}
    if account is not None:
        found["account"] = account
    if from_seq is not None:
        found["from_seq"] = from_seq
    return found


def _public(channels: Iterable[str], symbols: Iterable[str]) -> dict[str, Any]:
    return {"channels": list(channels), "symbols": list(symbols)}


def _parts(names: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(names), SYMBOLS_AT_ONCE):
        yield names[start : start + SYMBOLS_AT_ONCE]
