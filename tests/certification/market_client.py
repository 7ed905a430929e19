"""A client of market data over a FIX engine, and what it does for each case M.

It keeps a book as a firm would: what can be wrong with that is in ``broken``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from certification.fix.wire import Message
from tests.certification.trader import STEP_S, SYMBOL, Engine
from tests.support import pace


class MarketClient:
    """Reads one book at a time. ``broken`` names what it does wrong."""

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self.broken = broken
        self.engine: Engine | None = None
        self.case = ""
        self.asked = ""
        self.refused = False
        self.bids: dict[str, float] = {}
        self.traded = 0.0
        self.seq = -1
        self.whole = False
        self.lost = False
        self.states: list[str] = []
        self.changed = asyncio.Event()
        self._numbers = count(1)

    # What comes.

    def told(self, message: Message) -> None:
        """An application message of the venue."""
        if message.get(262) == self.asked and message.type == "Y":
            self.refused = True
        elif message.get(262) == self.asked and message.type in ("W", "X"):
            self._take(message)
        elif message.type == "f":
            self.states.append(message.get(326))
        self.changed.set()

    def _take(self, message: Message) -> None:
        whole = message.type == "W"
        if whole:
            if message.get(268) == "0" and "stumbles-over-empty" in self.broken:
                return
            self.bids.clear()
            self.whole = True
        elif not self.whole:
            return
        elif message.get(20025) != str(self.seq) and "ignores-chain" not in self.broken:
            self.lost = True
        self.seq = int(message.get(20024))
        entries = message.entries(268, 269 if whole else 279)
        for entry in entries[:1] if "one-entry" in self.broken else entries:
            self._entry(entry, whole)

    def _entry(self, entry: dict[int, str], whole: bool) -> None:
        action, quantity = entry.get(279, "0"), float(entry.get(271, "0"))
        if entry[269] == "2":
            if not whole or "counts-the-past" in self.broken:
                self.traded += quantity
        elif entry[269] == "0":
            price = entry[270]
            if action != "2":
                adds = action == "1" and "adds-changes" in self.broken
                self.bids[price] = quantity + (self.bids.get(price, 0) if adds else 0)
            elif "ignores-deletes" not in self.broken:
                self.bids.pop(price, None)

    @property
    def best(self) -> tuple[str, float]:
        """Price and quantity of the best bid."""
        return max(self.bids.items(), key=lambda bid: float(bid[0]), default=("", 0.0))

    # What goes.

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        assert self.engine is not None
        self.engine.send(msg_type, fields)

    def subscribe(self, kinds: str = "01", depth: int = 0) -> None:
        self.asked = f"{self.case}-{next(self._numbers)}"
        self.refused = self.whole = self.lost = False
        self.bids.clear()
        self.traded = 0.0
        self.send("V", [
            (262, self.asked), (263, "1"), (264, str(depth)), (265, "1"), (267, str(len(kinds))),
            *((269, kind) for kind in kinds), (146, "1"), (55, SYMBOL),
        ])  # fmt: skip

    def end(self) -> None:
        name = "another" if "ends-another" in self.broken else self.asked
        self.send("V", [
            (262, name), (263, "2"), (264, "0"), (267, "1"), (269, "0"), (146, "1"), (55, SYMBOL),
        ])  # fmt: skip

    async def until(self, met: Callable[[], object]) -> None:
        """Wait until something holds. Raises TimeoutError."""
        async with asyncio.timeout(pace.seconds(STEP_S)):
            while not met():
                self.changed.clear()
                await self.changed.wait()

    async def end_at(self, price: str, quantity: float = 0.0) -> None:
        """End the subscription when that is the best bid."""

        def met() -> bool:
            best = self.best
            if "any-bid-will-do" in self.broken:
                return bool(best[0])
            return best[0] == price and quantity in (0.0, best[1])

        await self.until(met)
        self.end()

    # The cases.

    async def play(self, case: str) -> None:
        """Do a case; the verdict is the certifier's."""
        self.case = case
        script: Callable[[], Awaitable[None]] = getattr(self, case.lower())
        await script()

    async def m01(self) -> None:
        self.subscribe()
        await self.end_at("98")

    async def m02(self) -> None:
        self.subscribe()
        await self.end_at("97", 4.0)

    async def m03(self) -> None:
        self.subscribe(depth=1)
        await self.end_at("97")

    async def m04(self) -> None:
        self.subscribe("2")
        await self.until(lambda: self.traded >= 30)
        self.end()

    async def m05(self) -> None:
        self.subscribe()
        await self.until(lambda: self.lost)
        self.end()
        self.subscribe()
        await self.end_at("98")

    async def m06(self) -> None:
        self.subscribe(depth=5000)
        if "ignores-refusals" not in self.broken:
            await self.until(lambda: self.refused)
            self.subscribe()
        await self.end_at("98")

    async def m07(self) -> None:
        assert self.engine is not None
        self.subscribe()
        await self.until(lambda: self.whole)
        await asyncio.wait_for(self.engine.offline.wait(), pace.seconds(STEP_S))
        await asyncio.wait_for(self.engine.online.wait(), pace.seconds(STEP_S))
        if "believes-in-its-subscription" not in self.broken:
            self.subscribe()
        await self.end_at("98")

    async def m08(self) -> None:
        name = f"{self.case}-{next(self._numbers)}"
        self.states.clear()
        self.send("e", [(324, name), (55, SYMBOL), (263, "1")])
        early = "ignores-halts" in self.broken
        await self.until(lambda: self.states[-1:] == ["17"] and (early or "2" in self.states))
        self.send("e", [(324, name), (55, SYMBOL), (263, "2")])
