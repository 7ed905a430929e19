"""The progress page of a certification: plain HTTP, read only, without access control."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from certification.api.http import HttpGate, Reply, Request
from certification.report.page import HTML, KINDS, Shown, front, progress, status_json

REQUEST_S: Final = 5.0


class ProgressPage(HttpGate):
    """Serves the pages of ``runs``."""

    def __init__(self, runs: Iterable[Shown]) -> None:
        super().__init__(self._answer, idle_s=REQUEST_S)
        self._runs = {run.name: run for run in runs}

    async def _answer(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return _reply(405, "text/plain", b"Only GET is served here.\n")
        return _reply(*self._page(request.path))

    def _page(self, path: str) -> tuple[int, str, bytes]:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return 200, HTML, front(self._runs.values()).encode("utf-8")
        run = self._runs.get(parts[0])
        if run is not None and len(parts) == 1:
            return 200, HTML, progress(run).encode("utf-8")
        if run is not None and parts[1:] == ["status.json"]:
            return 200, "application/json", status_json(run)
        if run is not None and len(parts) == 2 and parts[1] in KINDS:
            found = run.files().get(parts[1])
            if found is not None:
                return 200, KINDS[parts[1]], found
        return 404, "text/plain", b"There is nothing here.\n"


def _reply(status: int, kind: str, body: bytes) -> Reply:
    headers = (
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    )
    return Reply(status, headers, body)
