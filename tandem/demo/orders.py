"""The trading steps of the demo: quotes, trades, replaces, cancels, a lost connection."""

from __future__ import annotations

from tandem.demo.money import Order, atoms
from tandem.demo.stage import Stage
from tandem.demo.trader import Trader

NEW, TRADE, CANCELED, REPLACED, REJECTED = "0", "F", "4", "5", "8"
OPEN, PARTLY, FILLED = "0", "1", "2"
BTC_USD, ETH_BTC, ETH_USD = "BTC-USD", "ETH-BTC", "ETH-USD"


def play(stage: Stage, alice: Trader, bob: Trader) -> None:
    """Play the steps from the first quote to the mass cancel."""
    _quotes(stage, alice)
    _trades(stage, alice, bob)
    _replaces(stage, alice, bob)
    _cancel(stage, bob)
    _fees_in_btc(stage, alice, bob)
    _refusals(stage, alice, bob)
    _mass_cancel(stage, alice)


def _rest(stage: Stage, trader: Trader, name: str, symbol: str, side: str, qty: str,
          price: str) -> Order:  # fmt: skip
    """Enter an order that rests, and check its ExecutionReport."""
    order = Order(trader.firm, symbol, side == "buy", atoms(price), atoms(qty))
    trader.order(name, symbol, side, qty, price)
    stage.money.place(name, order)
    stage.report(trader, order, NEW, OPEN, name)
    return order


def _trade(stage: Stage, maker: tuple[Trader, str, str], taker: tuple[Trader, str, str],
           qty: str, price: str) -> None:  # fmt: skip
    """Check the reports of a trade; an order is (trader, name in the model, current ClOrdID)."""
    fees = stage.money.trade(maker[1], taker[1], atoms(qty))
    for (trader, name, cl_ord_id), fee in ((taker, fees[1]), (maker, fees[0])):
        order = stage.money.orders[name]
        status = FILLED if order.leaves == 0 else PARTLY
        stage.report(trader, order, TRADE, status, cl_ord_id, trade=(qty, price, fee))


def _quotes(stage: Stage, alice: Trader) -> None:
    stage.step("Alice quotes both sides of BTC-USD")
    _rest(stage, alice, "a-bid-1", BTC_USD, "buy", "1", "60000")
    _rest(stage, alice, "a-bid-2", BTC_USD, "buy", "1.5", "59990")
    _rest(stage, alice, "a-ask-1", BTC_USD, "sell", "1", "60010")
    _rest(stage, alice, "a-ask-2", BTC_USD, "sell", "1.5", "60020")
    stage.show_reports()
    stage.show_book(
        BTC_USD, [("60000", "1"), ("59990", "1.5")], [("60010", "1"), ("60020", "1.5")]
    )
    stage.show_money()


def _trades(stage: Stage, alice: Trader, bob: Trader) -> None:
    stage.step("Bob takes 0.4 of alice's best offer (IOC): a partial fill for alice")
    _take(stage, bob, "b-1", "0.4", "60010")
    _trade(stage, (alice, "a-ask-1", "a-ask-1"), (bob, "b-1", "b-1"), "0.4", "60010")
    stage.show_reports()
    stage.show_book(
        BTC_USD, [("60000", "1"), ("59990", "1.5")], [("60010", "0.6"), ("60020", "1.5")]
    )
    stage.show_money()

    stage.step("Bob buys 1.2 through two levels: two fills, an average price")
    _take(stage, bob, "b-2", "1.2", "60020")
    _trade(stage, (alice, "a-ask-1", "a-ask-1"), (bob, "b-2", "b-2"), "0.6", "60010")
    _trade(stage, (alice, "a-ask-2", "a-ask-2"), (bob, "b-2", "b-2"), "0.6", "60020")
    stage.show_reports()
    stage.show_book(BTC_USD, [("60000", "1"), ("59990", "1.5")], [("60020", "0.9")])
    stage.show_money()


def _take(stage: Stage, trader: Trader, name: str, qty: str, price: str) -> None:
    order = Order(trader.firm, BTC_USD, True, atoms(price), atoms(qty))
    trader.order(name, BTC_USD, "buy", qty, price, tif="3")
    stage.money.place(name, order)
    stage.report(trader, order, NEW, OPEN, name)


def _replace(stage: Stage, trader: Trader, name: str, ids: tuple[str, str], qty: str,
             price: str) -> None:  # fmt: skip
    """Replace the order known to the model as ``name``; ``ids`` are the old and new ClOrdID."""
    order = stage.money.orders[name]
    side = "buy" if order.buys else "sell"
    trader.replace(ids[1], ids[0], order.symbol, side, qty, price)
    order.qty, order.price = atoms(qty), atoms(price)
    stage.report(trader, order, REPLACED, PARTLY if order.cum else OPEN, ids[1], orig=ids[0])


def _replaces(stage: Stage, alice: Trader, bob: Trader) -> None:
    stage.step("Alice takes her half-filled offer down to 1.0 in all: 0.4 are left")
    _replace(stage, alice, "a-ask-2", ("a-ask-2", "a-ask-2r"), "1", "60020")
    stage.show_reports()
    stage.show_book(BTC_USD, [("60000", "1"), ("59990", "1.5")], [("60020", "0.4")])
    stage.show_money()

    stage.step("Bob bids, and raises quantity and price: the hold grows with it")
    _rest(stage, bob, "b-3", BTC_USD, "buy", "2", "59950")
    _replace(stage, bob, "b-3", ("b-3", "b-3r"), "2.5", "59980")
    stage.show_reports()
    stage.show_book(
        BTC_USD, [("60000", "1"), ("59990", "1.5"), ("59980", "2.5")], [("60020", "0.4")]
    )
    stage.show_money()

    stage.step("Bob's next replace crosses the book: replaced first, then filled in part")
    _replace(stage, bob, "b-3", ("b-3r", "b-3rr"), "2.5", "60020")
    _trade(stage, (alice, "a-ask-2", "a-ask-2r"), (bob, "b-3", "b-3rr"), "0.4", "60020")
    stage.show_reports()
    stage.show_book(BTC_USD, [("60020", "2.1"), ("60000", "1"), ("59990", "1.5")], [])
    stage.show_money()

    stage.step("Alice sells 1 into bob's bid: the same order of bob's, now as maker")
    order = Order("alice", BTC_USD, False, atoms("60020"), atoms("1"))
    alice.order("a-2", BTC_USD, "sell", "1", "60020", tif="3")
    stage.money.place("a-2", order)
    stage.report(alice, order, NEW, OPEN, "a-2")
    _trade(stage, (bob, "b-3", "b-3rr"), (alice, "a-2", "a-2"), "1", "60020")
    stage.show_reports()
    stage.show_money()


def _cancel(stage: Stage, bob: Trader) -> None:
    stage.step("Bob cancels the rest: executed 1.4, nothing left, the hold is free")
    bob.cancel("b-3c", "b-3rr", BTC_USD, "buy")
    stage.report(bob, stage.money.orders["b-3"], CANCELED, "4", "b-3c", orig="b-3rr")
    stage.money.close("b-3")
    stage.show_reports()
    stage.show_book(BTC_USD, [("60000", "1"), ("59990", "1.5")], [])
    stage.show_money()


def _fees_in_btc(stage: Stage, alice: Trader, bob: Trader) -> None:
    stage.step("ETH against BTC: the fees are in the quote asset, BTC")
    _rest(stage, alice, "a-eth", ETH_BTC, "sell", "10", "0.05123")
    order = Order("bob", ETH_BTC, True, atoms("0.05123"), atoms("4.321"))
    bob.order("b-eth", ETH_BTC, "buy", "4.321", "0.05123")
    stage.money.place("b-eth", order)
    stage.report(bob, order, NEW, OPEN, "b-eth")
    _trade(stage, (alice, "a-eth", "a-eth"), (bob, "b-eth", "b-eth"), "4.321", "0.05123")
    stage.show_reports()
    stage.show_money()


def _refusals(stage: Stage, alice: Trader, bob: Trader) -> None:
    stage.step("Invalid orders are rejected with a reason, and no balance changes")
    for trader, name, qty, price in (
        (bob, "b-poor", "1000", "200000"),
        (alice, "a-tick", "1", "60000.005"),
        (alice, "a-bid-1", "1", "60000"),
    ):
        trader.order(name, BTC_USD, "buy", qty, price)
        report = stage.hear(trader, {35: "8", 150: REJECTED, 11: name})
        stage.same(f"the presence of Text(58) in the reject of {name}", bool(report.get(58)), True)
    stage.show_reports()
    stage.show_money()


def _mass_cancel(stage: Stage, alice: Trader) -> None:
    stage.step("Alice cancels everything with one message")
    alice.mass_cancel("a-all")
    for name in ("a-bid-1", "a-bid-2", "a-eth"):
        order = stage.money.orders[name]
        # Each order canceled by q is reported under its own ClOrdID, and then counted in r.
        stage.report(alice, order, CANCELED, "4", name)
        stage.money.close(name)
    stage.hear(alice, {35: "r", 11: "a-all", 531: "7", 533: "3"})
    stage.show_reports()
    stage.show_book(BTC_USD, [], [])
    stage.show_money()


def play_disconnect(stage: Stage, bob: Trader) -> None:
    """Lose Bob's connection; check that his orders are canceled and reported when he returns."""
    stage.step("Bob quotes ETH-USD")
    names = {"b-bid": ("buy", "20", "2500"), "b-ask": ("sell", "20", "2600")}
    for name, (side, qty, price) in names.items():
        _rest(stage, bob, name, ETH_USD, side, qty, price)
    stage.show_reports()
    stage.show_book(ETH_USD, [("2500", "20")], [("2600", "20")])
    stage.show_money()

    stage.step("Bob's connection is lost: both orders are canceled, and reported when he returns")
    bob.drop()
    for name in names:
        # These cancels are unsolicited, so that ClOrdID is that of the order.
        stage.report(bob, stage.money.orders[name], CANCELED, "4", name)
        stage.money.close(name)
    stage.show_reports()
    stage.show_book(ETH_USD, [], [])
    stage.show_money()
