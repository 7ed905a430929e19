"""A bare Flask route under the gunicorn of the account API, for benchmarks.rest to compare.

It answers as many bytes as GET /v1/balances, made beforehand: no credential, no engine, no
encoding. What is left is gunicorn and Flask.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response

from config.control import SERVE_METRICS
from config.process import log_json_lines


class _NoMetrics:
    def close(self) -> None:
        """There is nothing to close."""


def application() -> Any:
    """Return the WSGI application: ``benchmarks.rest_bare:application()``."""
    log_json_lines()
    body = b"x" * int(os.environ["TANDEM_BENCHMARK_BYTES"])
    app = Flask("bare", static_folder=None)
    # The configuration of gunicorn asks every application for its metrics.
    app.extensions[SERVE_METRICS] = _NoMetrics

    def bare() -> Response:
        return Response(body, content_type="application/json")

    app.add_url_rule("/bare", "bare", bare)
    return app
