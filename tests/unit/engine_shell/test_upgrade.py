"""A journal that an earlier version of the engine left behind, as it came from its disk."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from engine.core.commands import Tick
from engine.core.events import OrderAccepted
from engine.core.types import ENGINE_VERSION, Origin
from engine.history import queries
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotInvalid, read_snapshot, snapshot_paths
from engine.wire import decode_transaction
from tests.support.venue import violations
from tests.unit.engine_shell.harness import EngineThread, Start
from tools.unpack import unpack

DATA = Path(__file__).parent / "data"
LAST = {"1": 433, "2": 778, "3": 900}


@pytest.fixture(params=sorted(LAST))
def left(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    """The journal folder that a version left at a clean stop, and its last seq."""
    version = request.param
    with tarfile.open(DATA / f"engine-{version}.tar.xz") as archive:
        unpack(archive, tmp_path)
    (tmp_path / f"engine-{version}").rename(tmp_path / "journal")
    return tmp_path / "journal", LAST[version]


def test_this_version_goes_on_where_an_earlier_one_was_stopped(
    left: tuple[Path, int], start: Start
) -> None:
    folder, last = left
    engine: EngineThread = start(folder=folder.parent)
    assert engine.notes == []
    assert engine.recovered_from == last  # Timers that are long due go on from there at once.
    assert violations(engine.exchange) == []
    client = engine.client()
    assert client.submit(Tick(Origin("engine"))).transaction.seq > last
    client.close()
    engine.stop()
    again = start(folder=folder.parent)
    assert (again.recovered_from, again.notes) == (engine.exchange.seq, [])
    versions = set(again.local.versions_after(0))
    assert ENGINE_VERSION in versions and len(versions) == 2


def test_records_of_an_earlier_version_are_read_and_projected(
    left: tuple[Path, int], tmp_path: Path
) -> None:
    """What a later version added to events and orders has its default there."""
    folder, last = left
    journal = LocalJournal(folder)
    transactions = [decode_transaction(record.body) for record in journal.scan(1)]
    journal.close()
    assert len(transactions) == last
    accepted = [e for t in transactions for e in t.events if isinstance(e, OrderAccepted)]
    assert accepted and all(event.order.route is None for event in accepted)
    assert all(transaction.command.origin.route is None for transaction in transactions)
    store = open_writer(f"sqlite:///{tmp_path / 'history.db'}")
    Projector(store).apply(transactions)
    with store.connect() as connection:
        number = accepted[-1].order.order_id
        found = queries.order(connection, [accepted[-1].account], order_id=number)
    store.dispose()
    assert found is not None and found.row.order.route is None


def test_a_snapshot_of_an_earlier_version_is_vouched_for_by_its_hash(
    left: tuple[Path, int],
) -> None:
    folder, _ = left
    (path,) = snapshot_paths(folder / "snapshots")
    header, exchange = read_snapshot(path)
    assert header.engine_version != ENGINE_VERSION
    assert exchange.seq == header.seq
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotInvalid):
        read_snapshot(path)
    journal = LocalJournal(folder)
    with pytest.raises(Exception, match="cleanly stop"):
        recover(journal, folder / "snapshots", lambda note: None, lambda *a: None)
    journal.close()
