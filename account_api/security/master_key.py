"""Whether this machine has the master key of the venue, under which secrets are encrypted.

The venue's machines share records and not files, so an operator puts the same file on each. A
record holds a fingerprint of the key: whoever has another key must not use or store any secret.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final

from account_api.security.replica import RecordsPort, RecordsUnavailable, StaleVersion
from account_api.security.sealing import master_key

COLLECTION: Final = "master_key"
_RECORD: Final = "fingerprint"


class MasterKey:
    """The file ``path``; the first machine of the venue makes it if it is missing."""

    def __init__(self, records: RecordsPort, path: str) -> None:
        self.path = path
        self._records = records
        self._checked = False

    def check(self) -> None:
        """Compare the file with the venue's fingerprint, once.

        Raises RecordsUnavailable, which says what to do, and OSError.
        """
        while not self._checked:
            answer = self._records.fetch(COLLECTION, 0)
            if answer.records:
                self._compare(answer.records[0].value)
                self._checked = True
                return
            value = fingerprint(master_key(self.path))
            try:
                self._records.store(COLLECTION, "", 0, [(_RECORD, value)], "worker:keys")
            except StaleVersion:
                continue  # Another machine was faster; its key counts.

    def _compare(self, expected: str) -> None:
        # Not made if it is missing: a new key would be another one.
        if not Path(self.path).exists():
            raise RecordsUnavailable(
                f"this machine has no master key; copy {self.path} from a machine of the venue"
            )
        if not hmac.compare_digest(fingerprint(master_key(self.path)), expected):
            raise RecordsUnavailable(
                f"{self.path} is not the master key of this venue; copy that of another machine"
            )


def fingerprint(key: bytes) -> str:
    """Return what may be shown of a key of 256 random bits."""
    return hmac.new(key, b"tandem: fingerprint of the master key", hashlib.sha256).hexdigest()
