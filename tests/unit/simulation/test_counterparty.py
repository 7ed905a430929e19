"""Orders of the simulated symbol: what their quantity chooses, through the account API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from account_api.configuration import api_settings
from account_api.http.app import create_app
from account_api.simulation.counterparty import Counterparty
from account_api.simulation.scripts import SCRIPTS
from config.settings import DEMO_FILE, SettingsError, load
from engine.history.queries import open_reader
from engine.server.bootstrap import bootstrap_commands
from tests.api.client import Caller
from tests.api.inprocess import Clock, InProcessEngine

ROOT: Final = Path(__file__).parent.parent.parent.parent
MARKET: Final = {"TANDEM_MARKET": "1"}


class TestNet:
    """A venue with the simulated symbol, its counterparty, and a trader."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.engine = InProcessEngine(folder, self.clock)
        settings = load(DEMO_FILE, {**MARKET, "TANDEM_DATA": str(folder)})
        for command in bootstrap_commands(settings, self.engine.exchange):
            self.engine.apply(command)
        self.engine.catch_up()
        self.app = create_app(
            api_settings(settings), lambda: self.engine,
            lambda: open_reader(self.engine.history_url), self.clock,
        )  # fmt: skip
        self.alice = Caller(self.app.test_client(), self.clock, key="demo-alice-trade")
        self.counterparty = self.new_counterparty()
        self.count = 0

    def new_counterparty(self) -> Counterparty:
        return Counterparty(self.engine, "SIM-USD", "simulator", self.clock)

    def order(self, quantity: str, side: str = "buy", **more: Any) -> str:
        """Enter an order; its client order id."""
        self.count += 1
        name = f"o{self.count}"
        body = {"client_order_id": name, "symbol": "SIM-USD", "side": side, "quantity": quantity,
                "price": str(100 + self.count), **more}  # fmt: skip
        self.alice.post("/v1/orders", body).ok(201)
        return name

    def after(self, name: str, seconds: float) -> tuple[str, str]:
        """Status and filled quantity of an order some time later."""
        while seconds > 0:
            self.clock.advance(min(0.25, seconds))
            seconds -= 0.25
            self.counterparty.turn()
        self.counterparty.turn()
        row = self.alice.get(f"/v1/orders/client:{name}").ok()
        return row["status"], row["filled_quantity"]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNet]:
    one = TestNet(tmp_path_factory.mktemp("venue"))
    yield one
    one.app.extensions["tandem"].close()


ROWS: Final = [
    ("1", [(0.0, "filled", "1")]),
    ("2", [(1.5, "new", "0"), (1.0, "filled", "2")]),
    ("3", [(0.5, "new", "0"), (1.0, "partially_filled", "1"), (1.0, "partially_filled", "2"),
           (1.0, "filled", "3")]),
    ("4", [(1.5, "partially_filled", "1"), (60.0, "partially_filled", "1")]),
    ("5", [(0.5, "new", "0"), (1.0, "canceled", "0")]),
    ("6", [(1.5, "partially_filled", "2"), (1.0, "canceled", "2")]),
    ("9", [(60.0, "new", "0")]),
    ("1.5", [(60.0, "new", "0")]),
]  # fmt: skip


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("quantity", "course"), ROWS, ids=[row[0] for row in ROWS])
def test_the_quantity_chooses_what_happens(
    net: TestNet, quantity: str, course: list[tuple[float, str, str]], side: str
) -> None:
    name = net.order(quantity, side)
    for seconds, status, filled in course:
        assert net.after(name, seconds) == (status, filled)
    net.alice.delete("/v1/orders").ok()


def test_every_row_of_the_page_is_one_of_these_and_the_other_way_round() -> None:
    page = (ROOT / "docs" / "test-net.md").read_text(encoding="utf-8")
    shown = {int(found) for found in re.findall(r"^\| ([0-9]+) \|", page, re.MULTILINE)}
    assert shown == SCRIPTS.keys() | {7, 8, 10}
    assert {quantity for quantity, _ in ROWS} >= {str(one) for one in SCRIPTS}


def test_a_counterparty_that_was_restarted_goes_on(net: TestNet) -> None:
    name = net.order("3")
    assert net.after(name, 1.5) == ("partially_filled", "1")
    net.counterparty = net.new_counterparty()
    assert net.after(name, 1.0) == ("partially_filled", "2")
    assert net.after(name, 1.0) == ("filled", "3")
    assert net.counterparty.turn() == 0


def test_the_venue_is_said_to_have_canceled_it(net: TestNet) -> None:
    name = net.order("5")
    net.after(name, 1.5)
    canceled = next(
        event for transaction in reversed(net.engine.transactions)
        for event in transaction.events if type(event).__name__ == "OrderCanceled"
    )  # fmt: skip
    assert canceled.requester == "simulator"  # type: ignore[union-attr]
    assert canceled.order.client_order_id == name  # type: ignore[union-attr]


def refusals(page: str) -> dict[str, str]:
    """The table of refusals on the page: what is sent, and the code."""
    part = page[page.index("## Simulated orders") :]
    rows = re.findall(r"^\| `([^|]*)` \| `([a-z_]+)` \|$", part, re.MULTILINE)
    return dict(rows)


def test_each_refusal_of_the_page_comes_from_what_it_says(net: TestNet) -> None:
    page = (ROOT / "docs" / "test-net.md").read_text(encoding="utf-8")
    table = refusals(page)
    assert len(table) >= 6
    for number, (sent, code) in enumerate(table.items()):
        changes = dict(re.findall(r"(\w+) (\S+)", sent))
        body = {"client_order_id": f"r{number}", "symbol": "SIM-USD", "side": "buy",
                "quantity": "9", "price": "100", **changes}  # fmt: skip
        body = {
            name: {"true": True}.get(value, value) for name, value in body.items()
            if value != "none"
        }  # fmt: skip
        answer = net.alice.post("/v1/orders", body)
        found = answer.json.get("code") or answer.json.get("cancel_reason")
        assert found == code, (sent, answer.raw)


def test_a_simulation_is_off_unless_a_test_net_asks_for_it() -> None:
    assert load(DEMO_FILE, {}).simulation.symbol == ""
    on = load(DEMO_FILE, MARKET)
    assert on.simulation.symbol == "SIM-USD"
    assert [one.symbol for one in on.instruments if one.symbol.startswith("SIM")] == ["SIM-USD"]
    assert all("SIM" in dict(one.grants) for one in on.accounts)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('quote = "USD"', 'quote = "EUR"'), "simulation.quote"),
        (('asset = "ETH"\nscale', 'asset = "SIM"\nscale'), "which is an asset already"),
    ],
)
def test_a_simulation_that_cannot_be_says_why(
    tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    text = DEMO_FILE.read_text(encoding="utf-8")
    text = text.replace("[simulation]", '[simulation]\nquote = "USD"', 1)
    text = re.sub(r"enabled = false +# `tandem up --market` enables it", "enabled = true", text)
    file = tmp_path / "venue.toml"
    if "SIM" in change[1]:
        text += '\n[[assets]]\nasset = "SIM"\nscale = 8\n'
    file.write_text(text.replace(*change, 1) if "SIM" not in change[1] else text, encoding="utf-8")
    with pytest.raises(SettingsError, match=why):
        load(file, {})


def test_production_has_no_simulation() -> None:
    from config.reading import Problems
    from config.simulation import extended

    on = load(DEMO_FILE, {})
    on = msgspec.structs.replace(
        on, environment="production",
        simulation=msgspec.structs.replace(on.simulation, enabled=True),
    )  # fmt: skip
    problems = Problems()
    assert extended(on, problems) is on
    assert "test-nets" in problems.lines[0]
