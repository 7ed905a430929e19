"""A session that is bound to a TLS client certificate, as a proxy tells of it at the door.

The headers are made by hand here; ``tests/tandem/test_tls.py`` has HAProxy make them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import DEMO_FILE, SettingsError, load
from tests.fix.processes import Venue
from tests.fix.rawfix import RawFix
from tests.unit.fix.test_proxy_protocol import FINGERPRINT, header, ssl_tlv, tlv

PROXY, OTHER = "127.0.0.9", "127.0.0.1"
BOUND = {
    'comp_id = "ALICE"\n': 'comp_id = "ALICE"\nclient_certificate = "Alice Trading"\n',
    'comp_id = "BOB"\n': f'comp_id = "BOB"\nclient_certificate = "{FINGERPRINT}"\n',
}
ALICES = ssl_tlv(inner=tlv(0x22, b"Alice Trading"))
BOBS = ssl_tlv(inner=tlv(0x22, b"whoever")) + tlv(0x05, FINGERPRINT.encode())


def venue_with(folder: Path, line: str) -> Iterator[Venue]:
    running = Venue(folder, {r"\[fix\]": f"[fix]\n{line}", **BOUND})
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """Nobody but the proxy is let in."""
    folder = tmp_path_factory.mktemp("behind")
    yield from venue_with(folder, f'proxy_protocol = true\nproxies = ["{PROXY}"]')


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """The proxy, and who comes without TLS."""
    yield from venue_with(tmp_path_factory.mktemp("beside"), f'proxies = ["{PROXY}"]')


def client_of(venue: Venue, comp_id: str, start: bytes, source: str = PROXY) -> RawFix:
    client = RawFix(venue.address, comp_id, source=source)
    if start:
        client.send_raw(start)
    return client


def told(tlvs: bytes, cause: int = 1) -> bytes:
    """A header; each cause from a client's address of its own, as failures slow theirs down."""
    return header(tlvs, f"192.0.2.{cause}")


@pytest.mark.parametrize(("comp_id", "tlvs"), [("ALICE", ALICES), ("BOB", BOBS), ("CAROL", b"")])
def test_the_bound_certificate_is_let_in_and_who_is_bound_to_none(
    behind: Venue, comp_id: str, tlvs: bytes
) -> None:
    client = client_of(behind, comp_id, told(tlvs))
    assert client.logon()["35"] == "A"
    client.logout()


REFUSALS: dict[str, tuple[str, bytes, str]] = {
    "ALICE's certificate with BOB's CompID": ("BOB", ALICES, "CN 'Alice Trading', of unknown"),
    "BOB's certificate with ALICE's CompID": ("ALICE", BOBS, "CN 'whoever', sha256:abab"),
    "no certificate": ("ALICE", ssl_tlv(flags=1, inner=b""), "no client certificate"),
    "no TLS": ("ALICE", b"", "no client certificate"),
    "of a resumed session": (
        "ALICE", ssl_tlv(flags=5, inner=tlv(0x22, b"Alice Trading")), "no client certificate",
    ),
    "expired": ("ALICE", ssl_tlv(verify=10, inner=tlv(0x22, b"Alice Trading")), "code 10"),
    "of another authority": (
        "BOB", ssl_tlv(verify=20) + tlv(0x05, FINGERPRINT.encode()), "not verified.*code 20",
    ),
    "the hash as a name": (
        "BOB", ssl_tlv(inner=tlv(0x22, FINGERPRINT.encode())), "of unknown hash",
    ),
    "a TLV that is too long": ("ALICE", ALICES[:-1], "longer than the header"),
    "two certificates": ("ALICE", BOBS + ALICES, "twice"),
}  # fmt: skip


@pytest.mark.parametrize("cause", REFUSALS)
def test_another_certificate_or_none_is_one_more_silent_close(behind: Venue, cause: str) -> None:
    comp_id, tlvs, why = REFUSALS[cause]
    assert behind.gateway is not None
    before = len(behind.gateway.lines)
    began = time.monotonic()
    client = client_of(behind, comp_id, told(tlvs, 10 + list(REFUSALS).index(cause)))
    client.send("A", client.logon_fields())
    assert client.closed() == b"", "a stranger must learn nothing"
    assert time.monotonic() - began >= 0.25, "the delay of a refusal is part of every refusal"
    line = behind.gateway.wait_for("refused", since=before)
    assert re.search(why, str(line["reason"])), line


def test_a_header_from_an_address_that_is_no_proxys_is_refused(behind: Venue) -> None:
    began = time.monotonic()
    forged = client_of(behind, "ALICE", told(ALICES), OTHER)
    forged.send("A", forged.logon_fields())
    assert forged.closed() == b""
    assert time.monotonic() - began >= 0.25
    plain = client_of(behind, "CAROL", b"", "127.0.0.2")
    plain.send("A", plain.logon_fields())
    assert plain.closed() == b""
    assert behind.gateway is not None
    for address in (OTHER, "127.0.0.2"):
        behind.gateway.wait_for(
            "refused", address=address, reason="the connection does not come from a proxy"
        )


def test_beside_a_proxy_who_comes_without_tls_is_let_in_and_believed_nothing(
    beside: Venue,
) -> None:
    carol = client_of(beside, "CAROL", b"", OTHER)
    assert carol.logon()["35"] == "A"
    alice = client_of(beside, "ALICE", told(ALICES))
    assert alice.logon()["35"] == "A"
    for number, (start, source) in enumerate((
        (told(BOBS), "127.0.0.3"),  # A header of one's own.
        (b"", "127.0.0.4"),  # No certificate.
        (b"", PROXY),  # No header from the proxy.
    )):  # fmt: skip
        bob = client_of(beside, "BOB", start, source)
        bob.send("A", bob.logon_fields())
        assert bob.closed() == b"", number
    carol.logout()
    alice.logout()


# What the configuration may say.


def loaded(folder: Path, fix: str, certificate: str) -> str:
    path = folder / "venue.toml"
    text = DEMO_FILE.read_text(encoding="utf-8")
    text = re.sub(r"\[fix\]\n", f"[fix]\n{fix}\n", text, count=1)
    if fix.startswith("tls_port"):
        text = re.sub(r"tls_port = 9879.*\n", "", text)
    old = 'comp_id = "ALICE"\n'
    path.write_text(text.replace(old, f'{old}client_certificate = "{certificate}"\n', 1))
    return load(path, env={}).sessions[0].client_certificate


@pytest.mark.parametrize("name", ["", "Alice Trading", FINGERPRINT, "CN with, = and ü"])
def test_a_session_may_be_bound_where_a_proxy_can_tell(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, "proxy_protocol = true", name) == name
    assert loaded(tmp_path, 'proxies = ["127.0.0.9"]', name) == name
    session = load(env={}).sessions[0]
    assert session.client_certificate == ""


@pytest.mark.parametrize(
    ("fix", "name", "why"),
    [
        ("", "Alice", "sessions[0].client_certificate: needs fix.proxy_protocol = true (or"),
        ("proxy_protocol = true", "sha256:abc", "expected sha256: and 64 lower-case hex digits"),
        ("proxy_protocol = true", FINGERPRINT.upper(), "expected sha256: and 64 lower-case hex"),
        ("proxy_protocol = true", "x" * 65, "expected the CN of a certificate, 1 to 64"),
        ("proxy_protocol = true", "a\\nb", "expected the CN of a certificate, 1 to 64 printable"),
        ('proxies = ["10.0.0.0/8"]', "Alice", "fix.proxies[0]: expected an address"),
        ('proxies = ["2001:DB8::1"]', "Alice", "fix.proxies[0]: expected '2001:db8::1'"),
        ("tls_port = 8080", "", "http.port: expected another port than fix.tls_port, got 8080"),
        ("tls_port = 70000", "", "fix.tls_port"),
    ],
)
def test_a_certificate_that_nobody_could_have_is_refused_with_its_key(
    tmp_path: Path, fix: str, name: str, why: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)):
        loaded(tmp_path, fix, name)


def test_without_a_list_the_proxies_are_those_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "venue.toml"
    text = DEMO_FILE.read_text(encoding="utf-8")
    found = {}
    for line in ("", "proxy_protocol = true", 'proxy_protocol = true\nproxies = ["10.1.2.3"]'):
        path.write_text(re.sub(r"\[fix\]\n", f"[fix]\n{line}\n", text, count=1))
        found[line] = load(path, env={}).fix.trusted_proxies
    assert list(found.values()) == [(), ("127.0.0.1",), ("10.1.2.3",)]
