"""How a run goes: which case is meant, retries, the page, News, and what survives a kill."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from certification.fix.wire import Message
from certification.progress import ProgressPage
from tandem.lane import Lane
from tests.certification.harness import Bench, Certify, bench
from tests.certification.program import read_sheet
from tests.certification.raw_engine import RawEngine
from tests.certification.scripts import Scripted
from tests.support import pace

pytestmark = pytest.mark.timeout(120)


@contextlib.asynccontextmanager
async def bounded(lane: Lane, folder: Path, **more: Any) -> AsyncIterator[Bench]:
    """A bench of its own, for a minute at the most."""
    async with bench(lane, folder, **more) as table, asyncio.timeout(pace.seconds(60)):
        yield table


async def stop(trader: Scripted) -> None:
    assert isinstance(trader.engine, RawEngine)
    await trader.engine.stop()


async def test_the_quantity_chooses_where_the_id_cannot(lane: Lane, tmp_path: Path) -> None:
    async with bounded(lane, tmp_path) as table:
        trader = await table.client(trader=Scripted(ids_from_case=False))
        for case in ("A03", "A13", "A05", "S12"):
            assert await trader.play(case) == "passed"
        orders = [e.text for e in table.run.judge.results["A05"].transcript if "35=D|" in e.text]
        assert orders and "11=A05" not in orders[0]
        await stop(trader)


async def test_a_wrong_answer_is_told_at_once_and_can_be_tried_again(
    lane: Lane, tmp_path: Path
) -> None:
    async with bounded(lane, tmp_path) as table:
        trader = await table.client()
        trader.case = "A03"
        order = await trader.ended(trader.order(203))
        trader.order(order.cum + 1, side="2")
        await trader.until(lambda: "A03" in trader.news)
        assert "OrderQty(38) is 204, expected 203" in trader.news["A03"]
        assert "Send the opening order again" in trader.news["A03"]
        assert await trader.play("A03") == "passed"
        result = table.run.judge.results["A03"]
        assert (result.verdict, result.attempts) == ("passed", 2)
        await stop(trader)


async def test_who_goes_on_to_another_case_has_not_passed_the_first(
    lane: Lane, tmp_path: Path
) -> None:
    async with bounded(lane, tmp_path) as table:
        trader = await table.client()
        trader.case = "A01"
        await trader.enter(201)
        assert await trader.play("A03") == "passed"
        assert await table.verdict("A01") == "Case A03 was begun before this one was done."
        assert await trader.play("A01") == "passed"
        await stop(trader)


async def test_by_quantity_too_the_next_case_may_follow_a_failed_one(
    lane: Lane, tmp_path: Path
) -> None:
    async with bounded(lane, tmp_path) as table:
        trader = await table.client(trader=Scripted(ids_from_case=False))
        await trader.enter(201)
        assert await trader.play("A03") == "passed"
        assert "NewOrderSingle(D) came where OrderCancelRequest(F)" in await table.verdict("A01")
        await stop(trader)


async def test_an_attempt_that_never_ended_does_not_leave_the_verdict_before_it(
    lane: Lane, tmp_path: Path
) -> None:
    async with bounded(lane, tmp_path / "run") as table:
        trader = await table.client()
        assert await trader.play("A01") == "passed"
        trader.case = "A01"
        await trader.enter(201)
        # A certifier that is killed now leaves these files, whatever the client does next.
        shutil.copytree(tmp_path / "run", tmp_path / "killed")
        await stop(trader)
    left = tmp_path / "killed" / "report" / "report.json"
    content = json.loads(left.read_text(encoding="utf-8"))
    (found,) = (case for case in content["cases"] if case["id"] == "A01")
    assert (found["verdict"], found["attempts"]) == ("not run", 2)
    assert not content["complete"] and "without a verdict: A01" in content["verdict"]
    # What comes after finds it so, and tries again.
    async with bounded(lane, tmp_path / "killed") as table:
        assert "without a verdict: A01" in table.run.report().verdict
        trader = await table.client()
        assert await trader.play("A01") == "passed"
        assert table.run.judge.results["A01"].attempts == 3
        await stop(trader)


async def test_what_belongs_to_no_case_just_trades(lane: Lane, tmp_path: Path) -> None:
    async with bounded(lane, tmp_path) as table:
        trader = await table.client()
        for name in ("mine-1", "A99-1", "A03x"):
            order = trader.order(7, own_id=f"{name}-{trader.run}")
            await trader.acked(order)
            await trader.gone(order)
        assert set(table.run.judge.results) <= {"S01"}
        await stop(trader)


async def test_a_client_that_does_not_know_news_loses_nothing(lane: Lane, tmp_path: Path) -> None:
    class NoNews(Scripted):
        """Answers News(B) with BusinessMessageReject(j), as some engines do."""

        def told(self, message: Message) -> None:
            super().told(message)
            if message.type == "B":
                self.send("j", {45: message[34], 372: "B", 380: "3", 58: "Unsupported"})

    async with bounded(lane, tmp_path) as table:
        trader = await table.client(trader=NoNews())
        for case in ("A01", "A03", "S08"):
            assert await trader.play(case) == "passed"
        await stop(trader)


async def test_without_news_the_page_tells(lane: Lane, tmp_path: Path) -> None:
    async with bounded(lane, tmp_path, news=False) as table:
        page = ProgressPage([table.run])
        await page.start("127.0.0.1", 0)
        name = table.lane.credentials.comp_id

        def get(path: str, posted: bytes | None = None) -> tuple[int, str, dict[str, str]]:
            url = f"http://127.0.0.1:{page.port}{path}"
            try:
                with urllib.request.urlopen(url, posted, timeout=pace.seconds(5)) as answer:
                    return answer.status, answer.read().decode(), dict(answer.headers)
            except urllib.error.HTTPError as error:
                return error.code, "", {}

        trader = await table.client()
        trader.case = "A01"
        order = await trader.enter(201)
        status = json.loads((await asyncio.to_thread(get, f"/{name}/status.json"))[1])
        assert (status["playing"], status["online"]) == ("A01", True)
        await trader.gone(order)
        assert await table.verdict("A01") == "passed"
        assert not [m for m in trader.inbox if m.type == "B"]
        _, text, headers = await asyncio.to_thread(get, f"/{name}")
        assert "A01" in text and "Acknowledged" in text and "what to do" in text.lower()
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        own = table.lane.credentials
        for path in ("/", f"/{name}", f"/{name}/report.json", f"/{name}/report.html"):
            code, text, _ = await asyncio.to_thread(get, path)
            assert code == 200 and name in text
            assert own.password not in text and own.peer_password not in text
        for path in ("/NOBODY", f"/{name}/../secret", f"/{name}/credentials.json", "/x/y/z"):
            assert (await asyncio.to_thread(get, path))[0] == 404
        assert (await asyncio.to_thread(get, "/", b"x"))[0] == 405
        await page.stop()
        await stop(trader)


async def test_a_stranger_is_closed_in_silence(lane: Lane, tmp_path: Path) -> None:
    async with bounded(lane, tmp_path) as table:
        for first in (b"GET / HTTP/1.1\r\n\r\n" * 40, b"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01",
                      b"\x00" * 300_000):  # fmt: skip
            reader, writer = await asyncio.open_connection("127.0.0.1", table.gate.port)
            writer.write(first)
            # Closed with bytes unread, the kernel may say so with a reset: silence all the same.
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
        assert await (await table.client()).play("A01") == "passed"


async def test_a_wrong_password_is_the_venues_to_refuse(lane: Lane, tmp_path: Path) -> None:
    async with bounded(lane, tmp_path, venue_s=pace.seconds(1)) as table:
        own = table.lane.credentials
        engine = RawEngine(
            table.gate.port, own.comp_id, own.firm, "guess", lambda message: None,
            broken=frozenset(),
        )  # fmt: skip
        starting = asyncio.create_task(engine.start())
        assert "Password(554) is wrong for" in await table.verdict("S01")
        assert not engine.online.is_set()
        starting.cancel()
        await engine.stop()
        good = await table.client()
        assert await table.verdict("S01", 2) == "passed"
        await stop(good)
        text = json.dumps([e.text for e in table.run.judge.results["S01"].transcript])
        assert own.password not in text and "554=***" in text


async def test_numbers_stay_right_however_often_the_certifier_meddles(
    lane: Lane, tmp_path: Path
) -> None:
    """Holes, lost and added messages, resends and reconnects, one after the other."""
    async with bounded(lane, tmp_path) as table:
        trader = await table.client()
        for case in ("S08", "S06", "S12", "S17", "A22", "S08", "S14", "S09", "R01", "S12", "S08"):
            assert await trader.play(case) == "passed"
        link = table.run.referee.sessions["main"]
        assert isinstance(trader.engine, RawEngine)
        assert link.numbering.next_visible == trader.engine.expected
        assert len(link.numbering.shifts) > 8
        await stop(trader)


async def test_an_interrupted_run_resumes(tmp_path: Path) -> None:
    """The certifier is killed with its venue; the client comes back with 141=N and goes on."""
    arguments = ("--client", "ACME", "--port", "{port}", "--page-port", "0",
                 "--patience", f"{pace.seconds(10):.0f}",
                 "--case", "A", "--case", "S08", "--case", "S12")  # fmt: skip

    def start(port: int) -> Certify:
        return Certify(tmp_path / "runs", *(word.format(port=port) for word in arguments))

    certify = await asyncio.to_thread(start, 0)
    sheet, _ = read_sheet(certify.sheet("ACME"))
    trader = Scripted()
    trader.engine = engine = RawEngine(
        certify.port, "ACME", sheet["Username"], sheet["Password"], trader.told,
        broken=frozenset(),
    )  # fmt: skip
    try:
        await engine.start()
        for case in ("A03", "S08", "A13"):
            assert await trader.play(case) == "passed"
        trader.case = "A01"
        order = await trader.enter(201)
        await asyncio.to_thread(certify.kill)
        await asyncio.wait_for(engine.offline.wait(), pace.seconds(10))
        certify = await asyncio.to_thread(start, certify.port)
        await asyncio.wait_for(engine.online.wait(), pace.seconds(20))
        # The venue has canceled it on the disconnect; that is asked for as usual.
        await trader.ended(order)
        for case in ("S12", "A01"):
            assert await trader.play(case) == "passed"
        await engine.stop()
    finally:
        await asyncio.to_thread(certify.end)
    path = certify.folder / "ACME" / "report" / "report.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    verdicts = {case["id"]: case["verdict"] for case in content["cases"]}
    for case in ("A03", "S08", "A13", "S12", "A01"):
        assert verdicts[case] == "passed"
    assert verdicts["A04"] == "not run"
    assert certify.popen.returncode == 1, "not every case was played"
