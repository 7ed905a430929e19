"""Free ports: all different, free, and none that an outgoing connection would be given."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config import ports
from tests.support import pace

ROOT = Path(ports.__file__).parent.parent


def test_ports_are_different_free_and_not_for_outgoing_connections() -> None:
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    first = int(ports.OUTGOING.read_text().split()[0])
    for port in found:
        assert ports.LOWEST <= port < first or first <= 2 * ports.LOWEST
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


@pytest.mark.parametrize("text", ["1024 65535\n", None])
def test_where_all_ports_may_be_outgoing_the_kernel_picks(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "range"
    if text is not None:
        known.write_text(text)
    monkeypatch.setattr(ports, "OUTGOING", known)
    found = ports.free_ports(3)
    assert len(set(found)) == 3
    if text is None:
        assert all(port < ports.OUTGOING_FIRST for port in found)


def test_a_port_that_somebody_has_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.free_ports(1)[0]))
        other = ports.free_ports(1)[0]
        wanted = iter([taken.getsockname()[1], other])

        class Next:
            def randint(self, low: int, high: int) -> int:
                return next(wanted)

        monkeypatch.setattr(ports, "_random", Next())
        monkeypatch.setattr(ports, "_promised", deque())
        assert ports.free_ports(1) == [other]


ASKS = """
import random, sys
from config import ports
wanted = iter([int(sys.argv[1]), int(sys.argv[2])])
ports._random.randint = lambda low, high: next(wanted)
print(ports.free_ports(1)[0])
"""


def test_a_port_that_was_promised_is_not_promised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by this process nor by another one, until it has ended or has told many others."""

    def told_another(wanted: int, other: int) -> int:
        command = [sys.executable, "-c", ASKS, str(wanted), str(other)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT,
                              timeout=pace.seconds(30))  # fmt: skip
        return int(done.stdout)

    monkeypatch.setattr(ports, "PROMISED_MAX", 2)
    monkeypatch.setattr(ports, "_promised", deque())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        other = free.getsockname()[1]
    (first,) = ports.free_ports(1)
    assert told_another(first, other) == other
    assert first not in ports.free_ports(2)
    assert told_another(first, other) == first, "two later ones have taken its place"


def test_where_nothing_can_be_noted_ports_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_register", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert len(set(ports.free_ports(3))) == 3


@contextmanager
def outgoing(port: int) -> Iterator[socket.socket]:
    """An outgoing connection that has the port, as the kernel may give it one."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as one:
        one.bind(("127.0.0.1", port))
        one.connect(there.getsockname())
        # Ended with a reset, so that the port is free at once and not in a minute.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        yield one


def picked_by_the_kernel() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_port_that_an_outgoing_connection_has_is_told_and_taken_when_it_is_free() -> None:
    port, stopping, told = picked_by_the_kernel(), threading.Event(), list[str]()
    waits = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        waits.set()

    found: list[socket.socket | None] = []
    with outgoing(port):
        taking = threading.Thread(
            target=lambda: found.append(ports.take("127.0.0.1", port, stopping, tell))
        )
        taking.start()
        assert waits.wait(pace.seconds(10))
    taking.join(pace.seconds(10))
    (taken,) = found
    assert taken is not None and taken.getsockname() == ("127.0.0.1", port)
    assert len(told) == 1 and f"127.0.0.1 port {port} is taken" in told[0]
    if port >= ports._outgoing_first():
        assert "choose a lower one" in told[0]
    # It lets nobody in until it listens, and then it does.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), pace.seconds(1))
    taken.listen()
    socket.create_connection(("127.0.0.1", port), pace.seconds(1)).close()
    taken.close()


def test_who_waits_for_a_port_can_be_ended_and_what_cannot_be_had_is_said() -> None:
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert ports.take("127.0.0.1", port, stopping, lambda text: stopping.set()) is None
    stopping.clear()
    with pytest.raises(OSError, match="cannot listen on 192.0.2.1 port 9: ") as error:
        ports.take("192.0.2.1", 9, stopping, pytest.fail)
    assert error.value.errno == errno.EADDRNOTAVAIL
