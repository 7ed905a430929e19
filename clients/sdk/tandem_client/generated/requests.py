# Made by `python -m tools.client_code` from spec/openapi.yaml and spec/asyncapi.yaml.
"""Objects inside of requests; they are plain dictionaries."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from tandem_client.values import Amount, Instant, Side


class BatchCreate(TypedDict):
    """A create inside a batch; the account is that of the batch."""

    op: Literal["create"]
    client_order_id: str
    symbol: str
    side: Side
    type: NotRequired[Literal["limit", "market", "stop", "stop_limit"]]
    quantity: NotRequired[Amount]
    cash_quantity: NotRequired[Amount]
    price: NotRequired[Amount]
    stop_price: NotRequired[Amount]
    min_quantity: NotRequired[Amount]
    display_quantity: NotRequired[Amount]
    time_in_force: NotRequired[Literal["day", "fok", "gtc", "gtd", "ioc"]]
    expire_at: NotRequired[Instant]
    post_only: NotRequired[bool]
    self_trade_prevention: NotRequired[Literal["cancel_both", "cancel_newest", "cancel_oldest", "decrement", "none"]]
    strategy: NotRequired[str]
    manual: NotRequired[bool]


class BatchReplace(TypedDict):
    """A replace inside a batch; the order is named by `order`: its id or `client:<id>`."""

    op: Literal["replace"]
    client_order_id: NotRequired[str]
    quantity: NotRequired[Amount]
    price: NotRequired[Amount]
    stop_price: NotRequired[Amount]
    display_quantity: NotRequired[Amount]
    time_in_force: NotRequired[Literal["day", "fok", "gtc", "gtd", "ioc"]]
    expire_at: NotRequired[Instant]
    order: str


class BatchCancel(TypedDict):
    """A cancel inside a batch; the order is named by `order`: its id or `client:<id>`."""

    op: Literal["cancel"]
    order: str
