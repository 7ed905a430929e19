"""What a process need not import to serve, it does not: after a kill, its clients wait for that.

Imports are nearly all of a start. SQLAlchemy, Flask, rich, and the constants and fields of QuickFIX
each took a quarter of a second or more on slow processors.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from tandem.processes import venue_processes
from tests.support import pace

HEAVY: Final = {
    "asyncio", "cryptography", "flask", "gunicorn", "httpx", "prometheus_client", "quickfix",
    "requests", "rich", "sqlalchemy", "typer", "websockets", "werkzeug",
}  # fmt: skip
"""Packages whose import takes more than a hundredth of a second."""
NEEDED: Final = {
    "engine.main": {"asyncio"},
    "engine.history.main": {"asyncio", "prometheus_client", "sqlalchemy"},
    "fix_gateway.main": {"asyncio", "cryptography", "prometheus_client", "quickfix"},
    "fix_gateway.market_data.main": {"asyncio", "prometheus_client", "quickfix"},
    "account_api.main": {
        "asyncio", "cryptography", "flask", "gunicorn", "prometheus_client", "werkzeug",
    },
    "account_api.stream.main": {"asyncio", "cryptography", "prometheus_client", "websockets"},
    "account_api.settlement.main": {"asyncio", "prometheus_client", "rich"},
    "account_api.webhooks.main": {"asyncio", "prometheus_client"},
}  # fmt: skip
"""By the main module of a process, which of them it starts with."""


def printed(program: str, given: str = "") -> str:
    """What a fresh interpreter prints that runs the program."""
    done = subprocess.run(
        [sys.executable, "-c", program], input=given,
        check=True, capture_output=True, text=True, timeout=pace.seconds(30),
    )  # fmt: skip
    return done.stdout


def imported(program: str) -> set[str]:
    """The packages that a fresh interpreter has imported after the program."""
    names = json.loads(printed(f"{program}\nimport json, sys\nprint(json.dumps([*sys.modules]))"))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", NEEDED)
def test_a_process_starts_with_what_it_needs_to_serve(module: str) -> None:
    assert imported(f"import {module}") & HEAVY == NEEDED[module]


def test_every_process_that_serves_clients_is_looked_at() -> None:
    modules = {process.module for process in venue_processes()} - {"tandem.metrics"}
    assert modules == {
        module if module in modules else module.removesuffix(".main") for module in NEEDED
    }


def test_rich_is_there_for_who_wants_it() -> None:
    assert "rich" in imported("import engine.main\nimport rich.console")


def test_the_history_is_imported_when_it_is_first_asked() -> None:
    reader = "from engine.history import reader"
    assert "sqlalchemy" not in imported(reader)
    assert "sqlalchemy" in imported(f"{reader}\nreader.last_seq")
    soon = "import threading\nreader.load_soon()\nthreading.enumerate()[-1].join()"
    assert "sqlalchemy" in imported(f"{reader}\n{soon}")


def test_the_reader_of_the_history_has_what_the_queries_have_and_nothing_else() -> None:
    from engine.history import queries, reader

    for name in queries.__all__:
        assert getattr(reader, name) is getattr(queries, name)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = reader.nothing_of_that_name  # type: ignore[attr-defined]


QUICKFIX: Final = """
def plain(value):
    return value if isinstance(value, str | int | float) else type(value).__name__
import json, sys
names = json.load(sys.stdin) or [name for name in vars(quickfix) if not name.startswith("_")]
print(json.dumps({name: plain(getattr(quickfix, name)) for name in names}))
"""


def test_quickfix_has_everything_whichever_way_it_is_imported() -> None:
    plainly = json.loads(printed(f"import quickfix{QUICKFIX}", "[]"))
    fast = f"from fix_gateway.quickfix_import import quickfix{QUICKFIX}"
    assert json.loads(printed(fast, json.dumps([*plainly]))) == plainly
    assert len(plainly) > 10_000
    assert plainly["MsgType_NewOrderSingle"] == "D"


def test_quickfix_gets_constants_and_fields_when_they_are_asked_for() -> None:
    imports = "from fix_gateway.quickfix_import import quickfix\n"
    left_out = f'{imports}print("MsgType_Logon" in vars(quickfix), quickfix.MsgType_Logon)'
    assert printed(left_out) == "False A\n"
    field = f'{imports}print("Symbol" in vars(quickfix), quickfix.Symbol("X").getTag())'
    assert printed(field) == "False 55\n"
    unknown = f'{imports}print(hasattr(quickfix, "MsgType_Unknown"), quickfix.__name__)'
    assert printed(unknown) == "False quickfix\n"
    before = f'import quickfix\n{imports}print("MsgType_Logon" in vars(quickfix))'
    assert printed(before) == "True\n"
