"""Follows the engine for a market data service, through the engine's restarts.

One thread reads the market and subscribes, waits until the engine is lost, and begins again:
subscriptions of sessions end with the engine, so a market that is read anew is all that they need.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from engine.client import EngineClient, EngineError, EngineRefused, GapTooOld, Transaction
from fix_gateway.market_data.seeding import OpenHistory, Past, Seed, read_history, read_market

log = structlog.get_logger()

RETRY_S: Final = 0.25
HISTORY_RETRY_S: Final = 1.0
Connect = Callable[[Callable[[EngineError], None]], EngineClient]
"""Makes a client of the engine which calls this when it has lost it."""


class Followed(Protocol):
    """What follows the market: a ``MarketDataService``."""

    def expect(self) -> None:
        """Take in that a market is being read, so that requests wait for it."""
    def begin(self, seed: Seed) -> None:
        """Take a market to go on from."""
    def learn(self, past: Past) -> None:
        """Take in what the history says of days that are not known yet."""
    @property
    def days_known(self) -> bool:
        """True if every day is known."""
    def take(self, batch: list[Transaction]) -> None:
        """Take transactions in."""
    def lose(self) -> None:
        """Take in that there is no market."""


class MarketFollower:
    """Gives a service its market. ``on_failed``: the engine refuses to be followed."""

    def __init__(
        self,
        service: Followed,
        connect: Connect,
        open_history: OpenHistory,
        day_roll_us: int,
        trades_max: int,
        on_failed: Callable[[], None],
    ) -> None:
        self._service = service
        self._connect = connect
        self._open_history = open_history
        self._day_roll_us = day_roll_us
        self._trades_max = trades_max
        self._on_failed = on_failed
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="market-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more; waits for the thread, which may be reading the market."""
        self._stopping.set()
        self._lost.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def _run(self) -> None:
        told = False
        while not self._stopping.is_set():
            self._lost.clear()
            if self._stopping.is_set():
                return
            client = self._connect(self._on_lost)
            try:
                client.connect()
                self._service.expect()
                seed = read_market(
                    client, self._open_history, self._day_roll_us, self._trades_max
                )
                self._service.begin(seed)
                client.subscribe(seed.first_seq, self._service.take)
                log.info("following", from_seq=seed.first_seq, whole_at=seed.whole_at)
                told = False
                if not seed.days_known:
                    self._learn_days(seed)
                self._lost.wait()
            except GapTooOld as error:
                log.warning("following_anew", reason=str(error))
            except EngineRefused as error:
                log.critical("engine_refuses", reason=str(error))
                self._on_failed()
                return
            except EngineError as error:
                if not told:
                    log.info("waiting_for_engine", reason=str(error))
                told = True
            except Exception:
                log.exception("following_failed")
            finally:
                self._service.lose()
                client.close()
            self._stopping.wait(RETRY_S)

    def _learn_days(self, seed: Seed) -> None:
        """Read the history again until the days are known, or the engine is lost.

        The history may start later than we do, or lack what the engine has.
        """
        while not self._lost.wait(HISTORY_RETRY_S) and not self._service.days_known:
            past = read_history(
                self._open_history, seed.instruments, self._day_roll_us, self._trades_max
            )
            if past is not None:
                self._service.learn(past)

    def _on_lost(self, error: EngineError) -> None:
        """Take in a loss, on the client's own thread, which must not wait."""
        if not self._stopping.is_set():
            log.warning("engine_lost", reason=str(error))
        self._service.lose()
        if isinstance(error, EngineRefused) and not isinstance(error, GapTooOld):
            self._on_failed()
        self._lost.set()
