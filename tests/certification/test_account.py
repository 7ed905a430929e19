"""The account API is certified like FIX: good clients pass, broken ones fail what they should.

The command itself, with the keys that it hands out, is walked through by docs/certification.md.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from certification.api.requests import OPERATIONS
from certification.report.results import CaseResult
from tandem.lane import ACCOUNT_PROCESSES, Lane
from tests.certification.account_trader import AccountTrader
from tests.certification.harness import EVERY, Bench, bench
from tests.support import pace

pytestmark = pytest.mark.timeout(200)

CASES = [s.id for s in EVERY if s.begins == "http"]
BROKEN: dict[str, tuple[list[str], list[str], str]] = {
    "new-id-each-time": (["H02", "H03", "H04", "H11"], ["H01"], "the same"),
    "gives-up-at-503": (["H04"], ["H02"], "503 with outcome unknown"),
    "hammers": (["H05"], ["H04"], "Retry-After was 2 seconds"),
    "trusts-refused": (["H06"], ["H07"], "100.005 was refused"),
    "reads-old-balances": (["H01"], ["H02"], "min_seq"),
    "sells-what-it-wanted": (["H01", "H07", "H08", "W01", "W02"], ["H06"], "quantity is"),
    "fills-from-the-start": (["H07"], ["H08"], "after_trade_id is absent"),
    "patches-what-is-left": (["H08"], ["H07"], "50 are executed and 10 shall be left"),
    "approves-itself": (["H10"], ["H11"], "it takes the approve key"),
    "never-resumes": (["W02", "W03"], ["W01"], "from_seq"),
    "ignores-gaps": (["W03"], ["W02"], "A message is missing"),
    "forgets-cancel-on-disconnect": (["W04"], ["W01"], "cancel_on_disconnect"),
}
"""What is broken: the cases that must fail, some that must not, words of each explanation."""


@pytest.fixture(scope="module")
def full_lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """A client's venue with its account API."""
    folder = tmp_path_factory.mktemp("account-lane")
    with Lane(folder, "ACME", ACCOUNT_PROCESSES, lambda name, text: None) as lane:
        yield lane


async def play(
    table: Bench, broken: str, names: list[str], kind: type[AccountTrader] = AccountTrader
) -> list[CaseResult]:
    """Play cases one after the other; a client that is stuck is left alone after its verdict."""
    own, found = table.lane.credentials, []
    for name in names:
        attempts = table.run.judge.attempts(name)
        trader = kind(
            f"http://127.0.0.1:{table.run.http.port}",
            f"ws://127.0.0.1:{table.run.stream.port}/v1/stream", own.firm, own.key_secrets,
            frozenset(broken.split()),
        )  # fmt: skip
        playing = asyncio.create_task(trader.play(name))
        await table.verdict(name, attempts + 1)
        found.append(table.run.judge.results[name])
        if found[-1].verdict == "passed":
            async with asyncio.timeout(pace.seconds(20)):
                await asyncio.gather(playing, return_exceptions=True)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await trader.leave()
    return found


def played(
    lane: Lane, folder: Path, broken: str, names: list[str],
    kind: type[AccountTrader] = AccountTrader,
) -> list[CaseResult]:  # fmt: skip
    async def run() -> list[CaseResult]:
        patience_s = pace.seconds(1.5 if broken else 20)
        async with bench(lane, folder, patience_s=patience_s, venue_s=pace.seconds(10)) as table:
            await table.run.open_account("127.0.0.1", 0)
            found = await play(table, broken, names, kind)
            if names == CASES:
                report = table.run.report()
                assert report.complete and report.certified == ("REST", "WebSocket")
                assert not {case.id for case in report.cases if case.interface == "FIX"
                            and case.verdict != "not run"}  # fmt: skip
            return found

    return asyncio.run(run())


def test_a_good_client_passes_every_case_of_the_account_api(
    full_lane: Lane, tmp_path: Path
) -> None:
    results = played(full_lane, tmp_path, "", CASES)
    assert {r.id: r.told for r in results if r.verdict != "passed"} == {}
    assert {f"H{n:02}" for n in range(1, 13)} <= set(CASES)
    assert {"W01", "W02", "W03", "W04"} <= set(CASES)
    own = full_lane.credentials
    text = (tmp_path / "report" / "report.json").read_text(encoding="utf-8")
    for secret in (own.read_token, own.password, *own.key_secrets.values()):
        assert secret not in text
    assert "POST /v1/withdrawals as acme-withdraw" in text
    # Each case has the raw messages of both sides, the counterparty's FIX included.
    assert all(r.transcript for r in results)
    assert any(entry.way == "peer:>" for entry in results[0].transcript)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_client_fails_what_it_should_and_hears_why(
    full_lane: Lane, tmp_path: Path, broken: str
) -> None:
    expected, others, words = BROKEN[broken]
    results = played(full_lane, tmp_path, broken, [*expected, *others])
    failed = {r.id: r.told for r in results if r.verdict == "failed"}
    assert sorted(failed) == sorted(expected), failed
    for told in failed.values():
        assert any(word in told for word in words.split("|")), told


class OverTheStream(AccountTrader):
    """The same client without REST: every request is an operation of its WebSocket."""

    async def call(
        self, method: str, target: str, body: Any = None, kind: str = "trade"
    ) -> tuple[int, Any]:
        if self.reader is None or self.reader.done():
            await self.online()
        path, _, query = target.partition("?")
        params = dict(parse_qsl(query), **(body or {}))
        for name in ("min_seq", "after_trade_id", "limit"):
            if name in params:
                params[name] = int(params[name])
        parts = path.split("/")
        if len(parts) > 3 and parts[3] != "batch":
            params["order"], path = parts[3], "/v1/orders/{order}"
        op = next(name for name, known in OPERATIONS.items() if known == (method, path))
        answer = await self.raw(op, params)
        self.retry_after_s = answer.get("error", {}).get("retry_after_s", 0)
        return answer.get("status", answer.get("error", {}).get("status", 200)), answer.get(
            "data"
        ) or answer["error"]


def test_a_client_without_rest_passes_the_cases_of_orders_on_its_websocket(
    full_lane: Lane, tmp_path: Path
) -> None:
    """Lost answers are a connection that ends there, and a limit is an error frame."""
    cases = [name for name in CASES if name < "H10"]
    results = played(full_lane, tmp_path, "", cases, OverTheStream)
    assert {r.id: r.told for r in results if r.verdict != "passed"} == {}
    for result in results:
        assert any(entry.text.startswith("WS ") for entry in result.transcript)
        assert not any(entry.text.startswith("POST ") for entry in result.transcript)


async def test_a_case_may_be_named_by_its_quantity_and_tried_again(
    full_lane: Lane, tmp_path: Path
) -> None:
    """The id of H06 says nothing here: 506 does. The first attempt fails, the second passes."""

    class ByQuantity(AccountTrader):
        def new_id(self) -> str:
            return f"x-{super().new_id()}"

    async with bench(
        full_lane, tmp_path, patience_s=pace.seconds(1), venue_s=pace.seconds(10)
    ) as table:
        await table.run.open_account("127.0.0.1", 0)
        own = full_lane.credentials
        for attempt, broken in ((1, "trusts-refused"), (2, "")):
            trader = ByQuantity(
                f"http://127.0.0.1:{table.run.http.port}", "", own.firm, own.key_secrets,
                frozenset(broken.split()),
            )  # fmt: skip
            with suppress(KeyError):  # The broken one stumbles over a refusal.
                await trader.play("H06")
            verdict = await table.verdict("H06", attempt)
            assert (verdict == "passed") == (attempt == 2), verdict
            if attempt == 2:
                # The verdict comes with the answer itself.
                assert trader.verdicts[-1] == "H06 passed"
            await trader.leave()


async def test_what_is_no_http_is_refused_and_harms_nobody(full_lane: Lane, tmp_path: Path) -> None:
    def ask(port: int, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=pace.seconds(20)) as client:
            client.sendall(data)
            return client.recv(65536)

    async with bench(full_lane, tmp_path) as table:
        await table.run.open_account("127.0.0.1", 0)
        port = table.run.http.port
        for data, status in (
            (b"hello\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"400"),
            (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
            (b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
            (b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
            (b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b"401"),
        ):
            answer = await asyncio.to_thread(ask, port, data)
            assert answer.split(b" ")[1] == status, (data[:40], answer[:200])
