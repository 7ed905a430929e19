"""Secrets that must be known again are stored encrypted, under a key in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_MASTER_BYTES: Final = 32


class Sealer:
    """Encrypts with the key in the file ``master``, which is created at first use if it is missing;
    "" is a key that is not stored."""

    def __init__(self, master: str) -> None:
        self._master = master
        self._cipher: AESGCM | None = None

    def seal(self, secret: bytes, owner: str) -> bytes:
        """Encrypt a secret; only under the name of its owner can it be opened. Raises OSError."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead().encrypt(nonce, secret, owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Decrypt a secret; empty if there is none, or another master key encrypted it."""
        if not sealed:
            return b""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._aead().decrypt(nonce, rest, owner.encode())
        except InvalidTag:
            return b""

    def _aead(self) -> AESGCM:
        if self._cipher is None:
            self._cipher = AESGCM(master_key(self._master))
        return self._cipher


def master_key(path: str) -> bytes:
    """Read the key in the file, created if it is missing: atomically, under another name first."""
    if not path:
        return AESGCM.generate_key(_MASTER_BYTES * 8)
    file = Path(path)
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, AESGCM.generate_key(_MASTER_BYTES * 8))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass  # Another process was first; its key is used.
        finally:
            fresh.unlink()
    key = file.read_bytes()
    if len(key) != _MASTER_BYTES:
        raise OSError(f"{file} does not hold a key of {_MASTER_BYTES} bytes")
    return key
