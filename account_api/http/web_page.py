"""The page at ``/``: files under ``web/``, served from memory, nothing from elsewhere.

The page is a client like any other: it uses ``/v1`` and the stream, and its settings are only
where the stream is and which public demo keys it may offer. On test-nets it may also read the
engine's counters, to show rates and latencies; in production those are for operators. Its content
security policy lets it run its own scripts and connect to this venue, and nothing else.
"""

from __future__ import annotations

import hashlib
import html
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
from flask import Flask, Response, abort, request

from account_api.errors import Problem
from account_api.settings import Page
from config.model import Faucet
from engine.client import queries
from engine.core.types import Answered, EngineMetrics, EngineStatus

T = TypeVar("T")
METRICS_S: Final = 0.5
"""How old the engine's counters on the page may be."""
WEB: Final = Path(__file__).parent.parent / "web"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_HOST: Final = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?\Z")
_STREAM_URL: Final = re.compile(r"wss?://[A-Za-z0-9.\[\]:-]{1,253}(/[A-Za-z0-9._/-]*)?\Z")
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Revalidated each time and answered with 304: an upgrade reaches every open page.
    "Cache-Control": "no-cache",
}
_METRICS_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


class Engine(Protocol):
    """Queries the engine."""

    def fetch(self, query: queries.Query[T]) -> Answered[T]:
        """Return the engine's answer. Raises Problem."""


def add_page(app: Flask, page: Page, faucet: Faucet | None, engine: Engine) -> None:
    """Serve the page, its files and the metrics that it shows."""
    files = {
        str(path.relative_to(WEB)): _file(path.read_bytes(), path.suffix)
        for path in sorted(WEB.rglob("*"))
        if path.suffix in _TYPES
    }
    told = {
        "ENVIRONMENT": page.environment,
        "STREAM_URL": page.stream_url,
        "STREAM_PORT": str(page.stream_port),
        "DEMO_KEYS": " ".join(page.demo_keys),
        "FAUCET": " ".join(asset for asset, _ in faucet.portions) if faucet else "",
    }
    text = files.pop("index.html").content.decode("utf-8")
    for name, value in told.items():
        text = text.replace(f"%{name}%", html.escape(value, quote=True))
    index = _file(text.encode("utf-8"), ".html")
    files.pop("missing.html")  # Made for each path by missing_page.

    def show_page() -> Response:
        response = _answer(index)
        response.headers["Content-Security-Policy"] = policy(page, request.host)
        return response

    def show_file(name: str) -> Response:
        file = files.get(name)
        if file is None:
            abort(404)
        return _answer(file)

    metrics = _Metrics(engine)

    def show_metrics() -> Response:
        if page.environment == "production":
            abort(404)
        try:
            content, status = metrics.json(), 200
        except Problem as problem:
            content, status = msgspec.json.encode({"code": problem.kind.code}), problem.status
        return Response(content, status, content_type="application/json", headers=_METRICS_HEADERS)

    app.add_url_rule("/page/figures", "page_metrics", show_metrics, methods=["GET"])
    app.add_url_rule("/", "page", show_page, methods=["GET"])
    app.add_url_rule("/web/<path:name>", "page_file", show_file, methods=["GET"])


class _Metrics:
    """The engine's counters for the page, queried at most once every ``METRICS_S``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known = b""
        self._until = 0.0

    def json(self) -> bytes:
        """Return the counters since the engine's start, for rates by difference. Raises Problem."""
        with self._lock:
            if time.monotonic() >= self._until:
                metrics = self._engine.fetch(queries.Metrics())
                status = self._engine.fetch(queries.Status())
                self._known = msgspec.json.encode(_counters(status.value, metrics.value))
                self._until = time.monotonic() + METRICS_S
            return self._known


def _counters(status: EngineStatus, metrics: EngineMetrics) -> dict[str, object]:
    return {
        "boot_id": status.boot_id, "at_ms": time.time_ns() // 1_000_000, "seq": status.seq,
        "open_orders": status.open_orders, "transactions": metrics.transactions,
        "orders": metrics.orders, "trades": metrics.trades, "commits": metrics.batches,
        "commit_us": metrics.commit_us, "commit_buckets": metrics.commit_buckets,
    }  # fmt: skip


def policy(page: Page, host: str) -> str:
    """Return the content security policy of the page as requested at ``host``."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{_stream_source(page, host)}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _stream_source(page: Page, host: str) -> str:
    """Return where the page may connect to besides its origin; a malformed host adds nothing."""
    if page.stream_url.startswith("/"):
        same = host if _HOST.match(host) else ""
        return f" ws://{same} wss://{same}" if same else ""
    if page.stream_url:
        known = _STREAM_URL.match(page.stream_url)
        return f" {'/'.join(page.stream_url.split('/')[:3])}" if known else ""
    found = _HOST.match(host)
    if found is None or not page.stream_port:
        return ""
    return "".join(f" {scheme}://{found.group(1)}:{page.stream_port}" for scheme in ("ws", "wss"))


def _file(content: bytes, suffix: str) -> _File:
    return _File(content, _TYPES[suffix], hashlib.sha256(content).hexdigest()[:32])


def _answer(file: _File) -> Response:
    response = Response(file.content, content_type=file.media_type)
    response.headers.update(_HEADERS)
    response.set_etag(file.tag)
    response.make_conditional(request)
    return response
