"""`tandem certify`: good clients get full marks, broken ones fail what they should."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from certification.report.results import CaseResult
from tandem.lane import FIX_PROCESSES, Lane
from tests.certification.harness import FIX, ROOT, TO_PLAY, Certify, bench, check
from tests.support import pace

pytestmark = pytest.mark.timeout(280)

LONG = bool(os.environ.get("TANDEM_LONG"))
"""In the long form every broken client plays every case: some minutes."""
LANES = 3
Broken = dict[str, list[CaseResult]]
BROKEN: dict[str, tuple[list[str], list[str], str]] = {
    "ignores-gap-fills": (["S08"], ["S09", "A04"], "SequenceReset(4) with 123=Y sets the number"),
    "reuses-ids": (["A02", "A07", "A24"], ["A08"], "ClOrdID"),
    "wrong-leaves": (["S08", "S09", "A04", "A13", "A27", "R01"], ["A03", "A09"], "OrderQty(38)"),
    "no-test-answer": (["S06"], ["S07", "S15"], "TestRequest(1) was not answered"),
    "resends-without-43": (["S07"], ["S08"], "PossDupFlag(43)"),
    "replaces-leaves": (["A13"], ["A14", "A16"], "the total, executions included"),
    "counts-twice": (["A27", "R01"], ["S09", "A04"], "told"),
    "counts-possdup counts-twice": (["S09", "A27", "R01"], [], "OrderQty(38)"),
    "resets": (["S02", "S04", "S11", "S12", "S14", "S16", "A22"], ["S10"], "ResetSeqNumFlag(141)"),
    "hammers": (["S02", "S04"], ["S12"], "ms after a refusal"),
    "no-heartbeats": (["S05"], ["S06"], "No Heartbeat came"),
    "never-asks": (["S13"], ["S05"], "TestRequest(1) did not come"),
    "wrong-clock": (["S03"], ["A01"], "s ahead of our clock"),
    "never-resends": (["S08", "S12", "A22"], ["S07"], "ask"),
    "ignores-low": (["S14"], ["S15"], "was not answered with Logout(5)"),
    "counts-garbled": (["S15"], ["S14"], "arbled"),
    "no-logout-answer": (["S16"], ["S11"], "Logout(5) was not answered"),
    "trusts-rejected": (["A02", "A07", "A24"], ["A17"], "150=8"),
    "forgets-chain": (["A12", "A13", "A16"], ["A08"], "OrigClOrdID(41)"),
    "believes-cancel": (["A10"], ["A09"], "NewOrderSingle(D)"),
}
"""What is broken: the cases that must fail, some that must not, words of each explanation."""


class FullMarks:
    """Two client programs of different make that play every case at the same time."""

    def __init__(self, folder: Path) -> None:
        self.began = time.monotonic()
        self.certify = Certify(
            folder / "runs", "--client", "QFIX", "--client", "CORE", "--port", "0",
            "--page-port", "0", "--patience", f"{pace.seconds(20):.0f}", "--until-passed",
            "--interface", "FIX",
        )  # fmt: skip
        self.said = {client: folder / f"{client}.out" for client in ("QFIX", "CORE")}
        self.programs = {
            "QFIX": self._start("QFIX", "quickfix", folder),
            "CORE": self._start("CORE", "fixcore", folder),
        }

    def _start(self, client: str, engine: str, folder: Path) -> subprocess.Popen[bytes]:
        with self.said[client].open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.certification.program", engine,
                 str(self.certify.port), str(self.certify.sheet(client)), str(folder / client),
                 *TO_PLAY],
                cwd=ROOT, stdout=out, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def end(self) -> None:
        for program in self.programs.values():
            if program.poll() is None:
                program.kill()
            program.wait(pace.seconds(10))
        self.certify.end()


@pytest.fixture(scope="module")
def full_marks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullMarks]:
    """Runs while the broken clients are played: most of its time is waiting."""
    running = FullMarks(tmp_path_factory.mktemp("marks"))
    yield running
    running.end()


async def play_broken(lane: Lane, folder: Path, broken: str, names: list[str]) -> list[CaseResult]:
    """A broken client plays cases; it begins anew with 141=Y for each."""
    found = []
    async with bench(lane, folder, patience_s=pace.seconds(1.5)) as table:
        for name in names:
            trader = await table.client(frozenset(broken.split()))
            playing = asyncio.create_task(trader.play(name))
            await table.verdict(name)
            # At once: an order that it sends meanwhile may begin the next attempt.
            found.append(table.run.judge.results[name])
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            await trader.engine.stop()  # type: ignore[union-attr]
            # What the venue cancels on this disconnect is told before the next Logon resets.
            await table.cancel_all()
    return found


@pytest.fixture(scope="module")
def broken_results(
    full_marks: FullMarks, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broken]:
    """Every broken client, some of them at a time, each on a venue that others had before."""
    base = tmp_path_factory.mktemp("broken")
    lanes = [Lane(base / f"L{n}", f"L{n}", FIX_PROCESSES, lambda name, text: None)
             for n in range(LANES)]  # fmt: skip
    results: Broken = {}

    async def one_lane(lane: Lane, todo: list[str]) -> None:
        while todo:
            broken = todo.pop()
            fails, passes, _ = BROKEN[broken]
            names = TO_PLAY if LONG else [n for n in TO_PLAY if n in fails + passes]
            names = [name for name in names if name != "A25"]
            folder = base / broken.replace(" ", "-")
            results[broken] = await play_broken(lane, folder, broken, names)

    async def all_lanes() -> None:
        await asyncio.gather(*(asyncio.to_thread(lane.start) for lane in lanes))
        todo = list(BROKEN)
        await asyncio.gather(*(one_lane(lane, todo) for lane in lanes))

    try:
        asyncio.run(all_lanes())
        yield results
    finally:
        for lane in lanes:
            lane.stop()


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_client_fails_what_it_should_and_hears_why(
    broken_results: Broken, broken: str
) -> None:
    expected, others, words = BROKEN[broken]
    failed = {r.id: r.told for r in broken_results[broken] if r.verdict == "failed"}
    assert sorted(failed) == sorted(expected), failed
    assert {r.id for r in broken_results[broken] if r.verdict == "passed"} >= set(others)
    assert all(words in told for told in failed.values()), failed


def test_quickfix_and_another_engine_get_full_marks_side_by_side(full_marks: FullMarks) -> None:
    certify = full_marks.certify
    for client, program in full_marks.programs.items():
        program.wait(pace.seconds(150))
        said = full_marks.said[client].read_text(encoding="utf-8")
        verdicts = json.loads(said.strip().splitlines()[-1])
        bad = {name: verdict for name, verdict in verdicts.items() if verdict != "passed"}
        assert not bad, (client, bad, certify.lines)
    assert certify.wait() == 0, certify.lines
    took = time.monotonic() - full_marks.began
    assert took < pace.seconds(300), "a full run takes less than five minutes"
    for client in ("QFIX", "CORE"):
        _check_report(certify.folder, client)


def _check_report(folder: Path, client: str) -> None:
    """The report is complete, signed, in three forms, and no case heard of another client."""
    path = folder / client / "report" / "report.json"
    done = check(path, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Genuine: certify" in done.stdout and "complete: certified for FIX." in done.stdout
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["complete"] and {case["id"] for case in content["cases"]} == set(FIX)
    other = "CORE" if client == "QFIX" else "QFIX"
    assert f"49={client}|" in text and other not in text
    assert "554=***" in text
    suite = ElementTree.fromstring(path.with_name("report.xml").read_bytes())
    assert (suite.get("tests"), suite.get("failures")) == (str(len(FIX)), "0")
    page = path.with_name("report.html").read_text()
    assert f"Certification of {client}: complete: certified for FIX" in page
    path.write_text(text.replace('"passed"', '"passed "', 1), encoding="utf-8")
    again = check(path, folder)
    assert again.returncode == 1 and "changed after it was signed" in again.stdout
