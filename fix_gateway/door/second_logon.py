"""A Logon within a session, held against everything that a first one is."""

from __future__ import annotations

from fix_gateway.door import logon as logons
from fix_gateway.door.credentials import Credentials
from fix_gateway.door.logon import Logon
from fix_gateway.door.logon_fields import LogonGrammar
from fix_gateway.door.verification import Verifier
from fix_gateway.session.session import Clock, Session
from fix_gateway.settings import GatewaySettings


class SecondLogons:
    """Judges Logons of clients that are logged on; from any thread that may wait."""

    def __init__(
        self,
        settings: GatewaySettings,
        grammar: LogonGrammar,
        credentials: Credentials,
        verifier: Verifier,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._grammar = grammar
        self._credentials = credentials
        self._verifier = verifier
        self._clock = clock

    def fault(self, session: Session, address: str, logon: Logon) -> str:
        """Say what is wrong with a Logon within a session, "" if nothing; as slow as a password."""
        if logon.comp_id != session.comp_id:
            return f"SenderCompID(49) is not {session.comp_id}"
        why = logons.stranger(logon, session, address, self._settings, self._clock())
        why = why or self._credentials_fault(session, logon)
        if why:
            self._verifier.failed(address)
            return why
        return logons.fault(logon, self._grammar, self._settings, self._clock())

    def _credentials_fault(self, session: Session, logon: Logon) -> str:
        settings, credentials = session.settings, self._credentials
        if not settings.public_key and credentials.known(
            logon.comp_id, settings.password_hash, logon.username, logon.password
        ):
            return ""
        return credentials.fault(settings, logon, True)
