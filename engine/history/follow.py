"""Keep a projector up to date with the engine, across failures of the engine and the database."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, Final, Protocol

from sqlalchemy.exc import DBAPIError

from engine.client import EngineClient, EngineError, EngineRefused, GapTooOld, queries
from engine.history.decoding import Record, decode
from engine.history.fold import HistoryFault
from engine.history.projector import Projector
from engine.wire import Welcome

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
_OTHER_JOURNAL: Final = (
    "the history, which has come to transaction {last_seq}, and the engine's journal do not "
    "belong together; rebuild the history with python -m engine.history.main --rebuild"
)


class CannotFollow(RuntimeError):
    """The history cannot continue from its position; a person must decide. The message says why."""


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, /, **details: Any) -> Any: ...
    def warning(self, event: str, /, **details: Any) -> Any: ...


class _Stop:
    """Asks ``run`` to end."""


class Follower:
    """Subscribes to the engine from the projector's ``last_seq`` + 1 and applies what arrives.

    Rows are written on the client's reader thread: while SQL is busy nothing is read from the
    socket, and the transactions that accumulate there make the next batch larger.
    """

    def __init__(
        self,
        socket_path: str,
        projector: Projector,
        log: Log,
        *,
        on_applied: Callable[[int], None] | None = None,
    ) -> None:
        self._socket_path = socket_path
        self._projector = projector
        self._log = log
        self._on_applied = on_applied
        # SimpleQueue.put may be called by a signal handler, unlike Event.set.
        self._signals: queue.SimpleQueue[_Stop | Exception] = queue.SimpleQueue()
        self._failed = False
        self._engine_trouble = self._database_trouble = ""

    @property
    def trouble(self) -> str:
        """The reason why the history does not follow at present; "" while it does."""
        return self._database_trouble or self._engine_trouble

    def stop(self) -> None:
        """Ask ``run`` to end; safe in a signal handler and from any thread."""
        self._signals.put(_Stop())

    def run(self) -> None:
        """Follow until ``stop``. Raises CannotFollow and HistoryFault."""
        failures = 0
        while True:
            before = self._projector.last_seq
            try:
                if self._follow():
                    return
            except (EngineError, DBAPIError) as error:
                if isinstance(error, EngineRefused):
                    raise CannotFollow(self._refusal(error)) from error
                failures = 0 if self._projector.last_seq > before else failures + 1
                pause = min(RETRY_FIRST_S * 2**failures, RETRY_MAX_S)
                words = f"interrupted: {error}".splitlines()[0]
                if isinstance(error, DBAPIError):
                    self._database_trouble = words
                else:
                    self._engine_trouble = words
                self._log.warning("interrupted", reason=str(error), retry_s=pause)
                if self._stopped_within(pause):
                    return

    def rebuild(self) -> None:
        """Clear the projector, if the engine still has its first transaction.

        Raises CannotFollow if it has not, and EngineUnavailable.
        """
        client = EngineClient(self._socket_path, "history-rebuild")
        try:
            welcome = client.connect()
        finally:
            client.close()
        if welcome.first_seq > 1:
            raise CannotFollow(
                f"the engine's journal begins at {welcome.first_seq}; a history rebuilt from "
                "it would lack what came before, so it was left as it is"
            )
        self._projector.clear()

    def _follow(self) -> bool:
        """Run one client to its end; return True if asked to stop."""
        self._failed = False
        client = EngineClient(
            self._socket_path, "history", on_lost=self._lost, on_connected=self._connected
        )
        try:
            self._check_same_journal(client)
            client.subscribe_decoded(self._projector.last_seq + 1, self._apply, decode)
            while True:
                signal = self._signals.get()
                if isinstance(signal, _Stop):
                    return True
                if isinstance(signal, (EngineRefused, DBAPIError, HistoryFault)):
                    raise signal
                self._log.warning("engine_lost", reason=str(signal))
        finally:
            client.close()

    def _stopped_within(self, pause_s: float) -> bool:
        try:
            while True:
                if isinstance(self._signals.get(timeout=pause_s), _Stop):
                    return True
        except queue.Empty:
            return False

    def _check_same_journal(self, client: EngineClient) -> None:
        """Check that the history was built from this engine's journal."""
        last_seq = self._projector.last_seq
        if not last_seq:
            return
        try:
            time_us = client.fetch(queries.Transaction(last_seq)).value.time_us
        except GapTooOld:
            return  # Archived; what the history needs next decides.
        if time_us != self._projector.last_time_us:
            raise CannotFollow(_OTHER_JOURNAL.format(last_seq=last_seq))

    def _connected(self, welcome: Welcome) -> None:
        """Note that the engine is connected; the venue may be idle for long."""
        self._engine_trouble = ""

    def _lost(self, error: EngineError) -> None:
        self._engine_trouble = f"the engine is lost: {error}"
        self._signals.put(error)

    def _apply(self, transactions: list[Record]) -> None:
        if self._failed:
            return  # What follows a failure is asked for again by the next client.
        try:
            last_seq = self._projector.apply(transactions)
        except Exception as error:
            self._failed = True
            self._signals.put(error if isinstance(error, DBAPIError) else _fault(error))
            return
        self._database_trouble = ""
        if self._on_applied is not None:
            self._on_applied(last_seq)

    def _refusal(self, error: EngineRefused) -> str:
        if isinstance(error, GapTooOld):
            return (
                f"the engine no longer keeps transaction {self._projector.last_seq + 1}, which "
                "the history needs next; restore the archived segments of the journal"
            )
        if error.code in ("seq_ahead", "unknown_seq"):
            return _OTHER_JOURNAL.format(last_seq=self._projector.last_seq)
        return f"the engine refused the subscription: {error}"


def _fault(error: Exception) -> HistoryFault:
    if isinstance(error, HistoryFault):
        return error
    fault = HistoryFault(f"a transaction could not be turned into rows: {error!r}")
    fault.__cause__ = error
    return fault
