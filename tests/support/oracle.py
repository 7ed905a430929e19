"""A naive exchange, written from spec/MATCHING.md alone: the judge of the real one.

Plain lists, full scans and sorting; no index, no cache, nothing clever. It answers the order
commands (new, cancel, replace, mass cancel, batch), deposits, transfers, halts, suspensions,
expiry and definitions with the complete list of events, and keeps every account's money. Texts of
refusals are left empty: they are wording, not outcome.
"""

from __future__ import annotations

from typing import Any

from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineVenue,
    Deposit,
    MassCancel,
    NewOrder,
    RecordRefusal,
    ReplaceOrder,
    SetAccountStatus,
    SetInstrumentStatus,
    SetReferencePrice,
    Tick,
)
from engine.core.events import (
    AccountDefined,
    AccountStatusChanged,
    AssetDefined,
    BatchDone,
    CancelRejected,
    DepositUpdated,
    Event,
    InstrumentDefined,
    InstrumentStatusChanged,
    MassCanceled,
    OrderAccepted,
    OrderRejected,
    OrderReplaced,
    ReferencePriceSet,
    StatusReported,
)
from engine.core.instruments import make_instrument
from engine.core.types import (
    BATCH_ENTRIES_MAX,
    CLIENT_ID_LENGTH_MAX,
    STRATEGY_LENGTH_MAX,
    BatchMode,
    CancelReason,
    InstrumentStatus,
    OrderTerms,
    OrdStatus,
    OrdType,
    RejectReason,
    RequestKind,
    TimeInForce,
)
from engine.core.types import Deposit as DepositRow
from tests.support.oracle_book import DAY_US, PRICED, RESTING_TIFS, STOPS, Order, printable
from tests.support.oracle_turns import OracleTurns, Purge


class Oracle(OracleTurns):
    """The exchange as the rules have it, one command at a time."""

    # -- one command -------------------------------------------------------------------

    def apply(self, seq: int, time_us: int, command: Command) -> list[Event]:
        self.seq, self.now, self.events = seq, time_us, []
        self.work, self.triggers = self.venue.work_max, self.venue.cascade_max
        self.do(command)
        self.trigger_stops()
        return self.events

    def do(self, command: Any) -> None:
        getattr(self, "do_" + type(command).__name__)(command)

    def do_DefineVenue(self, c: DefineVenue) -> None:
        self.venue = c

    def do_DefineAsset(self, c: DefineAsset) -> None:
        self.assets[c.asset] = c.scale
        self.emit(AssetDefined, "", c.asset, c.scale)

    def do_DefineInstrument(self, c: DefineInstrument) -> None:
        self.instruments[c.symbol] = make_instrument(
            c.symbol, c.base, self.assets[c.base], c.quote, self.assets[c.quote],
            c.tick, c.lot, c.min_qty, c.max_qty, c.max_price, c.band_ppm,
        )  # fmt: skip
        self.status.setdefault(c.symbol, InstrumentStatus.OPEN)
        self.emit(InstrumentDefined, "", *c[1:])

    def do_DefineAccount(self, c: DefineAccount) -> None:
        self.accounts[c.account] = c
        self.emit(AccountDefined, c.account, c.firm, c.maker_fee_ppm, c.taker_fee_ppm, c.stp)

    def do_SetInstrumentStatus(self, c: SetInstrumentStatus) -> None:
        if self.status[c.symbol] == c.status:
            return
        self.status[c.symbol] = InstrumentStatus(c.status)
        self.emit(InstrumentStatusChanged, "", c.symbol, self.status[c.symbol], c.note)

    def do_SetReferencePrice(self, c: SetReferencePrice) -> None:
        """P-2."""
        self.anchor[c.symbol] = c.price
        self.emit(ReferencePriceSet, "", c.symbol, c.price, c.note)

    def do_SetAccountStatus(self, c: SetAccountStatus) -> None:
        """A-1, A-3 and A-4, of a flow without withdrawals."""
        (self.barred.add if c.suspended else self.barred.discard)(c.account)
        concerned = [c.account]
        if self.firm(c.account) == c.account:  # the firm's main account
            concerned = [name for name in self.accounts if self.firm(name) == c.account]
        for name in concerned:
            main = self.firm(name)
            of_firm = main in self.accounts and self.firm(main) == main and main in self.barred
            suspended = name in self.barred or of_firm
            if suspended != (name in self.suspended):
                (self.suspended.add if suspended else self.suspended.remove)(name)
                self.emit(AccountStatusChanged, name, suspended, c.note)
        for name in concerned if c.suspended and not c.keep_open else ():
            self.begin_purge(
                Purge([name], len(self.orders), CancelReason.OPERATOR, "", c.origin.source)
            )

    def do_Deposit(self, c: Deposit) -> None:
        """W-8, for deposits that are complete when first reported."""
        assert c.confirmations >= c.confirmations_required and c.deposit_id not in self.deposits
        row = DepositRow(
            c.deposit_id, c.account, c.asset, c.network, c.address, c.txid, c.amount,
            c.confirmations, c.confirmations_required, True, self.now, self.now,
        )  # fmt: skip
        self.deposits[c.deposit_id] = row
        self.credit(c.account, c.asset, c.amount)
        self.emit(DepositUpdated, c.account, row, c.amount)

    def do_Tick(self, _: Tick) -> None:
        """M-10: cancels in progress, what is due (S-4), then orders that wait for their turn."""
        while self.purges and self.run_purge(self.purges[0]):
            pass
        due = [o for o in self.open if o.terms.expire_at and o.terms.expire_at <= self.now]
        due.sort(key=lambda o: (o.terms.expire_at, o.terms.order_id))
        for order in due[: max(0, self.work)]:
            self.work -= 1
            self.cancel(order, CancelReason.EXPIRED)
        self.expired_to = self.now if any(order.open for order in due) else 0
        for symbol in list(self.busy):
            if self.work > 0 and self.status[symbol] is InstrumentStatus.OPEN:
                self.go_on(symbol)

    # -- new orders --------------------------------------------------------------------

    def do_NewOrder(self, c: NewOrder) -> None:
        reason = self.refusal_of_new(c)
        if reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID:
            self.known_client_order_id(c)
        elif reason is not None:
            self.reject(c, reason)
        else:
            self.accept(c)

    def refusal_of_new(self, c: NewOrder) -> RejectReason | None:
        """R-1 to R-7."""
        if self.expired(c):
            return RejectReason.REQUEST_EXPIRED
        if c.account not in self.accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if reason := self.bad_client_order_id(c.client_order_id):
            return reason
        if len(c.strategy) > STRATEGY_LENGTH_MAX or not printable(c.strategy):
            return RejectReason.INVALID_FIELD
        if c.prior or self.by_client_id(c.account, c.client_order_id):
            return RejectReason.DUPLICATE_CLIENT_ORDER_ID
        if c.symbol not in self.instruments:
            return RejectReason.UNKNOWN_SYMBOL
        if c.account in self.suspended:
            return RejectReason.ACCOUNT_SUSPENDED
        if self.status[c.symbol] is InstrumentStatus.HALTED:
            return RejectReason.INSTRUMENT_HALTED
        terms = self.terms_of(c, 0)
        return (
            self.bad_combination(terms)
            or self.bad_quantity(terms)
            or self.bad_parts(terms)
            or self.bad_price(terms)
            or self.bad_limit(terms)
            or self.bad_expiry(c.tif, c.expire_at)
        )

    def bad_client_order_id(self, text: str) -> RejectReason | None:
        if 1 <= len(text) <= CLIENT_ID_LENGTH_MAX and printable(text):
            return None
        return RejectReason.INVALID_CLIENT_ORDER_ID

    def bad_combination(self, t: OrderTerms) -> RejectReason | None:
        """R-5."""
        may_rest = t.ord_type is OrdType.LIMIT and t.tif in RESTING_TIFS
        if (
            (t.price != 0) != (t.ord_type in PRICED)
            or (t.stop_price != 0) != (t.ord_type in STOPS)
            or ((t.post_only or t.display_qty) and not may_rest)
            or (t.min_qty and t.tif is not TimeInForce.IOC)
            or (t.ord_type in STOPS and t.tif not in RESTING_TIFS)
            or (t.cash_qty and t.ord_type is not OrdType.MARKET)
            or (t.cash_qty and (t.qty or t.min_qty or t.display_qty))
        ):
            return RejectReason.UNSUPPORTED_COMBINATION
        return None

    def bad_quantity(self, t: OrderTerms) -> RejectReason | None:
        """R-6, lots or money."""
        instrument = self.instruments[t.symbol]
        amount, least, most = t.qty, instrument.min_qty, instrument.max_qty
        if t.cash_qty:
            amount, least = t.cash_qty, 1
            most = instrument.max_qty * instrument.max_price * instrument.unit
        if amount <= 0:
            return RejectReason.INVALID_QUANTITY
        if amount < least:
            return RejectReason.QUANTITY_TOO_SMALL
        return RejectReason.QUANTITY_TOO_LARGE if amount > most else None

    def bad_parts(self, t: OrderTerms) -> RejectReason | None:
        """R-6, the minimum and the display quantity."""
        if 0 <= t.min_qty <= t.qty and 0 <= t.display_qty <= t.qty:
            return None
        return RejectReason.INVALID_QUANTITY

    def bad_price(self, t: OrderTerms) -> RejectReason | None:
        """R-6, prices."""
        if t.price < 0 or t.stop_price < 0:
            return RejectReason.INVALID_PRICE
        too_large = max(t.price, t.stop_price) > self.instruments[t.symbol].max_price
        return RejectReason.PRICE_TOO_LARGE if too_large else None

    def bad_limit(self, t: OrderTerms) -> RejectReason | None:
        """P-3; stop orders are judged when they are triggered (P-5)."""
        if t.ord_type is OrdType.LIMIT and self.outside(t.symbol, t.price):
            return RejectReason.PRICE_OUTSIDE_BAND
        return None

    def bad_expiry(self, tif: TimeInForce, expire_at: int) -> RejectReason | None:
        """R-7."""
        if expire_at <= self.now if tif is TimeInForce.GTD else expire_at != 0:
            return RejectReason.INVALID_EXPIRY
        return None

    def terms_of(self, c: NewOrder, order_id: int) -> OrderTerms:
        stp = self.accounts[c.account].stp if c.stp is None else c.stp
        expire_at = self.next_roll() if c.tif is TimeInForce.DAY else c.expire_at
        return OrderTerms(
            order_id, c.account, c.client_order_id, c.client_order_id, c.symbol, c.side,
            c.ord_type, c.tif, c.qty, c.price, c.stop_price, c.cash_qty, c.min_qty,
            c.display_qty, expire_at, c.post_only, stp, c.strategy, c.manual,
            c.origin.source, self.now, c.origin.route,
        )  # fmt: skip

    def next_roll(self) -> int:
        since = (self.now - self.venue.day_roll_us) // DAY_US + 1
        return since * DAY_US + self.venue.day_roll_us

    def accept(self, c: NewOrder) -> None:
        """R-8 to R-11, then the arrival."""
        account = self.accounts[c.account]
        order = Order(self.terms_of(c, len(self.orders) + 1), c.qty,
                      account.maker_fee_ppm, account.taker_fee_ppm)  # fmt: skip
        if sum(o.terms.account == c.account for o in self.open) >= account.open_orders_max:
            return self.reject(c, RejectReason.TOO_MANY_OPEN_ORDERS)
        order.worst = self.end_of_band(order.terms)
        if c.post_only and self.opposite(order):
            return self.reject(c, RejectReason.POST_ONLY_WOULD_TRADE)
        busy = c.symbol in self.busy
        if c.cash_qty:
            if busy:
                return self.reject(c, RejectReason.INSTRUMENT_BUSY)
            lots, tradable, cut = self.lots_for_money(order)
            if cut and self.work < self.venue.work_max:
                return self.reject(c, RejectReason.INSTRUMENT_BUSY)
            if cut:
                return self.reject(c, RejectReason.SWEEP_TOO_LARGE)
            if tradable == 0:
                return self.reject(c, self.nothing_for_money(order))
            order.leaves = lots
            order.terms = order.terms._replace(qty=lots)
        hold = 0
        if not (busy and order.market_buy):
            hold = self.hold_needed(order, order.terms, order.leaves)
        if self.short(order, hold):
            return self.reject(c, RejectReason.INSUFFICIENT_FUNDS)
        self.orders.append(order)
        self.client_ids[c.account, c.client_order_id] = order
        self.open.append(order)
        change = self.set_hold(order, hold)
        self.emit(OrderAccepted, c.account, order.terms, order.leaves, change, order.display)
        self.arrive(order)

    def nothing_for_money(self, order: Order) -> RejectReason:
        """R-10 and P-4: the best price may lie beyond the band."""
        reachable, order.worst = self.opposite(order), 0
        if not reachable and self.opposite(order):
            return RejectReason.PRICE_OUTSIDE_BAND
        return RejectReason.NO_LIQUIDITY

    def known_client_order_id(self, c: NewOrder) -> None:
        order = self.by_client_id(c.account, c.client_order_id)
        if order is None and c.prior is None:
            self.reject(c, RejectReason.DUPLICATE_CLIENT_ORDER_ID)  # twice in one batch
        elif order is None:
            assert c.prior is not None
            self.known_state(c, c.prior.order_id, c.prior.status, c.prior.qty, c.prior.cum, 0,
                             c.prior.notional)  # fmt: skip
        elif c.poss_resend:
            self.emit(StatusReported, c.account, order.terms, order.status, order.leaves,
                      order.cum, order.notional)  # fmt: skip
        else:
            self.known_state(c, order.terms.order_id, order.status, order.terms.qty, order.cum,
                             order.leaves, order.notional)  # fmt: skip

    def known_state(
        self, c: NewOrder, order_id: int, status: OrdStatus, qty: int, cum: int, leaves: int,
        notional: int,
    ) -> None:  # fmt: skip
        self.emit(OrderRejected, c.account, c.client_order_id, c.symbol, c.side, c.ord_type, qty,
                  c.price, c.strategy, RejectReason.DUPLICATE_CLIENT_ORDER_ID, "", status,
                  order_id, cum, leaves, notional, "", "")  # fmt: skip

    def reject(self, c: NewOrder, reason: RejectReason) -> None:
        self.emit(OrderRejected, c.account, c.client_order_id, c.symbol, c.side, c.ord_type,
                  c.qty, c.price, c.strategy, reason, "", OrdStatus.REJECTED, 0, 0, 0, 0,
                  "", "")  # fmt: skip

    # -- cancel and replace ------------------------------------------------------------

    def by_client_id(self, account: str, client_id: str) -> Order | None:
        return self.client_ids.get((account, client_id))

    def lookup(
        self, account: str, client_id: str, order_id: int
    ) -> tuple[Order | None, RejectReason | None]:
        """C-1, the order that the ids name; with an order id the other is its account's."""
        if account not in self.accounts:
            return None, RejectReason.UNKNOWN_ACCOUNT
        order = self.by_client_id(account, client_id)
        if order_id:
            order = self.orders[order_id - 1] if 0 < order_id <= len(self.orders) else None
            if order and not self.acts_for(account, order.terms.account):
                order = None
            named = self.by_client_id(order.terms.account, client_id) if order else None
            if order and client_id and named is not order:
                return None, RejectReason.MISMATCH
        if order and order.open:
            self.meet_doom(order)
        return order, None if order else RejectReason.UNKNOWN_ORDER

    def acts_for(self, account: str, other: str) -> bool:
        """The firm's own account reaches all of the firm, any other itself."""
        return account == other or account == self.firm(account) == self.firm(other)

    def firm(self, account: str) -> str:
        return self.accounts[account].firm

    def find(self, c: CancelOrder | ReplaceOrder) -> tuple[Order | None, RejectReason | None]:
        """C-1, and whether it can be changed as far as ids and statements go (C-5)."""
        order, reason = self.lookup(c.account, c.orig_client_order_id, c.order_id)
        if self.expired(c):
            return order, RejectReason.REQUEST_EXPIRED
        if order is None:
            return order, reason
        if isinstance(c, ReplaceOrder) and c.client_order_id:
            if reason := self.bad_client_order_id(c.client_order_id):
                return order, reason
            if c.prior or self.by_client_id(order.terms.account, c.client_order_id):
                return order, RejectReason.DUPLICATE_CLIENT_ORDER_ID
        if isinstance(c, ReplaceOrder) and c.ord_type not in (None, order.terms.ord_type):
            return order, RejectReason.MISMATCH
        if c.symbol not in ("", order.terms.symbol) or c.side not in (None, order.terms.side):
            return order, RejectReason.MISMATCH
        return order, None if order.open else RejectReason.TOO_LATE

    def expired(self, c: NewOrder | CancelOrder | ReplaceOrder | MassCancel | Batch) -> bool:
        """I-4; of a batch only its own time counts."""
        return not self.in_batch and 0 < c.origin.valid_until < self.now

    def refuse(
        self, c: CancelOrder | ReplaceOrder, order: Order | None, reason: RejectReason
    ) -> None:
        kind = RequestKind.CANCEL if isinstance(c, CancelOrder) else RequestKind.REPLACE
        self.emit(CancelRejected, c.account, kind, c.client_order_id, c.orig_client_order_id,
                  *self.known(order), reason, "", self.strategy_of(order))  # fmt: skip

    def strategy_of(self, order: Order | None) -> str:
        return order.terms.strategy if order else ""

    def known(self, order: Order | None) -> tuple[str, int, OrdStatus]:
        if order is None:
            return "", 0, OrdStatus.REJECTED
        return order.terms.client_order_id, order.terms.order_id, order.status

    def do_CancelOrder(self, c: CancelOrder) -> None:
        order, reason = self.find(c)
        if reason is not None or order is None:
            return self.refuse(c, order, reason)  # type: ignore[arg-type]
        self.cancel(order, CancelReason.REQUESTED, c.client_order_id, c.origin.source,
                    c.origin.route)  # fmt: skip

    def do_ReplaceOrder(self, c: ReplaceOrder) -> None:
        order, reason = self.find(c)
        if order is None or reason is not None:
            return self.refuse(c, order, reason)  # type: ignore[arg-type]
        reason = self.refusal_of_replace(c, order)
        new = self.replaced_terms(c, order)
        new_place = self.takes_new_place(order, new)
        leaves = new.qty - order.cum
        if reason is None and new.post_only and new_place:
            probe = Order(new, leaves, 0, 0)
            if leaves and self.opposite(probe):
                reason = RejectReason.POST_ONLY_WOULD_TRADE
        if reason is None:
            waiting_market_buy = order.market_buy and not order.waiting
            hold = 0 if waiting_market_buy else self.hold_needed(order, new, leaves)
            if self.short(order, hold):
                reason = RejectReason.INSUFFICIENT_FUNDS
        if reason is not None:
            return self.refuse(c, order, reason)
        self.replace(c, order, new, hold, new_place)

    def refusal_of_replace(self, c: ReplaceOrder, order: Order) -> RejectReason | None:
        """C-5 as far as VALIDATE_ALL looks (B-3), and C-6."""
        t = order.terms
        if t.account in self.suspended:
            return RejectReason.ACCOUNT_SUSPENDED
        if self.status[t.symbol] is InstrumentStatus.HALTED:
            return RejectReason.INSTRUMENT_HALTED
        if t.tif not in RESTING_TIFS or c.tif not in (None, *RESTING_TIFS):
            return RejectReason.UNSUPPORTED_COMBINATION
        new = self.replaced_terms(c, order)
        if reason := self.bad_combination(new):
            return reason
        if order.triggered and new.stop_price != t.stop_price:
            return RejectReason.TOO_LATE
        if c.qty is not None and c.qty <= 0:
            return RejectReason.INVALID_QUANTITY
        amended = new.qty == order.cum  # C-3: what is executed is valid, however small
        same = c.qty is None or c.qty == t.qty  # C-9: what stays as it was is not judged
        reason = None if amended or same else self.bad_quantity(new)
        reason = reason or self.bad_parts(new)
        changed = new._replace(
            price=0 if new.price == t.price else new.price,
            stop_price=0 if new.stop_price == t.stop_price else new.stop_price,
        )
        reason = reason or self.bad_price(changed)
        if reason is None and changed.price and not order.waiting:
            reason = self.bad_limit(changed._replace(ord_type=OrdType.LIMIT))
        if reason or (c.expire_at is None and new.tif is t.tif):
            return reason
        return self.bad_expiry(new.tif, c.expire_at or 0)

    def replaced_terms(self, c: ReplaceOrder, order: Order) -> OrderTerms:
        """The terms as asked for; a quantity below what is executed becomes that (C-3)."""
        t = order.terms
        tif = t.tif if c.tif is None else c.tif
        expire_at = c.expire_at or 0
        if tif is t.tif and c.expire_at is None:
            expire_at = t.expire_at
        elif tif is TimeInForce.DAY:
            expire_at = self.next_roll()
        qty = t.qty if c.qty is None else max(c.qty, order.cum)
        display = t.display_qty if c.display_qty is None else c.display_qty
        if c.display_qty is None or (qty == t.qty and display == t.display_qty):
            display = min(display, qty)
        return t._replace(
            client_order_id=c.client_order_id or t.client_order_id,
            tif=tif,
            expire_at=expire_at,
            qty=qty,
            price=t.price if c.price is None else c.price,
            stop_price=t.stop_price if c.stop_price is None else c.stop_price,
            display_qty=display,
            route=c.origin.route if c.origin.source == t.session else t.route,  # C-11
        )

    def takes_new_place(self, order: Order, new: OrderTerms) -> bool:
        """C-4."""
        old = order.terms
        larger_display = new.display_qty != old.display_qty and (
            (new.display_qty or new.qty) > (old.display_qty or old.qty)
        )
        return (
            new.price != old.price
            or new.stop_price != old.stop_price
            or new.qty > old.qty
            or larger_display
        )

    def replace(
        self, c: ReplaceOrder, order: Order, new: OrderTerms, hold: int, new_place: bool
    ) -> None:
        previous = order.terms.client_order_id
        order.terms = new
        order.leaves = new.qty - order.cum
        if c.client_order_id:
            self.client_ids[new.account, c.client_order_id] = order
        change = self.set_hold(order, hold)
        in_line = self.waits_for_turn(order)
        if order.leaves == 0:
            order.status = OrdStatus.FILLED
            self.close(order)
        elif new_place:
            order.joined = 0
            self.leave_line(order)
        elif order.joined:
            order.shown = min(order.shown, new.display_qty or order.leaves, order.leaves)
        self.emit(OrderReplaced, new.account, new, previous, order.status, order.leaves,
                  order.cum, order.notional, not new_place, c.origin.source, change,
                  order.display)  # fmt: skip
        if order.open and new_place and in_line:
            self.stand_in_line(order)
        elif order.open and (new_place or order.waiting):
            self.arrive(order)

    def do_MassCancel(self, c: MassCancel) -> None:
        """C-7."""
        reason = None
        if self.expired(c):
            reason = RejectReason.REQUEST_EXPIRED
        elif c.account not in self.accounts:
            reason = RejectReason.UNKNOWN_ACCOUNT
        elif c.symbol and c.symbol not in self.instruments:
            reason = RejectReason.UNKNOWN_SYMBOL
        elif c.firm_wide and c.account != self.firm(c.account):
            reason = RejectReason.NOT_PERMITTED
        elif sum(p.asked is not None and p.asked.account == c.account for p in self.purges) >= 8:
            reason = RejectReason.THROTTLED
        if reason is not None:
            return self.emit(MassCanceled, c.account, c.client_order_id, (), c.symbol, c.side,
                             c.strategy, c.session, c.firm_wide, reason, "", 0, True,
                             c.origin.source, c.origin.route)  # fmt: skip
        names = [c.account]
        if c.firm_wide:
            names = [name for name in self.accounts if self.firm(name) == self.firm(c.account)]
        purge = Purge(names, len(self.orders), CancelReason.MASS_CANCEL, c.client_order_id,
                      c.origin.source, c)  # fmt: skip
        self.begin_purge(purge)
        if purge in self.purges:
            self.summarize(purge, False)

    # -- batches -----------------------------------------------------------------------

    def do_Batch(self, c: Batch) -> None:
        reason = None
        if self.expired(c):
            reason = RejectReason.REQUEST_EXPIRED
        elif c.account not in self.accounts:
            reason = RejectReason.UNKNOWN_ACCOUNT
        elif not self.one_firm(c) or not 1 <= len(c.entries) <= BATCH_ENTRIES_MAX:
            reason = RejectReason.INVALID_BATCH
        if reason is not None:
            return self.emit(BatchDone, c.account, c.batch_id, (), reason, "")
        self.in_batch = True
        reasons: list[RejectReason | None] = [None] * len(c.entries)
        if c.mode is BatchMode.VALIDATE_ALL:
            reasons = self.faults(c)
        if any(reasons):
            reason = RejectReason.BATCH_REFUSED
            reasons = [r or reason for r in reasons]
        results = []
        for entry, refusal in zip(c.entries, reasons, strict=True):
            if not isinstance(entry, NewOrder):
                self.lookup(entry.account, entry.orig_client_order_id, entry.order_id)
            first = len(self.events)
            if refusal is not None:
                self.refuse_entry(entry, refusal)
            else:
                self.do(entry)
            accepted = not isinstance(self.events[first], OrderRejected | CancelRejected)
            results.append((first, len(self.events) - first, accepted))
        self.in_batch = False
        self.emit(BatchDone, c.account, c.batch_id, tuple(results), reason, "")

    def one_firm(self, c: Batch) -> bool:
        return all(self.acts_for(c.account, entry.account) for entry in c.entries)

    def faults(self, c: Batch) -> list[RejectReason | None]:
        """B-3; a new client order id that is in the batch twice is a fault too."""
        found: list[RejectReason | None] = []
        seen = set()
        for entry in c.entries:
            reason = self.validate(entry)
            if isinstance(entry, NewOrder | ReplaceOrder) and not reason and entry.client_order_id:
                key = (entry.account, entry.client_order_id)
                reason = RejectReason.DUPLICATE_CLIENT_ORDER_ID if key in seen else None
                seen.add(key)
            found.append(reason)
        return found

    def validate(self, entry: BatchEntry) -> RejectReason | None:
        """B-3."""
        if isinstance(entry, RecordRefusal):
            return entry.reason  # B-5
        if isinstance(entry, NewOrder):
            reason = self.refusal_of_new(entry)
            if entry.poss_resend and self.by_client_id(entry.account, entry.client_order_id):
                return None if reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID else reason
            return reason
        order, reason = self.find(entry)
        if reason is None and order is not None and isinstance(entry, ReplaceOrder):
            reason = self.refusal_of_replace(entry, order)
        return reason

    def refuse_entry(self, entry: BatchEntry, reason: RejectReason) -> None:
        if isinstance(entry, RecordRefusal):
            self.do_RecordRefusal(entry._replace(reason=reason))
        elif not isinstance(entry, NewOrder):
            ids = (entry.account, entry.orig_client_order_id, entry.order_id)
            self.refuse(entry, self.lookup(*ids)[0], reason)
        elif reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID:
            self.known_client_order_id(entry)
        else:
            self.reject(entry, reason)

    def do_RecordRefusal(self, c: RecordRefusal) -> None:
        """A refusal of a create, cancel or replace that the edge made."""
        if c.mark_only:
            return
        if c.request is RequestKind.NEW:
            self.emit(OrderRejected, c.account, c.client_order_id, c.symbol, c.side, c.ord_type,
                      0, 0, c.strategy, c.reason, c.text, OrdStatus.REJECTED, 0, 0, 0, 0,
                      c.qty_text, c.price_text)  # fmt: skip
        else:
            order, _ = self.lookup(c.account, c.orig_client_order_id, c.order_id)
            self.emit(CancelRejected, c.account, c.request, c.client_order_id,
                      c.orig_client_order_id, *self.known(order), c.reason, c.text,
                      self.strategy_of(order))  # fmt: skip
