"""REST clients: each request is sent again, byte for byte, until there is an answer."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import requests

from tests.prove.crash.told import Client, Told
from tests.support.signing import signed_headers

SIGNATURE_S: Final = 3.5
"""An older signature is made anew; the client's own ids keep the request the same."""
PACE_S: Final = 0.03
TIMEOUT_S: Final = 10.0
IN_FLIGHT_S_MAX: Final = 10.0
"""Who holds an Idempotency-Key is soon known to be gone."""
AGAIN: Final = frozenset((429, 502, 503, 504))
STALE: Final = frozenset(("outside_window", "request_expired"))
"""It came too late, and is signed anew."""
BTC_ADDRESS: Final = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@dataclass(slots=True)
class Request:
    """A request until it is answered. ``attempts`` counts how often it was sent."""

    method: str
    target: str
    body: dict[str, Any] | None
    kind: str
    min_seq: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    idempotency_key: str = ""
    signed_at: float = 0.0
    in_flight_at: float = 0.0
    """When it was first told that it was being done at this moment."""
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What was told: to which request, with which status, and what."""

    request: Request
    status: int
    replayed: bool
    body: dict[str, Any]


class RestClient(Client):
    """One key of the demo configuration; ``next_request`` says what it asks for."""

    pace_s: ClassVar[float] = PACE_S
    """How long it rests after an answer."""
    timeout_s: ClassVar[float] = TIMEOUT_S
    """How long it waits for one."""

    def __init__(self, url: str, key: str, told: Told, seed: int) -> None:
        super().__init__(key, told)
        self.key = key
        self.account = key.split("-")[1]
        self.random = random.Random(f"{key} {seed}")
        self.answers: list[Answer] = []
        self.retries = 0
        self.last_seq = 0
        self._url = url
        self._stamp = 0
        self._pending: Request | None = None

    @property
    def unfinished(self) -> bool:
        """Whether what was begun goes on though nothing new is begun."""
        return False

    @property
    def busy(self) -> bool:
        return self._pending is not None or self.unfinished

    def next_request(self) -> Request | None:
        """What to ask for next; None to wait a little."""
        raise NotImplementedError

    def take(self, answer: Answer) -> None:
        """An answer came."""

    def life(self) -> None:
        with requests.Session() as session:
            while not self.over.is_set():
                if self._pending is None and (self.unfinished or not self.told.ending.is_set()):
                    self._pending = self.next_request()
                if self._pending is None:
                    self.over.wait(0.05)
                elif not self._send(session, self._pending):
                    return
                else:
                    self.over.wait(self.pace_s)

    def _send(self, session: requests.Session, request: Request) -> bool:
        """Send it once; False when it has to be sent again."""
        data = b"" if request.body is None else json.dumps(request.body).encode()
        if time.monotonic() - request.signed_at > SIGNATURE_S:
            self._sign(request, data)
        request.attempts += 1
        if request.idempotency_key:
            self.told.claim()
        self.retries += request.attempts > 1
        what = f"{request.method} {request.target} {data!r} {request.idempotency_key}"
        try:
            response = session.request(
                request.method, self._url + request.target, data=data or None,
                headers=request.headers, timeout=self.timeout_s,
            )  # fmt: skip
            body = response.json()
        except (requests.RequestException, ValueError) as error:
            self.story.note(f"{what}: {error!r}")
            return False
        self.story.note(f"{what}: {response.status_code} {body}")
        if response.status_code in AGAIN or body.get("code") in STALE:
            return False
        if body.get("code") == "idempotency_key_in_flight":
            request.in_flight_at = request.in_flight_at or time.monotonic()
            if time.monotonic() - request.in_flight_at > IN_FLIGHT_S_MAX:
                self.told.found(f"{self.key}: {request.idempotency_key} stays in flight: {body}")
            self.over.wait(0.1)
            return False
        if response.status_code >= 500 or response.status_code == 401:
            self.told.found(f"{self.key}: {request.target} got {response.status_code}: {body}")
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        self._pending = None
        self.last_seq = max(self.last_seq, body.get("as_of_seq", 0))
        answer = Answer(request, response.status_code, replayed, body)
        self.answers.append(answer)
        self.take(answer)
        self.told.progress("REST")
        return True

    def _sign(self, request: Request, data: bytes) -> None:
        self._stamp = max(self._stamp + 1, time.time_ns() // 1_000_000)
        request.signed_at = time.monotonic()
        headers = signed_headers(
            self.key, self._stamp, request.method, request.target, data, request.idempotency_key
        )
        request.headers = headers | {"Content-Type": "application/json"}


class OrderClient(RestClient):
    """Trades and reads what it wrote."""

    def __init__(self, url: str, key: str, told: Told, seed: int) -> None:
        super().__init__(url, key, told, seed)
        self._ids = 0
        self._open: list[str] = []
        self.portions: list[str] = []
        """Ids of the deposits that the faucet made, one for each key that it was asked with."""
        self.done = 0
        """How many more it was told were made."""
        self.doubtful = 0
        """How many more may have been made, which the venue could not tell any more."""

    def next_request(self) -> Request:
        pick, kind = self.random, self.random.random()
        if kind > 0.9:
            self._ids += 1
            # It has no id that the client gave: its key alone makes it one.
            key = f"{self.key}-portion-{self._ids}"
            return Request("POST", "/v1/faucet", {"asset": "BTC"}, "faucet", idempotency_key=key)
        if kind < 0.25:
            seq = self.last_seq
            return Request("GET", f"/v1/balances?min_seq={seq}", None, "balances", seq)
        if self._open and kind < 0.45:
            name = pick.choice(self._open)
            if kind < 0.35:
                return Request("DELETE", f"/v1/orders/client:{name}", None, "cancel")
            body = {"quantity": f"0.{pick.randint(1, 9)}"}
            return Request("PATCH", f"/v1/orders/client:{name}", body, "replace")
        if self._open and kind < 0.5:
            name = pick.choice(self._open)
            target = f"/v1/orders/client:{name}?min_seq={self.last_seq}"
            return Request("GET", target, None, "order", self.last_seq)
        self._ids += 1
        name = f"{self.key}-{self._ids}"
        body = {
            "client_order_id": name, "symbol": "BTC-USD", "side": pick.choice(("buy", "sell")),
            "quantity": f"0.{pick.randint(1, 9)}", "price": str(100 + pick.randint(-3, 3)),
        }  # fmt: skip
        return Request("POST", "/v1/orders", body, "create")

    def take(self, answer: Answer) -> None:
        request, status = answer.request, answer.status
        if status == 403 and answer.body.get("code") == "account_suspended":
            pass
        elif request.kind == "faucet":
            code = answer.body.get("code")
            if status in (200, 201):
                self.portions.append(str(answer.body.get("deposit_id")))
            elif code == "already_done":
                self.done += 1
            elif code == "idempotency_outcome_unknown":
                self.doubtful += 1
            else:
                self.told.found(f"{self.key}: faucet got {status}: {answer.body}")
        elif request.kind == "create":
            if status not in (200, 201) or answer.replayed != (status == 200):
                self.told.found(f"{self.key}: create got {status}: {answer.body}")
            elif answer.replayed and request.attempts == 1:
                self.told.found(f"{self.key}: {answer.body} is told to be a replay, and is none")
            self._open = [*self._open[-20:], str(answer.body.get("client_order_id"))]
        elif status not in (200, 409, 404, 422):
            self.told.found(f"{self.key}: {request.kind} got {status}: {answer.body}")
        if request.min_seq and answer.body.get("as_of_seq", request.min_seq) < request.min_seq:
            self.told.found(f"{self.key}: {request.target} was answered too early: {answer.body}")


class Operator(RestClient):
    """Suspends an account again and again and lets it act again; in the end it may act."""

    pace_s = 0.0

    def __init__(self, url: str, account: str, told: Told, seed: int) -> None:
        super().__init__(url, "demo-operator", told, seed)
        self.suspended = False
        self._target = f"/v1/accounts/{account}/status"

    @property
    def unfinished(self) -> bool:
        """What is suspended in the end is let go."""
        return self.suspended

    def next_request(self) -> Request | None:
        self.over.wait(0.2 if self.suspended else self.random.choice((0.3, 2.0)))
        if self.told.ending.is_set() and not self.suspended:
            return None  # It may have waited since before that.
        status = "active" if self.suspended else "suspended"
        if not self.suspended:
            self.told.begun()
        return Request("PUT", self._target, {"status": status, "note": "a proof"}, status)

    def take(self, answer: Answer) -> None:
        if answer.status != 200:
            self.told.found(f"{self.key}: {answer.request.kind} got {answer.status} {answer.body}")
        self.suspended = answer.request.kind == "suspended"


class Treasury(RestClient):
    """Asks for small withdrawals, one after the other, and follows each to its end."""

    pace_s = 0.0

    def __init__(self, url: str, key: str, told: Told, seed: int) -> None:
        super().__init__(url, key, told, seed)
        self.completed: dict[str, dict[str, Any]] = {}
        self._ids = 0
        self._follows = ""

    @property
    def unfinished(self) -> bool:
        """A withdrawal is followed to its end."""
        return bool(self._follows)

    def next_request(self) -> Request:
        if self._follows:
            self.over.wait(0.2)
            return Request("GET", f"/v1/withdrawals/client:{self._follows}", None, "withdrawal")
        self._ids += 1
        body = {
            "client_withdrawal_id": f"w-{self._ids}", "asset": "BTC", "address": BTC_ADDRESS,
            "amount": f"0.0{self.random.randint(1, 9)}",
        }  # fmt: skip
        return Request("POST", "/v1/withdrawals", body, "withdraw")

    def take(self, answer: Answer) -> None:
        if answer.status not in (200, 201):
            self.told.found(f"{self.key}: {answer.request.kind} got {answer.status} {answer.body}")
        elif answer.request.kind == "withdraw":
            self._follows = str(answer.body["client_withdrawal_id"])
        elif answer.body["state"] in ("completed", "failed", "rejected", "canceled", "expired"):
            self.completed[self._follows] = answer.body
            self._follows = ""
