"""The typed query helpers of both clients: what each is called, takes and returns.

They return the bare value; use ``fetch`` with the query of the same name in
``client_queries`` where the sequence that the answer is true of is wanted too.
"""

from __future__ import annotations

from typing import TypeVar

from engine import wire
from engine.client import queries
from engine.core.instruments import Instrument
from engine.core.types import (
    AccountRow,
    AccountSnapshot,
    Answered,
    AssetRow,
    Balance,
    BookRow,
    Deposit,
    EngineStatus,
    Hold,
    InstrumentRow,
    NetworkRow,
    OrderRow,
    SessionRow,
    Side,
    Withdrawal,
)
from engine.wire import Transaction

T = TypeVar("T")


class QueryHelpers:
    """Blocking helpers."""

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Answer a typed query; the client does this."""
        raise NotImplementedError

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        return self.fetch(queries.status()).value

    def assets(self) -> list[AssetRow]:
        """Every asset and its scale."""
        return self.fetch(queries.assets()).value

    def networks(self) -> list[NetworkRow]:
        """Every network of every asset."""
        return self.fetch(queries.networks()).value

    def instruments(self) -> list[Instrument]:
        """Every instrument's grid."""
        return self.fetch(queries.instruments()).value

    def instrument_states(self) -> list[InstrumentRow]:
        """Status and last price of every instrument."""
        return self.fetch(queries.instrument_states()).value

    def accounts(self, firm: str = "") -> list[AccountRow]:
        """Every account, or those of one firm."""
        return self.fetch(queries.accounts(firm)).value

    def balances(self, account: str, min_seq: int = 0) -> Answered[list[Balance]]:
        """Money of an account, and the sequence it is true of."""
        return self.fetch(queries.balances(account), min_seq)

    def holds(self, account: str, min_seq: int = 0) -> list[Hold]:
        """What is set aside for open orders and withdrawals."""
        return self.fetch(queries.holds(account), min_seq).value

    def open_orders(
        self,
        account: str,
        firm_wide: bool = False,
        symbol: str = "",
        strategy: str = "",
        session: str = "",
        side: Side | None = None,
        min_seq: int = 0,
    ) -> list[OrderRow]:
        """Open orders that every given filter matches."""
        return self.fetch(
            queries.open_orders(account, firm_wide, symbol, strategy, session, side), min_seq
        ).value

    def order(
        self, account: str, client_order_id: str = "", order_id: int = 0, min_seq: int = 0
    ) -> OrderRow | None:
        """An order, open, or closed and still in memory."""
        return self.fetch(queries.order(account, client_order_id, order_id), min_seq).value

    def book(self, symbol: str, depth: int, min_seq: int = 0) -> BookRow | None:
        """The best ``depth`` levels of each side."""
        return self.fetch(queries.book(symbol, depth), min_seq).value

    def withdrawal(
        self, account: str, withdrawal_id: int = 0, client_withdrawal_id: str = "", min_seq: int = 0
    ) -> Withdrawal | None:
        """A withdrawal of the account; "" finds any by its number."""
        return self.fetch(
            queries.withdrawal(account, withdrawal_id, client_withdrawal_id), min_seq
        ).value

    def withdrawals(
        self, account: str = "", open_only: bool = False, min_seq: int = 0
    ) -> list[Withdrawal]:
        """Withdrawals of an account or of all, by number."""
        return self.fetch(queries.withdrawals(account, open_only), min_seq).value

    def deposits(self, account: str, min_seq: int = 0) -> list[Deposit]:
        """Deposits of an account."""
        return self.fetch(queries.deposits(account), min_seq).value

    def session(self, session: str, min_seq: int = 0) -> SessionRow | None:
        """What the engine remembers of a session, by its source."""
        return self.fetch(queries.session(session), min_seq).value

    def sessions(self) -> list[SessionRow]:
        """Every session that the engine remembers."""
        return self.fetch(queries.sessions()).value

    def transaction(self, seq: int) -> Transaction:
        """One transaction. Raises GapTooOld when it was archived."""
        return wire.decode_transaction((self.fetch(queries.transaction(seq))).value)

    def locate(self, account: str, account_seq: int) -> int:
        """Seq of the first transaction with that account_seq. Raises GapTooOld."""
        return self.fetch(queries.locate(account, account_seq)).value

    def account_snapshot(self, account: str, min_seq: int = 0) -> AccountSnapshot | None:
        """Balances, open orders and withdrawals of an account at one point."""
        answer = self.fetch(queries.account_snapshot(account), min_seq)
        return answer.value

    def check(self) -> list[str]:
        """Run the invariant checks; empty when all hold."""
        return self.fetch(queries.check()).value

    def state_hash(self) -> str:
        """The hash of the whole state."""
        return self.fetch(queries.state_hash()).value


class AsyncQueryHelpers:
    """The same helpers to await."""

    async def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Answer a typed query; the client does this."""
        raise NotImplementedError

    async def status(self) -> EngineStatus:
        """Where the engine stands."""
        return (await self.fetch(queries.status())).value

    async def assets(self) -> list[AssetRow]:
        """Every asset and its scale."""
        return (await self.fetch(queries.assets())).value

    async def networks(self) -> list[NetworkRow]:
        """Every network of every asset."""
        return (await self.fetch(queries.networks())).value

    async def instruments(self) -> list[Instrument]:
        """Every instrument's grid."""
        return (await self.fetch(queries.instruments())).value

    async def instrument_states(self) -> list[InstrumentRow]:
        """Status and last price of every instrument."""
        return (await self.fetch(queries.instrument_states())).value

    async def accounts(self, firm: str = "") -> list[AccountRow]:
        """Every account, or those of one firm."""
        return (await self.fetch(queries.accounts(firm))).value

    async def balances(self, account: str, min_seq: int = 0) -> Answered[list[Balance]]:
        """Money of an account, and the sequence it is true of."""
        return await self.fetch(queries.balances(account), min_seq)

    async def holds(self, account: str, min_seq: int = 0) -> list[Hold]:
        """What is set aside for open orders and withdrawals."""
        return (await self.fetch(queries.holds(account), min_seq)).value

    async def open_orders(
        self,
        account: str,
        firm_wide: bool = False,
        symbol: str = "",
        strategy: str = "",
        session: str = "",
        side: Side | None = None,
        min_seq: int = 0,
    ) -> list[OrderRow]:
        """Open orders that every given filter matches."""
        return (
            await self.fetch(
                queries.open_orders(account, firm_wide, symbol, strategy, session, side), min_seq
            )
        ).value

    async def order(
        self, account: str, client_order_id: str = "", order_id: int = 0, min_seq: int = 0
    ) -> OrderRow | None:
        """An order, open, or closed and still in memory."""
        return (await self.fetch(queries.order(account, client_order_id, order_id), min_seq)).value

    async def book(self, symbol: str, depth: int, min_seq: int = 0) -> BookRow | None:
        """The best ``depth`` levels of each side."""
        return (await self.fetch(queries.book(symbol, depth), min_seq)).value

    async def withdrawal(
        self, account: str, withdrawal_id: int = 0, client_withdrawal_id: str = "", min_seq: int = 0
    ) -> Withdrawal | None:
        """A withdrawal of the account; "" finds any by its number."""
        return (
            await self.fetch(
                queries.withdrawal(account, withdrawal_id, client_withdrawal_id), min_seq
            )
        ).value

    async def withdrawals(
        self, account: str = "", open_only: bool = False, min_seq: int = 0
    ) -> list[Withdrawal]:
        """Withdrawals of an account or of all, by number."""
        return (await self.fetch(queries.withdrawals(account, open_only), min_seq)).value

    async def deposits(self, account: str, min_seq: int = 0) -> list[Deposit]:
        """Deposits of an account."""
        return (await self.fetch(queries.deposits(account), min_seq)).value

    async def session(self, session: str, min_seq: int = 0) -> SessionRow | None:
        """What the engine remembers of a session, by its source."""
        return (await self.fetch(queries.session(session), min_seq)).value

    async def sessions(self) -> list[SessionRow]:
        """Every session that the engine remembers."""
        return (await self.fetch(queries.sessions())).value

    async def transaction(self, seq: int) -> Transaction:
        """One transaction. Raises GapTooOld when it was archived."""
        return wire.decode_transaction((await self.fetch(queries.transaction(seq))).value)

    async def locate(self, account: str, account_seq: int) -> int:
        """Seq of the first transaction with that account_seq. Raises GapTooOld."""
        return (await self.fetch(queries.locate(account, account_seq))).value

    async def account_snapshot(self, account: str, min_seq: int = 0) -> AccountSnapshot | None:
        """Balances, open orders and withdrawals of an account at one point."""
        answer = await self.fetch(queries.account_snapshot(account), min_seq)
        return answer.value

    async def check(self) -> list[str]:
        """Run the invariant checks; empty when all hold."""
        return (await self.fetch(queries.check())).value

    async def state_hash(self) -> str:
        """The hash of the whole state."""
        return (await self.fetch(queries.state_hash())).value
