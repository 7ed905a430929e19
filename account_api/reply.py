"""Replies of handlers, for HTTP and the stream alike."""

from __future__ import annotations

from typing import Final

import msgspec

REPLAYED: Final = ("Idempotent-Replayed", "true")


class Reply(msgspec.Struct, frozen=True):
    """What a handler answers; ``body`` is encoded as JSON, unless it is so already.

    ``kept`` is stored for repeats under the same Idempotency-Key in place of ``body``, where
    the body holds a secret that is shown once and must not be written to a file.
    """

    body: msgspec.Struct | msgspec.Raw
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    kept: msgspec.Struct | None = None


def answered(body: msgspec.Struct, *, replayed: bool, status: int = 200) -> Reply:
    """Reply with ``status``, or with 200 and ``REPLAYED`` where an earlier copy of the request
    did what this one asks for."""
    return Reply(body, 200, (REPLAYED,)) if replayed else Reply(body, status)
