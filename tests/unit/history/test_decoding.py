"""What the projector decodes of a transaction is what the engine encoded."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, delete

from engine.core import events as ev
from engine.history import schema
from engine.history.decoding import OF_ORDERS, OTHERS, STRUCTS, decode
from engine.history.fold import _EVENTS, HistoryFault
from engine.history.projector import Projector
from engine.history.store import open_writer
from engine.wire import WireError, encode_transaction
from tests.unit.history.by_hand import day
from tests.unit.history.test_against_exchange import play
from tests.unit.history.test_projector import dump


@pytest.fixture
def writer(url: str) -> Any:
    engine = open_writer(url)
    yield engine
    engine.dispose()


def test_every_event_that_makes_rows_is_decoded() -> None:
    assert set(_EVENTS) == set(OF_ORDERS) | set(OTHERS) and set(STRUCTS) == set(OF_ORDERS)
    for event, struct in STRUCTS.items():
        assert struct.__struct_fields__ == event._fields  # type: ignore[attr-defined]


def test_rows_from_bytes_equal_rows_from_events(writer: Engine, tmp_path: Any) -> None:
    _, transactions, _ = play(11, 600)
    kinds = {type(event) for transaction in transactions for event in transaction.events}
    assert set(OF_ORDERS) - kinds <= {ev.OrderRestated}, "the flow has nearly every event"
    projector = Projector(writer)
    for start in range(0, len(transactions), 40):
        raw = [encode_transaction(*each) for each in transactions[start : start + 40]]
        projector.apply([decode(each) for each in raw])
    other = open_writer(f"sqlite:///{tmp_path / 'other.db'}")
    Projector(other).apply(transactions)
    assert dump(writer) == dump(other)
    other.dispose()


def test_bytes_that_are_no_transaction_are_refused() -> None:
    with pytest.raises(WireError, match="malformed"):
        decode(b"\x93\x01")
    event = ev.OrderTriggered("a", 1, "no terms", 1, 1)  # type: ignore[arg-type]
    raw = encode_transaction(1, 1, day()[0].command, [event])
    with pytest.raises(WireError, match="malformed"):
        decode(raw)


def test_a_change_of_an_order_that_is_not_stored_stops_the_projector(writer: Engine) -> None:
    transactions = day()
    changed = next(
        at for at, one in enumerate(transactions)
        if any(isinstance(event, ev.OrderFilled) for event in one.events)
    )  # fmt: skip
    projector = Projector(writer)
    projector.apply(transactions[:changed])
    with writer.begin() as connection:
        connection.execute(delete(schema.orders))
    before = dump(writer)
    with pytest.raises(HistoryFault, match="never accepted"):
        projector.apply(transactions[changed:])
    assert dump(writer) == before
