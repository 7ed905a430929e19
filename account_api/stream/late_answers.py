"""An acknowledgement that comes late, on a test-net, so that a client can try what it does then.

Only for a new order of the simulated symbol, whose quantity asks for it: ``docs/test-net.md`` has
the table. The order is in the book meanwhile, and the private channels tell of it at once; what
waits is the answer, and with it the further requests of that connection. No thread waits.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from account_api.reply import REPLAYED, Reply
from account_api.schema.order_responses import OrderAnswer

LATE_QUANTITY: Final = "10"
LATE_S: Final = 3.0


async def hold_back(done: Reply, simulated_symbol: str) -> None:
    """Wait with an answer whose order asks for it; ``simulated_symbol`` "" is none."""
    order = done.body
    if (
        simulated_symbol
        and done.status == HTTPStatus.CREATED
        and isinstance(order, OrderAnswer)
        and (order.symbol, order.quantity) == (simulated_symbol, LATE_QUANTITY)
        and REPLAYED not in done.headers
    ):
        await asyncio.sleep(LATE_S)
