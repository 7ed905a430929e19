"""A TCP proxy that loses connections, requests or answers, or keeps them, when it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.support import pace

GONE_S = 5.0


class CuttingProxy:
    """Passes bytes between clients and ``target``; a context that ends it."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._losing = {True: 0, False: 0}
        self._passing = threading.Event()
        self._passing.set()
        self.connections = 0
        self.answers = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listening.getsockname()[1]
        return port

    def cut(self) -> None:
        """End every connection at once."""
        with self._lock:
            ended, self._open = self._open, []
        for one in ended:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def lose_answers(self, count: int) -> None:
        """End the connections of the next answers instead of passing them on."""
        with self._lock:
            self._losing[True] = count

    def lose_requests(self, count: int) -> None:
        """End the connections of the next requests instead of passing them on."""
        with self._lock:
            self._losing[False] = count

    def hold(self) -> None:
        """Keep what comes; the other side hears nothing, and is not told of an end."""
        self._passing.clear()

    def release(self) -> None:
        """Pass on what was kept, also of clients that have gone since."""
        self._passing.set()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.release()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                venue = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self.connections += 1
                self._open += client, venue
            answered = threading.Event()
            answered.set()
            for one, other, answers in ((client, venue, False), (venue, client, True)):
                arguments = one, other, answers, answered
                threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(
        self, one: socket.socket, other: socket.socket, answers: bool, answered: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                if self._loses(answers):
                    break
                if answers:
                    with self._lock:
                        self.answers += 1
                    answered.set()
                else:
                    answered.clear()
                self._passing.wait()
                other.sendall(data)
            else:
                # Whose client has gone is served all the same, as by a network that was slow.
                answered.wait(pace.seconds(GONE_S))
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _loses(self, answers: bool) -> bool:
        with self._lock:
            if not self._losing[answers]:
                return False
            self._losing[answers] -= 1
            return True
