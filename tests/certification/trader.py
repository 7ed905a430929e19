"""An order manager over some FIX engine, and what it does for each case of the certification.

The scripts follow the texts ``does`` of the scenarios, as a client's engineer would. What an
order manager can get wrong is in ``broken``.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Protocol

from certification.fix.wire import Message, now, time_text
from tests.support import pace

STEP_S = 10.0
SYMBOL = "CERT-USD"


class Engine(Protocol):
    """A FIX engine as the scripts see it."""

    online: asyncio.Event
    offline: asyncio.Event

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        """Send an application message."""

    async def log_out_and_in(self, *, reset: bool) -> None:
        """Log out and on again."""


@dataclass(eq=False)
class Order:
    """What the order manager believes of an order."""

    id: str
    side: str
    qty: Decimal
    price: Decimal
    first_id: str = ""
    order_id: str = ""
    status: str = ""
    cum: Decimal = Decimal(0)
    fills: int = 0
    answers: list[Message] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.status in ("2", "4", "8", "C")


class Trader:
    """Trades by script. ``case`` is the id in front of every ClOrdID; "" sets none."""

    def __init__(self, broken: frozenset[str] = frozenset(), ids_from_case: bool = True) -> None:
        self.broken = broken
        self.ids_from_case = ids_from_case
        self.engine: Engine | None = None
        self.case = ""
        self.orders: dict[str, Order] = {}
        self.executions: set[str] = set()
        self.inbox: list[Message] = []
        self.copies: list[Message] = []
        self.news: dict[str, str] = {}
        self.changed = asyncio.Event()
        self.run = secrets.token_hex(3)
        self.numbers = count(1)
        self.last_id = ""

    # What comes.

    def told(self, message: Message) -> None:
        """An application message of the venue."""
        self.inbox.append(message)
        if message.type == "B":
            name, _, verdict = message.get(148).partition(" ")
            texts = [value for tag, value in message.pairs if tag == 58]
            self.news[name] = verdict if verdict == "passed" else " ".join(texts)
        elif message.type == "8" and message.get(150) != "I":
            self._report(message)
        elif message.type == "9":
            order = self.orders.get(message.get(41))
            if order is not None and message.get(39) != "8":
                order.answers.append(message)
        self.changed.set()

    def told_by_drop_copy(self, message: Message) -> None:
        """A message to the firm's drop copy; own orders are known from their own session."""
        if message.type == "8":
            self.copies.append(message)
        self.changed.set()

    def _report(self, message: Message) -> None:
        order = self.orders.get(message.get(11)) or self.orders.get(message.get(41))
        if order is None:
            order = next((o for o in self.orders.values()
                          if o.order_id == message.get(37) != "NONE"), None)  # fmt: skip
        if order is None:
            return
        if message.get(150) == "8" and message.get(103) == "6" and order.order_id:
            order.answers.append(message)
            return
        order.answers.append(message)
        if message.get(37) != "NONE":
            order.order_id = message.get(37)
        if message.get(150) == "F":
            known = message.get(17) in self.executions
            if known and "counts-twice" not in self.broken:
                return
            self.executions.add(message.get(17))
            order.fills += 1
            quantity = Decimal(message[32])
            if "wrong-leaves" in self.broken:
                # Takes the last fill for everything that was executed.
                order.cum = quantity
            else:
                order.cum += quantity
        if message.get(150) == "5":
            order.id = message[11]
            order.qty = Decimal(message[38])
            if message.get(39) == "2":
                order.cum = Decimal(message[14])
        if message.get(150) == "8" and "trusts-rejected" in self.broken:
            order.status = "0"
            return
        if message.get(39) in ("0", "1", "2", "4", "8", "C"):
            order.status = message[39]

    async def until(self, met: Callable[[], object]) -> None:
        """Wait until something holds. Raises TimeoutError."""
        async with asyncio.timeout(pace.seconds(STEP_S)):
            while not met():
                self.changed.clear()
                await self.changed.wait()

    async def of_type(self, msg_type: str, since: int) -> Message:
        """The first message of a type after a place in the inbox."""
        found: list[Message] = []

        def there() -> bool:
            found[:] = [m for m in self.inbox[since:] if m.type == msg_type]
            return bool(found)

        await self.until(there)
        return found[0]

    # What goes.

    def new_id(self) -> str:
        prefix = f"{self.case}-" if self.ids_from_case else "x"
        self.last_id = f"{prefix}{self.run}{next(self.numbers)}"
        return self.last_id

    def send(self, msg_type: str, fields: dict[int, str] | list[tuple[int, str]]) -> None:
        assert self.engine is not None
        self.engine.send(msg_type, list(fields.items()) if isinstance(fields, dict) else fields)

    def order(
        self, qty: object, price: object = 100, *, side: str = "1", tif: str = "1",
        own_id: str = "", **more: str,
    ) -> Order:  # fmt: skip
        """Enter a limit order."""
        own_id = own_id or self._id_for_an_order()
        order = Order(own_id, side, Decimal(str(qty)), Decimal(str(price)), own_id)
        self.orders[own_id] = order
        extra = {int(tag.strip("_")): value for tag, value in more.items()}
        self.send("D", {
            11: own_id, 55: SYMBOL, 54: side, 60: time_text(now()), 38: str(qty), 40: "2",
            44: str(price), 59: tif, **extra,
        })  # fmt: skip
        return order

    def _id_for_an_order(self) -> str:
        refused = [o for o in self.orders.values() if o.status == "8" and self.case in o.id]
        if "reuses-ids" in self.broken and refused:
            return refused[-1].id
        return self.new_id()

    def _orig(self, order: Order) -> str:
        """OrigClOrdID: the last id that was accepted."""
        return order.first_id if "forgets-chain" in self.broken else order.id

    def cancel(self, order: Order) -> str:
        own_id = self.new_id()
        self.orders[own_id] = order
        if "believes-cancel" in self.broken:
            order.status = "4"
        self.send("F", {
            11: own_id, 41: self._orig(order), 55: SYMBOL, 54: order.side, 60: time_text(now()),
        })  # fmt: skip
        return own_id

    def replace(self, order: Order, *, qty: object = None, price: object = None) -> str:
        own_id = self.new_id()
        self.orders[own_id] = order
        total = Decimal(str(qty)) if qty is not None else order.qty
        if "replaces-leaves" in self.broken:
            # Takes OrderQty of a replace for what shall be left.
            total -= order.cum
        self.send("G", {
            11: own_id, 41: self._orig(order), 55: SYMBOL, 54: order.side, 60: time_text(now()),
            38: str(total), 40: "2", 44: str(price if price is not None else order.price),
        })  # fmt: skip
        return own_id

    async def acked(self, order: Order) -> Order:
        await self.until(lambda: order.status)
        return order

    async def ended(self, order: Order) -> Order:
        await self.until(lambda: order.done)
        return order

    async def enter(self, qty: object, price: object = 100, **more: str) -> Order:
        return await self.acked(self.order(qty, price, **more))  # type: ignore[arg-type]

    async def gone(self, order: Order) -> None:
        """Cancel, and hear that it is canceled."""
        self.cancel(order)
        await self.ended(order)

    async def ioc(self, qty: object) -> Order:
        return await self.ended(self.order(qty, tif="3"))

    async def sell_back(self, qty: Decimal, price: object = 100) -> None:
        await self.ended(self.order(qty, price, side="2"))

    async def back_online(self) -> None:
        """The connection is lost, and is there again."""
        assert self.engine is not None
        await asyncio.wait_for(self.engine.offline.wait(), pace.seconds(STEP_S))
        await asyncio.wait_for(self.engine.online.wait(), pace.seconds(STEP_S))

    # Verdicts.

    async def play(self, case: str) -> str:
        """Do a case; gives ``passed`` or why it failed."""
        self.case = case
        self.news.pop(case, None)
        script = asyncio.create_task(self._script(case))
        verdict = asyncio.create_task(self.until(lambda: case in self.news))
        try:
            await asyncio.wait({script, verdict}, return_when=asyncio.FIRST_COMPLETED)
            if not verdict.done():
                await asyncio.wait({verdict}, timeout=pace.seconds(STEP_S))
        finally:
            for task in (script, verdict):
                task.cancel()
            ends = await asyncio.gather(script, verdict, return_exceptions=True)
        return self.news.get(case) or f"no verdict; the script ended with {ends[0]!r}"

    async def _script(self, case: str) -> None:
        script: Callable[[], Awaitable[None]] = getattr(self, case.lower())
        await script()
