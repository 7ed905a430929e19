"""Cost of the pure FIX translation, message by message: python -m benchmarks.fix_translation

Prints microseconds of processor time per message, the best of several rounds: a NewOrderSingle to
its command, and committed transactions to report bodies. No engine, no QuickFIX, no socket.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from config.model import SessionSettings
from engine.core.commands import NewOrder
from engine.core.events import Event, OrderAccepted, OrderCanceled, OrderFilled
from engine.core.instruments import make_instrument
from engine.core.types import (
    CancelReason,
    Liquidity,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    SelfTrade,
    Side,
    TimeInForce,
)
from engine.wire import Transaction
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.decode import translate
from fix_gateway.codec.message import SOH
from fix_gateway.codec.routing import Router

MESSAGES: Final = 5_000
ROUNDS: Final = 7
INSTRUMENT: Final = make_instrument(
    "BTC-USD", "BTC", 8, "USD", 8, "0.01", "0.00001", 1, 100_000_000, 100_000_000
)
INSTRUMENTS: Final = {INSTRUMENT.symbol: INSTRUMENT}
SESSION: Final = SessionContext(
    SessionSettings(
        comp_id="ALICE", account="alice", username="alice", firm="alice",
        accounts=frozenset({"alice"}),
    ),
    stale_after_us=5_000_000,
)  # fmt: skip
ORIGIN: Final = Origin("fix:ALICE", 1, 7)


def order_text(number: int) -> str:
    """Return a NewOrderSingle as QuickFIX hands it on."""
    line = (
        f"8=FIX.4.4|9=150|35=D|34={number}|49=ALICE|52=20260105-09:30:00.000000|56=TANDEM|"
        f"11=order-{number}|38=1.{number % 100:02d}5|40=2|44=40{number % 1000:03d}.25|54=1|"
        "55=BTC-USD|59=1|60=20260105-09:30:00.123456|10=240|"
    )
    return line.replace("|", SOH)


def terms(number: int) -> OrderTerms:
    """Return a resting limit order."""
    return OrderTerms(
        number, "alice", f"order-{number}", f"order-{number}", "BTC-USD", Side.BUY,
        OrdType.LIMIT, TimeInForce.GTC, 150_000 + number % 100, 4_000_000 + number % 1000, 0, 0, 0,
        0, 0, False, SelfTrade.NONE, "", False, "fix:ALICE", 0,
    )  # fmt: skip


def transactions(make: Callable[[OrderTerms], Event]) -> list[Transaction]:
    """Return a transaction of one event for each."""
    command = NewOrder(
        ORIGIN, "alice", "x", "BTC-USD", Side.BUY, OrdType.LIMIT, TimeInForce.GTC, 1, 1
    )
    return [
        Transaction(n, 1_767_605_400_000_000 + 137 * n, command, (make(terms(n)),))
        for n in range(1, MESSAGES + 1)
    ]


def accepted(o: OrderTerms) -> Event:
    """Return the events of an order that rests."""
    return OrderAccepted("alice", 1, o, o.qty, 0, o.qty)


def filled(o: OrderTerms) -> Event:
    """Return a second fill at another price, so that the average price is a fraction."""
    notional = 50_000 * o.price + 1_000 * (o.price - 1)
    return OrderFilled(
        "alice", 2, o, OrdStatus.PARTIALLY_FILLED, o.qty - 51_000, 51_000, notional, o.order_id,
        1_000, o.price - 1, Liquidity.TAKER, 0, 1_000 * o.price * 10, 10 * o.price, 0, 0, 0,
    )  # fmt: skip


def canceled(o: OrderTerms) -> Event:
    """Return the answer to a cancel."""
    return OrderCanceled(
        "alice", 3, o, OrdStatus.CANCELED, 0, 0, CancelReason.REQUESTED, "cancel", "fix:ALICE", 0
    )


def best_us(run: Callable[[], object]) -> float:
    """Return microseconds per message of the fastest round."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        fastest = min(fastest, time.process_time() - start)
    return fastest / MESSAGES * 1e6


def main() -> None:
    """Measure and print."""
    texts = [order_text(number) for number in range(1, MESSAGES + 1)]
    router = Router([SESSION])

    def read() -> None:
        for text in texts:
            translate(text, SESSION, 1, INSTRUMENTS, 0)

    print(f"NewOrderSingle to command      {best_us(read):6.2f} us")
    for name, make in (("accepted", accepted), ("filled", filled), ("canceled", canceled)):
        made = transactions(make)

        def write(made: list[Transaction] = made) -> None:
            for transaction in made:
                router.deliveries(transaction, INSTRUMENTS)

        print(f"ExecutionReport, {name:<12} {best_us(write):7.2f} us")


if __name__ == "__main__":
    main()
