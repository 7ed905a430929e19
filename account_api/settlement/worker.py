"""The worker: queries open withdrawals, sends and watches their payments, and reports back.

It polls the engine for open withdrawals instead of following every transaction: they are few, and
the stream of all orders would cost far more than the query. One step is one command or one
request, and each can be repeated without harm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from account_api.ports import EnginePort
from account_api.settlement.network import (
    KeyReused,
    Network,
    NetworkStatus,
    NetworkUnavailable,
    SendRequest,
)
from engine.client import EngineError, own_event, queries
from engine.core.commands import AdvanceWithdrawal
from engine.core.events import Refused
from engine.core.types import Origin, Withdrawal, WithdrawalState

SOURCE: Final = "worker:settlement"
_log: Final = structlog.get_logger("settlement")


class SettlementWorker:
    """Advances open withdrawals; ``queue_delay_us`` is how long a queued one can be canceled.

    With ``shared`` there are others on other machines, and the one works whose engine leads. Two
    at once do no harm: the engine makes each step once, and the network knows each payment by its
    permanent key.
    """

    def __init__(
        self,
        engine: EnginePort,
        network: Network,
        clock_us: Callable[[], int],
        queue_delay_us: int = 0,
        shared: bool = False,
    ) -> None:
        self._engine = engine
        self._network = network
        self._clock_us = clock_us
        self._queue_delay_us = queue_delay_us
        self._shared = shared

    def run(
        self,
        stopping: threading.Event,
        poll_s: float,
        on_turn: Callable[[int], None] = lambda steps: None,
    ) -> None:
        """Poll until ``stopping``; wait for an engine or network that is away.

        ``on_turn`` is called with the number of steps after every complete turn.
        """
        away = False
        while not stopping.is_set():
            try:
                on_turn(self.turn())
                if away:
                    _log.info("engine_back")
                away = False
            except EngineError as error:
                if not away:
                    _log.warning("engine_away", reason=str(error))
                away = True
            stopping.wait(poll_s)

    def turn(self) -> int:
        """Advance every open withdrawal as far as possible now; returns the number of steps.

        Raises EngineError if the engine cannot be asked; the next turn continues.
        """
        if self._shared and not self._engine.fetch(queries.Standing()).value.leads:
            return 0
        steps = 0
        for row in self._engine.fetch(queries.Withdrawals(open_only=True)).value:
            try:
                steps += self._step(row)
            except (NetworkUnavailable, KeyReused) as error:
                _log.error(
                    "settlement_blocked", withdrawal_id=row.withdrawal_id, reason=str(error)
                )
        return steps

    def _step(self, row: Withdrawal) -> int:
        if row.state is WithdrawalState.QUEUED:
            if self._clock_us() - row.updated_at < self._queue_delay_us:
                return 0
            # From here on it cannot be canceled, so it may be sent.
            return self._report(row, WithdrawalState.BROADCASTING)
        if row.state is WithdrawalState.BROADCASTING:
            self._network.request(payment_of(row))
            return self._broadcasting(row, self._network.status(key_of(row)))
        if row.state is WithdrawalState.CONFIRMING:
            return self._confirming(row, self._network.status(key_of(row)))
        return 0

    def _broadcasting(self, row: Withdrawal, now: NetworkStatus) -> int:
        if now.state == "sent":
            return self._report(row, WithdrawalState.CONFIRMING, now)
        if now.state == "failed":
            return self._report(row, WithdrawalState.FAILED, now)
        return 0

    def _confirming(self, row: Withdrawal, now: NetworkStatus) -> int:
        if now.state == "sent":
            if now.confirmations >= row.confirmations_required:
                return self._report(row, WithdrawalState.COMPLETED, now)
            if now.confirmations > row.confirmations:
                return self._report(row, WithdrawalState.CONFIRMING, now)
            return 0
        if now.state == "unknown":
            # Requesting it again could send it twice if the network has lost its records.
            _log.error(
                "payment_unknown", withdrawal_id=row.withdrawal_id, txid=row.txid,
                action="a person must look at the network",
            )  # fmt: skip
            return 0
        return self._report(row, WithdrawalState.BROADCASTING, now)

    def _report(
        self, row: Withdrawal, state: WithdrawalState, now: NetworkStatus | None = None
    ) -> int:
        seen = now or NetworkStatus("unknown")
        outcome = self._engine.submit(
            AdvanceWithdrawal(
                Origin(SOURCE), row.withdrawal_id, int(state), seen.txid, seen.confirmations,
                seen.note,
            )
        )  # fmt: skip
        done = outcome.transaction
        refused = own_event(done.events, done.command, Refused)
        if refused is not None:
            # Its state has changed, for instance by a cancel; the next turn sees it.
            _log.info("not_moved", withdrawal_id=row.withdrawal_id, reason=refused.text)
            return 0
        _log.info(
            "withdrawal", withdrawal_id=row.withdrawal_id, state=state.name.lower(),
            confirmations=seen.confirmations,
        )  # fmt: skip
        return 1


def key_of(row: Withdrawal) -> str:
    """Return the permanent name of a withdrawal's payment."""
    return f"W{row.withdrawal_id}"


def payment_of(row: Withdrawal) -> SendRequest:
    """Return the payment of a withdrawal."""
    return SendRequest(key_of(row), row.asset, row.network, row.address, row.memo, row.amount)
