"""Market data by FIX is the engine's book at every sequence that it names; and who would not know.

TANDEM_SEED sets the seed. ``make prove`` subscribes a thousand times, under many more orders.
"""

from __future__ import annotations

import dataclasses
import os
import random
import re
from collections.abc import Callable

import pytest

from tests.prove.market.run import Record, record

pytestmark = [pytest.mark.timeout(300)]

SEED = int(os.environ.get("TANDEM_SEED", "1"))
SUBSCRIPTIONS, BURSTS = 60, 300


@pytest.fixture(scope="module")
def recorded() -> Record:
    return record(SEED, SUBSCRIPTIONS, BURSTS)


def test_what_stock_clients_rebuild_is_the_engines_book_at_every_sequence(
    recorded: Record,
) -> None:
    checked = recorded.check()
    assert checked.findings == [], f"seed {SEED}"
    assert checked.messages > 300 and checked.snapshots > 50 and checked.checksums > 50
    assert checked.transactions > 1_000 and checked.trades > 100
    assert checked.empty > 0 and checked.halted > 0 and checked.queries > 3
    assert recorded.slow > 0, "one client was too slow to be told all"


Sabotage = Callable[[list[str], random.Random], list[str]]


def loses_a_message(texts: list[str], pick: random.Random) -> list[str]:
    place = pick.choice(changes(texts))
    return texts[:place] + texts[place + 1 :]


def doubles_a_message(texts: list[str], pick: random.Random) -> list[str]:
    place = pick.choice(changes(texts))
    return texts[: place + 1] + texts[place:]


def changes_a_quantity(texts: list[str], pick: random.Random) -> list[str]:
    place = pick.choice([n for n in changes(texts) if "\x01271=" in texts[n]])
    changed = re.sub(r"\x01271=([\d.]+)", "\x01271=\\g<1>1", texts[place], count=1)
    return [*texts[:place], changed, *texts[place + 1 :]]


def is_late_by_one_transaction(texts: list[str], pick: random.Random) -> list[str]:
    def later(found: re.Match[str]) -> str:
        return f"\x0120001={int(found[1]) - 1}"

    return [re.sub(r"\x0120001=(\d+)", later, text) if "35=X" in text else text for text in texts]


def has_a_wrong_checksum(texts: list[str], pick: random.Random) -> list[str]:
    place = pick.choice([n for n, text in enumerate(texts) if "\x0120026=" in text])
    changed = re.sub(r"\x0120026=\d+", "\x0120026=7", texts[place])
    return [*texts[:place], changed, *texts[place + 1 :]]


def changes(texts: list[str]) -> list[int]:
    """Where an X is that others follow, of the same subscription."""
    found = []
    last: dict[str, int] = {}
    for place, text in enumerate(texts):
        if "\x0135=X\x01" not in text:
            continue
        key = re.sub(r".*\x01262=(\w+)\x01.*\x0155=([\w-]+)\x01.*", r"\1 \2", text)
        if key in last:
            found.append(last[key])
        last[key] = place
    return found


@pytest.mark.parametrize(
    "sabotage",
    [
        loses_a_message, doubles_a_message, changes_a_quantity, is_late_by_one_transaction,
        has_a_wrong_checksum,
    ],
)  # fmt: skip
def test_a_venue_that_breaks_a_promise_is_found(recorded: Record, sabotage: Sabotage) -> None:
    client = max(recorded.received, key=lambda name: len(changes(recorded.received[name])))
    texts = sabotage(recorded.received[client], random.Random(SEED))
    broken = dataclasses.replace(recorded, received=recorded.received | {client: texts})
    assert broken.check().findings

