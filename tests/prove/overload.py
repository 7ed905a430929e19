"""Clients that behave badly beside clients that behave: who pays, and with what.

A few behaving clients (a FIX session, REST readers, a WebSocket) measure how long each round
trip takes, alone and during each attack. They must keep working; memory must stay bounded;
whoever attacks is dropped, and the log says why.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.fix.rawfix import Closed, RawFix
from tests.prove import attacks
from tests.prove.attacks import ATTACKS
from tests.prove.security import pids
from tests.prove.venue import Venue
from tests.support import pace

NAMES: Final = ("engine", "history", "fix", "api", "stream")
GROWTH_BYTES_MAX: Final = 300 << 20
"""How much the memory of the whole venue may grow by one attack."""
SLOW_S_MAX: Final = 3.0
"""No round trip of a client that behaves may take longer, on the reference machine."""
MEDIAN_S_MAX: Final = 0.5
ENOUGH: Final = 5
"""Round trips that say something: one may have met a moment in which the disk is slow."""
PAUSE_S: Final = 0.01
FOLLOWS_S_MAX: Final = 60.0
"""When whatever follows the engine has to have caught up with the end of the attacks."""
SLOW: Final = (attacks.http_dripping, attacks.http_deaf, attacks.fix_deaf)
"""Attackers that are dropped only after a time that they are given."""


def resident(venue: Venue) -> int:
    """Bytes of memory of all processes of the venue."""
    total = 0
    for pid in pids(venue):
        with contextlib.suppress(OSError):  # It has ended since it was listed.
            pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
            total += int(pages) * resource.getpagesize()
    return total


class Behaving:
    """Clients that do one round trip after the other, each on a thread."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._over = threading.Event()
        self._done = threading.Condition()
        self._took: dict[str, list[float]] = {}
        self.failures: list[str] = []
        trips = {"FIX": self._fix, "REST": self._rest, "REST, new connection": self._fresh,
                 "WebSocket": self._ws, "FIX Logon": self._logons}  # fmt: skip
        self._kinds = frozenset(trips)
        self._threads = [
            threading.Thread(target=self._run, args=(name, trip), daemon=True)
            for name, trip in trips.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def take(self) -> dict[str, list[float]]:
        """The seconds of the round trips since the last time, by kind of client."""
        with self._done:
            took, self._took = self._took, {}
        return took

    def take_of_all(self) -> dict[str, list[float]]:
        """The same, once every kind has as many as a median needs, or should have."""
        with self._done:
            self._done.wait_for(
                lambda: all(len(self._took.get(kind, ())) >= ENOUGH for kind in self._kinds),
                pace.seconds(SLOW_S_MAX),
            )
        return self.take()

    def _run(self, name: str, trips: Callable[[], Iterator[None]]) -> None:
        try:
            steps = trips()
            next(steps)
            while not self._over.is_set():
                began = time.monotonic()
                next(steps)
                with self._done:
                    self._took.setdefault(name, []).append(time.monotonic() - began)
                    self._done.notify_all()
                self._over.wait(PAUSE_S)
        except (OSError, requests.RequestException, WebSocketException, Closed,
                AssertionError) as error:  # fmt: skip
            self.failures.append(f"{name} of a client that behaves failed: {error!r:.200}")

    def _fix(self) -> Iterator[None]:
        with RawFix(self._venue.fix, "BOB") as client:
            client.logon()
            yield
            number = 0
            while True:
                number += 1
                client.order(f"b{number}", price="10", extra="")
                client.expect("8")
                client.send("F", f"11=c{number}|41=b{number}|55=BTC-USD|54=1|60=20300101-00:00:00|")
                client.expect("8")
                yield

    def _logons(self) -> Iterator[None]:
        """Somebody who logs on from the address of those that attack, and leaves."""
        while True:
            yield
            with RawFix(self._venue.fix, "CERT") as client:  # Its numbers begin at 1 each time.
                client.logon()
                client.logout()

    def _rest(self) -> Iterator[None]:
        with requests.Session() as session:
            while True:
                yield
                self._balances(session)

    def _fresh(self) -> Iterator[None]:
        while True:
            yield
            with requests.Session() as session:
                self._balances(session)

    def _balances(self, session: requests.Session) -> None:
        headers = {"Authorization": "Bearer demo-bob-read"}
        answer = session.get(f"{self._venue.url}/v1/balances", headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text

    def _ws(self) -> Iterator[None]:
        with connect(self._venue.stream_url, compression=None) as connection:
            # Who has not logged in may send a few messages a second only.
            _ask(connection, 0, "login", {"token": "demo-bob-read"})
            channels = {"channels": ["book", "trades"], "symbols": ["ETH-BTC"]}
            _ask(connection, 1, "subscribe", channels)
            for number in itertools.count(2):
                yield
                _ask(connection, number, "ping", {})


def _ask(connection: ClientConnection, number: int, op: str, params: dict[str, Any]) -> None:
    """Send a request and wait for the answer to this one, which must be good."""
    connection.send(json.dumps({"op": op, "req_id": number, "params": params}))
    while (answer := json.loads(connection.recv(timeout=10))).get("req_id") != number:
        continue
    assert answer["ok"], answer


@dataclass(slots=True)
class Stood:
    """What was done, and what the clients that behave had of it."""

    rows: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def stand(
    quick: bool, settle_s: float, say: Callable[[str], None] = lambda text: None
) -> Stood:
    """One attack after the other over one venue, ``settle_s`` each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = Stood()
    with tempfile.TemporaryDirectory(prefix="tandem-overload-") as name:
        venue = Venue(Path(name))
        try:
            venue.start_all(*NAMES)
            behaving = Behaving(venue)
            behaving.start()
            _attack_all(venue, behaving, quick, settle_s, say, result)
            behaving.stop()
            result.findings += behaving.failures
        finally:
            venue.kill_all()
    return result


def _attack_all(
    venue: Venue, behaving: Behaving, quick: bool, settle_s: float, say: Callable[[str], None],
    result: Stood,
) -> None:  # fmt: skip
    time.sleep(settle_s)
    behaving.take()
    time.sleep(2 * settle_s)
    alone, first = behaving.take_of_all(), resident(venue)
    result.rows.append(f"alone: {_shown(alone)}")
    for name, (attack, long, short, process, reason) in ATTACKS.items():
        slow = attack in SLOW
        count = short if quick else long
        if not count or behaving.failures:
            continue
        say(name)
        before = resident(venue)
        with attack(venue, count):
            time.sleep(settle_s)
            behaving.take()
            time.sleep(settle_s)
            during = behaving.take_of_all()
            growth = resident(venue) - before
            # In the short form nobody waits for what takes its time by intention.
            wait_s = 1.0 if quick else 60.0
            said = not reason or _says(venue, process, reason, wait_s) or (quick and slow)
        result.rows.append(f"{name} ({count:,}): {_shown(during, alone)}, {growth >> 20} MiB")
        _judge(name, during, growth, result)
        if not said:
            result.findings.append(f"{name}: the log of {process} does not say {reason!r}")
    _end(venue, first, result)


def _end(venue: Venue, first: int, result: Stood) -> None:
    """Everything still runs and has followed, and the memory of the attacks is free again."""
    deadline = time.monotonic() + FOLLOWS_S_MAX
    while (ready := requests.get(f"{venue.url}/readyz", timeout=10)).status_code != 200:
        if time.monotonic() > deadline:
            result.findings.append(f"not ready in the end: {ready.text:.500}")
            break
        time.sleep(0.2)
    growth = resident(venue) - first
    result.rows.append(f"memory after all of it: {growth >> 20} MiB more than before")
    if growth > GROWTH_BYTES_MAX:
        result.findings.append(f"the venue's memory grew by {growth >> 20} MiB for good")
    for one, child in venue.children.items():
        if child.code is not None:
            result.findings.append(f"{one} ended with {child.code}: {venue.log_of(one)}")


def _shown(took: dict[str, list[float]], alone: dict[str, list[float]] | None = None) -> str:
    parts = []
    for kind, seconds in sorted(took.items()):
        middle = statistics.median(seconds)
        text = f"{kind} {middle * 1000:.1f} ms"
        if alone and kind in alone:
            text += f" (x {middle / statistics.median(alone[kind]):.1f})"
        parts.append(text)
    return ", ".join(parts)


def _judge(name: str, during: dict[str, list[float]], growth: int, result: Stood) -> None:
    for kind in ("FIX", "FIX Logon", "REST", "REST, new connection", "WebSocket"):
        seconds = during.get(kind, [])
        if not seconds:
            result.findings.append(f"{name}: no round trip of {kind} came to its end")
        elif (
            max(seconds) > pace.seconds(SLOW_S_MAX)
            or statistics.median(seconds) > pace.seconds(MEDIAN_S_MAX)
        ):
            result.findings.append(
                f"{name}: {kind} took {statistics.median(seconds):.3f} s, at most "
                f"{max(seconds):.3f} s"
            )
    if growth > GROWTH_BYTES_MAX:
        result.findings.append(f"{name}: the venue's memory grew by {growth >> 20} MiB")


def _says(venue: Venue, process: str, reason: str, timeout_s: float) -> bool:
    """Whether a log says why somebody was dropped, now or soon."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if reason in venue.log_of(process, 1 << 20):
            return True
        time.sleep(0.1)
    return False
