"""Money, sequences, replay and restore under random commands of every kind.

TANDEM_PROPERTY_COMMANDS sets how many commands a flow has (default 1,000).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.journal.statecodec import decode_state, encode_state
from engine.wire import decode_transaction, encode_transaction
from tests.property.bookkeeper import Bookkeeper
from tests.property.replay import commands, digest
from tests.support import pace
from tests.support.venue import new_exchange, violations
from tests.support.wide_flow import WideFlow

COMMANDS = int(os.environ.get("TANDEM_PROPERTY_COMMANDS", "1000"))
FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + 8)


@pytest.mark.timeout(max(120, COMMANDS // 20))
@pytest.mark.parametrize("seed", SEEDS)
def test_L1_L2_L5_money_and_book_follow_from_the_events(seed: int) -> None:
    """After every command: no invariant broken, and events tell the same as the state."""
    exchange, keeper = new_exchange(), Bookkeeper()
    for seq, time_us, command, _ in commands(WideFlow(seed), COMMANDS, exchange, keeper.take):
        found = violations(exchange) + keeper.disagreements(exchange)
        assert not found, f"seed {seed}, {seq} at {time_us}: {command}\n{found}"


@pytest.mark.parametrize("seed", SEEDS)
def test_replay_of_the_encoded_transactions_gives_the_same_bytes(seed: int) -> None:
    exchange = new_exchange()
    written = [
        encode_transaction(*row)
        for row in commands(WideFlow(seed), COMMANDS, exchange, lambda events: None)
    ]
    again = new_exchange()
    for raw in written:
        told = decode_transaction(raw)
        events = again.apply(told.seq, told.time_us, told.command)
        assert encode_transaction(told.seq, told.time_us, told.command, events) == raw
    assert again.state_hash() == exchange.state_hash()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restored_exchange_goes_on_identically(seed: int) -> None:
    """At every 97th command the state goes out, as a snapshot, and in; both go on."""
    exchange = new_exchange()
    restored = new_exchange()
    for row in commands(WideFlow(seed), COMMANDS, exchange, lambda events: None):
        seq, time_us, command, _ = row
        assert restored.find_duplicate(command) is None
        events = restored.apply(seq, time_us, command)
        assert encode_transaction(seq, time_us, command, events) == encode_transaction(*row)
        assert restored.next_timer() == exchange.next_timer()
        if seq % 97 == 0:
            state = decode_state(encode_state(exchange.export_state()))
            restored = type(exchange).restore(state)
            assert violations(restored) == []
            assert restored.state_hash() == exchange.state_hash()
            assert restored.export_state() == exchange.export_state()
    assert restored.state_hash() == exchange.state_hash()


def test_every_part_of_the_state_is_in_its_hash() -> None:
    """Any command that changes the exported state changes the hash, and no other does."""
    exchange = new_exchange()
    seen: dict[str, bytes] = {}
    for _ in commands(WideFlow(FIRST_SEED), 300, exchange, lambda events: None):
        state = encode_state(exchange.export_state())
        assert seen.setdefault(exchange.state_hash(), state) == state
    assert len(seen) == exchange.seq


def test_outcomes_do_not_depend_on_the_hash_seed(root: Path) -> None:
    seen = {digest(FIRST_SEED, COMMANDS)}
    for hash_seed in ("0", "1", "random"):
        printed = subprocess.run(
            [sys.executable, "-m", "tests.property.replay", str(FIRST_SEED), str(COMMANDS)],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
            timeout=pace.seconds(100),
        ).stdout.split()
        seen.add((printed[0], printed[1]))
    assert len(seen) == 1, f"{len(seen)} different outcomes of seed {FIRST_SEED}"
