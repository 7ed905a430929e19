"""Three machines under fire, in the short form; and the comparison sees what is wrong."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from engine.client import Transaction
from engine.core.commands import Tick
from engine.core.types import Origin
from tests.prove.cluster import check, network
from tests.prove.cluster.__main__ import launch
from tests.prove.cluster.clients import Acknowledged
from tests.prove.cluster.faults import NEEDS_NAMESPACES
from tests.prove.cluster.run import SHORT, waits
from tests.support.etcd import needs_etcd

SEED = int(os.environ.get("TANDEM_SEED", "1"))


def transaction(seq: int, token: str) -> Transaction:
    return Transaction(seq, seq, Tick(Origin("api:pulse", token=token)), ())


JOURNAL = [transaction(1, "first"), transaction(2, "second")]


def pulse(*told: Transaction, sent_at: float = 0.0) -> Any:
    return SimpleNamespace(
        name="pulse",
        acknowledged=[
            Acknowledged(one.command.origin.token, sent_at, sent_at + 0.5, False, one)
            for one in told
        ],
    )


@needs_etcd
@pytest.mark.xdist_group("cluster")
@pytest.mark.timeout(300)
def test_three_machines_lose_and_double_nothing_that_was_acknowledged() -> None:
    proved = launch(SEED, SHORT)
    assert proved.findings == [], f"seed {SEED}"
    alone = network.possible()
    tried = {kind for kind in SHORT.kinds if alone or kind not in NEEDS_NAMESPACES}
    assert tried <= proved.faults.keys()
    assert len(proved.waits) == SHORT.losses
    assert min(proved.told[what] for what in ("orders of pulses", "REST answers compared")) > 20
    assert proved.told["records replayed by audits"] == 3 * proved.transactions


@pytest.mark.parametrize(
    ("told", "journal"),
    [
        (JOURNAL, JOURNAL[:1]),
        (JOURNAL[:1], JOURNAL),
        (JOURNAL, [*JOURNAL, transaction(3, "second")]),
        (JOURNAL, [JOURNAL[0], transaction(2, "another")]),
        ([*JOURNAL, JOURNAL[1]], JOURNAL),
    ],
    ids=["lost", "not told", "done twice", "another", "told twice"],
)
def test_what_was_told_and_is_not_so_is_found(
    told: list[Transaction], journal: list[Transaction]
) -> None:
    found: list[str] = []
    check.pulse(pulse(*told), journal, found.append)
    assert found
    found.clear()
    check.pulse(pulse(*JOURNAL), JOURNAL, found.append)
    assert found == []


@pytest.mark.parametrize(
    "heard",
    [JOURNAL[:1], [JOURNAL[1], JOURNAL[0]], [JOURNAL[0], transaction(2, "taken back")]],
    ids=["lost", "out of order", "taken back"],
)
def test_what_a_machine_published_and_is_not_so_is_found(heard: list[Transaction]) -> None:
    found: list[str] = []
    check.listener(SimpleNamespace(name="one", heard=heard), JOURNAL, found.append)  # type: ignore[arg-type]
    assert found


def test_a_loss_lasts_until_an_order_that_was_sent_after_it_is_acknowledged() -> None:
    pulses = [pulse(JOURNAL[0], sent_at=1.0), pulse(JOURNAL[1], sent_at=3.0)]
    assert waits([1.2], pulses) == [pytest.approx(2.3)]
    assert waits([4.0], pulses) == []
