"""Metrics of the requests of one worker process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Flask
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_REQUEST: Final = "werkzeug.request"
"""Where Flask stores the request that it made from the environment."""


def watch(app: Flask) -> CollectorRegistry:
    """Count every request of the application; returns the registry to read the metrics from.

    Labels are the method and the rule, never the path, which anybody can choose.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    requests = Counter(
        "tandem_api_requests", "Requests answered", ["method", "rule", "status"], registry=registry
    )
    seconds = Histogram(
        "tandem_api_request_seconds", "Time to answer, without the network",
        ["group"], buckets=_BUCKETS_S, registry=registry,
    )  # fmt: skip

    reads, writes = seconds.labels("read"), seconds.labels("write")
    counters: dict[tuple[str, str, str], Counter] = {}
    serve: Any = app.wsgi_app

    def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Around Flask and not inside it: its hooks cost several times what they do.
        began = time.perf_counter()
        code = ""

        def started(status: str, fields: list[tuple[str, str]], failure: Any = None) -> Any:
            nonlocal code
            code = status[:3]
            return start_response(status, fields, failure)

        answer: Iterable[bytes] = serve(environ, started)
        incoming = environ.get(_REQUEST)
        matched = None if incoming is None else incoming.url_rule
        rule, method = "none", "any"
        if matched is not None:
            rule, method = matched.rule, environ["REQUEST_METHOD"]
        name = method, rule, code
        counter = counters.get(name)
        if counter is None:
            # Looking a counter up by its labels takes longer than counting.
            counter = counters[name] = requests.labels(*name)
        counter.inc()
        (reads if method == "GET" else writes).observe(time.perf_counter() - began)
        return answer

    app.wsgi_app = counted  # type: ignore[method-assign]
    return registry
