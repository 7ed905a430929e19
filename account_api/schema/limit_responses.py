"""Limits of an account, as clients see them."""

from __future__ import annotations

from typing import Literal

from account_api.schema.responses import View


class WithdrawalLimitView(View, frozen=True, kw_only=True):
    """Withdrawals of one asset in the present day (UTC); null means no limit. Of the account's and
    its firm's daily limit, the one that leaves less; the firm's counts all of its accounts."""

    asset: str
    daily_limit: str | None
    daily_used: str
    daily_remaining: str | None
    limit_of: Literal["account", "firm"]
    approval_above: str | None


class LimitsView(View, frozen=True, kw_only=True):
    """Limits of an account, its firm's rules included, and how much of them is used. `status` is
    active or suspended; an account is also suspended with its firm."""

    account: str
    status: str
    open_orders_max: int
    open_orders_used: int
    open_orders_remaining: int
    batch_operations_max: int
    require_known_address: bool
    address_cooloff_s: int
    withdrawals: list[WithdrawalLimitView]
    as_of_seq: int
