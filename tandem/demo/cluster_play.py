"""``tandem demo-cluster``: trade on three machines, lose the one that leads, and count."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.markup import escape

from engine.client import EngineClient, EngineError, queries
from engine.cluster.etcd import EtcdError
from engine.journal.verify import verify
from tandem import cluster_state
from tandem.demo.machines import Machine, Machines, wait
from tandem.demo.money import Money
from tandem.demo.stage import Stage, SurpriseError
from tandem.demo.treasury import Treasury
from tandem.output import CommandError
from tandem_client import TandemError

TRADES: Final = 5
LONGEST_S: Final = 60.0
PAUSE_S: Final = 0.02
PRICE: Final = 60_000


class Acknowledged(NamedTuple):
    """What a firm was told of one order: its id at the venue, and a seq that includes it."""

    firm: str
    client_order_id: str
    order_id: str
    seq: int


class Desk:
    """The firms alice and bob, who can send their orders to any machine."""

    def __init__(self, machines: Machines) -> None:
        self._clients = {
            (one.name, firm): Treasury(one.url, firm)
            for one in machines.every
            for firm in ("alice", "bob")
        }
        self.done: list[Acknowledged] = []
        self.refusals: list[str] = []

    def order(self, machine: Machine, firm: str, side: str, price: int) -> float:
        """Send an order until it is acknowledged; return the seconds. Raises CommandError.

        It is always the identical request: whatever became of the one before, it is done once.
        """
        name = f"{firm}-{len(self.done):05d}"
        body = {
            "client_order_id": name, "symbol": "BTC-USD", "side": side, "type": "limit",
            "quantity": "0.001", "price": str(price),
        }  # fmt: skip
        began = time.monotonic()
        while time.monotonic() - began < LONGEST_S:
            try:
                status, answer = self._of(machine, firm).send("trade", "POST", "/v1/orders", body)
            except TandemError as error:
                self.refusals.append(str(error))
            else:
                if status < 300:
                    told = Acknowledged(firm, name, answer["order_id"], answer["as_of_seq"])
                    self.done.append(told)
                    return time.monotonic() - began
                if status != 503:
                    raise CommandError(f"order {name}: HTTP {status}, {answer.get('detail')}")
                self.refusals.append(str(answer.get("detail")))
            time.sleep(PAUSE_S)
        raise CommandError(f"order {name} has no answer: {self.refusals[-1]}")

    def trade(self, seller: Machine, buyer: Machine, price: int = PRICE) -> None:
        """Alice sells on one machine, and bob buys it on another."""
        self.order(seller, "alice", "sell", price)
        self.order(buyer, "bob", "buy", price)

    def orders(self, machine: Machine, firm: str, min_seq: int) -> dict[str, str]:
        """Return all orders that a machine knows of a firm: order id by client order id."""
        found: dict[str, str] = {}
        after = ""
        while True:
            page = self.read(
                machine, firm, f"/v1/orders?status=all&limit=500&min_seq={min_seq}{after}"
            )
            for order in page["orders"]:
                if order["client_order_id"] in found:
                    raise SurpriseError(f"order {order['client_order_id']} is there twice")
                found[order["client_order_id"]] = order["order_id"]
            if not page.get("next_cursor"):
                return found
            after = f"&cursor={page['next_cursor']}"

    def fills(self, machine: Machine, min_seq: int) -> int:
        """Return how many fills of bob a machine knows."""
        return len(self.read(machine, "bob", f"/v1/fills?limit=500&min_seq={min_seq}")["fills"])

    def read(self, machine: Machine, firm: str, target: str) -> dict[str, Any]:
        """Read, until the machine has come so far. Raises CommandError."""
        began = time.monotonic()
        while True:
            status, answer = self._of(machine, firm).send("read", "GET", target)
            if status < 300:
                return answer
            if status != 503 or time.monotonic() - began > LONGEST_S:
                raise CommandError(f"GET {target}: HTTP {status}, {answer.get('detail')}")
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _of(self, machine: Machine, firm: str) -> Treasury:
        return self._clients[machine.name, firm]


def run(keep: bool) -> int:
    """Play it; return 0 if nothing was lost, else print what was and return 1."""
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="tandem-cluster-"))
    code = 1
    # So that what it has started ends, however it is ended itself.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with Machines(folder) as machines:
            stage = Stage(console, Money({}), {})
            _begin(stage, machines)
            desk = Desk(machines)
            try:
                _play(stage, machines, desk)
            finally:
                desk.close()
            if keep:
                _keep(console, machines)
            stage.step("All three stop, and their journals are audited")
            for one in machines.every:
                one.stop_venue()
            _audit(stage, machines)
        console.print(
            f"\n[bold green]Nothing was lost and nothing doubled: {len(desk.done)} acknowledged "
            f"orders are there once, on three machines."
        )
        code = 0
    except SurpriseError as error:
        console.print(f"\n[bold red]Surprise:[/] {escape(str(error))}")
    except (CommandError, EngineError, EtcdError, TandemError) as error:
        console.print(f"\n[bold red]The demo was interrupted:[/] {escape(str(error))}")
    except KeyboardInterrupt:
        console.print("\nEnded.")
    if code:
        console.print(f"Data and logs are in {folder}.")
    else:
        shutil.rmtree(folder)
    return code


def _begin(stage: Stage, machines: Machines) -> None:
    stage.step("Three machines, each with a member of etcd and a whole venue")
    began = time.monotonic()
    machines.start_etcd()
    stage.console.print(f"etcd has a leader after {time.monotonic() - began:.1f} s.")
    cluster_state.init(machines.every[0].settings)
    machines.start_venues()
    stage.console.print(f"All three are ready after {time.monotonic() - began:.1f} s.")
    for one in machines.every:
        stage.console.print(f"  {one.name}: {one.url}, {len(one.processes())} processes")


def _play(stage: Stage, machines: Machines, desk: Desk) -> None:
    a, b, c = machines.every
    stage.step("Alice sells on machine a what bob buys on machine b")
    for _ in range(TRADES):
        desk.trade(a, b)
    last = desk.done[-1].seq
    stage.console.print(f"{2 * TRADES} orders, {TRADES} trades, up to seq {last}.")
    stage.same("the trades that machine c knows", desk.fills(c, last), TRADES)
    stage.console.print("Machine c, on which nobody traded, knows them too.")
    cluster_state.status(a.settings, as_json=False)

    lost = machines.leader()
    others = [one for one in machines.every if one is not lost]
    stage.step(f"kill -9 of everything on machine {lost.name}, which leads")
    began = time.monotonic()
    count = lost.kill()
    stage.console.print(f"{count} processes are gone, its member of etcd among them.")
    desk.order(others[0], "alice", "sell", PRICE)
    took = time.monotonic() - began
    stage.console.print(
        f"[bold]The next order is acknowledged {took:.2f} s after the kill.[/] "
        f"Machine {machines.leader().name} leads."
    )
    for reason in dict.fromkeys(desk.refusals):
        stage.console.print(f"  Until then: {reason}", markup=False)
    desk.order(others[1], "bob", "buy", PRICE)
    for _ in range(TRADES - 1):
        desk.trade(others[0], others[1])
    wait(lambda: machines.away(lost), LONGEST_S, f"machine {lost.name} is not missed")
    cluster_state.status(others[0].settings, as_json=False)

    stage.step(f"Machine {lost.name} is started again")
    began = time.monotonic()
    lost.start_etcd()
    lost.start_venue()
    wait(lambda: lost.ready, LONGEST_S, f"machine {lost.name} is not ready")
    stage.console.print(f"It is ready after {time.monotonic() - began:.1f} s, and follows.")
    desk.trade(lost, others[0])
    _compare(stage, machines, desk)


def _compare(stage: Stage, machines: Machines, desk: Desk) -> None:
    stage.step("What the firms were told, compared with what each machine has")
    last = max(told.seq for told in desk.done)
    for firm in ("alice", "bob"):
        told = {one.client_order_id: one.order_id for one in desk.done if one.firm == firm}
        for machine in machines.every:
            found = desk.orders(machine, firm, last)
            stage.same(f"the orders of {firm} on machine {machine.name}", found, told)
    trades = len(desk.done) // 2
    for machine in machines.every:
        stage.same(f"the trades on machine {machine.name}", desk.fills(machine, last), trades)
    stage.console.print(f"{len(desk.done)} orders and {trades} trades, the same on each.")
    states: list[Any] = []

    def agreed() -> bool:
        states[:] = [_state(one) for one in machines.every]
        return len({seq for seq, _ in states}) == 1

    wait(agreed, LONGEST_S, "the machines do not come to the same seq")
    for machine, (seq, digest) in zip(machines.every, states, strict=True):
        stage.console.print(f"  {machine.name}: state at seq {seq} is {digest[:16]}…")
    stage.same("the number of different states", len({digest for _, digest in states}), 1)
    cluster_state.status(machines.every[0].settings, as_json=False)


def _state(machine: Machine) -> tuple[int, str]:
    client = EngineClient(str(machine.settings.engine.socket), "demo", timeout_s=LONGEST_S)
    try:
        answer = client.fetch(queries.StateHash())
        return answer.as_of_seq, answer.value
    finally:
        client.close()


def _audit(stage: Stage, machines: Machines) -> None:
    for one in machines.every:
        journal = one.settings.engine.journal
        report = verify(journal, journal / "snapshots")
        found = [finding.text for finding in report.findings]
        stage.same(f"the findings in the journal of machine {one.name}", found, [])
        stage.console.print(
            f"  {one.name}: a replay gives the same events in all {report.replayed} transactions."
        )


def _keep(console: Console, machines: Machines) -> None:
    """Leave it running until Ctrl-C, and say how it can be reached."""
    console.print("\nIt goes on running; Ctrl-C ends it. `tandem up` of each restarts what dies.")
    for one in machines.every:
        fix = one.settings.fix
        console.print(f"  {one.name}: {one.url}, FIX {fix.host}:{fix.port}", soft_wrap=True)
        console.print(
            f"     tandem cluster status --config {one.config} --data {one.data}", soft_wrap=True
        )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
