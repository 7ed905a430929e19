"""Libraries of which we use more than they document stay at the minor version that was read.

Where one of these moves: read its changes for what is named here, run the tests that are named,
and move the bounds here and in ``setup.cfg`` together.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest
from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

ROOT: Final = Path(__file__).parent.parent.parent
PINS: Final = {
    "gunicorn": (
        (27, 0),
        "account_api/http/worker.py overrides ThreadWorker.{accept, on_client_socket_readable, "
        "murder_pending, finish_request, handle, handle_request, _keepalive_after} and uses its "
        "poller, nr_conns, worker_connections and keepalived_conns; "
        "account_api/http/bad_request.py replaces util.write_error. Tests: tests/api/"
        "{test_processes, test_gathering, test_killed_worker}.py, tests/prove/security.py",
    ),
    "quickfix": (
        (1, 16),
        "fix_gateway/session/handover.py puts a client's connection under a socket that QuickFIX "
        "has accepted, and fix_gateway/session/store.py reads and writes the files of its store. "
        "fix_gateway/quickfix_import.py leaves out the constants that quickfix.py takes from "
        "_quickfix.cvar. Tests: tests/fix, tests/style/test_starts.py",
    ),
}
"""The minor version of each, and what of it is not documented and used all the same."""
OVERRIDDEN: Final = {
    ThreadWorker.accept: ["self", "listener"],
    ThreadWorker.on_client_socket_readable: ["self", "conn", "client"],
    ThreadWorker.murder_pending: ["self"],
    ThreadWorker.finish_request: ["self", "conn", "fs"],
    ThreadWorker.handle: ["self", "conn"],
    ThreadWorker.handle_request: ["self", "req", "conn"],
    ThreadWorker._keepalive_after: ["self", "conn", "keepalive"],
    ThreadWorker.init_process: ["self"],
    TConn.__init__: ["self", "cfg", "sock", "client", "server"],
}
STATE: Final = ("poller", "nr_conns", "worker_connections", "keepalived_conns", "alive")


@pytest.mark.parametrize("package", PINS)
def test_setup_cfg_lets_in_the_minor_version_that_was_read_and_no_other(package: str) -> None:
    (major, minor), why = PINS[package]
    listed = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    wanted = f"{package} >={major}.{minor},<{major}.{minor + 1}"
    assert re.search(rf"^    {re.escape(wanted)}$", listed, re.MULTILINE), f"{wanted}: {why}"


@pytest.mark.parametrize("package", PINS)
def test_what_is_installed_is_the_minor_version_that_was_read(package: str) -> None:
    wanted, why = PINS[package]
    assert tuple(map(int, version(package).split(".")[:2])) == wanted, why


@pytest.mark.parametrize("method", OVERRIDDEN, ids=lambda method: method.__qualname__)
def test_what_the_worker_overrides_is_there_and_takes_what_it_took(method: Any) -> None:
    assert list(inspect.signature(method).parameters) == OVERRIDDEN[method], PINS["gunicorn"][1]


@pytest.mark.parametrize("name", STATE)
def test_what_the_worker_uses_of_its_base_is_there(name: str) -> None:
    used = set()
    for kind in ThreadWorker.__mro__[:-1]:
        used |= set(re.findall(r"self\.(\w+)", inspect.getsource(kind)))
    assert name in used, PINS["gunicorn"][1]


def test_the_function_that_writes_refusals_is_called_by_its_name_in_its_module() -> None:
    module = Path(util.__file__).read_text(encoding="utf-8")
    assert "\ndef write_error(sock, status_int, reason, mesg):\n" in module, PINS["gunicorn"][1]
    source = inspect.getsource(ThreadWorker.handle_error)
    assert "util.write_error(" in source, PINS["gunicorn"][1]
