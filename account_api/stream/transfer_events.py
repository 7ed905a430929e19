"""Events of the channel ``transfers``: deposits, withdrawals, transfers, addresses and quotes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import asdict

from account_api.schema.from_rows import deposit_view, instant_text, withdrawal_view
from account_api.stream.catalogue import LiveCatalogue
from engine.core import events as ev
from engine.core.instruments import format_scaled
from engine.core.types import Deposit, Withdrawal


def deposit_data(row: Deposit, catalogue: LiveCatalogue) -> dict[str, Any]:
    """Render a deposit, in an update or a snapshot."""
    return {"event": "deposit", **asdict(deposit_view(row, catalogue.scales[row.asset]))}


def withdrawal_data(row: Withdrawal, catalogue: LiveCatalogue) -> dict[str, Any]:
    """Render a withdrawal, in an update or a snapshot."""
    return {"event": "withdrawal", **asdict(withdrawal_view(row, catalogue.scales[row.asset]))}


def _deposit(event: ev.DepositUpdated, catalogue: LiveCatalogue) -> Any:
    return deposit_data(event.deposit, catalogue)


def _withdrawal(event: ev.WithdrawalUpdated, catalogue: LiveCatalogue) -> Any:
    return withdrawal_data(event.withdrawal, catalogue)


def _transfer(event: ev.Transferred, catalogue: LiveCatalogue) -> Any:
    return {
        "event": "transfer",
        "transfer_id": str(event.transfer_id),
        "client_transfer_id": event.client_transfer_id,
        "other_account": event.other_account,
        "asset": event.asset,
        "change": format_scaled(event.change, catalogue.scales[event.asset]),
    }


def _address(event: ev.AddressChanged, catalogue: LiveCatalogue) -> Any:
    row = event.address
    return {
        "event": "address_removed" if event.removed else "address_added",
        "address_id": str(row.address_id),
        "asset": row.asset,
        "network": row.network,
        "address": row.address,
        "memo": row.memo or None,
        "label": row.label,
        "created_at": instant_text(row.created_at),
        "available_at": instant_text(row.available_at),
    }


def _quote(event: ev.WithdrawalQuoted, catalogue: LiveCatalogue) -> Any:
    row = event.quote
    scale = catalogue.scales[row.asset]
    return {
        "event": "quote",
        "quote_id": row.quote_id,
        "asset": row.asset,
        "network": row.network,
        "amount": format_scaled(row.amount, scale),
        "fee": format_scaled(row.fee, scale),
        "total": format_scaled(row.amount + row.fee, scale),
        "expires_at": instant_text(row.expires_at),
    }


def _deposit_address(event: ev.DepositAddressAssigned, catalogue: LiveCatalogue) -> Any:
    row = event.deposit_address
    return {
        "event": "deposit_address",
        "asset": row.asset,
        "network": row.network,
        "address": row.address,
        "memo": row.memo or None,
        "created_at": instant_text(row.created_at),
    }


MONEY: Final[dict[type, Callable[[Any, LiveCatalogue], Any]]] = {
    ev.DepositUpdated: _deposit,
    ev.WithdrawalUpdated: _withdrawal,
    ev.Transferred: _transfer,
    ev.AddressChanged: _address,
    ev.WithdrawalQuoted: _quote,
    ev.DepositAddressAssigned: _deposit_address,
}
"""How each event of the channel is rendered."""
