"""fixcore, a FIX engine of another make, as the engine under test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from fixcore import Application
from fixcore.message import Group
from fixcore.message import Message as CoreMessage
from fixcore.session.session import Session
from fixcore.session.session_id import SessionID
from fixcore.session.session_settings import SessionSettings
from fixcore.store import FileStoreFactory
from fixcore.transport import SocketInitiator

from certification.fix.wire import Message
from tests.support import pace

DICTIONARY = Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"
GROUPS = {73: 11, 20010: 20011}
"""First tag of an entry, by the tag that counts them."""


class FixcoreEngine(Application):  # type: ignore[misc]
    """One session of fixcore."""

    def __init__(
        self, port: int, comp_id: str, username: str, password: str,
        told: Callable[[Message], None], *, heartbeat_s: int, folder: Path,
    ) -> None:  # fmt: skip
        self.username, self.password = username, password
        self.told = told
        self.online = asyncio.Event()
        self.offline = asyncio.Event()
        self.id = SessionID("FIX.4.4", comp_id, "TANDEM")
        settings = SessionSettings()
        settings.set_session(self.id, {
            "ConnectionType": "initiator", "SocketConnectHost": "127.0.0.1",
            "SocketConnectPort": str(port), "HeartBtInt": str(heartbeat_s),
            "ReconnectInterval": "1", "UseDataDictionary": "Y",
            "DataDictionary": str(DICTIONARY),
        })  # fmt: skip
        self.initiator = SocketInitiator(settings, self, FileStoreFactory(folder / comp_id))
        self.tasks: set[asyncio.Task[None]] = set()
        self.outgoing: asyncio.Queue[CoreMessage] = asyncio.Queue()

    @property
    def session(self) -> Session:
        return self.initiator.sessions[self.id]

    async def start(self) -> None:
        self.session._reset_on_logon = True
        await self.initiator.start()
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))
        self.session._reset_on_logon = False
        self.tasks.add(asyncio.create_task(self._send_all()))

    async def stop(self) -> None:
        await self.initiator.logout()
        await asyncio.wait_for(self.offline.wait(), pace.seconds(10))
        await self.initiator.stop()
        for task in self.tasks:
            task.cancel()

    async def _send_all(self) -> None:
        while True:
            message = await self.outgoing.get()
            await self.online.wait()
            await self.session.send_app(message)

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        message = CoreMessage()
        message[35] = msg_type
        group, entry = 0, None
        for tag, value in fields:
            if tag in GROUPS:
                group = tag
            elif group and tag == GROUPS[group]:
                entry = Group()
                entry.set_field(tag, value)
                message.add_group(group, entry)
            elif entry is not None:
                entry.set_field(tag, value)
            elif tag == 97:
                message.header.set(97, value)
            else:
                message[tag] = value
        self.outgoing.put_nowait(message)

    async def log_out_and_in(self, *, reset: bool) -> None:
        self.session._reset_on_logon = reset
        await self.session.send_logout()
        await asyncio.wait_for(self.offline.wait(), pace.seconds(10))
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))
        self.session._reset_on_logon = False

    # Callbacks.

    def to_admin(self, message: CoreMessage, session_id: SessionID) -> None:
        if message[35] == "A":
            message[553], message[554] = self.username, self.password

    def from_app(self, message: CoreMessage, session_id: SessionID) -> None:
        self.told(Message(message.encode()))

    def on_logon(self, session_id: SessionID) -> None:
        self.offline.clear()
        self.online.set()

    def on_logout(self, session_id: SessionID) -> None:
        self.online.clear()
        self.offline.set()
