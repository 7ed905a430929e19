"""``tandem fix-log``: the messages of a FIX session, decoded by the venue's dictionary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from account_api.schema import fix_messages
from account_api.schema.fix_messages import Dictionary, Message, Wanted
from config.control import ControlError, ask, socket_path
from config.settings import Settings
from config.shipped import shipped
from tandem.output import CommandError

FOLLOW_S: Final = 1.0
FORMS: Final = ("decoded", "raw", "json")


def run(settings: Settings, comp_id: str, wanted: Wanted, limit: int, form: str, follow: bool
        ) -> None:  # fmt: skip
    """Print the newest messages, and with ``follow`` those that come until Ctrl-C.

    Raises CommandError.
    """
    dictionary = Dictionary(shipped("spec/FIX44.xml"))
    asked = fix_messages.LIMIT_MAX if wanted != Wanted() else limit
    text = _ask(settings, comp_id, fix_messages.BEGINNING, asked)
    answer = msgspec.json.decode(text, type=fix_messages.Answer)
    found = fix_messages.decode(dictionary, answer, wanted)
    _print(found[-limit:], form)
    if not found and not follow:
        print(f"Nothing of {comp_id} is kept that you ask for.", file=sys.stderr)
    try:
        while follow:
            time.sleep(FOLLOW_S)
            text = _ask(settings, comp_id, answer.cursor, fix_messages.LIMIT_MAX)
            answer = msgspec.json.decode(text, type=fix_messages.Answer)
            _print(fix_messages.decode(dictionary, answer, wanted), form)
    except KeyboardInterrupt:
        return


def since(text: str) -> str:
    """Read a time of an option: ISO 8601, UTC where it names no zone. Raises CommandError."""
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{text!r} is no time; write it as 2030-01-31T12:00:00 (UTC)"
        ) from None
    utc = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _ask(settings: Settings, comp_id: str, cursor: str, limit: int) -> str:
    if len(comp_id.split()) != 1:
        raise CommandError("name one session by its CompID, for example ALICE")
    try:
        return ask(socket_path(settings.data, "fix"), "messages", comp_id, cursor, str(limit))
    except ControlError as error:
        raise CommandError(str(error)) from None


def _print(messages: list[Message], form: str) -> None:
    for line in _lines(messages, form):
        print(line, flush=True)


def _lines(messages: list[Message], form: str) -> Iterator[str]:
    if form == "decoded":
        yield from fix_messages.lines(messages)
        return
    for one in messages:
        if form == "raw":
            yield f"{one.time} {one.direction:>3} {one.raw}"
        else:
            yield msgspec.json.encode(
                one._asdict() | {"fields": [field._asdict() for field in one.fields]}
            ).decode()
