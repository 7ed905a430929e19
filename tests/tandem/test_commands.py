"""The commands as a person uses them: what they print, and how they fail."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tandem.demo.venue import write_configuration
from tests import pace

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
