"""The treasury's steps of the demo: withdrawals that are sent, approved and canceled."""

from __future__ import annotations

import time
from typing import Any, Final

from rich.table import Table

from tandem.demo.money import atoms, text
from tandem.demo.stage import Stage, SurpriseError
from tandem.demo.treasury import Treasury
from tandem.tables import print_table

FEE: Final = "0.0002"
ADDRESS: Final = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
_SETTLE_S: Final = 30.0
_POLL_S: Final = 0.1


def play(stage: Stage, treasury: Treasury) -> None:
    """Play the withdrawals of Bob's treasury."""
    _small(stage, treasury)
    _approved(stage, treasury)
    _canceled(stage, treasury)


def _request(stage: Stage, treasury: Treasury, name: str, amount: str, state: str) -> str:
    """Request a withdrawal twice with one client id, check that it is made once; return its id."""
    body = {
        "client_withdrawal_id": name, "asset": "BTC", "network": "bitcoin",
        "address": ADDRESS, "amount": amount,
    }  # fmt: skip
    status, answer = treasury.send("withdraw", "POST", "/v1/withdrawals", body)
    stage.same(f"the status of withdrawal {name}", status, 201)
    for member, value in (("amount", amount), ("fee", FEE), ("client_withdrawal_id", name)):
        stage.same(f"{member} of withdrawal {name}", answer[member], value)
    if state:
        stage.same(f"the state of withdrawal {name}", answer["state"], state)
    stage.money.request(name, treasury.firm, "BTC", atoms(amount) + atoms(FEE))
    status, again = treasury.send("withdraw", "POST", "/v1/withdrawals", body)
    stage.same(f"the status of the repeated withdrawal {name}", status, 200)
    stage.same("the id of the repeated withdrawal", again["withdrawal_id"], answer["withdrawal_id"])
    stage.seen_seq = max(stage.seen_seq, int(answer["as_of_seq"]))
    return str(answer["withdrawal_id"])


def _settle(stage: Stage, treasury: Treasury, number: str, name: str) -> None:
    """Wait until the simulated network has confirmed the withdrawal, and show it."""
    deadline = time.monotonic() + _SETTLE_S
    while True:
        answer = treasury.get(f"/v1/withdrawals/{number}")
        if answer["state"] == "completed":
            break
        if time.monotonic() > deadline:
            raise SurpriseError(f"withdrawal {name} is still {answer['state']}")
        # HTTP has no event to wait for.
        time.sleep(_POLL_S)
    stage.same(f"cancellable of withdrawal {name}", answer["cancellable"], False)
    stage.money.settle(name)
    stage.seen_seq = max(stage.seen_seq, int(answer["as_of_seq"]))
    _show(stage, answer)


def _show(stage: Stage, answer: dict[str, Any]) -> None:
    table = Table(title=f"Withdrawal {answer['client_withdrawal_id']}: {answer['amount']} BTC, "
                        f"fee {answer['fee']}", title_justify="left")  # fmt: skip
    for column in ("state", "by", "note"):
        table.add_column(column)
    for step in answer["history"]:
        table.add_row(step["state"], step["actor"], step["note"])
    print_table(stage.console, table)


def _small(stage: Stage, treasury: Treasury) -> None:
    stage.step("Bob's treasury withdraws 2 BTC; requested twice, it is sent once")
    number = _request(stage, treasury, "payout-1", "2", "")
    _settle(stage, treasury, number, "payout-1")
    stage.show_money()


def _approved(stage: Stage, treasury: Treasury) -> None:
    stage.step("12 BTC are above the approval limit: held, and not sent before a second approval")
    number = _request(stage, treasury, "payout-2", "12", "pending_approval")
    target = f"/v1/withdrawals/{number}/approve"
    status, answer = treasury.send("withdraw", "POST", target)
    stage.same("the answer to an approval by the wrong key", status, 403)
    stage.console.print(f"The requesting key may not approve: {status}, {answer['detail']}")
    stage.show_money()

    stage.step("A second person approves")
    status, answer = treasury.send("approve", "POST", target)
    stage.same("the status of the approval", status, 200)
    _settle(stage, treasury, number, "payout-2")
    stage.show_money()


def _canceled(stage: Stage, treasury: Treasury) -> None:
    stage.step("20 BTC are requested and canceled: the hold is released")
    number = _request(stage, treasury, "payout-3", "20", "pending_approval")
    stage.show_money()
    status, answer = treasury.send("withdraw", "DELETE", f"/v1/withdrawals/{number}")
    stage.same("the status of the cancel", status, 200)
    stage.same("the state after the cancel", answer["state"], "canceled")
    stage.money.release("payout-3")
    stage.seen_seq = max(stage.seen_seq, int(answer["as_of_seq"]))
    _show(stage, answer)
    stage.show_money()
    stage.console.print(f"Network fees paid: {text(2 * atoms(FEE))} BTC.")
