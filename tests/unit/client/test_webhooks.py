"""Deliveries that the venue signs are verified and read, and no others."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from account_api.webhooks.signing import new_secret, secret_text, signed_headers
from tandem_client import AnswerNotUnderstood, WebhookRefused, verify_webhook
from tandem_client.generated.models import DepositView

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recorded.json").read_text(encoding="utf-8")
)
OLD, NEW, OTHER = new_secret(), new_secret(), new_secret()
SENT_S = 1_900_000_000


def delivery(**changes: Any) -> bytes:
    return json.dumps({
        "id": "evt_1", "type": "deposit.credited", "timestamp": "2030-01-31T12:00:00.000000Z",
        "account": "alice", "seq": 7, "data": RECORDED["report_deposit"], **changes,
    }).encode()  # fmt: skip


def read(body: bytes, secrets: Any, now_s: float = SENT_S, signed: bytes = b"") -> Any:
    headers = dict(signed_headers([OLD, NEW], "evt_1", SENT_S, signed or body))
    return verify_webhook(secrets, headers, body, now_s=now_s)


def test_a_genuine_delivery_is_read_also_while_a_secret_is_rotated() -> None:
    for secrets in (secret_text(OLD), secret_text(NEW), [secret_text(OTHER), secret_text(NEW)]):
        event = read(delivery(), secrets)
        assert (event.id, event.type, event.account, event.seq) == (
            "evt_1", "deposit.credited", "alice", 7,
        )  # fmt: skip
        assert isinstance(event.data, DepositView) and event.data.amount == Decimal("1000.5")
    assert read(delivery(type="webhook.ping", data={}), secret_text(OLD)).data == {}


def test_what_is_not_genuine_or_too_old_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="fits the secret"):
        read(delivery(), secret_text(OTHER))
    with pytest.raises(WebhookRefused, match="fits the secret"):
        read(delivery(account="bob"), secret_text(OLD), signed=delivery())
    for now_s in (SENT_S + 301, SENT_S - 301):
        with pytest.raises(WebhookRefused, match="300 s are allowed"):
            read(delivery(), secret_text(OLD), now_s)
    with pytest.raises(WebhookRefused, match="no valid header 'webhook-id'"):
        verify_webhook(secret_text(OLD), {}, delivery())
    with pytest.raises(ValueError, match="whsec_ and base64"):
        read(delivery(), "whsec_?")
    with pytest.raises(AnswerNotUnderstood, match="cannot be read"):
        read(b"{}", secret_text(OLD))
