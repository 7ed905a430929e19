"""For those who watch the process: is it alive, can it serve."""

from __future__ import annotations

from typing import Final

from account_api.registry import Call, Reply, Route
from account_api.views import HealthView
from engine.client import queries
from engine.history import queries as history


def get_health(call: Call) -> Reply:
    """The process answers; nothing else is asked."""
    return Reply(HealthView(status="ok"))


def get_ready(call: Call) -> Reply:
    """The engine answers (503 where it does not) and the history can be read."""
    seq = call.services.fetch(queries.status()).as_of_seq
    detail = f"engine at seq {seq}"
    if call.services.history_opener is not None:
        with call.services.history() as connection:
            detail += f", history at seq {history.last_seq(connection)}"
    return Reply(HealthView(status="ready", detail=detail))


ROUTES: Final = (
    Route("GET", "/healthz", get_health, "Is the process alive", HealthView, tag="health"),
    Route(
        "GET", "/readyz", get_ready, "Can the process serve", HealthView, tag="health",
        errors=("history_unavailable",),
    ),
)  # fmt: skip
