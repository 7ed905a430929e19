"""A model of etcd in simulated time, from one seed: delays, losses, crashes, leases, stale leaders.

``ModelEtcd`` is the real client, ``Etcd``, over a simulated network: what it encodes, repeats and
concludes is what it does in production. ``Server`` is what a cluster of etcd is to its clients: one
state that every request changes at one moment, wherever it was sent and however late it arrives.

Whoever calls it runs in a ``Task``. Tasks are threads of which one runs at a time, until it waits
for something in the simulated world; so that their calls interleave in all ways, and a seed does
the same again.
"""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from engine.cluster.connection import NoAnswer, NotConnected
from engine.cluster.etcd import Etcd
from tests.prove.simulation.world import World

ENDPOINTS: Final = ("m0:1", "m1:1", "m2:1")
TIMEOUT_S: Final = 0.5
UNAVAILABLE: Final = 14


class Ended(BaseException):
    """The simulation is over."""


class Killed(BaseException):
    """kill -9 of what a task does; it may start again."""


class Task:
    """What one process does, from the next step of the world on."""

    def __init__(self, world: World, call: Callable[[Task], None]) -> None:
        self.world = world
        self.error: BaseException | None = None
        self.ending = False
        self._call = call
        self._mine, self._worlds = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._worlds.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        world.after(0, self._go_on)

    def sleep(self, seconds: float) -> None:
        """Let the others go on for some time; may never return."""
        self.world.after(round(seconds * 1e6), self._go_on)
        self.wait()

    def wait(self) -> None:
        """Let the others go on until ``wake``."""
        self._worlds.release()
        self._mine.acquire()
        if self.ending:
            raise Ended

    def wake(self, delay_us: int) -> None:
        """Go on after some time; called by an event of the world while this task waits."""
        self.world.after(delay_us, self._go_on)

    def end(self) -> None:
        """End it where it is."""
        if self._thread.is_alive():
            self.ending = True
            self._mine.release()
            self._thread.join()

    def _go_on(self) -> None:
        if not self._thread.is_alive():
            return
        self._mine.release()
        self._worlds.acquire()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        self._mine.acquire()
        try:
            if not self.ending:
                self._call(self)
        except Ended:
            pass
        except BaseException as error:
            self.error = error
        finally:
            if not self.ending:
                self._worlds.release()


@dataclass
class Lease:
    """Ends at ``until_s``, and the keys with it."""

    ttl_s: int
    until_s: float
    keys: set[str] = field(default_factory=set)


@dataclass
class Weather:
    """How likely what goes wrong is, for each request, and how long it takes."""

    lost_request: float = 0.03
    lost_answer: float = 0.05
    refused: float = 0.02
    failed: float = 0.03
    """Etcd says that it is unavailable; it may have done it."""
    late: float = 0.03
    late_s: float = 20.0
    stale_renewal: float = 0.05
    """A leader of etcd that is none any more confirms a lease that it cannot extend."""
    stalled: float = 0.02
    """The majority is gone: until it is back nothing is done."""
    stalled_s: float = 5.0
    paused: float = 0.03
    """The process that asks is stopped before it asks or before it hears."""
    paused_s: float = 15.0
    killed: float = 0.003
    """The process that asks is killed."""


class Server:
    """The state. Keys are the base64 of the gateway's JSON within, as they come."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world, self.weather = world, weather
        self.revision = 1
        self.kvs: dict[bytes, dict[str, Any]] = {}
        self.leases: dict[int, Lease] = {}
        self.changed: Callable[[dict[bytes, bytes]], None] = lambda puts: None
        """Called with what a transaction has put."""
        self.late: Callable[[], None] = lambda: None
        """Called when a request arrives that its client has given up."""
        self.stalled_until_s = 0.0

    def do(self, path: str, content: bytes) -> tuple[int, bytes]:
        """Do what a request asks for, now."""
        self._expire()
        body = msgspec.json.decode(content)
        calls: dict[str, Callable[[Any], dict[str, Any]]] = {
            "kv/txn": self._txn,
            "kv/range": self._range,
            "lease/grant": self._grant,
            "lease/keepalive": self._keep_alive,
            "lease/revoke": self._revoke,
            "kv/compaction": lambda body: {},
        }
        answer = calls[path](body)
        status = 400 if "code" in answer else 200
        return status, msgspec.json.encode({"header": {"revision": str(self.revision)}, **answer})

    def _expire(self) -> None:
        now = self.world.seconds()
        for number in [one for one, lease in self.leases.items() if lease.until_s <= now]:
            self._end(number)

    def _end(self, number: int) -> None:
        for key in self.leases.pop(number).keys:
            found = self.kvs.get(b64decode(key))
            if found is not None and found["lease"] == number:
                del self.kvs[b64decode(key)]
                self.revision += 1

    def _txn(self, body: Any) -> dict[str, Any]:
        holds = all(self._holds(one) for one in body["compare"])
        operations = body["success" if holds else "failure"]
        for one in operations:
            lease = one.get("request_put", {}).get("lease", 0)
            if lease and lease not in self.leases:
                return {"code": 5, "message": "etcdserver: requested lease not found"}
        if any("request_range" not in one for one in operations):
            self.revision += 1
        responses = [self._operate(one) for one in operations]
        puts = [one["request_put"] for one in operations if "request_put" in one]
        self.changed({b64decode(put["key"]): b64decode(put["value"]) for put in puts})
        return {"succeeded": holds, "responses": responses}

    def _holds(self, compare: Any) -> bool:
        found = self.kvs.get(b64decode(compare["key"]))
        if compare["target"] == "VERSION":
            return (0 if found is None else 1) == compare["version"]
        if found is None:
            return False
        what = "value" if compare["target"] == "VALUE" else "lease"
        return bool(found[what] == compare[what])

    def _operate(self, one: Any) -> dict[str, Any]:
        if "request_range" in one:
            return {"response_range": self._range(one["request_range"])}
        if "request_delete_range" in one:
            what = one["request_delete_range"]
            for key in self._keys(what):
                del self.kvs[key]
            return {"response_delete_range": {}}
        put = one["request_put"]
        self.kvs[b64decode(put["key"])] = put
        if put["lease"]:
            self.leases[put["lease"]].keys.add(put["key"])
        return {"response_put": {}}

    def _keys(self, what: Any) -> list[bytes]:
        key, end = b64decode(what["key"]), b64decode(what.get("range_end", ""))
        if not end:
            return [key] if key in self.kvs else []
        return sorted(one for one in self.kvs if key <= one < end)

    def _range(self, what: Any) -> dict[str, Any]:
        keys = self._keys(what)
        found = []
        for key in keys[: what.get("limit") or len(keys)]:
            kv = self.kvs[key]
            value = "" if what.get("keys_only") else kv["value"]
            name = b64encode(key).decode()
            found.append({"key": name, "value": value, "lease": str(kv["lease"]), "version": "1"})
        return {"kvs": found}

    def _grant(self, body: Any) -> dict[str, Any]:
        number = self.world.random.getrandbits(62) + 1
        self.leases[number] = Lease(body["TTL"], self.world.seconds() + body["TTL"])
        return {"ID": str(number), "TTL": str(body["TTL"])}

    def _keep_alive(self, body: Any) -> dict[str, Any]:
        lease = self.leases.get(body["ID"])
        if lease is None:
            return {"result": {"ID": str(body["ID"])}}
        if not self.world.chance(self.weather.stale_renewal):
            lease.until_s = self.world.seconds() + lease.ttl_s
        return {"result": {"ID": str(body["ID"]), "TTL": str(lease.ttl_s)}}

    def _revoke(self, body: Any) -> dict[str, Any]:
        if body["ID"] not in self.leases:
            return {"code": 5, "message": "etcdserver: requested lease not found"}
        self._end(body["ID"])
        return {}


class ModelEtcd(Etcd):
    """The client of a task."""

    def __init__(self, server: Server, task: Task) -> None:
        super().__init__(ENDPOINTS, timeout_s=TIMEOUT_S)
        self._server, self._task = server, task
        self._world, self._weather = server.world, server.weather

    def clock(self) -> float:  # type: ignore[override]
        """Simulated seconds, the same on all machines."""
        return self._world.seconds()

    def _ended_within(self, pause_s: float) -> bool:
        if pause_s:
            self._task.sleep(pause_s)
        return False

    def _pause(self) -> None:
        """A process may be stopped or end at any moment; others notice it between two calls."""
        if self._world.chance(self._weather.killed):
            raise Killed
        if self._world.chance(self._weather.paused):
            self._task.sleep(self._world.delay_us(int(self._weather.paused_s * 1e6)) / 1e6)

    def _post(
        self,
        endpoint: int,
        path: str,
        token: str,
        content: bytes,
        deadline: float,
        timeout_s: float,
    ) -> tuple[int, bytes]:
        world, weather = self._world, self._weather
        until = min(deadline, self.clock() + timeout_s)
        self._pause()
        if world.chance(weather.refused):
            self._task.sleep(world.delay_us(10_000) / 1e6)
            raise NotConnected("refused")
        answers: list[tuple[int, bytes]] = []
        waiting = [True]

        def hear(answer: tuple[int, bytes]) -> None:
            if waiting:
                answers.append(answer)
                waiting.clear()
                self._task.wake(0)

        def give_up() -> None:
            if waiting:
                waiting.clear()
                self._task.wake(0)

        if not world.chance(weather.lost_request):
            self._deliver(path, content, waiting, hear)
        world.after(round((until - self.clock()) * 1e6), give_up)
        self._task.wait()
        self._pause()
        if not answers:
            raise NoAnswer("no answer")
        return answers[0]

    def _deliver(
        self,
        path: str,
        content: bytes,
        waiting: list[bool],
        hear: Callable[[tuple[int, bytes]], None],
    ) -> None:
        world, weather, server = self._world, self._weather, self._server
        longest_s = weather.late_s if world.chance(weather.late) else 0.02

        def arrive() -> None:
            now = world.seconds()
            if world.chance(weather.stalled):
                server.stalled_until_s = max(
                    server.stalled_until_s, now + weather.stalled_s * world.random.random()
                )
            if server.stalled_until_s > now:
                # Some wait in etcd until there is a majority, some are dropped in its election.
                if world.chance(0.7):
                    world.after(round((server.stalled_until_s - now) * 1e6) + 1, arrive)
                return
            failed = world.chance(weather.failed)
            if failed and world.chance(0.5):
                answer = _unavailable()
            else:
                answer = server.do(path, content)
                answer = _unavailable() if failed else answer
            if not waiting:
                server.late()
            if not world.chance(weather.lost_answer):
                world.after(world.delay_us(20_000), lambda: hear(answer))

        world.after(world.delay_us(int(longest_s * 1e6)), arrive)


def _unavailable() -> tuple[int, bytes]:
    text = "etcdserver: request timed out, possibly due to previous leader failure"
    return 503, msgspec.json.encode({"message": text, "code": UNAVAILABLE})
