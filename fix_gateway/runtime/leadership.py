"""Whether the venue has a leader, where several machines are one venue; and telling clients.

While nobody leads, commands are kept as while the engine is away, and their outcome is reported
when somebody does. Clients are told so by News(B) once, and once when the venue goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from engine.client import EngineClient, EngineError, queries
from fix_gateway.codec.responses import news
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Clock, Sessions

log = structlog.get_logger()

LOOK_S: Final = 1.0
NO_LEADER: Final = "The venue has no leader at this moment (no_leader)"
LOGON_TEXT: Final = f"{NO_LEADER}; nothing was done, log on again in a moment"
BACK: Final = "The venue has a leader again"


class Leadership:
    """One thread that asks the engine; ``changed`` is called on it when the answer is another.

    An engine that cannot be asked changes nothing: what the gateway says then is about the engine.
    """

    def __init__(self, client: EngineClient, changed: Callable[[bool], None]) -> None:
        self._client = client
        self._changed = changed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fix-leadership", daemon=True)
        self.missing = False
        """Nobody leads, as far as this machine knows."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell nobody anything from now on."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            try:
                self.look()
            except Exception:
                log.exception("leadership_not_told")

    def look(self) -> None:
        """Ask once."""
        try:
            cluster = self._client.fetch(queries.Cluster()).value
        except EngineError:
            return
        missing = cluster is not None and not cluster.leader
        if missing == self.missing:
            return
        self.missing = missing
        log.warning("no_leader" if missing else "leader_found")
        if not self._ended.is_set():
            self._changed(missing)


def telling(
    sessions: Sessions, sender: Sender, clock: Clock, stale_after_us: int
) -> Callable[[bool], None]:
    """Return what tells who is logged on that the venue has no leader, or has one again."""

    def tell(missing: bool) -> None:
        texts = (NO_LEADER, lines(stale_after_us / 1e6)) if missing else (BACK, ())
        for session in sessions.live():
            sender.send_settled(session, news(*texts, clock()))

    return tell


def lines(stale_after_s: float) -> tuple[str, ...]:
    """Return what is said of the orders that are sent while nobody leads."""
    return (
        "What you send is kept, done or refused when the venue has a leader, and reported then",
        f"A new order or replace that is older than {stale_after_s:g} s by then is refused",
        "Do not send it again under another ClOrdID(11)",
    )
