"""Messages of QuickFIX from responses; what several sessions get is made once.

QuickFIX takes ten times as long to read a message from text as to exchange one of its fields, and
writes the header of every session anew into the message that it is given.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fix_gateway.codec.message import envelope
from fix_gateway.codec.responses import Response, SharedResponse
from fix_gateway.quickfix_import import quickfix

FIELDS_KEPT: Final = 10_000


def prepared(
    response: Response | SharedResponse, dictionary: quickfix.DataDictionary
) -> quickfix.Message:
    """Return the message to send next, which is good until the next call; for one thread.

    Everything that shares a body must be prepared with the same dictionary.
    """
    # What has third parties in its header is its receiver's alone.
    shares = isinstance(response, SharedResponse) and not response.header
    if isinstance(response, SharedResponse) and shares:
        shared, value = response.shared, response.value
        if shared.made is not None:
            if shared.value != value:
                shared.made.setField(_field(response.tag, value))
                shared.value = value
            return shared.made
    text = envelope(f"{response.msg_type}\x01{response.header}{response.body}")
    message = quickfix.Message(text, dictionary, False)
    if shares:
        shared.made, shared.value = message, value
    return message


@lru_cache(FIELDS_KEPT)
def _field(tag: int, value: str) -> quickfix.StringField:
    """Return a field, which costs QuickFIX less to copy than to make from its tag and value."""
    return quickfix.StringField(tag, value)
