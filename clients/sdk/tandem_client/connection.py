"""What the streams for threads and for asyncio have in common about their connections."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from msgspec.structs import force_setattr
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tandem_client.client import chosen
from tandem_client.credentials import Credentials
from tandem_client.document import Document
from tandem_client.errors import ConnectionFailed, StreamEnded, TandemError
from tandem_client.exchange import Clock
from tandem_client.generated.operations import OPERATIONS
from tandem_client.messages import Disconnected, Frame, Reconnected, StreamItem, read
from tandem_client.operation import Repeat
from tandem_client.session import STREAM_PATH, Session

D = TypeVar("D", bound=Document)
DEFAULT_URL: Final = "ws://127.0.0.1:8081"
MESSAGE_BYTES_MAX: Final = 16 << 20
FAILURES: Final = (OSError, TimeoutError, WebSocketException)
FINAL_CODES: Final[Mapping[int, str]] = {
    1008: "the venue closed the connection for a message that it does not take",
    1009: "a message was too long for the venue",
    4001: "the key was revoked",
}
"""Close codes after which connecting again would end in the same way."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Pauses between attempts to connect: doubled from ``first_s`` to ``longest_s``, and shortened
    by up to half at random. After ``give_up_s`` without a connection the stream ends."""

    first_s: float = 0.25
    longest_s: float = 5.0
    give_up_s: float = 300.0

    def pause_s(self, attempt: int) -> float:
        """Return the pause before an attempt, counted from 1; none before the first."""
        if attempt <= 1:
            return 0.0
        longest = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 2, 30))
        return longest * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The bounds of a stream, in seconds, and how many items may wait to be read."""

    timeout_s: float = 10.0
    stale_after_s: float = 12.0
    items_max: int = 100_000
    reconnect: Reconnect = Reconnect()
    trust_env: bool = True


class Line:
    """A stream's session, and the state of its connection: the part without input or output."""

    def __init__(
        self, url: str, key: str, secret: str, credentials: Credentials | None,
        clock_offset_ms: int, settings: StreamSettings,
    ) -> None:
        self.url = stream_url(url)
        self.settings = settings
        self.session = Session(chosen(key, secret, credentials), Clock(clock_offset_ms))
        self.connected = False
        self.heard_at = 0.0
        self.attempts = 0
        self.next_at = 0.0
        self._down_since = 0.0

    @property
    def silent_s(self) -> float:
        """Return for how long nothing has been heard."""
        return time.monotonic() - self.heard_at

    @property
    def patience_s(self) -> float:
        """Return for how long it may stay silent before the connection counts as lost."""
        return max(0.0, self.settings.stale_after_s - self.silent_s)

    def opened(self) -> list[StreamItem]:
        """There is a connection: what to send on it is in the session."""
        again = self.attempts > 0
        found: list[StreamItem] = [Reconnected(self.attempts)] if again else []
        self.connected, self.attempts, self.heard_at = True, 0, time.monotonic()
        self.session.opening()
        return found

    def heard(self, text: str | bytes) -> list[StreamItem]:
        """Take a frame. Raises TandemError when the stream cannot go on."""
        self.heard_at = time.monotonic()
        found = self.session.received(text)
        if self.session.fatal is not None:
            raise self.session.fatal
        return found

    def lost(self, reason: str, code: int = 0) -> list[StreamItem]:
        """The connection ended. Raises StreamEnded where another would end like it."""
        self.connected = False
        self.session.lost()
        if code in FINAL_CODES:
            raise StreamEnded(f"The stream has ended: {FINAL_CODES[code]} ({reason}).", code)
        self.attempts, self._down_since = 1, time.monotonic()
        self.next_at = self._down_since
        return [Disconnected(reason)]

    def failed(self, error: Exception) -> None:
        """An attempt to connect failed. Raises StreamEnded when it is time to give up."""
        down_s = time.monotonic() - self._down_since
        if down_s > self.settings.reconnect.give_up_s:
            raise StreamEnded(
                f"There has been no connection to {self.url} for {down_s:.0f} s: {said(error)}."
            )
        self.attempts += 1
        self.next_at = time.monotonic() + self.settings.reconnect.pause_s(self.attempts)

    def refused(self, error: Exception) -> ConnectionFailed:
        """Return the error of a first attempt that failed."""
        return ConnectionFailed(
            f"There is no connection to {self.url}: {said(error)}.", outcome="not_applied"
        )

    def options(self) -> dict[str, Any]:
        """Return the options of the WebSocket library."""
        return {
            "open_timeout": self.settings.timeout_s, "close_timeout": 1.0,
            "max_size": MESSAGE_BYTES_MAX, "proxy": True if self.settings.trust_env else None,
        }  # fmt: skip

    def operate(self, op: str, operation: str, params: Mapping[str, Any]) -> int:
        """Queue an operation of the account API; returns its number."""
        known = OPERATIONS[operation]
        again = known.repeat is not Repeat.KEY or bool(params.get("request_id"))
        natural_id = str(params.get(known.natural_id, "")) if known.natural_id else ""
        return self.session.ask(op, params, again, natural_id)


def answer_of(result: Frame | TandemError, kind: type[D]) -> D:
    """Return the document of an answer. Raises TandemError."""
    if isinstance(result, TandemError):
        raise result
    found: D = read(result.data, kind)
    if result.replayed and "replayed" in kind.__struct_fields__:
        force_setattr(found, "replayed", True)
    return found


def stream_url(url: str) -> str:
    """Return the address of the stream. Raises ValueError."""
    if not url.startswith(("ws://", "wss://")):
        raise ValueError(f"{url!r} is no address of a stream: it begins with ws:// or wss://.")
    url = url.rstrip("/")
    return url if url.endswith(STREAM_PATH) else url + STREAM_PATH


def said(error: Exception) -> str:
    """Return what an error of the network says, in half a sentence."""
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).rstrip(".")


def closing(error: ConnectionClosed) -> tuple[str, int]:
    """Return why a connection was closed, and the close code."""
    if error.rcvd is None:
        return "the connection broke", 0
    return error.rcvd.reason or f"closed with code {error.rcvd.code}", error.rcvd.code
