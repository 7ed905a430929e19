"""What can go wrong, as exceptions: each is one sentence, with what a program needs to act on it.

``TandemError`` is the root. ``ApiError`` is a refusal by the venue, read from its problem document;
``NoAnswer`` is a request that has no result: ``outcome`` says whether it may have been executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

NOT_APPLIED: Final = "not_applied"
UNKNOWN: Final = "unknown"
_KNOWN: Final = frozenset(
    "type title status detail code request_id retryable outcome field".split()
)


class TandemError(Exception):
    """The root of what this library raises, except for wrong arguments."""


class AnswerNotUnderstood(TandemError):
    """The venue's response is not what the specification says."""


class NoAnswer(TandemError):
    """A request has no result. ``outcome`` is "not_applied" or "unknown".

    ``natural_id`` is the id by which to look the object up, or to send the request again.
    """

    def __init__(self, text: str, *, outcome: str = UNKNOWN, natural_id: str = "") -> None:
        super().__init__(text)
        self.outcome = outcome
        self.natural_id = natural_id


class ConnectionFailed(NoAnswer):
    """There is no connection to the venue."""


class StreamEnded(TandemError):
    """The stream has ended for good; ``code`` is the close code of the WebSocket, 0 if none."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class ApiError(TandemError):
    """The venue refused a request.

    ``code`` is that of spec/ERRORS.md, ``outcome`` says whether anything was done, ``field`` names
    the wrong part of the request, if one is, and ``members`` has what else the document says.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.status = int(problem.get("status", 0))
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.outcome = str(problem.get("outcome", UNKNOWN))
        self.retryable = bool(problem.get("retryable", False))
        self.request_id = str(problem.get("request_id", ""))
        self.field: str | None = problem.get("field")
        self.members = {key: value for key, value in problem.items() if key not in _KNOWN}
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """Return what went wrong in one line."""
        return f"{self.code}: {self.detail}"


class Unauthorized(ApiError):
    """401: the key, the token or the signature is wrong."""


class ClockSkew(Unauthorized):
    """401 outside_window: this machine's clock differs from the venue's by ``skew_ms``."""

    skew_ms = 0

    def sentence(self) -> str:
        """Return by how much the clock is wrong."""
        sent = self.members.get("sent_ms")
        venue = self.members.get("server_time_ms")
        if not isinstance(sent, int) or not isinstance(venue, int):
            return super().sentence()
        self.skew_ms = sent - venue
        way = "ahead of" if self.skew_ms > 0 else "behind"
        return (
            f"{self.code}: this machine's clock is {abs(self.skew_ms) / 1000:.1f} s {way} the "
            "venue's; synchronize it (NTP), or pass clock_offset_ms."
        )


class Forbidden(ApiError):
    """403: the key or account may not do this."""


class NotFound(ApiError):
    """404: it does not exist, or not for this account."""


class Conflict(ApiError):
    """409: it contradicts the present state."""


class Invalid(ApiError):
    """400, 413, 415 or 422: the request is wrong; ``field`` says where."""


class RateLimited(ApiError):
    """429: too many requests; ``retry_after_s`` says when the next is allowed."""

    @property
    def retry_after_s(self) -> float:
        """The seconds to wait."""
        return float(self.members.get("retry_after_s", 0))


class VenueUnavailable(ApiError):
    """5xx: the venue cannot execute the request now, or failed."""


_BY_CODE: Final[Mapping[str, type[ApiError]]] = {"outside_window": ClockSkew}
_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: Invalid, 401: Unauthorized, 403: Forbidden, 404: NotFound, 405: Invalid, 409: Conflict,
    413: Invalid, 415: Invalid, 422: Invalid, 429: RateLimited,
}  # fmt: skip


def api_error(problem: Mapping[str, Any]) -> ApiError:
    """Return the exception for a problem document."""
    status = int(problem.get("status", 0))
    default = VenueUnavailable if status >= 500 else ApiError
    kind = _BY_CODE.get(str(problem.get("code", "")), _BY_STATUS.get(status, default))
    return kind(problem)


def problem_of(status: int, content: bytes) -> dict[str, Any] | None:
    """Return the problem document of a response; None if it has none, as from a proxy."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    if not isinstance(found, dict) or "code" not in found or "outcome" not in found:
        return None
    return {**found, "status": found.get("status", status)}
