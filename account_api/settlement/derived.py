"""The simulated network of a venue on several machines: it stores nothing of its own.

Where a payment is follows from the engine's record of its withdrawal: it was accepted when the
withdrawal became BROADCASTING, and was lost from the chain once if it did so a second time. So
every machine sees the same network, and after the loss of one another goes on with the same
payments.
"""

from __future__ import annotations

from collections.abc import Callable

from account_api.ports import EnginePort
from account_api.settlement.network import (
    KeyReused,
    NetworkStatus,
    NetworkUnavailable,
    SendRequest,
)
from account_api.settlement.simulated import Behaviour, txid_of
from engine.client import EngineError, queries
from engine.core.types import Withdrawal, WithdrawalState


class DerivedNetwork:
    """A ``Network`` over the engine's withdrawals; ``clock_us`` makes blocks."""

    def __init__(
        self, engine: EnginePort, behaviour: Behaviour, clock_us: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._behaviour = behaviour
        self._clock_us = clock_us

    def close(self) -> None:
        """Do nothing; the engine's client is its owner's."""

    def request(self, payment: SendRequest) -> None:
        """Accept a payment: that of a withdrawal that is being broadcast, and no other."""
        row = self._withdrawal(payment.key)
        terms = None if row is None else SendRequest(
            payment.key, row.asset, row.network, row.address, row.memo, row.amount
        )  # fmt: skip
        if terms != payment:
            raise KeyReused(f"payment {payment.key} is known with other terms")

    def status(self, key: str) -> NetworkStatus:
        """Return where a payment is by now."""
        row = self._withdrawal(key)
        if row is None:
            return NetworkStatus("unknown")
        accepted = [
            step.time_us for step in row.history if step.state is WithdrawalState.BROADCASTING
        ]
        if not accepted:
            return NetworkStatus("unknown")
        behaviour = self._behaviour
        age = self._clock_us() - accepted[-1] - behaviour.broadcast_delay_us
        if age < 0:
            return NetworkStatus("pending")
        if behaviour.fail_prefix and row.address.startswith(behaviour.fail_prefix):
            return NetworkStatus("failed", note="the simulated network refuses this address")
        confirmations = 1_000_000
        if behaviour.confirmation_delay_us:
            confirmations = min(age // behaviour.confirmation_delay_us, 1_000_000)
        if (
            behaviour.reorganise_prefix
            and row.address.startswith(behaviour.reorganise_prefix)
            and len(accepted) == 1
            and row.state is WithdrawalState.CONFIRMING
            and confirmations >= 1
        ):
            return NetworkStatus("pending", note="the chain was reorganised")
        return NetworkStatus("sent", txid_of(key), confirmations)

    def _withdrawal(self, key: str) -> Withdrawal | None:
        number = key.removeprefix("W")
        if not number.isdecimal():
            return None
        try:
            query = queries.Withdrawal("", withdrawal_id=int(number))
            return self._engine.fetch(query).value
        except EngineError as error:
            raise NetworkUnavailable(f"the engine cannot be asked: {error}") from error
