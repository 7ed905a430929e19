"""``tandem demo``: the trading day, step by step."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engine.client import EngineClient, queries
from engine.journal.verify import verify
from tandem.demo import orders, withdrawals
from tandem.demo.money import Money, atoms, text
from tandem.demo.stage import ASSETS, Stage, SurpriseError
from tandem.demo.trader import Trader
from tandem.demo.treasury import Treasury
from tandem.demo.venue import TemporaryVenue
from tandem.http_client import base_url
from tandem.output import CommandError
from tandem.supervisor import StartError
from tandem.tables import print_table
from tandem_client import TandemError

FIRMS = ("alice", "bob")
GRANTS = {"BTC": "1000", "ETH": "10000", "USD": "100000000"}


def run(keep: bool) -> int:
    """Play the day; return 0 if every check passed, else print the one that failed and return 1."""
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="tandem-demo-"))
    began = time.monotonic()
    code = 1
    try:
        console.print("Starting a temporary venue on free ports …")
        with TemporaryVenue(folder, lambda name, text: console.print(f"[{name}] {text}",
                                                                     markup=False)) as venue:
            stage = _play(venue, folder, console)
        _replay(stage, venue)
        seconds = time.monotonic() - began
        console.print(f"\n[bold green]{stage.checked} numbers checked, no surprise, "
                      f"{seconds:.0f} s.")
        code = 0
    except SurpriseError as error:
        console.print(f"\n[bold red]Surprise:[/] {escape(str(error))}")
    except (CommandError, StartError, TandemError) as error:
        console.print(f"\n[bold red]The demo was interrupted:[/] {escape(str(error))}")
    if keep or code:
        console.print(f"Data and logs are in {folder}.")
    else:
        shutil.rmtree(folder)
    return code


def _play(venue: TemporaryVenue, folder: Path, console: Console) -> Stage:
    settings = venue.settings
    treasuries = {firm: Treasury(base_url(settings), firm) for firm in FIRMS}
    money = Money({(firm, a): atoms(GRANTS[a]) for firm in FIRMS for a in ASSETS})
    stage = Stage(console, money, treasuries)
    alice = Trader("alice", settings.fix.port, folder, cancel_on_disconnect=0)
    bob = Trader("bob", settings.fix.port, folder, cancel_on_disconnect=1)
    try:
        stage.step("Both firms log on by FIX; bob asks for cancel on disconnect")
        alice.log_on()
        bob.log_on()
        stage.show_money()
        orders.play(stage, alice, bob)
        withdrawals.play(stage, treasuries["bob"])
        orders.play_disconnect(stage, bob)
        for trader in (alice, bob):
            stage.same(f"the check for unread messages of {trader.firm}", trader.silent(), True)
        _reconcile(stage)
    finally:
        alice.stop()
        bob.stop()
        for treasury in treasuries.values():
            treasury.close()
    _invariants(stage, venue)
    return stage


def _reconcile(stage: Stage) -> None:
    """Check that all fills are there, and that the total of each asset has not changed."""
    stage.step("Close of the day: balances, fees and withdrawals add up to the initial amounts")
    fees: dict[str, int] = {}
    for firm, treasury in stage.treasuries.items():
        fills = treasury.get(f"/v1/fills?min_seq={stage.seen_seq}")["fills"]
        table = Table(
            title=f"Fills of {firm}", title_justify="left", box=None, padding=(0, 1, 0, 0)
        )
        for column in ("trade", "symbol", "ClOrdID", "side", "liquidity"):
            table.add_column(column)
        for column in ("quantity", "price", "fee"):
            table.add_column(column, justify="right")
        for fill in fills:
            asset = fill["fee_asset"]
            fees[asset] = fees.get(asset, 0) + atoms(fill["fee"])
            table.add_row(
                str(fill["trade_id"]), fill["symbol"], fill["client_order_id"], fill["side"],
                fill["liquidity"], fill["quantity"], fill["price"], f"{fill['fee']} {asset}",
            )  # fmt: skip
        print_table(stage.console, table)
        stage.same(f"the number of fills of {firm}", len(fills), stage.money.fills[firm])
    stage.same("the sum of all fees", fees, stage.money.fees)
    for asset in ASSETS:
        posted = sum(
            atoms(row["posted"])
            for treasury in stage.treasuries.values()
            for row in treasury.get("/v1/balances")["balances"]
            if row["asset"] == asset
        )
        paid, left = fees.get(asset, 0), stage.money.left.get(asset, 0)
        total = posted + paid + left
        stage.console.print(
            f"{asset}: {text(posted)} with the firms + {text(paid)} trading fees + {text(left)} "
            f"withdrawn = {text(total)}"
        )
        stage.same(f"the total of {asset}", total, len(FIRMS) * atoms(GRANTS[asset]))


def _invariants(stage: Stage, venue: TemporaryVenue) -> None:
    """Check the engine's own invariants."""
    client = EngineClient(str(venue.settings.engine.socket), "demo", timeout_s=30.0)
    try:
        broken = client.fetch(queries.Check()).value
        seq = client.fetch(queries.Status()).value.seq
    finally:
        client.close()
    stage.same("the list of broken invariants", broken, [])
    stage.console.print(f"The engine's invariants hold at sequence {seq}.")


def _replay(stage: Stage, venue: TemporaryVenue) -> None:
    """Replay the journal from the beginning and check that it gives the same events."""
    journal = venue.settings.engine.journal
    report = verify(journal, journal / "snapshots")
    found = [finding.text for finding in report.findings]
    stage.same("the list of findings in the journal", found, [])
    stage.console.print(
        f"The venue is stopped. A replay of its journal gives the same events in all "
        f"{report.replayed} transactions."
    )
