"""The sample programs end in one sentence and an exit code other than 0 where something fails."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

PROGRAMS = Path(__file__).parent.parent.parent.parent / "clients" / "python"
ORDER = ["buy", "BTC-USD", "0.5", "60000", "--id", "x"]
WITHDRAWAL = ["ETH", "2", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "--id", "x"]
NOBODY = "127.0.0.1:1"


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("rest_order", [*ORDER, "--url", f"http://{NOBODY}"], f"no connection to http://{NOBODY}"),
        ("rest_order", [*ORDER, "--url", NOBODY], "begins with http"),
        ("withdraw", [*WITHDRAWAL, "--url", f"http://{NOBODY}"], "no connection to http://"),
        ("stream_orders", ["--url", f"ws://{NOBODY}"], f"no connection to ws://{NOBODY}"),
        ("stream_orders", ["--url", "x"], "begins with ws"),
        ("fix_order", [*ORDER, "--port", "1", "--folder", "there-is-none"], "There is no folder"),
        ("fix_order", [*ORDER, "--port", "1", "--folder", "."], "Nothing came from 127.0.0.1:1"),
    ],
)
def test_a_failure_is_one_sentence(
    name: str, arguments: list[str], said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(time, "sleep", lambda _: None)
    module = program(name)
    monkeypatch.setattr(module, "WAIT_S", 0.2, raising=False)
    try:
        code = module.main()
        text = capfd.readouterr().err
    except SystemExit as end:
        code, text = 1, f"{end.code}\n"
    assert code == 1 and said in text
    assert text.count("\n") == 1 and "Traceback" not in text
