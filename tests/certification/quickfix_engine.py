"""QuickFIX's own initiator as the engine under test; its threads end with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import quickfix

from certification.fix.wire import SOH, Message
from tests.support import pace
from tests.support.quickfix_application import SilentApplication

DICTIONARY = Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"


class QuickFixEngine(SilentApplication):
    """One session. Callbacks come on QuickFIX's thread and are handed to the loop."""

    def __init__(
        self, port: int, comp_id: str, username: str, password: str,
        told: Callable[[Message], None], *, heartbeat_s: int, folder: Path,
    ) -> None:  # fmt: skip
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.told = told
        self.username, self.password = username, password
        self.online = asyncio.Event()
        self.offline = asyncio.Event()
        self.id = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
        values = {
            "ConnectionType": "initiator", "HeartBtInt": str(heartbeat_s),
            "ReconnectInterval": "1", "SocketConnectHost": "127.0.0.1",
            "SocketConnectPort": str(port), "NonStopSession": "Y",
            "FileStorePath": str(folder / comp_id), "TimestampPrecision": "3",
            "DataDictionary": str(DICTIONARY),
        }  # fmt: skip
        dictionary = quickfix.Dictionary()
        for key, value in values.items():
            dictionary.setString(key, value)
        self.settings = quickfix.SessionSettings()
        self.settings.set(self.id, dictionary)
        self.store = quickfix.FileStoreFactory(self.settings)
        self.initiator = quickfix.SocketInitiator(self, self.store, self.settings)

    @property
    def session(self) -> quickfix.Session:
        return quickfix.Session.lookupSession(self.id)

    async def start(self) -> None:
        self.session.setResetOnLogon(True)
        self.initiator.start()
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))
        self.session.setResetOnLogon(False)

    async def stop(self) -> None:
        self.session.logout()
        await asyncio.wait_for(self.offline.wait(), pace.seconds(10))

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        head = "".join(f"{t}={v}{SOH}" for t, v in fields if t in (43, 97, 122))
        body = "".join(f"{t}={v}{SOH}" for t, v in fields if t not in (43, 97, 122))
        text = f"8=FIX.4.4{SOH}9=0{SOH}35={msg_type}{SOH}{head}{body}10=000{SOH}"
        # With a dictionary repeating groups keep their order.
        message = quickfix.Message(text, quickfix.DataDictionary(str(DICTIONARY)), False)
        quickfix.Session.sendToTarget(message, self.id)

    async def log_out_and_in(self, *, reset: bool) -> None:
        self.session.logout()
        await asyncio.wait_for(self.offline.wait(), pace.seconds(10))
        self.session.setResetOnLogon(reset)
        self.session.logon()
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))
        self.session.setResetOnLogon(False)

    # Callbacks.



    def onLogon(self, session_id: quickfix.SessionID) -> None:
        self.loop.call_soon_threadsafe(self._there, True)

    def onLogout(self, session_id: quickfix.SessionID) -> None:
        self.loop.call_soon_threadsafe(self._there, False)

    def _there(self, there: bool) -> None:
        now, then = (self.online, self.offline) if there else (self.offline, self.online)
        then.clear()
        now.set()

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(553, self.username)
            message.setField(554, self.password)



    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        raw = message.toString().encode("latin-1")
        self.loop.call_soon_threadsafe(self.told, Message(raw))
