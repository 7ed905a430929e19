"""``tandem health``: whether the venue's processes work, for monitoring programs.

Nothing here waits longer than a few seconds, and nothing is changed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Final

from config.control import ControlError, ask, socket_path
from config.settings import Settings
from engine.client import EngineClient, EngineError, queries
from tandem.http_client import base_url
from tandem.output import CommandError
from tandem.processes import venue_processes

ANSWER_S: Final = 4.0
ANSWER_BYTES_MAX: Final = 1 << 16
Say = Callable[[str], None]


def health(settings: Settings, names: Iterable[str], say: Say) -> int:
    """Print whether each named process answers (default: all). Return 0 if all do, else 1."""
    processes = venue_processes(gateways=settings.fix.gateways)
    known = [process.name for process in processes]
    wanted = list(names) or known
    for name in wanted:
        if name not in known:
            raise CommandError(f"no process is called {name!r}; there are {', '.join(known)}")
    bad = 0
    for name in wanted:
        fault = _fault(settings, name)
        say(f"{name}: {fault or 'ok'}")
        bad += bool(fault)
    return 1 if bad else 0


def _fault(settings: Settings, name: str) -> str:
    """Return why a process is not healthy; "" if it is."""
    try:
        if name == "engine":
            client = EngineClient(str(settings.engine.socket), "tandem", timeout_s=ANSWER_S)
            try:
                client.fetch(queries.Status())
            finally:
                client.close()
        elif name == "api":
            _get(f"{base_url(settings)}/readyz")
        elif name == "metrics":
            host = settings.metrics.host
            host = f"[{host}]" if ":" in host else host
            _get(f"http://{host}:{settings.metrics.port}/")
        else:
            ask(socket_path(settings.data, name), "metrics", timeout_s=ANSWER_S)
    except (EngineError, ControlError) as error:
        return str(error)
    except urllib.error.HTTPError as error:
        return f"answers {error.code} {_code(error) or error.reason}"
    except OSError as error:
        return f"does not answer: {error}"
    return ""


def _code(error: urllib.error.HTTPError) -> str:
    """Return the code of the problem that was answered; "" where there is none."""
    try:
        return str(json.loads(error.read(ANSWER_BYTES_MAX))["code"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _get(url: str) -> None:
    """Raises HTTPError, OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=ANSWER_S):
        pass
