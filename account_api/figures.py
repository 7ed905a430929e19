"""Counts and times the requests of one worker process."""

from __future__ import annotations

import time
from typing import Any, Final

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


def watch(app: Flask) -> CollectorRegistry:
    """Have every request of the application counted; gives the registry to read it from.

    A request is known by its method and its rule, never by its path: what strangers ask for
    must not become labels.
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
    counters: dict[tuple[str, str, int], Counter] = {}

    def begin() -> None:
        g.began = time.perf_counter()

    def end(response: Response) -> Response:
        incoming = request._get_current_object()  # type: ignore[attr-defined]
        matched = incoming.url_rule
        rule = matched.rule if matched is not None else "none"
        method = incoming.method if matched is not None else "any"
        name = method, rule, response.status_code
        counter = counters.get(name)
        if counter is None:
            # Looking a counter up by its labels takes longer than counting.
            counter = counters[name] = requests.labels(method, rule, str(response.status_code))
        counter.inc()
        began: Any = g.get("began")
        if began is not None:
            (reads if method == "GET" else writes).observe(time.perf_counter() - began)
        return response

    app.before_request(begin)
    app.after_request(end)
    return registry
