"""A random flow of every kind of command, for what the oracle does not know.

Adds to tests/support/strategies.py: withdrawals and their worker, deposits with confirmations,
transfers, sessions, epochs, FIX numbers, signed requests, dead man's switches, changes of
definitions and expiry at every time. Aimed at properties (money, replay, restore).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.commands import (
    AddAddress,
    AdvanceWithdrawal,
    ApproveWithdrawal,
    AssignDepositAddress,
    CancelWithdrawal,
    CloseSession,
    Command,
    DefineAccount,
    DefineNetwork,
    DefineVenue,
    Deposit,
    OpenSession,
    QuoteWithdrawal,
    RejectWithdrawal,
    RemoveAddress,
    RequestWithdrawal,
    ReserveNumbers,
    SetDeadMansSwitch,
    StartEpoch,
    StoreRecords,
    TakeSession,
    Tick,
    Transfer,
)
from engine.core.types import CancelScope, Origin
from tests.support.strategies import ACCOUNTS, ASSETS, DAY_US, ENGINE, STRATEGIES, Flow, Profile


class WideFlow(Flow):
    """Every kind of command, with time that jumps now and then."""

    def __init__(self, seed: int, profile: Profile | None = None) -> None:
        super().__init__(seed, profile)
        self.numbers: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.others: tuple[Callable[[str], Command], ...] = (
            self.deposit, self.withdraw, self.withdraw, self.approve, self.reject,
            self.cancel_withdrawal, self.advance, self.advance, self.advance, self.advance,
            self.transfer, self.switch, self.open_session, self.close_session, self.epoch,
            self.redefine, self.jump, self.add_address, self.remove_address, self.quote,
            self.deposit_address, self.store_records, self.take, self.reserve,
        )  # fmt: skip

    def definitions(self) -> list[Command]:
        p = self.profile
        found = super().definitions()
        found[0] = DefineVenue(ENGINE, 3_600_000_000, p.cascade_max, 20, DAY_US, p.work_max)
        for asset in ASSETS:
            found.append(DefineNetwork(ENGINE, asset, "main", 2, 5, 1, 2))
            found.append(DefineNetwork(ENGINE, asset, "memo", 0, 1, 1, 1, memo_required=True))
        return found

    def next(self) -> tuple[int, Command]:
        if self.chance(0.75):
            return super().next()
        self.now += self.random.choice((0, 1, 1_000))
        command = self.random.choice(self.others)(self.account())
        return self.now, command

    def origin(self, account: str) -> Origin:
        """A FIX message, a signed request, or neither."""
        kind = self.random.random()
        if kind < 0.3:
            session = f"fix:{account}"
            self.numbers[session] = self.numbers.get(session, 0) + self.random.randint(1, 3)
            epoch, number = self.epochs.get(session, 0), self.numbers[session]
            return Origin(session, epoch, number, route=self.route())
        user = self.random.choice(("ann", "ben"))
        if kind < 0.5:
            token = f"{self.random.getrandbits(64):064x}"
            return Origin(f"api:{account}", 0, 0, token, self.now + 5_000_000, user)
        return Origin(f"api:{account}", user=user)

    def amount(self) -> int:
        return self.random.choice((0, 5, 30, 500, 5_000, 10**7))

    def asset(self) -> str:
        return self.random.choice((*ASSETS, "USD"))

    def withdrawal_id(self) -> int:
        return self.random.randint(1, 12)

    def deposit(self, account: str) -> Deposit:
        number = self.random.randint(1, 20)
        source = Origin("operator:key")
        # Account and amount follow from the id, but for a contradiction now and then.
        amount = 100 + number + (1 if self.chance(0.05) else 0)
        return Deposit(
            source, f"d{number}", tuple(ACCOUNTS)[number % 5], "USD", amount, "main",
            confirmations=self.random.randint(0, 3), confirmations_required=2,
        )  # fmt: skip

    def withdraw(self, account: str) -> RequestWithdrawal:
        network = self.random.choice(("main", "main", "main", "memo", "none"))
        client_id = f"w{self.random.randint(1, 400)}"
        quote = f"Q{self.random.randint(1, 20)}" if self.chance(0.2) else ""
        return RequestWithdrawal(self.origin(account), account, client_id, self.asset(), network,
                                 self.address(), self.amount(), quote_id=quote)  # fmt: skip

    def address(self) -> str:
        return self.random.choice(("one", "two"))

    def add_address(self, account: str) -> AddAddress:
        return AddAddress(self.origin(account), account, self.asset(), "main", self.address())

    def remove_address(self, account: str) -> RemoveAddress:
        return RemoveAddress(self.origin(account), account, self.random.randint(1, 10))

    def quote(self, account: str) -> QuoteWithdrawal:
        return QuoteWithdrawal(self.origin(account), account, self.asset(), "main", self.amount())

    def deposit_address(self, account: str) -> AssignDepositAddress:
        return AssignDepositAddress(
            self.origin(account), account, self.asset(), "main", self.address()
        )

    def approve(self, account: str) -> ApproveWithdrawal:
        return ApproveWithdrawal(self.origin(account), account, self.withdrawal_id())

    def reject(self, account: str) -> RejectWithdrawal:
        return RejectWithdrawal(self.origin(account), account, self.withdrawal_id(), "no")

    def cancel_withdrawal(self, account: str) -> CancelWithdrawal:
        return CancelWithdrawal(self.origin(account), account, self.withdrawal_id())

    def advance(self, _: str) -> AdvanceWithdrawal:
        state = self.random.choice((4, 5, 5, 6, 6, 7, 10, self.random.randint(1, 11)))
        confirmations = self.random.randint(0, 3)
        worker = Origin("worker:settlement")
        return AdvanceWithdrawal(worker, self.withdrawal_id(), state, "tx", confirmations)

    def transfer(self, account: str) -> Transfer:
        number = f"t{self.random.randint(1, 300)}"
        return Transfer(
            self.origin(account), account, self.account(), self.asset(), self.amount(), number
        )

    def switch(self, account: str) -> SetDeadMansSwitch:
        timeout = self.random.choice((0, 1_000, 100_000, 2_000_000))
        return SetDeadMansSwitch(
            self.origin(account), account, timeout, self.random.choice(STRATEGIES)
        )

    def open_session(self, account: str) -> OpenSession:
        scope = CancelScope(self.random.randint(0, 3))
        source = self.session(account)
        return OpenSession(source, account, scope, self.random.choice((0, 1_000, 500_000)))

    def close_session(self, account: str) -> CloseSession:
        return CloseSession(self.session(account), clean=self.chance(0.5))

    def session(self, account: str) -> Origin:
        session = f"fix:{account}"
        return Origin(session, self.epochs.get(session, 0))

    def epoch(self, account: str) -> StartEpoch:
        session = f"fix:{account}"
        if self.chance(0.7):
            self.epochs[session] = self.epochs.get(session, 0) + 1
            self.numbers[session] = 0
        cursor = (self.random.randint(0, 99), 0, 0)
        return StartEpoch(self.session(account), account, cursor, "reset")

    def take(self, account: str) -> TakeSession:
        return TakeSession(
            Origin(f"fix:{account}/moved"), account, self.random.choice(("A", "A", "B"))
        )

    def reserve(self, account: str) -> ReserveNumbers:
        origin = Origin(f"fix:{account}/moved", term=self.random.randint(0, 4))
        cursor = (self.random.randint(0, 99), 0, 0)
        return ReserveNumbers(origin, self.random.randint(0, 9_000), cursor)

    def store_records(self, account: str) -> StoreRecords:
        """The first change of an owner's records, or one on a version that is not the newest."""
        owner = self.random.choice(("", ACCOUNTS[account]))
        keys = self.random.sample(("a", "b", "c", "d"), self.random.randint(1, 3))
        changes = tuple((key, self.random.choice(("", "1", "2"))) for key in keys)
        collection = self.random.choice(("api_keys", "webhook_endpoints", "webhook_requests"))
        expected = self.random.choice((0, 0, 7))
        return StoreRecords(Origin(f"api:{account}"), collection, owner, expected, changes)

    def redefine(self, account: str) -> Command:
        definitions: list[Any] = self.definitions()
        found: Any = self.random.choice(definitions)
        if isinstance(found, DefineAccount):
            limits = self.random.choice(((), (("USD", 3_000),)))
            above = self.random.choice(((), (("USD", 100), ("BTC", 10))))
            return found._replace(
                maker_fee_ppm=self.random.choice((0, 700, 50_000)), daily_limits=limits,
                approval_above=above, require_known_address=self.chance(0.3),
                address_cooloff_us=self.random.choice((0, 500_000)),
            )  # fmt: skip
        return found if not isinstance(found, Deposit) else Tick(ENGINE)

    def jump(self, _: str) -> Tick:
        self.now += self.random.choice((1_000, 600_000, 40_000_000, 3 * DAY_US // 2))
        return Tick(ENGINE)
