"""Responses of the health checks."""

from __future__ import annotations

from account_api.schema.responses import View


class HealthView(View, frozen=True, kw_only=True):
    """Whether the process is alive."""

    status: str
    detail: str | None = None


class PartView(View, frozen=True, kw_only=True):
    """One part of the venue. `status` is ok, behind, troubled, away, low or full (of the disk).

    `required`: without it the account API cannot serve. `lag_records` and `lag_ms` say how many of
    the engine's transactions it has not processed, and since when.
    """

    part: str
    status: str
    required: bool
    detail: str
    seq: int | None = None
    lag_records: int = 0
    lag_ms: int = 0


class ReadyView(View, frozen=True, kw_only=True):
    """`ready`, or `degraded`: the account API can serve, but another part does not work."""

    status: str
    detail: str
    parts: list[PartView]
