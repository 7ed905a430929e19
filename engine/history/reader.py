"""Questions to the history, for processes that have to serve before somebody asks one.

Everything of ``engine.history.queries`` is here, and imported when it is first asked for:
SQLAlchemy is a third of the start of a process that needs nothing else of it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from engine.history.queries import *  # noqa: F403

LOAD_AFTER_S: Final = 1.0
"""After a start: those who have waited for it are served first."""
_loading: Final = threading.Lock()


def load() -> None:
    """Import the queries now; what is imported already costs nothing."""
    # One thread does it: two at once could meet SQLAlchemy's circles half-way.
    with _loading:
        import engine.history.queries  # noqa: F401


def load_soon() -> None:
    """Import the queries on a thread of its own, a moment after those who wait are served."""
    timer = threading.Timer(LOAD_AFTER_S, load)
    timer.name, timer.daemon = "load-history", True
    timer.start()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return what the queries hold under this name, and keep it."""
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        load()
        from engine.history import queries

        value = getattr(queries, name)
        globals()[name] = value
        return value
