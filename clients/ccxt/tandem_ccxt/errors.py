"""The venue's error codes and ccxt's exception for each.

A test of the venue holds that every code of spec/ERRORS.md is here.
"""

from __future__ import annotations

from ccxt.base import errors

EXACT = {
    # The request
    "invalid_json": errors.BadRequest,
    "invalid_request": errors.BadRequest,
    "body_not_allowed": errors.BadRequest,
    "malformed_http": errors.BadRequest,
    "method_not_allowed": errors.BadRequest,
    "unsupported_media_type": errors.BadRequest,
    "body_too_large": errors.BadRequest,
    "message_too_big": errors.BadRequest,
    "invalid_field": errors.BadRequest,
    "invalid_batch": errors.BadRequest,
    "batch_refused": errors.InvalidOrder,
    "not_found": errors.BadRequest,
    # Who asks
    "unauthorized": errors.AuthenticationError,
    "outside_window": errors.InvalidNonce,
    "key_pending": errors.AuthenticationError,
    "key_expired": errors.AuthenticationError,
    "insufficient_scope": errors.PermissionDenied,
    "source_not_allowed": errors.PermissionDenied,
    "not_permitted": errors.PermissionDenied,
    "self_approval": errors.PermissionDenied,
    "account_suspended": errors.AccountSuspended,
    "unknown_account": errors.BadRequest,
    "key_name_taken": errors.BadRequest,
    "too_many_keys": errors.OperationRejected,
    # Webhooks
    "invalid_webhook_url": errors.BadRequest,
    "webhook_name_taken": errors.BadRequest,
    "webhook_disabled": errors.OperationRejected,
    "too_many_webhooks": errors.OperationRejected,
    # How often
    "rate_limited": errors.RateLimitExceeded,
    "throttled": errors.RateLimitExceeded,
    # Repeats
    "idempotency_key_missing": errors.ArgumentsRequired,
    "idempotency_key_reused": errors.BadRequest,
    "idempotency_key_in_flight": errors.OperationFailed,
    "idempotency_outcome_unknown": errors.ExchangeError,
    "already_done": errors.OperationRejected,
    "duplicate_client_order_id": errors.DuplicateOrderId,
    "duplicate_client_withdrawal_id": errors.BadRequest,
    "duplicate_client_transfer_id": errors.BadRequest,
    "duplicate_deposit": errors.BadRequest,
    "duplicate_definition": errors.BadRequest,
    # The venue's state
    "request_expired": errors.OperationFailed,
    "not_caught_up": errors.OperationFailed,
    "engine_unavailable": errors.ExchangeNotAvailable,
    "engine_refused": errors.ExchangeNotAvailable,
    "gateway_unavailable": errors.ExchangeNotAvailable,
    "webhooks_unavailable": errors.ExchangeNotAvailable,
    "history_unavailable": errors.ExchangeNotAvailable,
    "keys_unavailable": errors.ExchangeNotAvailable,
    "no_leader": errors.ExchangeNotAvailable,
    "idempotency_unavailable": errors.ExchangeNotAvailable,
    "not_ready": errors.ExchangeNotAvailable,
    "internal_error": errors.ExchangeNotAvailable,
    # Instruments and assets
    "unknown_symbol": errors.BadSymbol,
    "unknown_asset": errors.BadSymbol,
    "instrument_halted": errors.MarketClosed,
    "instrument_busy": errors.OperationFailed,
    # Orders
    "insufficient_funds": errors.InsufficientFunds,
    "invalid_client_order_id": errors.InvalidOrder,
    "invalid_quantity": errors.InvalidOrder,
    "invalid_price": errors.InvalidOrder,
    "invalid_expiry": errors.InvalidOrder,
    "quantity_too_small": errors.InvalidOrder,
    "quantity_too_large": errors.InvalidOrder,
    "price_too_large": errors.InvalidOrder,
    "price_outside_band": errors.InvalidOrder,
    "unsupported_combination": errors.InvalidOrder,
    "sweep_too_large": errors.InvalidOrder,
    "too_many_open_orders": errors.InvalidOrder,
    "mismatch": errors.InvalidOrder,
    "post_only_would_trade": errors.OrderImmediatelyFillable,
    "no_liquidity": errors.OrderNotFillable,
    "unknown_order": errors.OrderNotFound,
    "too_late": errors.OrderNotFound,
    "stale_resend": errors.InvalidOrder,
    # Sessions
    "unknown_session": errors.BadRequest,
    "stale_epoch": errors.BadRequest,
    "too_many_sessions": errors.OperationFailed,
    # Money
    "unknown_network": errors.BadRequest,
    "network_suspended": errors.OperationFailed,
    "amount_too_small": errors.BadRequest,
    "memo_required": errors.InvalidAddress,
    "invalid_address": errors.InvalidAddress,
    "unknown_address": errors.InvalidAddress,
    "address_not_allowed": errors.InvalidAddress,
    "address_cooling": errors.AddressPending,
    "too_many_addresses": errors.OperationRejected,
    "unknown_withdrawal": errors.BadRequest,
    "withdrawal_state": errors.OperationRejected,
    "withdrawal_limit": errors.OperationRejected,
    "unknown_quote": errors.BadRequest,
    "quote_expired": errors.BadRequest,
}
"""Code of the venue to exception."""
