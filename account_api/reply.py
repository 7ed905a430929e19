"""What a handler answers."""

from __future__ import annotations

from typing import Final

import msgspec

REPLAYED: Final = ("Idempotent-Replayed", "true")


class Reply(msgspec.Struct, frozen=True):
    """What a handler answers; ``body`` is encoded as JSON, unless it is so already.

    ``kept`` is what a repeat under the same Idempotency-Key is answered instead, where the
    answer holds a secret that is shown once and must lie in no file.
    """

    body: msgspec.Struct | msgspec.Raw
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    kept: msgspec.Struct | None = None
