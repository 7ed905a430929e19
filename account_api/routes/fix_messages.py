"""The FIX messages of a firm's own sessions, decoded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from account_api.errors import Problem
from account_api.http.routing import QueryCall, Route
from account_api.reply import Reply
from account_api.routes.common import reaches
from account_api.schema import fix_messages
from account_api.schema.fix_messages import Dictionary, Message, Wanted
from account_api.schema.requests import FixMessagesQuery
from account_api.schema.responses import View
from account_api.schema.to_commands import instant_us
from engine.client import queries
from engine.core.authority import Thing


class FixFieldView(View, frozen=True, kw_only=True):
    """A field: its tag, its name, its value, and what the value means where FIX has a list."""

    tag: int
    name: str
    value: str
    meaning: str | None


class FixMessageView(View, frozen=True, kw_only=True):
    """A message. `direction` is `in` for one of the client and `out` for one of the venue.

    `time` is that of arrival, or SendingTime(52) of what the venue sent. `raw` has `|` for SOH;
    passwords and signatures are `***` there and in `fields`.
    """

    direction: str
    number: int
    time: str | None
    type: str
    name: str
    raw: str
    fields: list[FixFieldView]


class FixMessagesView(View, frozen=True, kw_only=True):
    """Messages of a session by time; `after` with this `cursor` continues behind the newest."""

    session: str
    messages: list[FixMessageView]
    cursor: str


def get_fix_messages(call: QueryCall[FixMessagesQuery]) -> Reply:
    """List the newest messages of one FIX session, or those behind `after`.

    What the client has sent is kept in memory, at most 2,000 messages of a session since the
    gateway's start; what the venue has sent, since the session's numbers began.
    """
    query, name = call.query, call.parts["session"]
    source = call.services.settings.fix_messages
    comp_id = name.removeprefix("fix:")
    row = call.services.fetch(queries.Session(f"fix:{comp_id}")).value
    if row is None or not reaches(call, row.account):
        raise Problem("not_found", f"There is no FIX session {name[:70]}.", field="session")
    if source is None:
        raise Problem("gateway_unavailable", "This service has no FIX gateway to ask.")
    wanted = Wanted(
        type=query.type or "",
        direction=query.direction or "",
        client_order_id=query.client_order_id or "",
        text=query.text or "",
        start=fix_messages.iso_of(instant_us(query.start, "start")),
        end=fix_messages.iso_of(instant_us(query.end, "end")),
    )
    # Filters apply to all that is kept; without one no more is read than is shown.
    asked = fix_messages.LIMIT_MAX if wanted != Wanted() else query.limit
    text = source(comp_id, query.after or fix_messages.BEGINNING, asked)
    answer = msgspec.json.decode(text, type=fix_messages.Answer)
    found = fix_messages.decode(_dictionary(call.services.settings.fix_dictionary), answer, wanted)
    views = [_view(message) for message in found[-query.limit :]]
    return Reply(FixMessagesView(session=f"fix:{comp_id}", messages=views, cursor=answer.cursor))


@lru_cache(maxsize=1)
def _dictionary(path: Path) -> Dictionary:
    return Dictionary(path)


def _view(message: Message) -> FixMessageView:
    return FixMessageView(
        direction=message.direction, number=message.number, time=message.time or None,
        type=message.type, name=message.name, raw=message.raw,
        fields=[
            FixFieldView(
                tag=one.tag, name=one.name, value=one.value, meaning=one.meaning or None
            )
            for one in message.fields
        ],
    )  # fmt: skip


ROUTES: Final = (
    Route(
        "GET", "/v1/sessions/{session}/messages", get_fix_messages, "FIX messages of a session",
        FixMessagesView, thing=Thing.READ_SESSIONS, tag="orders",
        errors=("not_found", "gateway_unavailable"),
    ),
)  # fmt: skip
