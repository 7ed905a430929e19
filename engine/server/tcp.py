"""The TCP listener of the engine: takes connections of other members through their handshakes."""

from __future__ import annotations

import errno
import selectors
import socket
from typing import Final

import structlog

from engine.server.tls import (
    Contexts,
    TlsError,
    TlsFiles,
    TlsSocket,
    reason_of,
    scratch,
    split_address,
    tune,
)

BACKLOG: Final = 128
ACCEPTS_PER_POLL: Final = 8
STEPS_PER_POLL: Final = 4
"""A step of a handshake costs up to a millisecond, so a crowd of strangers cannot fill a turn."""
LOG_EVERY_S: Final = 1.0
_PASSING: Final = frozenset(
    {errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.EPROTO, errno.ENETDOWN,
     errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT}
)  # fmt: skip
"""Errors of accept that concern one connection, or pass."""

log = structlog.get_logger("engine.server.tcp")


class TcpListener:
    """Listens at an address and takes connections through their handshakes, without ever waiting.

    It stands in the selector of a server, on whose thread it is used. At most
    ``handshakes_max`` are under way, for at most ``handshake_s`` each: of more, the oldest ends.
    A connection that is up sends something every second; one that does not for ``silence_s`` is
    taken for gone, for TCP itself would wait for minutes. Raises OSError if it cannot listen,
    TlsError if the certificates cannot be used.
    """

    def __init__(
        self,
        address: str,
        files: TlsFiles,
        *,
        handshakes_max: int = 64,
        handshake_s: float = 5.0,
        silence_s: float = 5.0,
        user_timeout_s: float = 30.0,
    ) -> None:
        host, port = split_address(address)
        self._contexts = Contexts(files, server_side=True)
        self._handshakes_max = handshakes_max
        self._handshake_s = handshake_s
        self._silence_s = silence_s
        # Whoever is there and does not read for a while is not gone: see Limits.stall_s.
        self._user_timeout_s = user_timeout_s
        self._buffer = scratch()
        self._handshakes: dict[TlsSocket, float] = {}
        """Those under way and when each began, the oldest first."""
        self._done: list[TlsSocket] = []
        self._up: dict[TlsSocket, tuple[int, float]] = {}
        """What each connection that is up had received, and when that was seen first."""
        self._steps = 0
        self._log_after = 0.0
        self._unlogged = 0
        self.refused = 0
        """Connections that ended before their handshake was done."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._listener.setblocking(False)

    @property
    def port(self) -> int:
        """Return the port, which the system has chosen if it was given as 0."""
        return int(self._listener.getsockname()[1])

    def register(self, selector: selectors.BaseSelector) -> None:
        """Take part in the polls of a server; what belongs to this listener has no data there."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ, None)

    def attend(self, ready: object, now: float) -> None:
        """Take one of its sockets further, which the selector has found ready."""
        if ready is self._listener:
            self._accept(now)
        elif (
            isinstance(ready, TlsSocket)
            and ready in self._handshakes  # It may have made room for another one just now.
            and self._steps < STEPS_PER_POLL
        ):
            self._steps += 1
            self._advance(ready, now)

    def shaken(self, now: float) -> list[TlsSocket]:
        """Return the connections whose handshake is done; end those that take too long.

        They have left the selector, and may have received more than the handshake already.
        """
        self._steps = 0
        while self._handshakes:
            sock, began = next(iter(self._handshakes.items()))
            if now - began <= self._handshake_s:
                break
            self._end(sock, f"no TLS with {sock.where}: its handshake took too long", now)
        done, self._done = self._done, []
        for sock in done:
            self._up[sock] = sock.received, now
        return done

    def silent(self, now: float) -> list[TlsSocket]:
        """Return the connections from which nothing has come for too long."""
        found = []
        for sock, (received, since) in [*self._up.items()]:
            if sock.fileno() < 0:
                del self._up[sock]  # The server has closed it.
            elif sock.received != received:
                self._up[sock] = sock.received, now
            elif now - since > self._silence_s:
                if sock.has_unread():  # The server was held up, or has enough to do.
                    self._up[sock] = received, now
                else:
                    found.append(sock)
                    log.warning("member_silent", peer=sock.peer, where=sock.where)
        return found

    def close(self) -> None:
        """Close the listener and what is in a handshake."""
        for sock in [*self._handshakes]:
            self._selector.unregister(sock)
            sock.close()
        self._handshakes.clear()
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self, now: float) -> None:
        for _ in range(ACCEPTS_PER_POLL):
            try:
                plain, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _PASSING:
                    return  # The client left, or must wait for a free descriptor.
                raise
            host, number = address[:2]
            where = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
            try:
                tune(plain, self._user_timeout_s)
            except OSError:
                plain.close()  # It left already.
                continue
            if len(self._handshakes) >= self._handshakes_max:
                oldest = next(iter(self._handshakes))
                self._end(oldest, f"no TLS with {oldest.where}: too many handshakes", now)
            context = self._contexts.current()
            sock = TlsSocket(plain, context, self._buffer, where, server_side=True)
            self._handshakes[sock] = now
            self._selector.register(sock, selectors.EVENT_READ, None)

    def _advance(self, sock: TlsSocket, now: float) -> None:
        try:
            done = sock.handshake()
        except OSError as error:
            text = (
                str(error) if isinstance(error, TlsError) else f"{sock.where}: {reason_of(error)}"
            )
            self._end(sock, text, now)
            return
        if done:
            del self._handshakes[sock]
            self._selector.unregister(sock)
            self._done.append(sock)
        else:
            wanted = selectors.EVENT_WRITE if sock.waits_to_send else selectors.EVENT_READ
            self._selector.modify(sock, wanted, None)

    def _end(self, sock: TlsSocket, reason: str, now: float) -> None:
        del self._handshakes[sock]
        self._selector.unregister(sock)
        sock.close()
        self.refused += 1
        # Anybody can connect, and must not be able to fill the log.
        if now < self._log_after:
            self._unlogged += 1
            return
        log.warning("connection_refused", reason=reason, more=self._unlogged)
        self._log_after = now + LOG_EVERY_S
        self._unlogged = 0
