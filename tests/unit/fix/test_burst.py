"""Reports that go to one client at once share packets; what is alone is never kept back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from fix_gateway.runtime.burst import TOGETHER_MAX, Burst
from fix_gateway.session.session import Link
from tests.support import pace


class Client:
    """A session with a connection, seen from both ends."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.far = socket.create_connection(server.getsockname(), pace.seconds(5))
            near, _ = server.accept()
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = Link(near, "127.0.0.1")
        self.session: Any = SimpleNamespace(link=self.link)

    @property
    def corked(self) -> bool:
        return bool(self.link.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.far.recv(size - len(data))
        return data

    def close(self) -> None:
        self.far.close()
        self.link.socket.close()


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def send(burst: Burst, client: Client, text: bytes, count: int = 1) -> None:
    burst.add(client.session, count)
    client.link.socket.sendall(text)


def test_one_report_is_not_kept_back(client: Client) -> None:
    burst = Burst()
    send(burst, client, b"one")
    assert not client.corked
    assert client.read(3) == b"one"
    burst.end()
    assert not client.corked


def test_further_ones_wait_for_the_end_of_the_burst(client: Client) -> None:
    burst = Burst()
    send(burst, client, b"one")
    send(burst, client, b"two")
    assert client.corked
    send(burst, client, b"three")
    burst.end()
    assert not client.corked
    assert client.read(11) == b"onetwothree"


def test_the_reports_of_one_transaction_go_together(client: Client) -> None:
    burst = Burst()
    send(burst, client, b"fifty", 50)
    assert client.corked
    burst.end()
    assert not client.corked
    assert client.read(5) == b"fifty"


@pytest.mark.parametrize("step", [1, 2, 5, TOGETHER_MAX + 1])
def test_in_a_long_burst_nothing_waits_for_more_than_a_few(step: int) -> None:
    corks: list[bool] = []

    class Corked:
        cork = corks.append

    session: Any = SimpleNamespace(link=Corked())
    burst = Burst()
    waiting, longest = 0, 0
    for _ in range(4 * TOGETHER_MAX):
        corks.clear()
        burst.add(session, step)
        if False in corks:
            waiting = 0  # What was kept back has gone.
        waiting += step
        longest = max(longest, waiting)
    corks.clear()
    burst.end()
    assert longest <= max(step, TOGETHER_MAX)
    assert corks == [False] if waiting > 1 else corks == []


def test_every_burst_begins_anew(client: Client) -> None:
    burst = Burst()
    for text in (b"a", b"b", b"c"):
        send(burst, client, text)
        assert not client.corked
        burst.end()
    assert client.read(3) == b"abc"


def test_clients_do_not_wait_for_each_other(client: Client) -> None:
    other = Client()
    burst = Burst()
    send(burst, client, b"1")
    send(burst, other, b"2")
    send(burst, client, b"3")
    assert client.corked
    assert not other.corked
    burst.end()
    assert not client.corked
    assert other.read(1) == b"2"
    other.close()


def test_a_client_that_leaves_amid_a_burst_disturbs_nobody(client: Client) -> None:
    burst = Burst()
    send(burst, client, b"1")
    client.link.socket.close()
    burst.add(client.session, 1)
    client.session.link = None
    burst.add(client.session, 1)
    burst.end()
