"""Health checks: whether the process is alive and can serve, and the state of the venue's parts.

They are public, so they show the state of a part and neither its place nor the cause; for those
an operator has ``tandem status``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from account_api.errors import Problem, no_leader
from account_api.http.routing import AnyCall, PlainCall, Route
from account_api.ports import PartSeen
from account_api.reply import Reply
from account_api.schema.health_responses import HealthView, PartView, ReadyView
from engine.client import queries
from engine.core.types import ClusterStatus
from engine.history import reader as history

_REQUIRED: Final = frozenset(("engine", "keys", "history", "disk"))
"""Parts without which the account API cannot work."""
_FAILS: Final = frozenset((("history", "behind"), ("disk", "full")))
"""States of those parts that are as bad as their absence."""


def get_health(call: PlainCall) -> Reply:
    """Answer that the process is alive, and check nothing else."""
    return Reply(HealthView(status="ok"))


def get_ready(call: PlainCall) -> Reply:
    """Get whether the account API can serve, and the state of each part of the venue.

    503 if the engine does not respond, the venue has no leader, the API keys or the history cannot
    be read, the history does not keep up, or the disk is full. `degraded`: it can serve, but
    another part does not work.
    """
    parts: list[PartView] = []
    failures: list[Problem] = []
    seq = _ask(parts, failures, "engine", lambda: _engine_seq(call))
    _ask(parts, failures, "keys", lambda: _keys(call))
    detail = f"engine at seq {seq}"
    if call.services.history_opener is not None:
        stored = _ask(parts, failures, "history", lambda: _history_seq(call))
        detail += f", history at seq {stored}"
    cluster = None if seq is None else call.services.fetch(queries.Cluster()).value
    if cluster is not None:
        parts.append(_cluster(cluster, failures))
    for seen in call.services.parts(seq):
        view = _view(seen)
        known = next((one for one in parts if one.part == view.part), None)
        if known is None:
            parts.append(view)
        elif known.status == "ok":
            parts[parts.index(known)] = view
        if (seen.part, seen.state) in _FAILS:
            failures.append(Problem("not_ready", f"{view.part}: {view.detail}."))
    if failures:
        failures[0].members["parts"] = msgspec.to_builtins(parts)
        raise failures[0]
    wrong = [f"{one.part} {one.detail}" for one in parts if one.status != "ok"]
    if wrong:
        return Reply(ReadyView(status="degraded", detail="; ".join(wrong), parts=parts))
    return Reply(ReadyView(status="ready", detail=detail, parts=parts))


def _cluster(cluster: ClusterStatus, failures: list[Problem]) -> PartView:
    whole = not cluster.trouble and not any(row.role == "away" for row in cluster.members)
    state, words = ("ok", "works") if whole else ("troubled", "does not do all of its work")
    if not cluster.leader:
        failures.insert(0, no_leader())
        state, words = "away", "has no leader"
    return PartView(part="cluster", status=state, required=True, detail=words)


def _ask(
    parts: list[PartView], failures: list[Problem], name: str, read: Callable[[], int | None]
) -> int | None:
    try:
        seq = read()
    except Problem as problem:
        failures.append(problem)
        parts.append(PartView(part=name, status="away", required=True, detail=problem.detail))
        return None
    parts.append(PartView(part=name, status="ok", required=True, detail="works", seq=seq))
    return seq


def _engine_seq(call: AnyCall) -> int:
    return call.services.fetch(queries.Status()).as_of_seq


def _keys(call: AnyCall) -> None:
    call.services.ring.current()


def _history_seq(call: AnyCall) -> int:
    with call.services.history() as connection:
        return history.last_seq(connection)


def _view(seen: PartSeen) -> PartView:
    words = {
        "ok": "works", "behind": "does not keep up with the engine", "away": "does not answer",
        "low": "has little room", "full": "has no room",
    }.get(seen.state, "does not do all of its work")  # fmt: skip
    if seen.lag_records:
        words += f", {seen.lag_records} transactions behind"
    return PartView(
        part=seen.part, status=seen.state, required=seen.part in _REQUIRED, detail=words,
        seq=seen.seq, lag_records=seen.lag_records, lag_ms=round(seen.lag_s * 1000),
    )  # fmt: skip


ROUTES: Final = (
    Route("GET", "/healthz", get_health, "Is the process alive", HealthView, tag="health"),
    Route(
        "GET", "/readyz", get_ready, "Can the process serve", ReadyView, tag="health",
        errors=("history_unavailable", "keys_unavailable", "no_leader", "not_ready"),
    ),
)  # fmt: skip
