"""The venue's records of networks, sessions, deposits, withdrawals and purges."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from engine.core.book import Order
from engine.core.types import (
    CancelReason,
    CancelScope,
    Deposit,
    Route,
    SessionRow,
    Side,
    Withdrawal,
)


class Network(NamedTuple):
    """A network over which an asset is deposited and withdrawn; amounts in atoms."""

    asset: str
    network: str
    withdrawal_fee: int
    withdrawal_min: int
    withdrawal_step: int
    confirmations_required: int
    memo_required: bool
    suspended: bool


class Session:
    """The engine's record of a FIX session (or of a WebSocket with cancel on disconnect).

    ``last_num_applied`` is the highest MsgSeqNum applied in this epoch, ``cursor`` the outbound
    position at its start or at the last reservation, ``closes_at`` the end of a running grace
    period (0 for none). ``holder`` is the gateway that has taken the session, ``term`` counts
    how often that changed, and ``reserved`` is the highest outgoing number it may have used.
    """

    __slots__ = ("account", "cancel_scope", "closes_at", "connected", "cursor", "epoch",
                 "grace_us", "holder", "last_num_applied", "name", "reserved", "term")  # fmt: skip

    def __init__(self, name: str, epoch: int) -> None:
        self.name = name
        self.account = ""
        self.epoch = epoch
        self.last_num_applied = 0
        self.connected = False
        self.cancel_scope = CancelScope.NONE
        self.grace_us = 0
        self.cursor = (0, 0, 0)
        self.closes_at = 0
        self.holder = ""
        self.term = 0
        self.reserved = 0

    def row(self) -> SessionRow:
        """Return the session as a query shows it."""
        return SessionRow(
            self.name, self.account, self.epoch, self.last_num_applied, self.connected,
            self.cancel_scope, self.grace_us, self.cursor, self.closes_at, self.holder,
            self.term, self.reserved,
        )  # fmt: skip


class DepositRecord:
    """A deposit as last reported."""

    __slots__ = ("row",)

    def __init__(self, row: Deposit) -> None:
        self.row = row


class WithdrawalRecord:
    """A withdrawal and whether its hold has been posted (rule W-6)."""

    __slots__ = ("posted", "row")

    def __init__(self, row: Withdrawal, posted: bool) -> None:
        self.row = row
        self.posted = posted


class Ending(IntEnum):
    """The report that is emitted when a purge is done."""

    NOTHING = 0
    SUMMARY = 1
    SWITCH = 2


class Purge:
    """Which orders are to be canceled, why, and the progress so far.

    ``account`` is the acting account; with ``firm_wide`` the orders of its whole firm are covered.
    ``order_max`` is the highest order id at the beginning. ``withdrawal_max``, if not 0, is the
    highest withdrawal id at the beginning: those of the account that can be canceled are canceled
    as well, for ``actor`` and with ``note``. ``accounts_left`` are the accounts not yet begun, the
    next one last, and ``numbers_left`` the order ids of the current one, the next one last.
    """

    __slots__ = (
        "account", "accounts_left", "actor", "affected", "client_order_id", "ending", "firm",
        "firm_wide", "note", "numbers_left", "order_max", "reason", "requester", "route",
        "session", "side", "strategy", "symbol", "total", "withdrawal_max",
    )  # fmt: skip

    def __init__(
        self, account: str, firm: str, firm_wide: bool, order_max: int, reason: CancelReason,
        ending: Ending,
    ) -> None:  # fmt: skip
        self.account = account
        self.firm = firm
        self.firm_wide = firm_wide
        self.order_max = order_max
        self.reason = reason
        self.ending = ending
        self.session = ""
        self.symbol = ""
        self.side: Side | None = None
        self.strategy = ""
        self.client_order_id = ""
        self.requester = ""
        self.route: Route | None = None
        self.withdrawal_max = 0
        self.actor = ""
        self.note = ""
        self.total = 0
        self.affected: list[tuple[str, str, int]] = []
        self.accounts_left: list[str] = []
        self.numbers_left: list[int] = []

    def covers(self, order: Order) -> bool:
        """Return whether an open order is one of those to be canceled."""
        terms = order.terms
        return (
            order.order_id <= self.order_max
            and (
                order.account.firm == self.firm
                if self.firm_wide
                else order.account.name == self.account
            )
            and (not self.session or terms.session == self.session)
            and (not self.symbol or terms.symbol == self.symbol)
            and (self.side is None or terms.side is self.side)
            and (not self.strategy or terms.strategy == self.strategy)
        )
