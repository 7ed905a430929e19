"""Cancel on disconnect: the engine's sessions of connections that asked for it.

The engine watches the socket through which a session was opened and closes the session when
that socket ends, so orders are canceled even if this process dies. All sessions are opened
through one client; when its connection is lost, those of live connections are reopened.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final, NamedTuple

import structlog

from account_api.errors import Problem, no_leader
from account_api.schema.from_events import accepted
from account_api.security.replica import NO_LEADER
from engine.client import AsyncEngineClient, EngineError, EngineRefused
from engine.core.commands import CloseSession, OpenSession, RecordRefusal
from engine.core.events import SessionChanged
from engine.core.types import CancelScope, Origin, RejectReason, RequestKind

RETRY_S: Final = 0.2
_log: Final = structlog.get_logger("account_api.stream")


class Terms(NamedTuple):
    """What a connection asked for."""

    account: str
    scope: CancelScope
    grace_us: int


class Sessions:
    """Opens and closes sessions, and reopens them when the engine was lost."""

    def __init__(self, client: AsyncEngineClient) -> None:
        self._client = client
        self._live: dict[str, Terms] = {}
        self._lost = asyncio.Event()

    def lost(self, error: EngineError) -> None:
        """Note that the client's connection was lost; for its ``on_lost``."""
        self._lost.set()

    async def run(self) -> None:
        """Reopen live sessions after every loss of the connection, until canceled."""
        while True:
            await self._lost.wait()
            self._lost.clear()
            for source in list(self._live):
                await self._reopen(source)

    async def _reopen(self, source: str) -> None:
        while (terms := self._live.get(source)) is not None:
            try:
                await self._open(source, terms)
                return
            except EngineError:
                await asyncio.sleep(RETRY_S)
            except Problem as problem:
                _log.error("session_not_reopened", session=source, reason=problem.detail)
                return

    async def first_login(self, origin: Origin) -> bool:
        """Record the signature of a login in the engine; False if any machine has seen it.

        Raises Problem.
        """
        # A command that only marks its origin as seen: the engine knows its token from then on.
        ours = secrets.token_hex(8)
        mark = RecordRefusal(
            origin, "", RequestKind.OTHER, RejectReason.INVALID_FIELD, ours, mark_only=True
        )
        try:
            outcome = await self._client.submit(mark)
        except EngineRefused as error:
            if error.code == NO_LEADER:
                raise no_leader() from error
            return False
        except EngineError as error:
            raise Problem(
                "engine_unavailable", "The engine did not respond; sign a new login."
            ) from error
        if outcome.transaction.events:
            return False
        # When a leader is lost the command is sent again, and its own first copy may be recorded.
        return not outcome.duplicate or getattr(outcome.transaction.command, "text", "") == ours

    async def open(self, source: str, terms: Terms) -> None:
        """Let the engine watch the connection. Raises Problem."""
        self._live[source] = terms
        try:
            await self._open(source, terms)
        except EngineError as error:
            self._live.pop(source, None)
            if getattr(error, "code", "") == NO_LEADER:
                raise no_leader() from error
            raise Problem(
                "engine_unavailable",
                "The engine did not respond; cancel on disconnect may or may not be set.",
            ) from error
        except Problem:
            self._live.pop(source, None)
            raise

    async def _open(self, source: str, terms: Terms) -> None:
        command = OpenSession(Origin(source), terms.account, terms.scope, terms.grace_us)
        accepted(await self._client.submit(command), SessionChanged)

    async def close(self, source: str, *, clean: bool = False, keep_orders: bool = False) -> None:
        """Close the session of a connection that ended or logs out.

        Orders are canceled as the session's terms say, unless ``keep_orders``. An engine that
        cannot be reached has lost our socket and closes the session by itself.
        """
        terms = self._live.pop(source, None)
        if terms is None:
            return
        try:
            if keep_orders:
                await self._open(source, terms._replace(scope=CancelScope.NONE))
            await self._client.submit(CloseSession(Origin(source), clean))
        except EngineError as error:
            _log.warning("session_not_closed", session=source, reason=str(error))
