"""A venue under load and under fire, and the comparison at the end."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.settings import DEMO_FILE
from engine.client import queries
from engine.core.commands import Transfer
from engine.core.types import Origin
from tests.fix.rawfix import Message
from tests.prove.crash import compare
from tests.prove.crash.fixclient import FixClient
from tests.prove.crash.killing import Killer
from tests.prove.crash.resetclient import ResetClient
from tests.prove.crash.restclient import Operator, OrderClient, Treasury
from tests.prove.crash.told import Client, Told, await_rest
from tests.prove.crash.wsclient import WsClient
from tests.prove.venue import Venue
from tests.support.waiting import until

REST_S_MAX: Final = 60.0
QUIET_S: Final = 1.5
"""Longer than any grace period of a session."""
LIMITS: Final = "[engine]\nsnapshot_every = 150\nsegment_records_max = 700\n\n[fix]"
"""Small, so that snapshots and new segments come under fire as well."""
WORK: Final = "[venue]\nwork_max = 3\n"
"""So little that sweeps, mass cancels, suspensions and disconnects go on in many Ticks."""

PORTIONS: Final = "portions_per_day = 1000"
_HASH: Final = re.search(
    r'comp_id = "ALICE".*?(password_hash = "[^"]+")', DEMO_FILE.read_text(encoding="utf-8"), re.S
)
assert _HASH is not None
DESK: Final = (
    f'\n[[sessions]]\ncomp_id = "DESK"\naccount = "alice:desk"\nusername = "desk"\n{_HASH[1]}\n'
)
"""A session of alice's sub-account, with alice's password."""


@dataclass(slots=True)
class Survived:
    """What was done to the venue, what its clients were told, and what was found."""

    kills: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    amid: int = 0
    full: int = 0
    pieces: int = 0
    told: Counter[str] = field(default_factory=Counter)
    inside: bool = True
    findings: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many processes were killed."""
        return sum(count for how, count in self.kills.items() if "gave up" not in how)


class Clients:
    """Four FIX sessions, one of them a sub-account's, and one whose numbers begin again and again;
    two REST clients, a treasury, an operator, a WebSocket client."""

    def __init__(self, venue: Venue, told: Told, seed: int) -> None:
        own, desk = "", "alice:desk"
        self.fix = [
            FixClient(venue.fix, "ALICE", told, seed, accounts=(own, own, "alice", desk)),
            FixClient(venue.fix, "BOB", told, seed, logon="20003=1|20004=0|"),
            FixClient(venue.fix, "CAROL", told, seed, logon="20003=3|20004=1|"),
            FixClient(venue.fix, "DESK", told, seed, accounts=(own, own, desk, "alice", "bob"),
                      logon="20003=1|20004=0|", password="alice-demo"),
        ]  # fmt: skip
        keys = ("demo-alice-trade", "demo-bob-trade")
        self.rest = [OrderClient(venue.url, key, told, seed) for key in keys]
        self.treasury = Treasury(venue.url, "demo-bob-withdraw", told, seed)
        self.operator = Operator(venue.url, "alice", told, seed)
        self.resets = ResetClient(venue.fix, told)
        self.ws = WsClient(venue.stream_url, "demo-carol-trade", told, seed)

    @property
    def all(self) -> list[Client]:
        """Every one of them."""
        return [*self.fix, *self.rest, self.treasury, self.operator, self.resets, self.ws]

    def end(self, some: list[Client]) -> None:
        """End some of them."""
        for client in some:
            client.over.set()
        for client in some:
            if client.is_alive():
                client.join(15)


def survive(
    seed: int, kills: int, say: Callable[[int], None] = lambda kills: None,
    names: tuple[str, ...] = (),
) -> Survived:  # fmt: skip
    """Run a venue of a seed through so many kills; ``names`` are its processes, else all."""
    changes = {"[fix]": LIMITS, "[venue]\n": WORK, "portions_per_day = 10": PORTIONS,
               "\n# API keys.": DESK + "\n# API keys.",
               "confirmation_delay_ms = 200": "confirmation_delay_ms = 50"}  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="tandem-crash-"))
    venue, told = Venue(folder, changes), Told()
    clients, killer = Clients(venue, told, seed), Killer(venue, told, seed, say)
    survived = None
    try:
        venue.start_all(*names)
        _fund(venue)
        survived = _survive(venue, told, clients, killer, kills)
    finally:
        clients.end(clients.all)
        venue.kill_all()
        if survived is not None and not survived.findings:
            shutil.rmtree(folder)
        else:
            _keep(folder, clients, killer, told)
    return survived


def _keep(folder: Path, clients: Clients, killer: Killer, told: Told) -> None:
    """Leave stores, journal and logs for whoever looks for the cause, and what was told."""
    for client in clients.all:
        client.story.write(folder / f"client-{client.name.replace(' ', '-')}.txt")
    killer.story.write(folder / "kills.txt")
    told.found(f"what there is to look at is in {folder}")


def _fund(venue: Venue) -> None:
    """Money for the sub-account, so that what it enters trades."""
    with contextlib.closing(venue.client()) as client:
        for asset, atoms in (("USD", 10**14), ("BTC", 10**10), ("ETH", 10**11)):
            transfer = Transfer(Origin("api:alice"), "alice", "alice:desk", asset, atoms, asset)
            client.submit(transfer)


def _told_something(clients: Clients) -> bool:
    """Return whether the first FIX session has a report, and the stream an order."""
    received = list(clients.fix[0].received.values())
    return any(one.cursor is not None for one in received) and bool(clients.ws.events["orders"])


def _survive(
    venue: Venue, told: Told, clients: Clients, killer: Killer, kills: int
) -> Survived:
    for client in clients.all:
        client.start()
    # Else a few quick kills could be over before these two were told anything.
    until(lambda: _told_something(clients), "the first clients are told nothing", 60)
    killer.states = lambda: [client.state() for client in clients.all]
    killer.run(kills)
    told.ending.set()
    await_rest(clients.all, told, REST_S_MAX)
    for name, child in venue.children.items():
        log = venue.log_of(name, 3_000)
        if child.code is not None:
            told.found(f"{name} ended by itself with {child.code} after the last kill: {log}")
        elif told.findings and name in ("engine", "fix", "api"):
            told.found(f"{name} runs as {child.pid} and says: {log}")
    result = Survived(killer.kills, inside=killer.inside, amid=killer.amid, full=killer.full)
    if not told.findings:
        _compare(venue, told, clients, result)
    result.findings = told.findings
    return result


def _compare(venue: Venue, told: Told, clients: Clients, result: Survived) -> None:
    engine, count = venue.client(), result.told
    found = told.found
    clients.end(clients.all[:-1])
    await_quiet(engine, told)
    _await_stream(clients.ws, engine, told)
    clients.end([clients.ws])
    for text in engine.fetch(queries.Check()).value:
        found(text)
    journal = compare.journal_of(engine)
    result.transactions = len(journal)
    instruments = {row.symbol: row for row in engine.fetch(queries.Instruments()).value}
    compare.sequences(journal, found)
    compare.authority(journal, found)
    result.pieces = compare.pieces(journal)
    count["portions of the faucet"] += compare.portions(clients.rest, journal, found)
    count["portions of which only that was told"] += sum(one.done for one in clients.rest)
    count["portions in doubt"] += sum(one.doubtful for one in clients.rest)
    for session in clients.fix:
        reports = compare.fix_session(session, venue.settings, journal, instruments, found)
        count["reports by FIX"] += reports
        count["FIX logons"] += session.logons
        count["FIX messages sent again"] += session.resent
        count["Logons within sessions"] += session.provoked
    count["resets within sessions"] += clients.resets.resets
    count["orders canceled after a reset"] += clients.resets.canceled
    replayed = compare.Replayed(journal)
    _see_what_is_wrong(clients, venue, journal, instruments, found)
    for client in clients.rest:
        count["REST answers"] += len(client.answers)
        count["REST answers compared"] += compare.rest_client(client, replayed, found)
        count["REST retries"] += client.retries
    replayed.run(found)
    exchange = replayed.exchange
    if exchange.state_hash() != engine.fetch(queries.StateHash()).value:
        found("replay of the journal gives another state than the engine has")
    count["events by WebSocket"] += compare.ws_client(clients.ws, journal, found)
    count["WebSocket resumptions"] += clients.ws.resumed
    compare.ws_money(clients.ws, exchange, found)
    compare.ws_books(clients.ws, engine, found)
    network = venue.data / "network.db"
    count["withdrawals"] += compare.withdrawals(clients.treasury, exchange, network, found)
    compare.history(venue, journal, found)
    engine.close()
    for name, code in venue.stop_all().items():
        if code != 0:
            found(f"{name} ended with {code} on SIGTERM: {venue.log_of(name)}")
    compare.audit(venue, found)


def _see_what_is_wrong(
    clients: Clients, venue: Venue, journal: list[compare.Transaction],
    instruments: dict[str, compare.Instrument], found: Callable[[str], None],
) -> None:  # fmt: skip
    """Spoil what was told in small ways: a comparison that does not notice is a finding."""
    session, noticed = clients.fix[0], list[str]()
    reports = {num: m for num, m in session.received.items() if m.cursor is not None}
    if not reports or not clients.ws.events["orders"]:
        found("a client was told nothing")
        return
    num, report = next(iter(reports.items()))
    for other in (None, Message(report.text.replace("\x0137=", "\x0137=9").encode("latin-1"))):
        if other is None:
            del session.received[num]
        else:
            session.received[num] = other
        noticed.clear()
        compare.fix_session(session, venue.settings, journal, instruments, noticed.append)
        session.received[num] = report
        if not noticed:
            found(f"nobody notices that {report!r:.100} is missing or another")
    seq, event = next(iter(clients.ws.events["orders"].items()))
    del clients.ws.events["orders"][seq]
    noticed.clear()
    compare.ws_client(clients.ws, journal, noticed.append)
    clients.ws.events["orders"][seq] = event
    if not noticed:
        found("nobody notices that an event by WebSocket is missing")


def await_quiet(engine: compare.EngineClient, told: Told) -> None:
    """Wait until sessions that have left are closed, their grace is over and all is canceled."""
    deadline = time.monotonic() + REST_S_MAX
    seq, since = 0, time.monotonic()
    while time.monotonic() - since < QUIET_S and time.monotonic() < deadline:
        now = engine.fetch(queries.Status()).value.seq
        if now != seq:
            seq, since = now, time.monotonic()
        told.pause(0.05)


def _await_stream(client: WsClient, engine: compare.EngineClient, told: Told) -> None:
    """Wait until the WebSocket client has the last event of its account, with the logouts."""
    for _ in range(200):
        rows = engine.fetch(queries.Accounts()).value
        row = next(row for row in rows if row.account == client.account)
        logged_on = any(session.connected for session in engine.fetch(queries.Sessions()).value)
        if client.last_seq >= row.account_seq and not logged_on:
            told.pause(0.3)  # The other channels of that event are on their way.
            return
        told.pause(0.05)
