"""Deliveries of webhooks: verified, and read into the types of the REST responses."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tandem_client.document import Document, convert
from tandem_client.errors import AnswerNotUnderstood, TandemError
from tandem_client.generated.models import DepositView, FillView, WithdrawalView

PREFIX: Final = "whsec_"
SUBJECTS: Final[Mapping[str, type[Document]]] = {
    "withdrawal": WithdrawalView, "deposit": DepositView, "fill": FillView,
}  # fmt: skip
"""The type of an event's data by the first part of the event's type."""


class WebhookRefused(TandemError):
    """A delivery is not from the venue, or too old: answer it with 400 and do nothing."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A delivery. ``id`` is the same in every repeat: process each once.

    ``data`` is a withdrawal, deposit or fill as the event left it; of other types, a dictionary.
    """

    id: str
    type: str
    timestamp: datetime
    account: str
    seq: int | None
    data: Document | dict[str, Any]


def verify_webhook(
    secrets: str | Sequence[str], headers: Mapping[str, str], body: bytes, *,
    tolerance_s: float = 300.0, now_s: float | None = None,
) -> WebhookEvent:  # fmt: skip
    """Check the signature and the time of a delivery, and read it.

    ``secrets`` are ``whsec_…`` texts, several while one is rotated; ``body`` is the body as it
    arrived. Raises WebhookRefused, and ValueError for a malformed secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        name, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures, sent_s = given["webhook-signature"].split(" "), int(stamp)
    except (KeyError, ValueError) as error:
        raise WebhookRefused(f"The delivery has no valid header {error}.") from None
    now = time.time() if now_s is None else now_s
    if abs(now - sent_s) > tolerance_s:
        raise WebhookRefused(
            f"The delivery {name} is from {sent_s} s since 1970; this machine's clock says "
            f"{now:.0f}, and {tolerance_s:.0f} s are allowed."
        )
    text = f"{name}.{stamp}.".encode() + body
    wanted = [_signature(one, text) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    # Every pair is compared, so that the time does not tell which secret is close.
    matches = [hmac.compare_digest(a, b.encode()) for a in wanted for b in signatures]
    if not any(matches):
        raise WebhookRefused(f"No signature of the delivery {name} fits the secret.")
    return _read(body)


def _signature(secret: str, text: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"A webhook's secret is {PREFIX} and base64.") from None
    return b"v1," + base64.b64encode(hmac.digest(key, text, hashlib.sha256))


def _read(body: bytes) -> WebhookEvent:
    try:
        row = json.loads(body)
        moment = datetime.fromisoformat(row["timestamp"])
        event, kind, account, seq, data = (
            row["id"], row["type"], row["account"], row["seq"], row["data"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise AnswerNotUnderstood(f"The delivery cannot be read: {error!r}.") from error
    model = SUBJECTS.get(kind.partition(".")[0])
    read = data if model is None else convert(data, model)
    return WebhookEvent(event, kind, moment, account, seq, read)
