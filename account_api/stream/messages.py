"""Messages to clients as JSON text. Every message of a channel has the same envelope.

``seq`` orders a channel and ``prev_seq`` is the ``seq`` of the message before it, so that a
client sees a gap whatever it has subscribed to. ``epoch`` changes when sequences are reset.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from account_api.schema.from_rows import instant_text

_encoder: Final = msgspec.json.Encoder()

MessageType = Literal["snapshot", "update"]


def text_of(value: Any) -> str:
    """Encode a value as JSON text."""
    return _encoder.encode(value).decode()


def envelope(
    channel: str,
    epoch: str,
    kind: MessageType,
    seq: int,
    prev_seq: int,
    as_of_seq: int,
    time_us: int,
    data: str,
    account: str = "",
) -> str:
    """Wrap ``data``, which is JSON text and may be shared by many messages, in a message."""
    whose = f'"account":{text_of(account)},' if account else ""
    return (
        f'{{"channel":"{channel}","epoch":"{epoch}","type":"{kind}",{whose}"seq":{seq},'
        f'"prev_seq":{prev_seq},"as_of_seq":{as_of_seq},"ts":"{instant_text(time_us)}",'
        f'"data":{data}}}'
    )


def reply(op: str, req_id: str | int | None, data: Any, **more: Any) -> str:
    """Write the answer to a request that was done."""
    return text_of({"op": op, "req_id": req_id, "ok": True, **more, "data": data})


def refusal(op: str, req_id: str | int | None, error: dict[str, Any]) -> str:
    """Write the answer to a request that was refused; ``error`` is a problem document."""
    return text_of({"op": op, "req_id": req_id, "ok": False, "error": error})
