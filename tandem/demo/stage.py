"""The output of the demo, and the check of every number in it: a failed check ends the demo."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tandem.demo.money import Money, Order, atoms, text
from tandem.demo.trader import Report, Trader
from tandem.demo.treasury import Treasury
from tandem.tables import print_table

ASSETS: Final = ("BTC", "ETH", "USD")
_EXEC: Final = {"0": "new", "F": "trade", "4": "canceled", "5": "replaced", "8": "rejected"}
_STATUS: Final = {"0": "new", "1": "partially filled", "2": "filled", "4": "canceled",
                  "8": "rejected"}  # fmt: skip
_NAMES: Final = {
    6: "AvgPx", 11: "ClOrdID", 14: "CumQty", 31: "LastPx", 32: "LastQty", 35: "MsgType",
    38: "OrderQty", 39: "OrdStatus", 41: "OrigClOrdID", 54: "Side", 55: "Symbol",
    103: "OrdRejReason", 137: "MiscFeeAmt", 150: "ExecType", 151: "LeavesQty",
    531: "MassCancelResponse", 533: "TotalAffectedOrders", 851: "LastLiquidityInd",
}  # fmt: skip
_AMOUNTS: Final = frozenset((6, 14, 31, 32, 38, 137, 151, 533))


class SurpriseError(AssertionError):
    """A number is not what the rules require."""


@dataclass(slots=True)
class Stage:
    """Prints steps and compares the venue's messages and balances with the model."""

    console: Console
    money: Money
    treasuries: dict[str, Treasury]
    seen_seq: int = 0
    checked: int = 0
    _before: dict[tuple[str, str], str] = field(default_factory=dict)
    _reports: list[tuple[str, Report]] = field(default_factory=list)

    def step(self, title: str) -> None:
        """Begin a step."""
        self.console.print()
        self.console.rule(f"[bold]{title}", align="left")

    def same(self, what: str, found: Any, expected: Any) -> None:
        """Check that two values are equal, and count the check. Raises SurpriseError."""
        self.checked += 1
        if found != expected:
            raise SurpriseError(f"{what} is {found!r}, expected {expected!r}")

    def report(self, trader: Trader, order: Order, exec_type: str, status: str, name: str,
               orig: str = "", trade: tuple[str, str, int] | None = None) -> Report:  # fmt: skip
        """Receive one ExecutionReport and check it; ``trade`` is quantity, price and fee."""
        closed = status in ("4", "8")
        expected = {
            35: "8", 150: exec_type, 39: status, 11: name, 55: order.symbol,
            54: "1" if order.buys else "2", 38: text(order.qty), 14: text(order.cum),
            151: "0" if closed else text(order.leaves), 6: order.average,
        }  # fmt: skip
        if orig:
            expected[41] = orig
        if trade is not None:
            expected[32], expected[31] = text_of(trade[0]), text_of(trade[1])
            expected[137] = text(trade[2])
        return self.hear(trader, expected)

    def hear(self, trader: Trader, expected: dict[int, str]) -> Report:
        """Return the trader's next message, and check that it has these fields."""
        report = trader.next()
        self._reports.append((trader.firm, report))
        for tag, value in expected.items():
            found = report.get(tag, "")
            name = f"{trader.firm}: {_NAMES.get(tag, 'tag')}({tag}) of {report.get(11, '?')}"
            if tag in _AMOUNTS:
                self.same(name, _number(found), Decimal(value))
            else:
                self.same(name, found, value)
        if 20001 in report:
            self.seen_seq = max(self.seen_seq, report.seq)
        return report

    def show_reports(self) -> None:
        """Print the messages received since the last call."""
        table = Table(
            title="FIX messages received by the firms", title_justify="left", box=None,
            padding=(0, 1, 0, 0), pad_edge=False,
        )  # fmt: skip
        for column in ("firm", "ClOrdID", "report"):
            table.add_column(column)
        for column in ("last", "executed", "leaves", "average", "fee"):
            table.add_column(column, justify="right")
        for firm, report in self._reports:
            last = f"{report[32]}@{report[31]}" if report.get(150) == "F" else ""
            kind = "mass cancel" if report[35] == "r" else report.get(150, "")
            status = report.get(39, "")
            told = _STATUS.get(status, status) if last else _EXEC.get(kind, kind)
            table.add_row(
                firm, report.get(11, ""), told, last,
                report.get(14, ""), report.get(151, ""), report.get(6, ""),
                report.get(137, "") if last else "",
            )  # fmt: skip
        print_table(self.console, table)
        for firm, report in self._reports:
            if 58 in report:
                self.console.print(f"{firm}, {report.get(11, '')}: {report[58]}", markup=False)
        self._reports.clear()

    def show_book(self, symbol: str, bids: list[tuple[str, str]],
                  asks: list[tuple[str, str]]) -> None:  # fmt: skip
        """Print the public book and check it: (price, quantity), best first."""
        treasury = next(iter(self.treasuries.values()))
        book = treasury.get(f"/v1/books/{symbol}")
        table = Table(title=f"Book of {symbol}", title_justify="left")
        for column in ("bid quantity", "bid", "ask", "ask quantity"):
            table.add_column(column, justify="right")
        found = [[(level["price"], level["quantity"]) for level in book[side]]
                 for side in ("bids", "asks")]  # fmt: skip
        for index in range(max(len(found[0]), len(found[1]))):
            bid = found[0][index] if index < len(found[0]) else ("", "")
            ask = found[1][index] if index < len(found[1]) else ("", "")
            table.add_row(bid[1], bid[0], ask[0], ask[1])
        print_table(self.console, table)
        self.same(f"the bids of {symbol}", found[0], bids)
        self.same(f"the asks of {symbol}", found[1], asks)

    def show_money(self) -> None:
        """Print every balance of the account API, and check each against the model."""
        table = Table(title="Balances from the account API", title_justify="left")
        for column in ("firm", "asset"):
            table.add_column(column)
        for column in ("posted", "held", "available", "change"):
            table.add_column(column, justify="right")
        for firm, treasury in self.treasuries.items():
            answer = treasury.get(f"/v1/balances?min_seq={self.seen_seq}")
            rows = {row["asset"]: row for row in answer["balances"]}
            for asset in ASSETS:
                row = rows[asset]
                found = (row["posted"], row["held"], row["available"])
                before = self._before.get((firm, asset), row["available"])
                change = atoms(row["available"]) - atoms(before)
                self._before[firm, asset] = row["available"]
                table.add_row(firm, asset, *found, _change(change))
                self.same(f"{asset} of {firm}", found, self.money.row(firm, asset))
        print_table(self.console, table)


def _change(value: int) -> str:
    sign = "+" if value > 0 else ""
    return f"{sign}{text(value)}" if value else ""


def text_of(amount: str) -> str:
    """Return an amount of the demo as canonical decimal text."""
    return str(Decimal(amount))


def _number(found: str) -> Decimal | str:
    try:
        return Decimal(found)
    except InvalidOperation:
        return found
