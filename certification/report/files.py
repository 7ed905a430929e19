"""A report as files: JSON for programs, JUnit XML for build servers, HTML for people."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from certification.report import signature
from certification.report.results import FORMAT, VERSION, CaseResult, Entry, Report
from certification.report.signature import SignatureFault

JSON_NAME: Final = "report.json"
HTML_NAME: Final = "report.html"
XML_NAME: Final = "report.xml"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def write(report: Report, folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write the three files, each atomically; return the path of the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    public = signature.public_text(key.public_key())
    html = page(report, signature.fingerprint(public)).encode("utf-8")
    xml = junit(report)
    report = msgspec.structs.replace(
        report, files={HTML_NAME: signature.sha256(html), XML_NAME: signature.sha256(xml)}
    )
    document = signature.sign(msgspec.to_builtins(report), key)
    content = msgspec.json.format(msgspec.json.encode(document), indent=1)
    for name, data in ((HTML_NAME, html), (XML_NAME, xml), (JSON_NAME, content)):
        part = folder / f"{name}.part"
        part.write_bytes(data)
        part.replace(folder / name)
    return folder / JSON_NAME


def read(path: Path, public: Ed25519PublicKey | None = None) -> tuple[Report, str, list[str]]:
    """Verify a report and the files in its folder.

    Return the report, the fingerprint of the key, and the names of the files that were verified.
    Raises SignatureFault.
    """
    try:
        document: Any = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise SignatureFault(f"{path} cannot be read: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SignatureFault(f"{path} is no certification report")
    mark = signature.verify(document, public)
    document.pop("signature")
    try:
        report = msgspec.convert(document, Report)
    except msgspec.ValidationError as error:
        raise SignatureFault(f"{path}: {error}") from None
    if report.version > VERSION:
        raise SignatureFault(
            f"{path} has version {report.version} of the form; this release reads up to {VERSION}"
        )
    checked = []
    for name, wanted in report.files.items():
        beside = path.parent / Path(name).name
        if beside.exists():
            if signature.sha256(beside.read_bytes()) != wanted:
                raise SignatureFault(f"{beside} was changed after it was signed")
            checked.append(name)
    return report, mark, checked


def junit(report: Report) -> bytes:
    """Return the run as one JUnit test suite; cases that were not run are skipped."""
    suite = ElementTree.Element("testsuite", {
        "name": f"tandem {report.direction}: {report.subject}",
        "tests": str(len(report.cases)), "failures": str(report.failed), "errors": "0",
        "skipped": str(report.not_run), "timestamp": report.began,
        "time": f"{sum(case.seconds for case in report.cases):.3f}",
    })  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", {"name": "verdict", "value": report.verdict})
    for case in report.cases:
        element = ElementTree.SubElement(suite, "testcase", {
            "classname": case.part, "name": f"{case.id} {case.title}",
            "time": f"{case.seconds:.3f}",
        })  # fmt: skip
        if case.verdict == "failed":
            failure = ElementTree.SubElement(element, "failure", {"message": clean(case.reason)})
            failure.text = clean(f"{case.told}\nRules: {'; '.join(case.rules)}")
        elif case.verdict == "not run":
            ElementTree.SubElement(element, "skipped", {"message": clean(case.reason)})
        if case.transcript:
            lines = "\n".join(f"{e.at} {e.way} {e.text} {e.note}".rstrip() for e in case.transcript)
            ElementTree.SubElement(element, "system-out").text = clean(lines)
    ElementTree.indent(suite)
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def clean(text: str) -> str:
    """Replace the characters that XML does not allow; a client may send any bytes."""
    return _CONTROLS.sub("\ufffd", text)


_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;max-width:60em;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25em .6em;
border-bottom:1px solid #d8dde3;vertical-align:top}
.passed{color:#116329}.failed{color:#a40e26}.not-run{color:#57606a}
.verdict{font-weight:600;white-space:nowrap}
pre{font:12px/1.5 ui-monospace,monospace;background:#f6f8fa;padding:.7em;white-space:pre-wrap;
overflow-wrap:anywhere}pre .n{color:#57606a}pre .in{color:#0550ae}pre .out{color:#116329}
details{margin:.4em 0}summary{cursor:pointer}
@media print{body{max-width:none;margin:0;font-size:11px}pre{font-size:9px}
h2{break-after:avoid}tr{break-inside:avoid}details{break-inside:auto}}
"""


def page(report: Report, fingerprint: str) -> str:
    """Return the report as one self-contained HTML page without scripts."""
    verdict = escape(report.verdict)
    rows = "".join(_row(case) for case in report.cases)
    cases = "".join(_case(case) for case in report.cases if case.transcript)
    facts = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in (
            ("Subject", report.subject), ("Venue", report.venue), ("Began", report.began),
            ("Written", report.written),
            ("Cases", report.counts),
            ("Certified for", ", ".join(report.certified) or "nothing"),
            ("Cases chosen", ", ".join(report.chosen) or "all"),
            ("Scenarios", f"edition {report.edition[:16]}"
             + (", NOT those of the release" if report.altered else "")),
            ("Signing key", f"Ed25519, fingerprint {fingerprint}"),
            *sorted(report.parameters.items()),
        )
    )  # fmt: skip
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Certification of "
        f"{escape(report.subject)}: {verdict}</title><style>{_STYLE}</style>"
        f"<h1>Certification of {escape(report.subject)}: {verdict}</h1><table>{facts}</table>"
        f"<h2>Cases</h2><table><tr><th>Case<th>Title<th>Verdict<th>Why</tr>{rows}</table>"
        f"<h2>Messages</h2><p>Raw messages, | for SOH, secrets left out. "
        f"&gt; to the venue, &lt; from it.</p>{cases}</html>\n"
    )


def _row(case: CaseResult) -> str:
    kind = case.verdict.replace(" ", "-")
    need = "" if case.must else " <small>(optional)</small>"
    anchor = f'<a href="#{escape(case.id)}">{escape(case.id)}</a>'
    return (
        f"<tr><td>{anchor if case.transcript else escape(case.id)}<td>{escape(case.title)}{need}"
        f'<td class="verdict {kind}">{escape(case.verdict)}<td>{escape(case.reason)}</tr>'
    )


def _case(case: CaseResult) -> str:
    lines = "".join(_line(entry) for entry in case.transcript)
    rules = escape("; ".join(case.rules))
    told = f"<p>{escape(case.told)}</p>" if case.told else ""
    return (
        f'<details open id="{escape(case.id)}"><summary><b>{escape(case.id)} '
        f"{escape(case.title)}</b>: {escape(case.verdict)}, attempt {case.attempts}, "
        f"{case.seconds:.1f} s, {escape(case.began)}</summary><p>{rules}</p>{told}"
        f"<pre>{lines}</pre></details>"
    )


def _line(entry: Entry) -> str:
    kind = "out" if entry.way.endswith(">") else "in" if entry.way.endswith("<") else "n"
    note = f" <span class=n>({escape(entry.note)})</span>" if entry.note else ""
    return (
        f"<span class=n>{escape(entry.at[11:])}</span> <span class={kind}>{escape(entry.way)} "
        f"{escape(clean(entry.text))}</span>{note}\n"
    )
