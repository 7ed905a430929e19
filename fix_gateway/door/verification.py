"""Credentials verified one after the other, on a thread of their own, and slowly who failed.

A wrong password and an unknown name must cost the same, so both are verified. Of each address
one Logon at a time is, so that none keeps the others waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from fix_gateway.door.credentials import Failures
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

VERIFICATIONS_WAITING_MAX: Final = 64
"""Addresses whose passwords may wait for the verifying thread at once."""
TOO_MANY: Final = "too many passwords wait to be verified"

At = Callable[[float, Callable[[], None]], None]
"""Has something done at a monotonic time, on the door's thread."""
Call = Callable[[Callable[[], None]], None]
"""Has something done on the door's thread; from any thread."""


class Verifier:
    """Used by the door's thread alone, but for what it has verified."""

    def __init__(self, settings: GatewaySettings, at: At, call: Call) -> None:
        self._at = at
        self._call = call
        self.failures = Failures(
            settings.addresses_remembered_max,
            settings.refusal_delay_s,
            settings.refusal_delay_max_s,
        )
        self._pool = ThreadPoolExecutor(1, "fix-verify")
        self._running = 0
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def stop(self) -> None:
        """Verify nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def failed(self, address: str) -> None:
        """Count credentials of this address that were wrong within a session; from any thread."""
        now = time.monotonic()
        self._call(lambda: self.failures.add(address, now))

    def verify(
        self,
        address: str,
        wanted: Callable[[], bool],
        fault: Callable[[], str],
        done: Callable[[str], None],
    ) -> None:
        """Have ``fault`` find what is wrong, on the verifying thread, and tell ``done``.

        Nothing is done when it comes to it and is not ``wanted`` any more.
        """

        def in_time() -> None:
            when = self.failures.not_before(address, time.monotonic())
            self._at(when, lambda: self._verify(address, wanted, fault, done))

        waiting = self._waiting.get(address)
        if waiting is None:
            self._waiting[address] = deque()
            in_time()
        else:
            waiting.append(in_time)

    def _verify(
        self,
        address: str,
        wanted: Callable[[], bool],
        fault: Callable[[], str],
        done: Callable[[str], None],
    ) -> None:
        if not wanted():
            self._go_on(address)
            return
        if self._running >= VERIFICATIONS_WAITING_MAX:
            done(TOO_MANY)
            self._go_on(address)
            return
        self._running += 1

        def run() -> None:
            try:
                found = fault()
            except Exception as error:
                log.exception("verification_failed")
                found = f"credentials could not be verified: {type(error).__name__}"
            self._call(lambda: verified(found))

        def verified(found: str) -> None:
            self._running -= 1
            done(found)
            self._go_on(address)

        self._pool.submit(run)

    def _go_on(self, address: str) -> None:
        """Go on with the next Logon that waits from this address."""
        waiting = self._waiting[address]
        if waiting:
            waiting.popleft()()
        else:
            del self._waiting[address]
