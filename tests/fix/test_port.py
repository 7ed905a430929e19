"""The public port is taken while the gateway is away: it says so, and goes on when it is free."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

import pytest

from tests.fix.processes import Process, Venue
from tests.fix.rawfix import RawFix
from tests.support import pace

pytestmark = [pytest.mark.serial, pytest.mark.timeout(180)]


def test_a_port_that_an_outgoing_connection_took_meanwhile_is_waited_for_aloud(
    tmp_path: Path,
) -> None:
    """On a port that the kernel gives to outgoing connections a restart may meet one of them."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    venue = Venue(tmp_path, {r"port = 9878": f"port = {port}"})
    try:
        venue.start()
        assert venue.gateway is not None
        with RawFix(venue.address, "ALICE") as alice:
            alice.logon(reset=True)
        venue.gateway.kill()
        with socket.create_server(("127.0.0.1", 0)) as there, socket.socket() as other:
            # What a killed gateway leaves of its connections does not keep the port: this does.
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            other.connect(there.getsockname())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            venue.gateway = Process("fix_gateway.main", venue.environment)
            line = venue.gateway.wait_for("waiting_for_port")
            assert line["level"] == "error"
            assert f"127.0.0.1 port {port} is taken by another program" in line["reason"]
            assert venue.gateway.popen.poll() is None, "it tries again by itself"
        free = time.monotonic()
        venue.gateway.wait_for("ready")
        assert time.monotonic() - free < pace.seconds(10)
        with RawFix(venue.address, "ALICE") as alice:
            alice.logon(reset=True)
            alice.order("a-1", 1)
            assert alice.expect("8")["150"] == "0"
    finally:
        venue.stop()


def test_a_gateway_that_waits_for_its_port_ends_when_it_is_told_to(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    port = int(venue.config.read_text().split("[fix]")[1].split("port = ")[1].split()[0])
    with socket.create_server(("127.0.0.1", port)):
        gateway = Process("fix_gateway.main", venue.environment)
        gateway.wait_for("waiting_for_port")
        assert gateway.stop() == 0
