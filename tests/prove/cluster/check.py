"""What every client was told, held against what each of the three machines has."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from engine.client import Transaction, queries
from engine.core import events as ev
from engine.core.exchange import Exchange
from engine.core.types import WithdrawalState
from engine.history.projector import Projector
from engine.history.queries import wait_for
from engine.history.store import open_reader, open_writer
from engine.journal.verify import verify
from tests.prove.cluster.clients import Keys, Listener, MovingOrders, MovingTreasury, Pulse
from tests.prove.cluster.machine import Machine
from tests.support import pace
from tests.unit.history.test_projector import dump

Found = Callable[[str], None]
HEARD_S: Final = 30.0


def pulse(client: Pulse, journal: Sequence[Transaction], found: Found) -> int:
    """Each answer is the transaction that the journal has, and each was done once."""
    done = Counter(transaction.command.origin.token for transaction in journal)
    for told in client.acknowledged:
        seq = told.transaction.seq
        there = journal[seq - 1] if seq <= len(journal) else None
        if there != told.transaction:
            found(f"{client.name} was told {told.transaction!r:.300}, seq {seq} is {there!r:.300}")
        if done[told.token] != 1:
            found(f"{client.name}: {told.transaction.command!r:.200} is there {done[told.token]}x")
    tokens = {told.token for told in client.acknowledged}
    if len(tokens) != len(client.acknowledged):
        found(f"{client.name} was told of one command twice")
    source = f"api:{client.name}"
    more = [
        one for one in journal
        if one.command.origin.source == source and one.command.origin.token not in tokens
    ]  # fmt: skip
    if more:
        found(f"{client.name} was not told of {len(more)} that were done: {more[:2]!r:.300}")
    return len(client.acknowledged)


def listener(client: Listener, journal: Sequence[Transaction], found: Found) -> int:
    """What a machine has published is the journal, once and in order, whoever led."""
    for place, heard in enumerate(client.heard[: len(journal)]):
        if heard != journal[place]:
            found(f"{client.name} heard {heard!r:.300}, it is {journal[place]!r:.300}")
            return place
    if len(client.heard) != len(journal):
        found(f"{client.name} heard {len(client.heard)} of {len(journal)} transactions")
    return len(client.heard)


def transfers(client: MovingOrders, journal: Sequence[Transaction], found: Found) -> int:
    """Each transfer was made once, as it was told."""
    done = Counter(
        event.client_transfer_id for one in journal for event in one.events
        if isinstance(event, ev.Transferred) and event.account == client.account
        and event.client_transfer_id.startswith(client.key)
    )  # fmt: skip
    if done.keys() != client.transfers.keys() or any(count != 1 for count in done.values()):
        found(f"{client.key} was told of transfers {sorted(client.transfers)}, there are {done}")
    return len(client.transfers)


def withdrawals(client: MovingTreasury, exchange: Exchange, found: Found) -> int:
    """Each withdrawal that was asked for came to its end once, and was told."""
    rows = [record.row for record in exchange.withdrawals.values()]
    for row in rows:
        if row.state is not WithdrawalState.COMPLETED:
            found(f"withdrawal {row.client_withdrawal_id} ended as {row.state.name}")
        steps = [step.state for step in row.history]
        if steps.count(WithdrawalState.COMPLETED) != 1:
            found(f"withdrawal {row.client_withdrawal_id} went {steps}")
    if sorted(row.client_withdrawal_id for row in rows) != sorted(client.completed):
        found("the treasury was told of other withdrawals than there are")
    return len(rows)


def keys(client: Keys, urls: Sequence[str], found: Found) -> int:
    """No machine takes a key whose revocation was answered, and each says so."""
    for key in client.revoked:
        for url in urls:
            before = client.refused
            deadline = time.monotonic() + pace.seconds(HEARD_S)
            while client.refused == before and not client.told.findings:
                client.check(url, key)
                if time.monotonic() > deadline:
                    found(f"{url} does not say that {key} is revoked")
    return len(client.revoked)


def states(machines: Sequence[Machine], found: Found) -> str:
    """All machines have the same state; return its hash."""
    hashes = {}
    for machine in machines:
        client = machine.client(timeout_s=pace.seconds(10))
        answer = client.fetch(queries.StateHash())
        for text in client.fetch(queries.Check()).value:
            found(f"{machine.name}: {text}")
        hashes[machine.name] = answer.value, answer.as_of_seq
        client.close()
    if len(set(hashes.values())) != 1:
        found(f"the states differ: {hashes}")
    return str(next(iter(hashes.values()))[0])


def histories(
    machines: Sequence[Machine], journal: Sequence[Transaction], found: Found
) -> None:
    """The read model of each machine is what one projection of the whole journal gives."""
    again = f"sqlite:///{machines[0].plan.folder / 'again.db'}"
    writer = open_writer(again)
    Projector(writer).apply(list(journal))
    expected = dump(writer)
    writer.dispose()
    for machine in machines:
        url = machine.settings.history.url
        reader = open_reader(url)
        if not wait_for(reader, journal[-1].seq, pace.seconds(HEARD_S)):
            found(f"the history of {machine.name} does not reach the end of the journal")
        reader.dispose()
        there = open_writer(url)
        stored = dump(there)
        there.dispose()
        for table, rows in expected.items():
            if stored[table] != rows:
                found(f"the table {table} of {machine.name} is not what the journal gives")


def audits(machines: Sequence[Machine], last_seq: int, found: Found) -> int:
    """``tandem journal verify`` finds nothing, on any machine."""
    replayed = 0
    for machine in machines:
        journal = machine.data / "journal"
        report = verify(journal, journal / "snapshots")
        replayed += report.replayed
        if report.last_seq != last_seq:
            found(f"the journal of {machine.name} ends with {report.last_seq}, not {last_seq}")
        for finding in report.findings:
            found(f"{machine.name}: {finding.place} seq {finding.seq}: {finding.text}")
    return replayed
