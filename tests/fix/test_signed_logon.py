"""Logons signed with Ed25519: every field that matters is covered, and each admits once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fix_gateway.door import logon_signature
from fix_gateway.door.logon_signature import SignedLogons
from tests.fix.processes import ROOT, Venue
from tests.fix.rawfix import RawFix, now_text
from tests.fix.signed import logon, public_text, signature

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@pytest.fixture(scope="module")
def changes() -> dict[str, str]:
    """ALICE signs; CAROL signs and has a password; the others have passwords."""
    return {
        r'(comp_id = "ALICE".*?)password_hash = "[^"]*"': rf'\1public_key = "{public_text(KEY)}"',
        r'comp_id = "CAROL"\n': f'comp_id = "CAROL"\npublic_key = "{public_text(OTHER)}"\n',
    }


@pytest.fixture(scope="module")
def venue(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, str]
) -> Iterator[Venue]:
    with Venue(tmp_path_factory.mktemp("signed"), changes) as running:
        yield running.start()


_hosts = iter(range(1, 250))


def connected(venue: Venue, comp_id: str = "ALICE") -> RawFix:
    """From an address of its own, as failures slow an address down."""
    return RawFix(venue.address, comp_id, source=f"127.0.40.{next(_hosts)}")


def fields(comp_id: str = "ALICE", **changed: str) -> dict[str, str]:
    """A right Logon; ``t52="…"`` changes field 52, ``t141=""`` takes 141 out."""
    right = {
        "35": "A", "34": "1", "49": comp_id, "52": now_text(), "56": "TANDEM", "98": "0",
        "108": "30", "141": "Y", "553": comp_id.lower(), "20003": "1", "20004": "5",
    }  # fmt: skip
    found = right | {tag[1:]: value for tag, value in changed.items()}
    return {tag: value for tag, value in found.items() if value}


def enter(venue: Venue, data: bytes, comp_id: str = "ALICE") -> None:
    client = connected(venue, comp_id)
    client.num = 2
    client.send_raw(data)
    assert client.expect("A")["35"] == "A"
    client.logout()


FAR = "SendingTime of a signed Logon is too far from our clock"


def refused(venue: Venue, data: bytes, reason: str, comp_id: str = "ALICE") -> None:
    assert venue.gateway is not None
    before = len(venue.gateway.events("refused"))
    client = connected(venue, comp_id)
    client.send_raw(data)
    assert client.closed() == b"", "a stranger must learn nothing"
    log = venue.gateway.events("refused")[before:]
    # On a machine that is busy enough the Logon may have become too old meanwhile.
    assert [line["reason"] for line in log] in ([reason], [FAR])


def test_a_signed_logon_is_let_in_and_its_replay_is_not(venue: Venue) -> None:
    old, data = logon(KEY, fields(t52=now_text(-2))), logon(KEY, fields())
    enter(venue, data)
    refused(venue, data, "this Logon was admitted before")
    refused(venue, old, "a Logon with a later SendingTime was admitted before")
    enter(venue, logon(KEY, fields()))


CHANGES = {
    "34": "2", "56": "OTHER", "98": "1", "108": "29", "141": "N", "553": "bob", "20003": "0",
    "20004": "6", "20006": "Y",
}  # fmt: skip


@pytest.mark.parametrize("tag", CHANGES)
def test_whatever_is_changed_breaks_the_signature(tag: str) -> None:
    right = fields()
    text = signature(KEY, right)
    key = KEY.public_key().public_bytes_raw()
    whole = right | {"95": str(len(text)), "96": text}
    assert logon_signature.fault(key, whole) == ""
    assert logon_signature.fault(key, whole | {tag: CHANGES[tag]}) == "signature is wrong"
    if tag in right:
        without = {name: value for name, value in whole.items() if name != tag}
        assert logon_signature.fault(key, without) == "signature is wrong"


def test_a_changed_reset_flag_is_refused_at_the_door(venue: Venue) -> None:
    taken_out = logon(KEY, fields()).replace(b"\x01141=Y", b"")
    head, _, rest = taken_out.partition(b"\x019=")
    length = int(rest.partition(b"\x01")[0]) - 6
    body = rest.partition(b"\x01")[2].rpartition(b"10=")[0]
    text = head + b"\x019=%d\x01" % length + body
    refused(venue, text + b"10=%03d\x01" % (sum(text) % 256), "signature is wrong")


def test_wrong_keys_missing_signatures_and_foreign_fields_are_refused(venue: Venue) -> None:
    refused(venue, logon(OTHER, fields()), "signature is wrong")
    refused(venue, logon(KEY, fields(), "383=1000|"), "tag 383 is not allowed in a signed Logon")
    refused(venue, logon(KEY, fields(t553="bob")), "wrong Username")
    client = connected(venue)
    client.send("A", client.logon_fields())
    assert client.closed() == b""


def test_the_window_is_5_s_back_and_1_s_ahead(venue: Venue) -> None:
    refused(venue, logon(KEY, fields(t52=now_text(-6))), FAR)
    refused(venue, logon(KEY, fields(t52=now_text(30))), FAR)


def test_with_both_both_are_asked_for(venue: Venue) -> None:
    signed = logon(OTHER, fields("CAROL"))
    refused(venue, signed, "wrong Username or Password", "CAROL")
    client = connected(venue, "CAROL")
    client.send("A", client.logon_fields(reset=True))
    assert client.closed() == b""
    enter(venue, logon(OTHER, fields("CAROL"), "554=carol-demo|"), "CAROL")


def test_a_replay_is_refused_after_a_restart_too(tmp_path: Path, changes: dict[str, str]) -> None:
    with Venue(tmp_path, changes) as venue:
        venue.start()
        # A little ahead, as the clock of a client may be.
        data = logon(KEY, fields(t52=now_text(0.9)))
        enter(venue, data)
        assert venue.gateway is not None
        venue.gateway.kill()
        venue.start_gateway()
        refused(venue, data, "this Logon was admitted before")


def test_an_unreadable_record_admits_nobody(tmp_path: Path) -> None:
    (tmp_path / "ALICE.signed").write_text("nonsense")
    why = SignedLogons(tmp_path).use("ALICE", 5, "AAAA")
    assert why.startswith("the record of signed Logons cannot be used")
    assert SignedLogons(tmp_path / "missing").use("ALICE", 5, "AAAA")


def test_the_record_outlives_the_process(tmp_path: Path) -> None:
    assert SignedLogons(tmp_path).use("A", 5, "AAAA") == ""
    assert SignedLogons(tmp_path).use("A", 5, "AAAA") == "this Logon was admitted before"


def test_two_logons_in_one_second_both_count(tmp_path: Path) -> None:
    record = SignedLogons(tmp_path)
    assert record.use("A", 5, "AAAA") == ""
    assert record.use("A", 5, "AAAB") == ""
    assert record.use("A", 5, "AAAA") and record.use("A", 4, "AAAC")
    assert record.use("A", 6, "AAAA") == ""


def test_the_vector_of_the_specification() -> None:
    text = (ROOT / "spec" / "FIX.md").read_text(encoding="utf-8")
    line = r"^    (private|public|payload|signature) +(\S+)$"
    vector = dict(re.findall(line, text, re.MULTILINE))
    assert len(vector) == 4
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["private"]))
    assert vector["public"] == public_text(key)
    found = dict(part.split("=", 1) for part in vector["payload"].split("|"))
    assert logon_signature.payload(found) == vector["payload"].replace("|", "\x01").encode()
    assert signature(key, found) == vector["signature"]
    whole = found | {"95": str(len(vector["signature"])), "96": vector["signature"]}
    assert logon_signature.fault(key.public_key().public_bytes_raw(), whole) == ""
