"""The root of every type that the venue's documents are read into."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tandem_client.errors import AnswerNotUnderstood

D = TypeVar("D", bound="Document")


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable object of the venue. Members that this version does not know are passed over."""

    def as_dict(self) -> dict[str, Any]:
        """Return the members as plain values: amounts as text, times as text in UTC."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def decode(content: bytes | str, kind: type[D]) -> D:
    """Read a document. Raises AnswerNotUnderstood."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AnswerNotUnderstood(f"The response is no {kind.__name__}: {error}.") from error


def convert(value: Any, kind: type[D]) -> D:
    """Make a document of plain values. Raises AnswerNotUnderstood."""
    try:
        return msgspec.convert(value, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise AnswerNotUnderstood(f"The message is no {kind.__name__}: {error}.") from error
