"""The commands as a person uses them: what they print, and how they fail."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from tandem.__main__ import main
from tandem.demo.venue import write_configuration
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent


def tandem(*arguments: str, given: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tandem", *arguments],
        input=given, capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
    )  # fmt: skip


def test_config_check_says_what_it_read() -> None:
    done = tandem("config", "check")
    assert done.returncode == 0
    assert "demo.toml: good for demo; 7 accounts, 3 instruments" in done.stdout


@pytest.mark.parametrize("command", [["config", "check"], ["up"], ["status"], ["check"]])
def test_a_wrong_value_is_one_message_and_no_traceback(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "venue.toml"
    demo = (ROOT / "config" / "demo.toml").read_text()
    path.write_text(demo.replace("port = 8080", "port = 80808"))
    done = tandem(*command, TANDEM_CONFIG=str(path))
    assert done.returncode == 1
    assert done.stderr == f"tandem: {path} cannot be used:\n  http.port: expected int <= 65535\n"


def test_status_without_an_engine_is_one_sentence(tmp_path: Path) -> None:
    done = tandem("status", "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("tandem: the engine does not answer")
    assert done.stderr.count("\n") == 1


def test_password_prints_a_hash_that_fits() -> None:
    done = tandem("password", given="correct horse\n")
    assert PasswordHasher().verify(done.stdout.strip(), "correct horse")
    assert tandem("password", given="\n").returncode == 1


@pytest.mark.parametrize("section", ["fix", "http", "stream", "metrics"])
def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path, section: str) -> None:
    path = write_configuration(tmp_path)
    port = tomllib.loads(path.read_text())[section]["port"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = tandem("up", "-c", str(path), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr == (
        f"tandem: {section}.port: cannot listen on 127.0.0.1 port {port}: Address already in "
        f"use; end what uses it, or choose another in {path}\n"
    )
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["tandem.lock"]


def test_a_second_venue_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "tandem.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = tandem("up", "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"another `tandem up` runs with the data folder {tmp_path}" in done.stderr


def test_up_in_a_folder_that_others_can_enter_is_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o1777)
    config = write_configuration(tmp_path)
    done = tandem("up", "-c", str(config), "--data", str(data))
    assert done.returncode == 1
    reasons = [line for line in done.stderr.splitlines() if "can be entered by others" in line]
    assert len(reasons) == 1 and reasons[0].startswith("engine does not start: ")
    assert "{" not in done.stderr and "again in" not in done.stderr


def test_what_up_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "log").mkdir(parents=True)
    (data / "log" / "engine.log").touch(mode=0o644)
    (data / "log" / "engine.log").chmod(0o644)
    data.chmod(0o1777)  # So that it ends at once, having made its files.
    assert tandem("up", "-c", str(write_configuration(tmp_path)), "--data", str(data)).returncode
    found = {path.name: path.stat().st_mode & 0o777 for path in [*data.glob("log/*"),
                                                                 data / "tandem.lock"]}  # fmt: skip
    assert {"engine.log", "fix.log", "tandem.lock"} <= found.keys()
    assert set(found.values()) == {0o600}, found


@pytest.mark.parametrize(
    "words",
    [["up"], ["reset", "--yes"], ["verify"], ["backup", "there"], ["journal", "verify"]],
)
def test_a_folder_of_another_user_is_one_sentence(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whoever runs the tests may be allowed everything, so the system's answer is made here."""
    data = tmp_path / "data"
    (data / "journal").mkdir(parents=True)
    config = write_configuration(tmp_path)
    real_open, real_list, real_connect = os.open, os.listdir, sqlite3.connect

    def denied(path: object) -> None:
        if str(path).startswith(str(data)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def no_open(path: Any, *rest: Any, **options: Any) -> int:
        denied(path)
        return real_open(path, *rest, **options)

    def no_list(path: Any = ".") -> list[str]:
        denied(path)
        return real_list(path)

    def no_connect(path: Any, *rest: Any, **options: Any) -> sqlite3.Connection:
        if str(data) in str(path):
            raise sqlite3.OperationalError("unable to open database file")
        return real_connect(path, *rest, **options)

    monkeypatch.setattr(os, "open", no_open)
    monkeypatch.setattr(os, "listdir", no_list)
    monkeypatch.setattr(sqlite3, "connect", no_connect)
    monkeypatch.setattr(
        sys, "argv",
        ["tandem", *words, "--config", str(config), "--data", str(data)],
    )  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("tandem: ") and "Traceback" not in told
    assert any(text in told for text in ("Permission denied", "unable to open", "no journal")), told
