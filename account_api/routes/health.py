"""For those who watch the process: is it alive, can it serve, and how is the rest of the venue.

Anybody may ask, so an answer says how things are and not where or why; ``tandem status`` says
that to the operator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from account_api.errors import Problem
from account_api.http.routing import AnyCall, PlainCall, Route
from account_api.ports import PartSeen
from account_api.reply import Reply
from account_api.schema.health_responses import HealthView, PartView, ReadyView
from engine.client import queries
from engine.history import queries as history

_REQUIRED: Final = frozenset(("engine", "keys", "history", "disk"))
"""Without them the account API cannot do its work; the others are doors of their own."""
_FAILS: Final = frozenset((("history", "behind"), ("disk", "full")))
"""What of them is as bad as if it were not there."""


def get_health(call: PlainCall) -> Reply:
    """The process answers; nothing else is asked."""
    return Reply(HealthView(status="ok"))


def get_ready(call: PlainCall) -> Reply:
    """Whether the account API can serve, and how each part of the venue is.

    503 where the engine does not answer, it is not known which keys are good, the history cannot
    be read or does not keep up, or the disk is full. `degraded`: it can serve, and something else
    does not work.
    """
    parts: list[PartView] = []
    failures: list[Problem] = []
    seq = _ask(parts, failures, "engine", lambda: _engine_seq(call))
    _ask(parts, failures, "keys", lambda: _keys(call))
    detail = f"engine at seq {seq}"
    if call.services.history_opener is not None:
        stored = _ask(parts, failures, "history", lambda: _history_seq(call))
        detail += f", history at seq {stored}"
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
        errors=("history_unavailable", "keys_unavailable", "not_ready"),
    ),
)  # fmt: skip
