"""Where the door's clients arrive: taken over for QuickFIX, and watched until they have gone.

Each client comes by a Unix socket with its own socket (``session.passing``), is taken on one of a
few threads, which may wait for the session's last connection to end, and from then on is watched
by one thread: for the end of its connection, for a Logon that QuickFIX does not answer, and by the
clock (heartbeats, silence, Logouts that are not answered, bytes that are no message).
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import structlog

from fix_gateway.door.agenda import Agenda
from fix_gateway.market_data.session import MarketConnection, MarketSession
from fix_gateway.session import passing
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.passing import PassedAnswer, PassedLogon, PassingError
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

TAKING_THREADS: Final = 4
PEER_S: Final = 5.0
"""How long the gateway may take to say whom it passes on."""
TURN_S: Final = 0.25
LATE_S: Final = 0.4
LOGOUT_WAIT_S: Final = 2.4
"""How long a client may take to answer our Logout."""
Take = Callable[[PassedLogon, socket.socket], tuple[PassedAnswer, MarketConnection | None]]
"""Makes QuickFIX ready for a client; the answer says whether that is so."""


class Reception:
    """Listens at ``path``; ``take`` runs on its threads, ``release`` lets QuickFIX read on."""

    def __init__(
        self,
        path: Path,
        settings: GatewaySettings,
        sessions: Iterable[MarketSession],
        take: Take,
        release: Callable[[MarketConnection], None],
    ) -> None:
        self._path = path
        self._settings = settings
        self._sessions = list(sessions)
        self._take = take
        self._release = release
        self._listener = passing.listen(path)
        self._listener.setblocking(False)
        self._hands = ThreadPoolExecutor(TAKING_THREADS, "market-data-take")
        self._links: dict[int, MarketConnection] = {}
        self._agenda = Agenda()
        self.call = self._agenda.call
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._agenda, select.EPOLLIN)
        self._stopping = False
        self._looked_at = 0.0
        self._thread = threading.Thread(target=self._run, name="market-data-door", daemon=True)
        self.taken = 0
        """Logons taken since the start."""

    def start(self) -> None:
        """Begin to take clients."""
        self._thread.start()

    def close(self) -> None:
        """Take nobody else; connections that are logged on are watched no more."""
        self._path.unlink(missing_ok=True)
        self._stopping = True
        self.call(lambda: None)
        self._thread.join(timeout=2.0)
        self._listener.close()
        self._hands.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                log.exception("reception_failed")

    def _turn(self) -> None:
        for number, event in self._epoll.poll(TURN_S, maxevents=256):
            if number == self._listener.fileno():
                self._accept()
            elif number in self._links and event & (select.EPOLLHUP | select.EPOLLERR):
                self._link_ended(number)
        self._agenda.run()
        now = time.monotonic()
        if now - self._looked_at >= TURN_S:
            self._looked_at = now
            for session in self._sessions:
                self._watch(session, now)

    # Taking a client.

    def _accept(self) -> None:
        try:
            gateway, _ = self._listener.accept()
        except OSError:
            return  # It has gone, or no descriptor is left; it is tried again.
        self._hands.submit(self._receive, gateway)

    def _receive(self, gateway: socket.socket) -> None:
        """Receive one client, take it, and say so; it is let in only once that was said."""
        client: socket.socket | None = None
        connection: MarketConnection | None = None
        try:
            with gateway:
                gateway.settimeout(PEER_S)
                passed, client = passing.receive(gateway, PassedLogon)
                said, connection = self._take(passed, client)
                passing.answer(gateway, said)
            if connection is not None:
                self._release(connection)
                self.taken += 1
        except (PassingError, OSError) as error:
            log.warning("client_not_taken", reason=str(error))
            self._give_back(connection)
        except Exception:
            log.exception("client_not_taken")
            self._give_back(connection)
        finally:
            if connection is not None:
                taken = connection
                self.call(lambda: self._watch_link(taken))
            elif client is not None:
                client.close()

    @staticmethod
    def _give_back(connection: MarketConnection | None) -> None:
        """Free the session of a client that could not be let in after all."""
        if connection is None:
            return
        session = connection.session
        connection.link.cut()
        if session.life.phase is Phase.CLAIMED:
            session.handle(Event.GIVE_BACK, connection)
        else:
            session.handle(Event.DISCONNECTED, connection)

    def _watch_link(self, connection: MarketConnection) -> None:
        number = connection.link.socket.fileno()
        if number < 0:
            return
        self._links[number] = connection
        self._epoll.register(number, 0)

    def _link_ended(self, number: int) -> None:
        """Take in that a connection is closed on both sides."""
        connection = self._links.pop(number)
        self._epoll.unregister(number)
        connection.link.socket.close()
        connection.link.ended.set()
        session = connection.session
        if session.connection is connection and session.life.phase is Phase.ENTERING:
            if session.undecided:
                return  # QuickFIX tells of the end as soon as it has read the Logon.
            log.warning("refused", session=session.comp_id, reason="the connection has ended")
            session.handle(Event.DISCONNECTED, connection)

    # By the clock.

    def _watch(self, session: MarketSession, now: float) -> None:
        connection = session.connection
        if connection is None:
            return
        if session.life.phase is Phase.ENTERING:
            late = now - connection.sent_at > self._settings.logon_timeout_s
            if late and not session.undecided:
                log.warning("refused", session=session.comp_id, reason="Logon was not answered")
                connection.link.cut()
        elif session.live:
            self._watch_live(session, connection, now)

    def _watch_live(
        self, session: MarketSession, connection: MarketConnection, now: float
    ) -> None:
        """Do what QuickFIX's own timers owe, which rest while any session sends it something."""
        interval = session.heartbeat_s
        if connection.ending_at:
            if now - connection.ending_at > LOGOUT_WAIT_S:
                connection.link.cut()
            return
        if now - connection.sent_at > interval + LATE_S:
            connection.admin("0")
        silent = now - connection.received_at
        if silent > 2.4 * interval + LATE_S:
            connection.reason = "silent"
            connection.link.cut()
        elif silent > 1.2 * interval + LATE_S and not connection.asked:
            connection.asked = f"TANDEM-{int(now)}"
            connection.admin(f"1\x01112={connection.asked}")
        received = connection.link.bytes_received()
        if connection.messages != connection.messages_seen:
            connection.messages_seen = connection.messages
            connection.received_base = received
        elif received - connection.received_base > self._settings.received_bytes_max:
            connection.reason = "sends much that is no message"
            connection.link.cut()
