"""/readyz tells each part of the venue apart; what the account API cannot do without is a 503."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from flask import Flask

from account_api.security.keystore import KeyStore, KeyStoreError, NoRoom, StoredKey
from config.health import Part
from tests.api.client import CallerOf
from tests.api.inprocess import InProcessEngine

FINE = [Part("history", "ok", "at seq 5", 5), Part("fix", "ok", "at seq 5", 5),
        Part("disk", "ok", "900 MiB free in /somewhere")]  # fmt: skip


def seen(app: Flask, *parts: Part) -> None:
    """Let the other parts be so."""
    found = {part.part: part for part in FINE} | {part.part: part for part in parts}
    app.extensions["tandem"].parts = lambda seq: found.values()


def test_all_is_well(caller: CallerOf, app: Flask) -> None:
    seen(app)
    ready = caller("").get("/readyz").ok()
    assert ready["status"] == "ready"
    assert {part["part"]: part["status"] for part in ready["parts"]} == {
        "engine": "ok", "keys": "ok", "history": "ok", "fix": "ok", "disk": "ok",
    }  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        Part("fix", "away", "fix does not answer: /somewhere/secret"),
        Part("fix", "behind", "…", 5, 70, 31.0),
        Part("history", "troubled", "interrupted: password=x", 5, 2, 0.4),
        Part("disk", "low", "…"),
    ],
)
def test_another_door_that_does_not_work_is_degraded(
    caller: CallerOf, app: Flask, part: Part
) -> None:
    seen(app, part)
    answer = caller("").get("/readyz").ok()
    assert answer["status"] == "degraded" and answer["detail"].startswith(part.part)
    found = next(one for one in answer["parts"] if one["part"] == part.part)
    assert (found["status"], found["lag_records"]) == (part.state, part.lag_records)
    assert found["lag_ms"] == round(part.lag_s * 1000)
    # Anybody may ask: neither paths nor words of others are told.
    assert "somewhere" not in str(answer) and "password" not in str(answer)


@pytest.mark.parametrize(
    "part", [Part("history", "behind", "…", 5, 7000, 12.0), Part("disk", "full", "…")]
)
def test_what_the_account_api_needs_is_a_503(caller: CallerOf, app: Flask, part: Part) -> None:
    seen(app, part)
    problem = caller("").get("/readyz").problem(503, "not_ready")
    assert problem["retryable"] and part.part in problem["detail"]
    found = next(one for one in problem["parts"] if one["part"] == part.part)
    assert found["required"] and found["status"] == part.state


def test_an_engine_that_is_away_does_not_hide_the_rest(
    caller: CallerOf, app: Flask, engine: InProcessEngine
) -> None:
    from engine.client import EngineUnavailable

    seen(app, Part("fix", "away", "…"))
    engine.failure = EngineUnavailable("down", "not_applied")
    problem = caller("").get("/readyz").problem(503, "engine_unavailable")
    assert {part["part"]: part["status"] for part in problem["parts"]} == {
        "engine": "away", "keys": "ok", "history": "ok", "fix": "away", "disk": "ok",
    }  # fmt: skip


# Keys on a full disk.


class Full:
    """A disk without room, as SQLite and the system say it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._write = KeyStore._changing

    def begin(self, path: Path) -> None:
        """No file can grow from now on."""

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        self._monkeypatch.setattr("account_api.security.change_counter.os.pwrite", no_room)
        real = sqlite3.connect

        def connect(*args: object, **options: object) -> sqlite3.Connection:
            database: sqlite3.Connection = real(*args, **options)  # type: ignore[call-overload]
            pages = database.execute("pragma page_count").fetchone()[0]
            database.execute(f"pragma max_page_count = {max(pages, 1)}")
            return database

        self._monkeypatch.setattr(sqlite3, "connect", connect)


def key(name: str) -> StoredKey:
    return StoredKey(
        key=f"tk-alice-{name}", name=name, kind="bearer", account="alice", firm="alice",
        user="alice", scopes=("read",), allow=(), state="active", created_at=1, created_by="c",
        token_sha256=name * 64,
    )  # fmt: skip


def test_on_a_full_disk_it_is_known_who_may_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.db"
    store = KeyStore(str(path), str(tmp_path / "keys.master"))
    for name in "abc":
        store.add(key(name))
    store.revoke("tk-alice-b", "me", 5)
    store.close()
    (tmp_path / "keys.db-changes").unlink()
    Full(monkeypatch).begin(path)
    again = KeyStore(str(path), str(tmp_path / "keys.master"))
    assert [one.name for one in again.live()] == ["a", "c"]
    assert list(again.revocations()) == ["tk-alice-b"]
    assert again.version() & 1  # So that everybody reads at every request.
    with pytest.raises(NoRoom):
        again.revoke("tk-alice-a", "me", 6)
    assert [one.name for one in again.live()] == ["a", "c"]
    monkeypatch.undo()
    again.revoke("tk-alice-a", "me", 6)
    assert not again.version() & 1
    assert [one.name for one in again.live()] == ["c"]


def test_on_a_full_disk_a_venue_without_keys_of_its_own_knows_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Full(monkeypatch).begin(tmp_path)
    for make in (lambda: None, (tmp_path / "keys.db").touch):
        make()
        store = KeyStore(str(tmp_path / "keys.db"))
        assert (store.live(), store.revocations()) == ([], {})
        assert store.version() & 1
        with pytest.raises(KeyStoreError):
            store.revoke("conf", "me", 5)


def test_the_file_of_keys_needs_no_second_file_to_be_read(tmp_path: Path) -> None:
    """A reader of a file in WAL mode makes two, for which a full disk has no room."""
    store = KeyStore(str(tmp_path / "keys.db"))
    store.add(key("a"))
    assert {path.name for path in tmp_path.iterdir()} <= {
        "keys.db", "keys.db-journal", "keys.db-changes",
    }  # fmt: skip
    assert not (tmp_path / "keys.db-journal").exists() or not (
        tmp_path / "keys.db-journal"
    ).stat().st_size
