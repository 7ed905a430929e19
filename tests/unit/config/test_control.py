"""The control socket: private, bounded, and never in the way of its process."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from config.control import (
    LINE_BYTES_MAX,
    ControlError,
    ControlServer,
    Refusal,
    ask,
    control_folder,
    socket_path,
)
from tests.support import pace


def echo(words: list[str]) -> str:
    if words == ["never"]:
        raise Refusal("that is not done")
    if words == ["broken"]:
        raise ZeroDivisionError("oops")
    return "+".join(words)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    # Longer than a socket's path may be, as data folders sometimes are.
    data = tmp_path / ("d" * 100)
    registry = CollectorRegistry()
    Counter("tandem_things", "Things", registry=registry).inc(3)
    found = socket_path(data, "thing")
    server = ControlServer(found, registry, {"echo": echo})
    server.start()
    yield found
    server.close()


def test_it_answers_words_and_metrics(path: Path) -> None:
    assert ask(path, "echo", "a", "b") == "a+b"
    assert "tandem_things_total 3.0" in ask(path, "metrics")


def test_only_its_owner_can_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["echo", "never"], "thing refuses: that is not done"),
        (["echo", "broken"], "thing refuses: it failed: ZeroDivisionError: oops"),
        (["what"], "thing refuses: known here are echo, metrics"),
        ([""], "thing refuses: known here are echo, metrics"),
    ],
)
def test_a_refusal_says_why_and_the_next_is_answered(
    path: Path, words: list[str], answer: str
) -> None:
    with pytest.raises(ControlError) as error:
        ask(path, *words)
    assert str(error.value) == answer
    assert ask(path, "echo", "on") == "on"


def test_rubbish_does_not_end_it(path: Path) -> None:
    for data in (b"\xff\xfe\n", b"x" * (LINE_BYTES_MAX * 2), b""):
        with socket.socket(socket.AF_UNIX) as client:
            folder = path.parent
            # Through the folder's descriptor, as the path is too long.
            number = os.open(folder, os.O_RDONLY)
            client.connect(f"/proc/self/fd/{number}/{path.name}")
            os.close(number)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(pace.seconds(5))
            try:
                assert client.recv(100).startswith(b"refused")
            except ConnectionError:
                assert len(data) > LINE_BYTES_MAX  # What is left unread ends in a reset.
    assert ask(path, "echo", "still", "there") == "still+there"


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    control_folder(tmp_path).mkdir(mode=0o700)
    path = socket_path(tmp_path, "thing")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(ControlError, match="thing does not answer: Connection refused"):
        ask(path, "echo")
    server = ControlServer(path, CollectorRegistry(), {"echo": echo})
    server.start()
    assert ask(path, "echo", "new") == "new"
    server.close()
    with pytest.raises(ControlError, match="thing does not answer: No such file"):
        ask(path, "echo")
