"""Recognises the secrets of the demo configuration, wherever they turn up.

They are recognised by what they are, not by a flag: an argon2 hash that a demo password
fits or that the demo file shows, a token hash of a demo token, a secret of the demo's pattern.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from config.model import Key, SessionSettings, Settings

FIRMS: Final = ("alice", "bob", "carol", "cert", "maker", "taker")
_PURPOSES: Final = ("trade", "withdraw", "address", "approve", "keys")
_SECRETS: Final = frozenset(
    [f"demo-{firm}-{purpose}-secret" for firm in FIRMS for purpose in _PURPOSES]
    + ["demo-operator-secret"]
)


def find(settings: Settings) -> list[str]:
    """Return the keys of the file that hold a demo secret; one argon2 check per session, name."""
    found = [
        f"sessions[{index}].password_hash"
        for index, session in enumerate(settings.sessions)
        if _is_demo_session(session)
    ]
    for index, key in enumerate(settings.keys):
        field = _demo_field(key)
        if field:
            found.append(f"keys[{index}].{field}")
    return found


@cache
def _shown_hashes() -> frozenset[str]:
    """Return the password hashes that the demo file shows to everyone."""
    text = (Path(__file__).parent / "demo.toml").read_text(encoding="utf-8")
    return frozenset(re.findall(r'^password_hash = "([^"]+)"', text, re.MULTILINE))


def _is_demo_session(session: SessionSettings) -> bool:
    """Return True for a demo password: its hash is public, or it is ``<name>-demo``."""
    if session.password_hash in _shown_hashes():
        return True
    names = {session.username.lower(), session.firm, session.comp_id.lower()}
    hasher = PasswordHasher()
    for name in sorted(names):
        try:
            hasher.verify(session.password_hash, f"{name}-demo")
        except (VerificationError, InvalidHashError):
            continue
        return True
    return False


def _demo_field(key: Key) -> str:
    """Return which field of the key is a demo secret; "" if none."""
    if key.secret and (key.secret in _SECRETS or key.secret == f"{key.key}-secret"):
        return "secret"
    tokens = (f"demo-{name}-read" for name in (*FIRMS, key.firm, key.account))
    if key.token_sha256 in {hashlib.sha256(token.encode()).hexdigest() for token in tokens}:
        return "token_sha256"
    return ""
