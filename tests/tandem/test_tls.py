"""FIX over TLS through HAProxy as we configure it: who gets in, and whom a bad peer disturbs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import simplefix

from config.ports import free_ports
from tandem import certificates
from tandem.demo.venue import TemporaryVenue
from tests.fix.rawfix import Closed, RawFix, now_text
from tests.support import pace
from tests.support.haproxy import CONFIGURATION, SOURCE, HAProxy, program
from tests.tandem.tls_clients import context, over_tls, signed

pytestmark = pytest.mark.serial
COMP_IDS = ("ALICE", "BOB", "CAROL")
ROUND_TRIPS = 150
QUICKFIX_TLS = (
    "quickfix-tls==1.16.0.1rc1 "
    "--hash=sha256:04573ccfb68b6c8c64e4e9eb6258919598b9f43a2a233a18b6123dd12cba4e7e"
)
"""The wheel for Python 3.11 on x86-64; elsewhere the test says that there is none."""
AS_BEFORE = 3.0
"""So many times as long may a round trip take, at the median, beside bad peers."""


class Site:
    """Certificates, a venue with ALICE and BOB bound to theirs, and HAProxy between."""

    def __init__(self, folder: Path, venue: TemporaryVenue, proxy: HAProxy) -> None:
        self.folder = folder
        self.venue = venue
        self.proxy = proxy
        self.port = proxy.port

    def client(self, comp_id: str, source: str, shown: str | Path = "") -> RawFix:
        return over_tls(self.port, comp_id, source, context(self.folder, shown or comp_id))

    def refused(self, comp_id: str) -> list[str]:
        log = (self.venue.settings.data / "log" / "fix.log").read_text()
        return re.findall(rf'"comp_id": "{comp_id}", "reason": "([^"]*)"', log)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    program()
    folder = tmp_path_factory.mktemp("tls") / "c"
    made = certificates.make(folder, dict(zip(COMP_IDS, COMP_IDS, strict=True)), ["localhost"], 2)
    changes = {
        'comp_id = "TANDEM"\n':
            f'comp_id = "TANDEM"\nproxy_protocol = true\nproxies = ["{SOURCE}"]\n'
            "explain_refusals = false\n",
        'comp_id = "ALICE"\n':
            'comp_id = "ALICE"\nclient_certificate = "ALICE"\nallow = ["127.0.0.0/16"]\n',
        'comp_id = "BOB"\n':
            f'comp_id = "BOB"\nclient_certificate = "{made[1].fingerprint}"\n',
    }  # fmt: skip
    with (
        TemporaryVenue(tmp_path_factory.mktemp("venue"), print, changes) as venue,
        HAProxy(folder, venue.settings.fix.port) as proxy,
    ):
        yield Site(folder, venue, proxy)


def round_trips(client: RawFix, count: int = ROUND_TRIPS) -> list[float]:
    """How long it takes from a TestRequest to its Heartbeat, each."""
    took = []
    for number in range(count):
        begin = time.perf_counter()
        client.send("1", f"112=t{number}|")
        while client.receive().get("112") != f"t{number}":
            continue
        took.append(time.perf_counter() - begin)
    return took


def undisturbed(before: list[float], beside: list[float]) -> None:
    """Judge round trips by those of the same client a moment ago."""
    ratio = statistics.median(beside) / statistics.median(before)
    print(f"{statistics.median(before) * 1e6:.0f} us before, {ratio:.2f} times as long beside")
    assert ratio < AS_BEFORE, f"{ratio:.1f} times as long"
    assert max(beside) < pace.seconds(1), "a session stood still"


# Who gets in.


@pytest.mark.parametrize("clients", ["required", "optional"])
@pytest.mark.parametrize("unprivileged", [True, False])
def test_haproxy_understands_the_configuration(
    site: Site, clients: str, unprivileged: bool
) -> None:
    """Without a warning, as a service of the system has it and as `tandem up --tls` does."""
    env = os.environ | {"TANDEM_TLS_FOLDER": str(site.folder), "TANDEM_TLS_CLIENTS": clients}
    if unprivileged:
        env["TANDEM_TLS_UNPRIVILEGED"] = "1"
    done = subprocess.run(
        [program(), "-c", "-V", "-f", str(CONFIGURATION)], env=env, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Configuration file is valid" in said, said
    assert "WARNING" not in said and "ALERT" not in said, said


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_a_session_and_its_certificate_are_let_in_with_the_clients_own_address(
    site: Site, version: ssl.TLSVersion, name: str
) -> None:
    alice = over_tls(site.port, "ALICE", "127.0.0.2", context(site.folder, "ALICE", version))
    assert alice.logon(reset=True)["35"] == "A"
    alice.order(f"tls-{name}")
    assert alice.expect("8")["150"] == "0"
    alice.logout()
    assert "verify=0 sha256:" in site.proxy.wait_for(f'{name} ')


def test_a_version_before_1_2_is_refused(site: Site) -> None:
    made = context(site.folder, "ALICE")
    with pytest.deprecated_call():
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion.TLSv1_1
    made.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError):
        over_tls(site.port, "ALICE", "127.0.0.2", made)


def test_a_session_may_be_bound_to_the_hash_of_its_certificate(site: Site) -> None:
    bob = site.client("BOB", "127.0.0.2")
    assert bob.logon(reset=True)["35"] == "A"
    bob.logout()
    again = signed(site.folder, site.folder / "bob-again.crt", "BOB", days=3)
    other = site.client("BOB", "127.0.1.1", again)
    other.send("A", other.logon_fields())
    assert other.closed() == b"", "the CN is right and the hash is not"


def test_a_session_that_is_bound_to_none_needs_none(site: Site) -> None:
    carol = over_tls(site.port, "CAROL", "127.0.0.2", context(site.folder))
    assert carol.logon(reset=True)["35"] == "A"
    carol.logout()


@pytest.mark.parametrize(
    ("comp_id", "shown", "source", "why"),
    [
        ("BOB", "ALICE", "127.0.1.2", "CN 'ALICE', sha256:"),
        ("ALICE", "BOB", "127.0.1.3", "CN 'BOB', sha256:"),
        ("ALICE", "", "127.0.1.4", "no client certificate"),
    ],
)
def test_another_certificate_or_none_is_one_more_silent_close(
    site: Site, comp_id: str, shown: str, source: str, why: str
) -> None:
    client = over_tls(site.port, comp_id, source, context(site.folder, shown))
    begin = time.monotonic()
    client.send("A", client.logon_fields())
    assert client.closed() == b""
    assert time.monotonic() - begin >= 0.25, "the delay of a refusal is part of every refusal"
    assert why in site.refused(comp_id)[-1]


@pytest.mark.parametrize("what", ["expired", "not yet", "of another authority", "of a server"])
def test_a_certificate_that_is_not_good_does_not_reach_the_door(
    site: Site, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.crt"
    if what == "of another authority":
        certificates.make(tmp_path / "other", {"ALICE": "ALICE"}, ["localhost"], 2)
        path = tmp_path / "other" / "clients" / "ALICE.crt"
    elif what == "not yet":
        signed(site.folder, path, "ALICE", days=1, start=1)
    else:
        days = 1 if what == "expired" else 3
        signed(site.folder, path, "ALICE", days=days, server=what == "of a server")
    before = len(site.refused("ALICE"))
    with pytest.raises((OSError, Closed)):
        client = site.client("ALICE", "127.0.1.5", path)
        # With TLS 1.3 a client is done before its certificate has been looked at.
        client.send("A", client.logon_fields())
        assert not client.receive()
    assert len(site.refused("ALICE")) == before
    site.proxy.wait_for("verify=")


def test_where_certificates_are_required_nobody_shakes_hands_without(site: Site) -> None:
    gateway = site.venue.settings.fix.port
    with HAProxy(site.folder, gateway, "required") as strict:
        with pytest.raises((OSError, Closed)):
            carol = over_tls(strict.port, "CAROL", "127.0.1.6", context(site.folder))
            carol.send("A", carol.logon_fields())
            assert not carol.receive()
        carol = over_tls(strict.port, "CAROL", "127.0.0.2", context(site.folder, "CAROL"))
        assert carol.logon(reset=True)["35"] == "A"
        carol.logout()


def test_a_proxy_header_of_a_clients_own_is_believed_nowhere(site: Site) -> None:
    """Within TLS, where HAProxy has told the truth before; and past HAProxy to the gateway."""
    claim = b"PROXY TCP4 127.0.0.2 127.0.0.1 1 2\r\n"
    inside = over_tls(site.port, "ALICE", "127.0.1.7", context(site.folder))
    inside.send_raw(claim)
    inside.send("A", inside.logon_fields())
    assert inside.closed() == b""
    past = RawFix(("127.0.0.1", site.venue.settings.fix.port), "CAROL", source="127.0.1.8")
    past.send_raw(claim)
    past.send("A", past.logon_fields())
    assert past.closed() == b""


def test_plain_fix_on_the_tls_port_and_tls_on_the_plain_port_are_closed(site: Site) -> None:
    plain = RawFix(("127.0.0.1", site.port), "CAROL", source="127.0.1.9")
    plain.send("A", plain.logon_fields())
    assert b"8=FIX" not in plain.closed()
    with pytest.raises(OSError):
        over_tls(site.venue.settings.fix.port, "CAROL", "127.0.1.10", context(site.folder))


# Clients of others.


def logon_bytes(comp_id: str) -> bytes:
    message = simplefix.FixMessage()
    message.append_pair(8, "FIX.4.4")
    message.append_pair(35, "A")
    message.append_pair(49, comp_id)
    message.append_pair(56, "TANDEM")
    message.append_pair(34, 1)
    message.append_pair(52, now_text())
    for tag, value in ((98, "0"), (108, "30"), (141, "Y"), (553, comp_id.lower())):
        message.append_pair(tag, value)
    message.append_pair(554, f"{comp_id.lower()}-demo")
    return bytes(message.encode())


def test_simplefix_over_pythons_ssl(site: Site) -> None:
    raw = socket.create_connection(("127.0.0.1", site.port), pace.seconds(10))
    with context(site.folder, "ALICE").wrap_socket(raw, server_hostname="localhost") as client:
        client.sendall(logon_bytes("ALICE"))
        parser, answer = simplefix.FixParser(), None
        while answer is None:
            data = client.recv(4096)
            assert data, "closed"
            parser.append_buffer(data)
            answer = parser.get_message()
        assert (answer.get(35), answer.get(56)) == (b"A", b"ALICE")


def test_openssl_s_client(site: Site) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    one = site.folder / "clients" / "BOB"
    process = subprocess.Popen(
        [openssl, "s_client", "-quiet", "-connect", f"127.0.0.1:{site.port}", "-CAfile",
         str(site.folder / "authority.crt"), "-verify_return_error", "-verify_hostname",
         "localhost", "-cert", f"{one}.crt", "-key", f"{one}.key"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(logon_bytes("BOB"))
        process.stdin.flush()
        answer = b""
        while b"\x0110=" not in answer:
            data = process.stdout.read1(4096)
            assert data, "closed"
            answer += data
        assert b"\x0135=A\x01" in answer
    finally:
        process.kill()
        process.communicate()


def test_stunnel_as_a_client(site: Site, tmp_path: Path) -> None:
    stunnel = shutil.which("stunnel4") or shutil.which("stunnel")
    if stunnel is None:
        pytest.skip("stunnel is not installed (Debian: apt-get install stunnel4)")
    (port,) = free_ports(1)
    path = tmp_path / "stunnel.conf"
    one = site.folder / "clients" / "CAROL"
    path.write_text(
        f"foreground = yes\nsyslog = no\n[venue]\nclient = yes\naccept = 127.0.0.1:{port}\n"
        f"connect = 127.0.0.1:{site.port}\ncert = {one}.crt\nkey = {one}.key\n"
        f"CAfile = {site.folder}/authority.crt\nverifyChain = yes\ncheckHost = localhost\n"
    )
    process = subprocess.Popen(
        [stunnel, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "Configuration successful" in line:
                break
        carol = RawFix(("127.0.0.1", port), "CAROL")
        assert carol.logon(reset=True)["35"] == "A"
        carol.logout()
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def quickfix_tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel: it cannot be installed beside the QuickFIX that we run on."""
    folder = tmp_path_factory.mktemp("quickfix-tls")
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{QUICKFIX_TLS}\n")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-compile",
             "--only-binary", ":all:", "--require-hashes", "--retries", "1",
             "--target", str(folder), "-r", str(wanted)],
            capture_output=True, text=True, timeout=pace.seconds(60),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("quickfix-tls could not be fetched in time")
    if done.returncode:
        pytest.skip(f"quickfix-tls could not be installed: {done.stderr.strip()[-300:]}")
    return folder


@pytest.mark.parametrize("kind", ["SSLSocketInitiator", "ThreadedSSLSocketInitiator"])
def test_quickfix_with_tls_of_its_own(
    site: Site, quickfix_tls: Path, tmp_path: Path, kind: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("quickfix_tls_client.py")), str(site.port),
         "ALICE", str(site.folder), "ALICE", str(tmp_path / "store"), kind,
         str(pace.seconds(15))],
        env=os.environ | {"PYTHONPATH": str(quickfix_tls)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=pace.seconds(60),
    )  # fmt: skip
    # It tells of the certificates that it verifies as well.
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1:] == ["150=0"], done.stdout + done.stderr


# Peers that do nothing, or slowly, and a certificate that is exchanged.


def test_silent_and_slow_peers_disturb_nobody(site: Site) -> None:
    """A hundred that never begin, a hundred that never log on, and a dripping ClientHello."""
    carol = over_tls(site.port, "CAROL", "127.0.0.2", context(site.folder))
    carol.logon(reset=True)
    quiet = site.client("BOB", "127.0.0.2")
    quiet.logon(reset=True)
    before = round_trips(carol)
    begin = time.monotonic()
    silent = [
        socket.create_connection(
            ("127.0.0.1", site.port), pace.seconds(10), source_address=("127.0.1.20", 0)
        )
        for _ in range(100)
    ]
    shaken = [
        over_tls(site.port, "CAROL", "127.0.1.21", context(site.folder)) for _ in range(60)
    ]
    slow = socket.create_connection(("127.0.0.1", site.port), pace.seconds(10))
    slow.settimeout(0.05)
    hello = iter(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
    beside, closed = [], False
    while not closed:
        beside += round_trips(carol, 30)
        try:
            slow.sendall(bytes([next(hello)]))
            closed = slow.recv(16) == b""
        except TimeoutError:
            assert time.monotonic() - begin < pace.seconds(15), "a slow ClientHello has no bound"
        except ConnectionError:
            closed = True
    undisturbed(before, beside)
    for one in silent:
        one.settimeout(pace.seconds(10))
        try:
            assert one.recv(16) == b"", "a peer that says nothing is told nothing"
        except ConnectionError:
            pass  # Closed all the same.
        one.close()
    for peer in shaken:
        assert peer.closed() == b""
        peer.close()
    # Who is logged on may be silent for longer than a handshake may take.
    assert time.monotonic() - begin >= 5.0
    assert len(round_trips(quiet, 1)) == 1
    for client in (carol, quiet):
        client.logout()


def test_one_address_cannot_take_the_place_of_others(site: Site) -> None:
    refused = 0
    many = []
    for _ in range(330):
        one = socket.create_connection(
            ("127.0.0.1", site.port), pace.seconds(10), source_address=("127.0.1.30", 0)
        )
        many.append(one)
    carol = over_tls(site.port, "CAROL", "127.0.0.2", context(site.folder))
    assert carol.logon(reset=True)["35"] == "A"
    for one in many:
        one.setblocking(False)
        try:
            refused += one.recv(1) == b""
        except ConnectionError:
            refused += 1
        except BlockingIOError:
            pass  # It waits for its handshake.
        one.close()
    assert refused >= 330 - 256
    carol.logout()


def test_a_certificate_is_exchanged_while_sessions_live(site: Site) -> None:
    clients = [
        site.client("ALICE", "127.0.0.2"), site.client("BOB", "127.0.0.2"),
        over_tls(site.port, "CAROL", "127.0.0.2", context(site.folder)),
    ]  # fmt: skip
    for client in clients:
        client.logon(reset=True)
    carol = clients[-1]
    before = round_trips(carol)

    def shown() -> bytes | None:
        probe = over_tls(site.port, "CAROL", "127.0.0.3", context(site.folder))
        assert isinstance(probe.socket, ssl.SSLSocket)
        certificate = probe.socket.getpeercert(binary_form=True)
        probe.close()
        return certificate

    old = shown()
    kept = {path: path.read_bytes() for path in site.folder.glob("fix.*")}
    signed(site.folder, site.folder / "fix.crt", "localhost", days=30, server=True)
    try:
        site.proxy.reload()
        beside = round_trips(carol)
        deadline = time.monotonic() + pace.seconds(10)
        while shown() == old:
            assert time.monotonic() < deadline, "the old certificate is shown still"
            beside += round_trips(carol, 5)
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    undisturbed(before, beside)
    for client in clients:
        assert len(round_trips(client, 1)) == 1, "a session has ended"
        client.logout()
    # Who comes now is served by the new process, and bound as before.
    alice = site.client("ALICE", "127.0.0.2")
    assert alice.logon(reset=True)["35"] == "A"
    alice.logout()
    thief = site.client("BOB", "127.0.1.40", "ALICE")
    thief.send("A", thief.logon_fields())
    assert thief.closed() == b""
