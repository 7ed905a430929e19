"""Credentials at the front door: passwords, signatures, and who failed lately.

Verifying an argon2 hash is slow by intention. A password that was verified is remembered as
an HMAC under a key that lives only in this process, so that the next logon with it costs
microseconds; a change of the stored hash makes the memory void.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections import OrderedDict
from typing import Final

import argon2
import argon2.exceptions

from config.model import SessionSettings
from fix_gateway.door import logon_signature
from fix_gateway.door.logon import Logon
from fix_gateway.door.logon_signature import SignedLogons

FAILURE_MEMORY_S: Final = 300.0
WRONG: Final = "wrong Username or Password"


class Credentials:
    """Checks passwords; thread-safe, as each step is one operation on a dict."""

    def __init__(self, signed: SignedLogons) -> None:
        self._signed = signed
        self._key = secrets.token_bytes(32)
        self._verified: dict[str, tuple[str, bytes]] = {}
        self._hasher = argon2.PasswordHasher()
        self._dummy_hash = _unknown_hash()

    def known(self, comp_id: str, password_hash: str, username: str, password: str) -> bool:
        """Return True if exactly this was verified before; takes microseconds."""
        remembered = self._verified.get(comp_id)
        digest = self._digest(comp_id, username, password)
        if remembered is None:
            return False
        same_hash = remembered[0] == password_hash
        return hmac.compare_digest(remembered[1], digest) and same_hash

    def fault(self, settings: SessionSettings | None, logon: Logon, use: bool) -> str:
        """Say what is wrong with a Logon's credentials, "" if nothing; slow, whatever it is.

        ``settings`` None is an unknown session. ``use`` says that a good signature is to be
        used up: it admits nobody a second time.
        """
        password_hash = settings.password_hash if settings is not None else ""
        username = settings.username if settings is not None else ""
        key = base64.b64decode(settings.public_key) if settings is not None else b""
        good = self.verify(logon.comp_id, password_hash, logon.username, username, logon.password)
        if not key or password_hash:
            if not good:
                return WRONG
        elif not hmac.compare_digest(logon.username.encode(), username.encode()):
            return "wrong Username"
        if not key:
            return ""
        return logon_signature.fault(key, logon.fields) or (
            self._signed.use(logon.comp_id, logon.sending_time_us, logon.fields["96"])
            if use else ""
        )

    def verify(
        self, comp_id: str, password_hash: str, username: str, expected: str, password: str
    ) -> bool:
        """Verify a password against its hash; takes tens of milliseconds, whatever is wrong."""
        named = hmac.compare_digest(username.encode(), expected.encode())
        try:
            self._hasher.verify(password_hash or self._dummy_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        if not named or not password_hash:
            return False
        self._verified[comp_id] = (password_hash, self._digest(comp_id, username, password))
        return True

    def _digest(self, comp_id: str, username: str, password: str) -> bytes:
        text = "\x01".join((comp_id, username, password)).encode()
        return hmac.digest(self._key, text, "sha256")


def _unknown_hash() -> str:
    """Return a hash that is as slow to verify as a real one and of no password anybody knows.

    It is drawn and not computed: that would take a tenth of a second of every start.
    """
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=") for size in (16, 32)
    )
    return f"$argon2id$v=19$m=65536,t=3,p=4${salt}${digest}"


class Failures:
    """Failed logons per address, bounded; used by one thread. Times from a monotonic clock."""

    def __init__(self, addresses_max: int, delay_s: float, delay_max_s: float) -> None:
        self._addresses_max = addresses_max
        self._delay_s = delay_s
        self._delay_max_s = delay_max_s
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, address: str, now: float) -> None:
        """Count a logon from this address that failed."""
        count, _ = self._current(address, now)
        self._failed[address] = (count + 1, now)
        self._failed.move_to_end(address)
        while len(self._failed) > self._addresses_max:
            self._failed.popitem(last=False)

    def clear(self, address: str) -> None:
        """Forget what failed from this address, from which a logon succeeded."""
        self._failed.pop(address, None)

    def not_before(self, address: str, now: float) -> float:
        """Return when the next password from this address may be verified."""
        count, last = self._current(address, now)
        if count == 0:
            return now
        delay = self._delay_s * float(1 << min(count - 1, 16))
        return last + min(delay, self._delay_max_s)

    def _current(self, address: str, now: float) -> tuple[int, float]:
        count, last = self._failed.get(address, (0, now))
        return (0, now) if now - last > FAILURE_MEMORY_S else (count, last)
