"""What stops the engine from starting, and what must not: the process, from its outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from config.settings import SettingsError, ensure_data, load
from engine.client import queries
from engine.core.commands import NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.main import build
from engine.server.bootstrap import refused
from engine.server.terms import Bounds
from tandem.output import CommandError
from tandem.up import rehearse
from tests.support import pace
from tests.support.processes import EngineProcess

DEMO = (Path(__file__).parent.parent.parent / "config" / "demo.toml").read_text("utf-8")


def run(root: Path, engine: EngineProcess, text: str) -> subprocess.CompletedProcess[str]:
    """Start the engine with a configuration that it should refuse, and let it end."""
    engine.config.write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "engine.main"], cwd=root, env=os.environ | engine.environment,
        capture_output=True, text=True, timeout=pace.seconds(30),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('asset = "ETH"\nscale = 8', 'asset = "ETH"\nscale = 9',
         "asset ETH has scale 8, which cannot change to 9"),
        ('lot = "0.0001"', 'lot = "0.00001"', "assets, tick and lot of ETH-USD cannot change"),
        ('account = "bob"\nfirm = "bob"', 'account = "bob"\nfirm = "robert"',
         "account bob belongs to firm bob, which cannot change"),
    ],
    ids=["scale", "grid", "firm"],
)  # fmt: skip
def test_a_configuration_that_the_journal_contradicts_stops_the_start_and_writes_nothing(
    root: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    engine = EngineProcess(tmp_path)
    engine.start()
    client = engine.client("before")
    before = client.fetch(queries.Status()).value.seq
    client.close()
    assert engine.stop() == 0
    good = engine.config.read_text()
    changed = good.replace(old, new, 1).replace('max_qty = "100000"', 'max_qty = "90000"', 1)
    done = run(root, engine, changed)
    assert done.returncode == 2
    last = json.loads(done.stderr.splitlines()[-1])
    assert last["event"] == "engine_not_started" and sentence in last["reason"]
    engine.config.write_text(good)
    engine.start()
    client = engine.client("after")
    # Not even what would have been good was done.
    assert client.fetch(queries.Status()).value.seq == before
    client.close()
    assert engine.stop() == 0


def test_a_last_snapshot_that_fails_is_a_failed_snapshot_and_a_clean_stop(
    root: Path, tmp_path: Path
) -> None:
    engine = EngineProcess(tmp_path)
    process = engine.start()
    client = engine.client("trader")
    order = NewOrder(Origin("api:alice"), "alice", "kept", "BTC-USD", Side.BUY, OrdType.LIMIT,
                     TimeInForce.GTC, 100, 100)  # fmt: skip
    seq = client.submit(order).transaction.seq
    client.close()
    snapshots = engine.data / "journal" / "snapshots"
    if snapshots.exists():
        for path in snapshots.iterdir():
            path.unlink()
        snapshots.rmdir()
    snapshots.write_text("a file stands where the snapshots should be")
    assert engine.stop() == 0
    lines = process.lines
    (failed,) = [line for line in lines if line["event"] == "last_snapshot_failed"]
    assert failed["level"] == "error" and failed["seq"] >= seq
    assert lines[-1]["event"] == "stopped"
    assert "engine_stopped" not in {line["event"] for line in lines}
    snapshots.unlink()
    engine.start()
    client = engine.client("again")
    assert client.fetch(queries.Transaction(seq)).value.command == order
    assert client.fetch(queries.Check()).value == []
    client.close()
    assert engine.stop() == 0


def test_two_firms_of_the_demo_trade_3100_btc_at_60000_and_the_engine_stops_and_starts(
    root: Path, tmp_path: Path
) -> None:
    """The fee weight of such an order passes 64 bits; it is remembered for thirty days."""
    demo = DEMO.replace('grants = { BTC = "1000",', 'grants = { BTC = "3100",')
    demo = demo.replace('USD = "100000000" }', 'USD = "900000000" }')
    engine = EngineProcess(tmp_path)
    engine.config.write_text(demo)
    engine.start()
    client = engine.client("traders")
    for name, side in (("alice", Side.SELL), ("bob", Side.BUY)):
        client.submit(NewOrder(Origin(f"api:{name}"), name, "big", "BTC-USD", side, OrdType.LIMIT,
                               TimeInForce.GTC, 310_000_000, 6_000_000))  # fmt: skip
    seq = client.fetch(queries.Status()).value.seq
    state = client.fetch(queries.StateHash()).value
    client.close()
    assert engine.stop() == 0
    assert (engine.data / "journal" / "snapshots" / f"{seq:020d}.snapshot").is_file()
    engine.start()
    client = engine.client("again")
    assert client.fetch(queries.Status()).value.snapshot_seq == seq
    assert client.fetch(queries.StateHash()).value == state
    assert client.fetch(queries.Check()).value == []
    client.close()
    assert engine.stop() == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [("taker_fee_ppm = 1000", "taker_fee_ppm = 1000000"),
     ("client_id_window_days = 30", "client_id_window_days = 30\nclosed_orders_kept = 0")],
    ids=["fee", "kept"],
)  # fmt: skip
def test_what_the_loader_lets_pass_the_exchange_takes(
    tmp_path: Path, old: str, new: str
) -> None:
    """One list for both: what the exchange refuses, the loader does."""
    path = tmp_path / "venue.toml"
    path.write_text(DEMO.replace(old, new))
    with pytest.raises(SettingsError):
        load(path, env={})
    assert refused(load(env={})) == []


def test_a_configuration_that_only_the_exchange_refuses_is_told_before_anything_starts() -> None:
    """What the loader cannot know is asked of the exchange itself."""
    settings = load(env={})
    account = msgspec.structs.replace(settings.accounts[0], taker_fee_ppm=1_000_000)
    broken = msgspec.structs.replace(settings, accounts=(account, *settings.accounts[1:]))
    assert refused(broken) == [
        "alice: an account has a name, a firm and fees of 0 to 999,999 parts per million",
        *(f"genesis:alice:{asset}: there is no account 'alice'" for asset in ("BTC", "ETH", "USD")),
    ]
    with pytest.raises(CommandError, match="cannot be used:\n  alice: an account has"):
        rehearse(broken)


def test_every_limit_of_the_configuration_reaches_what_it_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values are all different, so that none can stand for another."""
    given = {
        "batch_max": 301, "snapshot_every": 60_007, "min_seq_wait_ms_max": 703,
        "clients_max": 37, "client_queue_bytes_max": 5 << 20, "frame_bytes_max": 77_777,
        "segment_records_max": 900_001,
    }  # fmt: skip
    lines = "\n".join(f"{name} = {value}" for name, value in given.items())
    file = tmp_path / "tandem.toml"
    file.write_text(f"{DEMO}\n[engine]\n{lines}\n")
    monkeypatch.setenv("TANDEM_CONFIG", str(file))
    monkeypatch.setenv("TANDEM_DATA", str(tmp_path / "data"))
    settings = load()
    ensure_data(settings)
    sequencer, journal, server = build(settings)
    try:
        bounds, limits = sequencer._bounds, server.limits
        reached = {
            "batch_max": bounds.batch_max, "snapshot_every": bounds.snapshot_every,
            "min_seq_wait_ms_max": bounds.min_seq_wait_ms_max,
            "clients_max": limits.clients_max, "client_queue_bytes_max": limits.queue_bytes_max,
            "frame_bytes_max": limits.frame_bytes_max,
            "segment_records_max": journal._segment_records_max,
        }  # fmt: skip
        assert reached == given
        assert bounds.turn_ms_max == Bounds().turn_ms_max
    finally:
        server.close()
        sequencer.close()
        journal.close()
