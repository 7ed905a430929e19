# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""Every operation of the account API."""

from __future__ import annotations

from typing import Final

from tandem_client.operation import Operation, Repeat

OPERATIONS: Final[dict[str, Operation]] = {
    "get_time": Operation(
        "get_time", "GET", "/v1/time",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_assets": Operation(
        "get_assets", "GET", "/v1/assets",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_networks": Operation(
        "get_networks", "GET", "/v1/networks",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_instruments": Operation(
        "get_instruments", "GET", "/v1/instruments",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_book": Operation(
        "get_book", "GET", "/v1/books/{symbol}",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_trades": Operation(
        "get_trades", "GET", "/v1/trades",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_candles": Operation(
        "get_candles", "GET", "/v1/candles",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_tickers": Operation(
        "get_tickers", "GET", "/v1/tickers",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_accounts": Operation(
        "get_accounts", "GET", "/v1/accounts",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_balances": Operation(
        "get_balances", "GET", "/v1/balances",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_ledger": Operation(
        "get_ledger", "GET", "/v1/ledger",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_holds": Operation(
        "get_holds", "GET", "/v1/holds",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_fees": Operation(
        "get_fees", "GET", "/v1/fees",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_limits": Operation(
        "get_limits", "GET", "/v1/limits",
        Repeat.READ, public=False, natural_id="",
    ),
    "create_order": Operation(
        "create_order", "POST", "/v1/orders",
        Repeat.NATURAL_ID, public=False, natural_id="client_order_id",
    ),
    "cancel_all": Operation(
        "cancel_all", "DELETE", "/v1/orders",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_orders": Operation(
        "get_orders", "GET", "/v1/orders",
        Repeat.READ, public=False, natural_id="",
    ),
    "replace_order": Operation(
        "replace_order", "PATCH", "/v1/orders/{order}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "cancel_order": Operation(
        "cancel_order", "DELETE", "/v1/orders/{order}",
        Repeat.SAME, public=False, natural_id="",
    ),
    "get_order": Operation(
        "get_order", "GET", "/v1/orders/{order}",
        Repeat.READ, public=False, natural_id="",
    ),
    "set_dead_mans_switch": Operation(
        "set_dead_mans_switch", "PUT", "/v1/dead-man-switch",
        Repeat.SAME, public=False, natural_id="",
    ),
    "submit_batch": Operation(
        "submit_batch", "POST", "/v1/orders/batch",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_fills": Operation(
        "get_fills", "GET", "/v1/fills",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_deposits": Operation(
        "get_deposits", "GET", "/v1/deposits",
        Repeat.READ, public=False, natural_id="",
    ),
    "report_deposit": Operation(
        "report_deposit", "POST", "/v1/deposits",
        Repeat.NATURAL_ID, public=False, natural_id="deposit_id",
    ),
    "ask_faucet": Operation(
        "ask_faucet", "POST", "/v1/faucet",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_addresses": Operation(
        "get_addresses", "GET", "/v1/addresses",
        Repeat.READ, public=False, natural_id="",
    ),
    "add_address": Operation(
        "add_address", "POST", "/v1/addresses",
        Repeat.KEY, public=False, natural_id="",
    ),
    "remove_address": Operation(
        "remove_address", "DELETE", "/v1/addresses/{address_id}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_deposit_addresses": Operation(
        "get_deposit_addresses", "GET", "/v1/deposit-addresses",
        Repeat.READ, public=False, natural_id="",
    ),
    "assign_deposit_address": Operation(
        "assign_deposit_address", "POST", "/v1/deposit-addresses",
        Repeat.KEY, public=False, natural_id="",
    ),
    "request_withdrawal": Operation(
        "request_withdrawal", "POST", "/v1/withdrawals",
        Repeat.NATURAL_ID, public=False, natural_id="client_withdrawal_id",
    ),
    "get_withdrawals": Operation(
        "get_withdrawals", "GET", "/v1/withdrawals",
        Repeat.READ, public=False, natural_id="",
    ),
    "quote_withdrawal": Operation(
        "quote_withdrawal", "POST", "/v1/withdrawals/quotes",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_withdrawal": Operation(
        "get_withdrawal", "GET", "/v1/withdrawals/{withdrawal}",
        Repeat.READ, public=False, natural_id="",
    ),
    "cancel_withdrawal": Operation(
        "cancel_withdrawal", "DELETE", "/v1/withdrawals/{withdrawal}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "approve_withdrawal": Operation(
        "approve_withdrawal", "POST", "/v1/withdrawals/{withdrawal}/approve",
        Repeat.KEY, public=False, natural_id="",
    ),
    "reject_withdrawal": Operation(
        "reject_withdrawal", "POST", "/v1/withdrawals/{withdrawal}/reject",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_transfers": Operation(
        "get_transfers", "GET", "/v1/transfers",
        Repeat.READ, public=False, natural_id="",
    ),
    "transfer": Operation(
        "transfer", "POST", "/v1/transfers",
        Repeat.NATURAL_ID, public=False, natural_id="client_transfer_id",
    ),
    "set_account_status": Operation(
        "set_account_status", "PUT", "/v1/accounts/{account}/status",
        Repeat.SAME, public=False, natural_id="",
    ),
    "set_instrument_status": Operation(
        "set_instrument_status", "PUT", "/v1/instruments/{symbol}/status",
        Repeat.SAME, public=False, natural_id="",
    ),
    "set_reference_price": Operation(
        "set_reference_price", "PUT", "/v1/instruments/{symbol}/reference-price",
        Repeat.SAME, public=False, natural_id="",
    ),
    "get_sessions": Operation(
        "get_sessions", "GET", "/v1/sessions",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_fix_messages": Operation(
        "get_fix_messages", "GET", "/v1/sessions/{session}/messages",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_keys": Operation(
        "get_keys", "GET", "/v1/api-keys",
        Repeat.READ, public=False, natural_id="",
    ),
    "create_key": Operation(
        "create_key", "POST", "/v1/api-keys",
        Repeat.NATURAL_ID, public=False, natural_id="name",
    ),
    "revoke_key": Operation(
        "revoke_key", "DELETE", "/v1/api-keys/{key}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "approve_key": Operation(
        "approve_key", "POST", "/v1/api-keys/{key}/approve",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_webhooks": Operation(
        "get_webhooks", "GET", "/v1/webhooks",
        Repeat.READ, public=False, natural_id="",
    ),
    "create_webhook": Operation(
        "create_webhook", "POST", "/v1/webhooks",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_webhook": Operation(
        "get_webhook", "GET", "/v1/webhooks/{webhook}",
        Repeat.READ, public=False, natural_id="",
    ),
    "change_webhook": Operation(
        "change_webhook", "PATCH", "/v1/webhooks/{webhook}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "delete_webhook": Operation(
        "delete_webhook", "DELETE", "/v1/webhooks/{webhook}",
        Repeat.KEY, public=False, natural_id="",
    ),
    "rotate_webhook_secret": Operation(
        "rotate_webhook_secret", "POST", "/v1/webhooks/{webhook}/rotate-secret",
        Repeat.KEY, public=False, natural_id="",
    ),
    "ping_webhook": Operation(
        "ping_webhook", "POST", "/v1/webhooks/{webhook}/ping",
        Repeat.KEY, public=False, natural_id="",
    ),
    "resend_webhook": Operation(
        "resend_webhook", "POST", "/v1/webhooks/{webhook}/resend",
        Repeat.KEY, public=False, natural_id="",
    ),
    "get_webhook_deliveries": Operation(
        "get_webhook_deliveries", "GET", "/v1/webhooks/{webhook}/deliveries",
        Repeat.READ, public=False, natural_id="",
    ),
    "get_health": Operation(
        "get_health", "GET", "/healthz",
        Repeat.READ, public=True, natural_id="",
    ),
    "get_ready": Operation(
        "get_ready", "GET", "/readyz",
        Repeat.READ, public=True, natural_id="",
    ),
}
