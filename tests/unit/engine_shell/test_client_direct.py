"""The client without a reader thread: the same answers and the same outcomes of failures."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.client import (
    DirectEngineClient,
    EngineRefused,
    EngineTimeout,
    EngineUnavailable,
    queries,
)
from engine.wire import PROTOCOL_VERSION, Dropped, Welcome, WireError, encode_frame
from tests.support import pace
from tests.unit.engine_shell.harness import EngineThread, Start, new_order


def test_it_submits_asks_and_refuses_like_the_other_client(start: Start) -> None:
    engine: EngineThread = start()
    client = DirectEngineClient(str(engine.path), "direct", timeout_s=pace.seconds(5))
    assert client.connect().seq == engine.exchange.seq
    outcome = client.submit(new_order(1))
    assert not outcome.duplicate and outcome.transaction.command == new_order(1)
    answer = client.fetch(queries.Balances("alice"), min_seq=outcome.transaction.seq)
    assert answer.as_of_seq >= outcome.transaction.seq and answer.value
    with pytest.raises(EngineRefused):
        client.ask("no_such_query")
    status = client.fetch(queries.Status()).value
    assert status.seq == outcome.transaction.seq, "a refusal spoils no connection"
    client.close()
    with pytest.raises(EngineUnavailable) as closed:
        client.fetch(queries.Status())
    assert closed.value.outcome == "not_applied"


def test_many_threads_get_their_own_answers(start: Start) -> None:
    client = DirectEngineClient(str(start().path), "direct", timeout_s=pace.seconds(5))

    def submit(number: int) -> str:
        order = new_order(number)
        command = client.submit(order).transaction.command
        assert command == order
        return order.client_order_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(submit, range(200)))) == 200
    assert len(client.fetch(queries.OpenOrders("alice")).value) == 200
    assert len(client._idle) <= 8
    client.close()


def test_a_restarted_engine_is_noticed_before_anything_is_sent(start: Start) -> None:
    engine = start()
    client = DirectEngineClient(str(engine.path), "direct", timeout_s=pace.seconds(5))
    client.submit(new_order(1))
    engine.stop()
    for line in client._idle:
        line._used_at = 0.0  # As if it had rested.
    with pytest.raises(EngineUnavailable) as away:
        client.submit(new_order(2))
    assert away.value.outcome == "not_applied"


def test_what_cannot_be_encoded_leaves_the_connection_in_order(start: Start) -> None:
    client = DirectEngineClient(str(start().path), "direct", timeout_s=pace.seconds(5))
    with pytest.raises(WireError):
        client.submit(new_order("x" * (1 << 21)))
    client.submit(new_order(1))
    assert len(client._idle) == 1


class Peer:
    """An engine that says Welcome and then what a test wants."""

    def __init__(self, folder: Path, *says: bytes) -> None:
        self.path = folder / "peer.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.says = says
        self.end = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        end, _ = self.listener.accept()
        with end:
            end.recv(65536)
            end.sendall(encode_frame(Welcome(PROTOCOL_VERSION, "boot", 0, 0)))
            for part in self.says:
                end.recv(65536)
                end.sendall(part)
            if not self.says:
                self.end.wait(pace.seconds(10))


def test_a_command_without_an_answer_may_have_been_done(tmp_path: Path) -> None:
    peer = Peer(tmp_path)
    client = DirectEngineClient(str(peer.path), "direct", timeout_s=pace.seconds(5))
    with pytest.raises(EngineTimeout) as late:
        client.submit(new_order(1), timeout_s=0.05)
    assert late.value.outcome == "unknown"
    assert not client._idle, "the late answer must not meet another request"
    peer.end.set()


@pytest.mark.parametrize(
    "said", [encode_frame(Dropped("too slow", 1)), b"\x00", b"\xff" * 8, b"\x00\x00\x00\x01\x99"]
)
def test_a_connection_lost_on_the_way_leaves_a_command_unknown(
    tmp_path: Path, said: bytes
) -> None:
    client = DirectEngineClient(str(Peer(tmp_path, said).path), "direct", timeout_s=pace.seconds(5))
    with pytest.raises(EngineUnavailable) as lost:
        client.submit(new_order(1))
    assert lost.value.outcome == "unknown"
    assert not client._idle


def test_a_question_lost_on_the_way_has_changed_nothing(tmp_path: Path) -> None:
    client = DirectEngineClient(
        str(Peer(tmp_path, b"\x00").path), "direct", timeout_s=pace.seconds(5)
    )
    with pytest.raises(EngineUnavailable) as lost:
        client.fetch(queries.Status())
    assert lost.value.outcome == "not_applied"


def test_a_forked_process_makes_connections_of_its_own(start: Start) -> None:
    client = DirectEngineClient(str(start().path), "direct", timeout_s=pace.seconds(5))
    client.fetch(queries.Status())
    (line,) = client._idle
    line._process = os.getpid() + 1
    client.fetch(queries.Status())
    assert client._idle and client._idle[0] is not line
