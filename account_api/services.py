"""What handlers work with: the engine, the history, and a short-lived copy of the catalogue.

Nothing here is opened before the worker process exists: sockets and database connections do
not survive a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import structlog

from account_api.crypto_addresses import DepositAddressSource
from account_api.errors import Problem, no_leader
from account_api.ports import ClockUs, EngineFactory, EnginePort, PartsSource
from account_api.schema.catalogue import Catalogue, unknown_symbol
from account_api.schema.identifiers import sentence
from account_api.security.auth import Authenticator
from account_api.security.idempotency import Idempotency
from account_api.security.keyring import KeyRing
from account_api.security.keystore import KEYS_MAX, KeyStore
from account_api.security.rate_limit import RateLimiter
from account_api.security.replica import NO_LEADER
from account_api.security.shared_keys import RECORDS_MAX, SharedKeyStore
from account_api.settings import ApiSettings
from account_api.shared import EngineRecords, leaderless
from account_api.webhooks.shared_store import SharedWebhookStore
from account_api.webhooks.store import WebhookStore
from config.model import AddressFormat
from engine.client import (
    Answered,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    GapTooOld,
    Outcome,
    Transaction,
    own_event,
    queries,
)
from engine.core.commands import Command, RecordRefusal
from engine.core.events import (
    BatchDone,
    CancelRejected,
    MassCanceled,
    OrderRejected,
    Refused,
)
from engine.core.instruments import Instrument
from engine.core.types import Origin, RejectReason, RequestKind
from engine.history import reader as history_reader

if TYPE_CHECKING:
    import sqlalchemy

_log: Final = structlog.get_logger("account_api")
T = TypeVar("T")
HistoryOpener: TypeAlias = "Callable[[], sqlalchemy.Engine]"

CATALOGUE_AGE_US_MAX: Final = 5_000_000
CATALOGUE_AGE_US_MIN: Final = 200_000
WAITERS_MAX: Final = 4
"""Requests of one worker that may wait for a sequence; each holds a thread."""

_REFUSED: Final = (Refused, OrderRejected, CancelRejected)
_ANSWERS: Final = (*_REFUSED, MassCanceled, BatchDone)

_REFUSALS: Final = {
    "behind": "not_caught_up",
    "bad_arguments": "invalid_request",
    "duplicate": "already_done",
}


UNCHANGED_TEXT: Final = "The engine does not respond, and nothing was changed; try again."


def _only_marked(known: Command, command: Command) -> bool:
    """Return True if a token was only asked about, so that what was to come with it cannot."""
    return (
        type(known) is RecordRefusal
        and known.mark_only
        and not (type(command) is RecordRefusal and command.mark_only)
    )


def _unavailable(error: EngineError) -> Problem:
    """Make the problem for an engine that cannot be asked."""
    if isinstance(error, EngineRefused):
        if error.code == NO_LEADER:
            return no_leader()
        code = _REFUSALS.get(error.code, "engine_refused")
        return Problem(code, sentence(error.text))
    if isinstance(error, EngineUnavailable | EngineTimeout):
        detail = (
            "The engine did not respond, and the request may have been done; repeat the identical "
            "request, or look the object up by its client id."
            if error.outcome == "unknown"
            else UNCHANGED_TEXT
        )
        return Problem(
            "engine_unavailable",
            detail,
            outcome=error.outcome,
            headers=(("Retry-After", "1"),),
        )
    raise error


class Services:
    """One per application; thread-safe. ``history`` None means that there is no history."""

    def __init__(
        self,
        settings: ApiSettings,
        engine_factory: EngineFactory,
        history: HistoryOpener | None,
        clock_us: ClockUs,
        deposit_address: DepositAddressSource | None = None,
        parts: PartsSource = lambda seq: (),
    ) -> None:
        self.settings = settings
        self.parts = parts
        self.deposit_address = deposit_address
        self.address_formats: dict[tuple[str, str], AddressFormat] = {
            (asset, network): form for asset, network, form in settings.address_formats
        }
        self.clock_us = clock_us
        self.idempotency = Idempotency(settings.answers, clock_us)
        self.key_store: KeyStore | SharedKeyStore
        self.webhooks: WebhookStore | SharedWebhookStore
        alone = WebhookStore(settings.webhooks.file, settings.key_master)
        if settings.shared:
            records = EngineRecords(self._engine_port)
            self.webhooks = SharedWebhookStore(records, alone, settings.key_master)
            self.key_store = SharedKeyStore(
                records, settings.key_master,
                ((key.key, key.firm) for key in settings.keys), settings.key_file,
                settings.records_wait_s,
            )  # fmt: skip
        else:
            self.webhooks = alone
            self.key_store = KeyStore(settings.key_file, settings.key_master)
        self.ring = KeyRing(settings.keys, self.key_store)
        self.authenticator = Authenticator(
            self.ring, settings.window_ms, settings.ahead_ms,
            explains=settings.page.environment not in ("", "production"),
        )  # fmt: skip
        # Made here, before a fork: its memory is shared by all workers.
        self.limiter = RateLimiter(
            settings.rate_limits, (key.key for key in settings.keys), lambda: clock_us() / 1e6,
            RECORDS_MAX if settings.shared else KEYS_MAX,
        )  # fmt: skip
        self._engine_factory = engine_factory
        self.history_opener = history
        self._lock = threading.Lock()
        self._waiters = threading.BoundedSemaphore(WAITERS_MAX)
        self._pid = 0
        self._engine: EnginePort | None = None
        self._history: sqlalchemy.Engine | None = None
        self._catalogue: Catalogue | None = None

    def _engine_port(self) -> EnginePort:
        if self._pid == os.getpid() and self._engine is not None:
            return self._engine
        with self._lock:
            self._forget_parent()
            if self._engine is None:
                self._engine = self._engine_factory()
            return self._engine

    def _history_engine(self) -> sqlalchemy.Engine:
        if self._pid == os.getpid() and self._history is not None:
            return self._history
        with self._lock:
            self._forget_parent()
            if self.history_opener is None:
                raise Problem("history_unavailable", "This service has no history to read.")
            if self._history is None:
                self._history = self.history_opener()
            return self._history

    def _forget_parent(self) -> None:
        """After a fork, drop what belongs to the parent process (the lock is held)."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._engine = None
            self._history = None

    def close(self) -> None:
        """Close what this process has opened."""
        with self._lock:
            engine, self._engine = self._engine, None
            history, self._history = self._history, None
        self.idempotency.close()
        self.key_store.close()
        self.webhooks.close()
        if engine is not None:
            engine.close()
        if history is not None:
            history.dispose()

    def submit(self, command: Command) -> Outcome:
        """Submit a command to the engine and wait until it is durable. Raises Problem."""
        try:
            outcome = self._engine_port().submit(command, self.settings.engine_timeout_s)
        except EngineError as error:
            problem = _unavailable(error)
            if problem.kind.code == "engine_unavailable" and self.leaderless():
                problem = no_leader(problem.outcome)
            raise problem from error
        if outcome.duplicate and _only_marked(outcome.transaction.command, command):
            raise Problem(
                "request_expired", "A repeat has taken the place of this request.",
                outcome="unknown",
            )  # fmt: skip
        return outcome

    def leaderless(self) -> bool:
        """Return whether the engine can be asked and knows of no leader of the venue."""
        if not self.settings.shared:
            return False
        try:
            return leaderless(self._engine_port())
        except EngineError:
            return False

    def find(self, origin: Origin) -> int:
        """Return the seq in which the engine did a request under its token, 0 if it did not.

        In that case it never will: the engine records the token. Raises Problem.
        """
        mark = RecordRefusal(
            origin, "", RequestKind.OTHER, RejectReason.REQUEST_EXPIRED, "repeated", mark_only=True
        )
        found = self.submit(mark).transaction
        answer = own_event(found.events, found.command, *_ANSWERS)
        refused = isinstance(answer, _REFUSED) or getattr(answer, "reason", None) is not None
        return 0 if refused or type(found.command) is RecordRefusal else found.seq

    def fetch(self, query: queries.Query[T], min_seq: int = 0) -> Answered[T]:
        """Ask the engine; wait, bounded, for ``min_seq``. Raises Problem."""
        answer = self._fetch(query, 0)
        if answer.as_of_seq >= min_seq:
            return answer
        with self._waiting(min_seq, answer.as_of_seq):
            return self._fetch(query, min_seq)

    def _fetch(self, query: queries.Query[T], min_seq: int) -> Answered[T]:
        try:
            return self._engine_port().fetch(query, min_seq)
        except EngineError as error:
            problem = _unavailable(error)
            # A query changes nothing, whether or not its answer arrived.
            problem.outcome = "not_applied"
            if problem.kind.code == "engine_unavailable":
                problem.detail = UNCHANGED_TEXT
            raise problem from error

    def transaction(self, seq: int) -> Transaction | None:
        """Return one transaction; None if it was archived. Raises Problem."""
        try:
            return self._engine_port().fetch(queries.Transaction(seq)).value
        except GapTooOld:
            return None
        except EngineError as error:
            raise _unavailable(error) from error

    @contextmanager
    def _waiting(self, min_seq: int, as_of_seq: int) -> Iterator[None]:
        """Hold one of the few places in which a request may wait. Raises Problem."""
        if not self._waiters.acquire(blocking=False):
            raise _not_caught_up(min_seq, as_of_seq)
        try:
            yield
        finally:
            self._waiters.release()

    @contextmanager
    def history(self, min_seq: int = 0) -> Iterator[sqlalchemy.Connection]:
        """Open a connection to the history once it contains ``min_seq``. Raises Problem."""
        database = self._history_engine()
        try:
            if min_seq:
                self._await_history(database, min_seq)
            with database.connect() as connection:
                yield connection
        except history_reader.CursorError as error:
            raise Problem("invalid_request", sentence(str(error)), field="cursor") from None
        except history_reader.SQLAlchemyError as error:
            raise Problem(
                "history_unavailable",
                "The history of closed orders, fills, trades and the ledger cannot be read at "
                "this moment; ask again.",
            ) from error

    def _await_history(self, database: sqlalchemy.Engine, min_seq: int) -> None:
        with database.connect() as connection:
            as_of_seq = history_reader.last_seq(connection)
        if as_of_seq >= min_seq:
            return
        with self._waiting(min_seq, as_of_seq):
            if history_reader.wait_for(database, min_seq, self.settings.wait_ms_max / 1000):
                return
        raise _not_caught_up(min_seq, as_of_seq)

    @contextmanager
    def fresh_history(self, min_seq: int) -> Iterator[sqlalchemy.Connection]:
        """Open the history; by default wait until it has what the engine has committed.

        With ``min_seq`` a history that lags is Problem ``not_caught_up``; without, a history that
        lags or an engine that is away only makes the answer older, as its ``as_of_seq`` says.
        """
        if min_seq:
            with self.history(min_seq) as connection:
                yield connection
            return
        try:
            seq = self._engine_port().fetch(queries.Status()).as_of_seq
            self._await_history(self._history_engine(), seq)
        except (EngineError, history_reader.SQLAlchemyError, Problem) as error:
            _log.info("history_lags", reason=str(error))
        with self.history() as connection:
            yield connection

    def catalogue(self, symbol: str = "", asset: str = "") -> Catalogue:
        """Return the catalogue, read again if it is old or lacks what is asked for."""
        known, now = self._catalogue, self.clock_us()
        if known is not None:
            age = now - known.loaded_us
            missing = (symbol and symbol not in known.instruments) or (
                asset and asset not in known.scales
            )
            if 0 <= age < CATALOGUE_AGE_US_MIN or (0 <= age < CATALOGUE_AGE_US_MAX and not missing):
                return known
        assets = self.fetch(queries.Assets())
        networks = self.fetch(queries.Networks())
        instruments = self.fetch(queries.Instruments())
        loaded = Catalogue(
            scales={row.asset: row.scale for row in assets.value},
            networks={(row.asset, row.network): row for row in networks.value},
            instruments={row.symbol: row for row in instruments.value},
            loaded_us=now,
            as_of_seq=instruments.as_of_seq,
        )
        self._catalogue = loaded
        return loaded

    def instrument(self, symbol: str, status: int | None = None) -> Instrument:
        """Return the instrument. Raises Problem ``unknown_symbol``."""
        found = self.catalogue(symbol=symbol).instruments.get(symbol)
        if found is None:
            raise unknown_symbol(symbol, self.catalogue().instruments, status)
        return found


def _not_caught_up(min_seq: int, as_of_seq: int) -> Problem:
    return Problem(
        "not_caught_up",
        f"The read has reached seq {as_of_seq} and not yet min_seq {min_seq}.",
        headers=(("Retry-After", "1"),),
        as_of_seq=as_of_seq,
    )
