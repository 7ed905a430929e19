"""Random commands: a fast seeded flow for millions of them, and hypothesis strategies.

Prices, quantities and money are kept tight, so that everything collides: own orders meet,
stops cascade, icebergs refill, funds run short. The flow watches the events of what it sent
and aims most cancels and replaces at orders that are open; the rest go astray on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineVenue,
    Deposit,
    MassCancel,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
    SetAccountStatus,
    SetInstrumentStatus,
    SetReferencePrice,
    Tick,
)
from engine.core.events import Event, OrderAccepted, OrderCanceled, OrderFilled, OrderReplaced
from engine.core.types import (
    BatchMode,
    OrderTerms,
    OrdType,
    Origin,
    RejectReason,
    RequestKind,
    Route,
    SelfTrade,
    Side,
    TimeInForce,
)

ENGINE = Origin("engine")
START_US = 1_700_000_000_000_000
DAY_US = 86_400_000_000
ACCOUNTS = {
    "alice": "alice", "alice-2": "alice", "bob": "bob", "bob-2": "bob", "carol": "carol",
}  # fmt: skip
STRATEGIES = ("", "", "mm", "arb")
ROUTES = (None, None, Route("NORTH", "trader 7"), None, Route("SOUTH", "", "CRYPTO", "SPOT"))


class Market(NamedTuple):
    """An instrument of the flow and where its prices lie, in ticks."""

    symbol: str
    base: str
    quote: str
    tick: str
    lot: str
    min_qty: int
    max_qty: int
    max_price: int
    price: int


MARKETS = (
    Market("BTC-USD", "BTC", "USD", "0.01", "0.01", 1, 40, 60, 20),
    Market("ETH-USD", "ETH", "USD", "0.05", "1", 2, 30, 50, 20),
    Market("ETH-BTC", "ETH", "BTC", "0.001", "0.1", 1, 30, 40, 15),
)
ASSETS = {"BTC": 4, "ETH": 3, "USD": 4}


class Profile(NamedTuple):
    """What one flow is made of."""

    maker_ppm: int
    taker_ppm: int
    lots_of_money: int
    cascade_max: int
    work_max: int
    open_orders_max: int
    width: int
    weights: tuple[int, ...]
    """Of new, cancel, replace, mass cancel, batch, halt or resume, tick, refusal, suspension."""
    types: tuple[int, ...]
    """Of market, limit, stop, stop-limit."""
    stps: tuple[SelfTrade, ...]
    odd: float
    """Share of new orders with fields that do not fit."""
    bands: tuple[int, int, int]
    """Of each market, in parts per million; 0 for none."""


ALL_STPS = tuple(SelfTrade)


def profile_of(seed: int) -> Profile:
    """A profile for a seed; neighbouring seeds differ in kind."""
    pick = random.Random(f"profile {seed}")
    return Profile(
        maker_ppm=pick.choice((0, 500, 1_000, 333_333)),
        taker_ppm=pick.choice((0, 1_000, 2_500, 77_777)),
        lots_of_money=pick.choice((60, 200, 2_000)),
        cascade_max=pick.choice((1, 2, 3, 50)),
        work_max=(work := pick.choice((1, 2, 3, 5, 12, 1_000))),
        open_orders_max=pick.choice((6, 20, 60)),
        width=pick.choice((2, 4, 9)),
        weights=pick.choice(
            (
                (60, 18, 18, 1, 2, 0, 20 if work < 6 else 1, 1, 0),
                (40, 25, 25, 3, 8, 3, 15 if work < 6 else 3, 2, 3),
                (75, 5, 5, 0, 5, 1, 9 if work < 6 else 1, 0, 1),
                (45, 10, 40, 4, 3, 0, 9 if work < 6 else 2, 0, 2),
            )
        ),
        types=pick.choice(((10, 80, 5, 5), (20, 40, 20, 20), (5, 95, 0, 0), (10, 20, 35, 35))),
        stps=pick.choice((ALL_STPS, (SelfTrade.NONE,), ALL_STPS[1:], (SelfTrade.DECREMENT,))),
        odd=pick.choice((0.0, 0.03, 0.15)),
        bands=pick.choice(((0, 0, 0), (200_000, 0, 500_000), (50_000, 900_000, 150_000))),
    )


class Flow:
    """A seeded source of commands. Tell it what happened with ``observe``."""

    def __init__(self, seed: int, profile: Profile | None = None) -> None:
        self.seed = seed
        self.random = random.Random(f"flow {seed}")
        self.profile = profile or profile_of(seed)
        self.now = START_US
        self.ids = 0
        self.order_ids = 0
        self.open: dict[int, OrderTerms] = {}
        self.closed: list[OrderTerms] = []
        self.halted: set[str] = set()
        self.suspended: set[str] = set()

    # -- what happened -----------------------------------------------------------------

    def observe(self, events: Iterable[Event]) -> None:
        """Learn which orders are open now."""
        for event in events:
            if isinstance(event, OrderAccepted | OrderReplaced | OrderFilled):
                terms = event.order
                self.order_ids = max(self.order_ids, terms.order_id)
                self.open[terms.order_id] = terms
                if event.leaves == 0:
                    self.end(terms)
            elif isinstance(event, OrderCanceled):
                self.end(event.order)

    def end(self, terms: OrderTerms) -> None:
        if self.open.pop(terms.order_id, None) is not None:
            self.closed.append(terms)
            del self.closed[:-20]

    # -- commands ----------------------------------------------------------------------

    def definitions(self) -> list[Command]:
        """The commands that make the venue."""
        p = self.profile
        found: list[Command] = [
            DefineVenue(ENGINE, 3_600_000_000, p.cascade_max, 10**6, 10**15, p.work_max)
        ]
        found += [DefineAsset(ENGINE, asset, scale) for asset, scale in ASSETS.items()]
        found += [
            DefineInstrument(ENGINE, *market[:-1], band)
            for market, band in zip(MARKETS, p.bands, strict=True)
        ]
        for index, (account, firm) in enumerate(ACCOUNTS.items()):
            stp = self.random.choice(p.stps)
            found.append(
                DefineAccount(ENGINE, account, firm, p.maker_ppm + index, p.taker_ppm, stp,
                              p.open_orders_max)
            )  # fmt: skip
            money = {"BTC": 100, "ETH": 1_000, "USD": 2_000}
            for asset, atoms in money.items():
                amount = atoms * p.lots_of_money * self.random.randint(1, 3)
                found.append(Deposit(ENGINE, f"genesis:{account}:{asset}", account, asset, amount))
        return found

    def next(self) -> tuple[int, Command]:
        """The next command and its time."""
        self.now += self.random.choice((0, 1, 1_000, 50_000))
        if any(self.profile.bands) and self.chance(0.02):
            return self.now, self.reference()
        kind = self.random.choices(
            (self.new, self.cancel, self.replace, self.mass_cancel, self.batch, self.status,
             self.tick, self.refusal, self.suspension),
            self.profile.weights,
        )[0]  # fmt: skip
        return self.now, kind(self.account())

    def account(self) -> str:
        return self.random.choice(tuple(ACCOUNTS))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def origin(self, account: str) -> Origin:
        valid_until = self.now - 1 if self.chance(self.profile.odd / 8) else 0
        source = f"{self.random.choice(('api', 'ws'))}:{account}"
        return Origin(source, valid_until=valid_until, route=self.route())

    def route(self) -> Route | None:
        """Third parties, now and then; draws nothing, so that a seed stays what it was."""
        return ROUTES[self.now % len(ROUTES)]

    def client_id(self) -> str:
        if self.chance(self.profile.odd / 2):
            return self.random.choice(("", "with space", "é", "x" * 65, "c1", f"c{self.ids}"))
        self.ids += 1
        return f"c{self.ids}"

    def price(self, market: Market) -> int:
        width = self.profile.width
        return max(1, market.price + self.random.randint(-width, width))

    def qty(self, market: Market) -> int:
        return self.random.randint(market.min_qty, self.random.choice((4, 9, market.max_qty)))

    def new(self, account: str) -> NewOrder:
        pick = self.random
        market = pick.choices(MARKETS, (6, 2, 2))[0]
        ord_type = pick.choices(tuple(OrdType), self.profile.types)[0]
        priced = ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
        stops = ord_type in (OrdType.STOP, OrdType.STOP_LIMIT)
        tifs = (0, 1, 6) if stops else (0, 1, 1, 1, 3, 4, 6)
        tif = TimeInForce(pick.choice(tifs))
        qty = self.qty(market)
        fields: dict[str, Any] = {
            "price": self.price(market) if priced else 0,
            "stop_price": self.price(market) if stops else 0,
            "expire_at": self.now + pick.randint(1, 3_000_000) if tif is TimeInForce.GTD else 0,
            "stp": pick.choice((None, *self.profile.stps)),
            "strategy": pick.choice(STRATEGIES),
            "manual": self.chance(0.1),
        }
        resting = tif in (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)
        if ord_type is OrdType.LIMIT and resting:
            fields["post_only"] = self.chance(0.15)
            fields["display_qty"] = pick.randint(1, qty) if self.chance(0.3) else 0
        if tif is TimeInForce.IOC and self.chance(0.4):
            fields["min_qty"] = pick.randint(1, qty)
        elif ord_type is OrdType.MARKET and self.chance(0.4):
            unit_price = 5 * market.price * self.qty(market)
            qty, fields["cash_qty"] = 0, pick.randint(1, 200) * unit_price
        order = NewOrder(self.origin(account), account, self.client_id(), market.symbol,
                         Side(pick.randint(1, 2)), ord_type, tif, qty, **fields)  # fmt: skip
        return self.spoil(order) if self.chance(self.profile.odd) else order

    def spoil(self, order: NewOrder) -> NewOrder:
        """Change one field to something that may not fit."""
        pick = self.random
        changes: tuple[dict[str, Any], ...] = (
            {"account": "nobody"},
            {"symbol": "XRP-USD"},
            {"qty": pick.choice((0, -1, 1, 41, 10**6))},
            {"price": pick.choice((0, -3, 20, 61, 10**9))},
            {"stop_price": pick.choice((0, -3, 20, 61))},
            {"cash_qty": pick.choice((-5, 1, 5_000, 10**12))},
            {"min_qty": pick.choice((-1, 1, 99))},
            {"display_qty": pick.choice((-1, 1, 99))},
            {"expire_at": pick.choice((0, self.now, self.now + 9_000))},
            {"post_only": True},
            {"strategy": pick.choice(("s" * 33, "a b"))},
            {"tif": TimeInForce(pick.choice((0, 1, 3, 4, 6)))},
            {"ord_type": OrdType(pick.randint(1, 4))},
            {"poss_resend": True, "client_order_id": f"c{pick.randint(1, self.ids + 1)}"},
            {"client_order_id": f"c{pick.randint(1, self.ids + 1)}"},
        )
        return order._replace(**pick.choice(changes))

    def target(self, account: str) -> tuple[str, dict[str, Any]]:
        """Whom to act for, and the fields that name an order; mostly an open one."""
        pick = self.random
        pool = list(self.open.values()) if self.chance(0.93) else self.closed
        if not pool or self.chance(0.02):
            return account, {"orig_client_order_id": f"c{pick.randint(1, self.ids + 2)}"}
        terms = pick.choice(pool)
        account = terms.account if self.chance(0.9) else account
        by_id: dict[str, Any] = {"order_id": terms.order_id}
        by_client_id: dict[str, Any] = {"orig_client_order_id": terms.client_order_id}
        first: dict[str, Any] = {"orig_client_order_id": terms.first_client_order_id}
        named = pick.choice((by_id, by_client_id, first, by_id | by_client_id))
        if self.chance(0.02):
            named = by_client_id | {"order_id": pick.randint(0, self.order_ids + 1)}
        if self.chance(0.2):
            named["symbol"] = terms.symbol
            named["side"] = terms.side if self.chance(0.8) else Side(pick.randint(1, 2))
        return account, named

    def cancel(self, account: str) -> CancelOrder:
        account, named = self.target(account)
        return CancelOrder(self.origin(account), account, self.client_id(), **named)

    def replace(self, account: str) -> ReplaceOrder:
        pick = self.random
        account, named = self.target(account)
        terms = self.open.get(named.get("order_id", 0))
        if terms is None:
            ids = (named.get("orig_client_order_id"),)
            terms = next((t for t in self.open.values() if t.client_order_id in ids), None)
        market = next((m for m in MARKETS if terms and m.symbol == terms.symbol), MARKETS[0])
        old = terms.qty if terms else 5
        fields: dict[str, Any] = {}
        if self.chance(0.6):
            fields["qty"] = pick.choice((old, old - 1, old + 1, old // 2, self.qty(market)))
        if self.chance(0.4) and (terms is None or terms.price):
            fields["price"] = self.price(market)
        if self.chance(0.3) and (terms is None or terms.stop_price):
            fields["stop_price"] = self.price(market)
        if self.chance(0.15):
            fields["display_qty"] = pick.randint(0, 5)
        if self.chance(0.1):
            fields["tif"] = TimeInForce(pick.choice((0, 1, 6)))
        if self.chance(0.05) or fields.get("tif") is TimeInForce.GTD:
            fields["expire_at"] = self.now + pick.randint(0, 2_000_000)
        if self.chance(0.05):
            fields["ord_type"] = OrdType(pick.randint(1, 4))
        client_id = "" if self.chance(0.15) else self.client_id()
        return ReplaceOrder(self.origin(account), account, client_id, **named, **fields)

    def mass_cancel(self, account: str) -> MassCancel:
        pick = self.random
        return MassCancel(
            self.origin(account), account, self.client_id(), self.chance(0.4),
            pick.choice(("", "", f"api:{account}", "ws:bob")),
            pick.choice(("", MARKETS[0].symbol, MARKETS[1].symbol)),
            pick.choice((None, Side.BUY, Side.SELL)), pick.choice(STRATEGIES),
        )  # fmt: skip

    def batch(self, account: str) -> Batch:
        pick = self.random
        count = pick.choice((1, 2, 3, 5, 8)) if self.chance(0.97) else pick.choice((0, 51))
        kinds = (self.new, self.new, self.cancel, self.replace)
        entries: list[BatchEntry] = []
        for _ in range(count):
            entry: Any = pick.choice(kinds)(account)
            own = self.origin(account)._replace(valid_until=0)
            entries.append(entry._replace(account=account, origin=own))
        if entries and self.chance(0.05):
            entries[-1] = self.refusal(account)
        origin = self.origin(account)._replace(valid_until=0)
        mode = BatchMode(pick.randint(0, 1))
        return Batch(origin, account, f"b{self.ids}", mode, tuple(entries))

    def refusal(self, account: str) -> RecordRefusal:
        return RecordRefusal(
            self.origin(account)._replace(valid_until=0), account, RequestKind.NEW,
            RejectReason.INVALID_PRICE, "price 1.001 is not a multiple of the tick 0.01",
            f"r{self.random.randint(1, 99)}", symbol=MARKETS[0].symbol, side=Side.BUY,
            ord_type=OrdType.LIMIT, qty_text="1", price_text="1.001",
        )  # fmt: skip

    def status(self, _: str) -> SetInstrumentStatus:
        symbol = self.random.choice(MARKETS).symbol
        halt = symbol not in self.halted and self.chance(0.4)
        (self.halted.add if halt else self.halted.discard)(symbol)
        return SetInstrumentStatus(ENGINE, symbol, 2 if halt else 1)

    def reference(self) -> SetReferencePrice:
        """An operator moves the band of an instrument, which may have none."""
        market = self.random.choice(MARKETS)
        price = max(1, market.price + self.random.randint(-5, 5))
        return SetReferencePrice(ENGINE, market.symbol, price)

    def suspension(self, account: str) -> SetAccountStatus:
        """Of any account, but one that is suspended already is soon let go."""
        suspend = not self.suspended
        if self.suspended:
            account = self.random.choice(sorted(self.suspended))
            suspend = self.chance(0.2)
        (self.suspended.add if suspend else self.suspended.discard)(account)
        return SetAccountStatus(ENGINE, account, suspend, "why", self.chance(0.5))

    def tick(self, _: str) -> Tick:
        self.now += self.random.choice((0, 1_000_000, DAY_US // 20))
        return Tick(ENGINE)


seeds = st.integers(min_value=0, max_value=2**32)
"""Seeds of flows; a failing one is printed and can be put into the environment."""

profiles = seeds.map(profile_of)
ppm = st.integers(min_value=0, max_value=999_999)
sides = st.sampled_from(Side)
self_trades = st.sampled_from(SelfTrade)
