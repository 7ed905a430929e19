"""The routes, one module for each subject; ``ROUTES`` is the table of them all."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import Route
from account_api.routes import (
    accounts,
    addresses,
    balances,
    batches,
    deposits,
    faucet,
    fills,
    fix_messages,
    health,
    keys,
    market,
    operator,
    orders,
    sessions,
    tickers,
    transfers,
    webhooks,
    withdrawals,
)

ROUTES: Final[tuple[Route, ...]] = (
    *market.ROUTES,
    *tickers.ROUTES,
    *accounts.ROUTES,
    *balances.ROUTES,
    *orders.ROUTES,
    *batches.ROUTES,
    *fills.ROUTES,
    *deposits.ROUTES,
    *faucet.ROUTES,
    *addresses.ROUTES,
    *withdrawals.ROUTES,
    *transfers.ROUTES,
    *operator.ROUTES,
    *sessions.ROUTES,
    *fix_messages.ROUTES,
    *keys.ROUTES,
    *webhooks.ROUTES,
    *health.ROUTES,
)
