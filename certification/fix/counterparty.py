"""The counterparty: an ordinary session of the venue that trades as the scenario says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from typing import Final

from certification.attempt import CounterpartyFault
from certification.fix.client import FixClient
from certification.fix.wire import Message, now, time_text

_SIDES: Final = {"buy": "1", "sell": "2"}
_CLOSED: Final = frozenset({"2", "4", "8", "C"})


@dataclass(slots=True)
class _RestingOrder:
    side: str
    order_id: str


class Counterparty:
    """Trades one symbol over a session that is logged on. ``run`` makes its ids unique."""

    def __init__(self, client: FixClient, symbol: str, run: str, seconds: float) -> None:
        self._client = client
        self._symbol = symbol
        self._run = run
        self._seconds = seconds
        self._ids = count(1)
        self._open: dict[str, _RestingOrder] = {}
        self._lock = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Return whether its session is logged on."""
        return self._client.open

    async def leave(self) -> None:
        """Log out."""
        try:
            await self._client.logout(self._seconds)
        except TimeoutError:
            await self._client.close()

    async def trade(self, side: str, qty: str, price: str, *, rest: bool) -> None:
        """Enter a limit order: one that rests, or one that must be filled at once."""
        async with self._lock:
            own_id = f"{self._run}-{next(self._ids)}"
            self._client.send("D", {
                11: own_id, 55: self._symbol, 54: _SIDES[side], 60: time_text(now()), 38: qty,
                40: "2", 44: price, 59: "1" if rest else "3",
            })  # fmt: skip
            while True:
                report = await self._next(f"{side} {qty} at {price}")
                if report.get(11) != own_id or report.type != "8":
                    continue
                if report.get(150) == "8":
                    raise CounterpartyFault(
                        f"the venue refused the counterparty's order: {report.get(58)}"
                    )
                if rest and report.get(150) == "0":
                    return
                if not rest and report.get(39) == "2":
                    return
                if not rest and report.get(39) in _CLOSED:
                    raise CounterpartyFault(
                        f"the counterparty wanted to {side} {qty} at {price} and got "
                        f"{report.get(14) or '0'}: the client's order was not there"
                    )

    async def cancel(self, order_id: str, side: str) -> None:
        """Cancel an order of the same firm by its OrderID."""
        async with self._lock:
            own_id = f"{self._run}-{next(self._ids)}"
            self._client.send("F", {
                11: own_id, 37: order_id, 55: self._symbol, 54: side, 60: time_text(now()),
            })  # fmt: skip
            while True:
                report = await self._next(f"cancel of order {order_id}")
                if report.get(11) == own_id:
                    if report.type == "9":
                        raise CounterpartyFault(f"the cancel was refused: {report.get(58)}")
                    return

    async def clear(self) -> None:
        """Cancel the counterparty's resting orders."""
        async with self._lock:
            while self._client.open:
                try:
                    self._note(await self._client.next(0))
                except TimeoutError:
                    break
            for name, order in list(self._open.items()):
                if name not in self._open:
                    continue
                own_id = f"{self._run}-{next(self._ids)}"
                self._client.send("F", {
                    11: own_id, 41: name, 37: order.order_id, 55: self._symbol, 54: order.side,
                    60: time_text(now()),
                })  # fmt: skip
                while (await self._next("cancel")).get(11) != own_id:
                    pass
                self._open.pop(name, None)

    async def mass_cancel_firm(self) -> None:
        """Cancel every order of the firm, whoever entered it, and wait for the report."""
        async with self._lock:
            own_id = f"{self._run}-{next(self._ids)}"
            self._client.send("q", {11: own_id, 530: "7", 20008: "1", 60: time_text(now())})
            while True:
                report = await self._next("mass cancel")
                if report.type == "r" and report.get(11) == own_id:
                    return

    async def _next(self, what: str) -> Message:
        try:
            message = await self._client.next(self._seconds)
        except TimeoutError:
            raise CounterpartyFault(f"the venue did not answer the counterparty: {what}") from None
        if message is None:
            raise CounterpartyFault(f"the venue has closed the counterparty's session: {what}")
        if message.type in ("3", "j"):
            raise CounterpartyFault(f"the venue refused the counterparty's message: {message!r}")
        self._note(message)
        return message

    def _note(self, message: Message | None) -> None:
        """Update the set of resting orders."""
        if message is None or message.type != "8" or message.get(150) == "I":
            return
        name = message.get(41) or message.get(11)
        if message.get(39) in _CLOSED:
            self._open.pop(name, None)
            self._open.pop(message.get(11), None)
        elif message.get(150) in ("0", "F") and message.get(59) != "3":
            self._open[message.get(11)] = _RestingOrder(message.get(54), message.get(37))
