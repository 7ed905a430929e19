"""Files that several processes open at the same moment."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from account_api.security import sqlite_file


def test_a_file_that_another_process_opens_at_this_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "keys")
    connect = sqlite3.connect
    other = connect(path, isolation_level=None)
    other.execute("begin exclusive")
    tries = []

    def impatient(*args: Any, **options: Any) -> sqlite3.Connection:
        tries.append(args)
        if len(tries) == 2:
            other.execute("commit")
        return connect(*args, **options | {"timeout": 0})

    monkeypatch.setattr(sqlite3, "connect", impatient)
    database = sqlite_file.open_private(path, "create table if not exists t (a)")
    assert database.execute("select count(*) from t").fetchone() == (0,)
    assert database.execute("pragma journal_mode").fetchone() == ("wal",)
    assert len(tries) == 2
    database.close()
    other.close()


def test_a_file_that_stays_taken_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "keys")
    monkeypatch.setattr(sqlite_file, "WAIT_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin exclusive")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite_file.open_private(path)
    other.close()


def test_a_file_of_another_kind_is_an_error_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("these are no keys but text that is longer than the head of a database " * 9)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite_file.open_private(str(path))
