"""`tandem conform` judges somebody else's acceptor by FIX 4.4, and says each reason once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.ports import free_ports
from tests.certification.foreign_acceptor import PASSWORD
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A QuickFIX acceptor that takes D and F only, and answers wrong credentials with a Logout."""
    number = free_ports(1)[0]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.certification.foreign_acceptor", str(number),
         str(tmp_path_factory.mktemp("acceptor"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield number
    finally:
        process.stdin.close()
        process.wait(pace.seconds(10))


def conform(port: int, folder: Path, *cases: str, password: str = PASSWORD) -> tuple[int, str]:
    """Play cases as ``tandem conform`` does; its exit code and what it printed."""
    settings = folder / "other.toml"
    settings.write_text(
        f'target = "OTHER"\n[main]\ncomp_id = "CLIENT"\npassword = "{password}"\n', encoding="utf-8"
    )
    chosen = [word for case in cases for word in ("--case", case)]
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "conform", "--port", str(port), "--settings",
         str(settings), "--out", str(folder / "out"), *chosen],
        env=os.environ | {"TANDEM_DATA": str(folder / "data"), "COLUMNS": "200"},
        capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout


def test_another_acceptor_is_judged_by_fix_and_each_reason_is_told_once(
    port: int, tmp_path: Path
) -> None:
    code, said = conform(port, tmp_path, "S01", "S02", "S04", "A01", "A03", "A08", "A12", "A16")
    assert code == 1
    for case in ("S01", "S02", "S04", "A01", "A08"):
        assert f"passed  {case}" in said, said
    assert "failed  A16  A chain of two replaces: as A12." in said
    why = "OrderCancelReplaceRequest(G) is answered with BusinessMessageReject(j): Unsupported"
    assert f"2 cases  {why}" in said and said.count("Unsupported Message Type") == 2
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    partial = "partial: 5 of the"
    assert partial in said and partial in text and report["verdict"].startswith(partial)
    assert report["complete"] is False and report["certified"] == []


def test_a_logon_that_is_refused_tells_what_the_acceptor_said(port: int, tmp_path: Path) -> None:
    code, said = conform(port, tmp_path, "A01", "A08", password="wrong")
    assert code == 1
    why = "did not accept the Logon with which the case begins. It answered with Logout(5): "
    assert said.count(why) == 2 and "2 cases" in said and "wrong credentials" in said, said
