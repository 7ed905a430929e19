"""A refused Logon explained, outside production: to its client and on the console.

In production a stranger learns nothing. On a test-net most strangers are clients with a wrong
setting, so the reason goes into Text(58) of a Logout, and into one line for the operator.
A session's numbers must stay in step: engines count a Logout that they get, whatever its number.
So the Logout of a known session takes that session's next number, as every message does; where
the session is busy there is none. Where no session keeps numbers, it has number 1 and the CompIDs
that the client uses, whatever they are: an engine drops what has others.

Bounded: one Logout for a connection, after the delay of every refusal; ``TOLD_PER_S`` in all; and
the console gets each sentence once in ``AGAIN_S``, and ``LINES_MAX`` sentences in that time.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Final

from config.model import SessionSettings
from fix_gateway.codec.message import time_text
from fix_gateway.door import logon as logons
from fix_gateway.door.credentials import WRONG as WRONG_NAME
from fix_gateway.door.logon import Known, Logon
from fix_gateway.session.life import Phase
from fix_gateway.session.session import Clock, Link, Session
from fix_gateway.settings import BEGIN_STRING, GatewaySettings

TOLD_PER_S: Final = 10.0
TOLD_AT_ONCE: Final = 20.0
LINES_MAX: Final = 12
AGAIN_S: Final = 60.0
Stranger = tuple[Known | None, Logon]
"""A Logon, and the session that it names, if there is one."""

COMP_ID_CHARS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 240


def words(
    reason: str,
    logon: Logon,
    session: SessionSettings | None,
    settings: GatewaySettings,
    now_us: int,
) -> str:
    """Say to a client what is wrong with its Logon; ``reason`` is what the gateway's log says."""
    if reason == logons.WRONG_TARGET:
        return f"TargetCompID(56) is {logon.target}, and this venue is {settings.comp_id}"
    if reason == logons.UNKNOWN_SENDER:
        return f"SenderCompID(49) {logon.comp_id} is not known here"
    if reason == logons.STALE_LOGON:
        past, future = settings.signed_past_us // 1_000_000, settings.signed_future_us // 1_000_000
        return (
            f"{logons.off(now_us - logon.sending_time_us, now_us)}; that of a signed Logon is at "
            f"most {past} seconds behind or {future} ahead"
        )
    if reason == WRONG_NAME and session is not None:
        for name, value in ("Username(553)", logon.username), ("Password(554)", logon.password):
            if not value:
                return f"{name} is missing"
        if not hmac.compare_digest(logon.username.encode(), session.username.encode()):
            # It is not shown: a password stands in the wrong field as easily.
            return f"Username(553) is not that of {logon.comp_id}"
        return f"Password(554) is wrong for {logon.comp_id}"
    return reason[:1].upper() + reason[1:]


def logout(logon: Logon, text: str, now_us: int) -> bytes:
    """Make a Logout for a client whose session keeps no numbers here, under its own CompIDs.

    b"" where these are nothing that can be said back.
    """
    for one in (logon.target, logon.comp_id):
        if not (one.isascii() and one.isprintable() and len(one) <= COMP_ID_CHARS_MAX):
            return b""
    body = (
        f"35=5\x0134=1\x0149={logon.target}\x0152={time_text(now_us)}\x01"
        f"56={logon.comp_id}\x0158={text}\x01"
    )
    whole = f"8={BEGIN_STRING}\x019={len(body)}\x01{body}"
    return f"{whole}10={sum(whole.encode('ascii')) % 256:03d}\x01".encode("ascii")


class Explanations:
    """Used by the door's thread alone, but for ``logout``. ``farewell`` is that of the door."""

    def __init__(
        self,
        settings: GatewaySettings,
        clock: Clock,
        farewell: Callable[[Session, Link, str], bytes],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.farewell = farewell
        self._monotonic = monotonic
        self._credit, self._credited_at = TOLD_AT_ONCE, 0.0
        self._told: dict[str, tuple[float, int]] = {}
        """When a line was shown last, and how often it was not since."""

    def words(self, reason: str, stranger: Stranger | None) -> str:
        """Return what a stranger is told, "" for nothing, which it mostly is."""
        if stranger is None or not self._settings.explain_refusals:
            return ""
        now = self._monotonic()
        self._credit += (now - self._credited_at) * TOLD_PER_S
        self._credit, self._credited_at = min(self._credit, TOLD_AT_ONCE), now
        if self._credit < 1:
            return ""
        self._credit -= 1
        session, logon = stranger
        settings = session.settings if session is not None else None
        return plain(words(reason, logon, settings, self._settings, self._clock()))

    def logout(self, stranger: Stranger, link: Link, text: str) -> bytes:
        """Make the Logout of a stranger, b"" for none; may write, so not on the door's thread."""
        session, logon = stranger
        if isinstance(session, Session) and logon.target == self._settings.comp_id:
            # Nobody waits here for a session that is in use: others would wait behind it.
            return self.farewell(session, link, text) if session.phase is Phase.FREE else b""
        return logout(logon, text, self._clock())

    def line(self, comp_id: str, address: str, text: str) -> dict[str, str]:
        """Return the field of the log by which the console shows a refusal; mostly none."""
        if not self._settings.explain_refusals:
            return {}
        now = self._monotonic()
        said = plain(f"{comp_id or 'a client'} from {address} was not let in: {text}")
        told_at, more = self._told.get(said, (now - AGAIN_S, 0))
        if now - told_at < AGAIN_S:
            self._told[said] = told_at, more + 1
            return {}
        for old in [name for name, (at, _) in self._told.items() if now - at >= AGAIN_S]:
            del self._told[old]
        if len(self._told) >= LINES_MAX:
            return {}
        self._told[said] = now, 0
        return {"console": f"{said} ({more} more times before)" if more else said}


def plain(text: str) -> str:
    """Return text as a message and a terminal can carry it: printable ASCII, not long."""
    kept = "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
    return kept if len(kept) <= TEXT_CHARS_MAX else f"{kept[: TEXT_CHARS_MAX - 3]}..."
