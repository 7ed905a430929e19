"""`tandem reset`: a test-net begins anew, and nothing else ever does."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import DEMO_FILE, Settings, load
from tandem.output import CommandError
from tandem.reset import reset
from tests.support import pace

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("journal/snapshots", "fix/store", "log", "control")
FILES = (
    "journal/index.db", "journal/snapshots/1", "fix/store/a.body", "log/engine.log",
    "history.db", "history.db-wal", "network.db", "keys.db",
    "keys.master", "keys.db-changes", "answers.db", "answers.db-wal", "answers.db-holders",
    "logins.db", "webhooks.db", "webhooks.db-wal", "tandem.lock", "notes.txt",
)  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as a venue leaves it, and a file that is not the venue's."""
    folder = tmp_path / "d"
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    return folder


def settings(data: Path, file: Path = DEMO_FILE) -> Settings:
    return load(file, {"TANDEM_DATA": str(data)})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(one: Settings) -> str:
    with pytest.raises(CommandError) as caught:
        reset(one, lambda _: True, print)
    return str(caught.value)


def test_it_removes_the_venue_and_leaves_what_is_not_its_own(data: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        reset(settings(data), lambda _: True, said.append)
        assert names(data) == {"notes.txt", "tandem.lock"}
    assert "begins anew" in said[0]


def test_it_asks_and_takes_no_for_an_answer(data: Path) -> None:
    before = names(data)
    done = subprocess.run(
        [sys.executable, "-m", "tandem", "reset", "--data", str(data)],
        input="n\n", capture_output=True, text=True, timeout=pace.seconds(60), cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == "tandem: nothing was removed\n"
    assert "every order, balance and report" in done.stdout and names(data) == before


def test_a_running_venue_is_left_alone(data: Path) -> None:
    before = names(data)
    with (data / "tandem.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another `tandem up` runs" in refused(settings(data))
    for place in ("engine.sock", "control/history.sock"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(data / place))
            server.listen()
            assert "answers); end it first" in refused(settings(data))
        (data / place).unlink()
    assert names(data) == before
    assert (data / "journal" / "index.db").exists()


def test_production_is_never_reset(data: Path, tmp_path: Path) -> None:
    before = names(data)
    text = (ROOT / "config" / "production.example.toml").read_text(encoding="utf-8")
    path = tmp_path / "venue.toml"
    path.write_text(text.partition("[[sessions]]")[0])
    path.chmod(0o600)
    assert "environment is production" in refused(settings(data, path))
    assert names(data) == before


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    assert "nothing to reset" in refused(settings(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
