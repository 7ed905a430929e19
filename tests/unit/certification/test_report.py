"""Reports: three forms of one run, under one signature."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certification import report as reports
from certification.results import CaseResult, Entry, Report, report
from certification.signature import (
    SignatureFault,
    load_key,
    load_or_make_key,
    load_public,
)

KEY = Ed25519PrivateKey.generate()
NASTY = "8=FIX.4.4|58=<script>alert(1)</script>\x00\x1b\ufffe & ]]>|"


def case(name: str, verdict: str = "passed", must: bool = True) -> CaseResult:
    return CaseResult(
        id=name, title="<b>title</b>", part="Orders", rules=("rule & row",), must=must,
        verdict=verdict,  # type: ignore[arg-type]
        reason="" if verdict == "passed" else "because <i>", told="told", attempts=2,
        began="2030-01-01T00:00:00.000Z", seconds=1.5,
        transcript=(Entry("2030-01-01T00:00:00.000Z", ">", NASTY, "note"),),
    )  # fmt: skip


def summary(*cases: CaseResult) -> Report:
    return report("certify", "ACME", "TANDEM", "2030-01-01T00:00:00.000Z", cases)


def test_complete_means_that_all_that_must_pass_has_passed() -> None:
    assert summary(case("A01"), case("A02", "not run", must=False)).complete
    assert not summary(case("A01"), case("A02", "not run")).complete
    assert not summary(case("A01"), case("A02", "failed", must=False)).complete
    assert not summary().complete


def test_what_is_written_can_be_checked(tmp_path: Path) -> None:
    path = reports.write(summary(case("A01"), case("A02", "failed")), tmp_path, KEY)
    found, _, checked = reports.read(path, KEY.public_key())
    assert [c.verdict for c in found.cases] == ["passed", "failed"]
    assert set(checked) == {"report.html", "report.xml"}


@pytest.mark.parametrize("change", ["verdict", "reason", "version", "transcript", "extra", "value"])
def test_a_changed_report_is_found(tmp_path: Path, change: str) -> None:
    path = reports.write(summary(case("A01", "failed")), tmp_path, KEY)
    content = json.loads(path.read_text(encoding="utf-8"))
    first = content["cases"][0]
    if change == "verdict":
        first["verdict"] = "passed"
    elif change == "reason":
        first["reason"] = ""
    elif change == "version":
        content["version"] = 2
    elif change == "transcript":
        first["transcript"][0]["text"] += " "
    elif change == "extra":
        content["more"] = 1
    else:
        content["signature"]["value"] = content["signature"]["value"][:-8] + "AAAAAA=="
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SignatureFault, match="changed after it was signed"):
        reports.read(path)


@pytest.mark.parametrize("name", ["report.html", "report.xml"])
def test_a_changed_page_is_found(tmp_path: Path, name: str) -> None:
    path = reports.write(summary(case("A01")), tmp_path, KEY)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(SignatureFault, match=name):
        reports.read(path, KEY.public_key())


def test_another_key_is_not_the_venues(tmp_path: Path) -> None:
    other = Ed25519PrivateKey.generate()
    path = reports.write(summary(case("A01")), tmp_path, other)
    reports.read(path)
    with pytest.raises(SignatureFault, match="another key"):
        reports.read(path, KEY.public_key())


def test_layout_of_the_json_does_not_matter(tmp_path: Path) -> None:
    path = reports.write(summary(case("A01")), tmp_path, KEY)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7), encoding="utf-8")
    reports.read(path, KEY.public_key())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "tandem-certification-report"}',
                                  '{"format": "tandem-certification-report", "signature": {}}'])
def test_what_is_no_report_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SignatureFault):
        reports.read(path)
    with pytest.raises(SignatureFault):
        reports.read(tmp_path / "nowhere.json")


def test_what_a_client_sends_stays_text(tmp_path: Path) -> None:
    reports.write(summary(case("A01", "failed"), case("A02", "not run")), tmp_path, KEY)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "<i>" not in page and "&lt;script&gt;" in page
    suite = ElementTree.fromstring((tmp_path / "report.xml").read_bytes())
    assert [suite.get(n) for n in ("tests", "failures", "skipped")] == ["2", "1", "1"]
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("message") == "because <i>"


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key.pem"
    key = load_or_make_key(path)
    assert path.stat().st_mode & 0o077 == 0
    again = load_or_make_key(path)
    assert again.private_bytes_raw() == key.private_bytes_raw()
    public = load_public(path.with_suffix(".pub.pem"))
    assert public.public_bytes_raw() == load_public(path).public_bytes_raw()
    (tmp_path / "x").write_text("no key")
    for call in (load_key, load_public):
        with pytest.raises(SignatureFault, match="cannot be used"):
            call(tmp_path / "x")
