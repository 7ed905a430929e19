"""``tandem demo``: the day, act by act."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import requests
from rich.console import Console
from rich.markup import escape

from engine.client import EngineClient
from tandem.demo import orders, withdrawals
from tandem.demo.money import Money, atoms
from tandem.demo.stage import ASSETS, Stage, SurpriseError
from tandem.demo.trader import Trader
from tandem.demo.treasury import Treasury
from tandem.demo.venue import TemporaryVenue
from tandem.http_client import base_url
from tandem.output import CommandError
from tandem.supervisor import StartError

FIRMS = ("alice", "bob")
GRANTS = {"BTC": "1000", "ETH": "10000", "USD": "100000000"}


def run(keep: bool) -> int:
    """Play the day; 0 when every figure was as it must be, else 1 with what was not."""
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="tandem-demo-"))
    began = time.monotonic()
    code = 1
    try:
        console.print("Starting a venue of its own on free ports …")
        with TemporaryVenue(folder, lambda name, text: console.print(f"[{name}] {text}",
                                                                     markup=False)) as venue:
            stage = _play(venue, folder, console)
        seconds = time.monotonic() - began
        console.print(f"\n[bold green]{stage.checked} figures checked, no surprise, "
                      f"{seconds:.0f} s.")
        code = 0
    except SurpriseError as error:
        console.print(f"\n[bold red]Surprise:[/] {escape(str(error))}")
    except (CommandError, StartError, requests.RequestException) as error:
        console.print(f"\n[bold red]The play broke off:[/] {escape(str(error))}")
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
            stage.same(f"{trader.firm} heard everything", trader.silent(), True)
    finally:
        alice.stop()
        bob.stop()
        for treasury in treasuries.values():
            treasury.close()
    _audit(stage, venue)
    return stage


def _audit(stage: Stage, venue: TemporaryVenue) -> None:
    """At the end of the day the engine's own invariants hold."""
    stage.step("Close of the day")
    client = EngineClient(str(venue.settings.engine.socket), "demo", timeout_s=30.0)
    try:
        broken = client.check()
        seq = client.status().seq
    finally:
        client.close()
    stage.same("the list of broken invariants", broken, [])
    stage.console.print(f"The engine's invariants hold at sequence {seq}.")
