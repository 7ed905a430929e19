"""The files for running a venue in earnest: units, containers, and TLS in front, end to end."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from websockets.sync.client import connect

from config import container
from config.awake import DEVICE
from config.ports import free_ports
from config.settings import load
from tandem.demo.venue import TemporaryVenue
from tandem.processes import venue_processes
from tests.fix.rawfix import Closed, RawFix
from tests.support import pace
from tests.support.signing import signed_headers

pytestmark = pytest.mark.xdist_group("venues")
ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "config"
LISTENED, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of clients: one that the allow-lists hold, and one that they do not."""
CHANGES = {
    'comp_id = "TANDEM"\n': 'comp_id = "TANDEM"\nproxy_protocol = true\n',
    '[stream]\n': 'proxies = ["127.0.0.1"]\n\n[stream]\n',
    'comp_id = "ALICE"\n': f'comp_id = "ALICE"\nallow = ["{LISTENED}/32"]\n',
    'secret = "demo-bob-trade-secret"\n':
        f'secret = "demo-bob-trade-secret"\nallow = ["{LISTENED}/32"]\n',
}  # fmt: skip


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporaryVenue]:
    with TemporaryVenue(tmp_path_factory.mktemp("deploy"), print, CHANGES) as one:
        yield one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "venue.crt", folder / "venue.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=venue.test", "-addext",
         "subjectAltName=DNS:venue.test", "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    return crt, key


def until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + pace.seconds(15)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), pace.seconds(1)).close()
            return
        except OSError:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


# TLS for FIX.


@pytest.fixture(scope="module")
def stunnel(
    venue: TemporaryVenue, certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:  # fmt: skip
    program = shutil.which("stunnel4") or shutil.which("stunnel")
    if program is None:
        pytest.skip("stunnel is not installed (Debian: apt-get install stunnel4)")
    (port,) = free_ports(1)
    text = (CONFIG / "stunnel" / "tandem.conf").read_text()
    for old, new in (
        ("0.0.0.0:9879", f"127.0.0.1:{port}"),
        ("127.0.0.1:9878", f"127.0.0.1:{venue.settings.fix.port}"),
        ("/etc/tandem/tls/fix.crt", str(certificate[0])),
        ("/etc/tandem/tls/fix.key", str(certificate[1])),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("stunnel") / "stunnel.conf"
    path.write_text(text)
    process = subprocess.Popen(
        [program, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(pace.seconds(10))


def over_tls(port: int, comp_id: str, source: str, context: ssl.SSLContext) -> RawFix:
    client = RawFix(("127.0.0.1", port), comp_id, source=source)
    client.socket = context.wrap_socket(client.socket, server_hostname="venue.test")
    return client


def test_fix_over_tls_with_the_clients_own_address(
    stunnel: int, certificate: tuple[Path, Path]
) -> None:
    context = trusting(certificate)
    alice = over_tls(stunnel, "ALICE", LISTENED, context)
    assert alice.logon()["35"] == "A"
    alice.send("D", "11=tls-1|55=BTC-USD|54=1|38=0.1|40=2|44=100|59=1|60=20300101-00:00:00|")
    assert (alice.expect("8")["150"], alice.received[-1]["11"]) == ("0", "tls-1")
    alice.send("5")
    assert alice.expect("5")
    stranger = over_tls(stunnel, "ALICE", OTHER, context)
    stranger.send("A", stranger.logon_fields())
    assert "Address is not allowed" in stranger.expect("5")["58"]
    with pytest.raises((Closed, OSError)):
        stranger.receive()


def test_fix_without_tls_is_not_let_in(stunnel: int) -> None:
    bob = RawFix(("127.0.0.1", stunnel), "BOB")
    bob.send("A", bob.logon_fields())
    with pytest.raises((Closed, OSError)):
        while True:
            bob.receive()


# TLS for the account API and the stream.


@pytest.fixture(scope="module")
def nginx(
    venue: TemporaryVenue, certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[int]:  # fmt: skip
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("nginx")
    text = (CONFIG / "nginx" / "tandem.conf").read_text()
    for old, new in (
        ("0.0.0.0:8443", f"127.0.0.1:{port}"),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{venue.settings.http.port}"),
        ("http://127.0.0.1:8081", f"http://127.0.0.1:{venue.settings.stream.port}"),
        ("/etc/tandem/tls/api.crt", str(certificate[0])),
        ("/etc/tandem/tls/api.key", str(certificate[1])),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "tandem.conf").write_text(text)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log stderr warn;\nworker_processes 1;\n"
        "events {}\nhttp {\naccess_log off;\n" + temporary + "include tandem.conf;\n}\n"
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(pace.seconds(10))


def asked(
    port: int, certificate: tuple[Path, Path], source: str, method: str, target: str,
    body: bytes = b"", headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, object]]:  # fmt: skip
    """Sign as bob and send over TLS from an address."""
    signed = signed_headers(
        "demo-bob-trade", time.time_ns() // 1_000_000, method, target, body,
    )  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, 10, (source, 0))
    connection.connect()
    connection.sock = trusting(certificate).wrap_socket(
        connection.sock, server_hostname="venue.test"
    )
    kind = {"Content-Type": "application/json"} if body else {}
    connection.request(method, target, body or None, signed | kind | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def test_the_api_behind_nginx_knows_its_callers(
    nginx: int, certificate: tuple[Path, Path]
) -> None:
    body = (b'{"client_order_id":"tls-1","symbol":"BTC-USD","side":"buy","quantity":"0.1",'
            b'"price":"100"}')  # fmt: skip
    status, answer = asked(nginx, certificate, LISTENED, "POST", "/v1/orders", body)
    assert (status, answer.get("code")) == (201, None), answer
    target = "/v1/orders?symbol=BTC-USD&limit=1"
    assert asked(nginx, certificate, LISTENED, "GET", target)[0] == 200
    for claim in ({}, {"X-Forwarded-For": LISTENED}):
        status, answer = asked(nginx, certificate, OTHER, "GET", target, headers=claim)
        assert (status, answer["code"]) == (403, "source_not_allowed")


def test_the_stream_behind_nginx_knows_its_callers(
    nginx: int, certificate: tuple[Path, Path]
) -> None:
    for source, code in ((LISTENED, None), (OTHER, "source_not_allowed")):
        headers = signed_headers(
            "demo-bob-trade", time.time_ns() // 1_000_000, "GET", "/v1/stream", b"",
        )  # fmt: skip
        params = {
            "key": headers["X-Tandem-Key"], "timestamp": headers["X-Tandem-Timestamp"],
            "signature": headers["X-Tandem-Signature"],
        }  # fmt: skip
        raw = socket.create_connection(
            ("127.0.0.1", nginx), pace.seconds(10), source_address=(source, 0)
        )
        with connect(
            "wss://venue.test/v1/stream", sock=raw, ssl=trusting(certificate),
            server_hostname="venue.test", compression=None, open_timeout=pace.seconds(10),
        ) as stream:  # fmt: skip
            stream.send(json.dumps({"op": "login", "req_id": 1, "params": params}))
            answer = json.loads(stream.recv(pace.seconds(10)))
            assert answer["ok"] is (code is None)
            assert (answer.get("error") or {}).get("code") == code


def test_a_proxy_that_is_not_named_is_not_believed(venue: TemporaryVenue) -> None:
    """From another loopback address straight to the API: X-Forwarded-For counts nothing."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", venue.settings.http.port, 10, (OTHER, 0)
    )
    target = "/v1/balances"
    signed = signed_headers(
        "demo-bob-trade", time.time_ns() // 1_000_000, "GET", target, b"",
    )  # fmt: skip
    connection.request("GET", target, headers=signed | {"X-Forwarded-For": LISTENED})
    assert connection.getresponse().status == 403
    connection.close()


# Units and containers.


SECOND_GATEWAY = "tandem@fix2.service.d/gateway.conf"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_units_are_what_systemd_understands(tmp_path: Path) -> None:
    shutil.copytree(CONFIG / "systemd", tmp_path / "units")
    for path in (*(tmp_path / "units").glob("*.service"), tmp_path / "units" / SECOND_GATEWAY):
        text = path.read_text().replace("/opt/tandem/.venv/bin/python", sys.executable)
        path.write_text(text)
    names = re.findall(r"^Wants=(.*)$", (CONFIG / "systemd/tandem.target").read_text(), re.M)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names, "tandem@fix2.service", "tandem.target"],
        capture_output=True, text=True, cwd=tmp_path / "units",
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}/units:", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    about_us = [line for line in done.stderr.splitlines() if "tandem" in line]
    assert done.returncode == 0 and not about_us, done.stderr


def test_the_engine_alone_gets_the_device_and_by_the_group_of_its_user() -> None:
    """For engine.keep_awake. A machine without the device starts the engine all the same."""
    units = CONFIG / "systemd"
    (group,) = re.findall(r"^Group=(.*)$", (units / "tandem@.service").read_text(), re.M)
    (rule,) = re.findall(r"^KERNEL.*$", (CONFIG / "udev" / "70-tandem.rules").read_text(), re.M)
    assert rule == f'KERNEL=="{DEVICE.name}", GROUP="{group}", MODE="0660"'
    files = [path for path in units.rglob("*") if path.is_file()]
    named = [path for path in files if DEVICE.name in path.read_text()]
    assert named == [units / "tandem@engine.main.service.d" / "engine.conf"]
    lines = named[0].read_text().splitlines()
    assert f"BindPaths=-{DEVICE}" in lines  # The minus: missing is no fault.
    assert f"DeviceAllow={DEVICE} rw" in lines


def test_units_and_containers_start_every_process() -> None:
    modules = {process.module for process in venue_processes()}
    target = (CONFIG / "systemd" / "tandem.target").read_text()
    assert set(re.findall(r"^Wants=tandem@(.*)\.service$", target, re.M)) == modules
    services = composed("production")
    assert {service["entrypoint"][2] for service in services.values()} == modules


def test_a_second_gateway_has_a_unit_that_starts_it() -> None:
    (second,) = (one for one in venue_processes(gateways=2) if one not in venue_processes())
    lines = (CONFIG / "systemd" / SECOND_GATEWAY).read_text().splitlines()
    assert SECOND_GATEWAY == f"tandem@{second.name}.service.d/gateway.conf"
    command = f"/opt/tandem/.venv/bin/python -m {second.module} %i"
    assert [line for line in lines if line.startswith("ExecStart=")] == [
        "ExecStart=", f"ExecStart={command}",
    ]  # fmt: skip
    assert second.arguments == (second.name,), "which is %i"


def composed(*profiles: str) -> dict[str, Any]:
    """The services that start with these profiles, as the Compose specification has it."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return {
        name: service for name, service in services.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }  # fmt: skip


def test_no_profile_starts_the_services_of_the_other() -> None:
    assert composed() == {}, "a service without a profile starts beside every other"
    assert set(composed("demo")) == {"demo"}
    assert "demo" not in composed("production") and len(composed("production")) > 5


def test_every_service_has_a_health_check_that_the_command_line_knows() -> None:
    names = {process.name for process in venue_processes()}
    for name, service in composed("demo", "production").items():
        command, *words = service["healthcheck"]["test"][1:]
        assert command == "tandem" and words == (
            ["health"] if name == "demo" else ["health", name]
        )
        assert name == "demo" or name in names


def test_the_demo_is_published_on_loopback_alone_and_production_shares_the_host() -> None:
    demo = composed("demo")["demo"]
    assert "network_mode" not in demo
    published = [port.split(":") for port in demo["ports"]]
    assert all(host == "127.0.0.1" and outer == inner for host, outer, inner in published)
    settings = load(CONFIG / "demo.toml")
    assert {int(inner) for _, _, inner in published} == {
        settings.fix.port, settings.http.port, settings.stream.port, settings.metrics.port,
    }  # fmt: skip
    assert demo["environment"] == {container.VARIABLE: "1"}
    assert all(one["network_mode"] == "host" for one in composed("production").values())


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The root of a container with a network of its own."""
    (tmp_path / ".dockerenv").touch()
    for name in ("lo", "eth0"):
        (tmp_path / "sys" / "class" / "net" / name).mkdir(parents=True)
    return tmp_path


def test_the_demo_listens_beyond_loopback_in_a_network_of_its_own_alone(inside: Path) -> None:
    demo = load(CONFIG / "demo.toml")
    assert container.refusal(demo, inside) == ""
    there = container.listening(demo)
    assert {there.fix.host, there.http.host, there.stream.host, there.metrics.host} == {"0.0.0.0"}
    # The network of the host: a card, a bridge of containers.
    for name, what in (("eth1", "device"), ("docker0", "bridge")):
        (inside / "sys" / "class" / "net" / name / what).mkdir(parents=True)
        assert f"{name} is a device" in container.refusal(demo, inside)
        shutil.rmtree(inside / "sys" / "class" / "net" / name)
    (inside / ".dockerenv").unlink()
    assert "this is none" in container.refusal(demo, inside)
    (inside / "run").mkdir()
    (inside / "run" / ".containerenv").touch()
    assert container.refusal(demo, inside) == ""
    shutil.rmtree(inside / "sys")
    assert "does not say" in container.refusal(demo, inside)
    real = msgspec.structs.replace(demo, environment="production")
    assert "is for the demo" in container.refusal(real, inside)


def test_a_host_that_claims_to_be_a_container_is_refused(tmp_path: Path) -> None:
    claim = {container.VARIABLE: "1"}
    if container.refusal(load(CONFIG / "demo.toml")):
        with pytest.raises(ValueError, match=container.VARIABLE):
            load(CONFIG / "demo.toml", claim)
    assert load(CONFIG / "demo.toml", {container.VARIABLE: "0"}).http.host == "127.0.0.1"
    # And what the file itself says is refused as ever, claim or not.
    text = (CONFIG / "demo.toml").read_text()
    exposed = tmp_path / "venue.toml"
    open_http = re.sub(r'(?s)(\[http\].*?host = )"127.0.0.1"', r'\1"0.0.0.0"', text, count=1)
    exposed.write_text(open_http)
    with pytest.raises(ValueError, match="is a demo secret"):
        load(exposed, claim)


def test_the_container_file_copies_what_is_there() -> None:
    text = (ROOT / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
    assert (ROOT / ".containerignore").read_text().split()[0] == ".git"


def test_the_production_example_is_refused_until_it_is_filled_in() -> None:
    with pytest.raises(ValueError, match="password_hash"):
        load(CONFIG / "production.example.toml")
