"""A relay that makes a good venue a bad one: it changes what the venue says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from certification.fix.wire import Framer, Message, changed

Mangle = Callable[[Message], bytes | None]
"""What goes on instead of a message of the venue; None loses it."""


@asynccontextmanager
async def mangled(port: int, mangle: Mangle) -> AsyncIterator[int]:
    """A port in front of ``port``."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bad: bool) -> None:
        framer = Framer()
        try:
            while data := await reader.read(65536):
                for frame in framer.feed(data):
                    raw = mangle(Message(frame.raw)) if bad and frame.good else frame.raw
                    if raw is not None:
                        writer.write(raw)
        except ConnectionError:
            pass  # Either side may cut.
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        venue_reader, venue_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            pump(reader, venue_writer, False), pump(venue_reader, writer, True)
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def of_type(msg_type: str, **values: str | None) -> Mangle:
    """Change fields (``_434=None``) in every message of a type."""
    wanted = {int(tag.strip("_")): value for tag, value in values.items()}

    def mangle(message: Message) -> bytes | None:
        here = {tag: value for tag, value in wanted.items() if tag in message}
        return changed(message, here) if message.type == msg_type and here else message.raw

    return mangle
