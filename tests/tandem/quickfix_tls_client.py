"""A client with QuickFIX's own TLS, from the wheel quickfix-tls; a program of its own.

The wheel has the same import name as the QuickFIX that the venue runs on, so this is run with the
folder of the wheel in front and imports nothing of ours. Arguments: port, CompID, folder of the
certificates, certificate to show, folder for the store, the kind of initiator, how many
seconds are enough for each step. It logs on, enters an order, writes the ExecType(150) of each
report as a line, and logs out.
"""

from __future__ import annotations

import sys
import threading
import time

import quickfix

SOH = "\x01"


class Client(quickfix.Application):  # type: ignore[misc]
    """Writes down what comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.logged_on = threading.Event()
        self.logged_out = threading.Event()
        self.reported = threading.Event()

    def onCreate(self, session_id: quickfix.SessionID) -> None: ...

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        self.logged_on.set()

    def onLogout(self, session_id: quickfix.SessionID) -> None:
        self.logged_out.set()

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "A":
            firm = session_id.getSenderCompID().getValue().lower()
            message.setField(553, firm)
            message.setField(554, f"{firm}-demo")

    def toApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None: ...

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "8":
            print("150=" + message.getField(150), flush=True)
            self.reported.set()


def main(
    port: str, comp_id: str, tls: str, shown: str, store: str, kind: str, enough: str
) -> int:
    """Return 0 if all came that should come."""
    values = {
        "ConnectionType": "initiator", "HeartBtInt": "30", "ReconnectInterval": "1",
        "SocketConnectHost": "127.0.0.1", "SocketConnectPort": port, "NonStopSession": "Y",
        "UseDataDictionary": "N", "FileStorePath": store, "ResetOnLogon": "Y",
        "CertificateVerifyLevel": "1",
        "CertificationAuthoritiesFile": f"{tls}/authority.crt",
        "ClientCertificateFile": f"{tls}/clients/{shown}.crt",
        "ClientCertificateKeyFile": f"{tls}/clients/{shown}.key",
    }  # fmt: skip
    settings = quickfix.SessionSettings()
    dictionary = quickfix.Dictionary()
    for key, value in values.items():
        dictionary.setString(key, value)
    session_id = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
    # What concerns TLS is read from the defaults alone.
    settings.set(dictionary)
    settings.set(session_id, dictionary)
    client = Client()
    factory = quickfix.FileStoreFactory(settings)
    seconds = float(enough)
    initiator = getattr(quickfix, kind)(client, factory, settings)
    initiator.start()
    if not client.logged_on.wait(seconds):
        return 1
    moment = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
    text = (
        f"8=FIX.4.4{SOH}9=0{SOH}35=D{SOH}11=quickfix-{kind}{SOH}55=BTC-USD{SOH}54=1{SOH}"
        f"60={moment}{SOH}38=0.01{SOH}40=2{SOH}44=100{SOH}59=1{SOH}10=000{SOH}"
    )
    quickfix.Session.sendToTarget(quickfix.Message(text, False), session_id)
    told = client.reported.wait(seconds)
    quickfix.Session.lookupSession(session_id).logout()
    left = client.logged_out.wait(seconds)
    initiator.stop(True)
    return 0 if told and left else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
