"""The flows of the comparison with other venues, as bodies of FIX messages.

Every message comes with the number of ExecutionReports that it causes, by which the load knows
how many are unanswered and when a round is over. The ids of a flow begin with a prefix of the
round; a flow leaves no order behind that a later round could trade with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from benchmarks.fix_load import SOH
from benchmarks.flow import Flow, Shape, definitions
from engine.core.commands import CancelOrder, NewOrder, ReplaceOrder
from engine.core.events import Event, OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced
from engine.core.types import Side, TimeInForce

STAMP: Final = "20260105-09:30:00"
ENTRIES: Final = 10
RESTING: Final = 500
REPORTED: Final = (OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced)
WHAT: Final = {
    "resting": "limit orders that rest",
    "crossing": "pairs of orders that trade in full: four reports a pair",
    "mix": "48 % new, 37 % cancel, 10 % replace, 5 % IOC, about 500 resting orders",
    "batches": f"NewOrderList(E) of {ENTRIES} orders that rest",
}


class Item(NamedTuple):
    """A message: its type, its body, the ExecutionReports and the orders in it."""

    kind: str
    body: str
    reports: int
    orders: int = 1


class Round(NamedTuple):
    """Messages before the clock starts, those that are measured, those that clear up."""

    before: list[Item]
    measured: list[Item]
    after: list[Item]


def terms(name: str, buy: bool, price: str, qty: str) -> str:
    """Return the fields of a limit order for the day."""
    side = 1 if buy else 2
    return (
        f"11={name}{SOH}21=1{SOH}55=BTC-USD{SOH}54={side}{SOH}60={STAMP}{SOH}38={qty}{SOH}"
        f"40=2{SOH}44={price}{SOH}59=0{SOH}"
    )


def resting(prefix: str, count: int, qty: str) -> Iterator[Item]:
    for number in range(count):
        price = f"1{number * 7 % 1000:03d}.{number * 13 % 100:02d}"
        yield Item("D", terms(f"{prefix}{number:07d}", True, price, qty), 1)


def crossing(prefix: str, count: int, qty: str) -> Iterator[Item]:
    """A buy above all that rests, and a sell that takes it."""
    for number in range(0, count, 2):
        price = f"3{number // 2 % 1000:03d}.00"
        yield Item("D", terms(f"{prefix}{number:07d}", True, price, qty), 1)
        yield Item("D", terms(f"{prefix}{number + 1:07d}", False, price, qty), 3)


def batches(prefix: str, count: int, qty: str) -> Iterator[Item]:
    items = list(resting(prefix, count, qty))
    for start in range(0, count, ENTRIES):
        entries = items[start : start + ENTRIES]
        group = "".join(
            each.body.replace(SOH, f"{SOH}67={number}{SOH}", 1)
            for number, each in enumerate(entries, 1)
        )
        head = f"66={prefix}L{start}{SOH}394=3{SOH}68={len(entries)}{SOH}73={len(entries)}{SOH}"
        yield Item("E", head + group, len(entries), len(entries))


def amount(value: int, digits: int) -> str:
    """Return ticks or lots as a decimal number."""
    return f"{value // 10**digits}.{value % 10**digits:0{digits}d}"


def translated(command: object, prefix: str, events: list[Event], one_report: bool) -> Item:
    """Return what a FIX client sends for a command, with the reports of its events."""
    reports = 1 if one_report else sum(isinstance(event, REPORTED) for event in events)

    def named(client_id: str) -> str:
        return f"{prefix}{client_id.removeprefix('firm0-'):0>7}"

    if isinstance(command, NewOrder):
        tif = 3 if command.tif is TimeInForce.IOC else 1
        buy = command.side is Side.BUY
        body = terms(
            named(command.client_order_id), buy, amount(command.price or 0, 2),
            amount(command.qty, 5),
        ).replace(f"{SOH}59=0{SOH}", f"{SOH}59={tif}{SOH}")  # fmt: skip
        return Item("D", body, reports)
    if isinstance(command, ReplaceOrder):
        side = 1 if command.side is Side.BUY else 2
        body = (
            f"11={named(command.client_order_id)}{SOH}41={named(command.orig_client_order_id)}"
            f"{SOH}55=BTC-USD{SOH}54={side}{SOH}60={STAMP}{SOH}40=2{SOH}"
        )
        body += f"38={amount(command.qty, 5)}{SOH}" if command.qty else ""
        body += f"44={amount(command.price, 2)}{SOH}" if command.price else ""
        return Item("G", body, reports)
    assert isinstance(command, CancelOrder)
    body = (
        f"11={named(command.client_order_id)}{SOH}41={named(command.orig_client_order_id)}{SOH}"
        f"55=BTC-USD{SOH}54=1{SOH}60={STAMP}{SOH}"
    )
    return Item("F", body, reports)


def mix(prefix: str, count: int, one_report: bool) -> Round:
    """Return the mix of the core's benchmark; a server without a book reports once a message."""
    flow = Flow(Shape(RESTING, accounts=1, levels=100), 1)
    for command in definitions(flow.shape):
        flow.do(command)

    def made(command: NewOrder | CancelOrder | ReplaceOrder) -> Item:
        side = None
        if isinstance(command, CancelOrder):
            side = flow.prices[command.account, command.orig_client_order_id][1]
        item = translated(command, prefix, flow.do(command), one_report)
        if side is Side.SELL:
            item = item._replace(body=item.body.replace(f"{SOH}54=1{SOH}", f"{SOH}54=2{SOH}"))
        return item

    before, measured, after = [], [], []
    while len(flow.open) < RESTING:
        before.append(made(flow.new()))
    for _ in range(count):
        command = flow.next()
        assert isinstance(command, NewOrder | CancelOrder | ReplaceOrder)
        measured.append(made(command))
    while flow.open:
        after.append(made(flow.cancel()))
    return Round(before, measured, after)


PLAIN: Final[dict[str, Callable[[str, int, str], Iterator[Item]]]] = {
    "resting": resting, "crossing": crossing, "batches": batches,
}  # fmt: skip


def round_of(flow: str, prefix: str, count: int, qty: str, one_report: bool) -> Round:
    """Return a round of a flow; a twentieth more of it warms up before the clock starts."""
    if flow == "mix":
        return mix(prefix, count, one_report)
    made = PLAIN[flow]
    return Round(list(made(f"{prefix}w", count // 20 * 2, qty)), list(made(prefix, count, qty)), [])
