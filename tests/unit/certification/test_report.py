"""Reports: three forms of one run, under one signature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from certification.report import files as reports
from certification.report.results import (
    ENTRIES_MAX,
    VERSION,
    CaseResult,
    Entry,
    Report,
    Transcript,
    report,
)
from certification.report.signature import SignatureFault, load_key, load_or_make_key, load_public
from certification.scenarios.edition import EDITION
from certification.scenarios.programme import Programme, programme
from certification.scenarios.scenario import FOLDER, Scenario, Step
from tandem.certify import check

KEY = Ed25519PrivateKey.generate()
NASTY = "8=FIX.4.4|58=<script>alert(1)</script>\x00\x1b\ufffe & ]]>|"


def scenario(case: CaseResult) -> Scenario:
    text = "text"
    return Scenario(
        id=case.id, title=case.title, part=case.part, rules=case.rules, must=case.must,
        does=text, venue=text, passes=text, fails=text, told=text, steps=(Step(client="D"),),
        begins="order" if case.interface == "FIX" else "http",
    )  # fmt: skip


def case(name: str, verdict: str = "passed", must: bool = True) -> CaseResult:
    return CaseResult(
        id=name, title="<b>title</b>", part="Orders", rules=("rule & row",), must=must,
        verdict=verdict,  # type: ignore[arg-type]
        reason="" if verdict == "passed" else "because <i>", told="told",
        attempts=0 if verdict == "not run" else 2, interface="REST" if name[0] == "H" else "FIX",
        began="2030-01-01T00:00:00.000Z", seconds=1.5,
        transcript=(Entry("2030-01-01T00:00:00.000Z", ">", NASTY, "note"),),
    )  # fmt: skip


def course(*cases: CaseResult, choice: tuple[str, ...] = (), edition: str = EDITION) -> Programme:
    """A programme with the scenarios of the cases."""
    every = tuple(scenario(one) for one in cases)
    played = tuple(s for s in every if not choice or s.id in choice)
    return Programme(every, played, choice, edition)


def summary(*cases: CaseResult, choice: tuple[str, ...] = (), edition: str = EDITION) -> Report:
    of = course(*cases, choice=choice, edition=edition)
    results = [msgspec.structs.replace(one, digest=scenario(one).digest)
               for one in cases if one.attempts]  # fmt: skip
    return report("certify", "ACME", "TANDEM", "2030-01-01T00:00:00.000Z", of, results)


def test_complete_means_that_all_that_must_pass_has_passed() -> None:
    assert summary(case("A01"), case("A02", "not run", must=False)).complete
    assert not summary(case("A01"), case("A02", "not run")).complete
    assert not summary(case("A01"), case("A02", "failed", must=False)).complete
    assert not summary().complete


def test_chosen_cases_give_no_certificate_and_every_form_of_the_report_says_so(
    tmp_path: Path,
) -> None:
    every = [case("A01"), case("A02"), case("A03", "not run"), case("H01"), case("H02", "not run")]
    cut = summary(*every, choice=("A01", "A02", "H01"))
    words = "partial: 2 of the 3 needed FIX cases, 1 of the 2 needed REST cases"
    assert cut.verdict.startswith(words) and cut.verdict.endswith("certified for nothing")
    assert not cut.complete and cut.certified == () and len(cut.cases) == 5
    assert [one.reason for one in cut.cases if one.verdict == "not run"] == ["Not chosen."] * 2
    path = reports.write(cut, tmp_path, KEY)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["complete"], content["certified"]) == (False, [])
    assert content["verdict"] == cut.verdict and content["chosen"] == ["A01", "A02", "H01"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<title>Certification of ACME: {words}" in page
    assert f"<h1>Certification of ACME: {words}" in page
    assert words in (tmp_path / "report.xml").read_text(encoding="utf-8")


def test_whoever_chooses_all_cases_one_by_one_has_no_certificate_either() -> None:
    cut = summary(case("A01"), case("A02"), choice=("A01", "A02"))
    assert not cut.complete and cut.certified == () and "2 of the 2 needed FIX" in cut.verdict


def test_what_was_passed_earlier_does_not_make_a_cut_run_complete() -> None:
    cut = summary(case("A01"), case("A02"), choice=("A01",))
    assert not cut.complete and cut.certified == ()


def test_scenarios_that_were_edited_certify_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "certification"
    shutil.copytree(FOLDER, folder)
    assert not programme(folder=folder).altered
    for path in folder.glob("*.toml"):
        path.write_text(f"# A remark.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert not programme(folder=folder).altered, "remarks are not the scenario"
    (folder / "stream.toml").unlink()
    fewer = programme(folder=folder)
    assert fewer.altered and "not those of this release" in fewer.partial
    done = summary(case("A01"), edition=fewer.edition)
    assert not done.complete and done.certified == () and done.altered
    assert "not those of this release" in done.verdict


def test_a_verdict_on_another_wording_of_a_case_does_not_count() -> None:
    found = case("A01")
    done = report("certify", "ACME", "TANDEM", "2030", course(found), [found])
    assert done.cases[0].verdict == "not run" and not done.complete
    assert done.cases[0].reason == "The case has changed since it was tried."


def test_an_attempt_without_a_verdict_takes_the_certificate_away() -> None:
    begun = msgspec.structs.replace(case("A02", "not run", must=False), attempts=2)
    done = summary(case("A01"), begun)
    assert not done.complete and done.certified == ()
    assert "begun and without a verdict: A02" in done.verdict


def test_a_report_of_the_form_that_called_any_run_complete_is_no_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = msgspec.structs.replace(
        summary(case("A01")), version=1, verdict="", tallies=(), edition="")  # fmt: skip
    key = load_or_make_key(tmp_path / "key.pem")
    path = reports.write(old, tmp_path, key)
    assert check(path, tmp_path / "key.pem", tmp_path / "key.pem", Console(width=300)) == 0
    said = capsys.readouterr().out
    assert "Genuine" in said and "it is no certificate" in said and "certified for" not in said
    newer = msgspec.structs.replace(summary(case("A01")), version=VERSION + 1)
    with pytest.raises(SignatureFault, match="this release reads up to"):
        reports.read(reports.write(newer, tmp_path, key))


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
        content["version"] = 1
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


def test_a_transcript_that_reaches_its_limit_says_so() -> None:
    transcript = Transcript()
    for number in range(ENTRIES_MAX + 2):
        transcript.note(f"note {number}")
    assert len(transcript.entries) == ENTRIES_MAX + 1
    assert transcript.entries[-2].text == f"note {ENTRIES_MAX - 1}"
    assert transcript.entries[-1].text == "what came after this was not kept"
