"""Signed Logons: what is signed, whether it is right, and that it admits only once.

The payload is the fields of the Logon in the order of SIGNED, those that are there, each as
``tag=value`` and joined by SOH. A signed Logon has no other field, so that nothing in it can be
changed. spec/FIX.md has a test vector.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fix_gateway.session.store import write_durably

SIGNED: Final = (
    "35", "49", "56", "34", "52", "98", "108", "141", "553", "20003", "20004", "20006",
)  # fmt: skip
_UNSIGNED: Final = frozenset(("8", "9", "10", "95", "96", "554"))
SIGNATURE_BYTES: Final = 64
SAME_TIME_MAX: Final = 100
"""Logons of one session with one SendingTime, for clients that send whole seconds."""


def payload(fields: Mapping[str, str]) -> bytes:
    """Return what is signed of a Logon."""
    parts = [f"{tag}={fields[tag]}" for tag in SIGNED if tag in fields]
    return "\x01".join(parts).encode("latin-1")


def fault(public_key: bytes, fields: Mapping[str, str]) -> str:
    """Say what is wrong with the signature of a Logon, "" if nothing."""
    text = fields.get("96")
    if text is None:
        return "Logon is not signed"
    if fields.get("95") != str(len(text)):
        return "RawDataLength is not that of RawData"
    foreign = fields.keys() - set(SIGNED) - _UNSIGNED
    if foreign:
        return f"tag {min(foreign)} is not allowed in a signed Logon"
    try:
        signature = base64.b64decode(text, validate=True)
        if len(signature) != SIGNATURE_BYTES:
            return "signature has not 64 bytes"
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, payload(fields))
    except (binascii.Error, ValueError, InvalidSignature):
        return "signature is wrong"
    return ""


class SignedLogons:
    """Which signatures were used, on disk before anybody is let in by one; any thread may ask.

    A session's Logons are used in the order of their SendingTime. What was used at the newest
    time is kept; whatever is older is refused, so nothing more need be remembered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def use(self, comp_id: str, sending_time_us: int, signature: str) -> str:
        """Use a signature up; say why not if it, or a newer one, was used before."""
        digest = hashlib.sha256(base64.b64decode(signature)).hexdigest()
        try:
            with self._lock, self._one_process():
                return self._use(self._folder / f"{comp_id}.signed", sending_time_us, digest)
        except (OSError, ValueError) as error:
            return f"the record of signed Logons cannot be used: {error}"

    @contextmanager
    def _one_process(self) -> Iterator[None]:
        """Keep other gateways, which may have the same folder, from using one meanwhile."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _use(self, path: Path, sending_time_us: int, digest: str) -> str:
        newest, used = _read(path)
        if sending_time_us < newest:
            return "a Logon with a later SendingTime was admitted before"
        if sending_time_us > newest:
            used = []
        if digest in used or len(used) >= SAME_TIME_MAX:
            return "this Logon was admitted before"
        write_durably(path, " ".join((str(sending_time_us), *used, digest)))
        return ""


def _read(path: Path) -> tuple[int, list[str]]:
    """Return the newest SendingTime that was used, and the digests of the signatures at it."""
    try:
        newest, *used = path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return 0, []
    return int(newest), used
