"""The whole engine over a faulty disk: it stops, says why in one line, and has what it told."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.client import EngineClient, EngineError, queries
from engine.core.commands import CancelOrder, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.journal.verify import verify
from tests.prove.disk.faults import ACTIONS, WRITE_FAILED, Tried
from tests.prove.disk.shim import environment
from tests.prove.venue import Venue

ORDERS_MAX: Final = 400
LIMITS: Final = "[engine]\nsnapshot_every = 60\nsegment_records_max = 200\n\n[fix]"
CLIENT_S_MAX: Final = 10.0


def engine_faults(seed: int, count: int) -> list[str]:
    """A seeded choice of faults; the first two are a disk that is full from then on."""
    pick = random.Random(f"engine faults {seed}")
    found = [f"write:{pick.randint(50, 400)}:full" for _ in range(2)]
    while len(found) < count:
        op = pick.choice(("write", "write", "sync", "truncate", "name"))
        number = pick.randint(1, {"write": 600, "sync": 300, "truncate": 8, "name": 40}[op])
        action = pick.choice([a for a in ACTIONS[op] if not a.startswith("kill")])
        found.append(f"{op}:{number}:{action}")
    return found[:count]


def try_engine_faults(
    faults: list[str], tell: Callable[[int], None] = lambda done: None
) -> Tried:
    """Run a real engine into each fault, then start it again without."""
    result = Tried()
    for fault in faults:
        with tempfile.TemporaryDirectory(prefix="tandem-disk-") as name:
            venue = Venue(Path(name), {"[fix]": LIMITS})
            try:
                _try(venue, fault, result)
            finally:
                venue.kill_all()
        tell(result.faults)
    return result


def _try(venue: Venue, fault: str, result: Tried) -> None:
    result.faults += 1
    child = venue.start("engine", environment("/data/journal", fault=fault))
    acknowledged = []
    if child.await_ready():
        acknowledged = _trade(venue.client("writer"))
    ended = child.code is not None or not _answers(venue)
    if ended:
        child.popen.wait(30)
        _said_why(venue, fault, child.popen.returncode, result)
    else:
        result.ends["went on"] += 1
        child.terminate()
    again = venue.start("engine")
    if not again.await_ready():
        result.findings.append(f"{fault}: it does not start again: {venue.log_of('engine')}")
        return
    client = venue.client()
    for seq, order in acknowledged:
        if client.fetch(queries.Transaction(seq)).value.command != order:
            result.findings.append(f"{fault}: {order} was acknowledged as {seq}, and is not there")
    result.findings += [f"{fault}: {text}" for text in client.fetch(queries.Check()).value]
    client.close()
    again.terminate()
    report = verify(venue.data / "journal", venue.data / "journal" / "snapshots")
    result.findings += [f"{fault}: verify: {f.place} {f.text}" for f in report.findings]


def _trade(client: EngineClient) -> list[tuple[int, NewOrder | CancelOrder]]:
    """Orders one by one until the engine is gone; what was acknowledged."""
    found: list[tuple[int, NewOrder | CancelOrder]] = []
    origin = Origin("api:alice")
    try:
        for number in range(ORDERS_MAX):
            order: NewOrder | CancelOrder = NewOrder(
                origin, "alice", f"o{number}", "BTC-USD", Side.BUY, OrdType.LIMIT,
                TimeInForce.GTC, 100, 100,
            )  # fmt: skip
            if number % 3 == 2:
                order = CancelOrder(origin, "alice", f"c{number}", f"o{number - 1}")
            found.append((client.submit(order, CLIENT_S_MAX).transaction.seq, order))
    except EngineError:
        return found
    finally:
        client.close()
    return found


def _answers(venue: Venue) -> bool:
    client = venue.client()
    try:
        client.fetch(queries.Status())
    except EngineError:
        return False
    finally:
        client.close()
    return True


def _said_why(venue: Venue, fault: str, code: int, result: Tried) -> None:
    """The exit code and one critical line that a person understands."""
    lines = [json.loads(line) for line in venue.log_of("engine", 1 << 20).splitlines()
             if '"critical"' in line]  # fmt: skip
    reasons = [str(line.get("reason", "")) for line in lines]
    result.ends["stopped" if code == WRITE_FAILED else "did not start"] += 1
    said = len(reasons) == 1 and ("journal" in reasons[0] or "segment" in reasons[0])
    if code != WRITE_FAILED or not said:
        result.findings.append(f"{fault}: ended with {code}, saying {reasons}")
