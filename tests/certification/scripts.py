"""What a client does for each case: the sentences of ``does``, as a program."""

from __future__ import annotations

from decimal import Decimal

from certification.fix.wire import Message, now, time_text
from tests.certification.trader import SYMBOL, Order, Trader


class Scripted(Trader):
    """A trader that knows every case."""

    # Session.

    async def s02(self) -> None:
        await self.ioc(102)
        await self.back_online()
        await self.ioc(102)

    async def s03(self) -> None:
        await self.ioc(103)

    async def s04(self) -> None:
        await self.ioc(104)
        await self.back_online()
        await self.ioc(104)

    async def s05(self) -> None:
        await self.ioc(105)

    async def s06(self) -> None:
        await self.ioc(106)

    async def s07(self) -> None:
        first = self.order(107, tif="3")
        second = self.order(107, tif="3")
        await self.ended(first)
        await self.ended(second)

    async def s08(self) -> None:
        await self._in_two(108)

    async def s09(self) -> None:
        await self._in_two(109)

    async def s10(self) -> None:
        await self.ioc(110)
        assert self.engine is not None
        await self.engine.log_out_and_in(reset=True)
        await self.ioc(110)

    async def s11(self) -> None:
        await self.ioc(111)
        assert self.engine is not None
        await self.engine.log_out_and_in(reset=False)

    async def s12(self) -> None:
        order = await self.enter(112)
        await self.ended(order)
        await self.sell_back(order.cum)

    async def s13(self) -> None:
        await self.ioc(113)

    async def s14(self) -> None:
        await self.ioc(114)
        await self.back_online()
        await self.ioc(114)

    async def s15(self) -> None:
        for _ in range(3):
            await self.ioc(115)

    async def s16(self) -> None:
        await self.ioc(116)
        await self.back_online()
        await self.ioc(116)

    async def s17(self) -> None:
        await self.ioc(117)
        await self.ioc(117)

    # Orders.

    async def a01(self) -> None:
        await self.gone(await self.enter(201))

    async def a02(self) -> None:
        await self.refused_then(await self.enter(202, "100.005"), 202)

    async def refused_then(
        self, order: Order, qty: object, price: object = 100, **more: str
    ) -> None:
        """After a refusal: enter it again, as it should be, and cancel it."""
        if order.status != "8":
            await self.gone(order)
        await self.gone(await self.enter(qty, price, **more))

    async def a03(self) -> None:
        order = await self.ended(self.order(203))
        await self.sell_back(order.cum)

    async def a04(self) -> None:
        order = await self.ended(self.order(204))
        await self.sell_back(order.cum)

    async def a05(self) -> None:
        order = await self.ioc(205)
        await self.sell_back(order.cum)

    async def a06(self) -> None:
        await self.ended(self.order(206, tif="4"))
        order = await self.ended(self.order(100, tif="4"))
        await self.sell_back(order.cum)

    async def a07(self) -> None:
        order = await self.enter(207, _18="6")
        await self.refused_then(order, 207, 99, _18="6")

    async def a08(self) -> None:
        await self.gone(await self.enter(208))
        await self.gone(await self.enter(208))

    async def a09(self) -> None:
        order = await self.enter(209)
        await self.until(lambda: order.fills)
        await self.gone(order)
        await self.sell_back(order.cum)

    async def a10(self) -> None:
        order = await self.enter(210)
        self.cancel(order)
        await self.ended(order)
        if order.cum:
            await self.until(lambda: order.answers[-1].type == "9")
            await self.sell_back(order.cum)

    async def a11(self) -> None:
        order = await self.enter(211)
        since = len(self.inbox)
        self.send("F", {
            11: self.new_id(), 41: "A11-never-was", 55: SYMBOL, 54: "1", 60: time_text(now()),
        })  # fmt: skip
        await self.of_type("9", since)
        await self.gone(order)

    async def a12(self) -> None:
        order = await self.enter(212)
        self.replace(order, price=98)
        await self.replaced(order)
        await self.gone(order)

    async def replaced(self, order: Order) -> None:
        """The last request to replace was done."""
        await self.until(lambda: order.answers[-1].get(150) == "5")

    async def a13(self) -> None:
        order = await self.enter(213)
        await self.until(lambda: order.fills == 2)
        self.replace(order, qty=order.cum + 10)
        await self.replaced(order)
        await self.gone(order)
        await self.sell_back(order.cum)

    async def a14(self) -> None:
        order = await self.enter(214)
        self.replace(order, qty=100)
        await self.ended(order)
        await self.sell_back(order.cum)

    async def a15(self) -> None:
        order = await self.enter(215)
        self.replace(order, price=98)
        await self.until(lambda: order.answers[-1].type == "9")
        await self.sell_back(order.cum)

    async def a16(self) -> None:
        order = await self.enter(216)
        for total in (300, 250):
            self.replace(order, qty=total)
            await self.until(lambda total=total: order.qty == total)  # type: ignore[misc]
        await self.gone(order)

    # Identity.

    async def a17(self) -> None:
        order = await self.enter(217)
        self.send("D", {
            11: order.id, 55: SYMBOL, 54: "1", 60: time_text(now()), 38: "17", 40: "2", 44: "100",
            59: "1",
        })  # fmt: skip
        await self.until(lambda: order.answers[-1].get(103) == "6")
        await self.gone(order)

    async def a18(self) -> None:
        order = await self.enter(218, _97="Y")
        since = len(self.inbox)
        self.send("D", {
            11: order.id, 55: SYMBOL, 54: "1", 60: time_text(now()), 38: "218", 40: "2",
            44: "100", 59: "1", 97: "Y",
        })  # fmt: skip
        assert (await self.of_type("8", since)).get(150) == "I"
        await self.gone(order)

    async def a19(self) -> None:
        order = await self.enter(219)
        for name in (order.id, "A19-never-was"):
            since = len(self.inbox)
            self.send("H", {11: name, 55: SYMBOL, 54: "1"})
            await self.of_type("8", since)
        await self.gone(order)

    async def a20(self) -> None:
        orders = [await self.enter(220), await self.enter(30, 99)]
        since = len(self.inbox)
        self.send("AF", {584: f"A20-{self.run}", 585: "7"})
        await self.until(lambda: [m for m in self.inbox[since:] if m.get(912) == "Y"])
        for order in orders:
            await self.gone(order)

    async def a21(self) -> None:
        orders = [await self.enter(221), await self.acked(self.order(31, 110, side="2"))]
        self.send("q", {11: self.new_id(), 530: "7", 60: time_text(now())})
        for order in orders:
            await self.ended(order)

    async def a22(self) -> None:
        await self.ended(await self.enter(222))
        await self.gone(await self.enter(222))

    async def a23(self) -> None:
        order = await self.enter(223)
        await self.ended(self.order(40, side="2"))
        await self.gone(order)

    async def a24(self) -> None:
        orders = [await self.enter(224, 100 - n) for n in range(4)]
        assert (await self.enter(224, 96)).status == "8"
        await self.gone(orders.pop())
        orders.append(await self.enter(224, 96))
        for order in orders:
            await self.gone(order)

    async def a25(self) -> None:
        since = len(self.copies)
        await self.ioc(225)

        def strangers() -> list[Message]:
            return [m for m in self.copies[since:]
                    if m.get(150) == "F" and m.get(11) not in self.orders]  # fmt: skip

        await self.until(strangers)
        fill = strangers()[0]
        side = "1" if fill[54] == "2" else "2"
        await self.ended(self.order(fill[32], side=side))

    async def a26(self) -> None:
        await self.ended(await self.enter(226))
        await self.gone(await self.enter(226))

    async def a27(self) -> None:
        await self._in_two(227)

    async def _in_two(self, qty: int) -> None:
        order = await self.ended(self.order(qty))
        await self.sell_back(order.cum)

    async def r01(self) -> None:
        order = await self.enter(401)
        acknowledged = order.answers[0].get(17)
        await self.ended(order)
        since = len(self.inbox)
        self.send("UD", {20017: f"R01-{self.run}", 17: acknowledged})
        await self.of_type("UE", since)
        await self.sell_back(order.cum)

    # Bulk.

    async def b01(self) -> None:
        ids = [self.new_id() for _ in range(3)]
        rows: list[tuple[int, str]] = []
        for number, (own_id, qty, price) in enumerate(
            zip(ids, ("301", "20", "10"), ("100", "99", "100.005"), strict=True), 1
        ):
            self.orders[own_id] = self._order(own_id, qty, price)
            rows += [(11, own_id), (67, str(number)), (55, SYMBOL), (54, "1"), (38, qty),
                     (40, "2"), (44, price), (59, "1")]  # fmt: skip
        since = len(self.inbox)
        self.send("E", [(66, f"B01-{self.run}"), (394, "3"), (68, "3"), (73, "3"), *rows])
        await self.of_type("N", since)
        for own_id in ids[:2]:
            await self.gone(self.orders[own_id])

    def _order(self, own_id: str, qty: str, price: str) -> Order:
        return Order(own_id, "1", Decimal(qty), Decimal(price), own_id)

    async def b02(self) -> None:
        first, second = await self.enter(302), await self.enter(20, 99)
        ids = [self.new_id() for _ in range(3)]
        self.orders[ids[0]], self.orders[ids[1]] = first, second
        third = self.orders[ids[2]] = self._order(ids[2], "5", "98")
        since = len(self.inbox)
        self.send("UB", [
            (66, f"B02-{self.run}"), (60, time_text(now())), (20010, "3"),
            (20011, "G"), (11, ids[0]), (41, first.id), (55, SYMBOL), (54, "1"), (38, "200"),
            (20011, "F"), (11, ids[1]), (41, second.id), (55, SYMBOL), (54, "1"),
            (20011, "D"), (11, ids[2]), (55, SYMBOL), (54, "1"), (38, "5"), (40, "2"),
            (44, "98"), (59, "1"),
        ])  # fmt: skip
        await self.of_type("UC", since)
        await self.gone(first)
        await self.gone(third)
