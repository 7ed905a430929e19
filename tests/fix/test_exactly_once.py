"""Exactly once, inbound and outbound, whatever is killed when (kill -9, real processes)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from engine.client import queries
from tests.fix.processes import ROOT, Venue
from tests.support import pace
from tests.support.waiting import until

ORDERS = 400
RATE = 50.0
pytestmark = pytest.mark.serial


class Client:
    """The initiator process of one firm and what it has heard."""

    def __init__(self, venue: Venue, comp_id: str) -> None:
        self.comp_id = comp_id
        self.folder = venue.folder
        arguments = [str(venue.address[1]), comp_id, str(venue.folder), str(ORDERS), str(RATE)]
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "tests.fix.initiator", *arguments], cwd=ROOT
        )

    def reports(self) -> list[dict[str, str]]:
        """Everything that reached the application, in order."""
        path = self.folder / f"{self.comp_id}.jsonl"
        if not path.exists():
            return []
        text = path.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def answered(self) -> set[str]:
        """Client order ids that were accepted or refused."""
        return {r["11"] for r in self.reports() if r.get("150") in ("0", "8")}

    def stop(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(pace.seconds(5))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def kill_gateway(venue: Venue) -> None:
    assert venue.gateway is not None
    venue.gateway.kill()
    venue.start_gateway()


def kill_engine(venue: Venue) -> None:
    assert venue.engine is not None and venue.gateway is not None
    before = len(venue.gateway.lines)
    venue.engine.kill()
    venue.start_engine()
    venue.gateway.wait_for("engine_connected", since=before)


def kill_both(venue: Venue) -> None:
    assert venue.engine is not None and venue.gateway is not None
    venue.gateway.kill()
    venue.engine.kill()
    venue.start()


@pytest.fixture
def clients(own_venue: Venue) -> Iterator[list[Client]]:
    running: list[Client] = []
    yield running
    for client in running:
        client.stop()


@pytest.mark.parametrize("kills", ["gateway", "engine", "both"])
def test_nothing_is_lost_or_doubled_under_load(
    own_venue: Venue, clients: list[Client], kills: str
) -> None:
    venue = own_venue
    venue.start()
    clients += [Client(venue, "ALICE"), Client(venue, "BOB")]
    kill = {"gateway": kill_gateway, "engine": kill_engine, "both": kill_both}[kills]
    for share in (0.2, 0.5, 0.8):
        until(
            clients[0].answered, "the load does not go on", 40,
            lambda told, share=share: len(told) > share * ORDERS * 0.8,  # type: ignore[misc]
        )  # fmt: skip
        kill(venue)
    for client in clients:
        until(client.answered, client.comp_id, 40, lambda told: len(told) == ORDERS)
    check_books(venue, clients)


def test_quickfix_as_a_client_begins_its_numbers_again_within_its_session(
    own_venue: Venue, clients: list[Client]
) -> None:
    """It goes on with orders at once; those behind its Logon may have to be asked for again."""
    venue = own_venue.start()
    clients.append(Client(venue, "ALICE"))
    (alice,) = clients
    engine = venue.client()

    def epoch() -> int:
        row = engine.fetch(queries.Session("fix:ALICE")).value
        return 0 if row is None else row.epoch

    for share in range(1, 6):
        until(
            alice.answered, "the load does not go on", 40,
            lambda told, share=share: len(told) > share * ORDERS / 8,  # type: ignore[misc]
        )  # fmt: skip
        before = epoch()
        alice.popen.send_signal(signal.SIGUSR1)
        until(epoch, "no new epoch", 40, lambda found, before=before: found > before)  # type: ignore[misc]
    until(alice.answered, "ALICE", 40, lambda told: len(told) == ORDERS)
    assert epoch() == 6
    # QuickFIX as a client may log out and on again meanwhile, perhaps because of a message that
    # met its Logon under way. Nothing may be lost or doubled by it either.
    assert venue.gateway is not None
    assert len(venue.gateway.events("numbers_begin_again")) == 5
    check_books(venue, clients)


def check_books(venue: Venue, clients: list[Client]) -> None:
    """Compare what the clients heard with what the engine did."""
    engine = venue.client()
    assert engine.fetch(queries.Check()).value == []
    done = all_transactions(venue)
    for client in clients:
        settle_reports(client, done)
        reports = client.reports()
        ids = Counter(r["17"] for r in reports if r["17"] != "0")
        doubled = {key: count for key, count in ids.items() if count > 1}
        assert not doubled, f"reports came twice: {doubled}"
        accepted = Counter(r["11"] for r in reports if r.get("150") == "0")
        assert all(count == 1 for count in accepted.values()), "an order was doubled"
        cursors = [(int(r["20001"]), int(r["20002"]), int(r["20007"])) for r in reports]
        assert cursors == sorted(cursors), "reports came out of order"
        assert set(ids) == done[client.comp_id], "reports are missing or were made up"


def all_transactions(venue: Venue) -> dict[str, set[str]]:
    """ExecIDs that each session must have heard of, from the engine's own record."""
    engine = venue.client()
    heard: dict[str, set[str]] = {"ALICE": set(), "BOB": set()}
    for seq in range(1, engine.fetch(queries.Status()).value.seq + 1):
        for index, event in enumerate(engine.fetch(queries.Transaction(seq)).value.events):
            name = type(event).__name__
            source: Any = None
            if name in ("OrderAccepted", "OrderFilled", "OrderCanceled"):
                source = event.order.session  # type: ignore[union-attr]
            elif name == "OrderRejected":
                source = engine.fetch(queries.Transaction(seq)).value.command.origin.source
            if source is not None and source.startswith("fix:"):
                heard[source[4:]].add(f"{seq}-{index}")
    return heard


def settle_reports(client: Client, done: dict[str, set[str]]) -> None:
    """Wait until the client has as many reports as the engine caused."""
    wanted = len(done[client.comp_id])
    until(client.reports, client.comp_id, enough=lambda told: len(told) >= wanted)
