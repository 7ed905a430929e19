"""The caller on a connection, and how its commands are identified to the engine."""

from __future__ import annotations

from account_api.errors import Problem
from account_api.security.auth import Principal
from engine.core.types import Origin


class StreamPrincipal(Principal, frozen=True):
    """A caller that logged on once and then speaks on a connection of its own.

    Its orders belong to the session ``ws:<key>:<connection>``, so that cancel on disconnect
    can apply to this connection. Single messages are not signed: the connection delivers each
    once.
    """

    connection: str = ""

    @property
    def source(self) -> str:
        """The session of this connection."""
        return f"ws:{self.key.key}:{self.connection}"

    def origin(self, not_after_us: int = 0) -> Origin:
        """Identify a request on this connection to the engine, valid until ``not_after_us``."""
        return Origin(source=self.source, valid_until=not_after_us, user=self.key.user)


def logged_in(principal: StreamPrincipal | None) -> StreamPrincipal:
    """Return the caller. Raises Problem ``unauthorized`` if it has not logged in."""
    if principal is None:
        raise Problem("unauthorized", "This operation needs a login first.")
    return principal
