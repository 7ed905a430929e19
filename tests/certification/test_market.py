"""The chapter of market data: a good client passes it, broken ones fail what they should."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem.lane import MARKET_DATA_PROCESSES, Lane
from tests.certification.harness import EVERY, Bench, bench
from tests.certification.market_client import MarketClient
from tests.certification.raw_engine import RawEngine
from tests.support import pace

pytestmark = pytest.mark.timeout(280)

CASES = [scenario.id for scenario in EVERY if scenario.interface == "MarketData"]
LANES = 3
BROKEN: dict[str, tuple[list[str], list[str], str]] = {
    "stumbles-over-empty": (["M01", "M07"], ["M02"], "did not come"),
    "ignores-deletes": (["M02", "M03"], ["M01"], "did not come"),
    "adds-changes": (["M02"], ["M03"], "a change says the new quantity"),
    "one-entry": (["M03"], ["M02"], "second entry"),
    "any-bid-will-do": (["M01", "M02", "M03"], [], "came too early"),
    "counts-the-past": (["M04"], [], "came too early"),
    "ignores-chain": (["M05"], ["M01"], "PrevBookSeq(20025)"),
    "never-resends": (["M05"], ["M01"], "nothing was asked for again"),
    "ignores-gap-fills": (["M05"], ["M01"], "did not come"),
    "ignores-refusals": (["M06"], ["M01"], "at most 1000"),
    "believes-in-its-subscription": (["M07"], ["M01"], "subscribe again"),
    "ends-another": (["M01", "M06"], ["M08"], "by its own MDReqID(262)"),
    "ignores-halts": (["M08"], ["M01"], "no halt yet"),
}
"""What is broken: the cases that must fail, some that must not, words of an explanation."""


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    said: list[str] = []
    folder = tmp_path_factory.mktemp("lane")
    with Lane(
        folder, "ACME", MARKET_DATA_PROCESSES, lambda name, text: said.append(name + text)
    ) as lane:
        yield lane
    assert not [text for text in said if "was not let in" not in text], said


async def play(stand: Bench, cases: list[str], broken: frozenset[str]) -> dict[str, str]:
    """The verdict of each case, with a client that is broken so."""
    own, client = stand.lane.credentials, MarketClient(broken)
    # An engine of market data begins its numbers again with each Logon.
    client.engine = engine = RawEngine(
        stand.gate.port, own.market_data, own.firm, own.market_data_password, client.told,
        broken=broken | {"resets"},
    )  # fmt: skip
    verdicts = {}
    await engine.start()
    try:
        for case in cases:
            if verdicts and broken:
                # What it has failed to end ends with the connection.
                await engine.log_out_and_in(reset=True)
            script = asyncio.create_task(client.play(case))
            verdicts[case] = await stand.verdict(case)
            script.cancel()
            await asyncio.gather(script, return_exceptions=True)
    finally:
        await engine.stop()
    return verdicts


async def test_a_client_that_keeps_its_book_right_passes_every_case(
    lane: Lane, tmp_path: Path
) -> None:
    async with bench(lane, tmp_path / "state") as stand:
        verdicts = await play(stand, CASES, frozenset())
        assert verdicts == dict.fromkeys(CASES, "passed")
        assert stand.run.report().certified == ("MarketData",)


@pytest.fixture(scope="module")
def broken_verdicts(
    lane: Lane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, str]]]:
    """Every broken client, some of them at a time, each on a venue that others had before: most
    of the time is waiting for what a broken client does not do."""
    base = tmp_path_factory.mktemp("broken")
    more = [Lane(base / f"L{n}", f"L{n}", MARKET_DATA_PROCESSES, lambda name, text: None)
            for n in range(1, LANES)]  # fmt: skip
    verdicts: dict[str, dict[str, str]] = {}

    async def one_lane(own: Lane, todo: list[str]) -> None:
        # So that there is a past, which one of them counts.
        async with bench(own, own.folder / "past") as stand:
            assert await play(stand, ["M04"], frozenset()) == {"M04": "passed"}
        while todo:
            fault = todo.pop()
            failing, passing, _ = BROKEN[fault]
            async with bench(own, base / fault, patience_s=pace.seconds(1.5)) as stand:
                verdicts[fault] = await play(stand, [*failing, *passing], frozenset((fault,)))

    async def all_lanes() -> None:
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in more))
        todo = list(BROKEN)
        await asyncio.gather(*(one_lane(one, todo) for one in (lane, *more)))

    try:
        asyncio.run(all_lanes())
        yield verdicts
    finally:
        for one in more:
            one.stop()


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_client_fails_what_it_should(
    broken_verdicts: dict[str, dict[str, str]], fault: str
) -> None:
    failing, passing, words = BROKEN[fault]
    verdicts = broken_verdicts[fault]
    for case in failing:
        assert verdicts[case] != "passed", case
    for case in passing:
        assert verdicts[case] == "passed", verdicts[case]
    assert any(words in verdicts[case] for case in failing), verdicts
