"""Clients that remember what they were told, and go to another machine when theirs is gone."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple

import requests
from websockets.sync.client import ClientConnection

from engine.client import EngineClient, EngineError, EngineRefused, Transaction
from engine.core.commands import CancelOrder, Command, NewOrder
from engine.core.types import OrdType, Origin, RejectReason, Side, TimeInForce
from tests.prove.cluster.machine import Machine
from tests.prove.crash.fixclient import FixClient
from tests.prove.crash.restclient import Answer, OrderClient, Request, RestClient, Treasury
from tests.prove.crash.told import Client, Told
from tests.prove.crash.wsclient import WsClient
from tests.support.signing import signed_headers

ASK_S: Final = 3.0
PACE_S: Final = 0.02
VALID_US: Final = 30_000_000
"""Longer than a cluster is without a leader, and short enough for a clock that is wrong."""
AWAY: Final = frozenset(
    ("engine_unavailable", "no_leader", "not_caught_up", "keys_unavailable", "overloaded",
     "outside_window")
)  # fmt: skip
"""What the stream says while it cannot serve, or while its clock is wrong."""
KEYS_MAX: Final = 15
"""Keys that one run makes: an account has a bounded number of them."""


class Acknowledged(NamedTuple):
    """An order, when it was sent for the last time and answered (monotonic), and the answer."""

    token: str
    sent_at: float
    at: float
    duplicate: bool
    transaction: Transaction

    @property
    def in_time(self) -> bool:
        """Whether it was new, and not too late for the time that the venue has."""
        expired = RejectReason.REQUEST_EXPIRED
        events: Sequence[object] = self.transaction.events
        return not self.duplicate and all(
            getattr(event, "reason", None) is not expired for event in events
        )


class Pulse(Client):
    """Orders through the engine of one machine, one after the other, each until it is answered."""

    def __init__(self, machine: Machine, account: str, told: Told, seed: int) -> None:
        super().__init__(f"pulse-{machine.name}", told)
        self.machine = machine
        self.account = account
        self.random = random.Random(f"{self.name} {seed}")
        self.acknowledged: list[Acknowledged] = []
        self._pending: Command | None = None
        self._resting = ""
        self._ids = 0

    @property
    def busy(self) -> bool:
        return self._pending is not None

    def life(self) -> None:
        client = EngineClient(
            str(self.machine.data / "engine.sock"), self.name, timeout_s=ASK_S
        )
        try:
            while not self.over.is_set():
                if self._pending is None:
                    self.over.wait(PACE_S)
                    if self.told.ending.is_set():
                        continue
                    self._pending = self._next()
                self._submit(client, self._pending)
        except EngineError:
            return  # The next life sends it again.
        finally:
            client.close()

    def _submit(self, client: EngineClient, command: Command) -> None:
        sent_at = time.monotonic()
        outcome = client.submit(command)
        self.acknowledged.append(
            Acknowledged(
                command.origin.token, sent_at, time.monotonic(), outcome.duplicate,
                outcome.transaction,
            )
        )  # fmt: skip
        self._pending = None
        self.told.progress(self.name)

    def _next(self) -> Command:
        self._ids += 1
        name = f"{self.name}-{self._ids}"
        token = hashlib.sha256(name.encode()).hexdigest()
        # Wall time, for the engine compares it with its own.
        origin = Origin(f"api:{self.name}", token=token, valid_until=_now_us() + VALID_US)
        if self._resting and self.random.random() < 0.5:
            found, self._resting = self._resting, ""
            return CancelOrder(origin, self.account, f"{name}-cancel", found)
        tif = self.random.choice((TimeInForce.GTC, TimeInForce.IOC))
        if tif is TimeInForce.GTC:
            self._resting = name
        side = self.random.choice((Side.BUY, Side.SELL))
        price = 100_00 + self.random.randint(-3, 3)
        qty = self.random.randint(1, 9) * 10_000
        return NewOrder(
            origin, self.account, name, "BTC-USD", side, OrdType.LIMIT, tif, qty, price
        )


class Listener(threading.Thread):
    """Hears every transaction that one machine publishes; what it heard must stay so."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(name=f"listener-{machine.name}", daemon=True)
        self.machine = machine
        self.heard: list[Transaction] = []
        self.over = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            client = EngineClient(
                str(self.machine.data / "engine.sock"), self.name, timeout_s=ASK_S,
                on_lost=self._lost,
            )  # fmt: skip
            self._ended.clear()
            try:
                client.subscribe(len(self.heard) + 1, self.heard.extend)
                self._ended.wait()
            except EngineError:
                self.over.wait(0.2)
            client.close()

    def _lost(self, error: EngineError) -> None:
        """A machine that came back empty does not know yet what this one has heard."""
        if isinstance(error, EngineRefused):
            self._ended.set()

    def stop(self) -> None:
        """End."""
        self.over.set()
        self._ended.set()


class Places:
    """Where a client goes, one address after the other."""

    def __init__(self, urls: Sequence[str], first: int) -> None:
        self._urls = urls
        self._at = first % len(urls)

    @property
    def here(self) -> str:
        """Where it is now."""
        return self._urls[self._at]

    def move(self) -> str:
        """Go to the next."""
        self._at = (self._at + 1) % len(self._urls)
        return self.here


class MovingOrders(OrderClient):
    """A REST client that trades and moves money to a sub-account."""

    timeout_s = ASK_S

    def __init__(self, places: Places, key: str, told: Told, seed: int) -> None:
        super().__init__(places.here, key, told, seed)
        self._places = places
        self.transfers: dict[str, dict[str, Any]] = {}

    def next_request(self) -> Request:
        request = super().next_request()
        if request.kind != "faucet":
            return request
        if self.account != "alice":
            return self.next_request()
        # In its place a transfer, which has an id that holds on every machine.
        body = {
            "client_transfer_id": request.idempotency_key, "to_account": f"{self.account}:desk",
            "asset": "USD", "amount": str(self.random.randint(1, 9)),
        }  # fmt: skip
        return Request("POST", "/v1/transfers", body, "transfer")

    def take(self, answer: Answer) -> None:
        if answer.request.kind != "transfer":
            super().take(answer)
        elif answer.status in (200, 201):
            self.transfers[answer.body["client_transfer_id"]] = answer.body
        else:
            self.told.found(f"{self.key}: transfer got {answer.status} {answer.body}")

    def _send(self, session: requests.Session, request: Request) -> bool:
        done = super()._send(session, request)
        if not done:
            self._url = self._places.move()
        return done


class MovingTreasury(Treasury):
    """Withdrawals, asked for and followed on whichever machine answers."""

    timeout_s = ASK_S

    def __init__(self, places: Places, key: str, told: Told, seed: int) -> None:
        super().__init__(places.here, key, told, seed)
        self._places = places

    def _send(self, session: requests.Session, request: Request) -> bool:
        done = super()._send(session, request)
        if not done:
            self._url = self._places.move()
        return done


class Keys(RestClient):
    """Makes API keys and revokes them; whatever machine is asked then refuses each for ever."""

    pace_s = 0.5
    timeout_s = 2 * ASK_S

    def __init__(self, urls: Sequence[str], key: str, told: Told, seed: int) -> None:
        self._places = Places(urls, seed)
        super().__init__(self._places.here, key, told, seed)
        self._urls = urls
        self._ids = 0
        self._made: tuple[str, str] | None = None
        self.revoked: dict[str, str] = {}
        """Secrets of keys whose revocation was answered."""
        self.served = self.refused = 0
        """Keys that were served before, and requests that were refused after."""

    @property
    def unfinished(self) -> bool:
        return self._made is not None

    def next_request(self) -> Request | None:
        if self._made is not None:
            return Request("DELETE", f"/v1/api-keys/{self._made[0]}", None, "revoke")
        if self.revoked:
            self._try_one()
        if self._ids == KEYS_MAX:
            self.over.wait(0.5)
            return None
        self._ids += 1
        body = {"name": f"key-{self._ids}", "kind": "hmac", "scopes": ["read"]}
        return Request("POST", "/v1/api-keys", body, "key")

    def take(self, answer: Answer) -> None:
        if answer.status not in (200, 201):
            self.told.found(f"{self.key}: {answer.request.kind} got {answer.status} {answer.body}")
        elif answer.request.kind == "key":
            # A repeat does not say the secret again; such a key is revoked all the same.
            self._made = answer.body["key"], answer.body["secret"] or ""
            if self._made[1]:
                self.served += any(self._use(url, *self._made) == 200 for url in self._urls)
        else:
            assert self._made is not None
            key, secret = self._made
            self.revoked[key] = secret
            self._made = None
            for url in self._urls:
                self.check(url, key)

    def _try_one(self) -> None:
        self.check(self.random.choice(self._urls), self.random.choice(list(self.revoked)))

    def check(self, url: str, key: str) -> None:
        """Try a revoked key on one machine: it is refused, or the machine does not answer."""
        status = self._use(url, key, self.revoked[key])
        if status == 401:
            self.refused += 1
        elif 0 < status < 500:
            self.told.found(f"{key} was revoked, and {url} answers {status}")

    def _use(self, url: str, key: str, secret: str) -> int:
        """Ask something with a key; the status of the answer, 0 without one."""
        self._stamp = max(self._stamp + 1, time.time_ns() // 1_000_000)
        headers = signed_headers(
            key, self._stamp, "GET", "/v1/balances", secret=secret.encode() or b"lost"
        )
        try:
            return requests.get(f"{url}/v1/balances", headers=headers, timeout=1.0).status_code
        except requests.RequestException:
            return 0

    def _send(self, session: requests.Session, request: Request) -> bool:
        done = super()._send(session, request)
        if not done:
            self._url = self._places.move()
        return done


class MovingFix(FixClient):
    """A FIX session that goes on with 141=N at the gateway of another machine."""

    inaccurate_ends = True

    def __init__(
        self, addresses: Sequence[tuple[str, int]], first: int, comp_id: str, told: Told, seed: int
    ) -> None:
        super().__init__(addresses[first], comp_id, told, seed)
        self._addresses = addresses
        self._at = first

    def life(self) -> None:
        super().life()
        self._at = (self._at + 1) % len(self._addresses)
        self.address = self._addresses[self._at]


class MovingWs(WsClient):
    """A WebSocket client that resumes on another machine where it was."""

    away: ClassVar[frozenset[str]] = AWAY

    def __init__(self, places: Places, key: str, told: Told, seed: int) -> None:
        super().__init__(places.here, key, told, seed)
        self._places = places

    def life(self) -> None:
        super().life()
        self._url = self._places.move()

    def _answer(self, connection: ClientConnection, message: dict[str, Any]) -> None:
        if not message["ok"] and message["error"]["code"] in self.away:
            raise TimeoutError(message["error"]["code"])
        super()._answer(connection, message)


def _now_us() -> int:
    return time.time_ns() // 1_000
