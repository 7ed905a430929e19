"""The process that delivers, against a receiver that fails, is slow and dies, and killed itself.

Everything that happened arrives, in order; what arrives twice has the same id and the same body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from account_api.webhooks.kinds import chosen
from account_api.webhooks.store import Endpoint, WebhookStore
from config.control import ask, socket_path
from config.settings import DEMO_FILE
from engine.core.commands import Deposit
from engine.core.types import Origin
from tests.api.inprocess import Clock, InProcessEngine
from tests.support import pace
from tests.support.processes import Process

SECRET: Final = b"k" * 32


class Receiver:
    """Takes deliveries over HTTP. ``answer`` decides on each: a status, or None for no answer."""

    def __init__(self, port: int = 0) -> None:
        self.news = threading.Condition()
        self.got: list[tuple[str, bytes]] = []
        self.taken: list[str] = []
        self.answer: Callable[[str, int], int | None] = lambda name, count: 200
        self.never = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
                signed = f"{name}.{at}.".encode() + body
                wanted = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
                assert self.headers["webhook-signature"] == f"v1,{wanted}"
                with outer.news:
                    outer.got.append((name, body))
                    count = sum(one == name for one, _ in outer.got)
                    outer.news.notify_all()
                status = outer.answer(name, count)
                if status is None:
                    outer.never.wait()
                    return
                if status < 300:
                    outer.taken.append(name)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def until(self, enough: Callable[[list[str]], bool]) -> None:
        """Wait until the ids that were taken, or are being looked at, are enough."""
        with self.news:
            there = self.news.wait_for(
                lambda: enough([name for name, _ in self.got]), pace.seconds(30)
            )
            assert there, self.got

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.never.set()


class Scene:
    """A history in a data folder, an endpoint, and the process between it and a receiver."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.engine = InProcessEngine(self.data, Clock())
        self.receiver = Receiver()
        text = DEMO_FILE.read_text(encoding="utf-8").replace(
            "[webhooks]\n", "[webhooks]\npoll_ms = 20\ntimeout_ms = 500\n"
        )
        assert "poll_ms = 20" in text
        config = folder / "venue.toml"
        config.write_text(text, encoding="utf-8")
        self.environment = {"TANDEM_CONFIG": str(config), "TANDEM_DATA": str(self.data)}
        self.store = WebhookStore(str(self.data / "webhooks.db"), str(self.data / "keys.master"))
        self.expected: list[str] = []
        self.process: Process | None = None
        self.log: list[str] = []

    def start(self) -> None:
        self.process = Process("account_api.webhooks", self.environment)
        self.process.wait_for("ready")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.log += self.process.raw

    def register(self) -> None:
        seq = self.engine.exchange.seq
        self.store.add(
            Endpoint(
                id="wh_1", account="alice", firm="alice", firm_wide=False, name="n",
                url=f"http://127.0.0.1:{self.receiver.port}/hook",
                events=dict.fromkeys(chosen(["*"]), seq), created_at=1, created_by="k", seq=seq,
                secret=SECRET,
            ),
            10,
        )  # fmt: skip

    def deposit(self) -> str:
        number = len(self.expected)
        done = self.engine.apply(
            Deposit(Origin("operator:t"), f"d{number}", "alice", "BTC", 1_000, "bitcoin",
                    confirmations=9)
        )  # fmt: skip
        self.engine.catch_up()
        self.expected.append(f"evt_{done.seq}_0")
        return self.expected[-1]

    def found(self) -> Endpoint:
        one = self.store.find("wh_1")
        assert one is not None
        return one

    def close(self) -> None:
        if self.process is not None:
            self.process.popen.kill()
            self.process.wait()
        self.receiver.close()
        self.store.close()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_is_lost_whoever_fails_and_doubles_have_the_same_id(scene: Scene) -> None:
    receiver = scene.receiver
    try:
        # It waits for the first endpoint, and finds it.
        scene.start()
        scene.register()
        first = scene.deposit()
        receiver.until(lambda got: got == [first])

        # The receiver fails, then is slow for longer than it may be, then takes it.
        receiver.answer = lambda name, count: (503, None, 200)[min(count, 3) - 1]
        hard = scene.deposit()
        receiver.until(lambda got: got.count(hard) == 3)

        # The process is killed after it has sent, and before it could have stored the answer.
        receiver.answer = lambda name, count: None if count == 1 else 200
        doubtful = scene.deposit()
        receiver.until(lambda got: doubtful in got)
        scene.kill()
        behind = scene.deposit()
        assert scene.found().place < (int(doubtful.split("_")[1]), 0)
        receiver.answer = lambda name, count: 200
        scene.start()
        receiver.until(lambda got: got[-1] == behind)
        assert [name for name, _ in receiver.got].count(doubtful) == 2

        # The receiver dies, and comes back at the same port.
        port = receiver.port
        receiver.close()
        missed = scene.deposit()
        again = scene.receiver = Receiver(port)
        again.got = receiver.got
        again.until(lambda got: missed in got)
        assert scene.process is not None
        health = json.loads(ask(socket_path(scene.data, "webhooks"), "health"))
        assert health["trouble"] == ""
        metrics = ask(socket_path(scene.data, "webhooks"), "metrics")
        assert 'tandem_webhook_attempts_total{outcome="delivered"}' in metrics
        scene.process.popen.send_signal(signal.SIGTERM)
        assert scene.process.wait() == 0
        scene.log += scene.process.raw

        names = [name for name, _ in again.got]
        assert list(dict.fromkeys(names)) == scene.expected
        assert len(set(again.got)) == len(scene.expected), "a double has another body"
        attempts = scene.store.attempts("wh_1", event_id=hard)
        assert [row.http_status for row in attempts] == [200, 0, 503]
        assert attempts[1].error == "no answer within 0.5 s"
        assert scene.found().place == (int(missed.split("_")[1]), 0)
        text = "".join(scene.log)
        assert base64.b64encode(SECRET).decode() not in text and "Traceback" not in text
    finally:
        scene.close()
