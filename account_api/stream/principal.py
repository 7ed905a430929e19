"""Who speaks on a connection, and how its commands are known to the engine."""

from __future__ import annotations

from account_api.security.auth import Principal
from engine.core.types import Origin


class StreamPrincipal(Principal, frozen=True):
    """A caller that logged on once and then speaks on a connection of its own.

    Its orders belong to the session ``ws:<key>:<connection>``, so that cancel on disconnect
    can mean this connection. A message on the connection is not signed by itself: the
    connection delivers it once.
    """

    connection: str = ""

    @property
    def source(self) -> str:
        """The session of this connection."""
        return f"ws:{self.key.key}:{self.connection}"

    def origin(self, not_after_us: int = 0) -> Origin:
        """The identity of a request on this connection, good until ``not_after_us``."""
        return Origin(source=self.source, valid_until=not_after_us, user=self.key.user)
