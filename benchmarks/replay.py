"""What a gateway sends to the engine, recorded; and a lean client that sends it again.

``Recorder`` stands between the two and copies bytes. As a program this sends the commands of a
recording to another engine and counts the transactions that come back, as the gateway does by its
subscription; it decodes and makes nothing, so that the engine is what limits it.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from engine.core.commands import COMMAND_KINDS, NewOrder
from engine.wire import HEADER, PROTOCOL_VERSION, ClientFrame, Hello, Submit, Subscribe

PIECE: Final = 1 << 18
CHUNK: Final = 128
"""Commands in one piece, as the gateway has when it is busy."""
PUBLISHED: Final = 15
STALLED_S: Final = 60.0


class Recorder:
    """Listens at ``path`` for a gateway, and keeps what each of its connections sends."""

    def __init__(self, path: Path, engine: Path) -> None:
        self._engine = engine
        self._streams: list[bytearray] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # It was closed.
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(str(self._engine))
            stream = bytearray()
            self._streams.append(stream)
            for source, target, kept in ((client, engine, stream), (engine, client, None)):
                threading.Thread(target=_copy, args=(source, target, kept), daemon=True).start()

    def commands(self) -> list[bytes]:
        """Stop, and return the frames of the commands that were sent, in order."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        decoder = msgspec.msgpack.Decoder(ClientFrame)
        found = []
        for stream in self._streams:
            for frame in frames(bytes(stream)):
                if isinstance(decoder.decode(frame[HEADER.size :]), Submit):
                    found.append(frame)
        return found


def _copy(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    """Copy one direction of a connection until either side ends it."""
    try:
        while data := source.recv(PIECE):
            if kept is not None:
                kept += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()  # The other side has gone.


def frames(stream: bytes) -> list[bytes]:
    """Return the whole frames of a stream, each with its length before it."""
    found, at = [], 0
    while at + HEADER.size <= len(stream):
        end = at + HEADER.size + HEADER.unpack_from(stream, at)[0]
        if end > len(stream):
            break
        found.append(stream[at:end])
        at = end
    return found


def framed(frame: msgspec.Struct) -> bytes:
    """Return a frame as bytes."""
    body = msgspec.msgpack.encode(frame)
    return HEADER.pack(len(body)) + body


class Counter:
    """The transactions that have come on a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.count = 0
        self._rest = b""

    def receive(self) -> None:
        """Count those that are there. Raises ConnectionError at the end."""
        data = self.connection.recv(PIECE)
        if not data:
            raise ConnectionError(f"the engine closed the connection after {self.count}")
        data = self._rest + data
        at, size = 0, len(data)
        while at + HEADER.size < size:
            end = at + HEADER.size + HEADER.unpack_from(data, at)[0]
            if end > size:
                break
            self.count += data[at + HEADER.size + 1] == PUBLISHED
            at = end
        self._rest = data[at:]


def follower(path: str) -> Counter:
    """Return a connection that follows the engine from now on."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    connection.sendall(framed(Hello(PROTOCOL_VERSION, "replay")))
    welcome = b""
    while not (found := frames(welcome)):
        welcome += connection.recv(PIECE)
    seq = msgspec.msgpack.decode(found[0][HEADER.size :])[3]
    connection.sendall(framed(Subscribe(1, seq + 1)))
    return Counter(connection)


def first_order(commands: list[bytes]) -> int:
    """Return where the first order is among the frames of commands."""
    decoder = msgspec.msgpack.Decoder(Submit)
    kind = COMMAND_KINDS[NewOrder]
    return next(
        index for index, frame in enumerate(commands)
        if decoder.decode(frame[HEADER.size :]).kind == kind
    )


def replay(
    sender: Counter, others: list[Counter], commands: list[bytes], window: int
) -> float:
    """Send commands, at most ``window`` of them unanswered; return seconds until all are."""
    goal = sender.count + len(commands)
    base, sent = sender.count, 0
    with selectors.DefaultSelector() as selector:
        for one in (sender, *others):
            selector.register(one.connection, selectors.EVENT_READ, one)
        began = time.perf_counter()
        while sender.count < goal:
            room = min(window - (sent - (sender.count - base)), len(commands) - sent)
            if room >= min(CHUNK, len(commands) - sent) and room > 0:
                room = min(room, CHUNK)
                sender.connection.sendall(b"".join(commands[sent : sent + room]))
                sent += room
            ready = selector.select(STALLED_S if sent - (sender.count - base) else 0)
            if not ready:
                raise TimeoutError(f"{sender.count - base} of {sent} commands were answered")
            for key, _ in ready:
                key.data.receive()
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--recording", type=Path, required=True)
    parser.add_argument("--window", type=int, default=1_000)
    parser.add_argument("--followers", type=int, default=1, help="with the one that sends")
    options = parser.parse_args()
    commands = frames(options.recording.read_bytes())
    first = first_order(commands)
    sender = follower(options.socket)
    others = [follower(options.socket) for _ in range(options.followers - 1)]
    replay(sender, others, commands[:first], options.window)
    seconds = replay(sender, others, commands[first:], options.window)
    print(json.dumps({"rate": (len(commands) - first) / seconds}))


if __name__ == "__main__":
    main()
