"""The exchange: ``apply(command) -> events``, the only way the venue's state ever changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.core import (
    addresses,
    batches,
    definitions,
    deposits,
    execution,
    orders,
    refusals,
    replaces,
    sessions,
    snapshot,
    stored_records,
    suspensions,
    ticks,
    withdrawals,
)
from engine.core.commands import (
    AddAddress,
    AdvanceWithdrawal,
    ApproveWithdrawal,
    AssignDepositAddress,
    Batch,
    CancelOrder,
    CancelWithdrawal,
    CloseSession,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineNetwork,
    DefineVenue,
    Deposit,
    MassCancel,
    NewOrder,
    OpenSession,
    QuoteWithdrawal,
    RecordRefusal,
    RejectWithdrawal,
    RemoveAddress,
    ReplaceOrder,
    RequestWithdrawal,
    ReserveNumbers,
    SetAccountStatus,
    SetDeadMansSwitch,
    SetInstrumentStatus,
    SetReferencePrice,
    StartEpoch,
    StoreRecords,
    TakeSession,
    Tick,
    Transfer,
)
from engine.core.events import Event
from engine.core.faults import EngineFault, check
from engine.core.records import Session
from engine.core.types import Origin, RejectReason
from engine.core.venue import RETIRED_IDS_MAX, Venue

Handler = Callable[[Venue, Any], object]

TOKEN_GRACE_US: Final = 60_000_000
TOKENS_FORGOTTEN: Final = 8


class Exchange(Venue):
    """The venue with its single entry point: commands go in, events come out."""

    def apply(self, seq: int, time_us: int, command: Command) -> list[Event]:
        """Apply one command and return its events; the same inputs always give the same events.

        ``seq`` is the last one + 1 and ``time_us`` does not go back. A command that
        ``find_duplicate`` recognizes must not be applied. Raises EngineFault if an
        invariant fails; the exchange must not be used after that.
        """
        if seq != self.seq + 1 or time_us < self.time_us:
            raise EngineFault(f"command {seq} does not follow {self.seq}, or time went back")
        self.seq = seq
        self.time_us = time_us
        events: list[Event] = []
        self.events = events
        self.work_left = self.work_max
        self.triggers_left = self.cascade_max
        self.retire_left = RETIRED_IDS_MAX
        origin = command.origin
        source, epoch, num, token, valid_until, _, _, _ = origin
        refusal = None
        if num or token or valid_until:
            session = self.sessions.get(source)
            if (
                session is not None
                and num > session.last_num_applied
                and epoch == session.epoch
                and not token
                and not valid_until
            ):
                session.last_num_applied = num  # The fast path; _identify has the rest.
            else:
                refusal = self._identify(origin)
        if refusal is None:
            _HANDLERS[type(command)](self, command)
        else:
            refusals.refuse(self, command, *refusal)
        if self.armed:
            execution.run_stops(self)
        return events

    def find_duplicate(self, command: Command) -> int | None:
        """Return the seq of the original if a command was applied before, else None.

        0 stands for a FIX message at or below its session's last number, whose seq is not kept,
        and for one of a gateway from which the session was taken (rules I-1, I-2, S-7). O(1).
        """
        origin = command.origin
        if origin.num:
            session = self.sessions.get(origin.source)
            if session and (
                origin.term != session.term
                or (origin.epoch == session.epoch and origin.num <= session.last_num_applied)
            ):
                return 0
        if origin.token:
            seen = self.tokens.get(origin.token)
            if seen is not None and seen[1] >= self.time_us:
                return seen[0]
        return None

    def fenced(self, origin: Origin) -> bool:
        """Return whether a command comes from a gateway that does not hold its session (S-7)."""
        return sessions.fenced(self.sessions.get(origin.source), origin)

    def next_timer(self) -> int:
        """Return when a Tick is due (microseconds), 0 if nothing waits."""
        if (
            self.purges
            or (self.busy and execution.queues_pending(self))
            or (self.armed and execution.stops_pending(self))
        ):
            return self.time_us
        return self.timers.next()

    def only_left_over(self, now_us: int) -> bool:
        """Return whether all that a Tick would do now is work that was begun and left over.

        Commands may come before that, since the rules keep its place (M-10, C-10); before a
        timer that is due and has not been looked at they may not.
        """
        return not self.timers.newly_due(self.expired_to, now_us)

    def export_state(self) -> dict[str, Any]:
        """Return the state as plain dicts, lists, strings and integers (see ``snapshot.py``)."""
        return snapshot.export_state(self)

    @classmethod
    def restore(cls, exported: dict[str, Any]) -> Exchange:
        """Rebuild an exchange from ``export_state``; it continues identically."""
        exchange = cls()
        snapshot.restore(exchange, exported)
        return exchange

    def state_hash(self) -> str:
        """Return the SHA-256 of the whole state in a canonical form, as hex. O(state)."""
        return snapshot.state_hash(self)

    def _identify(self, origin: Origin) -> tuple[RejectReason, str] | None:
        """Record a command's identity; refuse one of another epoch or past ``valid_until``."""
        if origin.num:
            session = self.sessions.get(origin.source)
            if session is None:
                session = self.sessions[origin.source] = Session(origin.source, origin.epoch)
            if origin.epoch != session.epoch:
                return (
                    RejectReason.STALE_EPOCH,
                    f"the message belongs to epoch {origin.epoch} of {origin.source}, "
                    f"which is now in epoch {session.epoch}",
                )
            check(origin.num > session.last_num_applied, "a message is applied once")
            session.last_num_applied = origin.num
        if origin.token:
            tokens = self.tokens
            for _ in range(TOKENS_FORGOTTEN):
                oldest = next(iter(tokens), "")
                if not oldest or tokens[oldest][1] >= self.time_us:
                    break
                del tokens[oldest]
            tokens.pop(origin.token, None)
            tokens[origin.token] = (self.seq, origin.valid_until + TOKEN_GRACE_US)
        if origin.valid_until and self.time_us > origin.valid_until:
            return (
                RejectReason.REQUEST_EXPIRED,
                "the request reached the engine after the time until which it is valid",
            )
        return None


_HANDLERS: Final[dict[type, Handler]] = {
    NewOrder: orders.new_order,
    CancelOrder: orders.cancel,
    ReplaceOrder: replaces.replace,
    MassCancel: batches.mass_cancel,
    Batch: batches.batch,
    RecordRefusal: refusals.record_refusal,
    Deposit: deposits.deposit,
    RequestWithdrawal: withdrawals.request,
    ApproveWithdrawal: withdrawals.approve,
    RejectWithdrawal: withdrawals.reject,
    CancelWithdrawal: withdrawals.cancel,
    AdvanceWithdrawal: withdrawals.advance,
    Transfer: withdrawals.transfer,
    AddAddress: addresses.add,
    RemoveAddress: addresses.remove,
    QuoteWithdrawal: addresses.quote,
    AssignDepositAddress: addresses.assign,
    SetDeadMansSwitch: sessions.set_switch,
    OpenSession: sessions.open_session,
    CloseSession: sessions.close_session,
    StartEpoch: sessions.start_epoch,
    TakeSession: sessions.take_session,
    ReserveNumbers: sessions.reserve_numbers,
    Tick: ticks.tick,
    DefineAsset: definitions.asset,
    DefineInstrument: definitions.instrument,
    DefineAccount: definitions.account,
    DefineNetwork: definitions.network,
    SetInstrumentStatus: definitions.instrument_status,
    SetAccountStatus: suspensions.set_status,
    SetReferencePrice: definitions.reference_price,
    DefineVenue: definitions.venue,
    StoreRecords: stored_records.store,
}
