"""`tandem conform`: our venue conforms, a bad one fails the cases that it should."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from certification.fix.client import Identity
from certification.fix.conform import run
from certification.fix.conform_case import Target
from certification.fix.wire import Message, changed
from certification.report import files as reports
from certification.report.results import CaseResult, report, stamp
from certification.scenarios import scenario as scenarios
from certification.scenarios.programme import programme
from certification.venue import PEER
from tandem.lane import Lane
from tests.certification.mangle import Mangle, mangled, of_type
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
_runs = count(1)


def target(lane: Lane, port: int = 0) -> Target:
    """The lane's gateway as the venue under test."""
    own = lane.credentials

    def identity(comp_id: str, password: str, firm: str, logon: tuple[tuple[int, str], ...] = ()
                 ) -> Identity:  # fmt: skip
        return Identity(comp_id, "TANDEM", firm, password, 1, logon)

    return Target(
        host="127.0.0.1",
        port=port or lane.ports.fix,
        # The lane cancels on disconnect, which most cases do not want.
        main=identity(own.comp_id, own.password, own.firm, ((20003, "0"),)),
        peer=identity(PEER, own.peer_password, "counterparty"),
        desk=identity(own.desk, own.desk_password, own.firm),
        drop_copy=identity(own.drop_copy, own.drop_copy_password, own.firm),
        seconds=pace.seconds(5),
        extensions=True,
    )


def play(where: Target, *names: str) -> list[CaseResult]:
    """Play scenarios against a venue."""
    chosen = scenarios.chosen(scenarios.load(), names)
    return asyncio.run(run(where, chosen, f"t{next(_runs)}", lambda result: None))


@pytest.fixture(scope="module")
def results(lane: Lane) -> list[CaseResult]:
    """Every scenario, played against the lane's gateway."""
    return play(target(lane))


def test_our_venue_conforms_in_every_case(results: list[CaseResult]) -> None:
    assert {result.id: result.reason for result in results if result.verdict != "passed"} == {}
    ids = [result.id for result in results]
    assert len(ids) == len(set(ids)) >= 40
    assert {f"S{n:02}" for n in range(1, 16)} <= set(ids)
    assert {f"A{n:02}" for n in range(1, 24)} <= set(ids)
    assert {"B01", "B02", "R01", "A25"} <= set(ids)


def test_the_report_has_every_message_and_no_secret(
    lane: Lane, results: list[CaseResult], tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    summary = report("conform", "TANDEM", "TANDEM", stamp(), programme(), results)
    assert summary.complete
    path = reports.write(summary, tmp_path, key)
    again, _, checked = reports.read(path, key.public_key())
    assert again.cases == summary.cases
    assert sorted(checked) == ["report.html", "report.xml"]
    suite = ElementTree.fromstring((tmp_path / "report.xml").read_bytes())
    assert suite.get("tests") == str(len(results)) and summary.certified == ("FIX",)
    assert suite.get("failures") == "0"
    for name in ("report.json", "report.xml", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "35=8|" in text
        for secret in (lane.credentials.password, lane.credentials.peer_password):
            assert secret not in text
    assert all(result.transcript for result in results)


def no_possdup(message: Message) -> bytes | None:
    return changed(message, {43: None, 122: None}) if message.type == "8" else message.raw


def leaves_on_final(message: Message) -> bytes | None:
    if message.type == "8" and message.get(39) == "4":
        return changed(message, {151: str(float(message[38]) - float(message[14]))})
    return message.raw


def deaf(message: Message) -> bytes | None:
    return None if message.type == "0" and 112 in message else message.raw


def executions_anew(message: Message) -> bytes | None:
    status = message.type == "8" and message.get(150) == "I" and message.get(39) != "8"
    return changed(message, {150: "0", 17: "new-1"}) if status else message.raw


def forgets_to_resend(message: Message) -> bytes | None:
    """Gap-fills what it should send again."""
    if message.type == "8" and message.possdup:
        number = message.num
        fill = {35: "4", 123: "Y", 36: str(number + 1)}
        kept = {8, 9, 34, 43, 49, 52, 56, 122, 10}
        gone: dict[int, str | None] = {tag: None for tag, _ in message.pairs if tag not in kept}
        return changed(message, gone | fill)
    return message.raw


FAULTS: dict[str, tuple[Mangle, list[str], str]] = {
    "A10 A11 A15 A09": (of_type("9", _434=None), ["A10", "A11", "A15"], "CxlRejResponseTo(434)"),
    "A05 A06 A08 A09 A03": (leaves_on_final, ["A05", "A06", "A08", "A09"], "LeavesQty(151)"),
    "S08 S12 S01": (no_possdup, ["S08", "S12"], "PossDupFlag(43) is absent"),
    "S06 S09 S15 S05": (deaf, ["S06", "S09", "S15"], "TestRequest(1) was not answered"),
    "A18 A19 A20 A17": (executions_anew, ["A18", "A19", "A20"], "Exec"),
    "S12 S08 A12": (forgets_to_resend, ["S08", "S12"], "ExecutionReport(8)"),
    "A17 A02": (of_type("8", _103="0"), ["A17"], "OrdRejReason(103) is 0, expected 6"),
    "A11 A10": (of_type("9", _37="17"), ["A11"], "OrderID(37) is 17, expected NONE"),
}


@pytest.mark.parametrize("cases", FAULTS)
def test_a_bad_venue_fails_what_it_should_and_hears_why(lane: Lane, cases: str) -> None:
    mangle, expected, why = FAULTS[cases]

    async def bad() -> list[CaseResult]:
        chosen = scenarios.chosen(scenarios.load(), cases.split())
        async with mangled(lane.ports.fix, mangle) as port:
            where = replace(target(lane, port), seconds=pace.seconds(1))
            return await run(where, chosen, f"m{next(_runs)}", lambda result: None)

    failed = {result.id: result.reason for result in asyncio.run(bad())
              if result.verdict == "failed"}  # fmt: skip
    assert sorted(failed) == expected, failed
    assert all(why in reason for reason in failed.values()), failed


def test_cases_that_cannot_be_played_say_what_they_need(lane: Lane) -> None:
    poor = replace(target(lane), peer=None, drop_copy=None, extensions=False)
    found = {result.id: result for result in play(poor, "A03", "A25", "A22", "A01")}
    assert found["A01"].verdict == "passed"
    assert {found[name].verdict for name in ("A03", "A25", "A22")} == {"not run"}
    assert found["A03"].reason == "Needs a session that was not given: peer."
    assert "FIX 4.4 does not have" in found["A22"].reason


def test_a_venue_that_is_not_there_is_a_verdict_not_a_traceback(lane: Lane) -> None:
    found = play(replace(target(lane, 1), peer=None), "A01")
    assert found[0].verdict == "failed"
    assert "cannot be reached" in found[0].reason


def test_the_command_plays_reports_and_signs(lane: Lane, tmp_path: Path) -> None:
    own = lane.credentials
    settings = tmp_path / "venue.toml"
    settings.write_text(
        f'target = "TANDEM"\n[main]\ncomp_id = "{own.comp_id}"\nusername = "{own.firm}"\n'
        f'password = "{own.password}"\nlogon = "20003=0"\n[extra]\nD = "21=1"\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "conform", "--port", str(lane.ports.fix), "--settings",
         str(settings), "--case", "A01", "--case", "A03", "--out", str(tmp_path / "out")],
        env=os.environ | {"TANDEM_DATA": str(tmp_path / "data"), "COLUMNS": "200"},
        capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed  A01" in done.stdout and "not run  A03" in done.stdout
    assert own.password not in done.stdout + done.stderr
    assert "partial: 1 of the " in done.stdout and "(--case A01 --case A03)" in done.stdout
    content = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert content["signature"]["algorithm"] == "Ed25519"
    (played,) = (case for case in content["cases"] if case["verdict"] == "passed")
    orders = [e["text"] for e in played["transcript"] if "35=D|" in e["text"]]
    assert orders and "|21=1|" in orders[0], "fields that a venue wants besides are sent"
    key = tmp_path / "data" / "certification" / "signing-key.pem"
    assert key.stat().st_mode & 0o077 == 0
