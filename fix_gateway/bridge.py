"""QuickFIX by way of the compiled bridge where that is built, else as it comes.

``make compiled`` builds it: ``native/bridge.cpp`` says what it does, decision 39 why. Without it,
and with TANDEM_BRIDGE=0 in the environment, everything works the same and costs more.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from fix_gateway.quickfix_import import quickfix

log = structlog.get_logger()

SWITCH: Final = "TANDEM_BRIDGE"


class Acceptor(Protocol):
    """What the gateway asks of QuickFIX's acceptor."""

    def block(self) -> None:
        """Run it on this thread."""


class Bridge:
    """The compiled module, for objects of SWIG."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def acceptor(
        self,
        application: quickfix.Application,
        take: Callable[[str], None],
        settings: quickfix.SessionSettings,
        folder: Path,
        server: str,
    ) -> Acceptor:
        """Make an acceptor with a store of the bridge's own in ``folder``.

        ``take`` gets the text of each common application message; ``application`` all else. In the
        log each session's name has ``server`` for ours. Raises RuntimeError.
        """
        return _BridgedAcceptor(self._module, application, take, settings, folder, server)

    def send(
        self, session: quickfix.Session, dictionary: quickfix.DataDictionary, texts: list[str]
    ) -> tuple[int, int]:
        """Store and send messages in one piece; return how many, and the number behind the last.

        None where they cannot be stored. Raises IndexError with the place of a text that is no
        message, and then does nothing.
        """
        done: tuple[int, int] = self._module.send(int(session.this), int(dictionary.this), texts)
        return done


class _BridgedAcceptor:
    def __init__(
        self, module: Any, application: quickfix.Application, take: Callable[[str], None],
        settings: quickfix.SessionSettings, folder: Path, server: str,
    ) -> None:  # fmt: skip
        self._module = module
        self._made = module.acceptor(
            int(application.this), take, int(settings.this), str(folder), server
        )
        self._kept = (application, settings)  # It has plain pointers to these.

    def block(self) -> None:
        self._module.block(self._made)


def made_for() -> str:
    """Return which build of QuickFIX is installed; a bridge for another would read its objects
    wrongly."""
    import _quickfix

    try:
        number = version("quickfix")
    except PackageNotFoundError:
        return ""
    return f"{number} {Path(_quickfix.__file__).stat().st_size}"


def load() -> Bridge | None:
    """Return the bridge, None where it is not built or is not to be used."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        module = importlib.import_module("fix_gateway._bridge")
    except ImportError:
        return None
    if made_for() != module.MADE_FOR:
        log.warning("bridge_not_used", reason="it was built for another QuickFIX: make compiled")
        return None
    return Bridge(module)
