"""The front door alone, with a stand-in for what lies behind it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from config.ports import take
from fix_gateway.door import listener
from fix_gateway.door.listener import FrontDoor
from fix_gateway.door.logon import Logon, Wishes
from fix_gateway.door.passage import Passage
from fix_gateway.session.life import Event, Phase
from fix_gateway.session.session import Link, Session, Sessions
from fix_gateway.settings import GatewaySettings
from tests.fix.rawfix import encode, now_text
from tests.support import pace
from tests.support.fix_desk import DICTIONARY
from tests.support.fix_settings import session_settings


class Behind:
    """Lets everybody in, one after the other."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.texts: list[str] = []
        self.news = threading.Condition()

    def enter(self, session: Session, logon: Logon, wishes: Wishes, link: Link) -> str:
        if session.phase is not Phase.FREE:
            session.handle(Event.GIVE_BACK)
        assert session.claim(link)
        session.handle(Event.HAND_OVER)
        with self.news:
            self.links.append(link)
            self.news.notify_all()
        return ""

    def farewell(self, session: Session, link: Link, text: str) -> bytes:
        with self.news:
            self.texts.append(text)
            self.news.notify_all()
        return f"58={text}".encode()

    def wait_for(self, count: int) -> bool:
        with self.news:
            return self.news.wait_for(lambda: len(self.links) >= count, pace.seconds(5))


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def door(tmp_path: Path, behind: Behind) -> Iterator[FrontDoor]:
    settings = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, DICTIONARY)
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
    alice = session_settings(password_hash=hashed)
    taken = take("127.0.0.1", 0, threading.Event(), pytest.fail)
    assert taken is not None
    def clock() -> int:
        return time.time_ns() // 1000

    running = FrontDoor(
        settings, Sessions(settings, [alice]), behind.enter, behind.farewell, clock, taken,
        Passage(tmp_path / "nobody", "TANDEM", [], clock),
    )  # fmt: skip
    running.start()
    yield running
    running.stop()


def logon(door: FrontDoor) -> socket.socket:
    client = socket.create_connection(door.address, pace.seconds(5))
    fields = f"35=A|34=1|49=ALICE|52={now_text()}|56=TANDEM|98=0|108=30|553=alice|554=secret|"
    client.sendall(encode(fields))
    return client


def test_the_end_of_the_last_connection_may_come_after_the_next_logon(
    door: FrontDoor, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "LEAVING_S", 1.0)
    first = logon(door)
    assert behind.wait_for(1)
    with logon(door):
        threading.Timer(0.3, first.close).start()
        assert behind.wait_for(2)
    assert door.refused == 0


def test_who_stays_keeps_the_session(door: FrontDoor, behind: Behind) -> None:
    with logon(door):
        assert behind.wait_for(1)
        with logon(door) as second:
            assert second.recv(100) == b"", "closed without a word"
    assert door.refused == len(behind.links) == 1
