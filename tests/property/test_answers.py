"""Whatever a turn sets off, every command of a random flow finds its own answer in it."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Final

import pytest

from engine.client.answers import own_event
from engine.core import commands as c
from engine.core import events as e
from tests.property.replay import commands
from tests.support.venue import new_exchange
from tests.support.wide_flow import WideFlow

COMMANDS: Final = int(os.environ.get("TANDEM_PROPERTY_COMMANDS", "1500"))
FIRST_SEED: Final = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS: Final = range(FIRST_SEED, FIRST_SEED + 8)

ANSWERS: Final[dict[type, tuple[type, ...]]] = {
    c.NewOrder: (e.OrderAccepted, e.OrderRejected, e.StatusReported),
    c.CancelOrder: (e.OrderCanceled, e.CancelRejected),
    c.ReplaceOrder: (e.OrderReplaced, e.CancelRejected),
    c.MassCancel: (e.MassCanceled,),
    c.Batch: (e.BatchDone,),
    c.Deposit: (e.DepositUpdated, e.Refused),
    c.RequestWithdrawal: (e.WithdrawalUpdated, e.Refused),
    c.ApproveWithdrawal: (e.WithdrawalUpdated, e.Refused),
    c.RejectWithdrawal: (e.WithdrawalUpdated, e.Refused),
    c.CancelWithdrawal: (e.WithdrawalUpdated, e.Refused),
    c.Transfer: (e.Transferred, e.Refused),
    c.AddAddress: (e.AddressChanged, e.Refused),
    c.RemoveAddress: (e.AddressChanged, e.Refused),
    c.QuoteWithdrawal: (e.WithdrawalQuoted, e.Refused),
    c.AssignDepositAddress: (e.DepositAddressAssigned, e.Refused),
    c.SetDeadMansSwitch: (e.DeadMansSwitchSet, e.Refused),
    c.OpenSession: (e.SessionChanged, e.Refused),
    c.StartEpoch: (e.SessionChanged, e.Refused),
    c.TakeSession: (e.SessionHeld,),
    c.ReserveNumbers: (e.SessionHeld,),
}
"""The kinds of events that answer each kind of command; the others need not be answered."""
ENTRIES: Final = (
    e.OrderAccepted, e.OrderReplaced, e.OrderCanceled, e.OrderRejected, e.CancelRejected,
    e.StatusReported,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_every_command_finds_its_answer(seed: int) -> None:
    met: Counter[str] = Counter()
    for seq, _, command, events in commands(
        WideFlow(seed), COMMANDS, new_exchange(), lambda events: None
    ):
        kinds = ANSWERS.get(type(command))
        if kinds is None or (isinstance(command, c.RequestWithdrawal) and not events):
            continue
        event: Any = own_event(events, command, *kinds)
        assert event is not None, f"seed {seed}, seq {seq}: {command}\n{events}"
        met["behind"] += event is not events[0]
        met["followed"] += event is not events[-1]
        if isinstance(command, c.Batch):
            _check_entries(seed, seq, command, event, events)
            met["batches with stops"] += event is not events[-1]
    assert met["followed"] > 0, "no turn did more than it was asked for"


def _check_entries(
    seed: int, seq: int, batch: c.Batch, done: e.BatchDone, events: list[e.Event]
) -> None:
    """The rows of a batch tile what precedes its summary; each entry is answered in its own."""
    if not done.results:
        return
    place = done.results[0][0]
    for entry, (first, count, accepted) in zip(batch.entries, done.results, strict=True):
        assert first == place, f"seed {seed}, seq {seq}: {done}"
        place += count
        event = own_event(events[first : first + count], entry, *ENTRIES)
        assert event is not None, f"seed {seed}, seq {seq}: {entry}\n{events}"
        refused = isinstance(event, e.OrderRejected | e.CancelRejected)
        assert refused is not accepted, f"seed {seed}, seq {seq}: {entry} {event}"
    assert events[place] is done
