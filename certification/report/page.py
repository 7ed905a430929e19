"""The progress page as HTML and JSON: the cases to do, their verdicts, and why one failed.

It has no scripts and shows no secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final, Protocol

import msgspec

from certification.report import files as reports
from certification.report.results import CaseResult, Report
from certification.scenarios.scenario import Scenario

REFRESH_S: Final = 2
HTML: Final = "text/html; charset=utf-8"
KINDS: Final = {
    reports.JSON_NAME: "application/json",
    reports.HTML_NAME: HTML,
    reports.XML_NAME: "application/xml",
}
"""Media types of the report's files."""


class Shown(Protocol):
    """A run as the page sees it."""

    scenarios: tuple[Scenario, ...]

    @property
    def name(self) -> str:
        """Return the client's CompID."""

    @property
    def online(self) -> bool:
        """Return whether the client is logged on."""

    @property
    def playing(self) -> str:
        """Return the id of the case under way, "" if there is none."""

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the key that signs the report."""

    def cases(self) -> list[CaseResult]:
        """Return the last result of every case."""

    def report(self) -> Report:
        """Return the run so far."""

    def files(self) -> Mapping[str, bytes]:
        """Return the report's files by name, as they were last written."""


def status_json(run: Shown) -> bytes:
    """Return the run as JSON: the verdicts without the messages."""
    cases = [
        {"id": c.id, "title": c.title, "must": c.must, "verdict": c.verdict, "reason": c.reason,
         "told": c.told, "attempts": c.attempts}
        for c in run.cases()
    ]  # fmt: skip
    summary = run.report()
    return msgspec.json.encode({
        "client": run.name, "online": run.online, "playing": run.playing,
        "complete": summary.complete, "certified": summary.certified,
        "verdict": summary.verdict,
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
    """Return the page of all runs."""
    rows = ""
    for run in runs:
        summary = run.report()
        state = escape(summary.verdict)
        rows += (
            f'<tr><td><a href="/{escape(run.name)}">{escape(run.name)}</a><td>{state}'
            f"<td>{summary.counts}"
            f"<td>{'logged on' if run.online else 'not logged on'}</tr>"
        )
    return _frame("Certification", f"<table><tr><th>Client<th>State<th>Cases<th>Session</tr>{rows}"
                                   "</table>")  # fmt: skip


def progress(run: Shown) -> str:
    """Return the page of one run: each case with its instructions and its verdict."""
    summary = run.report()
    by_id = {scenario.id: scenario for scenario in run.scenarios}
    rows = "".join(_row(case, by_id[case.id], run.playing) for case in run.cases())
    links = " · ".join(f'<a href="/{escape(run.name)}/{name}">{name}</a>' for name in KINDS)
    return _frame(
        f"Certification of {run.name}",
        f"<p>{summary.counts}. "
        f"<b>{escape(summary.verdict)}.</b> The client is "
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
