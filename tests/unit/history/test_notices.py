"""What accounts are notified of: each state of money, and fills, in the venue's order."""

from __future__ import annotations

from sqlalchemy import Engine, text

from engine.core.events import OrderFilled, WithdrawalUpdated
from engine.core.types import Withdrawal
from engine.history import queries
from engine.history.notices import first_trade
from engine.history.projector import Projector
from engine.history.rows import Fill, Notice
from engine.history.store import open_reader, open_writer
from tests.support.strategies import ACCOUNTS
from tests.unit.history.by_hand import day
from tests.unit.history.test_against_exchange import play

FIRST, ALL = (0, 0), sorted(ACCOUNTS)


def read(engine: Engine, limit: int = 1000, **more: object) -> list[Notice]:
    """Every notice of all accounts, by pages."""
    found: list[Notice] = []
    place = (0, -1)
    with engine.connect() as connection:
        while True:
            page = queries.notices(
                connection, ALL, after=place, fills_after=(0, -1), limit=limit, **more
            )  # type: ignore[arg-type]
            found += page
            if len(page) < limit:
                return found
            place = page[-1].place


def test_every_state_and_every_fill_is_noticed_once_and_in_order(url: str) -> None:
    _, transactions, _ = play(7, 800)
    writer = open_writer(url)
    Projector(writer).apply(transactions)
    reader = open_reader(url)
    found = read(reader)
    assert [one.place for one in found] == sorted({one.place for one in found})
    assert read(reader, limit=40) == found
    expected = [
        (transaction.seq, index)
        for transaction in transactions
        for index, event in enumerate(transaction.events)
        if isinstance(event, OrderFilled | WithdrawalUpdated)
        or type(event).__name__ == "DepositUpdated"
    ]
    assert [one.place for one in found] == expected
    by_place = {one.place: one for one in found}
    for transaction in transactions:
        for index, event in enumerate(transaction.events):
            if isinstance(event, WithdrawalUpdated):
                assert by_place[transaction.seq, index].about == event.withdrawal
    fills = [one for one in found if isinstance(one.about, Fill)]
    withdrawals = [one for one in found if isinstance(one.about, Withdrawal)]
    assert len(fills) > 20 and len(withdrawals) > 5
    with reader.connect() as connection:
        for one in (fills[0], fills[len(fills) // 2], fills[-1]):
            assert first_trade(connection, one.seq) == min(
                other.about.trade_id for other in fills
                if isinstance(other.about, Fill) and other.seq >= one.seq
            )  # fmt: skip
        assert first_trade(connection, transactions[-1].seq + 1) == (
            queries.newest_trade(connection) + 1
        )
        middle = found[len(found) // 2]
        assert queries.notices(
            connection, ALL, after=(middle.seq, middle.event_index - 1), until=middle.place,
            fills_after=(0, 0),
        ) == [middle]
        last = found[-1]
        assert last.account in queries.touched(connection, last.seq - 1, 0)
        assert queries.touched(connection, last.seq, 10**9) == set()
        assert queries.notices(connection, ["nobody"], after=FIRST, fills_after=FIRST) == []
    reader.dispose()
    writer.dispose()


def test_a_history_from_before_begins_its_notices_where_it_stands(url: str) -> None:
    writer = open_writer(url)
    transactions = day()
    half = len(transactions) // 2
    Projector(writer).apply(transactions[:half])
    with writer.begin() as connection:
        connection.execute(text("drop table money_events"))
    Projector(writer).apply(transactions)
    reader = open_reader(url)
    with reader.connect() as connection:
        rows = queries.notices(connection, ALL, after=FIRST, limit=1000)
    assert all(one.seq > half for one in rows)
    reader.dispose()
    writer.dispose()


def test_instruments_are_known_from_the_history_alone(url: str) -> None:
    exchange, transactions, _ = play(12, 50)
    writer = open_writer(url)
    Projector(writer).apply(transactions)
    reader = open_reader(url)
    with reader.connect() as connection:
        found = queries.instruments(connection)
        scales = queries.scales(connection)
    for symbol, book in exchange.books.items():
        assert found[symbol].price_text(12_345) == book.instrument.price_text(12_345)
    assert scales.keys() == exchange.assets.keys()
    reader.dispose()
    writer.dispose()
