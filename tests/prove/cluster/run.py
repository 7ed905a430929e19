"""A venue of three machines under load and under fire, and the comparison at the end."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.ports import free_ports
from engine.client import queries
from engine.cluster import assembly
from engine.cluster.log import Head
from tests.prove.cluster import check, machine
from tests.prove.cluster.clients import (
    Keys,
    Listener,
    MovingFix,
    MovingOrders,
    MovingTreasury,
    MovingWs,
    Places,
    Pulse,
)
from tests.prove.cluster.faults import KINDS, Faults
from tests.prove.cluster.machine import SECTIONS, Machine, Plan
from tests.prove.cluster.network import network
from tests.prove.crash import compare
from tests.prove.crash.harness import await_quiet
from tests.prove.crash.told import Client, Told, await_rest
from tests.prove.disk.shim import compiler
from tests.support import pace
from tests.support.waiting import until

NAMES: Final = ("a", "b", "c")
REST_S_MAX: Final = 90.0
CHANGES: Final = {
    "\n[fix]\n": "\n[engine]\nsnapshot_every = 2000\nsegment_records_max = 5000\n\n[fix]\n",
    "confirmation_delay_ms = 200": "confirmation_delay_ms = 50",
}
"""Small, so that snapshots and new segments come under fire as well."""


@dataclass(frozen=True, slots=True)
class Form:
    """How much of it: processes on each machine (all if empty), faults, real flushes."""

    losses: int
    processes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    fsync: bool = True
    hold_s_max: float = 60.0


LONG: Final = Form(100)
SHORT: Final = Form(
    3, ("engine", "api"), ("machine killed", "cable", "engine frozen"), fsync=False,
    hold_s_max=2.0,
)  # fmt: skip


@dataclass(slots=True)
class Proved:
    """What was done, what clients were told, and what was found."""

    faults: dict[str, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """From each loss of the leader to the next order that was sent and acknowledged; seconds."""
    longest: dict[str, float] = field(default_factory=dict)
    """The longest of them after each kind of fault."""
    told: dict[str, int] = field(default_factory=dict)
    transactions: int = 0
    findings: list[str] = field(default_factory=list)


class Clients:
    """Whoever trades: through an engine, by REST, by WebSocket; a treasury; a maker of keys."""

    def __init__(self, machines: Sequence[Machine], told: Told, form: Form, seed: int) -> None:
        def serves(name: str) -> bool:
            return not form.processes or name in form.processes

        urls = [one.url for one in machines]
        accounts = ("alice", "bob", "carol")
        self.pulses = [
            Pulse(one, account, told, seed)
            for one, account in zip(machines, accounts, strict=True)
        ]
        self.listeners = [Listener(one) for one in machines]
        self.orders: list[MovingOrders] = []
        self.keys: list[Keys] = []
        self.treasuries: list[MovingTreasury] = []
        self.streams: list[MovingWs] = []
        self.fix: list[MovingFix] = []
        if serves("api"):
            names = ("demo-alice-keys", "demo-bob-trade")
            self.orders = [
                MovingOrders(Places(urls, n), name, told, seed) for n, name in enumerate(names)
            ]
            self.keys = [Keys(urls, "demo-alice-keys", told, seed)]
        if serves("settlement"):
            self.treasuries = [
                MovingTreasury(Places(urls, 2), "demo-bob-withdraw", told, seed)
            ]
        if serves("fix"):
            addresses = [one.fix for one in machines]
            self.fix = [
                MovingFix(addresses, n, account.upper(), told, seed)
                for n, account in enumerate(accounts)
            ]
        if serves("stream"):
            places = Places([one.stream_url for one in machines], 1)
            self.streams = [MovingWs(places, "demo-carol-trade", told, seed)]

    @property
    def all(self) -> list[Client]:
        """Every one that waits for answers."""
        some: list[Client] = [*self.pulses, *self.orders, *self.keys, *self.treasuries]
        return [*some, *self.fix, *self.streams]

    def start(self) -> None:
        """Begin."""
        for one in (*self.all, *self.listeners):
            one.start()

    def end(self, some: Sequence[Client | Listener]) -> None:
        """End some of them."""
        for one in some:
            if isinstance(one, Listener):
                one.stop()
            else:
                one.over.set()
        for one in some:
            if one.is_alive():
                one.join(15)

    def acknowledged(self, since: float) -> int:
        """How many orders were sent and acknowledged since then."""
        return sum(
            told.sent_at >= since and told.in_time
            for one in self.pulses for told in one.acknowledged[-20:]
        )  # fmt: skip


def prove(seed: int, form: Form, say: Callable[[str], None] = lambda text: None) -> Proved:
    """Run the venue through its faults and compare."""
    told, proved = Told(), Proved()
    net = network(NAMES)
    with tempfile.TemporaryDirectory(prefix="tandem-cluster-") as name:
        plan = Plan(
            Path(name), net, NAMES, form.processes, tuple(free_ports(len(SECTIONS))), CHANGES,
            form.fsync, secrets.token_bytes(32), "etcd disk full" in form.kinds,
            "clock set" in form.kinds and compiler() is not None,
        )  # fmt: skip
        machines = machine.make(plan)
        try:
            _start(machines, say)
            clients = Clients(list(machines.values()), told, form, seed)
            try:
                clients.start()
                _fire(machines, told, clients, proved, form, seed, say)
            finally:
                clients.end([*clients.all, *clients.listeners])
        finally:
            for one in machines.values():
                one.kill()
            for one in machines.values():
                one.close()
            net.close()
    return proved


def _start(machines: dict[str, Machine], say: Callable[[str], None]) -> None:
    for one in machines.values():
        one.start_etcd()
    say("etcd starts")
    until(
        lambda: all(one.has_etcd() for one in machines.values()),
        lambda: "\n".join(one.log_of("etcd") for one in machines.values()), 60,
    )  # fmt: skip
    first = next(iter(machines.values()))
    assembly.log_of(first.settings.cluster).create(Head(0, 0, 0))
    for one in machines.values():
        one.start_venue()
    say("three venues start")
    until(
        lambda: all(one.ready() for one in machines.values()),
        lambda: "\n".join(one.log_of("up") for one in machines.values()), 120,
    )  # fmt: skip


def _fire(
    machines: dict[str, Machine], told: Told, clients: Clients, proved: Proved, form: Form,
    seed: int, say: Callable[[str], None],
) -> None:  # fmt: skip
    faults = Faults(
        machines, told, seed, form.kinds, clients.acknowledged, form.hold_s_max, say
    )
    faults.run(form.losses)
    say("waiting for the last answers")
    told.ending.set()
    await_rest(clients.all, told, pace.seconds(REST_S_MAX))
    proved.faults = faults.done.faults
    for loss in faults.done.losses:
        for wait_s in waits([loss.at], clients.pulses):
            proved.waits.append(wait_s)
            proved.longest[loss.what] = max(wait_s, proved.longest.get(loss.what, 0.0))
    if not told.findings:
        say("comparing")
        _compare(machines, told, clients, proved, faults, form)
    proved.findings = told.findings


def waits(losses: Sequence[float], pulses: Sequence[Pulse]) -> list[float]:
    """From each loss to the first acknowledgement of an order that was sent after it."""
    told = sorted(
        (one.at, one.sent_at) for pulse in pulses for one in pulse.acknowledged
        if one.in_time
    )  # fmt: skip
    found = []
    for at in losses:
        first = next((heard for heard, sent in told if sent >= at), None)
        if first is not None:
            found.append(first - at)
    return found


def _compare(
    machines: dict[str, Machine], told: Told, clients: Clients, proved: Proved,
    faults: Faults, form: Form,
) -> None:  # fmt: skip
    every, count, found = list(machines.values()), Counter[str](), told.found
    proved.told = count
    clients.end([one for one in clients.all if one not in clients.streams])
    leader = faults.await_whole()
    if leader is None:
        return
    engine = leader.client(timeout_s=pace.seconds(10))
    await_quiet(engine, told)
    for stream in clients.streams:
        compare_stream_end(stream, engine, told)
    clients.end(clients.streams)
    for one in clients.keys:
        count["API keys revoked"] += check.keys(one, [m.url for m in every], found)
        count["API keys served before"] += one.served
    journal = compare.journal_of(engine)
    last = journal[-1].seq
    proved.transactions = len(journal)
    if faults.await_whole() is None:
        return
    check.states(every, found)
    compare.sequences(journal, found)
    for pulse in clients.pulses:
        count["orders of pulses"] += check.pulse(pulse, journal, found)
    for listener in clients.listeners:
        told.wait_for(lambda heard=listener.heard: len(heard) >= last, pace.seconds(30))
        count["transactions heard of members"] += check.listener(listener, journal, found)
    instruments = {row.symbol: row for row in engine.fetch(queries.Instruments()).value}
    for session in clients.fix:
        reports = compare.fix_session(session, every[0].settings, journal, instruments, found)
        count["reports by FIX"] += reports
        count["FIX logons"] += session.logons
        count["FIX messages sent again"] += session.resent
    replayed = compare.Replayed(journal)
    for client in clients.orders:
        count["REST answers"] += len(client.answers)
        count["REST answers compared"] += compare.rest_client(client, replayed, found)
        count["REST retries"] += client.retries
        count["transfers"] += check.transfers(client, journal, found)
    replayed.run(found)
    if replayed.exchange.state_hash() != engine.fetch(queries.StateHash()).value:
        found("replay of the journal gives another state than the engine has")
    engine.close()
    for treasury in clients.treasuries:
        count["withdrawals"] += check.withdrawals(treasury, replayed.exchange, found)
    for stream in clients.streams:
        count["events by WebSocket"] += compare.ws_client(stream, journal, found)
        count["WebSocket resumptions"] += stream.resumed
    if not form.processes or "history" in form.processes:
        check.histories(every, journal, found)
    for one in every:
        one.terminate()
    for one in every:
        code = one.wait()
        if code != 0:
            found(f"{one.name} ended with {code} on SIGTERM: {one.log_of('up')}")
    count["records replayed by audits"] += check.audits(every, last, found)


def compare_stream_end(
    stream: MovingWs, engine: compare.EngineClient, told: Told
) -> None:
    """Wait until the WebSocket client has the last event of its account."""
    rows = engine.fetch(queries.Accounts()).value
    last = next(row.account_seq for row in rows if row.account == stream.account)
    told.wait_for(lambda: stream.last_seq >= last, pace.seconds(30))
    told.pause(0.5)  # The other channels of that event are on their way.


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def rows(proved: Proved) -> list[str]:
    """What was tried, for people."""
    found = [
        ", ".join(f"{what} {count}" for what, count in sorted(proved.faults.items())),
        f"{proved.transactions:,} transactions",
        *(f"{count:,} {what}" for what, count in proved.told.items()),
    ]  # fmt: skip
    if proved.waits:
        waits_s = proved.waits
        found.append(
            f"{len(waits_s)} losses of the leader, until the next acknowledged order: p50 "
            f"{quantile(waits_s, 0.5):.2f} s, p99 {quantile(waits_s, 0.99):.2f} s, longest "
            f"{max(waits_s):.2f} s"
        )
        longest = sorted(proved.longest.items(), key=lambda item: -item[1])
        found.append("longest after " + ", ".join(f"{what} {s:.2f} s" for what, s in longest))
    return found

