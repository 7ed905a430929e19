"""The public port. Nothing reaches QuickFIX before its Logon has passed here.

One thread watches every connection that has not logged on, without ever waiting for one of
them: a peer that drips bytes costs a timer. The first message is looked at where it lies in
the kernel (MSG_PEEK), so that QuickFIX finds it unread. Passwords are verified on a thread
of their own and hand-overs run on a few more. Every refusal of a stranger is the same: after a
fixed delay the connection is closed without a byte; the reason is in our log alone, but on a
test-net (``door.explanations``). Whose credentials are right is told by a Logout what is wrong.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from fix_gateway.door import logon as logons
from fix_gateway.door import logon_fields, proxy_protocol
from fix_gateway.door.agenda import Agenda
from fix_gateway.door.credentials import Credentials
from fix_gateway.door.explanations import Explanations
from fix_gateway.door.gateways import Decision, Gateways
from fix_gateway.door.logon import Logon, LogonError
from fix_gateway.door.logon_signature import SignedLogons
from fix_gateway.door.passage import Outcome, Passage, PassedSession
from fix_gateway.door.pending_connection import PendingConnection
from fix_gateway.door.refusals import FAREWELL_S, Enter, Farewell, Refusals, Served, TurnedAway
from fix_gateway.door.second_logon import SecondLogons
from fix_gateway.door.verification import Verifier
from fix_gateway.door.waiting_room import WaitingRoom
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.session import LEAVING_S, Clock, Link, Session, Sessions
from fix_gateway.settings import GatewaySettings

log = structlog.get_logger()

ACCEPTS_PER_TURN: Final = 64
BACKLOG: Final = 256
ACCEPT_PAUSE_S: Final = 0.5
HAND_OVER_THREADS: Final = 4
DRAIN_BYTES: Final = 1 << 16
PEEK_BYTES_EXTRA: Final = proxy_protocol.V2_BYTES_MAX


class FrontDoor:
    """Owns the public port; ``enter`` and ``farewell`` run on the door's own pool of threads.

    ``listener`` is bound to the port and does not listen yet; None in a gateway to which another
    one's door passes its clients on (``admit``). Counts of connections are by address as the
    allow-lists see it. ``clock`` is the wall clock for SendingTime. ``gateways``: where there are
    several.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        sessions: Sessions,
        enter: Enter,
        farewell: Farewell,
        clock: Clock,
        listener: socket.socket | None,
        passage: Passage,
        gateways: Gateways | None = None,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._passage = passage
        self._gateways = gateways
        self._grammar = logon_fields.read(settings.dictionary)
        self._enter = enter
        self._clock = clock
        self._agenda = Agenda()
        self._at, self._call = self._agenda.at, self._agenda.call
        self._credentials = Credentials(SignedLogons(settings.signed_logons))
        self._verifier = Verifier(settings, self._at, self._call)
        self.within = SecondLogons(
            settings, self._grammar, self._credentials, self._verifier, clock
        )
        self._hands = ThreadPoolExecutor(HAND_OVER_THREADS, "fix-hand-over")
        self._pending: dict[int, PendingConnection] = {}
        self._links: dict[int, tuple[Session, Link]] = {}
        self._room: WaitingRoom[PendingConnection] = WaitingRoom(
            settings.connections_max, settings.address_connections_max
        )
        self._stopping = False
        self.admitted = 0
        """Logons let in since the start."""
        self._refusals = Refusals(
            settings, Explanations(settings, clock, farewell), self._verifier.failures,
            self._agenda, self._hands, self,
        )  # fmt: skip
        self._listener = listener
        self._epoll = select.epoll()
        if listener is not None:
            listener.listen(BACKLOG)
            listener.setblocking(False)
            self._epoll.register(listener, select.EPOLLIN)
        self._epoll.register(self._agenda, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="fix-front-door", daemon=True)

    @property
    def refused(self) -> int:
        """Connections turned away since the start."""
        return self._refusals.count

    @property
    def address(self) -> tuple[str, int]:
        """Where the door listens; raises RuntimeError where it has no port."""
        if self._listener is None:
            raise RuntimeError("this gateway has no port of its own")
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Begin to let clients in."""
        self._thread.start()

    def stop(self) -> None:
        """Let nobody else in; connections that are logged on stay."""
        self._stopping = True
        self._call(lambda: None)
        self._thread.join(timeout=2.0)
        self._verifier.stop()
        self._hands.shutdown(wait=False, cancel_futures=True)
        self._passage.stop()
        if self._gateways is not None:
            self._gateways.stop()

    # The loop.

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                log.exception("front_door_error")
        if self._listener is not None:
            self._listener.close()
        for pending in list(self._pending.values()):
            self.close(pending)

    def _turn(self) -> None:
        """Wait for something to happen and do it."""
        for number, event in self._epoll.poll(self._agenda.timeout(), maxevents=256):
            if self._listener is not None and number == self._listener.fileno():
                self._accept(self._listener)
            elif number in self._pending:
                self._look(self._pending[number])
            elif number in self._links and event & (select.EPOLLHUP | select.EPOLLERR):
                self._link_ended(number)
        self._agenda.run()

    # From accept to a whole first message.

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                client, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # No descriptor is left, say. The connection keeps waiting, and so do we.
                log.error("accept_failed", error=str(error))
                self._epoll.modify(listener, 0)
                again = time.monotonic() + ACCEPT_PAUSE_S
                self._at(again, lambda: self._epoll.modify(listener, select.EPOLLIN))
                return
            self._admit(client, str(peer[0]))

    def _admit(self, client: socket.socket, address: str) -> None:
        """Take a connection in; where there are too many, another one makes room for it."""
        settings = self._settings
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        deadline = time.monotonic() + settings.logon_timeout_s
        proxied = address in settings.proxies
        pending = PendingConnection(client, address, proxied, deadline)
        self._pending[client.fileno()] = pending
        self._make_room(self._room.enter(pending, "" if proxied else address))
        self._epoll.register(client, select.EPOLLIN | select.EPOLLRDHUP)
        self._at(deadline, lambda: self._expire(pending))

    def _make_room(self, goes: PendingConnection | None) -> None:
        if goes is not None:
            self._refusals.count += 1
            log.warning("refused", address=goes.address, reason="a newer connection took its place")
            self.close(goes)

    def is_here(self, pending: PendingConnection) -> bool:
        """Return True if a connection was not closed meanwhile."""
        return self._pending.get(pending.socket.fileno()) is pending

    def _expire(self, pending: PendingConnection) -> None:
        if pending.deadline and self.is_here(pending):
            self._refusals.count += 1
            log.info("refused", address=pending.address, reason="no Logon in time")
            self.close(pending)

    def _look(self, pending: PendingConnection) -> None:
        """Look at what has arrived, without taking it."""
        limit = self._settings.logon_bytes_max + PEEK_BYTES_EXTRA
        try:
            data = pending.socket.recv(limit, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.close(pending)
            return
        if not data or (len(data) == pending.seen and len(data) < limit):
            self.close(pending)  # The peer has ended its side without a whole Logon.
            return
        try:
            if pending.direct and self._settings.proxy_protocol:
                raise proxy_protocol.ProxyError("the connection does not come from a proxy")
            if pending.proxied and not self._take_proxy_header(pending, data):
                return
            if pending.proxied:
                pending.proxied = False
                self._look_again(pending)
                return
            message = logons.framed(data, self._settings.logon_bytes_max)
            if message is None:
                self._await_more(pending, len(data))
                return
            logon = logons.parse(message)
        except (LogonError, proxy_protocol.ProxyError) as error:
            self._refusals.refuse(pending, "", str(error))
            return
        self.stop_watching(pending)
        self._room.move(pending, pending.address)  # Who has said something goes last.
        self._check(pending, logon)

    def _await_more(self, pending: PendingConnection, seen: int) -> None:
        """Have the kernel wake us only when there is more than what was seen already."""
        pending.seen = seen
        pending.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen + 1)

    def _look_again(self, pending: PendingConnection) -> None:
        pending.seen = 0
        pending.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._look(pending)

    def _take_proxy_header(self, pending: PendingConnection, data: bytes) -> bool:
        """Take the PROXY header off the stream; False while it is not whole."""
        header = proxy_protocol.read(data)
        if header is None:
            self._await_more(pending, len(data))
            return False
        pending.socket.recv(header.length)
        pending.address = header.address or pending.address
        pending.certificate = header.certificate
        self._make_room(self._room.move(pending, pending.address))
        return True

    def stop_watching(self, pending: PendingConnection) -> None:
        """Let a connection that has said enough rest; it has no deadline any more."""
        pending.deadline = 0.0
        self._epoll.unregister(pending.socket)
        pending.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    # From a Logon to a hand-over or a refusal.

    def _check(self, pending: PendingConnection, logon: Logon) -> None:
        session = self._session(logon.comp_id)
        reason = logons.stranger(
            logon, session, pending.address, self._settings, self._clock(), pending.certificate
        )
        settings = session.settings if session is not None else None
        if not reason and session is not None and settings is not None:
            if not settings.public_key and self._credentials.known(
                logon.comp_id, settings.password_hash, logon.username, logon.password
            ):
                self._authenticated(pending, session, logon)
                return

        def fault() -> str:
            return self._credentials.fault(settings, logon, not reason)

        def done(found: str) -> None:
            why = reason or found
            if why or session is None:
                self._refusals.refuse(pending, logon.comp_id, why, stranger=(session, logon))
            else:
                self._authenticated(pending, session, logon)

        self._verifier.verify(pending.address, lambda: self.is_here(pending), fault, done)

    def _session(self, comp_id: str) -> Served | None:
        return self._passage.sessions.get(comp_id) or self._sessions.by_comp_id.get(comp_id)

    def _authenticated(self, pending: PendingConnection, session: Served, logon: Logon) -> None:
        """Bring a client with right credentials to where its session is served."""
        if not self.is_here(pending):
            return
        self._room.leave(pending)
        self._verifier.failures.clear(pending.address)
        if isinstance(session, PassedSession):
            self._pass_on(pending, session, Link(pending.socket, pending.address), logon)
        elif self._gateways is not None:
            self._gateways.decide(
                session, pending.socket, pending.address, self._call,
                lambda decision: self._decided(pending, session, logon, decision),
            )  # fmt: skip
        else:
            self._let_in(pending, session, logon)

    def _decided(
        self, pending: PendingConnection, session: Session, logon: Logon, decision: Decision
    ) -> None:
        """Let a client in here, or leave it to the gateway that has it now."""
        if decision.here:
            self._let_in(pending, session, logon)
        elif decision.passed:
            del self._pending[pending.socket.fileno()]
            pending.socket.close()
        else:
            if decision.in_doubt:
                Link(pending.socket, pending.address).cut()
            self._refusals.refuse(pending, session.comp_id, decision.why, failed=False)

    def admit(self, client: socket.socket, address: str, session: Session, logon: Logon) -> None:
        """Let in whom the door of another gateway has judged; from any thread."""

        def let_in() -> None:
            pending = PendingConnection(client, address, False, 0.0)
            self._pending[client.fileno()] = pending
            self._let_in(pending, session, logon)

        self._call(let_in)

    def _let_in(
        self, pending: PendingConnection, session: Session, logon: Logon, *, again: bool = False
    ) -> None:
        """Hand a judged client over on another thread, or say what is wrong."""
        if not self.is_here(pending):
            return
        link = Link(pending.socket, pending.address)
        previous = session.link
        if previous is not None and not previous.peer_has_left:
            if not again:
                # The end of a client's last connection may arrive after its next Logon.
                self._at(
                    time.monotonic() + LEAVING_S,
                    lambda: self._let_in(pending, session, logon, again=True),
                )
                return
            self._refusals.refuse(
                pending, logon.comp_id, "session is logged on already", failed=False
            )
            return
        fault = logons.fault(logon, self._grammar, self._settings, self._clock())
        if fault:
            self._refusals.turn_away(pending, session, link, fault)
            return
        wishes = logons.read(logon)

        def hand_over() -> None:
            try:
                reason = self._enter(session, logon, wishes, link)
            except TurnedAway as turned_away:
                text = str(turned_away)
                self._call(lambda: self._refusals.turn_away(pending, session, link, text))
                return
            except Exception as error:
                log.exception("hand_over_failed", session=session.comp_id)
                reason = f"hand-over failed: {type(error).__name__}"
            self._call(lambda: entered(reason))

        def entered(reason: str) -> None:
            if reason:
                self._refusals.refuse(pending, logon.comp_id, reason, failed=False)
                return
            self.admitted += 1
            number = pending.socket.fileno()
            del self._pending[number]
            self._links[number] = (session, link)
            self._epoll.register(number, 0)
            self._at(
                time.monotonic() + self._settings.logon_timeout_s,
                lambda: self._give_up(session, link),
            )

        self._hands.submit(hand_over)

    def _pass_on(
        self, pending: PendingConnection, session: PassedSession, link: Link, logon: Logon
    ) -> None:
        """Pass a client on to the process that serves its session, or say what is wrong."""
        def decided(outcome: Outcome) -> None:
            if outcome.passed:
                self.admitted += 1
                del self._pending[pending.socket.fileno()]
                pending.socket.close()
            elif outcome.tell:
                self._refusals.turn_away(pending, session, link, outcome.why)
                if outcome.in_doubt:
                    self._at(time.monotonic() + FAREWELL_S, link.cut)
            else:
                self._refusals.refuse(pending, session.comp_id, outcome.why, failed=False)

        fault = logons.fault(logon, self._grammar, self._settings, self._clock())
        self._passage.decide(logon, fault, pending.socket, pending.address, self._call, decided)

    def _give_up(self, session: Session, link: Link) -> None:
        """Cut a client whose Logon QuickFIX has not answered, for instance for an unknown tag."""
        if session.link is not link or session.phase is not Phase.ENTERING:
            return
        if session.undecided:
            # It is not refused but slow. Who came next would be taken for this one.
            self._at(
                time.monotonic() + self._settings.logon_timeout_s,
                lambda: self._give_up(session, link),
            )
            return
        log.warning("refused", session=session.comp_id, reason="Logon was not answered")
        link.cut()
        if link.ended.is_set():
            session.handle(Event.DISCONNECTED, link)

    def _link_ended(self, number: int) -> None:
        """Take in that a connection that QuickFIX had is closed on both sides."""
        session, link = self._links.pop(number)
        self._epoll.unregister(number)
        link.socket.close()
        link.ended.set()
        if session.phase is Phase.ENTERING and session.link is link and not session.undecided:
            why = session.logout_text or "the connection has ended"
            log.warning("refused", address=link.address, comp_id=session.comp_id, reason=why)
            session.handle(Event.DISCONNECTED, link)

    def close(self, pending: PendingConnection) -> None:
        """Close a connection; what it sent is taken first, so that it sees a plain end."""
        number = pending.socket.fileno()
        if not self.is_here(pending):
            return
        del self._pending[number]
        self._room.leave(pending)
        try:
            pending.socket.recv(DRAIN_BYTES)
        except OSError:
            pass  # Nothing was sent, or the peer is gone.
        pending.socket.close()
