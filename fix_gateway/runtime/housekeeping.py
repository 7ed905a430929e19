"""What happens by the clock: heartbeats that QuickFIX owes, limits, the state file.

QuickFIX looks at its timers only when no session has sent it anything for a second: one busy
client would silence the heartbeats of all others. So the gateway watches them as well, a
little later than QuickFIX would.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from fix_gateway.runtime.delivery import Delivery
from fix_gateway.session.life import Event, Hold, Phase
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Session, Sessions
from fix_gateway.session.store import NO_REPEATS, GatewayState, boot_id, write_state
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

TURN_S: Final = 0.25
STATE_EVERY_S: Final = 1.0
SYNC_EVERY_S: Final = 60.0
LATE_S: Final = 0.4
LOGOUT_WAIT_S: Final = 2.4
"""How long a client may take to answer our Logout, where QuickFIX does not look."""
STORE_RETRY_S: Final = 1.0
TELL_EVERY_S: Final = 10.0


class Housekeeping:
    """One thread; ``wake`` makes it look now, for instance at a session that nothing holds now."""

    def __init__(
        self, settings: GatewaySettings, sessions: Sessions, delivery: Delivery, sender: Sender
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._delivery = delivery
        self._sender = sender
        self._wake = threading.Event()
        self._stopping = False
        self._gaps: list[tuple[Session, int]] = []
        self._state_at = 0.0
        self._told_at = -TELL_EVERY_S
        self._synced_at = time.monotonic()
        self._written: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="fix-housekeeping", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits up to two seconds for it."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=2.0)

    def wake(self) -> None:
        """Look at once at what waits, such as reports that nothing holds; from any callback."""
        self._wake.set()

    def ask(self, session: Session, up_to: int) -> None:
        """Have the client asked for a gap that ends at this number; from any callback."""
        self._gaps.append((session, up_to))
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(TURN_S)
            self._wake.clear()
            self._guarded(self._delivery.retry)
            while self._gaps:
                gap = self._gaps.pop(0)
                self._guarded(lambda g=gap: self._sender.ask_again(*g))  # type: ignore[misc]
            now = time.monotonic()
            for session in self._sessions:
                self._guarded(lambda s=session, n=now: self._watch(s, n))  # type: ignore[misc]
            self._guarded(lambda n=now: self._keep_state(n))  # type: ignore[misc]

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            # A full disk, most likely: one sentence now and then, and the next turn tries again.
            if time.monotonic() >= self._told_at + TELL_EVERY_S:
                self._told_at = time.monotonic()
                log.error("store_not_written", reason=str(error))
        except Exception:
            log.exception("housekeeping_failed")

    def _watch(self, session: Session, now: float) -> None:
        if Hold.STORE in session.life.holds and now > session.delivery.retry_at:
            session.delivery.retry_at = now + STORE_RETRY_S
            if self._delivery.reopen_store(session):
                session.handle(Event.STORE_REOPENED)
                self._delivery.resume(session)
            elif session.phase is Phase.LIVE:
                session.cut()
        if self._settings.shared:
            self._delivery.keep_numbers(session, now)
        if session.phase is Phase.LIVE:
            self._watch_time(session, now)
            self._watch_bytes(session, now)

    def _watch_time(self, session: Session, now: float) -> None:
        """Send Heartbeat and TestRequest and end it, where QuickFIX's own timers are starved.

        FIX 4.4, volume 2, Heartbeat and Test Request: at HeartBtInt(108) without sending, and at
        that and "some reasonable transmission time" without receiving.
        """
        flow, interval = session.flow, session.heartbeat_s
        if session.logout_sent_at and now - session.logout_sent_at > LOGOUT_WAIT_S:
            session.cut()
            return
        if now - flow.sent_at > interval + LATE_S:
            self._sender.admin(session, "0")
        silent = now - flow.received_at
        if silent > 2.4 * interval + LATE_S:
            log.info("cut", session=session.comp_id, reason="silent")
            session.cut()
        elif silent > 1.2 * interval + LATE_S and not flow.probe:
            self._sender.probe(session)

    def _watch_bytes(self, session: Session, now: float) -> None:
        """Cut a client that reads nothing, or sends much that is no message."""
        flow, settings = session.flow, self._settings
        if Hold.UNREAD in session.life.holds:
            low = flow.outstanding <= settings.outstanding_bytes_max // 2
            if low or self._sender.has_read(session):
                session.handle(Event.READ)
                self._delivery.resume(session)
            elif now - flow.probe_at > min(
                settings.outstanding_timeout_s, 2.4 * session.heartbeat_s
            ):
                log.warning("cut", session=session.comp_id, reason="reads nothing")
                session.cut()
        link = session.link
        if link is None:
            return
        received = link.bytes_received()
        if flow.messages != flow.messages_seen:
            flow.messages_seen = flow.messages
            flow.received_base = received
        elif received - flow.received_base > settings.received_bytes_max:
            log.warning("cut", session=session.comp_id, reason="sends much that is no message")
            session.cut()

    def _keep_state(self, now: float) -> None:
        """Write down how far each session is, so that a restart need not go far back."""
        if now - self._state_at < STATE_EVERY_S:
            return
        self._state_at = now
        if now - self._synced_at >= SYNC_EVERY_S:
            self._synced_at = now
            self.write(clean=False, synced=True)
            return
        delivered = self._delivered()
        if delivered != self._written:
            self._written = delivered
            state = GatewayState(boot_id(), False, False, delivered)
            write_state(self._settings.store, state, durable=False)
            for session in self._sessions:
                self._end_repeats(session)

    @staticmethod
    def _end_repeats(session: Session) -> None:
        """Forget what was to be sent a second time, once all of it is out. Raises OSError."""
        with session.gate:
            if session.delivery.repeats.until and not session.delivery.repeating:
                session.store.set_repeats(NO_REPEATS)
                session.delivery.repeats = NO_REPEATS

    def _delivered(self) -> dict[str, int]:
        return {s.comp_id: self._delivery.in_step_to(s) for s in self._sessions if s.held}

    def write(self, *, clean: bool, synced: bool) -> None:
        """Write the state durably, after the stores where ``synced``. Raises OSError."""
        delivered = self._delivered()
        if synced:
            for session in self._sessions:
                session.store.flush_to_disk()
        state = GatewayState(boot_id(), clean, synced, delivered)
        write_state(self._settings.store, state, durable=True)
        self._written = delivered
