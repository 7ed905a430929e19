"""The progress page: what is to be done, what was done, and why something failed.

Plain HTTP, read only, without scripts. It shows no secret, and whoever reaches it may read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from html import escape
from typing import Final, Protocol

import msgspec
import structlog

from certification import report as reports
from certification.results import CaseResult, Report
from certification.scenario import Scenario

log = structlog.get_logger()

REQUEST_BYTES_MAX: Final = 8192
REQUEST_S: Final = 5.0
CONNECTIONS_MAX: Final = 64
REFRESH_S: Final = 2


class Shown(Protocol):
    """A run as the page sees it."""

    scenarios: tuple[Scenario, ...]

    @property
    def name(self) -> str:
        """The client."""

    @property
    def online(self) -> bool:
        """Whether the client is logged on."""

    @property
    def playing(self) -> str:
        """Id of the case that is under way, or ""."""

    @property
    def fingerprint(self) -> str:
        """Of the key that signs the report."""

    def cases(self) -> list[CaseResult]:
        """The last result of every case."""

    def report(self) -> Report:
        """The run so far."""

    def files(self) -> Mapping[str, bytes]:
        """The report's files as they were written last, by name."""


class Page:
    """Serves the pages of some runs."""

    def __init__(self, runs: Iterable[Shown]) -> None:
        self._runs = {run.name: run for run in runs}
        self._server: asyncio.Server | None = None
        self._busy = 0

    @property
    def port(self) -> int:
        """Where the page is."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Begin to serve. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy += 1
        try:
            if self._busy > CONNECTIONS_MAX:
                return
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answer(head))
            async with asyncio.timeout(REQUEST_S):
                await writer.drain()
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            pass  # It left, or said nothing in time.
        except asyncio.LimitOverrunError:
            writer.write(_response(431, "text/plain", b"The request is too long.\n"))
        except Exception:
            log.exception("page_failed")
        finally:
            self._busy -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(head) > REQUEST_BYTES_MAX or len(words) != 3:
            return _response(400, "text/plain", b"This is no HTTP request.\n")
        if words[0] not in ("GET", "HEAD"):
            return _response(405, "text/plain", b"Only GET is served here.\n")
        status, kind, body = self._page(words[1].split("?")[0])
        return _response(status, kind, body, head_only=words[0] == "HEAD")

    def _page(self, path: str) -> tuple[int, str, bytes]:
        parts = [part for part in path.split("/") if part]
        if not parts:
            return 200, _HTML, front(self._runs.values()).encode("utf-8")
        run = self._runs.get(parts[0])
        if run is not None and len(parts) == 1:
            return 200, _HTML, progress(run).encode("utf-8")
        if run is not None and parts[1:] == ["status.json"]:
            return 200, "application/json", status_json(run)
        if run is not None and len(parts) == 2 and parts[1] in _KINDS:
            found = run.files().get(parts[1])
            if found is not None:
                return 200, _KINDS[parts[1]], found
        return 404, "text/plain", b"There is nothing here.\n"


_HTML: Final = "text/html; charset=utf-8"
_KINDS: Final = {
    reports.JSON_NAME: "application/json",
    reports.HTML_NAME: _HTML,
    reports.XML_NAME: "application/xml",
}
_REASONS: Final = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
}  # fmt: skip


def _response(status: int, kind: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if head_only else body)


def status_json(run: Shown) -> bytes:
    """The run for programs: the verdicts without the messages."""
    cases = [
        {"id": c.id, "title": c.title, "must": c.must, "verdict": c.verdict, "reason": c.reason,
         "told": c.told, "attempts": c.attempts}
        for c in run.cases()
    ]  # fmt: skip
    summary = run.report()
    return msgspec.json.encode({
        "client": run.name, "online": run.online, "playing": run.playing,
        "complete": summary.complete, "certified": summary.certified,
        "passed": summary.passed, "failed": summary.failed, "not_run": summary.not_run,
        "cases": cases,
    })  # fmt: skip


_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:62em;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4em .6em;border-bottom:1px solid #d8dde3;vertical-align:top}
.passed{color:#116329;font-weight:600}.failed{color:#a40e26;font-weight:600}.not-run{color:#57606a}
.playing{background:#fff8c5}p.told{margin:.3em 0;color:#a40e26}small{color:#57606a}
a{color:#0550ae}
"""


def _frame(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width'><meta http-equiv=refresh content={REFRESH_S}>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"{body}</html>\n"
    )


def front(runs: Iterable[Shown]) -> str:
    """All runs."""
    rows = ""
    for run in runs:
        summary = run.report()
        state = "complete" if summary.complete else "under way"
        rows += (
            f'<tr><td><a href="/{escape(run.name)}">{escape(run.name)}</a><td>{state}'
            f"<td>{summary.passed} passed, {summary.failed} failed, {summary.not_run} to do"
            f"<td>{'logged on' if run.online else 'not logged on'}</tr>"
        )
    return _frame("Certification", f"<table><tr><th>Client<th>State<th>Cases<th>Session</tr>{rows}"
                                   "</table>")  # fmt: skip


def progress(run: Shown) -> str:
    """One run, case by case, with what is to be done."""
    summary = run.report()
    by_id = {scenario.id: scenario for scenario in run.scenarios}
    rows = "".join(_row(case, by_id[case.id], run.playing) for case in run.cases())
    links = " · ".join(f'<a href="/{escape(run.name)}/{name}">{name}</a>' for name in _KINDS)
    return _frame(
        f"Certification of {run.name}",
        f"<p>{summary.passed} passed, {summary.failed} failed, {summary.not_run} to do. "
        f"{'All that is needed has passed. ' if summary.complete else ''}"
        f"Certified for: {escape(', '.join(summary.certified) or 'nothing yet')}. The client is "
        f"{'logged on' if run.online else 'not logged on'}. Report: {links}. Signing key: "
        f"{escape(run.fingerprint)}.</p><p>Each case begins with its opening order: ClOrdID(11) "
        f"that begins with the case's id, such as <code>A03-1</code>, or the quantity in the "
        f"second column. By REST and WebSocket it is client_order_id or client_withdrawal_id, "
        f"and each answer tells the last verdict in the header X-Certification. A case that "
        f"failed is tried again by sending it again.</p>"
        f"<table><tr><th>Case<th>Quantity<th>What to do<th>Verdict</tr>{rows}</table>",
    )  # fmt: skip


def _row(case: CaseResult, scenario: Scenario, playing: str) -> str:
    kind = case.verdict.replace(" ", "-")
    verdict = "under way" if case.id == playing else case.verdict
    told = f"<p class=told>{escape(case.told)}</p>" if case.told else ""
    optional = "" if case.must else " <small>(optional)</small>"
    return (
        f'<tr{" class=playing" if case.id == playing else ""}><td>{escape(case.id)}'
        f"<td>{scenario.quantity or ''}<td><b>{escape(case.title)}</b>{optional}<br>"
        f"{escape(scenario.does)}{told}<td class={kind}>{escape(verdict)}</tr>"
    )
