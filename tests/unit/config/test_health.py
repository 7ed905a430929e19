"""How each part of a venue is: asked of it, and watched from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from config import health
from config.control import ControlServer, socket_path
from config.fix import gateway_names
from config.health import BEHIND_S, Lag, Part, Watch, disk_part, follower_part, health_verb


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Follower:
    """A process that says where it is."""

    def __init__(self, data: Path, name: str) -> None:
        self.seq: int | None = 0
        self.trouble = ""
        self.server = ControlServer(
            socket_path(data, name), CollectorRegistry(),
            health_verb(lambda: (self.seq, self.trouble)),
        )  # fmt: skip
        self.server.start()


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Callable[[str], Follower]]:
    made: list[Follower] = []

    def start(name: str) -> Follower:
        made.append(Follower(tmp_path, name))
        return made[-1]

    yield start
    for one in made:
        one.server.close()


def part(watch: Watch, name: str, seq: int | None) -> Part:
    return next(one for one in watch.look(seq) if one.part == name)


def test_a_part_that_lags_says_by_how_much_and_since_when(
    tmp_path: Path, follower: Callable[[str], Follower]
) -> None:
    clock = Clock()
    history = follower("history")
    watch = Watch(tmp_path, monotonic=clock)
    history.seq = 10
    assert part(watch, "history", 10).ok
    # A venue that was idle for an hour is not an hour behind by one transaction.
    clock.now += 3600
    history.seq = 10
    assert part(watch, "history", 11)[1:] == ("ok", "at seq 10, 1 transactions behind the engine",
                                              10, 1, 0.0)  # fmt: skip
    clock.now += BEHIND_S
    seen = part(watch, "history", 500)
    assert (seen.state, seen.lag_records, seen.lag_s) == ("behind", 490, BEHIND_S)
    # It moves: what the engine had then it has now, and what the engine has now is new.
    history.seq = 400
    clock.now += 2
    seen = part(watch, "history", 600)
    assert (seen.state, seen.lag_records, seen.lag_s) == ("ok", 200, 0.0)
    history.seq = 600
    clock.now += 2
    assert part(watch, "history", 600) == Part("history", "ok", "at seq 600", 600)


def test_trouble_is_said_before_anything_lags(
    tmp_path: Path, follower: Callable[[str], Follower]
) -> None:
    clock = Clock()
    gateway, worker = follower("fix"), follower("settlement")
    watch = Watch(tmp_path, monotonic=clock)
    gateway.seq, gateway.trouble = 7, "the engine is not connected"
    worker.seq = None
    assert part(watch, "fix", 7)[1:3] == ("troubled", "at seq 7: the engine is not connected")
    assert part(watch, "settlement", 7).ok
    worker.trouble = "no turn was completed for 20 s"
    clock.now += 2
    assert part(watch, "settlement", 7)[1:3] == ("troubled", worker.trouble)
    assert part(watch, "stream", 7).state == "away"
    assert part(watch, "api", 7).state == "away"
    follower("api-12")
    clock.now += 2
    assert part(watch, "api", None)[1:3] == ("ok", "1 workers answer")
    assert part(watch, "fix", None).state == "troubled"


def test_each_of_several_gateways_is_a_part(
    tmp_path: Path, follower: Callable[[str], Follower]
) -> None:
    follower("fix").seq, follower("fix2").seq = 9, 7
    watch = Watch(tmp_path, gateways=gateway_names(3), monotonic=Clock())
    assert [one.part for one in watch.look(9)][:4] == ["history", "fix", "fix2", "fix3"]
    assert part(watch, "fix", 9).ok and part(watch, "fix2", 9).lag_records == 2
    assert part(watch, "fix3", 9).state == "away"
    assert watch.followers == ("history", "fix", "fix2", "fix3", "marketdata", "stream")


def test_a_part_that_works_may_say_more(tmp_path: Path) -> None:
    told = '{"seq": null, "trouble": "", "note": "works; 1 of 2 endpoints fail"}'
    server = ControlServer(
        socket_path(tmp_path, "webhooks"), CollectorRegistry(), {"health": lambda _: told}
    )
    server.start()
    seen = part(Watch(tmp_path, monotonic=Clock()), "webhooks", 7)
    server.close()
    assert seen == Part("webhooks", "ok", "works; 1 of 2 endpoints fail")


def test_anybody_may_ask_and_the_parts_are_asked_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    asked: list[str] = []

    def ask(path: Path, *words: str, timeout_s: float) -> str:
        asked.append(path.stem)
        return '{"seq": 1, "trouble": ""}'

    monkeypatch.setattr(health, "ask", ask)
    watch = Watch(tmp_path, monotonic=clock)
    for _ in range(100):
        watch.look(1)
    assert asked == ["history", "fix", "marketdata", "stream", "settlement", "webhooks"]
    clock.now += 1.0
    watch.look(1)
    assert len(asked) == 12


def test_an_engine_whose_numbers_begin_again_makes_nobody_late() -> None:
    lag = Lag()
    assert lag.seconds(1000, 1000, 1.0) == 0
    assert lag.seconds(5, 0, 50.0) == 0
    assert lag.seconds(5, 0, 60.0) == 10.0
    assert follower_part("x", lag, 5, 5, "", 61.0) == Part("x", "ok", "at seq 5", 5)


@pytest.mark.parametrize(
    ("free", "state"),
    [(1 << 40, "ok"), ((1 << 30) - 1, "low"), ((16 << 20) - 1, "full"), (0, "full")],
)
def test_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    folders = {tmp_path: free, Path("/other"): 1 << 41, Path("/gone"): None}
    monkeypatch.setattr(health, "free_bytes", folders.get)
    seen = disk_part(folders)
    assert (seen.part, seen.state) == ("disk", state)
    assert f"{free >> 20} MiB free in {tmp_path}" in seen.detail


def test_a_disk_on_which_no_file_can_be_made_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (health.free_bytes(tmp_path) or 0) > 0
    assert health.free_bytes(tmp_path / "nothing") is None

    class Disk:
        f_files, f_favail, f_bavail, f_frsize = 100, 0, 1 << 30, 4096

    monkeypatch.setattr("os.statvfs", lambda folder: Disk)
    assert health.free_bytes(tmp_path) == 0


def test_the_terminal_hears_of_a_full_disk_once_and_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tandem.up import DiskWatch

    room = {tmp_path: 1 << 40}
    monkeypatch.setattr(health, "free_bytes", room.get)
    said: list[str] = []
    watch = DiskWatch((tmp_path,), said.append)
    for free in (1 << 40, 1 << 40, 1 << 29, 1 << 29, 0, 0, 1 << 40):
        room[tmp_path] = free
        watch.look()
    assert [text.split(":")[0] for text in said] == [
        "little room", "the disk is full", "has room again",
    ]  # fmt: skip
