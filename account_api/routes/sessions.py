"""Sessions in the engine: which are connected, and what is canceled when they end."""

from __future__ import annotations

from typing import Final

from account_api.http.routing import QueryCall, Route
from account_api.reply import Reply
from account_api.routes.common import account_of
from account_api.schema.from_rows import SCOPE_TEXT, instant_text
from account_api.schema.requests import AccountQuery
from account_api.schema.responses import View
from engine.client import queries
from engine.core.authority import Reach, Thing, may
from engine.core.types import SessionRow


class SessionView(View, frozen=True, kw_only=True):
    """One session: `fix:<CompID>`, or `ws:<key>:<connection>` with cancel on disconnect.

    `epoch` counts the resets of its sequence numbers, `received` is the highest MsgSeqNum that the
    engine has from it. At `closes_at` its orders are canceled unless it reconnects.
    """

    session: str
    account: str
    connected: bool
    epoch: int
    received: int
    cancel_on_disconnect: str
    grace_s: int
    closes_at: str | None


class SessionsView(View, frozen=True, kw_only=True):
    """Sessions, by name."""

    sessions: list[SessionView]
    as_of_seq: int


def get_sessions(call: QueryCall[AccountQuery]) -> Reply:
    """List the account's sessions, or all sessions for an operator who names no account."""
    query = call.query
    venue = may(call.principal.key.holders, call.thing) is Reach.VENUE
    everybody = venue and query.account is None
    account = "" if everybody else account_of(call, query.account)
    answer = call.services.fetch(queries.Sessions(), query.min_seq)
    rows = sorted(
        (row for row in answer.value if everybody or row.account == account),
        key=lambda row: row.session,
    )
    return Reply(
        SessionsView(sessions=[_view(row) for row in rows], as_of_seq=answer.as_of_seq)
    )


def _view(row: SessionRow) -> SessionView:
    return SessionView(
        session=row.session,
        account=row.account,
        connected=row.connected,
        epoch=row.epoch,
        received=row.last_num_applied,
        cancel_on_disconnect=SCOPE_TEXT[row.cancel_scope],
        grace_s=row.grace_us // 1_000_000,
        closes_at=instant_text(row.closes_at) if row.closes_at else None,
    )


ROUTES: Final = (
    Route(
        "GET", "/v1/sessions", get_sessions, "Sessions", SessionsView,
        thing=Thing.READ_SESSIONS, tag="orders", errors=("not_caught_up",),
    ),
)  # fmt: skip
