"""Free ports: all different, free, and none that an outgoing connection would be given."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from config import ports


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
        assert ports.free_ports(1) == [other]
